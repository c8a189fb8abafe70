"""A2: ADBench's bundle adjustment: cameras and points from where the points are seen.

Observation i is of point i mod m by camera i mod n. The unknowns in order: cameras (11 each:
rotation vector, centre, focal length, principal point (2), radial distortion (2)), points (3),
weights (1). The results: two reprojection errors an observation, weighted, and then 1 − w² for
each weight.

``THALWEG_ADBENCH`` names the folder with the public benchmark's file; without it the numbers are
random, of the same form and size.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Bundle", "errors", "problem", "read", "residuals", "source"]

_FOLDER = "THALWEG_ADBENCH"
_NAME = "ba1_n49_m7776_p31843.txt"


@dataclass(frozen=True)
class Bundle:
    """Who sees what, where; and the point."""

    cameras: int
    points: int
    camera: Any  # of each observation
    point: Any
    feature: Any  # (p, 2)
    x: Any


def source() -> str:
    """Where the numbers are from, if not from the public file."""
    there = os.environ.get(_FOLDER)
    return "" if there else f"; {_FOLDER} is not set: random data of this form"


def read(path: Path) -> Bundle:
    """The file: sizes, one camera, one point, one weight, one feature, each for all."""
    lines = path.read_text(encoding="utf-8").splitlines()
    n, m, p = map(int, lines[0].split())
    camera, point, weight, feature = (np.array(text.split(), float) for text in lines[1:5])
    x = np.concatenate([np.tile(camera, n), np.tile(point, m), np.tile(weight, p)])
    return _bundle(n, m, p, np.tile(feature, (p, 1)), x)


def _bundle(n: int, m: int, p: int, feature: Any, x: Any) -> Bundle:
    return Bundle(n, m, np.arange(p) % n, np.arange(p) % m, feature, x)


def problem() -> Bundle:
    """The public file's, or random numbers."""
    folder = os.environ.get(_FOLDER)
    if folder:
        return read(Path(folder) / _NAME)
    n, m, p = 49, 7776, 31843
    rng = np.random.default_rng(0)
    cameras = rng.normal(size=(n, 11)) * np.repeat([0.3, 0.1, 1.0, 0.01], [3, 3, 3, 2])
    points = rng.normal(size=(m, 3)) + np.array([0, 0, 8])
    x = np.concatenate([cameras.ravel(), points.ravel(), rng.uniform(0.2, 1, p)])
    return _bundle(n, m, p, rng.normal(size=(p, 2)), x)


def errors(camera: Any, point: Any, weight: Any, feature: Any, xp: Any = np) -> Any:
    """Weighted reprojection errors (…, 2) of observations (…), by Rodrigues' formula."""
    r, centre = camera[..., 0:3], camera[..., 3:6]
    X = point - centre
    square = xp.sum(r * r, axis=-1, keepdims=True)
    angle = xp.sqrt(square)
    turned = (
        xp.cos(angle) * X
        + xp.sin(angle) / angle * xp.cross(r, X)
        + (1 - xp.cos(angle)) / square * xp.sum(r * X, axis=-1, keepdims=True) * r
    )
    u = turned[..., 0:2] / turned[..., 2:3]
    rho = xp.sum(u * u, axis=-1, keepdims=True)
    distortion = 1 + camera[..., 9:10] * rho + camera[..., 10:11] * rho**2
    seen = camera[..., 6:7] * distortion * u + camera[..., 7:9]
    return weight * (seen - feature)


def residuals(x: Any, bundle: Bundle, xp: Any = np) -> Any:
    """All results, of all unknowns."""
    first, second = 11 * bundle.cameras, 11 * bundle.cameras + 3 * bundle.points
    cameras, points = x[:first].reshape(-1, 11), x[first:second].reshape(-1, 3)
    weights = x[second:]
    found = errors(
        cameras[bundle.camera], points[bundle.point], weights[:, None], bundle.feature, xp
    )
    return xp.concatenate([found.reshape(-1), 1 - weights**2])
