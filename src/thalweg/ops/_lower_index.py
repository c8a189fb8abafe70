"""Indexing in native code: x[index] as a view, a selection or a gather, and writing likewise.

Index arrays are combined to flat positions into x. Positions that step evenly are a view;
``x[arange(n), y]`` compares a counter with y, so that it joins the loop around it; the rest
gathers. b is `thalweg.execute.native.builder.Builder`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from thalweg.ops._positions import distinct

__all__ = ["lower_add_at", "lower_getitem", "lower_setitem"]

#: Along so many entries a comparison with a counter is cheaper than a gather between two loops.
_PICKED = 64
_BASIC = frozenset((int, slice, type(None), type(Ellipsis)))
_MASK = "how many entries a mask chooses depends on its values"


class _Slice(NamedTuple):
    """A slice (axis −1: a new axis of size 1)."""

    axis: int
    start: int
    step: int
    length: int


class _Numbers(NamedTuple):
    """Index numbers along an axis (−1: they count as one entry, of a mask without axes)."""

    axis: int
    entries: Any  # array or tensor of integers, not negative


class _Index(NamedTuple):
    """An index taken apart: slices in order, numbers, and where the axes of the numbers come."""

    slices: list[_Slice]
    numbers: list[_Numbers]
    depth: int  # axes of the numbers, broadcast together
    front: int  # slices before them in the result


def _is_tensor(x: Any) -> bool:
    return hasattr(x, "serial")


def _is_mask(b: Any, part: Any) -> bool:
    return type(part) is bool or (hasattr(part, "dtype") and part.dtype.kind == "b")


def _ndim(part: Any) -> int:
    return len(part.shape) if hasattr(part, "shape") else 0


def _parts(b: Any, template: Any, arrays: Any, ndim: int) -> list[Any]:
    """The index with its slots filled (constants as arrays) and its ellipsis spelled out."""
    parts: list[Any] = []
    for part in template:
        if hasattr(part, "number"):  # a slot
            x = arrays[part.number]
            known = b.known(x)
            part = x if known is None else known
        parts.append(part)
    used = sum(
        0 if part is None or part is Ellipsis else _ndim(part) if _is_mask(b, part) else 1
        for part in parts
    )
    place = next((i for i, part in enumerate(parts) if part is Ellipsis), None)
    rest = [slice(None)] * (ndim - used)
    return parts + rest if place is None else parts[:place] + rest + parts[place + 1 :]


def _take_apart(b: Any, parts: list[Any], shape: tuple[int, ...]) -> _Index:
    """The index with masks and negative numbers resolved.

    Numbers only known at run time are checked (`Builder.check`), and brought into range so that
    nothing wild is read before the check is seen.
    """
    arrays = any(_is_mask(b, part) or _ndim(part) for part in parts)
    slices: list[_Slice] = []
    numbers: list[_Numbers] = []
    runs, inside, before, axis = 0, False, 0, 0
    for part in parts:
        if part is None:
            slices.append(_Slice(-1, 0, 0, 1))
            inside = False
            continue
        if isinstance(part, slice):
            start, stop, step = part.indices(shape[axis])
            slices.append(_Slice(axis, start, step, len(range(start, stop, step))))
            inside = False
            axis += 1
            continue
        if not arrays and not _is_tensor(part):  # an integer
            slices.append(_Slice(axis, int(part) % shape[axis], 0, -1))
            axis += 1
            continue
        if not inside:
            before = len([s for s in slices if s.length >= 0]) if runs == 0 else before
            runs += 1
        inside = True
        if not _is_mask(b, part):
            numbers.append(_Numbers(axis, _in_range(b, part, shape[axis])))
            axis += 1
        elif _is_tensor(part):
            b.refuse(_MASK)
        elif _ndim(part) == 0:
            numbers.append(_Numbers(-1, np.zeros(int(part), np.int64)))
        else:
            for found in np.nonzero(part):
                numbers.append(_Numbers(axis, found))
                axis += 1
    depth = max((_ndim(n.entries) for n in numbers), default=0)
    return _Index(slices, numbers, depth, 0 if runs > 1 else before)


def _in_range(b: Any, part: Any, n: int) -> Any:
    """Index numbers counted from the start, 0 … n − 1."""
    if not _is_tensor(part):
        entries = np.asarray(part, np.int64)
        return np.where(entries < 0, entries + n, entries)
    if part.kind[0] not in "iu":
        b.refuse("an index is neither integer nor boolean")
    part = b.cast(part, np.int64)
    low = b.greater_equal(part, b.tensor(-n, np.int64))
    b.check(b.logical_and(low, b.less(part, b.tensor(n, np.int64))))
    if n == 0:
        return np.zeros(part.shape, np.int64)
    wrapped = b.where(b.less(part, b.tensor(0, np.int64)), b.add(part, n), part)
    return b.minimum(b.maximum(wrapped, b.tensor(0, np.int64)), b.tensor(n - 1, np.int64))


def _shape(index: _Index) -> tuple[int, ...]:
    """The shape of x[index]."""
    kept = [s.length for s in index.slices if s.length >= 0]
    joint = np.broadcast_shapes(*[n.entries.shape for n in index.numbers])
    return (*kept[: index.front], *joint, *kept[index.front :])


def _even(entries: Any) -> tuple[int, tuple[int, ...]] | None:
    """Start and steps along each axis of numbers that step evenly, else None."""
    start = int(entries.flat[0])
    steps = tuple(
        int(entries[tuple(int(k == axis) for k in range(entries.ndim))]) - start if n > 1 else 0
        for axis, n in enumerate(entries.shape)
    )
    model = np.full(entries.shape, start)
    for axis, (n, step) in enumerate(zip(entries.shape, steps, strict=True)):
        model += np.arange(n).reshape([n if k == axis else 1 for k in range(entries.ndim)]) * step
    return (start, steps) if np.array_equal(model, entries) else None


class _Places(NamedTuple):
    """Where the entries of x[index] lie in x: evenly, or at positions."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    positions: Any  # None, or a tensor
    unique: bool


def _places(b: Any, index: _Index, strides: tuple[int, ...], offset: int) -> _Places:
    """Where x[index] lies in an array with these strides and this offset."""
    shape = _shape(index)
    kept = [s for s in index.slices if s.length >= 0]
    offset += sum(s.start * strides[s.axis] for s in index.slices if s.axis >= 0)
    steps = [s.step * strides[s.axis] if s.axis >= 0 else 0 for s in kept]
    front, depth = index.front, index.depth
    fixed = [n for n in index.numbers if not _is_tensor(n.entries)]
    moving = [n for n in index.numbers if _is_tensor(n.entries)]
    joint = shape[front : front + depth]
    known = np.zeros((1,) * depth, np.int64)
    for n in fixed:
        if n.axis >= 0:
            known = known + n.entries * strides[n.axis]
    if not moving:
        entries = np.broadcast_to(known, joint)
        if 0 in shape:
            return _Places(shape, (0,) * len(shape), 0, None, True)
        unique = distinct(entries)
        even = _even(entries)
        if even is not None:
            places = (*steps[:front], *even[1], *steps[front:])
            return _Places(shape, places, offset + even[0], None, unique)
        total = b.array(_laid_out(known, front, len(shape)))
    else:
        unique = False
        total = b.array(_laid_out(known, front, len(shape)))
        for n in moving:
            part = b.multiply(n.entries, strides[n.axis])
            total = b.add(total, b.reshape(part, _laid_out(part, front, len(shape), depth)))
    if offset:
        total = b.add(total, offset)
    axes = [*range(front), *range(front + depth, len(shape))]
    for axis, length, step in zip(axes, [s.length for s in kept], steps, strict=True):
        if length > 1 and step:
            counter = b.iota([length if k == axis else 1 for k in range(len(shape))], axis)
            total = b.add(total, b.multiply(counter, step))
    return _Places(shape, (), 0, b.broadcast(total, shape), unique)


def _laid_out(entries: Any, front: int, ndim: int, depth: int | None = None) -> Any:
    """The numbers with their axes at their place among `ndim` (with `depth`: their shape then)."""
    own = entries.shape if depth is None else (1,) * (depth - entries.ndim) + entries.shape
    shape = (1,) * front + own + (1,) * (ndim - front - len(own))
    return entries.reshape(shape) if depth is None else shape


# ---- x[arange(n), y] ------------------------------------------------------------------------


class _Pick(NamedTuple):
    """One entry chosen along the axis `along` by y, for every place along the other `axes`."""

    y: Any  # tensor, its axes are `axes` in order
    along: int
    axes: list[int]


def _pick(b: Any, index: _Index, shape: tuple[int, ...]) -> _Pick | None:
    """The index as a choice along one axis: other numbers count 0, 1, … on axes of their own."""
    if index.depth == 0 or any(n.axis < 0 for n in index.numbers):
        return None
    counted: dict[int, int] = {}
    chosen = None
    for n in index.numbers:
        axis = None if _is_tensor(n.entries) else _counts(n.entries, index.depth)
        if axis is not None and axis not in counted and n.entries.size == shape[n.axis]:
            counted[axis] = n.axis
        elif chosen is None:
            chosen = n
        else:
            return None
    joint = _shape(index)[index.front : index.front + index.depth]
    if chosen is None or len(counted) != index.depth:
        return None
    y = chosen.entries if _is_tensor(chosen.entries) else b.array(chosen.entries)
    y = b.broadcast(y, joint)
    return _Pick(y, chosen.axis, [counted[k] for k in range(index.depth)])


def _counts(entries: Any, depth: int) -> int | None:
    """The axis (of `depth`) along which these numbers are 0, 1, 2, …"""
    axes = [k for k, n in enumerate(entries.shape) if n != 1]
    if len(axes) != 1 or not np.array_equal(entries.ravel(), np.arange(entries.size)):
        return None
    return depth - len(entries.shape) + axes[0]


def _matches(b: Any, pick: _Pick, shape: tuple[int, ...]) -> Any:
    """Where in x the chosen entries are, with the axes that play no part of size 1."""
    order = sorted(range(len(pick.axes)), key=lambda k: pick.axes[k])
    y = b.transpose(pick.y, order)
    y = b.reshape(y, [n if k in pick.axes else 1 for k, n in enumerate(shape)])
    counter = b.iota([n if k == pick.along else 1 for k, n in enumerate(shape)], pick.along)
    return b.equal(y, counter)


def _plain(index: _Index, shape: tuple[int, ...]) -> bool:
    """Whether the slices are all of their axes, in order, and no axis is new."""
    return all(s.axis >= 0 and s.length == shape[s.axis] and s.step == 1 for s in index.slices)


def _picked(b: Any, x: Any, index: _Index, pick: _Pick) -> Any:
    """x[index] for a pick: the only entry that is not the lowest number is the largest."""
    matches = _matches(b, pick, x.shape)
    if x.kind == "i1":
        found = b.reduce("or", b.logical_and(matches, x), (pick.along,))
    else:
        info = np.finfo(x.dtype) if x.kind[0] == "f" else np.iinfo(x.dtype)
        lowest = b.const(-np.inf if x.kind[0] == "f" else info.min, x.kind)
        found = b.reduce("max", b.map("where", matches, x, lowest), (pick.along,))
    # Left are the counted axes and those of slices, in x's order.
    left = [k for k in range(x.ndim) if k != pick.along]
    kept = [left.index(s.axis) for s in index.slices]
    joint = [left.index(k) for k in pick.axes]
    return b.transpose(found, [*kept[: index.front], *joint, *kept[index.front :]])


# ---- the rules --------------------------------------------------------------------------------


def lower_getitem(b: Any, out: Any, x: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    """x[index]."""
    masked = any(getattr(part, "kind", "") == "i1" for part in arrays)
    if math.prod(out.shape) == 0 and not masked:  # a mask may choose some the next time
        return b.const(0, x.kind, out.shape)
    if all(type(part) in _BASIC for part in index):
        return b.basic_index(x, index)
    found = _take_apart(b, _parts(b, index, arrays, x.ndim), x.shape)
    if x.size == 0:
        b.refuse("an index out of bounds")
    return _read(b, x, found)


def _read(b: Any, x: Any, index: _Index) -> Any:
    base, strides, offset = b.placed(x)
    places = _places(b, index, strides, offset)
    if places.positions is None:
        return b.view(base, places.shape, places.strides, places.offset)
    pick = _pick(b, index, x.shape)
    if pick is not None and _plain(index, x.shape) and x.shape[pick.along] <= _PICKED:
        return _picked(b, x, index, pick)
    return b.gather(base, places.positions)


def lower_setitem(
    b: Any, out: Any, x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]
) -> Any:
    """A copy of x with x[index] = value."""
    return _write(b, "set", b.tensor(x), b.tensor(value, out.dtype), arrays, index)


def lower_add_at(b: Any, out: Any, x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    """A copy of x with value added at index, in order."""
    x, value = b.tensor(x), b.tensor(value)
    if value.kind != x.kind and not np.can_cast(value.dtype, x.dtype):
        b.refuse(f"adding {value.dtype} to entries of {x.dtype}")
    return _write(b, "add", x, b.cast(value, x.dtype), arrays, index)


def _write(b: Any, how: str, x: Any, value: Any, arrays: Any, index: tuple[Any, ...]) -> Any:
    parts = _parts(b, index, arrays, x.ndim)
    masked = _masked(b, how, x, value, parts)
    if masked is not None:
        return masked
    found = _take_apart(b, parts, x.shape)
    shape = _shape(found)
    if 0 in shape:
        return x
    if x.size == 0:
        b.refuse("an index out of bounds")
    extra = max(value.ndim - len(shape), 0)
    value = b.reshape(value, value.shape[extra:])  # axes of size 1 in front, which NumPy ignores
    strides = b.strides(x.shape)
    places = _places(b, found, strides, 0)
    if places.positions is None and places.unique:
        if how == "add":
            value = b.add(_read(b, x, found), value)
        value = b.broadcast(value, shape)
        if shape == x.shape and places.strides == strides and places.offset == 0:
            return value
        return b.assemble(x, [(value, places.strides, places.offset)], x.shape, x.kind)
    pick = _pick(b, found, x.shape)
    if pick is not None and _plain(found, x.shape):
        return _chosen(b, how, x, b.broadcast(value, shape), found, pick)
    positions = places.positions
    if positions is None:
        positions = _positions(b, places)
    return b.scatter(how, x, positions, b.broadcast(value, shape))


def _positions(b: Any, places: _Places) -> Any:
    """Evenly placed entries as positions."""
    total = np.full((1,) * len(places.shape), places.offset, np.int64)
    for axis, (n, step) in enumerate(zip(places.shape, places.strides, strict=True)):
        counter = np.arange(n).reshape([n if k == axis else 1 for k in range(len(places.shape))])
        total = total + counter * step
    return b.array(np.broadcast_to(total, places.shape).copy())


def _chosen(b: Any, how: str, x: Any, value: Any, index: _Index, pick: _Pick) -> Any:
    """x with values put (or added) where a pick points to: a choice entry by entry."""
    # The value's axes are those of the result; x's order has one of size 1 along the choice.
    kept = [s.axis for s in index.slices]
    axes = [*kept[: index.front], *pick.axes, *kept[index.front :]]
    value = b.transpose(value, [axes.index(k) for k in sorted(axes)])
    value = b.reshape(value, [1 if k == pick.along else n for k, n in enumerate(x.shape)])
    value = b.add(x, value) if how == "add" else value
    return b.where(_matches(b, pick, x.shape), value, x)


def _masked(b: Any, how: str, x: Any, value: Any, parts: list[Any]) -> Any:
    """x[mask] written with values that are the same for all chosen entries, else None."""
    while len(parts) > 1 and isinstance(parts[-1], slice) and parts[-1] == slice(None):
        parts = parts[:-1]
    if len(parts) != 1 or not _is_mask(b, parts[0]):
        return None
    mask = parts[0] if _is_tensor(parts[0]) else b.array(np.asarray(parts[0]))
    rest = x.ndim - mask.ndim
    if mask.shape != x.shape[: mask.ndim] or (value.ndim > rest and value.size != 1):
        return b.refuse(_MASK) if _is_tensor(parts[0]) else None
    if value.ndim > rest:
        value = b.reshape(value, (1,) * rest)
    mask = b.reshape(mask, mask.shape + (1,) * rest)
    value = b.broadcast(b.add(x, value) if how == "add" else value, x.shape)
    return b.where(b.broadcast(mask, x.shape), value, x)
