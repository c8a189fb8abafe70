"""S1 and S2 by hand."""

from __future__ import annotations

import functools
from typing import Any

from bench.scalars import POINT, Moons, moons_gradient
from bench.workload import Prepared, Setting


def _gradient(x: float, y: float, z: float) -> tuple[float, float, float]:
    return z, z, x + y


def product_gradient(problem: None, setting: Setting) -> Prepared:
    """Three numbers in Python."""
    return Prepared(functools.partial(_gradient, *POINT), lambda: [_gradient(*POINT)])


def moons_arrays(problem: Moons, setting: Setting) -> Prepared:
    """What the network costs when it is written with arrays instead of scalars."""

    def gradient() -> Any:
        return moons_gradient(problem)

    return Prepared(gradient, gradient)
