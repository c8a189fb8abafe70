"""What the passes share: one walk that replaces nodes, and how their nodes are made.

Nodes never change. A pass is a function from `Graph` to `Graph`: what it leaves alone are the
same nodes, and a graph in which it finds nothing to do is given back as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.graph.primitive import Primitive

__all__ = ["Rule", "computed", "first_of", "in_place_of", "rewrite"]

#: Called with a node whose operands are rewritten already: what stands for it (a node or a plain
#: value), or None to keep it.
Rule = Callable[[Node], Any]


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """Replace every node of `graph` by what `rule` says, operands before their consumers.

    The rule is asked again about what it gave, until it gives None, so that each rule needs to do
    one step only; each has to make the graph smaller or cheaper, or the walk would not end. It may
    build several nodes: those below its answer become part of the graph.
    """
    instead: dict[Node, Any] = {}
    present = set(graph.inputs)
    nodes: list[Node] = []
    # Constants are older than what uses them, and what a rule builds is newer than all.
    newest = max((node.sequence for node in graph.nodes), default=0)

    def enter(node: Node) -> None:
        """Make `node` part of the graph, and what was made below it."""
        stack = [node]
        while stack:
            top = stack[-1]
            below = [
                x
                for x in top.operands
                if type(x) is Node and x.sequence > newest and x not in present
            ]
            if below:
                stack.extend(below)
                continue
            stack.pop()
            if top not in present:
                present.add(top)
                nodes.append(top)

    for node in graph.nodes:
        current: Any = node
        for x in node.operands:
            if type(x) is Node and x in instead:
                operands = [instead.get(y, y) if type(y) is Node else y for y in node.operands]
                current = in_place_of(node, node.primitive, tuple(operands), node.params)
                break
        while True:
            better = rule(current)
            if better is None:
                break
            current = better
            if type(current) is not Node or current in present:
                break
        if current is not node:
            instead[node] = current
        if type(current) is Node and current not in present:
            enter(current)
    if not instead:
        return graph
    return Graph(
        graph.inputs,
        tuple(nodes),
        tuple(instead.get(x, x) if type(x) is Node else x for x in graph.outputs),
        tuple(
            guard._replace(node=instead[guard.node])
            if type(instead.get(guard.node)) is Node
            else guard
            for guard in graph.guards
            # Of a constant Python always gets the same answer.
            if type(instead.get(guard.node, guard.node)) is Node
        ),
        graph.captured,
    )


def first_of(*rules: Rule) -> Rule:
    """One rule from several: what the first one that has an answer says."""

    def rule(node: Node) -> Any:
        for each in rules:
            found = each(node)
            if found is not None:
                return found
        return None

    return rule


def in_place_of(
    node: Node, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]
) -> Node:
    """A node with the same value as `node`, which is not computed again."""
    return Node(primitive, operands, params, node.value, node.active, node.origin)


def computed(
    node: Node, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]
) -> Node:
    """A node that helps to compute `node`, and stands at its place in the user's source."""
    values = [x.value if type(x) is Node else x for x in operands]
    with np.errstate(all="ignore"):
        value = primitive.value(*values, **params)
    active = value.dtype.kind in "fc" and any(type(x) is Node and x.active for x in operands)
    return Node(primitive, operands, params, value, active, node.origin)
