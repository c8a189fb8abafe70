"""Values on the explorer's page: numbers, whole small arrays, pictures of large ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from thalweg.report.describe import number
from thalweg.report.numbers import summarise

__all__ = ["Detail", "choose_detail", "heat_map", "histogram", "pack"]

#: Characters that one number of an array takes on the page, about.
_NUMBER = 19
_SUMMARY = 90
_BINS = 24
#: Above it the range of an array may overflow.
_HUGE = 1e307
#: Rows and columns of a heat map.
_CELLS = 24
#: Characters that all arrays of a page may take together: the rest of 5 MB is the graph.
_BUDGET = 1_800_000


class Detail(NamedTuple):
    """How much of an array goes to the page: all up to `limit` entries, else a summary.

    With `pictures` a summary has a histogram and a heat map.
    """

    limit: int
    pictures: bool


_LEVELS = tuple(Detail(n, n >= 64) for n in (1024, 256, 64, 16, 6, 1))


def choose_detail(sizes: Iterable[int]) -> Detail:
    """The most detail with which arrays of these sizes stay within a page of 5 MB."""
    counted = [size for size in sizes if size > 1]
    picture = 2 * _CELLS * _CELLS + 5 * _BINS
    for detail in _LEVELS:
        large = _SUMMARY + (picture if detail.pictures else 0)
        needed = sum(n * _NUMBER if n <= detail.limit else large for n in counted)
        if needed <= _BUDGET:
            break
    return detail


def pack(value: Any, detail: Detail) -> Any:
    """A value as plain data (docs/explorer.md has the form): a bare number for a float64."""
    if value is None:
        return None
    if type(value) is tuple:
        return {"parts": [pack(part, detail) for part in value]}
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":  # an option: a name, an axis
        return {"text": str(value)[:80]}
    if array.ndim == 0 and array.dtype == np.float64:
        return number(float(array))
    packed: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    if array.size <= detail.limit:
        packed["data"] = [number(x) for x in array.ravel().tolist()]
        return packed
    low, mean, high, nan, inf = summarise(array)
    packed["summary"] = [low, None if mean is None else number(mean), high, nan, inf]
    if detail.pictures:
        reals = np.abs(array) if array.dtype.kind == "c" else array
        packed["histogram"] = histogram(reals)
        packed["heat"] = heat_map(reals)
    return packed


def histogram(array: np.ndarray[Any, Any]) -> list[int]:
    """Counts of the finite entries in equal steps from the least to the greatest."""
    values = array[np.isfinite(array)].astype(np.float64)
    if not values.size:
        return []
    if np.abs(values).max() > _HUGE:
        values = values / 4
    low, high = values.min(), values.max()
    if low == high:
        return [int(values.size)]
    steps = np.minimum(((values - low) / (high - low) * _BINS).astype(int), _BINS - 1)
    return [int(count) for count in np.bincount(steps, minlength=_BINS)]


def heat_map(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The array as a small matrix of bytes in hexadecimal: 01 … ff from −m to m, 80 is 0, 00 NaN.

    m is the greatest modulus; a cell is the mean of the entries that fall into it.
    """
    matrix = array.reshape(-1, array.shape[-1]).astype(np.float64)
    finite = np.isfinite(matrix)
    greatest = float(np.abs(matrix[finite]).max()) if finite.any() else 0.0
    scaled = matrix / greatest if greatest else np.where(finite, 0.0, np.nan)
    scaled = np.where(np.isnan(scaled), np.nan, np.clip(scaled, -1.0, 1.0))
    for axis in (0, 1):
        length = scaled.shape[axis]
        parts = min(length, _CELLS)
        starts = np.arange(parts) * length // parts
        counts = np.diff(np.append(starts, length))
        shape = (-1, 1) if axis == 0 else (1, -1)
        scaled = np.add.reduceat(scaled, starts, axis=axis) / counts.reshape(shape)
    cells = np.where(np.isnan(scaled), 0, np.rint(128 + 127 * scaled)).astype(np.uint8)
    return {"rows": cells.shape[0], "max": greatest, "cells": cells.tobytes().hex()}
