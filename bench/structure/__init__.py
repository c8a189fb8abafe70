"""J1–J4 and A2: sparse Jacobians and Hessians, by their structure.

- J1: the right side of the two-dimensional periodic Brusselator on an N × N grid, two species;
  six entries a row.
- J2: the Hessian of the chained Rosenbrock function: tridiagonal.
- J3: the Jacobian of an elementwise function: diagonal.
- J4: finding out that tanh(W x) with a full W has a full Jacobian.
- A2: bundle adjustment (`bench.structure.bundle`).

Everybody gives the matrix in the sparse form of their own; what is compared are the entries that
are not zero. *first* is the set-up: tracing, pattern, colouring, compiling and one evaluation. *MB*
is by how much the process has grown over all, set-up included.
"""

from __future__ import annotations

import functools
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from bench.structure import bundle, by_hand
from bench.workload import Prepared, Workload

__all__ = [
    "GROWTH",
    "WORKLOADS",
    "Problem",
    "parts",
    "prepared",
]


@dataclass(frozen=True)
class Problem:
    """A point, and the size it belongs to (N, n)."""

    size: int
    x: Any
    W: Any = None


# ---- what a contender hands over -----------------------------------------------------------


def parts(matrix: Any) -> list[Any]:
    """The entries that are not zero, and where."""
    found = sparse.csr_array(matrix)
    found.sum_duplicates()
    found.eliminate_zeros()
    return [found.indptr, found.indices, found.data]


def _megabytes() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def prepared(make: Callable[[], Callable[[], Any]], to_scipy: Callable[[Any], Any]) -> Prepared:
    """A contender whose `make` sets up and gives what evaluates."""
    before = _megabytes()
    call = make()

    def facts() -> dict[str, Any]:
        return {"MB": round(_megabytes() - before, 1)}

    return Prepared(call, lambda: parts(to_scipy(call())), facts=facts)


# ---- the lines of the benchmark --------------------------------------------------------------


def _point(kind: str, size: int) -> Problem:
    rng = np.random.default_rng(0)
    if kind == "brusselator":
        return Problem(size, rng.uniform(0.5, 2.0, 2 * size * size))
    if kind == "structure":
        W = rng.normal(size=(size, size)) / np.sqrt(size)
        return Problem(size, rng.normal(size=size), W)
    return Problem(size, rng.normal(size=size))


def _reference(matrix: Callable[[Any], Callable[[], Any]]) -> Callable[[Any], list[Any]]:
    return lambda problem: parts(matrix(problem)())


_PEERS = {
    "thalweg": "with_thalweg",
    "NumPy by hand": "with_numpy",
    "CasADi": "with_casadi",
    "asdex": "with_asdex",
    "jax, dense": "with_jax",
    "jax, by observation": "with_jax",
    "CasADi, by observation": "with_casadi",
}


def _contenders(function: str, *names: str) -> dict[str, str]:
    return {name: f"bench.structure.{_PEERS[name]}:{function}" for name in names}


_ALL = ("thalweg", "NumPy by hand", "CasADi", "asdex")
_BRUSSELATOR = _reference(by_hand.brusselator)
_ROSENBROCK = _reference(by_hand.rosenbrock)

WORKLOADS = [
    *(
        Workload(
            name=f"J1-{N}",
            title=f"Jacobian of the periodic Brusselator, {N} × {N} × 2",
            group="structure",
            problem=functools.partial(_point, "brusselator", N),
            contenders=_contenders("brusselator", *_ALL),
            reference=_BRUSSELATOR,
            tolerance=1e-12,
            bar="level with NumPy by hand" + ("; set-up ≤ 0.1 s" if N == 128 else ""),
        )
        for N in (32, 64, 128)
    ),
    *(
        Workload(
            name=f"J2-{n}",
            title=f"Hessian of the chained Rosenbrock function, n = {n:,}",
            group="structure",
            problem=functools.partial(_point, "rosenbrock", n),
            contenders=_contenders("rosenbrock", *_ALL),
            reference=_ROSENBROCK,
            tolerance=1e-12,
            bar="level with NumPy by hand; set-up ≤ 0.1 s",
        )
        for n in (10_000, 100_000)
    ),
    Workload(
        name="J3",
        title="Jacobian of an elementwise sigmoid, n = 4096",
        group="structure",
        problem=functools.partial(_point, "sigmoid", 4096),
        contenders=_contenders("sigmoid", *_ALL, "jax, dense"),
        reference=_reference(by_hand.sigmoid),
        tolerance=1e-12,
        bar="level with NumPy by hand",
    ),
    Workload(
        name="J4",
        title="the structure of tanh(W x), n = 1000: how many entries the Jacobian has",
        group="structure",
        problem=functools.partial(_point, "structure", 1000),
        contenders=_contenders("structure_of", "thalweg", "CasADi", "asdex"),
        reference=lambda problem: [problem.size**2],
        bar="< 1 ms",
        threads=(2,),
        scale=1e3,
        unit="ms",
        rounds=10,
    ),
    Workload(
        name="A2",
        title="ADBench BA1: the sparse Jacobian, 95,529 × 55,710",
        group="structure",
        problem=bundle.problem,
        contenders=_contenders(
            "adjustment",
            *("thalweg", "NumPy by hand", "asdex", "jax, by observation", "CasADi, by observation"),
        ),
        reference=_reference(by_hand.adjustment),
        tolerance=1e-10,
        bar="ahead of hand-written C++, published: 5.87 ms (Eigen 5.20), 1 thread"
        + bundle.source(),
        scale=1e3,
        unit="ms",
    ),
]

GROWTH = [
    *(
        Workload(
            name=f"growth-brusselator-{N}",
            title=f"Jacobian of the periodic Brusselator, {N} × {N} × 2",
            group="growth",
            problem=functools.partial(_point, "brusselator", N),
            contenders=_contenders("brusselator", *(_ALL if N <= 128 else _ALL[:2])),
            reference=_BRUSSELATOR,
            tolerance=1e-12,
            growth=("Brusselator: N² · 2", 2.0 * N * N),
        )
        for N in (16, 32, 64, 128, 256, 512)
    ),
    *(
        Workload(
            name=f"growth-rosenbrock-{n}",
            title=f"Hessian of the chained Rosenbrock function, n = {n:,}",
            group="growth",
            problem=functools.partial(_point, "rosenbrock", n),
            contenders=_contenders("rosenbrock", *(_ALL if n <= 100_000 else _ALL[:2])),
            reference=_ROSENBROCK,
            tolerance=1e-12,
            growth=("Rosenbrock: n", n),
        )
        for n in (100, 1000, 10_000, 100_000, 1_000_000)
    ),
]
