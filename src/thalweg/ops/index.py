"""Indexing: reading (`getitem`), writing (`setitem`), adding (`add_at`): each other's transposes.

An index is kept as a template: what is fixed stands in it, and traced index arrays are operands
whose places are held by a `Slot`. Index arrays are copied, so that changing them later does not
change the graph.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.kinds import IDENTITY, Chain, Custom, Kind, Put, Router, Take, Zero
from thalweg.graph.node import Node, apply
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._checks import settled_shape
from thalweg.ops._families import front
from thalweg.ops._lower_index import lower_add_at, lower_getitem, lower_setitem

__all__ = [
    "ADD_AT",
    "GETITEM",
    "add_at",
    "along_axis",
    "as_array",
    "getitem",
    "holds_node",
    "index_of",
    "reads",
    "scatter_add",
    "setitem",
]


class Slot(NamedTuple):
    """A place in an index that is filled by the operand of this number (a traced index array)."""

    number: int


_BASIC = frozenset((int, slice, type(None), type(Ellipsis), bool))


def _split(index: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """The index as a tuple with slots, and the nodes that fill them."""
    parts = index if type(index) is tuple else (index,)
    for part in parts:
        if type(part) not in _BASIC:
            break
    else:
        return parts, []
    nodes: list[Any] = []
    template: list[Any] = []
    for part in parts:
        if isinstance(part, (list, tuple, range)):
            part = _sequence(part)
        elif isinstance(part, np.ndarray):
            part = np.array(part)
        if type(part) is Node:
            template.append(Slot(len(nodes)))
            nodes.append(part)
        else:
            template.append(part)
    return tuple(template), nodes


def _sequence(part: Any) -> Any:
    """A list in an index as an array of integers or booleans (a node, if one is in it)."""
    array = as_array(part)
    if type(array) is not Node and array.size == 0 and array.dtype.kind == "f":
        return array.astype(np.intp)
    return array


def as_array(value: Any) -> Any:
    """A list as an array, or as a node if there is one in it."""
    if isinstance(value, (list, tuple)) and holds_node(value):
        return np.stack([item if type(item) is Node else as_array(item) for item in value])
    return value if type(value) is Node else np.asarray(value)


def from_list(value: Any) -> Any:
    """A list as `as_array` makes it; anything else (a number, weak in promotion) as it is."""
    return as_array(value) if isinstance(value, (list, tuple)) else value


def holds_node(value: Any) -> bool:
    """Whether there is a node in nested lists and tuples."""
    if isinstance(value, (list, tuple)):
        return any(holds_node(item) for item in value)
    return type(value) is Node


def _fill(template: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    if not arrays:
        return template
    return tuple([arrays[part.number] if type(part) is Slot else part for part in template])


def _is_array(part: Any) -> bool:
    """Whether this part of a filled index makes it an advanced one."""
    dtype = getattr(part, "dtype", None)
    if dtype is None:
        return type(part) is bool
    return bool(part.shape != () or dtype.kind == "b")


def _is_unique(filled: tuple[Any, ...]) -> bool:
    """Whether no entry can be named twice: only integer arrays can do that."""
    return all(
        type(part) in _BASIC
        or not _is_array(part)
        or part.dtype.kind == "b"
        or math.prod(part.shape) <= 1
        for part in filled
    )


_NO_INDEX_GRADIENT = Zero("an index is an integer or boolean")

# ---- batching -----------------------------------------------------------------------------


class _Layout(NamedTuple):
    """Where the axes of the index arrays come to stand in x[index]."""

    advanced: bool  # there are index arrays at all
    separated: bool  # they are not next to each other: NumPy then puts their axes in front
    start: int  # first of their axes in the result
    depth: int  # how many axes they have
    ndim: int  # of the result


def _layout(filled: tuple[Any, ...], batched: tuple[bool, ...], ndim: int) -> _Layout:
    """The layout of x[filled] for x with `ndim` axes; index arrays count without batch axes."""
    advanced = any(_is_array(part) for part in filled)
    used = sum(_axes_used(part) for part in filled)
    parts = filled if any(part is Ellipsis for part in filled) else (*filled, Ellipsis)
    marks = (*batched, False)
    depth = kept = 0
    before: int | None = None
    runs, inside = 0, False
    for part, is_batched in zip(parts, marks, strict=False):
        if part is None or isinstance(part, slice) or part is Ellipsis:
            kept += ndim - used if part is Ellipsis else 1
            inside = False
            continue
        if not advanced:
            continue
        before = kept if before is None else before
        runs += not inside
        inside = True
        if _is_array(part):
            boolean = type(part) is bool or part.dtype.kind == "b"
            depth = max(depth, 1 if boolean else len(part.shape) - is_batched)
    separated = runs > 1
    return _Layout(advanced, separated, 0 if separated else before or 0, depth, kept + depth)


def _axes_used(part: Any) -> int:
    """How many axes of x a part of an index takes up."""
    if part is None or part is Ellipsis or type(part) is bool:
        return 0
    dtype = getattr(part, "dtype", None)
    return len(part.shape) if dtype is not None and dtype.kind == "b" else 1


def _move(x: Any, source: int, target: int) -> Any:
    """x with one axis moved."""
    if source == target:
        return x
    axes = [axis for axis in range(len(x.shape)) if axis != source]
    axes.insert(target, source)
    return np.transpose(x, axes)


class _BatchedIndex(NamedTuple):
    """An index for all examples at once.

    ``read(x[template])`` has the batch axis in front; ``write(value)`` lays a value out for
    x[template] = value.
    """

    template: tuple[Any, ...]
    read: Callable[[Any], Any]
    write: Callable[[Any, bool], Any]


def _batch_index(
    template: tuple[Any, ...],
    arrays: tuple[Any, ...],
    batched: tuple[bool, ...],
    x_ndim: int,
    size: int,
    x_batched: bool,
) -> _BatchedIndex | None:
    """`template` over a batch; None where a mask differs from example to example."""
    filled = _fill(template, arrays)
    marks = tuple(type(part) is Slot and batched[part.number] for part in template)
    layout = _layout(filled, marks, x_ndim)
    depth, place = layout.depth, layout.start
    if not any(marks):
        # x[:, index]: the batch axis is in front, unless NumPy puts the index axes there.
        spot = depth if layout.separated else 0
        return _BatchedIndex(
            (slice(None), *filled),
            lambda y: _move(y, spot, 0),
            lambda v, b: _move(_fit(v, b, layout.ndim), 0, spot),
        )
    if any(_is_array(part) and np.dtype(getattr(part, "dtype", bool)).kind == "b"
           for part in filled):  # fmt: skip
        return None
    # A traced 0-d index becomes an array of one number an example: with it depth may be 0.
    full = tuple(
        front(part, depth) if mark else part for part, mark in zip(filled, marks, strict=True)
    )
    if not layout.advanced:
        layout = _layout(full, (False,) * len(full), x_ndim)
        place = 0 if layout.separated else layout.start
    ndim = layout.ndim if layout.depth == depth else layout.ndim - layout.depth + depth
    if x_batched:
        # (B, *index axes, *rest): the counter is an index array too, and stands in front.
        counter = np.reshape(np.arange(size), (size, *(1,) * depth))
        return _BatchedIndex(
            (counter, *full),
            lambda y: _shift(y, 1, depth, place + 1),
            lambda v, b: _shift(_fit(v, b, ndim), place + 1, depth, 1),
        )
    return _BatchedIndex(
        full,
        lambda y: _move(y, place, 0),
        lambda v, b: _move(_fit(v, b, ndim), 0, place),
    )


def _shift(x: Any, source: int, count: int, target: int) -> Any:
    """x with `count` neighbouring axes moved from `source` to `target`."""
    if source == target or count == 0:
        return x
    moved = list(range(source, source + count))
    axes = [axis for axis in range(len(x.shape)) if axis not in moved]
    return np.transpose(x, axes[:target] + moved + axes[target:])


def _fit(value: Any, is_batched: bool, ndim: int) -> Any:
    """A value to be written, with the batch axis (or one of size 1) and then `ndim` axes."""
    if is_batched:
        return front(value, ndim)
    shape = np.shape(value.value if type(value) is Node else value)
    return np.reshape(value, (1,) * (1 + ndim - len(shape)) + shape)


def _batch_size(operands: Any, batched: Any) -> int:
    return next(int(x.shape[0]) for x, b in zip(operands, batched, strict=True) if b)


def _batch_getitem(operands: Any, batched: Any, params: dict[str, Any]) -> Any:
    x, *arrays = operands
    size = _batch_size(operands, batched)
    ndim = len(x.shape) - batched[0]
    plan = _batch_index(params["index"], tuple(arrays), batched[1:], ndim, size, batched[0])
    if plan is None:
        return NotImplemented
    return plan.read(getitem(x, plan.template))


def _batch_writing(write: Callable[..., Any]) -> Callable[..., Any]:
    def batch(operands: Any, batched: Any, params: dict[str, Any]) -> Any:
        x, value, *arrays = operands
        size = _batch_size(operands, batched)
        ndim = len(np.shape(x.value if type(x) is Node else x)) - batched[0]
        plan = _batch_index(params["index"], tuple(arrays), batched[2:], ndim, size, True)
        if plan is None:
            return NotImplemented
        if not batched[0]:
            x = np.broadcast_to(x, (size, *x.shape))
        return write(x, plan.template, plan.write(value, batched[1]))

    return batch


# ---- the three primitives -----------------------------------------------------------------


def _getitem_value(x: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    return x[_fill(index, arrays)]


def _getitem_local(i: int, out: Any, x: Any, *arrays: Any, index: tuple[Any, ...]) -> Kind:
    if i > 0:
        return _NO_INDEX_GRADIENT
    filled = _fill(index, arrays)
    return Take(filled, _is_unique(filled))


GETITEM = register(
    Primitive(
        name="getitem",
        value=_getitem_value,
        local=_getitem_local,
        labels=Labels("index", "{0}[{index}]"),
        batch=_batch_getitem,
        lower=lower_getitem,
    )
)


@implements(operator.getitem)
def getitem(x: Any, index: Any) -> Any:
    """x[index], with traced index arrays where they occur."""
    template, nodes = _split(index)
    result = apply(GETITEM, (x, *nodes) if nodes else (x,), {"index": template})
    masked = any(node.dtype.kind == "b" for node in nodes)
    return settled_shape(result) if masked else result


def along_axis(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """The index by which np.take_along_axis and np.put_along_axis reach their entries."""
    ndim = len(shape)
    if len(indices.shape) != ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    axis = np.lib.array_utils.normalize_axis_index(axis, ndim)
    return tuple(
        indices if k == axis else np.reshape(np.arange(n), (n, *(1,) * (ndim - k - 1)))
        for k, n in enumerate(shape)
    )


def index_of(node: Node) -> tuple[Any, ...]:
    """The index of a node that reads, writes or adds, with its traced parts."""
    first = 1 if node.primitive is GETITEM else 2
    return _fill(node.params["index"], node.operands[first:])


def reads(node: Node, x: Node, index: Any) -> bool:
    """Whether `node` is x[index], for an index without arrays."""
    if node.primitive is not GETITEM or node.operands[0] is not x:
        return False
    template, _ = _split(index)
    return all(type(part) in _BASIC for part in template) and template == node.params["index"]


def _setitem_value(x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    result = np.array(x)
    result[_fill(index, arrays)] = value
    return result


def _last_written(shape: tuple[int, ...], filled: tuple[Any, ...]) -> tuple[Any, Any]:
    """Which entries of a written value stay (an entry named twice keeps the last), and a model
    of x[index]."""
    indexed = getitem(np.broadcast_to(np.zeros((), bool), shape), filled)
    numbers = np.reshape(np.arange(math.prod(indexed.shape)), indexed.shape)
    stamped = setitem(np.zeros(shape, np.intp), filled, numbers)
    return np.equal(getitem(stamped, filled), numbers), indexed


def _setitem_local(
    i: int, out: Any, x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]
) -> Kind:
    if i > 1:
        return _NO_INDEX_GRADIENT
    filled = _fill(index, arrays)
    if i == 0:
        # What was overwritten has no influence, not even as NaN.
        return Router(setitem(np.ones(out.shape, bool), filled, False))
    if _is_unique(filled):
        return Put(filled)
    stays, indexed = _last_written(out.shape, filled)
    return Chain(Put(filled), Router(stays), np.zeros(indexed.shape, out.dtype))


SETITEM = register(
    Primitive(
        name="setitem",
        value=_setitem_value,
        local=_setitem_local,
        labels=Labels("set", r"{0} \text{{ with entries }} {1}"),
        batch=_batch_writing(lambda x, index, value: setitem(x, index, value)),
        lower=lower_setitem,
    )
)


def _written(value: Any) -> Any:
    """A value to be written: lists as arrays; of nodes, axes of size 1 in front, which assignment
    ignores, are taken away."""
    if isinstance(value, (list, tuple)):
        value = as_array(value)
    elif isinstance(value, np.ndarray):
        return np.array(value)  # a buffer that is used again must not change the graph
    if type(value) is not Node or not value.shape or value.shape[0] != 1:
        return value
    shape = value.shape
    first = next((axis for axis, n in enumerate(shape) if n != 1), len(shape))
    return np.reshape(value, shape[first:])


def setitem(x: Any, index: Any, value: Any) -> Any:
    """A copy of x with x[index] = value (its dtype stays, as NumPy's assignment has it)."""
    template, nodes = _split(index)
    operands = (x, _written(value), *nodes)
    return apply(SETITEM, operands, {"index": template})


def scatter_add(buffer: Any, index: Any, value: Any) -> None:
    """buffer[index] += value in place, repeated entries adding up.

    Whole rows are added entry by entry of the flat buffer, for which `np.add.at` is faster.
    """
    if type(index) is tuple and len(index) == 1 and buffer.ndim > 1 and buffer.flags.c_contiguous:
        rows = np.asarray(index[0])
        n, width = buffer.shape[0], math.prod(buffer.shape[1:])
        if rows.dtype.kind == "i" and rows.size and -n <= rows.min() and rows.max() < n:
            first = np.where(rows < 0, rows + n, rows) * width
            positions = first[..., None] + np.arange(width)
            whole = np.broadcast_to(value, rows.shape + buffer.shape[1:])
            np.add.at(buffer.reshape(-1), positions.ravel(), whole.ravel())
            return
    if type(index) is tuple and len(index) == 1 and buffer.ndim == 1 and np.ndim(value):
        # NumPy 2.4 reads beyond the end of a value that a larger index stretches.
        rows = np.asarray(index[0])
        value = np.broadcast_to(value, rows.shape) if rows.dtype.kind == "i" else value
    np.add.at(buffer, index, value)


def _add_at_value(x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    result = np.array(x)
    scatter_add(result, _fill(index, arrays), value)
    return result


def _add_at_local(
    i: int, out: Any, x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]
) -> Kind:
    if i > 1:
        return _NO_INDEX_GRADIENT
    if i == 0:
        return IDENTITY
    filled = _fill(index, arrays)
    if _is_unique(filled):
        return Put(filled)

    def places() -> tuple[Any, Any]:
        numbers = np.reshape(np.arange(math.prod(out.shape)), out.shape)[filled]
        own = np.arange(math.prod(value.shape)).reshape(value.shape)
        rows, columns = np.broadcast_arrays(numbers, own)
        return rows.reshape(-1), columns.reshape(-1)

    # The transpose of a gather: t is added at the index, c is gathered from there.
    return Custom(
        lambda t: add_at(np.zeros(out.shape, t.dtype), filled, t),
        lambda c: getitem(c, filled),
        "scatter-add",
        pattern=None if any(type(part) is Node for part in filled) else places,
    )


ADD_AT = register(
    Primitive(
        name="add_at",
        value=_add_at_value,
        local=_add_at_local,
        labels=Labels("add at", r"{0} \text{{ plus entries }} {1}"),
        batch=_batch_writing(lambda x, index, value: add_at(x, index, value)),
        lower=lower_add_at,
    )
)


def add_at(x: Any, index: Any, value: Any) -> Any:
    """A copy of x with value added at index, repeated entries adding up (np.add.at)."""
    template, nodes = _split(index)
    operands = (x, _written(value), *nodes)
    return apply(ADD_AT, operands, {"index": template})
