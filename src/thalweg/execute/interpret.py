"""Run a graph again on other operands: NumPy, the reference semantics.

`remat` recomputes with it, and it says what a compiled graph must give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.graph import Graph, Guard, evaluate
from thalweg.graph.node import Node, apply

__all__ = ["GuardChanged", "interpret", "replay"]


class GuardChanged(NamedTuple):
    """The graph does not stand for the function here: Python would have branched otherwise."""

    guard: Guard
    value: Any


class _Changed(Exception):  # noqa: N818 - ends the walk, never leaves this module
    def __init__(self, found: GuardChanged) -> None:
        self.found = found


def interpret(graph: Graph, operands: Sequence[Any]) -> tuple[Any, ...]:
    """Outputs of `graph` for these operands: values for values, nodes where a node comes in."""
    as_graph = any(type(x) is Node for x in operands)
    return evaluate(
        graph, operands, lambda node, xs: apply(node.primitive, xs, node.params), as_graph=as_graph
    )


def replay(graph: Graph, operands: Sequence[Any]) -> tuple[Any, ...] | GuardChanged:
    """Outputs of `graph` for these values, or the first guard that answers otherwise.

    A guard is compared as soon as its node is known, before anything that relies on it.
    """
    guards: dict[Node, list[Guard]] = {}
    for guard in graph.guards:
        guards.setdefault(guard.node, []).append(guard)

    def compare(node: Node, value: Any) -> Any:
        for guard in guards.get(node, ()):
            if np.shape(value) != node.shape or not guard.agrees(value):
                raise _Changed(GuardChanged(guard, value))
        return value

    try:
        for node, value in zip(graph.inputs, operands, strict=True):
            compare(node, value)
        return evaluate(
            graph,
            operands,
            lambda node, xs: compare(node, apply(node.primitive, xs, node.params)),
            as_graph=False,
        )
    except _Changed as changed:
        return changed.found
