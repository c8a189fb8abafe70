"""Entries repeated, moved, added or left out: pad, tile, repeat, roll, flip, insert, delete."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Put, Take
from thalweg.graph.node import Node, constant
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import static
from thalweg.ops.index import as_array
from thalweg.ops.joining import lower_joined
from thalweg.ops.shape import astype

__all__: list[str] = []


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, index)


# ---- flip, roll, rot90 ------------------------------------------------------------------------


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    axes = range(m.ndim) if axis is None else normalize_axis_tuple(axis, m.ndim)
    back = slice(None, None, -1)
    return m[tuple(back if i in axes else slice(None) for i in range(m.ndim))]


@implements(np.flipud)
def flipud(m: Any) -> Any:
    if m.ndim < 1:
        raise ValueError("Input must be >= 1-d.")
    return m[::-1]


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    if m.ndim < 2:
        raise ValueError("Input must be >= 2-d.")
    return m[:, ::-1]


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    first, second = normalize_axis_tuple(axes, m.ndim)
    turns = k % 4
    if turns == 2:
        return flip(m, (first, second))
    if turns == 1:
        return np.swapaxes(flip(m, second), first, second)
    return flip(np.swapaxes(m, first, second), second) if turns == 3 else m


def _lower_roll(b: Any, out: Any, x: Any, shift: int, axis: int) -> Any:
    start = -shift % max(x.shape[axis], 1)
    if start == 0:
        return x
    pieces = [b.basic_index(x, _along(axis, part)) for part in (slice(start, None), slice(start))]
    return lower_joined(b, out, pieces, axis)


ROLL: Primitive = register(
    Primitive(
        name="roll",
        value=lambda x, shift, axis: np.roll(x, shift, axis),
        local=lambda i, out, x, shift, axis: Take(
            _along(axis, (np.arange(x.shape[axis]) - shift) % max(x.shape[axis], 1)), True
        ),
        labels=Labels("roll", r"\operatorname{{roll}}({0})"),
        batch=lambda operands, batched, params: ROLL(
            *operands, shift=params["shift"], axis=params["axis"] + 1
        ),
        lower=_lower_roll,
    )
)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    static("np.roll", shift=shift)
    if axis is None:
        total = int(np.sum(shift))
        return np.reshape(ROLL(np.ravel(a), shift=total, axis=0), a.shape)
    axes = normalize_axis_tuple(axis, a.ndim, allow_duplicate=True)
    for step, along in np.broadcast(shift, axes):
        a = ROLL(a, shift=int(step), axis=int(along))
    return a


# ---- tile, repeat, resize ---------------------------------------------------------------------


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    static("np.tile", reps=reps)
    reps = tuple(int(n) for n in np.atleast_1d(reps))
    ndim = max(len(reps), A.ndim)
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - A.ndim) + A.shape
    split = tuple(n for size in shape for n in (1, size))
    repeated = tuple(n for pair in zip(reps, shape, strict=True) for n in pair)
    whole = tuple(r * n for r, n in zip(reps, shape, strict=True))
    return np.reshape(np.broadcast_to(np.reshape(A, split), repeated), whole)


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    static("np.repeat", repeats=repeats)
    if axis is None:
        a, axis = np.ravel(a), 0
    a = np.ravel(a) if a.ndim == 0 else a  # as NumPy: a number counts as one entry
    axis = normalize_axis_index(axis, a.ndim)
    n = a.shape[axis]
    if np.size(repeats) != 1:
        return a[_along(axis, np.repeat(np.arange(n), repeats))]
    times = int(np.reshape(repeats, ()))
    if times < 0:
        raise ValueError("repeats may not contain negative values.")
    shape = (*a.shape[: axis + 1], times, *a.shape[axis + 1 :])
    whole = (*a.shape[:axis], n * times, *a.shape[axis + 1 :])
    return np.reshape(np.broadcast_to(np.expand_dims(a, axis + 1), shape), whole)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    static("np.resize", new_shape=new_shape)
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    size = math.prod(shape)
    if a.size == 0 or size == 0:
        return constant(np.zeros(shape, a.dtype))
    return np.reshape(np.ravel(a)[np.arange(size) % a.size], shape)


@implements(np.meshgrid)
def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    places = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        places[0], places[1] = 1, 0
    grids = tuple(
        np.reshape(x, tuple(-1 if i == place else 1 for i in range(len(xi))))
        for x, place in zip(xi, places, strict=True)
    )
    return grids if sparse else tuple(np.broadcast_arrays(*grids))


# ---- insert, delete ---------------------------------------------------------------------------


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    static("np.delete", obj=obj)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    kept = np.delete(np.arange(arr.shape[axis]), obj)
    chosen = np.zeros(arr.shape[axis], bool)
    chosen[kept] = True
    return arr[_along(axis, chosen)]


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    static("np.insert", obj=obj)
    arr = as_array(arr)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    values = as_array(values)
    values = np.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
    n = arr.shape[axis]
    if isinstance(obj, slice) or np.size(obj) != 1:
        added = np.insert(np.arange(n), obj, 0).size - n
    else:  # a single place: all values go there
        values = values if np.ndim(obj) else np.moveaxis(values, 0, axis)
        added = values.shape[axis]
    shape = tuple(added if i == axis else size for i, size in enumerate(arr.shape))
    values = astype(np.broadcast_to(values, shape), arr.dtype)
    order = np.insert(np.arange(n), obj, np.arange(n, n + added))
    return np.concatenate([arr, values], axis=axis)[_along(axis, order)]


# ---- pad --------------------------------------------------------------------------------------


def _lower_pad(b: Any, out: Any, x: Any, widths: Any, constants: Any) -> Any:
    levels = {np.asarray(constant, out.dtype).item() for pair in constants for constant in pair}
    if len(levels) > 1:
        b.refuse("it pads with different numbers")
    strides = b.strides(out.shape)
    start = sum(low * step for (low, _), step in zip(widths, strides, strict=True))
    around = b.const(levels.pop(), x.kind, out.shape)
    return b.assemble(around, [(x, strides, start)], out.shape, x.kind) if x.size else around


PAD: Primitive = register(
    Primitive(
        name="pad",
        value=lambda x, widths, constants: np.pad(x, widths, constant_values=constants),
        local=lambda i, out, x, widths, constants: Put(
            tuple(slice(low, low + n) for (low, _), n in zip(widths, x.shape, strict=True))
        ),
        labels=Labels("pad", r"\operatorname{{pad}}({0})"),
        batch=lambda operands, batched, params: PAD(
            *operands,
            widths=((0, 0), *params["widths"]),
            constants=((0, 0), *params["constants"]),
        ),
        lower=_lower_pad,
    )
)

_STATISTICS: dict[str, Any] = {
    "maximum": np.max,
    "minimum": np.min,
    "mean": np.mean,
    "median": np.median,
}
_MODES: dict[str, dict[str, Any]] = {
    "constant": {"constant_values": 0},
    "linear_ramp": {"end_values": 0},
    "edge": {},
    "wrap": {},
    "reflect": {"reflect_type": "even"},
    "symmetric": {"reflect_type": "even"},
    **{key: {"stat_length": None} for key in _STATISTICS},
}  # fmt: skip


def _pairs(given: Any, ndim: int) -> list[tuple[Any, Any]]:
    """A number, a pair, or pairs: one (before, after) an axis. Entries may be nodes."""
    if isinstance(given, (Node, np.ndarray)) and given.ndim:
        given = list(given)
    if not isinstance(given, (list, tuple)):
        return [(given, given)] * ndim
    if not any(isinstance(row, (list, tuple)) or getattr(row, "ndim", 0) for row in given):
        return [(given[0], given[-1])] * ndim
    pairs = [(row[0], row[-1]) for row in given]
    return pairs * ndim if len(pairs) == 1 else pairs


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    if mode not in _MODES:
        raise NoRuleError(f"np.pad: no rule for mode={mode!r}; there is one for {sorted(_MODES)}")
    unknown = set(kwargs) - set(_MODES[mode])
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    array = as_array(array)
    if isinstance(pad_width, dict):  # axis → widths, NumPy 2.3
        by_axis = {axis % array.ndim: width for axis, width in pad_width.items()}
        pad_width = [_pairs(by_axis.get(axis, 0), 1)[0] for axis in range(array.ndim)]
    widths = [(int(low), int(high)) for low, high in _pairs(pad_width, array.ndim)]
    if any(width < 0 for pair in widths for width in pair):
        raise ValueError("index can't contain negative values")
    option = {**_MODES[mode], **kwargs}
    if mode == "constant":
        return _pad_constant(array, widths, _pairs(option["constant_values"], array.ndim))
    if mode in ("edge", "wrap", "reflect", "symmetric"):
        if option.get("reflect_type", "even") != "even":
            raise NoRuleError("np.pad: no rule for reflect_type='odd'")
        for axis, width in enumerate(widths):
            if width != (0, 0):
                places = np.pad(np.arange(array.shape[axis]), width, mode=mode)
                array = array[_along(axis, places)]
        return array
    details = _pairs(next(iter(option.values())), array.ndim)
    for axis, (width, detail) in enumerate(zip(widths, details, strict=True)):
        if width != (0, 0):
            array = _pad_axis(array, axis, width, mode, detail)
    return array


def _pad_constant(array: Any, widths: Any, constants: Any) -> Any:
    if not any(type(constant) is Node for pair in constants for constant in pair):
        if array.ndim == 0:
            return array
        return PAD(array, widths=tuple(widths), constants=tuple(constants))
    for axis, (width, pair) in enumerate(zip(widths, constants, strict=True)):
        sides = [
            astype(np.broadcast_to(constant, _resized(array.shape, axis, n)), array.dtype)
            for n, constant in zip(width, pair, strict=True)
        ]
        array = np.concatenate([sides[0], array, sides[1]], axis=axis)
    return array


def _resized(shape: tuple[int, ...], axis: int, n: int) -> tuple[int, ...]:
    return (*shape[:axis], n, *shape[axis + 1 :])


def _pad_axis(array: Any, axis: int, width: tuple[int, int], mode: str, detail: Any) -> Any:
    """One axis padded with what its ends give: a ramp to them, or a statistic of them."""
    n = array.shape[axis]
    sides = []
    for k, (size, option) in enumerate(zip(width, detail, strict=True)):
        if mode == "linear_ramp":
            edge = array[_along(axis, -1 if k else 0)]
            side = np.linspace(
                astype(np.broadcast_to(option, edge.shape), array.dtype),
                edge, size, endpoint=False, dtype=array.dtype, axis=axis,
            )  # fmt: skip
            sides.append(np.flip(side, axis) if k else side)
            continue
        length = n if option is None else min(int(option), n)
        if length == 0 and mode in ("maximum", "minimum"):
            raise ValueError("stat_length of 0 yields no value for padding")
        chunk = array[_along(axis, slice(n - length, n) if k else slice(length))]
        level = _STATISTICS[mode](chunk, axis=axis, keepdims=True)
        sides.append(np.broadcast_to(level, _resized(array.shape, axis, size)))
    return np.concatenate([sides[0], array, sides[1]], axis=axis)
