"""The sparse form of terms: where each entry goes in SciPy's CSR arrays, apart from the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.jacobian.terms import Term, flat_entries
from thalweg.ops.index import add_at, getitem
from thalweg.ops.shape import astype

__all__ = ["Layout", "arranged", "cut", "data_of", "layout_at", "layout_of", "mirrored"]


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
    beside : tuple of int, or None
        The terms in this order, side by side: row by row, the entries stand where they belong. Then
        `kept` is a slice, and the rest None.
    mirror : array or None
        Of a symmetric matrix whose entries are those on and above the diagonal: for each number of
        the data the entry of the half that it is.
    """

    indptr: Any
    indices: Any
    kept: Any
    order: Any
    places: Any
    beside: tuple[int, ...] | None = None
    mirror: Any = None

    def __eq__(self, other: object) -> bool:
        return type(other) is Layout and all(map(np.array_equal, self, other))

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
    beside = _beside(terms, [c for _, c, _ in found], m, n)
    if beside is not None:
        return beside
    rows = np.concatenate([r.reshape(-1) for r, _, _ in found])
    columns = np.concatenate([c.reshape(-1) for _, c, _ in found])
    has_holes = any(term.columns.has_holes or term.supports for term in terms)
    return layout_at(rows, columns, m, n, has_holes)


def _beside(terms: Sequence[Term], columns: Sequence[Any], m: int, n: int) -> Layout | None:
    """The layout of diagonals side by side, as those of a band are; None where they are not."""
    plain = all(not term.extra and term.rows is None and not term.supports for term in terms)
    if not plain or len(terms) < 2 or m < 3:
        return None
    places = np.stack([c.reshape(-1) for c in columns], 1)
    order = np.argsort(places[m // 2], kind="stable")
    places = places[:, order].reshape(-1)
    there = np.flatnonzero(places >= 0)
    first, last = (int(there[0]), int(there[-1]) + 1) if there.size else (0, 0)
    if last - first != there.size:  # holes between them
        return None
    rows, places = np.arange(m).repeat(len(terms))[first:last], places[first:last]
    keys = rows * n + places
    if not np.all(keys[1:] > keys[:-1]):
        return None
    kept = slice(first, last)
    layout = layout_at(rows, places, m, n)
    return layout._replace(kept=kept, beside=tuple(order.tolist()))


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
    """The data of the sparse form: values, or a node where the factors are nodes.

    Where the layout has terms `beside` each other it is a table, for `cut` to read row by row.
    """
    if not terms:
        return np.zeros(0, dtype)
    if layout.beside is not None:
        columns = [_column(terms[k]) for k in layout.beside]
        table: Any = np.stack(columns, 1)
        return astype(table, dtype) if table.dtype != dtype else table
    parts = [_column(term) for term in terms]
    flat: Any = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return arranged(flat, layout, dtype)


def _column(term: Term) -> Any:
    values = flat_entries(term)[2]
    return np.reshape(values, (math.prod(values.shape),))


def cut(data: Any, layout: Layout) -> Any:
    """The numbers of the CSR array: a view."""
    return data if layout.beside is None else data.reshape(-1)[layout.kept]


def arranged(flat: Any, layout: Layout, dtype: Any) -> Any:
    """The data from the values of all entries in order."""
    if layout.kept is not None:
        flat = getitem(flat, (layout.kept,))
    if layout.order is not None:
        flat = getitem(flat, (layout.order,))
    if layout.places is not None:
        count = int(layout.places.max()) + 1
        flat = add_at(np.zeros(count, flat.dtype), (layout.places,), flat)
    if layout.mirror is not None:
        flat = getitem(flat, (layout.mirror,))
    return astype(flat, dtype) if flat.dtype != dtype else flat


def mirrored(half: Layout) -> Layout:
    """The layout of the whole symmetric matrix from that of what is on and above the diagonal."""
    n = len(half.indptr) - 1
    rows = np.repeat(np.arange(n), np.diff(half.indptr))
    off = np.flatnonzero(rows != half.indices)
    number = np.concatenate([np.arange(half.nnz), off])
    across = np.concatenate([half.indices, rows[off]])
    down = np.concatenate([rows, half.indices[off]])
    whole = layout_at(down, across, n, n)
    mirror = number if whole.order is None else number[whole.order]
    return half._replace(indptr=whole.indptr, indices=whole.indices, mirror=mirror)
