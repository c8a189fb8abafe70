"""The Brusselator with diffusion in one dimension: stiff for fine grids.

E. Hairer and G. Wanner, *Solving Ordinary Differential Equations II*, 2nd ed., Springer 1996,
section IV.1: α = 1/50, u = 1 and v = 3 at both ends, u(x, 0) = 1 + sin 2πx, v(x, 0) = 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def start(n: int) -> Any:
    """u and v in turn, which keeps the Jacobian in a narrow band."""
    x = np.arange(1, n + 1) / (n + 1)
    return np.stack([1 + np.sin(2 * np.pi * x), np.full(n, 3.0)], axis=1).ravel()


def rate(t: Any, y: Any) -> Any:
    """dy/dt; the diffusion is that of the grid's own width."""
    w = np.reshape(y, (-1, 2))
    n = w.shape[0]
    u, v = w[:, 0], w[:, 1]
    wide = np.concatenate([np.array([[1.0, 3.0]]), w, np.array([[1.0, 3.0]])])
    spread = (n + 1) ** 2 / 50 * (wide[:-2] - 2 * w + wide[2:])
    reaction = np.stack([1 + u**2 * v - 4 * u, 3 * u - u**2 * v], axis=1)
    return np.reshape(reaction + spread, (-1,))
