"""Which axes a reduction goes over."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["count", "normalise_axes", "over_axes"]


def normalise_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """axis=None | int | tuple as a sorted tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if ndim == 0 and axes in ((0,), (-1,)):  # NumPy lets a number be reduced over its "axis"
        return ()
    return tuple(sorted(np.lib.array_utils.normalize_axis_tuple(axes, ndim)))


def over_axes(axes: tuple[int, ...], ndim: int) -> tuple[int, ...] | None:
    """`axes` for a NumPy call: None where they are all."""
    return None if len(axes) == ndim else axes


def count(x: Any, axes: tuple[int, ...]) -> int:
    """How many entries are reduced to one."""
    return math.prod(x.shape[axis] for axis in axes)
