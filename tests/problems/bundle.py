"""Bundle adjustment as in ADBench (F. Srajer, Z. Kukelova, A. Fitzgibbon, *A benchmark of selected
algorithmic differentiation tools on some problems in computer vision and machine learning*, 2018).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Bundle(NamedTuple):
    """Sizes, what was seen, and the unknowns: cameras (11 each), points (3), weights (1)."""

    cameras: int
    points: int
    features: Any  # (observations, 2)
    start: Any  # (11 cameras + 3 points + observations,)

    def residuals(self, z: Any) -> Any:
        """Reprojection errors, two for an observation, then 1 − w²."""
        n, m, p = self.cameras, self.points, len(self.features)
        seen = np.arange(p)
        camera = np.reshape(z[: 11 * n], (n, 11))[seen % n]
        point = np.reshape(z[11 * n : 11 * n + 3 * m], (m, 3))[seen % m]
        weights = z[11 * n + 3 * m :]
        r, centre = camera[:, :3], camera[:, 3:6]
        x = point - centre
        angle = np.sqrt(np.sum(r * r, axis=1))[:, None]
        axis = r / angle
        turned = (
            np.cos(angle) * x
            + np.sin(angle) * np.cross(axis, x)
            + (1 - np.cos(angle)) * np.sum(axis * x, axis=1)[:, None] * axis
        )
        u = turned[:, :2] / turned[:, 2:]
        rho = np.sum(u * u, axis=1)[:, None]
        bent = u * (1 + camera[:, 9:10] * rho + camera[:, 10:11] * rho**2)
        v = camera[:, 6:7] * bent + camera[:, 7:9]
        errors = weights[:, None] * (v - self.features)
        return np.concatenate([np.reshape(errors, (-1,)), 1 - weights**2])


def read(path: Path) -> Bundle:
    """A file of ADBench: one camera, point, weight and feature, each repeated for all."""
    with path.open(encoding="utf-8") as lines:
        n, m, p = map(int, next(lines).split())
        camera, point, weight, feature = (np.array(next(lines).split(), float) for _ in range(4))
    start = np.concatenate([np.tile(camera, n), np.tile(point, m), np.repeat(weight, p)])
    return Bundle(n, m, np.tile(feature, (p, 1)), start)


def synthetic(cameras: int, points: int, observations: int) -> Bundle:
    """Points in a box before cameras; what was seen is what the start predicts."""
    rng = np.random.default_rng(11)
    camera = np.zeros((cameras, 11))
    camera[:, :3] = 0.1 * rng.standard_normal((cameras, 3))
    camera[:, 3:6] = rng.uniform(-1, 1, (cameras, 3)) - [0, 0, 8]
    camera[:, 6] = 300
    camera[:, 9:] = 1e-3 * rng.standard_normal((cameras, 2))
    at = rng.uniform(-2, 2, (points, 3))
    start = np.concatenate([camera.ravel(), at.ravel(), np.ones(observations)])
    blank = Bundle(cameras, points, np.zeros((observations, 2)), start)
    seen = blank.residuals(start)[: 2 * observations].reshape(-1, 2)
    return blank._replace(features=seen)
