"""Reductions in native code. b is `thalweg.execute.native.builder.Builder`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.ops._axes import count, normalise_axes

__all__ = [
    "lower_all",
    "lower_any",
    "lower_best_place",
    "lower_count_nonzero",
    "lower_deviation",
    "lower_log_sum",
    "lower_masked",
    "lower_mean",
    "lower_nan_deviation",
    "lower_nan_mean",
    "lower_nan_total",
    "lower_number_extreme",
    "lower_total",
]

#: Reductions of conditions by their logic.
_LOGIC = {"add": "or", "max": "or", "mul": "and", "min": "and"}
_MAPS = {"add": "add", "mul": "multiply", "max": "maximum", "min": "minimum"}
_NEUTRAL = {"add": 0.0, "mul": 1.0, "max": -math.inf, "min": math.inf}

Rule = Callable[..., Any]


def lower_total(how: str) -> Rule:
    """add, mul, max and min over axes."""

    def lower(
        b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool, dtype: Any = None
    ) -> Any:
        x = b.cast(x, out.dtype)
        return b.reduce(_LOGIC[how] if x.kind == "i1" else how, x, axes, keepdims)

    return lower


def lower_masked(how: str) -> Rule:
    """The same of the entries where a mask is true, begun with an initial value."""

    def lower(
        b: Any, out: Any, x: Any, mask: Any, *initial: Any, axes: Any, keepdims: bool, tie: bool
    ) -> Any:
        x, mask = b.cast(x, out.dtype), b.tensor(mask, bool)
        if x.kind == "i1" or np.broadcast_shapes(x.shape, mask.shape) != x.shape:
            b.refuse("a mask over conditions, or of more entries than the array")
        start = b.tensor(initial[0], out.dtype) if initial else None
        if how in ("max", "min"):
            if start is None:
                b.refuse("a masked maximum without an initial value")
            if count(x, axes) == 0:
                return b.broadcast(start, out.shape)
            filler = start
        else:
            filler = b.tensor(_NEUTRAL[how], out.dtype)
        found = b.reduce(how, b.where(mask, x, filler), axes, keepdims)
        return found if start is None else b.map(_MAPS[how], found, start, shape=out.shape)

    return lower


def _mean(b: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    n = b.tensor(float(count(x, axes)), x.dtype)
    return b.divide(b.reduce("add", x, axes, keepdims), n)


def lower_mean(
    b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool, dtype: Any = None
) -> Any:
    """The sum over the count."""
    if out.dtype.kind != "f":
        b.refuse(f"a mean of dtype {out.dtype}")
    return _mean(b, b.cast(x, out.dtype), axes, keepdims)


def lower_deviation(root: bool) -> Rule:
    """var and std, in two passes as NumPy has them."""

    def lower(b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool, ddof: Any) -> Any:
        x = b.cast(x, out.dtype)
        apart = b.subtract(x, _mean(b, x, axes, True))
        total = b.reduce("add", b.multiply(apart, apart), axes, keepdims)
        freedom = b.tensor(float(max(count(x, axes) - ddof, 0)), x.dtype)
        variance = b.divide(total, freedom)
        return b.sqrt(variance) if root else variance

    return lower


# ---- passing over NaN -----------------------------------------------------------------------


def _without_nan(b: Any, x: Any, filler: float) -> Any:
    return b.where(b.isnan(x), b.tensor(filler, x.dtype), x) if x.kind[0] == "f" else x


def lower_nan_total(how: str) -> Rule:
    """nansum and nanprod."""
    total = lower_total(how)

    def lower(b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        return total(b, out, _without_nan(b, x, _NEUTRAL[how]), axes, keepdims)

    return lower


def lower_number_extreme(how: str) -> Rule:
    """nanmax, nanmin and the reductions of fmax and fmin: NaN where there is no number."""
    total = lower_total(how)

    def lower(b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        found = total(b, out, _without_nan(b, x, _NEUTRAL[how]), axes, keepdims)
        if x.kind[0] != "f" or count(x, axes) == 0:
            return found
        nothing = b.reduce("and", b.isnan(x), axes, keepdims)
        return b.where(nothing, b.tensor(math.nan, x.dtype), found)

    return lower


def _numbers(b: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """How many entries are numbers, in the dtype of x."""
    there = b.cast(b.logical_not(b.isnan(x)), np.int64)
    return b.cast(b.reduce("add", there, axes, keepdims), x.dtype)


def lower_nan_mean(b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The sum of the numbers over their count."""
    x = b.cast(x, out.dtype)
    total = b.reduce("add", _without_nan(b, x, 0.0), axes, keepdims)
    return b.divide(total, _numbers(b, x, axes, keepdims))


def lower_nan_deviation(root: bool) -> Rule:
    """nanvar and nanstd: NaN where no degree of freedom is left."""

    def lower(b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool, ddof: Any) -> Any:
        x = b.cast(x, out.dtype)
        nan = b.isnan(x)
        apart = b.subtract(x, lower_nan_mean(b, x, x, axes, True))
        apart = b.where(nan, b.tensor(0.0, x.dtype), apart)
        total = b.reduce("add", b.multiply(apart, apart), axes, keepdims)
        freedom = b.subtract(_numbers(b, x, axes, keepdims), b.tensor(float(ddof), x.dtype))
        spent = b.less_equal(freedom, b.tensor(0.0, x.dtype))
        variance = b.where(spent, b.tensor(math.nan, x.dtype), b.divide(total, freedom))
        return b.sqrt(variance) if root else variance

    return lower


# ---- log Σ exp --------------------------------------------------------------------------------


def lower_log_sum(exp: str, log: str) -> Rule:
    """logaddexp.reduce: top + log Σ exp(x − top); entries at an infinite top count as 0."""

    def lower(b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        x = b.cast(x, out.dtype)
        if x.size == 0:
            return b.const(-math.inf, x.kind, out.shape)
        if not axes:
            return x
        top = b.reduce("max", x, axes, keepdims=True)
        shifted = b.where(b.equal(x, top), b.tensor(0.0, x.dtype), b.subtract(x, top))
        total = b.reduce("add", b.map(exp, shifted), axes, keepdims=True)
        return b.reshape(b.add(top, b.map(log, total)), out.shape)

    return lower


# ---- integer and boolean results --------------------------------------------------------------


def _over(x: Any, axis: Any, keepdims: Any) -> tuple[tuple[int, ...], bool]:
    return normalise_axes(axis, x.ndim), keepdims is not np._NoValue and bool(keepdims)


def _lower_logic(how: str) -> Rule:
    def lower(
        b: Any,
        out: Any,
        x: Any,
        *mask: Any,
        names: Any,
        axis: Any = None,
        keepdims: Any = False,
        where: Any = True,
    ) -> Any:
        x = b.tensor(x, bool)
        mask = b.tensor(mask[0] if mask else where, bool)
        x = b.logical_and(x, mask) if how == "or" else b.logical_or(x, b.logical_not(mask))
        return b.reduce(how, x, *_over(x, axis, keepdims))

    return lower


lower_any = _lower_logic("or")
lower_all = _lower_logic("and")


def lower_count_nonzero(
    b: Any, out: Any, x: Any, names: Any, axis: Any = None, keepdims: Any = False
) -> Any:
    """How many entries are not 0."""
    x = b.cast(b.tensor(x, bool), out.dtype)
    return b.reduce("add", x, *_over(x, axis, keepdims))


def lower_best_place(how: str) -> Rule:
    """argmax and argmin: the first place where the largest (or NaN) is."""

    def lower(b: Any, out: Any, x: Any, names: Any, axis: Any = None, keepdims: Any = False) -> Any:
        x = b.tensor(x)
        if axis is None:
            x, axis = b.reshape(x, (x.size,)), 0
        if x.kind == "i1":
            x = b.cast(x, np.int8)
        if x.ndim == 0 or x.size == 0:
            return b.const(0, "i64", out.shape)
        axes, keepdims = _over(x, axis, keepdims)
        hit = b.equal(x, b.reduce(how, x, axes, keepdims=True))
        if x.kind[0] == "f":
            hit = b.logical_or(hit, b.isnan(x))
        n = x.shape[axes[0]]
        places = b.iota([n if k == axes[0] else 1 for k in range(x.ndim)], axes[0])
        found = b.reduce("min", b.where(hit, places, b.tensor(n, np.int64)), axes)
        return b.reshape(found, out.shape)

    return lower
