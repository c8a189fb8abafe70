"""Batching: the graph of one example becomes the graph of many, the batch axis in front.

A node none of whose operands is batched stays as it is. For the others the primitive's rule
``batch(operands, batched, params)`` does all examples at once. Where it has none (a string says
why), or gives NotImplemented for these operands, they are done one by one and stacked. Both work on
values and, inside an outer trace, on nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import InternalError, TracingError
from thalweg.graph.graph import Graph, Guard, evaluate
from thalweg.graph.node import Node, apply, describe_origin
from thalweg.guards import record_guard
from thalweg.ops.index import getitem
from thalweg.ops.structural import items

__all__ = ["batch", "chunk_of"]

#: Bytes that one array of a batch of seeds may take.
_CHUNK_BYTES = 2**26


def batch(
    graph: Graph,
    operands: Sequence[Any],
    batched: Sequence[bool],
    size: int,
    *,
    as_graph: bool,
) -> tuple[tuple[Any, ...], tuple[bool, ...]]:
    """Outputs of `graph` for a batch of operands, and which of them are batched.

    Parameters
    ----------
    operands, batched : sequences
        One an input; those with ``batched[i]`` have the batch axis in front.
    size : int
        Length of the batch axis.
    as_graph : bool
        Whether constants of the graph stay nodes (an outer trace takes part).

    Raises
    ------
    TracingError
        If Python branched on a value and the examples do not all answer alike.
    """
    carried = {node for node, flag in zip(graph.inputs, batched, strict=True) if flag}
    guards: dict[Node, list[Guard]] = {}
    for guard in graph.guards:
        guards.setdefault(guard.node, []).append(guard)

    def step(node: Node, values: tuple[Any, ...]) -> Any:
        flags = tuple([type(x) is Node and x in carried for x in node.operands])
        if not any(flags):
            return apply(node.primitive, values, node.params)
        carried.add(node)
        result = _batch_node(node, values, flags, size)
        for guard in guards.get(node, ()):
            _check_guard(guard, result, size)
        return result

    for node, operand in zip(graph.inputs, operands, strict=True):
        if node in carried:
            for guard in guards.get(node, ()):
                _check_guard(guard, operand, size)
    members = {*graph.inputs, *graph.nodes}
    for guard in graph.guards:
        if guard.node not in members:  # asked of an outer trace's value: that one must know
            record_guard(*guard)
    outputs = evaluate(graph, operands, step, as_graph=as_graph)
    return outputs, tuple(type(x) is Node and x in carried for x in graph.outputs)


def _batch_node(node: Node, values: tuple[Any, ...], flags: tuple[bool, ...], size: int) -> Any:
    """One gate for all examples."""
    primitive = node.primitive
    if isinstance(primitive.batch, str):
        return _one_by_one(node, values, flags, size)
    result = primitive.batch(values, flags, node.params)
    if result is NotImplemented:
        return _one_by_one(node, values, flags, size)
    if not primitive.outputs and result.shape != (size, *node.shape):
        raise InternalError(
            f"the batching rule of '{primitive.name}' gives shape {result.shape}, not "
            f"{(size, *node.shape)} (operands {[np.shape(_plain(x)) for x in values]}, batched "
            f"{flags}, {node.params}; at {describe_origin(node.origin)})"
        )
    return result


def _plain(x: Any) -> Any:
    return x.value if type(x) is Node else x


def _one_by_one(node: Node, values: tuple[Any, ...], flags: tuple[bool, ...], size: int) -> Any:
    """Each example apart, then stacked: for operations without a batching rule."""
    results = []
    for k in range(size):
        example = tuple(getitem(x, k) if flag else x for x, flag in zip(values, flags, strict=True))
        results.append(apply(node.primitive, example, node.params))
    if not node.primitive.outputs:
        return _stack(results, node.value, node)
    parts = zip(*(items(result) for result in results), strict=True)
    stacked = [_stack(part, end, node) for part, end in zip(parts, node.value, strict=False)]
    return tuple(stacked or [_stack((), end, node) for end in node.value])


def _stack(results: Sequence[Any], end: Any, node: Node) -> Any:
    if not results:
        return np.zeros((0, *end.shape), end.dtype)
    shapes = {np.shape(_plain(result)) for result in results}
    if len(shapes) > 1:
        raise TracingError(
            f"vmap: gate '{node.primitive.labels.gate}' at {describe_origin(node.origin)} gives "
            f"results of different shapes for different examples: {sorted(shapes)}.\n"
            "  Use np.where with a mask of fixed shape, or a Python loop over the examples."
        )
    return np.stack(results)


def _check_guard(guard: Guard, value: Any, size: int) -> None:
    """All examples must answer what the first one did; an outer trace is told that they do."""
    values = _plain(value)
    if size and not guard.agrees(values):
        other = next(k for k in range(size) if not guard.agrees(values[k]))
        raise TracingError(
            f"vmap: Python branched on a value at {describe_origin(guard.origin)}, and the "
            f"examples do not agree: it was {guard.answer} for example 0, and for example {other} "
            f"the value is {values[other]}.\n"
            "  Write a choice with np.where(condition, a, b), which takes both branches, an index "
            "into a NumPy array with np.asarray(array, like=i)[i], or use a Python loop."
        )
    if type(value) is Node:
        answer = guard.answer if isinstance(guard.answer, bool) else values
        record_guard(value, answer, guard.origin)


def chunk_of(graph: Graph, size: int) -> int:
    """How many of `size` go together, so that one array of the batch keeps within bounds."""
    biggest = max((_nbytes(node.value) for node in (*graph.inputs, *graph.nodes)), default=1)
    return max(1, min(size, _CHUNK_BYTES // max(1, biggest)))


def _nbytes(value: Any) -> int:
    return sum(map(_nbytes, value)) if isinstance(value, tuple) else int(value.nbytes)
