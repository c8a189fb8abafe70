"""What a sum of terms is called: a kind, a sentence, and the same for each part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from thalweg.jacobian.bands import band_of
from thalweg.jacobian.terms import Term

__all__ = ["Structure", "describe"]


class Structure(NamedTuple):
    """The structure of a Jacobian.

    Attributes
    ----------
    kind : str
        Such as ``"diagonal"``, ``"kronecker"``, ``"tridiagonal"``, ``"sum of 5 index maps"``.
    text : str
        A sentence.
    parts : tuple of Structure
        The terms of a sum.
    """

    kind: str
    text: str
    parts: tuple[Structure, ...] = ()

    def __str__(self) -> str:
        lines = [self.text]
        lines += [f"  {k + 1}. {part.text}" for k, part in enumerate(self.parts)]
        return "\n".join(lines)


class _Axes(NamedTuple):
    """The axes of a term by what they number."""

    shared: list[int]  # rows and columns
    rows: list[int]
    columns: list[int]
    inner: list[int]


def _axes(term: Term) -> _Axes:
    axes = _Axes([], [], [], [])
    for i, n in enumerate(term.shape):
        if n == 1:
            continue
        follows = term.columns.varies(i)
        if i >= term.extra:
            (axes.shared if follows else axes.rows).append(i)
        else:
            (axes.columns if follows else axes.inner).append(i)
    return axes


def _varying(term: Term) -> list[set[int]]:
    """For each factor the axes that it varies along."""
    return [{i for i, n in enumerate(f.values.shape) if n != 1} for f in term.factors]


def _joined(term: Term, axes: _Axes) -> tuple[bool, int]:
    """Whether factors lead from the rows' axes to the columns', and the size of inner axes met."""
    reached = set(axes.rows)
    inner = set(axes.inner)
    groups = [group - set(axes.shared) for group in _varying(term)]
    for group in groups:
        if group & set(axes.rows) and group & set(axes.columns):
            return True, 0
    growing = True
    while growing:
        growing = False
        for group in groups:
            if group & reached and not group <= reached:
                reached |= group
                growing = True
    met = [term.shape[i] for i in inner & reached]
    narrow = min(met, default=0)
    return bool(reached & set(axes.columns)), narrow


def _of_term(term: Term, m: int, n: int) -> Structure:
    if term.rows is not None:
        count = term.rows.size
        inner = _of_term(term._replace(rows=None), count, n)
        where = "one row" if count == 1 else f"{count:,} rows"
        return Structure("rows", f"{where} of {m:,}: {inner.text}")
    if term.supports:
        inner = _of_term(term._replace(supports=()), m, n)
        return inner._replace(text=f"{inner.text}, less its constant zeros")
    axes = _axes(term)
    size = f"{m:,} × {n:,}"
    varying: set[int] = set().union(*_varying(term)) if term.factors else set()
    if term.columns.base is None and axes.shared and not axes.columns:
        return _index_map(term, size, bool(varying & {*axes.shared, *axes.rows}))
    if not axes.rows and not axes.columns:
        return _one_a_row(term, m, n, size, bool(varying & set(axes.shared)))
    block_rows = math.prod(term.shape[i] for i in axes.rows)
    block_columns = math.prod(term.shape[i] for i in axes.columns)
    copies = math.prod(term.shape[i] for i in axes.shared)
    block = f"{block_rows:,} × {block_columns:,}"
    if not axes.shared:
        return _full(term, axes, size)
    if not term.columns.distinct([*axes.shared, *axes.columns]):
        return Structure("overlapping blocks", f"{copies:,} overlapping blocks of {block}")
    if varying & set(axes.shared):
        text = f"block-diagonal {size}: {copies:,} blocks of {block}"
        return Structure("block diagonal", text)
    if block_rows == 1:
        what = f"one copy of a row of {block_columns:,} numbers for each of {copies:,} rows"
        return Structure("kronecker", f"Kronecker product I({copies:,}) ⊗ row {size}: {what}")
    if block_columns == 1:
        what = f"one copy of a column of {block_rows:,} numbers for each of {copies:,} columns"
        return Structure("kronecker", f"Kronecker product I({copies:,}) ⊗ column {size}: {what}")
    text = _order_of(term, axes, f"I({copies:,})", f"block of {block}")
    return Structure("kronecker", f"Kronecker product {size}: {text}")


def _order_of(term: Term, axes: _Axes, identity: str, block: str) -> str:
    """Which of the two runs slower, in rows and columns alike."""
    steps = term.columns.array.strides
    shared = [steps[i] for i in axes.shared]
    others = [steps[i] for i in axes.columns]
    if min(shared) > max(others) and max(axes.shared) < min(axes.rows):
        return f"{identity} ⊗ {block}"
    if max(shared) < min(others) and min(axes.shared) > max(axes.rows):
        return f"{block} ⊗ {identity}"
    return f"{identity} and {block}, in another order of rows or columns"


def _index_map(term: Term, size: str, varies: bool) -> Structure:
    times = "a diagonal times an index map" if varies else "an index map"
    return Structure("gather", f"{times}, {size}: at most one entry a row")


def _one_a_row(term: Term, m: int, n: int, size: str, varies: bool) -> Structure:
    axes = range(len(term.shape))
    if m == n and term.columns.is_identity():
        if varies:
            return Structure("diagonal", f"diagonal {size}: {m:,} numbers")
        if type(term.scale) is float and term.scale == 1.0 and not term.factors:
            return Structure("identity", f"the identity of {m:,}")
        return Structure("scale", f"one number times the identity of {m:,}")
    kind = "permutation" if m == n and term.columns.distinct(axes) else "selection"
    times = "a diagonal times " if varies else ""
    return Structure("gather" if varies else kind, f"{times}a {kind}, {size}: one entry a row")


def _full(term: Term, axes: _Axes, size: str) -> Structure:
    joined, narrow = _joined(term, axes)
    if not joined and axes.rows and axes.columns:
        return Structure("low rank", f"rank one, {size}: a column times a row")
    rows = math.prod(term.shape[i] for i in axes.rows)
    columns = math.prod(term.shape[i] for i in axes.columns)
    if narrow and 2 * narrow < min(rows, columns):
        return Structure("low rank", f"rank {narrow:,} or less, {size}")
    if axes.inner:
        return Structure("product", f"a product of {len(term.factors)} factors, {size}, kept apart")
    return Structure("dense", f"dense {size}")


_DIAGONALS = frozenset(("identity", "scale", "diagonal"))
_ENTRIES = frozenset((*_DIAGONALS, "gather", "selection", "permutation"))
#: What may be a band, as it is looked at entry by entry.
_PERHAPS_BANDS = frozenset(("overlapping blocks", "dense"))
#: Kinds that a sum is called after; of more only their number.
_MOST_NAMES = 3


def describe(terms: Sequence[Term], m: int, n: int, symmetric: bool = False) -> Structure:
    """The structure of the sum of the terms, an m × n matrix."""
    parts = tuple(_of_term(term, m, n) for term in terms)
    size = f"{m:,} × {n:,}"
    if not parts:
        return Structure("zero", f"zero, {size}")
    band = None
    kinds = [part.kind for part in parts]
    if all(kind in _ENTRIES for kind in kinds) if len(parts) > 1 else kinds[0] in _PERHAPS_BANDS:
        band = band_of(terms, m, n)
    if band is not None:
        found = Structure(band.kind, f"{band.kind} {size}: {band.text}", parts)
    elif len(parts) == 1:
        found = parts[0]
    else:
        if all(kind in _ENTRIES for kind in kinds):
            name = f"sum of {len(parts)} index maps"
            text = f"{name}, {size}: at most {len(parts)} entries a row"
        elif all(kind in _DIAGONALS or kind == "low rank" for kind in kinds):
            name = "diagonal + low rank"
            text = f"{name}, {size}"
        else:
            names = list(dict.fromkeys(kinds))
            name = f"sum of {len(parts)}"
            text = f"{name} terms, {size}: {', '.join(names)}"
            if len(names) <= _MOST_NAMES:
                name = " + ".join(names)
        found = Structure(name, text, parts)
    return found._replace(text=f"symmetric: {found.text}") if symmetric else found
