"""O1: what the engine itself costs: 201 cheap operations in a chain, differentiated eagerly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.workload import Workload

__all__ = ["OPERATIONS", "WORKLOADS", "Problem", "program"]

_STEPS = 50
OPERATIONS = 4 * _STEPS + 1


@dataclass(frozen=True)
class Problem:
    """8 numbers, so that the arithmetic itself costs nothing."""

    x: Any = field(default_factory=lambda: np.linspace(0.1, 0.8, 8))
    a: Any = field(default_factory=lambda: np.full(8, 0.9))
    b: Any = field(default_factory=lambda: np.full(8, 0.1))


def program(x: Any, a: Any, b: Any) -> Any:
    """The chain; every peer's arrays have these operators."""
    y = x
    for _ in range(_STEPS):
        y = y * a
        y = y + b
        y = y - x
        y = -y
    return y.sum()


def _reference(problem: Problem) -> list[Any]:
    """The chain is linear in x: dy/dx goes from d to 1 − a d each round."""
    slope = np.ones(8)
    for _ in range(_STEPS):
        slope = 1 - slope * problem.a
    return [slope]


WORKLOADS = [
    Workload(
        name="O1",
        title=f"eager cost of one of {OPERATIONS} operations, forward and backward",
        group="overhead",
        problem=Problem,
        contenders={
            "thalweg": "bench.overhead.with_thalweg:eager",
            "NumPy, forward only": "bench.overhead.with_numpy:forward",
            "torch": "bench.overhead.with_torch:eager",
            "autograd": "bench.overhead.with_autograd:eager",
            "jax": "bench.overhead.with_jax:eager",
        },
        reference=_reference,
        tolerance=1e-13,
        bar="level with torch or ahead",
        threads=(1,),
        scale=1e6 / OPERATIONS,
        unit="µs an operation",
    )
]
