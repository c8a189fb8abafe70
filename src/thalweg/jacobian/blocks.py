"""Batched blocks: a graph that acts on each of a batch by itself, differentiated number by number.

Residuals of observations, elements of a mesh, reactions in cells: between gathering what each needs
and laying the results together, everything happens along one axis, and the other axes are short.
The Jacobian of that part is block-diagonal. It is computed as a reader of the formulas would
write it: each number of the short axes is a node over the batch (`thalweg.jacobian.unrolled`), and
each entry of the blocks one, too. Native code makes one loop of them all, in registers.

What selects the operands and lays the results together are index maps: they say only where in the
matrix the entries stand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.node import Node
from thalweg.jacobian.terms import UnstructuredError
from thalweg.jacobian.unrolled import Source, Unrolled, rearranges, taken_from
from thalweg.ops.arithmetic import ADD
from thalweg.ops.index import ADD_AT, index_of
from thalweg.ops.norm import NORM
from thalweg.optimise.fold import is_elementwise
from thalweg.optimise.stabilise import stable_forms
from thalweg.transforms.forward import forward
from thalweg.transforms.reverse import live_nodes, reverse

__all__ = ["Entries", "entries_of"]

#: Core nodes of all outputs together.
_MOST_ENDS = 64
#: Entries of one block.
_MOST_IN_BLOCK = 2000


class Entries(NamedTuple):
    """Some entries of a block of the Jacobian.

    Attributes
    ----------
    rows, columns : array of int, of one axis
        Both −1 where an entry is none.
    values : array or node, of one axis
    """

    rows: Any
    columns: Any
    values: Any


def entries_of(
    inputs: Sequence[Node],
    outputs: Sequence[Any],
    order: Sequence[Node],
    *,
    as_graph: bool,
    replacements: Mapping[Node, Node],
    symmetric: bool = False,
) -> dict[tuple[int, int], list[Entries]]:
    """The entries of each block ∂output k/∂input i.

    Parameters
    ----------
    inputs : sequence of Node
    outputs : sequence
        Nodes, or values that depend on nothing.
    order : sequence of Node
        What stands between, in topological order.
    as_graph : bool
        Build nodes rather than compute values.
    replacements : mapping
        As for `reverse`. Those of single entries are found again number by number; a graph with
        others (of a log of a sum of exponentials, say) is not of this form.
    symmetric : bool
        Whether block (i, i) is symmetric: then its entries below the diagonal are left out.

    Raises
    ------
    UnstructuredError
        Where the graph is not of this form.
    """
    sources = _sources(inputs, order)
    inner = {*order, *inputs}
    for stable in replacements.values():
        if not (is_elementwise(stable) or stable.primitive is NORM):
            raise UnstructuredError(f"'{stable.primitive.name}' as the stable form")
    made: dict[tuple[int, int], list[Entries]] = {}
    for k, out in enumerate(outputs):
        for i in range(len(inputs)):
            made[k, i] = []
        if type(out) is Node and out in inner:
            for core, rows in _ends(out, inner, sources):
                upper = k if symmetric else -1
                for i, entries in _of_core(core, rows, inner, sources, as_graph, upper):
                    made[k, i].append(entries)
    return made


# ---- what stands in front of the blocks and behind them ------------------------------------


def _sources(inputs: Sequence[Node], order: Sequence[Node]) -> dict[Node, Source]:
    """The nodes that only select from one input."""
    sources = {x: Source(i, np.arange(x.size).reshape(x.shape)) for i, x in enumerate(inputs)}
    for node in order:
        if node in sources or not rearranges(node):
            continue
        varying = [x for x in node.operands if type(x) is Node]
        if len(varying) == 1 and varying[0] in sources:
            ((_, places, chosen),) = taken_from(node)
            if chosen is not None:  # the rest is of constants
                continue
            start = sources[varying[0]]
            sources[node] = Source(start.input, start.numbers.reshape(-1)[places])
    return sources


def _ends(out: Node, inner: set[Node], sources: Mapping[Node, Source]) -> list[tuple[Node, Any]]:
    """What the output is laid together from, and the row of each entry (−1: none)."""
    found: list[tuple[Node, Any]] = []
    open_ = [(out, np.arange(out.size).reshape(out.shape))]
    while open_:
        node, rows = open_.pop()
        placed = [] if node in sources else _parts(node, rows, sources)
        placed = [part for part in placed if part[0] in inner]
        if not placed or any(own is None for _, own in placed):
            found.append((node, rows))
        else:
            open_ += reversed(placed)
        if len(found) + len(open_) > _MOST_ENDS:
            raise UnstructuredError("results laid together from many parts")
    return found


def _parts(node: Node, rows: Any, sources: Mapping[Node, Source]) -> list[tuple[Node, Any]]:
    """What a node is laid together from, or the sum of, and the row of each of their entries."""
    if rearranges(node):
        return [(x, _placed(x, places, rows, chosen)) for x, places, chosen in taken_from(node)]
    if _adds(node):
        whole, value = node.operands[:2]
        parts = [(value, rows[index_of(node)]), (whole, rows)]
        parts = [(x, own) for x, own in parts if type(x) is Node]
    elif node.primitive is ADD and any(map(_lays, node.operands)):
        parts = [(x, rows) for x in node.operands if type(x) is Node]
    else:
        return []
    return parts if all(x.shape == own.shape for x, own in parts) else []


def _adds(node: Node) -> bool:
    """Whether a node adds at an index that is the same for all values."""
    return node.primitive is ADD_AT and not any(type(x) is Node for x in node.operands[2:])


def _lays(x: Any) -> bool:
    """Whether an operand is laid together itself, so that sums of such are, too."""
    if type(x) is not Node:
        return False
    return _adds(x) or rearranges(x) or (x.primitive is ADD and any(map(_lays, x.operands)))


def _placed(x: Node, places: Any, rows: Any, chosen: Any) -> Any:
    """The row of each entry of x; None where one stands in several."""
    rows = rows if chosen is None else rows[chosen]
    own = np.full(x.size, -1)
    own[places.reshape(-1)] = rows.reshape(-1)
    count = np.bincount(places.reshape(-1), minlength=x.size)
    return None if np.any(count > 1) else own.reshape(x.shape)


# ---- the blocks ----------------------------------------------------------------------------


def _of_core(
    core: Node,
    rows: Any,
    inner: set[Node],
    sources: Mapping[Node, Source],
    as_graph: bool,
    upper: int,
) -> list[tuple[int, Entries]]:
    reason = ""
    for p in sorted({n for n in core.shape if n > 1}, reverse=True):
        try:
            return _along(p, core, rows, inner, sources, as_graph, upper)
        except UnstructuredError as error:
            reason = reason or str(error)
    raise UnstructuredError(reason or "a result of one number")


def _along(
    p: int,
    core: Node,
    rows: Any,
    inner: set[Node],
    sources: Mapping[Node, Source],
    as_graph: bool,
    upper: int,
) -> list[tuple[int, Entries]]:
    """The blocks of a core whose batch has p members: entries by input; with respect to input
    `upper` those on and above the diagonal."""
    unrolled = Unrolled(p, inner, sources)
    outs, their = _by_number(unrolled.of(core), core.shape, rows, p)
    ins = unrolled.starts
    if len(outs) * len(ins) > _MOST_IN_BLOCK:
        raise UnstructuredError(f"blocks of {len(outs)} × {len(ins)}")
    found: dict[int, list[tuple[Any, Any, Any]]] = {}
    for (j, x), value in _derivatives(outs, list(ins), as_graph).items():
        source, below = ins[x], their[j] > ins[x].numbers
        if source.input != upper:
            below = np.zeros(p, bool)
        if not below.all():
            row = np.where(below, -1, their[j])
            found.setdefault(source.input, []).append((row, source.numbers, value))
    return [(i, _laid_out(parts, p)) for i, parts in found.items()]


def _by_number(
    parts: Any, shape: tuple[int, ...], rows: Any, p: int
) -> tuple[list[Any], list[Any]]:
    """The numbers that vary, as nodes, and the rows of each."""
    axis = shape.index(p)
    moved = np.moveaxis(rows, axis, -1).reshape(-1, p)
    outs, their = [], []
    for j, part in enumerate(parts.reshape(-1)):
        if type(part) is Node and np.any(moved[j] >= 0):
            outs.append(part if part.shape == (p,) else np.broadcast_to(part, (p,)))
            their.append(moved[j])
    return outs, their


def _derivatives(outs: list[Any], ins: list[Node], as_graph: bool) -> dict[tuple[int, Node], Any]:
    """∂out j/∂x along the batch, where it may be other than zero."""
    order, live = live_nodes(outs, ins, {}, True)
    rest: dict[str, Any] = {
        "as_graph": as_graph,
        "replacements": stable_forms(order, live),
        "order": order,
        "live": live,
    }
    found: dict[tuple[int, Node], Any] = {}
    if len(outs) <= len(ins):
        for j, out in enumerate(outs):
            if out in live:
                pulled = reverse([out], [np.ones(out.shape, out.dtype)], ins, **rest)
                found |= {(j, x): c for x, c in zip(ins, pulled, strict=True) if c is not None}
        return found
    for x in ins:
        pushed = forward(outs, [x], [np.ones(x.shape, x.dtype)], **rest)
        found |= {(j, x): t for j, t in enumerate(pushed) if t is not None}
    return found


def _laid_out(parts: list[tuple[Any, Any, Any]], p: int) -> Entries:
    """The entries example by example, those of the first in the order of the matrix."""
    parts = sorted(parts, key=lambda part: (part[0][0], part[1][0]))
    rows = np.stack([part[0] for part in parts], 1)
    columns = np.stack([part[1] for part in parts], 1)
    columns = np.where(rows < 0, -1, columns)
    values = np.stack([np.broadcast_to(part[2], (p,)) for part in parts], 1)
    return Entries(
        rows.reshape(-1), columns.reshape(-1), np.reshape(values, (math.prod(values.shape),))
    )
