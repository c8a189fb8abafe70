"""A graph over a batch, number by number: each entry of the short axes as a node over the batch.

An array of shape (p, 3) becomes three nodes of shape (p,), a matrix product of short axes sums of
products of such. The nodes stand in arrays of objects, so that NumPy does the bookkeeping: its
`matmul`, `sum` and `einsum` work on objects as on numbers. What rearranges an array is done
to the numbers of its entries, and then looked up.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.node import Node, apply
from thalweg.graph.primitive import lookup
from thalweg.jacobian.terms import UnstructuredError
from thalweg.ops.contract import DOT, MATMUL
from thalweg.ops.einsum import EINSUM
from thalweg.ops.index import GETITEM, SETITEM, getitem
from thalweg.ops.joining import CONCATENATE, STACK
from thalweg.ops.norm import NORM
from thalweg.ops.reduce import SUM
from thalweg.ops.shape import ASTYPE, BROADCAST_TO, LAYOUT, RESHAPE, TRANSPOSE
from thalweg.optimise.fold import is_elementwise

__all__ = ["Source", "Unrolled", "rearranges", "taken_from"]

#: Numbers that a node may have besides the batch, and that all have together.
_MOST_NUMBERS = 256
_MOST_NODES = 4000

#: Operands that are arrays, of each operation that only rearranges them (None: all).
_REARRANGING = {
    lookup("input"): 1,  # of a derivative inside of another one: the outer node as it is
    GETITEM: 1,
    SETITEM: 2,
    RESHAPE: 1,
    TRANSPOSE: 1,
    BROADCAST_TO: 1,
    LAYOUT: 1,
    CONCATENATE: None,
    STACK: None,
}
_SUMS = frozenset((SUM, MATMUL, DOT, EINSUM, NORM))


def _shape(x: Any) -> tuple[int, ...]:
    return x.shape if type(x) is Node else np.shape(x)


def _dtype(x: Any) -> Any:
    return x.dtype if type(x) is Node else np.asarray(x).dtype


# ---- rearrangements ------------------------------------------------------------------------


def rearranges(node: Node) -> bool:
    """Whether each entry of the result is one of an operand's, told by shapes and constants."""
    if node.primitive not in _REARRANGING:
        return False
    count = _REARRANGING[node.primitive]
    given = node.operands[:count]
    if any(type(x) is Node for x in node.operands[len(given) :]):
        return False
    return all(type(x) is not Node or x.dtype == node.dtype for x in given)


def _numbered(node: Node) -> tuple[Any, list[int]]:
    """For each entry of the result the number of the operands' entry, counted through; where the
    numbers of each operand begin, and the end."""
    count = _REARRANGING[node.primitive]
    given = node.operands[:count]
    starts = np.cumsum([0, *(math.prod(_shape(x)) for x in given)]).tolist()
    numbers = [
        np.arange(a, b).reshape(_shape(x))
        for x, a, b in zip(given, starts[:-1], starts[1:], strict=True)
    ]
    rest = node.operands[len(given) :]
    return np.asarray(node.primitive.value(*numbers, *rest, **node.params)), starts


def taken_from(node: Node) -> list[tuple[Node, Any, Any]]:
    """For each varying operand of a rearrangement: it, the places in it (flat) of the entries that
    it gives, and which entries of the result those are (None: all, in the result's shape)."""
    numbers, starts = _numbered(node)
    found = []
    for x, a, b in zip(node.operands, starts[:-1], starts[1:], strict=False):
        if type(x) is Node:
            chosen = (numbers >= a) & (numbers < b)
            if chosen.all():
                found.append((x, numbers - a, None))
            else:
                found.append((x, numbers[chosen] - a, chosen))
    return found


# ---- number by number ----------------------------------------------------------------------


def _objects(items: Iterable[Any], shape: tuple[int, ...]) -> Any:
    """An array of these objects (NumPy must not look into them)."""
    flat = np.empty(math.prod(shape), object)
    for k, item in enumerate(items):
        flat[k] = item
    return flat.reshape(shape)


class Source(NamedTuple):
    """A node whose entries are entries of an input: of which, and their numbers."""

    input: int
    numbers: Any


class Unrolled:
    """The numbers of nodes over a batch of p.

    Parameters
    ----------
    p : int
        No node may have more than one axis of this size: that one is the batch.
    inner : container of Node
        What is unrolled; other nodes are from outside.
    sources : mapping of Node to Source
        Where it begins.

    Attributes
    ----------
    starts : dict of Node to Source
        What it begins with: nodes over the batch, and which entries of an input they are.
    """

    def __init__(self, p: int, inner: Container[Node], sources: Mapping[Node, Source]) -> None:
        self._p = p
        self._inner, self._sources = inner, sources
        self._known: dict[Node, Any] = {}
        self._count = 0
        self.starts: dict[Node, Source] = {}
        self._begun: dict[Any, Node] = {}

    def of(self, node: Node) -> Any:
        """The numbers of a node: an array of objects, with the batch axis of size 1.

        Raises
        ------
        UnstructuredError
            Where a step is not done to each of the batch by itself, or there are too many.
        """
        needed: set[Node] = set()
        open_ = [node]
        while open_:
            x = open_.pop()
            if x in self._known or x in needed:
                continue
            needed.add(x)
            if x in self._inner and x not in self._sources:
                open_ += [y for y in x.operands if type(y) is Node]
        for x in sorted(needed, key=lambda x: x.sequence):
            made = self._begin(x) if self._is_start(x) else self._step(x)
            self._count += made.size
            if self._count > _MOST_NODES:
                raise UnstructuredError("too many numbers for each of the batch")
            self._known[x] = made
        return self._known[node]

    def _is_start(self, x: Node) -> bool:
        return x in self._sources or x not in self._inner

    def _small(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape with the batch of size 1."""
        if shape.count(self._p) > 1:
            raise UnstructuredError(f"shape {shape} has several axes of the batch's size")
        small = tuple(1 if n == self._p else n for n in shape)
        if math.prod(small) > _MOST_NUMBERS:
            raise UnstructuredError(f"{math.prod(small)} numbers for each of a batch")
        return small

    def _picks(self, shape: tuple[int, ...]) -> list[Any]:
        """The index of each number in an array of this shape."""
        small = self._small(shape)
        return [
            tuple(slice(None) if n == self._p else i for i, n in zip(at, shape, strict=True))
            for at in np.ndindex(small)
        ]

    def _begin(self, x: Node) -> Any:
        parts = []
        for index in self._picks(x.shape):
            source = self._sources.get(x)
            if source is None:
                parts.append(getitem(x, index) if x.shape else x)
                continue
            numbers = np.broadcast_to(source.numbers[index], (self._p,))
            key = (source.input, numbers.tobytes())
            if key not in self._begun:
                part: Any = getitem(x, index) if x.shape else x
                if part.shape != (self._p,):
                    part = np.broadcast_to(part, (self._p,))  # the same for all of the batch
                self._begun[key] = part
                self.starts[part] = Source(source.input, numbers)
            parts.append(self._begun[key])
        return _objects(parts, self._small(x.shape))

    def _operand(self, x: Any) -> Any:
        """The numbers of an operand; a Python number stays one."""
        if type(x) is Node:
            return self._known[x]
        if not np.ndim(x):
            return _objects([x], ())
        parts = [np.ascontiguousarray(x[index])[()] for index in self._picks(x.shape)]
        return _objects(parts, self._small(x.shape))

    def _step(self, node: Node) -> Any:
        if node.primitive.outputs or node.dtype.kind == "c":
            raise UnstructuredError(f"'{node.primitive.name}' for each of a batch")
        small = self._small(node.shape)
        if is_elementwise(node) or node.primitive is ASTYPE:
            return self._by_entry(node, small)
        if rearranges(node):
            return self._looked_up(node, small)
        if node.primitive not in _SUMS or any(_dtype(x) != node.dtype for x in node.operands):
            raise UnstructuredError(f"'{node.primitive.name}' for each of a batch")
        if node.primitive is EINSUM and not self._one_batch(node):
            raise UnstructuredError("an einsum in which several letters have the batch's size")
        operands = [self._operand(x) for x in node.operands]
        if node.primitive is NORM:
            made = _norm(operands[0], **node.params)
        else:
            made = _wrapped(node.primitive.value(*operands, **node.params))
        along = self._p not in node.shape and any(self._p in _shape(x) for x in node.operands)
        if along or made.shape != small:
            raise UnstructuredError(f"'{node.primitive.name}' along the batch")
        return made

    def _one_batch(self, node: Node) -> bool:
        """Whether one letter of an einsum has the batch's size, not one summed and another kept."""
        letters = {
            letter
            for own, x in zip(node.params["inputs"], node.operands, strict=True)
            for letter, n in zip(own, _shape(x), strict=True)
            if n == self._p
        }
        return len(letters) <= 1

    def _by_entry(self, node: Node, small: tuple[int, ...]) -> Any:
        given = [np.broadcast_to(self._operand(x), small).reshape(-1) for x in node.operands]
        made = (apply(node.primitive, parts, node.params) for parts in zip(*given, strict=True))
        return _objects(made, small)

    def _looked_up(self, node: Node, small: tuple[int, ...]) -> Any:
        numbers, starts = _numbered(node)
        p = self._p
        if p in node.shape:
            lines = np.moveaxis(numbers, node.shape.index(p), -1).reshape(-1, p)
        else:
            lines = numbers.reshape(-1, 1)
        operands = [self._operand(x) for x in node.operands[: len(starts) - 1]]
        parts = []
        for line in lines:
            k = int(np.searchsorted(starts, line[0], "right")) - 1
            shape, at = _shape(node.operands[k]), int(line[0]) - starts[k]
            index = list(np.unravel_index(at, shape)) if shape else []
            step = 0
            if p in shape:
                axis = shape.index(p)
                step = math.prod(shape[axis + 1 :])
                if index[axis] != 0:
                    raise UnstructuredError(f"'{node.primitive.name}' moves along the batch")
            if (len(line) == 1 and step) or np.any(line != line[0] + step * np.arange(len(line))):
                raise UnstructuredError(f"'{node.primitive.name}' moves along the batch")
            parts.append(operands[k][tuple(index)])
        return _objects(parts, small)


def _norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool, whole: bool) -> Any:
    """Euclid's; derivatives take the stable form of its spelling, as for any root of squares."""
    if ord not in (None, 2, "fro", "f"):
        raise UnstructuredError(f"a norm of order {ord} for each of a batch")
    squares = _wrapped(np.sum(x * x, axis=axes, keepdims=keepdims))
    return _objects(map(np.sqrt, squares.reshape(-1)), squares.shape)


def _wrapped(value: Any) -> Any:
    """The result of a reduction, which is no array where it has no axes."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value
    return _objects([value], ())
