"""Run a graph again on other operands, values or nodes: `remat` and a late `vjp` do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thalweg.graph.graph import Graph, evaluate
from thalweg.graph.node import Node, apply

__all__ = ["interpret"]


def interpret(graph: Graph, operands: Sequence[Any]) -> tuple[Any, ...]:
    """Outputs of `graph` for these operands: values for values, nodes where a node comes in."""
    as_graph = any(type(x) is Node for x in operands)
    return evaluate(
        graph, operands, lambda node, xs: apply(node.primitive, xs, node.params), as_graph=as_graph
    )
