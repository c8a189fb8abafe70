"""Rules for what only moves entries: two in a row are one, and what moves nothing goes."""

from __future__ import annotations

import math
from typing import Any

from thalweg.graph.node import Node
from thalweg.ops.shape import BROADCAST_TO, RESHAPE, TRANSPOSE
from thalweg.optimise.gates import is_gate
from thalweg.optimise.rewrite import Rule, in_place_of

__all__ = ["REINDEXING"]


def _reshape(node: Node) -> Any:
    """A reshape to the same shape is none; of two, the second one says the shape."""
    (x,) = node.operands
    if x.shape == node.shape:
        return x
    if is_gate(x, "reshape"):
        return in_place_of(node, RESHAPE, x.operands, {"shape": node.shape})
    return None


def _transpose(node: Node) -> Any:
    """Permutations are composed; one that moves axes of size 1 only is a reshape."""
    (x,) = node.operands
    axes = node.params["axes"]
    if axes == tuple(range(len(axes))):
        return x
    if is_gate(x, "transpose"):
        composed = tuple(x.params["axes"][axis] for axis in axes)
        return in_place_of(node, TRANSPOSE, x.operands, {"axes": composed})
    longer = [axis for axis in axes if x.shape[axis] != 1]
    if longer == sorted(longer):
        return in_place_of(node, RESHAPE, (x,), {"shape": node.shape})
    return None


def _broadcast_to(node: Node) -> Any:
    """The last shape counts, and axes in front need not be there beforehand."""
    (x,) = node.operands
    if x.shape == node.shape:
        return x
    if is_gate(x, "broadcast_to") or (is_gate(x, "reshape") and _adds_axes_in_front(x)):
        return in_place_of(node, BROADCAST_TO, x.operands, {"shape": node.shape})
    return None


def _adds_axes_in_front(node: Node) -> bool:
    inner = node.operands[0].shape
    return bool(node.shape == (1,) * (len(node.shape) - len(inner)) + inner)


def _getitem(node: Node) -> Any:
    """An index that names every entry once and in order is a reshape."""
    x = node.operands[0]
    if len(node.operands) > 1 or x.size != node.size or not math.prod(x.shape):
        return None
    for part in node.params["index"]:
        if part is None or part is Ellipsis or type(part) is int:
            continue
        if type(part) is not slice or part.step not in (None, 1):
            return None
    return in_place_of(node, RESHAPE, (x,), {"shape": node.shape})


REINDEXING: dict[str, tuple[Rule, ...]] = {
    "reshape": (_reshape,),
    "transpose": (_transpose,),
    "broadcast_to": (_broadcast_to,),
    "getitem": (_getitem,),
}
