"""What a gate of a traced graph is: the words in which spelled-out forms are recognised."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.node import Node

__all__ = ["Form", "is_gate", "is_real", "root_of", "same", "strip_reshapes", "uniform"]


class Form(NamedTuple):
    """A function recognised in the graph.

    Attributes
    ----------
    name : str
        Which function: a key of `stabilise`'s and `group`'s tables.
    inputs : tuple
        Its arguments: nodes, or plain values.
    params : dict
        Its static parameters.
    members : tuple of Node
        The gates that spell it, the one with the result last.
    value_holds : bool
        Whether the spelled-out value is right to rounding, so that it need not be computed again.
    """

    name: str
    inputs: tuple[Any, ...]
    params: dict[str, Any]
    members: tuple[Node, ...]
    value_holds: bool = True


_DEPTH = 6


def is_gate(x: Any, *names: str) -> bool:
    """Whether `x` is a node of one of these primitives."""
    return type(x) is Node and x.primitive.name in names


def uniform(x: Any) -> float | None:
    """The number that all entries of a constant have; None if there is none."""
    form = type(x)
    if form in (int, float):
        return float(x)
    if form is Node:
        if x.primitive.name != "constant":
            return None
        x = x.value
    elif form is bool or not isinstance(x, (np.ndarray, np.generic)):
        return None
    if x.dtype.kind not in "fiu" or x.size == 0:
        return None
    first = x.flat[0] if isinstance(x, np.ndarray) else x
    return float(first) if x.ndim == 0 or bool(np.all(x == first)) else None


def same(a: Any, b: Any, depth: int = _DEPTH) -> bool:
    """Whether two operands are the same node, or the same expression of the same nodes."""
    if a is b:
        return True
    if type(a) is not Node or type(b) is not Node:
        if type(a) is Node or type(b) is Node:
            return False
        return type(a) is type(b) and np.shape(a) == () and bool(a == b)
    if depth == 0 or a.primitive is not b.primitive or not a.operands:
        return False
    if len(a.operands) != len(b.operands) or not _same_params(a.params, b.params):
        return False
    return all(same(x, y, depth - 1) for x, y in zip(a.operands, b.operands, strict=True))


def _same_params(a: dict[str, Any], b: dict[str, Any]) -> bool:
    if a.keys() != b.keys():
        return False
    return all(a[k] is b[k] or (_plain(a[k]) and _plain(b[k]) and a[k] == b[k]) for k in a)


def _plain(value: Any) -> bool:
    """Whether == on the value is a plain yes or no."""
    if type(value) is tuple:
        return all(_plain(item) for item in value)
    return isinstance(value, (int, float, str, bool, np.dtype, type(None)))


def strip_reshapes(x: Any) -> tuple[Any, tuple[Node, ...]]:
    """`x` before reshapes that add or drop axes of size 1, and the gates that do so."""
    passed: list[Node] = []
    while is_gate(x, "reshape", "getitem") and _keeps_entries(x):
        passed.append(x)
        x = x.operands[0]
    return x, tuple(reversed(passed))


def _keeps_entries(node: Node) -> bool:
    if node.primitive.name == "getitem":
        whole = (None, Ellipsis, slice(None))
        parts = node.params.get("index", ("unknown",))
        if not all(any(part is w or (type(part) is slice and part == w) for w in whole)
                   for part in parts):  # fmt: skip
            return False
    inner = node.operands[0]
    return _longer_than_one(inner.shape) == _longer_than_one(node.shape)


def _longer_than_one(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]


def is_real(node: Node) -> bool:
    return bool(node.value.dtype.kind == "f")


def root_of(x: Any) -> Any:
    """r where `x` is r², spelled as a square, a power or a product; else None."""
    if is_gate(x, "square") or (is_gate(x, "power") and uniform(x.operands[1]) == 2.0):
        return x.operands[0]
    if is_gate(x, "multiply") and x.operands[0] is x.operands[1]:
        return x.operands[0]
    return None
