"""Local Jacobians on the explorer's page: numbers, entries of small ones, pictures of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import DtypeError, SizeLimitError
from thalweg.jacobian.coordinates import Coordinates
from thalweg.jacobian.structure import LocalJacobian
from thalweg.report.describe import number
from thalweg.report.page_values import Detail, pack
from thalweg.report.record import TraceNode

__all__ = ["MOST_ENTRIES", "Matrices", "local_data", "spy"]

#: Entries of a local Jacobian that the page has one by one, by how many fit.
MOST_ENTRIES = 512
_LEVELS = (MOST_ENTRIES, 128, 32, 8)
#: Characters of an entry with its row and column, and of all of them together.
_ENTRY, _BUDGET = 27, 700_000
#: Rows and columns of a picture; pictures in a page.
_CELLS, _PICTURES = 32, 600
#: Entries of one that is drawn, and of all together: they are all looked at.
_DRAWN, _ALL_DRAWN = 400_000, 4_000_000
#: Columns up to which one that is given by functions is asked for its entries.
_ASKED = 64


class Matrices:
    """Which local Jacobians of a trace the page has as matrices, and which as pictures."""

    def __init__(self, nodes: Sequence[TraceNode]) -> None:
        counts = [
            count
            for node in nodes
            for edge in node.inputs
            if edge.local is not None and (count := _count(edge.local)) is not None
        ]
        fitting = (
            level
            for level in _LEVELS
            if sum(count for count in counts if count <= level) * _ENTRY <= _BUDGET
        )
        #: Entries up to which one is there as a whole.
        self.limit = next(fitting, 0)
        self.pictures = _PICTURES
        self.entries = _ALL_DRAWN

    def drawn(self, count: int) -> bool:
        """Whether there is room for the picture of one with so many entries; it is taken then."""
        if count > min(_DRAWN, self.entries) or not self.pictures:
            return False
        self.entries -= count
        self.pictures -= 1
        return True


def _count(local: LocalJacobian) -> int | None:
    """How many entries it would be written with; None where it has one, or is unknown."""
    m, n = local.shape
    if m * n < 2 or (local.opaque and n > _ASKED):
        return None
    try:
        return local.nnz
    except SizeLimitError:
        return None


def local_data(local: LocalJacobian, detail: Detail, matrices: Matrices) -> dict[str, Any]:
    """The size, where it is not a single float64; the numbers, where it holds some."""
    data: dict[str, Any] = {}
    single = local.number
    if single is not None:
        data["local"] = pack(single, detail)
    elif isinstance(local.entries, np.ndarray | np.generic | int | float | complex):
        data["entries"] = pack(local.entries, detail)
    if local.shape == (1, 1):
        return data
    try:
        nnz = local.nnz
    except SizeLimitError:
        nnz = None
    data["size"] = [*local.shape, nnz, local.nbytes]
    count = _count(local)
    if count is None:
        return data
    small = count <= matrices.limit
    if not small and not matrices.drawn(count):
        return data
    try:
        found = local.triplets()
    except (DtypeError, SizeLimitError):  # linear over the reals only; a long product
        return data
    if small and found.entries.dtype.kind in "biuf" and len(found.rows) <= 2 * matrices.limit:
        ones = bool((found.entries == 1).all())
        data["matrix"] = [found.rows.tolist(), found.columns.tolist()]
        if not ones:
            data["matrix"].append([number(float(x)) for x in found.entries])
    elif not small:
        data["spy"] = spy(found, local.shape)
    return data


def spy(found: Coordinates, shape: tuple[int, int]) -> dict[str, Any]:
    """Where the non-zeros are: a small matrix of hexadecimal digits, 0 none, f all of the cell."""
    m, n = shape
    rows, columns = min(m, _CELLS), min(n, _CELLS)
    cells = np.zeros(rows * columns)
    np.add.at(cells, found.rows * rows // m * columns + found.columns * columns // n, 1.0)
    heights = np.bincount(np.arange(m) * rows // m, minlength=rows)
    widths = np.bincount(np.arange(n) * columns // n, minlength=columns)
    full = np.outer(heights, widths).ravel()
    digits = np.where(cells > 0, np.clip(np.ceil(15 * cells / full), 1, 15), 0).astype(int)
    return {"rows": rows, "cells": "".join(f"{digit:x}" for digit in digits)}
