"""The sparse form of terms: where each entry goes in SciPy's CSR arrays, apart from the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.jacobian.terms import Term, flat_entries
from thalweg.ops.index import add_at, getitem
from thalweg.ops.shape import astype

__all__ = ["Layout", "arranged", "data_of", "layout_at", "layout_of"]


class Layout(NamedTuple):
    """CSR index arrays, and the way of the terms' entries into the data.

    Attributes
    ----------
    indptr, indices : arrays
        As in ``scipy.sparse.csr_array``; columns ascend in each row, none twice.
    kept : array or None
        The entries that are there, of all entries of all terms in order (None: all).
    order : array or None
        For each number of the data the entry that it is (None: in order, or `places`).
    places : array or None
        Where entries share a position: the place of each kept entry in the data.
    """

    indptr: Any
    indices: Any
    kept: Any
    order: Any
    places: Any

    @property
    def nnz(self) -> int:
        return int(self.indices.size)


def layout_of(terms: Sequence[Term], m: int, n: int) -> Layout:
    """The layout of the sum of the terms, an m × n matrix.

    Raises
    ------
    UnstructuredError
        If too many entries would have to be written out.
    """
    if not terms:
        return layout_at(np.zeros(0, np.intp), np.zeros(0, np.intp), m, n)
    found = [flat_entries(term._replace(scale=1.0, factors=())) for term in terms]
    rows = np.concatenate([r.reshape(-1) for r, _, _ in found])
    columns = np.concatenate([c.reshape(-1) for _, c, _ in found])
    has_holes = any(term.columns.has_holes or term.supports for term in terms)
    return layout_at(rows, columns, m, n, has_holes)


def layout_at(rows: Any, columns: Any, m: int, n: int, has_holes: bool = False) -> Layout:
    """The layout of entries in these places; where there may be holes, a column of −1 is one."""
    kept: Any = None
    if has_holes:
        kept = np.flatnonzero(columns >= 0)
        rows, columns = rows[kept], columns[kept]
    keys = rows * n + columns
    order = places = None
    if keys.size and not np.all(keys[1:] > keys[:-1]):
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        new = np.ones(keys.size, bool)
        new[1:] = keys[1:] != keys[:-1]
        if new.all():
            rows, columns = rows[order], columns[order]
            if kept is not None:
                order, kept = kept[order], None
        else:
            places = np.empty(keys.size, np.intp)
            places[order] = np.cumsum(new) - 1
            first = order[new]
            rows, columns, order = rows[first], columns[first], None
    small = max(m, n, rows.size) < 2**31
    indptr = np.zeros(m + 1, np.int32 if small else np.int64)
    np.cumsum(np.bincount(rows, minlength=m), out=indptr[1:])
    return Layout(indptr, columns.astype(indptr.dtype), kept, order, places)


def data_of(terms: Sequence[Term], layout: Layout, dtype: Any) -> Any:
    """The data of the sparse form: values, or a node where the factors are nodes."""
    if not terms:
        return np.zeros(0, dtype)
    parts = []
    for term in terms:
        values = flat_entries(term)[2]
        parts.append(np.reshape(values, (math.prod(values.shape),)))
    flat: Any = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return arranged(flat, layout, dtype)


def arranged(flat: Any, layout: Layout, dtype: Any) -> Any:
    """The data from the values of all entries in order."""
    if layout.kept is not None:
        flat = getitem(flat, (layout.kept,))
    if layout.order is not None:
        flat = getitem(flat, (layout.order,))
    if layout.places is not None:
        flat = add_at(np.zeros(layout.nnz, flat.dtype), (layout.places,), flat)
    return astype(flat, dtype) if flat.dtype != dtype else flat
