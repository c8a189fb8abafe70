"""NumPy functions that call a function of the user: it gets handles, as anywhere else."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.array_methods import ArrayMethods

__all__ = ["CALLBACKS"]


def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """As `numpy.piecewise`."""
    many = isinstance(condlist, (list, tuple, np.ndarray)) and len(np.shape(condlist[0])) > 0
    if x.ndim == 0 and isinstance(condlist, (list, tuple)):
        many = True
    conditions = [_boolean(c) for c in (condlist if many else [condlist])]
    if len(funclist) == len(conditions) + 1:
        conditions.append(np.logical_not(functools.reduce(np.logical_or, conditions)))
    if len(funclist) != len(conditions):
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or "
            f"{len(conditions) + 1} functions are expected"
        )
    y = np.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            y[condition] = function
        elif (chosen := x[condition]).size > 0:
            y[condition] = function(chosen, *args, **kw)
    return y


def _boolean(condition: Any) -> Any:
    if isinstance(condition, ArrayMethods):
        return condition if condition.dtype == np.bool_ else np.not_equal(condition, 0)
    return np.asarray(condition, bool)


def _apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kw: Any
) -> Any:
    """As `numpy.apply_along_axis`."""
    axis = np.lib.array_utils.normalize_axis_index(axis, arr.ndim)
    last = np.moveaxis(arr, axis, -1)
    outer = last.shape[:-1]
    if math.prod(outer) == 0:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [func1d(last[position], *args, **kw) for position in np.ndindex(*outer)]
    stacked = np.stack([x if isinstance(x, ArrayMethods) else np.asarray(x) for x in results])
    inner = stacked.ndim - 1
    shaped = np.reshape(stacked, outer + stacked.shape[1:])
    # The axes of a result stand where the axis was.
    source = tuple(range(len(outer), len(outer) + inner))
    return np.moveaxis(shaped, source, tuple(range(axis, axis + inner)))


def _apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """As `numpy.apply_over_axes`."""
    ndim = a.ndim
    for axis in np.ravel(axes):
        axis = int(axis) % ndim
        result = func(a, axis)
        a = result if result.ndim == ndim else np.expand_dims(result, axis)
        if a.ndim != ndim:
            raise ValueError("function is not returning an array of the correct shape")
    return a


#: NumPy function → its implementation over handles.
CALLBACKS: dict[Any, Callable[..., Any]] = {
    np.piecewise: _piecewise,
    np.apply_along_axis: _apply_along_axis,
    np.apply_over_axes: _apply_over_axes,
}
