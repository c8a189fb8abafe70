"""Banded, Toeplitz and circulant matrices: terms whose entries lie along diagonals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.jacobian.terms import Term

__all__ = ["Band", "band_of", "band_of_matrix"]

#: Entries that are looked at to give a structure its name.
_MOST = 2_000_000
#: Diagonals between which the columns of one term change, as where an edge is different.
_MOST_MET = 4
_NAMES = {(-1, 1): "tridiagonal", (-2, 2): "pentadiagonal"}


class Band(NamedTuple):
    """Diagonals side by side.

    Attributes
    ----------
    low, high : int
        Column minus row: of the lowest and the highest diagonal.
    form : str
        ``"banded"``; ``"Toeplitz"``: each diagonal has one number; ``"circulant"``: and goes on at
        the other side.
    """

    low: int
    high: int
    form: str

    @property
    def kind(self) -> str:
        """``"tridiagonal"``, ``"banded"``, ``"Toeplitz"``, …"""
        if self.form == "banded":
            return _NAMES.get((self.low, self.high), "banded")
        return self.form

    @property
    def text(self) -> str:
        """Its width in words."""
        if self.form == "circulant":
            return f"{self.high - self.low + 1} diagonals that go round, one number each"
        sides = [f"{-self.low:,} below"] if self.low < 0 else []
        sides += [f"{self.high:,} above"] if self.high > 0 else []
        width = " and ".join(sides) or "one diagonal"
        return f"{width}, one number for each diagonal" if self.form == "Toeplitz" else width


def band_of(terms: Sequence[Term], m: int, n: int) -> Band | None:
    """The band that the terms fill, if all of them lie along diagonals that are side by side."""
    if any(term.rows is not None or term.inner or term.supports for term in terms):
        return None
    if sum(math.prod(term.shape) for term in terms) > _MOST or not m or not n:
        return None
    for term in terms:
        along = [i for i in range(term.extra, len(term.shape)) if term.shape[i] > 1]
        if along and not any(map(term.columns.varies, along)):
            return None  # each line of it stands in one column
    numbers = [np.reshape(term.columns.numbers(), (-1, m)) for term in terms]
    offsets: dict[int, bool] = {}
    for term, columns in zip(terms, numbers, strict=True):
        constant = not _varies(term)
        met = _diagonals(columns, n)
        if met is None:
            return None
        for offset, full in met:
            offsets[offset] = constant and full and offsets.get(offset, True)
    if _side_by_side(offsets) and len(offsets) < max(m, n):
        form = "Toeplitz" if all(offsets.values()) else "banded"
        return Band(min(offsets), max(offsets), form)
    if m == n and not any(map(_varies, terms)):
        return _circulant(numbers, n)
    return None


def band_of_matrix(matrix: Any) -> Band | None:
    """The band that the entries of a CSR array fill without gaps; its numbers are not looked at."""
    m, n = matrix.shape
    if not matrix.nnz or matrix.nnz > _MOST:
        return None
    rows = np.repeat(np.arange(m), np.diff(matrix.indptr))
    offsets = set(np.unique(matrix.indices - rows).tolist())
    if not _side_by_side(offsets) or len(offsets) >= max(m, n):
        return None
    if matrix.nnz < sum(min(m, n - k) - max(0, -k) for k in offsets):
        return None
    return Band(min(offsets), max(offsets), "banded")


def _varies(term: Term) -> bool:
    """Whether its values vary from row to row."""
    return any(n != 1 for f in term.factors for n in f.values.shape[term.extra :])


def _diagonals(columns: Any, n: int) -> list[tuple[int, bool]] | None:
    """The diagonals that each line of column numbers meets, and whether it has all their entries;
    None where one meets many."""
    made = []
    rows = np.arange(columns.shape[1])
    for line in columns:
        there = line >= 0
        met = np.unique((line - rows)[there]).tolist()
        if len(met) > _MOST_MET:
            return None
        for offset in met:
            inside = (rows + offset >= 0) & (rows + offset < n)
            made.append((offset, len(met) == 1 and bool(np.array_equal(there, inside))))
    return made


def _side_by_side(offsets: Any) -> bool:
    return bool(offsets) and max(offsets) - min(offsets) + 1 == len(set(offsets)) > 1


def _circulant(numbers: Sequence[Any], n: int) -> Band | None:
    rows = np.arange(n)
    offsets = set()
    for line in (line for columns in numbers for line in columns):
        if (line < 0).any():
            return None
        steps = (line - rows) % n
        if (steps != steps[0]).any():
            return None
        offset = int(steps[0])
        offsets.add(offset - n if 2 * offset > n else offset)
    return Band(min(offsets), max(offsets), "circulant") if _side_by_side(offsets) else None
