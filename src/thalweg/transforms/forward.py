"""Forward mode: push tangents through the graph in the order in which it was built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.graph.kinds import Zero
from thalweg.graph.node import Node
from thalweg.ops.structural import ITEM
from thalweg.transforms.linear import push

__all__ = ["forward"]


def forward(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    tangents: Sequence[Any],
    *,
    as_graph: bool,
    replacements: Mapping[Node, Node],
    order: list[Node],
    live: set[Node],
) -> list[Any]:
    """Tangents of `outputs` (None: zero) from those of `inputs`; arguments as in `reverse`."""
    known: dict[Node, Any] = dict(zip(inputs, tangents, strict=True))
    with np.errstate(all="ignore"):
        for node in order:
            if node not in live or node in known:
                continue
            acting = replacements.get(node, node)
            total = _push_node(acting, known, as_graph)
            if total is not None:
                known[node] = total
    return [known.get(node) for node in outputs]


def _push_node(node: Node, known: dict[Node, Any], as_graph: bool) -> Any:
    """The tangent of a node: the sum over its operands that have one."""
    primitive, params = node.primitive, node.params
    if as_graph:
        values: Any = node.operands
        out: Any = node
    else:
        values = [x.value if type(x) is Node else x for x in node.operands]
        out = node.value
    total: Any = None
    for i, operand in enumerate(node.operands):
        if type(operand) is not Node:
            continue
        t = known.get(operand)
        if t is None:
            continue
        if primitive is ITEM:
            return t[params["index"]]
        kind = primitive.local(i, out, *values, **params)
        if type(kind) is Zero:
            continue
        pushed = push(kind, t, values[i], out)
        if total is None:
            total = pushed
        elif type(pushed) is tuple:
            total = tuple(a + b for a, b in zip(total, pushed, strict=True))
        else:
            total = total + pushed
    return total
