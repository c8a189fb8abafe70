"""NumPy's in-place functions as functions: each gives the new contents of its target.

`thalweg.array` looks them up in `REWRITES` and moves the target's handle on to the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import DtypeError
from thalweg.graph.node import Node
from thalweg.graph.primitive import lookup
from thalweg.ops._checks import settled
from thalweg.ops.index import add_at, along_axis, as_array, getitem, setitem
from thalweg.ops.selection import within

__all__ = ["REWRITES", "set_flat", "write_at"]

#: NumPy function → (name of its target parameter, function of nodes that gives the new contents).
REWRITES: dict[Any, tuple[str, Callable[..., Any]]] = {}


def _rewrites(function: Any, target: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(implementation: Callable[..., Any]) -> Callable[..., Any]:
        REWRITES[function] = (target, implementation)
        return implementation

    return enter


def _flat(x: Any) -> Any:
    return np.reshape(x, (x.size,))


def _cycled(values: Any, count: int) -> Any:
    """The first `count` of the values in order, begun again where they run out."""
    values = as_array(values)
    flat = np.reshape(values, (-1,)) if values.shape else np.reshape(values, (1,))
    n = flat.shape[0]
    if n == count or (n == 0 and count == 0):
        return flat
    return getitem(flat, slice(0, count) if count < n else np.arange(count) % n)


@_rewrites(np.put, "a")
def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> Any:
    positions = np.ravel(np.asarray(settled(ind)))
    if positions.dtype.kind == "b":
        positions = positions.astype(np.intp)
    positions = within(positions, a.size, mode)
    if positions.size == 0 or as_array(v).size == 0:
        return a
    return np.reshape(setitem(_flat(a), positions, _cycled(v, positions.size)), a.shape)


@_rewrites(np.place, "arr")
def _place(arr: Any, mask: Any, vals: Any) -> Any:
    positions = np.flatnonzero(_mask(mask, arr))
    if positions.size and as_array(vals).size == 0:
        raise ValueError("Cannot insert from an empty array!")
    if positions.size == 0:
        return arr
    return np.reshape(setitem(_flat(arr), positions, _cycled(vals, positions.size)), arr.shape)


def _mask(mask: Any, like: Any) -> Any:
    chosen = np.asarray(settled(mask))
    if chosen.size != like.size:
        raise ValueError("place: mask and data must be the same size")
    return chosen


@_rewrites(np.putmask, "a")
def _putmask(a: Any, /, mask: Any, values: Any) -> Any:
    chosen = np.asarray(settled(mask))
    if chosen.size != a.size:
        raise ValueError("putmask: mask and data must be the same size")
    positions = np.flatnonzero(chosen)
    if positions.size == 0 or as_array(values).size == 0:
        return a
    # Entry n gets values[n], begun again where they run out.
    return np.reshape(
        setitem(_flat(a), positions, getitem(_cycled(values, a.size), positions)), a.shape
    )


@_rewrites(np.copyto, "dst")
def _copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> Any:
    source = as_array(src)
    weak = not isinstance(src, (Node, np.ndarray, np.generic))
    if not weak and not np.can_cast(source.dtype, dst.dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {source.dtype!r} to {dst.dtype!r} according to the rule "
            f"{casting!r}"
        )
    written = setitem(dst, ..., src)
    return written if where is True else lookup("where")(where, written, dst)


@_rewrites(np.put_along_axis, "arr")
def _put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> Any:
    if axis is None:
        return np.reshape(setitem(_flat(arr), np.ravel(settled(indices)), values), arr.shape)
    return setitem(arr, along_axis(arr.shape, np.asarray(settled(indices)), axis), values)


@_rewrites(np.fill_diagonal, "a")
def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> Any:
    if len(a.shape) < 2:
        raise ValueError("array must be at least 2-d")
    if len(a.shape) == 2:
        step = a.shape[1] + 1
        end = None if wrap else a.shape[1] * a.shape[1]
    else:
        if len(set(a.shape)) != 1:
            raise ValueError("All dimensions of input must be of equal length")
        step, end = int(1 + np.cumprod(a.shape[:-1]).sum()), None
    return set_flat(a, slice(None, end, step), val)


def set_flat(x: Any, index: Any, value: Any) -> Any:
    """x after ``x.flat[index] = value``: values are begun again where they run out."""
    positions = np.arange(x.size)[settled(index)]
    count = int(np.size(positions))
    if count == 0:
        return x
    values = _cycled(value, count)
    return np.reshape(setitem(_flat(x), np.ravel(positions), values), x.shape)


def write_at(ufunc: np.ufunc, x: Any, indices: Any, *operand: Any) -> Any:
    """x after ``ufunc.at(x, indices, operand)``: an entry named twice is worked on twice."""
    if ufunc is np.add:
        return add_at(x, indices, _castable(x, *operand))
    if ufunc is np.subtract:
        return add_at(x, indices, np.negative(_castable(x, *operand)))
    index = tuple([settled(part) for part in (indices if type(indices) is tuple else (indices,))])
    positions = np.reshape(np.arange(x.size), x.shape)[index]
    shape = positions.shape
    positions = positions.ravel()
    others = [_flat(np.broadcast_to(_castable(x, value), shape)) for value in operand]
    flat = _flat(x)
    for turn in _turns(positions):
        chosen = positions[turn]
        entries = ufunc(getitem(flat, chosen), *[getitem(value, turn) for value in others])
        flat = setitem(flat, chosen, entries)
    return np.reshape(flat, x.shape)


def _castable(x: Any, value: Any) -> Any:
    """The operand of an in-place operation on x, whose dtype must hold the result."""
    value = as_array(value)
    if not np.can_cast(value.dtype, x.dtype, "same_kind"):
        raise DtypeError(f"cannot write a {value.dtype} result into an array of {x.dtype}")
    return value


def _turns(positions: Any) -> list[Any]:
    """Groups in which no position occurs twice, in the order of the occurrences."""
    order = np.argsort(positions, kind="stable")
    ordered = positions[order]
    begins = np.r_[True, ordered[1:] != ordered[:-1]] if ordered.size else np.zeros(0, bool)
    starts = np.maximum.accumulate(np.where(begins, np.arange(ordered.size), 0))
    rank = np.empty(positions.size, np.intp)
    rank[order] = np.arange(ordered.size) - starts
    return [np.flatnonzero(rank == turn) for turn in range(rank.max(initial=-1) + 1)]
