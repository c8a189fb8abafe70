"""What is differentiated: written for NumPy, or for a module that speaks like it."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DIFFUSION", "DRAIN", "FEED", "brusselator", "rosenbrock", "sigmoid"]

#: Of the Brusselator: the rates, and the diffusion on a grid of mesh width 1 / N.
FEED, DRAIN = 1.0, 3.4
DIFFUSION = 0.02


def brusselator(x: Any, N: int, xp: Any = np) -> Any:
    """The right side, species after species, of 2 N² numbers."""
    u, v = x[: N * N].reshape(N, N), x[N * N :].reshape(N, N)

    def spread(w: Any) -> Any:
        around = xp.roll(w, 1, 0) + xp.roll(w, -1, 0) + xp.roll(w, 1, 1) + xp.roll(w, -1, 1)
        return DIFFUSION * N * N * (around - 4 * w)

    turned = u * u * v
    first = FEED + turned - (DRAIN + 1) * u + spread(u)
    second = DRAIN * u - turned + spread(v)
    return xp.concatenate([first.reshape(-1), second.reshape(-1)])


def rosenbrock(x: Any, xp: Any = np) -> Any:
    """Σ 100 (x_{i+1} − x_i²)² + (1 − x_i)²."""
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def sigmoid(x: Any, xp: Any = np) -> Any:
    """1 / (1 + exp(−x))."""
    return 1 / (1 + xp.exp(-x))
