"""Ways to compute the blocks of a Jacobian, and which is taken.

1. *Terms* (`accumulate`): kinds multiplied and summed symbolically; entries directly. Taken where
   they stay a few.
2. *Batched blocks* (`blocks`): where a node would have more than a few terms, or a kind is given by
   functions, and the graph acts along one axis.
3. *Terms written out*: where the kinds are known.
4. *Compression* (`compressed`): where a kind is given by functions, but the pattern is known and
   colours well; and in place of 3 where its graph computes fewer numbers.

What none of them can do is for the caller: dense blocks, or products with vectors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.node import Node
from thalweg.jacobian.accumulate import accumulate
from thalweg.jacobian.blocks import Entries, entries_of
from thalweg.jacobian.colour import fullest
from thalweg.jacobian.compress import Plan
from thalweg.jacobian.compressed import Memory, compressed_blocks
from thalweg.jacobian.layout import Layout, arranged, data_of, layout_at, layout_of, mirrored
from thalweg.jacobian.terms import ManyTermsError, Term, UnstructuredError

__all__ = ["Found", "Walk", "blocks_of", "entries_from"]

At = tuple[int, int]

_WAYS = {
    "terms": "computed from the local Jacobians: products and sums of their kinds",
    "blocks": "computed in batched blocks: each number of the short axes over the batch",
    "written out": "computed from the local Jacobians, sums written out on the way",
}


class Walk(NamedTuple):
    """What stands between inputs and outputs, as for `thalweg.transforms.forward`.

    Attributes
    ----------
    outputs : list
        Nodes, or arrays that depend on nothing.
    dtypes : dict
        Of block ∂output k/∂input i at (k, i).
    symmetric : bool
        Whether the outputs are the gradient of something with respect to the inputs.
    """

    inputs: Sequence[Node]
    outputs: list[Any]
    order: list[Node]
    live: set[Node]
    replacements: Mapping[Node, Node]
    dtypes: dict[At, Any]
    symmetric: bool

    @property
    def rest(self) -> dict[str, Any]:
        """Arguments of `forward` and `reverse`."""
        return {"replacements": self.replacements, "order": self.order, "live": self.live}


class Found(NamedTuple):
    """The blocks, as terms or as the places and numbers of their entries; and in which way."""

    terms: dict[At, list[Term]]
    entries: dict[At, tuple[Layout, Any]]
    way: str


def blocks_of(walk: Walk, memory: Memory, *, as_graph: bool) -> Found:
    """All blocks, in the cheapest way.

    Raises
    ------
    UnstructuredError
        Where there is none; with the reason why the first one is not.
    """
    try:
        return Found(_terms(walk, as_graph, False), {}, _WAYS["terms"])
    except ManyTermsError:
        written: Exception | None = None
    except UnstructuredError as error:
        written = error
    with contextlib.suppress(UnstructuredError):
        found = entries_of(
            walk.inputs,
            walk.outputs,
            walk.order,
            as_graph=as_graph,
            replacements=walk.replacements,
            symmetric=walk.symmetric,
        )
        laid = {
            at: _laid_out(found[at], *_size(walk, at), walk.symmetric and at[0] == at[1])
            for at in found
        }
        return Found({}, laid, _WAYS["blocks"])
    if written is None:
        with contextlib.suppress(UnstructuredError):
            return _written_out(walk, memory, as_graph)
    with contextlib.suppress(UnstructuredError):
        return _compressed(walk, memory, as_graph)
    raise UnstructuredError(str(written or "too many entries on the way"))


def entries_from(found: Found, walk: Walk) -> dict[At, tuple[Layout, Any]]:
    """The places and numbers of all entries."""
    made = dict(found.entries)
    for at, terms in found.terms.items():
        m, n, dtype = _size(walk, at)
        layout = layout_of(terms, m, n)
        made[at] = layout, data_of(terms, layout, dtype)
    return made


def _size(walk: Walk, at: At) -> tuple[int, int, Any]:
    return walk.outputs[at[0]].size, walk.inputs[at[1]].size, walk.dtypes[at]


def _terms(walk: Walk, as_graph: bool, write_out: bool) -> dict[At, list[Term]]:
    nodes = [x for x in walk.outputs if type(x) is Node]
    blocks: dict[At, list[Term]] = {}
    for i, x in enumerate(walk.inputs):
        found = iter(accumulate(x, nodes, as_graph=as_graph, write_out=write_out, **walk.rest))
        for k, out in enumerate(walk.outputs):
            blocks[k, i] = next(found) if type(out) is Node else []
    return blocks


def _laid_out(
    entries: Sequence[Entries], m: int, n: int, dtype: Any, half: bool
) -> tuple[Layout, Any]:
    if not entries:
        return layout_of((), m, n), np.zeros(0, dtype)
    rows = np.concatenate([part.rows for part in entries])
    columns = np.concatenate([part.columns for part in entries])
    layout = layout_at(rows, columns, m, n, bool(np.any(columns < 0)))
    layout = mirrored(layout) if half else layout
    return layout, arranged(np.concatenate([part.values for part in entries]), layout, dtype)


def _compressed(walk: Walk, memory: Memory, as_graph: bool) -> Found:
    made = compressed_blocks(
        walk.inputs,
        walk.outputs,
        symmetric=walk.symmetric,
        memory=memory,
        as_graph=as_graph,
        **walk.rest,
    )
    entries = {
        at: (layout, arranged(data, layout, walk.dtypes[at]))
        for at, (layout, data) in made.blocks.items()
    }
    return Found({}, entries, _told(made.plan))


def _told(made: Plan) -> str:
    pushed, pulled = made.columns.count, made.rows.count
    m, n = made.shape
    return (
        f"computed by compression ({made.method}): {pushed:,} products forward and {pulled:,} "
        f"backward give {made.nnz:,} entries of {m:,} × {n:,}"
    )


def _written_out(walk: Walk, memory: Memory, as_graph: bool) -> Found:
    """Terms with their sums written out; or compression, where a graph is made once for many
    calls and that one computes fewer numbers."""
    found = Found(_terms(walk, as_graph, True), {}, _WAYS["written out"])
    if not as_graph:
        return found
    entries = entries_from(found, walk)
    found = Found({}, entries, found.way)
    cost = _numbers(entries, walk)
    width = max(fullest(layout) for layout, _ in entries.values())
    if cost > width * _pass(walk):
        with contextlib.suppress(UnstructuredError):
            other = _compressed(walk, memory, as_graph)
            if _numbers(other.entries, walk) < cost:
                return other
    return found


def _pass(walk: Walk) -> int:
    """Numbers that a push computes, at least."""
    return sum(node.size for node in walk.order if not node.primitive.outputs)


def _numbers(entries: Mapping[At, tuple[Layout, Any]], walk: Walk) -> int:
    """Numbers that a graph computes besides those of the function."""
    there = {*walk.order, *walk.inputs}
    open_ = [data for _, data in entries.values() if type(data) is Node]
    total = 0
    while open_:
        node = open_.pop()
        if node in there:
            continue
        there.add(node)
        total += 0 if node.primitive.outputs else node.size
        open_ += [x for x in node.operands if type(x) is Node]
    return total
