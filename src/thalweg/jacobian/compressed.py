"""Blocks of a Jacobian by compression: a pattern, a colouring, and a few products.

The plan is made once for a pattern (`thalweg.jacobian.compress`). The products are one batched pass
over the graph each way, forward with the seeds of the columns and backward with those of the rows.

Costs are counted in passes: a push as one, a pull as two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.graph import between
from thalweg.graph.node import Node, input_node
from thalweg.jacobian.colour import Colouring
from thalweg.jacobian.compress import Plan, plan, seed, solved
from thalweg.jacobian.layout import Layout, layout_at
from thalweg.jacobian.patterns import pattern_of
from thalweg.jacobian.terms import UnstructuredError
from thalweg.ops.index import getitem
from thalweg.transforms.batch import batch, chunk_of
from thalweg.transforms.forward import forward
from thalweg.transforms.reverse import reverse

__all__ = ["Compressed", "Memory", "compressed_blocks"]

#: What a pull costs beside a push.
_PULL = 2


class Memory:
    """The plan of the last pattern: the next call mostly has the same."""

    def __init__(self) -> None:
        self._last: tuple[Any, bool, Plan] | None = None

    def plan(self, pattern: Any, symmetric: bool, as_graph: bool) -> Plan:
        """The cheapest plan for a pattern."""
        if self._last is not None:
            known, how, made = self._last
            same = known.shape == pattern.shape and how is symmetric and known.nnz == pattern.nnz
            if (
                same
                and np.array_equal(known.indptr, pattern.indptr)
                and np.array_equal(known.indices, pattern.indices)
            ):
                return made
        made = _cheapest(pattern, symmetric, as_graph)
        self._last = pattern, symmetric, made
        return made


def _cost(made: Plan) -> int:
    return made.columns.count + _PULL * made.rows.count


def _cheapest(pattern: Any, symmetric: bool, as_graph: bool) -> Plan:
    """Of the methods that there are the one with the fewest passes; at a tie, the simplest."""
    best = plan(pattern, "columns")
    others = ["rows", "bidirectional"]
    if symmetric and not as_graph:  # substitution is a sparse solve, which a graph does not have
        others = ["star", "acyclic"]
    elif symmetric:
        others = ["star"]
    if best.columns.count <= 2:  # as cheap as any pull
        return best
    for method in others:
        made = plan(pattern, method)
        if _cost(made) < _cost(best):
            best = made
    return best


class Compressed(NamedTuple):
    """The blocks, their layouts and numbers, and how they were found."""

    blocks: dict[tuple[int, int], tuple[Layout, Any]]
    plan: Plan


def compressed_blocks(
    inputs: Sequence[Node],
    outputs: Sequence[Any],
    *,
    symmetric: bool,
    memory: Memory,
    as_graph: bool,
    **rest: Any,
) -> Compressed:
    """Every block ∂output k/∂input i; `rest` as in `forward`.

    Raises
    ------
    UnstructuredError
        Where there is no pattern, or no fewer passes than there are columns or rows.
    """
    if any(x.dtype.kind == "c" for x in (*inputs, *outputs)):
        raise UnstructuredError("complex values")
    pattern = pattern_of(inputs, outputs, rest["order"], as_graph)
    m, n = pattern.shape
    if symmetric:  # each of the two says what the other can't be
        pattern = pattern.multiply(pattern.T).tocsr()
    made = memory.plan(pattern, symmetric, as_graph)
    if 2 * _cost(made) > min(n, _PULL * m):
        raise UnstructuredError(f"a pattern that takes {made.count} products")
    numbers = _products(made, inputs, outputs, as_graph, rest)
    source = made.source
    if made.substitution is not None:
        numbers = solved(made.substitution, numbers)
    else:
        source = _in_lines(made, source)
    return Compressed(_split(made, numbers, source, inputs, outputs), made)


def _in_lines(made: Plan, source: Any) -> Any:
    """Places among products that are lines, from places among products that are columns."""
    m, n = made.shape
    end = m * made.columns.count
    count = np.where(source < end, made.columns.count, made.rows.count)
    length = np.where(source < end, m, n)
    start = np.where(source < end, 0, end)
    return start + (source - start) % count * length + (source - start) // count


def _products(
    made: Plan, inputs: Sequence[Node], outputs: Sequence[Any], as_graph: bool, rest: Any
) -> Any:
    """The numbers of all products, pushed and then pulled, each a line; as `recover` has them
    where they are to be solved for."""
    live = rest["live"]
    varying = [out for out in outputs if type(out) is Node and out in live]
    parts: list[Any] = []
    if made.columns.count:
        seeds = _seeds(made.columns, inputs)
        tangents = [input_node(np.zeros(x.shape, x.dtype)[()]) for x in inputs]
        found = forward(varying, inputs, tangents, as_graph=True, **rest)
        pushed = dict(zip(varying, _over(tangents, found, seeds, varying, as_graph), strict=True))
        lines = [pushed.get(out) if type(out) is Node else None for out in outputs]
        parts.append(_joined(lines, outputs, made.columns.count))
    if made.rows.count:
        by_output = zip(outputs, _seeds(made.rows, outputs), strict=True)
        seeds = [seed for out, seed in by_output if type(out) is Node and out in live]
        cotangents = [input_node(np.zeros(out.shape, out.dtype)[()]) for out in varying]
        found = reverse(varying, cotangents, list(inputs), as_graph=True, **rest)
        lines = _over(cotangents, found, seeds, inputs, as_graph)
        parts.append(_joined(lines, inputs, made.rows.count))
    if made.substitution is not None:
        return parts[0].reshape(made.columns.count, -1).T.reshape(-1)
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0)


def _seeds(colouring: Colouring, ends: Sequence[Any]) -> list[Any]:
    """The seeds in front of the axes of each end."""
    whole = seed(colouring).T
    stops = np.cumsum([end.size for end in ends])
    return [
        np.reshape(whole[:, stop - end.size : stop], (colouring.count, *end.shape)).astype(
            end.dtype
        )
        for end, stop in zip(ends, stops, strict=True)
    ]


def _over(
    starts: Sequence[Node],
    results: Sequence[Any],
    seeds: Sequence[Any],
    ends: Sequence[Any],
    as_graph: bool,
) -> list[Any]:
    """Results that are linear in `starts`, for all seeds; None where there are none."""
    count = len(seeds[0])
    made: list[Any] = [None] * len(results)
    there = [k for k, found in enumerate(results) if found is not None]
    if not there:
        return made
    graph = between(starts, [results[k] for k in there])
    chunk = count if as_graph else chunk_of(graph, count)
    pieces: list[list[Any]] = [[] for _ in there]
    for first in range(0, count, chunk):
        some = [seed[first : first + chunk] for seed in seeds]
        size = len(some[0])
        with np.errstate(all="ignore"):
            values, carried = batch(graph, some, [True] * len(some), size, as_graph=as_graph)
        for own, value, flag, k in zip(pieces, values, carried, there, strict=True):
            own.append(value if flag else np.broadcast_to(value, (size, *ends[k].shape)))
    for own, k in zip(pieces, there, strict=True):
        made[k] = own[0] if len(own) == 1 else np.concatenate(own)
    return made


def _joined(lines: Sequence[Any], ends: Sequence[Any], count: int) -> Any:
    """The products of all ends, one a line, in one axis."""
    parts = [
        np.zeros((count, end.size)) if line is None else np.reshape(line, (count, end.size))
        for line, end in zip(lines, ends, strict=True)
    ]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return np.reshape(whole, (whole.size,))


def _split(
    made: Plan, numbers: Any, source: Any, inputs: Sequence[Node], outputs: Sequence[Any]
) -> dict[tuple[int, int], tuple[Layout, Any]]:
    """The blocks of the whole matrix."""
    rows = np.repeat(np.arange(made.shape[0]), np.diff(made.indptr))
    blocks = {}
    top = 0
    for k, out in enumerate(outputs):
        left = 0
        for i, x in enumerate(inputs):
            inside = (rows >= top) & (rows < top + out.size)
            inside &= (made.indices >= left) & (made.indices < left + x.size)
            layout = layout_at(rows[inside] - top, made.indices[inside] - left, out.size, x.size)
            blocks[k, i] = layout, getitem(numbers, (source[inside],))
            left += x.size
        top += out.size
    return blocks
