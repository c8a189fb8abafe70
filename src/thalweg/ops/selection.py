"""Choosing entries: take, take_along_axis, choose, select, compress, nan_to_num, …

Compositions of indexing and `where`: their derivatives follow, and so do their masks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Kind, Take
from thalweg.graph.node import Node
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._checks import holds
from thalweg.ops.index import add_at, along_axis, as_array, getitem
from thalweg.ops.reduce import normalise_axes
from thalweg.ops.shape import astype, memory_order

__all__ = ["within"]


def within(indices: Any, size: int, mode: str) -> Any:
    """Indices brought into range as `mode` says; "raise" leaves that to indexing."""
    if mode == "raise":
        return indices
    if mode == "wrap":
        return np.remainder(indices, size)
    if mode == "clip":
        return np.minimum(np.maximum(indices, 0), size - 1)
    raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")


def _outside(numbers: Any, size: int) -> bool:
    """Whether one of the numbers is not among 0 … size − 1."""
    return holds(np.any(np.logical_or(np.less(numbers, 0), np.greater_equal(numbers, size))))


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    a, indices = as_array(a), as_array(indices)
    if not indices.size and type(indices) is not Node:
        indices = indices.astype(np.intp)
    if axis is None:
        a, axis = np.reshape(a, (a.size,)), 0
    a = a if a.shape else np.reshape(a, (1,))  # as NumPy: a number counts as one entry
    axis = normalise_axes(axis, len(a.shape))[0]
    indices = within(indices, a.shape[axis], mode)
    return getitem(a, (*(slice(None),) * axis, indices))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    arr, indices = as_array(arr), as_array(indices)
    if axis is None:
        if len(indices.shape) != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        return getitem(np.reshape(arr, (arr.size,)), indices)
    return getitem(arr, along_axis(arr.shape, indices, axis))


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    a = as_array(a)
    given = [as_array(x) for x in choices]
    if mode == "raise" and _outside(a, len(given)):
        raise ValueError("invalid entry in choice array")
    a = within(a, len(given), mode)
    shape = np.broadcast_shapes(a.shape, *(x.shape for x in given))
    options = np.stack([np.broadcast_to(x, shape) for x in given])
    number = np.broadcast_to(a, shape)
    axes = np.indices(shape, sparse=True) if shape else ()
    return getitem(options, (number, *axes))


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        condition = as_array(condition)
        if condition.dtype != np.bool_:
            raise TypeError(f"invalid entry in condlist: should be boolean, not {condition.dtype}")
        weak = type(choice) in (int, float, complex)  # takes the others' dtype
        result = np.where(condition, choice if weak else as_array(choice), result)
    return result


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    condition, a = as_array(condition), as_array(a)
    if len(condition.shape) != 1:
        raise ValueError("condition must be a 1-d array")
    if axis is None:
        a, axis = np.reshape(a, (a.size,)), 0
    a = np.atleast_1d(a)
    axis = normalise_axes(axis, len(a.shape))[0]
    before = (slice(None),) * axis
    if condition.dtype != np.bool_:
        condition = np.not_equal(condition, 0)
    shorter = getitem(a, (*before, slice(0, condition.shape[0])))
    return getitem(shorter, (*before, condition))


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    condition, arr = as_array(condition), as_array(arr)
    return compress(np.reshape(condition, (condition.size,)), np.reshape(arr, (arr.size,)))


@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if not copy:
        raise NoRuleError("np.nan_to_num: no rule for copy=False; write x[...] = np.nan_to_num(x)")
    if x.dtype.kind not in "fc":
        return x
    if x.dtype.kind == "c":
        real, imag = (
            nan_to_num(part, True, nan, posinf, neginf) for part in (np.real(x), np.imag(x))
        )
        return real + 1j * imag
    limits = np.finfo(x.dtype)
    nan, posinf, neginf = (
        astype(as_array(value), x.dtype)
        for value in (
            nan,
            limits.max if posinf is None else posinf,
            limits.min if neginf is None else neginf,
        )
    )
    infinite, negative = np.isinf(x), np.signbit(x)
    x = np.where(np.isnan(x), nan, x)
    x = np.where(np.logical_and(infinite, np.logical_not(negative)), posinf, x)
    return np.where(np.logical_and(infinite, negative), neginf, x)


@implements(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    parts = []
    for position, part in enumerate(as_array(x) for x in args):
        if len(part.shape) != 1:
            raise ValueError("Cross index must be 1 dimensional")
        part = np.nonzero(part)[0] if part.dtype.kind == "b" else part
        shape = [1] * len(args)
        shape[position] = part.shape[0]
        parts.append(np.reshape(part, shape))
    return tuple(parts)


def _row_major(order: Any) -> bool:
    known = memory_order(order)
    if known not in ("C", "F"):
        raise ValueError("only 'C' or 'F' order is permitted")
    return known == "C"


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    indices = as_array(indices)
    sizes = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    if _outside(indices, math.prod(sizes)):
        raise ValueError(f"an index is out of bounds for array with size {math.prod(sizes)}")
    found = []
    row_major = _row_major(order)
    for n in reversed(sizes) if row_major else sizes:
        found.append(np.remainder(indices, n))
        indices = np.floor_divide(indices, n)
    return tuple(reversed(found) if row_major else found)


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Any:
    parts = [as_array(x) for x in multi_index]
    sizes = (dims,) if np.ndim(dims) == 0 else tuple(dims)
    modes = (mode,) * len(sizes) if isinstance(mode, str) else tuple(mode)
    total, stride = 0, 1
    pairs = list(zip(parts, sizes, modes, strict=True))
    for part, n, how in reversed(pairs) if _row_major(order) else pairs:
        if how == "raise" and _outside(part, n):
            raise ValueError("invalid entry in coordinates array")
        total = total + within(part, n, how) * stride
        stride *= n
    return total


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    if type(x) is Node or weights is None:
        raise NoRuleError(
            "np.bincount: the numbers that are counted must be a plain array (the length of the "
            "result depends on their values); the weights may be traced"
        )
    positions = np.asarray(x)
    length = max(int(positions.max(initial=-1)) + 1, minlength)
    return add_at(np.zeros(length), positions, weights)


# ---- windows --------------------------------------------------------------------------------


def _windows_local(
    i: int, out: Any, x: Any, window: tuple[int, ...], axes: tuple[int, ...]
) -> Kind:
    # Entry (…, p, …, q) of the result is x at p + q along the axis of the window.
    ndim = len(out.shape)
    first = ndim - len(axes)
    index = []
    for axis in range(first):
        place = _along(out.shape[axis], axis, ndim)
        for number, windowed in enumerate(axes):
            if windowed == axis:
                place = place + _along(window[number], first + number, ndim)
        index.append(place)
    return Take(tuple(index), False)


def _along(n: int, axis: int, ndim: int) -> Any:
    """0 … n−1 along one axis of `ndim`."""
    return np.reshape(np.arange(n), [n if k == axis else 1 for k in range(ndim)])


def _lower_windows(b: Any, out: Any, x: Any, window: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    if out.size == 0:
        return b.const(0, x.kind, out.shape)
    base, strides, offset = b.placed(x)
    return b.view(base, out.shape, (*strides, *(strides[axis] for axis in axes)), offset)


WINDOWS: Primitive = register(
    Primitive(
        name="sliding_windows",
        value=lambda x, window, axes: np.lib.stride_tricks.sliding_window_view(x, window, axes),
        local=_windows_local,
        labels=Labels("windows", r"\operatorname{{windows}}({0})"),
        batch=lambda operands, batched, params: WINDOWS(
            operands[0], window=params["window"], axes=tuple(k + 1 for k in params["axes"])
        ),
        lower=_lower_windows,
    )
)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    if writeable:
        raise NoRuleError("sliding_window_view: no rule for writeable=True")
    window = (window_shape,) if np.ndim(window_shape) == 0 else tuple(window_shape)
    ndim = len(x.shape)
    if axis is None:
        axes = tuple(range(ndim))
    else:
        axes = tuple(k % ndim for k in ((axis,) if np.ndim(axis) == 0 else axis))
    if len(axes) != len(window):
        raise ValueError(f"window_shape {window_shape} must name one length for each axis {axes}")
    return WINDOWS(x, window=tuple(int(n) for n in window), axes=axes)
