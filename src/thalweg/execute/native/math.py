"""The elementary functions of floating numbers, by the names of the primitives (NumPy's).

Each emits branch-free code for float32 and float64 and any number of lanes, within 2 ulp
(float64) and 3 ulp (float32), with NumPy's special values; docs/accuracy.md has the measured
errors. A function that needs another calls ``e.function(name, …)``, so that equal work in one
kernel is emitted once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg.execute.native import (
    math_error,
    math_exp,
    math_log,
    math_power,
    math_simple,
    math_trig,
)
from thalweg.execute.native.emit import Emit, V

__all__ = ["FUNCTIONS"]

FUNCTIONS: dict[str, Callable[..., V]] = {
    **math_simple.FUNCTIONS,
    **math_exp.FUNCTIONS,
    **math_log.FUNCTIONS,
    **math_error.FUNCTIONS,
    **math_power.FUNCTIONS,
    **math_trig.FUNCTIONS,
}
#: Parts that several functions share: what they give may be a tuple of values.
_PARTS: dict[str, Callable[..., Any]] = {
    **math_exp.PARTS,
    **math_log.PARTS,
    **math_power.PARTS,
    **math_trig.PARTS,
}

Emit.functions.update(FUNCTIONS, **_PARTS)
