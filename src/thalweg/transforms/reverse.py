"""Reverse mode: hand the upstream gradient down the graph, gate by gate.

    downstream = pull(local Jacobian, upstream)

A node whose output is used several times gets the sum of what its consumers hand back. The walk
works on values (fast, first order) or on nodes (then the result is graph and can be differentiated
again): the rules are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.errors import TracingError
from thalweg.graph.kinds import Custom, Kind, Take, Zero
from thalweg.graph.node import Node, ancestors
from thalweg.ops.structural import ITEM
from thalweg.transforms.linear import (
    PULL,
    ROUTING,
    accumulate_take,
    conform,
    mask_of_take,
    pull,
    pull_mask,
    zeros_like,
)

__all__ = ["Visit", "live_nodes", "reverse"]

#: Called for each edge that the backward pass meets: (node, operand position, kind, downstream).
Visit = Callable[[Node, int, Kind, Any], None]


def live_nodes(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    replacements: Mapping[Node, Node],
    nested: bool,
) -> tuple[list[Node], set[Node]]:
    """Nodes between inputs and outputs in topological order, and which of them vary.

    Raises
    ------
    TracingError
        If a value that belongs to another trace takes part although none is under way.
    """
    first = min((node.sequence for node in inputs), default=0)
    order, captured = ancestors(outputs, first)
    if captured and not nested:
        raise TracingError(
            "a traced value from outside takes part: it was kept from a call that has ended, or "
            "belongs to another thread.\n"
            "Return what is needed from the function instead of storing it, or store "
            "thalweg.detach(x)."
        )
    live = set(inputs)
    if not nested:  # whatever is active then depends on an input of this run
        live.update(order)
        return order, live
    for node in order:
        for operand in replacements.get(node, node).operands:
            if type(operand) is Node and operand in live:
                live.add(node)
                break
    return order, live


def reverse(
    outputs: Sequence[Node],
    cotangents: Sequence[Any],
    inputs: Sequence[Node],
    *,
    as_graph: bool,
    replacements: Mapping[Node, Node],
    order: list[Node],
    live: set[Node],
    visit: Visit | None = None,
    upstream: dict[Node, Any] | None = None,
) -> list[Any]:
    """Cotangents of `inputs` (None: zero) from those of `outputs`.

    Parameters
    ----------
    as_graph : bool
        Build nodes rather than compute values.
    replacements : mapping
        Nodes whose derivative is taken through another node of the same value (stable forms).
    order, live : from `live_nodes`.
    visit, upstream : optional
        Called for each edge; filled with the cotangent of each node.
    """
    waiting: dict[Node, Any] = {}
    masks: dict[Node, Any] = {}
    sums = _Sums(waiting, masks, as_graph)
    ends = set(inputs)
    for node, c in zip(outputs, cotangents, strict=True):
        if node in live:
            sums.hand(node, c, None)
    with np.errstate(all="ignore"):
        for node in reversed(order):
            if node in ends:
                continue
            c = waiting.pop(node, None)
            if c is None:
                continue
            mask = masks.pop(node, None) if masks else None
            if upstream is not None:
                upstream[node] = c
            acting = replacements.get(node, node) if replacements else node
            primitive, operands, params = acting.primitive, acting.operands, acting.params
            if as_graph:
                values: Any = operands
                out: Any = acting
            else:
                values = [x.value if type(x) is Node else x for x in operands]
                out = acting.value
            if primitive is ITEM:
                sums.hand_part(operands[0], params["index"], c)
                continue
            rules = () if params else primitive.rules
            plain = mask is None and not primitive.outputs
            for i, operand in enumerate(operands):
                if type(operand) is not Node or operand not in live:
                    continue
                x = values[i]
                kind = (
                    rules[i](out, *values) if rules else primitive.local(i, out, *values, **params)
                )
                form = type(kind)
                if plain and form not in _SPECIAL:  # the hot path
                    g = PULL[form](kind, c, x, out)
                    if g.shape != x.shape or g.dtype is not x.dtype:
                        g = conform(g, x)
                    if operand in waiting:
                        sums.hand(operand, g, None)
                    else:
                        waiting[operand] = g
                elif form is Zero:
                    g = None
                elif form is Take and not as_graph and visit is None:
                    sums.gather(operand, kind, c, x, mask)
                    continue
                elif primitive.outputs:
                    g = conform(kind.pull(_parts(kind, c, acting)), x)  # type: ignore[union-attr, arg-type]
                    sums.hand(operand, g, None)
                else:
                    g = pull(kind, c, x, out, mask)
                    # Where the walk ends, nobody asks what the zeros mean.
                    reached = None if operand in ends else pull_mask(kind, mask, x, out)
                    sums.hand(operand, g, reached)
                if visit is not None:
                    visit(node, i, kind, g)
    found = [waiting.get(node) for node in inputs]
    if upstream is not None:
        upstream.update((x, c) for x, c in zip(inputs, found, strict=True) if c is not None)
    return found


_SPECIAL = frozenset((Zero, Take, *ROUTING))


class _Sums:
    """What arrives at each node, added up; in place where the sum is ours alone."""

    __slots__ = ("as_graph", "masks", "owned", "waiting")

    def __init__(self, waiting: dict[Node, Any], masks: dict[Node, Any], as_graph: bool) -> None:
        self.waiting = waiting
        self.masks = masks
        self.as_graph = as_graph
        self.owned: set[Node] = set()

    def hand(self, operand: Node, g: Any, mask: Any) -> None:
        """Add the cotangent `g` of one consumer; `mask` as in `linear.pull_mask`."""
        waiting, masks = self.waiting, self.masks
        previous = waiting.get(operand)
        if previous is None:
            waiting[operand] = g
            if mask is not None:
                masks[operand] = mask
            return
        if masks:
            before = masks.pop(operand, None)
            if before is not None and mask is not None:
                masks[operand] = np.logical_or(before, mask)
        if operand in self.owned:
            previous += g
            return
        total = previous + g
        waiting[operand] = total
        if not self.as_graph and isinstance(total, np.ndarray):
            self.owned.add(operand)

    def hand_part(self, operand: Node, k: int, c: Any) -> None:
        """The cotangent of one of several outputs: kept in a list until the operation's turn."""
        parts = self.waiting.get(operand)
        if parts is None:
            parts = self.waiting[operand] = [None] * len(operand.value)
        parts[k] = c if parts[k] is None else parts[k] + c

    def gather(self, operand: Node, kind: Any, c: Any, x: Any, mask: Any) -> None:
        """Add a gather's cotangent in place: x[i] in a loop stays linear in time."""
        buffer: Any = self.waiting.get(operand)
        first = buffer is None
        if operand not in self.owned:
            buffer = np.zeros(x.shape, x.dtype) if first else np.array(buffer)
            self.waiting[operand] = buffer
            self.owned.add(operand)
        if c.dtype.kind == "c" and x.dtype.kind != "c":
            c = c.real
        if first and kind.unique:
            buffer[kind.index] = c
        else:
            accumulate_take(buffer, kind, c)
        before = self.masks.pop(operand, None)
        reached = mask_of_take(kind, mask, x)
        if reached is not None and (first or before is not None):
            self.masks[operand] = reached if first else np.logical_or(before, reached)


def _parts(kind: Custom, c: list[Any], node: Node) -> tuple[Any, ...]:
    """Cotangents of several outputs, zeros filled in for a rule that does not know of None."""
    if kind.absent:
        return tuple(c)
    ends = zip(c, node.value, strict=True)
    return tuple(zeros_like(end) if part is None else part for part, end in ends)
