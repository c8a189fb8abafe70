"""C1 and the growth of graphs: a chain of elementwise operations, differentiated and compiled.

C1 is the time from the Python function to the first gradient, in a new process that has imported
the package: tracing, differentiating, compiling, and what the package loads only then. From the
disk cache: the same in a process after another one has filled the cache.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.workload import Workload

__all__ = ["GROWTH", "WORKLOADS", "Chain", "by_hand", "problem", "program"]

_NUMBERS = 1000


@dataclass(frozen=True)
class Chain:
    """How many operations, and the point."""

    operations: int
    x: Any


def problem(operations: int) -> Chain:
    """The chain at random numbers."""
    return Chain(operations, np.random.default_rng(0).normal(size=_NUMBERS))


def _factor(k: int) -> float:
    """A constant of its own for each place, so that no part of the chain repeats."""
    return 0.9 + 0.1 / (k + 1)


def program(x: Any, operations: int, sin: Callable[[Any], Any], tanh: Callable[[Any], Any]) -> Any:
    """As many elementwise operations; the caller sums."""
    y = x
    for k in range(operations):
        place = k % 4
        if place == 0:
            y = sin(y)
        elif place == 1:
            y = y * _factor(k)
        elif place == 2:
            y = y + x
        else:
            y = tanh(y)
    return y


def by_hand(chain: Chain) -> list[Any]:
    """Value and gradient of the sum, forward and backward in NumPy."""
    x = y = chain.x
    kept = []
    for k in range(chain.operations):
        place = k % 4
        kept.append(y)
        if place == 0:
            y = np.sin(y)
        elif place == 1:
            y = y * _factor(k)
        elif place == 2:
            y = y + x
        else:
            y = np.tanh(y)
            kept[-1] = y
    value = y.sum()
    upstream, total = np.ones_like(x), np.zeros_like(x)
    for k in range(chain.operations - 1, -1, -1):
        place, v = k % 4, kept[k]
        if place == 0:
            upstream = upstream * np.cos(v)
        elif place == 1:
            upstream = upstream * _factor(k)
        elif place == 2:
            total = total + upstream
        else:
            upstream = upstream * (1 - v * v)
    return [value, total + upstream]


_BARS = {20: (40, 5), 200: (100, 20), 2000: (700, 150)}
WORKLOADS = [
    Workload(
        name=f"C1-{operations}",
        title=f"first gradient of a graph of {operations} operations, compiled, in a new process",
        group="compiling",
        problem=functools.partial(problem, operations),
        contenders={
            "thalweg": "bench.chain.cold:thalweg",
            "thalweg, disk cache": "bench.chain.cold:thalweg_cached",
            "jax": "bench.chain.cold:jax",
            "jax, disk cache": "bench.chain.cold:jax_cached",
            "CasADi MX": "bench.chain.cold:casadi",
            **({"torch.compile": "bench.chain.cold:torch_compile"} if operations <= 200 else {}),
        },
        reference=by_hand,
        tolerance=1e-12,
        bar=f"≤ {cold} ms, ≤ {cached} ms from the disk cache",
        threads=(2,),
        scale=1e3,
        unit="ms",
        rounds=7,
    )
    for operations, (cold, cached) in _BARS.items()
]

GROWTH = [
    Workload(
        name=f"growth-operations-{operations}",
        title=f"value and gradient of a chain of {operations:,} operations on {_NUMBERS} float64",
        group="growth",
        problem=functools.partial(problem, operations),
        contenders={
            "thalweg": "bench.chain.with_thalweg:compiled",
            "NumPy by hand": "bench.chain.with_numpy:plain",
            "torch": "bench.chain.with_torch:eager",
            "jax": "bench.chain.with_jax:jit",
        },
        reference=by_hand,
        tolerance=1e-12,
        growth=("graph: operations", operations),
    )
    for operations in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
]
