"""The graph's type checker: a broken graph is shown with the bad line in its context.

A transform that hands on a wrong graph is a bug of ours; tests run this after each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import InternalError
from thalweg.graph.graph import Graph
from thalweg.graph.kinds import (
    BatchedDense,
    Broadcast,
    Chain,
    Contract,
    DiagMinusRank1,
    Diagonal,
    Identity,
    Kind,
    MatMulLeft,
    MatMulRight,
    Put,
    Reshape,
    Router,
    Scale,
    SumOver,
    Take,
    Transpose,
    Wirtinger,
)
from thalweg.graph.node import Node, describe_origin
from thalweg.graph.primitive import PRIMITIVES

__all__ = ["verify"]

Shape = tuple[int, ...]
_CONTEXT = 3


def verify(graph: Graph) -> None:
    """Check a graph with values: order, operands, values, and the shape of every local Jacobian.

    Raises
    ------
    InternalError
        Naming the first bad node, with the lines around it.
    """
    known = set(graph.inputs)
    members = known.union(graph.nodes)
    for position, node in enumerate(graph.nodes):
        complaint = _complaint(node, known, members)
        if complaint is not None:
            raise InternalError(f"{complaint}\n{_context(graph, position)}")
        known.add(node)
    for x in (*graph.outputs, *(guard.node for guard in graph.guards)):
        if type(x) is Node and x in members and x not in known:
            raise InternalError(f"an output is not computed: {x}")
        if type(x) is not Node and np.asarray(x).dtype.kind not in "fciub":
            raise InternalError(f"an output is neither a node nor a number: {x!r}")


def _complaint(node: Node, known: set[Node], members: set[Node]) -> str | None:
    """What is wrong with a node, or None."""
    name = node.primitive.name
    if PRIMITIVES.get(name) is not node.primitive:
        return f"'{name}' is not a registered primitive"
    if not all(isinstance(key, str) for key in node.params):
        return f"parameters must have names: {node.params}"
    for i, x in enumerate(node.operands):
        if type(x) is not Node:
            # None stands for an operand that was not given.
            if x is not None and not isinstance(
                x, (bool, int, float, complex, np.ndarray, np.generic)
            ):
                return f"operand {i} is neither a node nor a number but {type(x).__name__}"
        elif x in members and x not in known:
            return f"operand {i}, node {x.sequence}, is computed later"
    values = [x.value if type(x) is Node else x for x in node.operands]
    with np.errstate(all="ignore"):
        again = node.primitive.value(*values, **node.params)
    parts = again if node.primitive.outputs else (again,)
    kept = node.value if node.primitive.outputs else (node.value,)
    for new, old in zip(parts, kept, strict=True):
        if np.shape(new) != np.shape(old) or np.asarray(new).dtype != np.asarray(old).dtype:
            return (
                f"the value is {old.dtype}{list(old.shape)}, the primitive gives "
                f"{np.asarray(new).dtype}{list(np.shape(new))}"
            )
    return None if node.primitive.outputs or name == "item" else _wrong_kind(node, values)


def _wrong_kind(node: Node, values: list[Any]) -> str | None:
    """Whether a local Jacobian does not lead from its operand's shape to the result's."""
    if not node.active:
        return None
    for i, x in enumerate(node.operands):
        if type(x) is not Node or not x.active:
            continue
        with np.errstate(all="ignore"):
            kind = node.primitive.local(i, node.value, *values, **node.params)
        try:
            shape = _leads_to(kind, x.shape, node.shape)
        except ValueError as error:
            return (
                f"the local Jacobian of operand {i}, {type(kind).__name__}, does not fit: {error}"
            )
        if shape != node.shape:
            return (
                f"the local Jacobian of operand {i}, {type(kind).__name__}, leads from {x.shape} "
                f"to {shape}, not to {node.shape}"
            )
    return None


def _leads_to(kind: Kind, x: Shape, out: Shape) -> Shape:
    """The shape of a tangent of shape x that `kind` pushed (out, where the kind leaves it open)."""
    shape = _SHAPES.get(type(kind))
    return out if shape is None else shape(kind, x, out)


def _with(entries: Any, x: Shape, out: Shape) -> Shape:
    # A result that is broadcast further than its operand and entries say is filled up.
    return np.broadcast_shapes(np.shape(entries), x, out)


def _reshape(kind: Reshape, x: Shape, out: Shape) -> Shape:
    if math.prod(x) != math.prod(out):
        raise ValueError(f"{x} and {out} differ in size")
    return out


def _sum_over(kind: SumOver, x: Shape, out: Shape) -> Shape:
    if kind.weights is not None:
        np.broadcast_to(kind.weights, x)
    kept = [
        (1 if i in kind.axes else n) for i, n in enumerate(x) if kind.keepdims or i not in kind.axes
    ]
    return tuple(kept)


def _contract(kind: Contract, x: Shape, out: Shape) -> Shape:
    operands = [np.zeros(np.shape(other)) for other in kind.others]
    operands.insert(kind.position, np.zeros(x))
    return np.einsum(f"{','.join(kind.inputs)}->{kind.output}", *operands).shape


def _put(kind: Put, x: Shape, out: Shape) -> Shape:
    np.broadcast_to(np.zeros(x), np.zeros(out)[kind.index].shape)
    return out


def _dense(kind: BatchedDense, x: Shape, out: Shape) -> Shape:
    b = kind.batch
    if np.shape(kind.entries) != x[:b] + out[b:] + x[b:]:
        raise ValueError(f"entries of shape {np.shape(kind.entries)}, batch {b}")
    return out


def _chain(kind: Chain, x: Shape, out: Shape) -> Shape:
    between = np.shape(kind.between)
    if _leads_to(kind.inner, x, between) != between:
        raise ValueError(f"the inner factor does not lead from {x} to {between}")
    return _leads_to(kind.outer, between, out)


_SHAPES: dict[type, Callable[[Any, Shape, Shape], Shape]] = {
    Identity: lambda kind, x, out: np.broadcast_shapes(x, out),
    Scale: lambda kind, x, out: _with(kind.factor, x, out),
    Diagonal: lambda kind, x, out: _with(kind.entries, x, out),
    Router: lambda kind, x, out: _with(kind.entries, x, out),
    Wirtinger: lambda kind, x, out: np.broadcast_shapes(
        np.shape(kind.linear), np.shape(kind.conjugate), x, out
    ),
    Broadcast: lambda kind, x, out: np.broadcast_shapes(x, out),
    SumOver: _sum_over,
    Reshape: _reshape,
    Transpose: lambda kind, x, out: np.transpose(np.zeros(x), kind.axes).shape,
    Take: lambda kind, x, out: np.zeros(x)[kind.index].shape,
    Put: _put,
    MatMulLeft: lambda kind, x, out: np.matmul(np.zeros(np.shape(kind.matrix)), np.zeros(x)).shape,
    MatMulRight: lambda kind, x, out: np.matmul(np.zeros(x), np.zeros(np.shape(kind.matrix))).shape,
    Contract: _contract,
    BatchedDense: _dense,
    DiagMinusRank1: lambda kind, x, out: np.shape(kind.probabilities),
    Chain: _chain,
}


def _line(node: Node) -> str:
    operands = ", ".join(
        f"%{x.sequence}" if type(x) is Node else f"{type(x).__name__}{list(np.shape(x))}"
        for x in node.operands
    )
    params = "".join(f", {key}={value!r}" for key, value in node.params.items())
    ends = node.value if node.primitive.outputs else (node.value,)
    shown = ", ".join(f"{end.dtype}{list(end.shape)}" for end in ends)
    return (
        f"%{node.sequence} = {node.primitive.name}({operands}{params}) : {shown}"
        f"    # {describe_origin(node.origin)}"
    )


def _context(graph: Graph, position: int) -> str:
    """The bad line, marked, and those around it."""
    start = max(0, position - _CONTEXT)
    return "\n".join(
        f"{'->' if start + k == position else '  '} {_line(node)}"
        for k, node in enumerate(graph.nodes[start : position + _CONTEXT + 1])
    )
