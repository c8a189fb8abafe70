"""Joining arrays and taking them apart: concatenate, stack, split and their relatives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from thalweg.graph.kinds import Kind, Put
from thalweg.graph.node import apply
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import static
from thalweg.ops.index import as_array
from thalweg.ops.shape import astype

__all__ = ["lower_joined"]


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, index)


def _batch_all(operands: tuple[Any, ...], batched: tuple[bool, ...]) -> list[Any]:
    """All operands with a batch axis in front."""
    size = next(x.shape[0] for x, b in zip(operands, batched, strict=True) if b)
    return [
        x if b else np.broadcast_to(x, (size, *np.shape(x)))
        for x, b in zip(operands, batched, strict=True)
    ]


def _concatenate_local(i: int, out: Any, *parts: Any, axis: int) -> Kind:
    start = sum(part.shape[axis] for part in parts[:i])
    return Put(_along(axis, slice(start, start + parts[i].shape[axis])))


def lower_joined(b: Any, out: Any, parts: Sequence[Any], axis: int) -> Any:
    """Tensors of out's dtype laid next to each other along an axis."""
    strides = b.strides(out.shape)
    places = []
    start = 0
    for part in parts:
        if part.size:
            places.append((part, strides, start * strides[axis]))
        start += part.shape[axis]
    if not places:
        return b.const(0, parts[0].kind, out.shape)
    if len(places) == 1:
        return places[0][0]
    return b.assemble(None, places, out.shape, parts[0].kind)


def _lower_concatenate(b: Any, out: Any, *parts: Any, axis: int) -> Any:
    return lower_joined(b, out, [b.tensor(x, out.dtype) for x in parts], axis)


def _lower_stack(b: Any, out: Any, *parts: Any, axis: int) -> Any:
    tensors = [b.tensor(x, out.dtype) for x in parts]
    slabs = [b.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in tensors]
    return lower_joined(b, out, slabs, axis)


CONCATENATE: Primitive = register(
    Primitive(
        name="concatenate",
        value=lambda *parts, axis: np.concatenate(parts, axis=axis),
        local=_concatenate_local,
        labels=Labels("concatenate", r"\left[{args}\right]"),
        batch=lambda operands, batched, params: CONCATENATE(
            *_batch_all(operands, batched), axis=params["axis"] + 1
        ),
        lower=_lower_concatenate,
    )
)
STACK: Primitive = register(
    Primitive(
        name="stack",
        value=lambda *parts, axis: np.stack(parts, axis=axis),
        local=lambda i, out, *parts, axis: Put(_along(axis, i)),
        labels=Labels("stack", r"\left[{args}\right]"),
        batch=lambda operands, batched, params: STACK(
            *_batch_all(operands, batched), axis=params["axis"] + 1
        ),
        lower=_lower_stack,
    )
)


def _parts(arrays: Any, dtype: Any = None, casting: Any = "same_kind") -> list[Any]:
    """A sequence of arrays (or an array, along its first axis) as operands of one dtype."""
    parts = [as_array(x) for x in arrays]
    if dtype is None and casting == "same_kind":  # promotion always is
        return parts
    target = np.result_type(*(x.dtype for x in parts)) if dtype is None else np.dtype(dtype)
    for x in parts:
        if not np.can_cast(x.dtype, target, casting):
            raise TypeError(
                f"Cannot cast array data from {x.dtype!r} to {target!r} according to the rule "
                f"{casting!r}"
            )
    return [x if x.dtype == target else astype(x, target) for x in parts]


@implements(np.concatenate)
def concatenate(
    arrays: Any,
    /,
    axis: Any = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: Any = "same_kind",
) -> Any:
    parts = _parts(arrays, dtype, casting)
    if axis is None:
        parts, axis = [np.ravel(part) for part in parts], 0
    if any(part.ndim == 0 for part in parts):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = normalize_axis_index(axis, parts[0].ndim)
    return parts[0] if len(parts) == 1 else apply(CONCATENATE, tuple(parts), {"axis": axis})


@implements(np.stack)
def stack(
    arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    parts = _parts(arrays, dtype, casting)
    axis = normalize_axis_index(axis, parts[0].ndim + 1)
    return apply(STACK, tuple(parts), {"axis": axis})


@implements(np.vstack, *[f for f in [getattr(np, "row_stack", None)] if f])
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    return concatenate([np.atleast_2d(x) for x in _parts(tup, dtype, casting)], 0)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    parts = [np.atleast_1d(x) for x in _parts(tup, dtype, casting)]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return concatenate([np.atleast_3d(x) for x in _parts(tup)], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    parts = [x if x.ndim >= 2 else np.reshape(x, (x.size, 1)) for x in _parts(tup)]
    return concatenate(parts, 1)


def _depth(nested: Any) -> int:
    """How deep lists are nested, the same for every branch."""
    if not isinstance(nested, list):
        return 0
    depths = {_depth(item) for item in nested}
    if len(depths) != 1:
        raise ValueError("np.block: list depths are mismatched, or a list is empty")
    return 1 + depths.pop()


@implements(np.block)
def block(arrays: Any) -> Any:
    depth = _depth(arrays)
    leaves: list[Any] = [arrays]
    for _ in range(depth):
        leaves = [leaf for inner in leaves for leaf in inner]
    ndim = max(depth, *(np.ndim(leaf) for leaf in leaves))

    def join(nested: Any, axis: int) -> Any:
        if not isinstance(nested, list):
            shape = np.shape(nested)
            return np.reshape(nested, (1,) * (ndim - len(shape)) + shape)
        return np.concatenate([join(item, axis + 1) for item in nested], axis=axis)

    return join(arrays, ndim - depth)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    if axis is None:
        return concatenate([np.ravel(as_array(arr)), np.ravel(as_array(values))], 0)
    return concatenate([arr, values], axis)


# ---- taking apart -----------------------------------------------------------------------------


def _pieces(x: Any, bounds: Sequence[int], axis: int) -> list[Any]:
    edges: list[Any] = [0, *bounds, None]
    return [x[_along(axis, slice(low, high))] for low, high in itertools.pairwise(edges)]


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    static("np.split", indices_or_sections=indices_or_sections)
    axis = normalize_axis_index(axis, ary.ndim)
    if np.ndim(indices_or_sections) > 0:
        return _pieces(ary, [int(i) for i in indices_or_sections], axis)
    sections = int(indices_or_sections)
    if sections <= 0:
        raise ValueError("number sections must be larger than 0.")
    each, extra = divmod(ary.shape[axis], sections)
    bounds = [k * each + min(k, extra) for k in range(1, sections)]
    return _pieces(ary, bounds, axis)


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if np.ndim(indices_or_sections) == 0 and ary.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


def _split_along(function: Callable[..., Any], least: int, axis: Callable[[int], int]) -> None:
    @implements(function)
    def split_along(ary: Any, indices_or_sections: Any) -> list[Any]:
        if ary.ndim < least:
            raise ValueError(f"{function.__name__} only works on arrays of {least} or more axes")
        return split(ary, indices_or_sections, axis(ary.ndim))


_split_along(np.hsplit, 1, lambda ndim: 1 if ndim > 1 else 0)
_split_along(np.vsplit, 2, lambda ndim: 0)
_split_along(np.dsplit, 3, lambda ndim: 2)


@implements(*[getattr(np, name) for name in ("unstack",) if hasattr(np, name)])
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    axis = normalize_axis_index(axis, x.ndim)
    return tuple(x[_along(axis, i)] for i in range(x.shape[axis]))
