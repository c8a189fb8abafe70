"""All workloads. Imports no peer and not Thalweg: every contender's process reads this."""

from __future__ import annotations

from bench import (
    adbench,
    chain,
    density,
    elementwise,
    imports,
    overhead,
    problems,
    scalars,
    solvers,
    structure,
    training,
)
from bench.training import mnist

__all__ = ["WORKLOADS"]

WORKLOADS = [
    *elementwise.WORKLOADS,
    *training.WORKLOADS,
    *training.FIT,
    *scalars.WORKLOADS,
    *overhead.WORKLOADS,
    *adbench.WORKLOADS,
    *structure.WORKLOADS,
    *chain.WORKLOADS,
    *imports.WORKLOADS,
    *elementwise.GROWTH,
    *training.GROWTH,
    *chain.GROWTH,
    *structure.GROWTH,
    *problems.WORKLOADS,
    *solvers.WORKLOADS,
    *mnist.WORKLOADS,
    *density.WORKLOADS,
]
