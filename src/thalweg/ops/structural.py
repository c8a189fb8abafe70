"""Nodes that only hold the graph together: picking one of several outputs, detaching."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.kinds import IDENTITY, Zero
from thalweg.graph.node import Node, apply
from thalweg.graph.primitive import Labels, Primitive, register

__all__ = ["DETACH", "ITEM", "SHAPE", "detach_node", "items"]

ITEM: Primitive = register(
    Primitive(
        name="item",
        value=lambda results, index: results[index],
        local=lambda i, out, results, index: IDENTITY,
        labels=Labels("item", r"({0})_{{{index}}}"),
        batch=lambda operands, batched, params: ITEM(operands[0], **params),
        lower=lambda b, out, results, index: results[index],
    )
)
DETACH: Primitive = register(
    Primitive(
        name="detach",
        value=lambda x: x,
        local=lambda i, out, x: Zero("detached by the user"),
        labels=Labels("detach", r"\operatorname{{detach}}({0})"),
        batch=lambda operands, batched, params: DETACH(operands[0]),
        lower=lambda b, out, x: x,
    )
)
SHAPE: Primitive = register(
    Primitive(
        name="shape",
        value=lambda x: np.array(x.shape),
        local=lambda i, out, x: Zero("a shape does not vary smoothly"),
        labels=Labels("shape", r"\operatorname{{shape}}({0})"),
        batch="it is a result whose shape depends on the values that has its shape looked at",
        lower="it is asked of what NumPy computes: a shape that depends on values",
    )
)


def items(results: Any) -> tuple[Any, ...]:
    """The outputs of an operation with several, one by one."""
    if type(results) is not Node:
        return tuple(results)
    return tuple(apply(ITEM, (results,), {"index": i}) for i in range(len(results.value)))


def detach_node(x: Node) -> Node:
    """A node with the same value through which no derivative flows."""
    node: Node = apply(DETACH, (x,))
    return Node(DETACH, (x,), {}, x.value, False, node.origin)
