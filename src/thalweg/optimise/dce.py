"""Dead code: nodes that no output and no guard needs are left out."""

from __future__ import annotations

from thalweg.graph.graph import Graph
from thalweg.graph.node import Node

__all__ = ["drop_unused"]


def drop_unused(graph: Graph) -> Graph:
    """The nodes that outputs and guards depend on. Inputs stay: they are the function's."""
    needed = {x for x in graph.outputs if type(x) is Node}
    needed.update(guard.node for guard in graph.guards)
    for node in reversed(graph.nodes):
        if node in needed:
            for x in node.operands:
                if type(x) is Node:
                    needed.add(x)
    nodes = tuple([node for node in graph.nodes if node in needed])
    return graph if len(nodes) == len(graph.nodes) else graph._replace(nodes=nodes)
