"""Common subexpressions: what is computed twice from the same operands is computed once.

Nodes are looked up by primitive, operands and parameters (hash-consing). Constants count as the
same where their type and bits are: −0.0 is not 0.0, and 1, 1.0 and np.float64(1.0), which NumPy
promotes in three ways, are three.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.graph import Graph, Guard
from thalweg.graph.node import Node
from thalweg.optimise.rewrite import Rule, in_place_of, rewrite

__all__ = ["merge_equal", "merging", "without_repeated_guards"]

#: Bytes up to which arrays are compared by content; larger ones are the same where they are one.
_COMPARED = 2**18
#: x ∘ y and y ∘ x have the same bits (not so maximum: of +0 and −0 it gives one by position).
_COMMUTATIVE = frozenset(
    """add multiply equal not_equal logical_and logical_or logical_xor
    bitwise_and bitwise_or bitwise_xor""".split()
)


def merge_equal(graph: Graph) -> Graph:
    """Each operation on the same operands once, equal constants as one object, no guard twice."""
    return without_repeated_guards(rewrite(graph, merging()))


def merging() -> Rule:
    """The rule that `merge_equal` goes by; it knows the nodes that it has been asked about."""
    known: dict[Any, Node] = {}
    constants = _Constants()

    def rule(node: Node) -> Any:
        primitive, operands = node.primitive, node.operands
        if "." in primitive.name:  # a user's own: it may count its calls or draw random numbers
            return None
        parts: list[Any] = []
        shared: list[Any] | None = None
        for i, x in enumerate(operands):
            if type(x) is Node:
                parts.append(x)
                continue
            key, same = constants.find(x)
            parts.append(key)
            if same is not x:
                shared = shared or list(operands)
                shared[i] = same
        if len(parts) == 2 and primitive.name in _COMMUTATIVE:
            identity: Any = frozenset(parts)  # one part, where they are the same
        else:
            identity = tuple(parts)
        key = (primitive, identity, constants.freeze(node.params) if node.params else None)
        before = known.setdefault(key, node)
        if before is not node:
            return before
        if shared is not None:
            known[key] = in_place_of(node, primitive, tuple(shared), node.params)
            return known[key]
        return None

    return rule


def without_repeated_guards(graph: Graph) -> Graph:
    seen: set[Any] = set()
    kept: list[Guard] = []
    freeze = _Constants().freeze
    for guard in graph.guards:
        key = (guard.node, freeze(guard.answer))
        if key not in seen:
            seen.add(key)
            kept.append(guard)
    return graph if len(kept) == len(graph.guards) else graph._replace(guards=tuple(kept))


class _Constants:
    """Keys of constants and parameters, by which equal ones are found."""

    __slots__ = ("_arrays", "_first")

    def __init__(self) -> None:
        self._arrays: dict[int, tuple[Any, Any]] = {}  # by id: the array, which stays, and its key
        self._first: dict[Any, Any] = {}

    def find(self, x: Any) -> tuple[Any, Any]:
        """The key of `x`, and the object that stands for all of its equals."""
        key = self.freeze(x)
        return key, self._first.setdefault(key, x)

    def freeze(self, x: Any) -> Any:
        """`x` as something hashable that is equal for equal types and bits."""
        form = type(x)
        if form is str or form is int or form is bool or x is None:
            return form, x
        if form is float or form is complex:
            return form, repr(x)
        if form is tuple or form is list:
            return form, tuple([self.freeze(part) for part in x])
        if form is dict:
            return form, tuple([(key, self.freeze(x[key])) for key in sorted(x)])
        if form is slice:
            return form, self.freeze((x.start, x.stop, x.step))
        if isinstance(x, np.ndarray):
            return self._of_array(x)
        if isinstance(x, np.generic):
            return form, x.dtype.str, x.tobytes()
        if isinstance(x, tuple):  # a named one
            return form, tuple([self.freeze(part) for part in x])
        if isinstance(x, np.dtype):
            return np.dtype, x.str
        return form, id(x)

    def _of_array(self, x: np.ndarray[Any, Any]) -> Any:
        found = self._arrays.get(id(x))
        if found is not None:
            return found[1]
        bits: Any
        if x.ndim and x.size and not any(x.strides):
            bits = ("all", x[(0,) * x.ndim].tobytes())
        elif x.nbytes <= _COMPARED and x.dtype.kind != "O":
            bits = x.tobytes()
        else:
            bits = id(x)
        key = (np.ndarray, x.dtype.str, x.shape, bits)
        self._arrays[id(x)] = (x, key)
        return key
