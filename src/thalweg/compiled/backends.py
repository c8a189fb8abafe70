"""Which executor runs a graph: the one place where it is chosen."""

from __future__ import annotations

from collections.abc import Mapping

from thalweg.execute.executor import Executor, Interpreter
from thalweg.graph.graph import Graph
from thalweg.optimise.pipeline import optimise

__all__ = ["BACKENDS", "executor_of"]

BACKENDS = ("native", "numpy")


def executor_of(
    graph: Graph, inplace: Mapping[int, int], backend: str, threads: int | None
) -> Executor:
    """What runs `graph` (with values), whose outputs `inplace` maps to inputs: memory they take."""
    slim = optimise(graph).without_values()
    return Interpreter(slim, inplace, 'backend="numpy" was asked for')
