"""Colourings of sparse patterns: which columns (rows) can share a product with the matrix.

A product with the sum of some columns' unit vectors gives all their entries at once where no two of
them meet in a row. Colours are groups of columns (rows); as many products are needed as colours.

- `columns`, `rows`: groups whose members have no row (column) in common. Distance-1 colouring of
  the intersection graph, found on the bipartite graph as a partial distance-2 colouring.
- `bidirectional`: some entries by rows, the others by columns: for patterns with a few full rows
  and columns. A star bicolouring of the bipartite graph.

`thalweg.jacobian.colour_symmetric` has those of symmetric patterns. All are greedy and take time
linear in the entries, times the length of a set of colours, which is an integer of as many bits.
Lines without entries have colour −1: they need no product.

References
----------
- A. H. Gebremedhin, F. Manne, A. Pothen, "What color is your Jacobian? Graph coloring for computing
  derivatives", SIAM Review 47 (2005).
- T. F. Coleman, A. Verma, "The efficient computation of sparse Jacobian matrices using automatic
  differentiation", SIAM Journal on Scientific Computing 19 (1998).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from thalweg.errors import ShapeError, SizeLimitError
from thalweg.jacobian.orders import arrange

__all__ = [
    "Bicolouring",
    "Colouring",
    "alone",
    "best",
    "bidirectional",
    "canonical",
    "columns",
    "counted",
    "filled",
    "fullest",
    "in_turn",
    "numbered",
    "row_numbers",
    "rows",
    "without_diagonal",
]

#: Edges of an intersection graph that are written out at most (about a second and 0.3 GB).
_MOST_EDGES = 20_000_000
#: Up to as many entries, several orders are tried and the best is taken.
_FEW = 200_000
#: Numbers of colours in turn that are tried, from the fewest that there can be.
_TURNS = 8


@dataclass(frozen=True)
class Colouring:
    """A colour for each column (row, vertex): an array of int, −1 where none is needed."""

    colours: Any
    count: int


@dataclass(frozen=True)
class Bicolouring:
    """Rows and columns with colours of their own; −1 where the others give all the entries."""

    rows: Colouring
    columns: Colouring

    @property
    def count(self) -> int:
        """Products in both directions together."""
        return self.rows.count + self.columns.count


def canonical(pattern: Any) -> Any:
    """The pattern as a CSR array of ones, sorted, each place once; stored zeros count.

    Parameters
    ----------
    pattern : sparse array or matrix, or array_like, of two axes

    Returns
    -------
    scipy.sparse.csr_array of int32

    Raises
    ------
    ShapeError
        Where it has not two axes.
    """
    if not sparse.issparse(pattern):
        pattern = np.asarray(pattern)
    if pattern.ndim != 2:
        raise ShapeError(f"a pattern has two axes; this one has shape {pattern.shape}")
    found = sparse.coo_array(pattern)
    ones = np.ones(found.nnz, np.int32)
    made = sparse.csr_array((ones, (found.row, found.col)), shape=found.shape)
    made.sum_duplicates()
    made.data[:] = 1
    return made


# ---- columns and rows ---------------------------------------------------------------------


def columns(pattern: Any, order: str | None = None) -> Colouring:
    """Colour the columns so that no two of one colour have entries in the same row.

    Parameters
    ----------
    pattern : sparse array or array_like, shape (m, n)
        Stored entries count, whatever their values.
    order : str, optional
        One of `thalweg.jacobian.orders.ORDERS`. By default the first that is as good as can be: as
        many colours as the fullest row has entries; otherwise the best of several.

    Returns
    -------
    Colouring
        of n columns.

    Raises
    ------
    ShapeError
        For a pattern that has not two axes.
    SizeLimitError
        Where the order needs an intersection graph of too many edges.

    Notes
    -----
    Gebremedhin, Manne, Pothen (2005), algorithm 3.2, with a set of colours for each row.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from thalweg.jacobian.colour import columns
    >>> columns(sparse.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(6, 6)))
    Colouring(colours=array([0, 1, 2, 0, 1, 2]), count=3)
    """
    lines = canonical(pattern)
    turned = lines.T.tocsr()
    most = fullest(lines)
    needed = filled(turned)
    turns = in_turn(lines, [most], needed) if order is None else None
    if turns is not None:
        return turns
    found = best(
        order, most, lambda name: _greedy(turned, _order_of_lines(turned, lines, name)), lines.nnz
    )
    if order is None:
        turns = in_turn(lines, range(most + 1, min(found.count, most + _TURNS)), needed)
    return found if turns is None else turns


def rows(pattern: Any, order: str | None = None) -> Colouring:
    """Colour the rows so that no two of one colour have entries in the same column.

    `columns` of the transpose.

    Examples
    --------
    >>> from thalweg.jacobian.colour import rows
    >>> rows([[1, 0, 0], [0, 1, 0], [1, 1, 1]]).colours
    array([0, 0, 1])
    """
    return columns(canonical(pattern).T, order)


def fullest(lines: Any) -> int:
    """Entries of the fullest row."""
    return int(np.diff(lines.indptr).max(initial=0))


def filled(lines: Any) -> Any:
    """For each row, whether it has entries."""
    return np.diff(lines.indptr) > 0


def row_numbers(lines: Any) -> Any:
    """The row of each entry."""
    return np.repeat(np.arange(lines.shape[0]), np.diff(lines.indptr))


def in_turn(lines: Any, counts: Iterable[int], needed: Any) -> Colouring | None:
    """Columns coloured 0, 1, …, k − 1, 0, 1, … where `needed`, for the first k that is valid."""
    own, n = row_numbers(lines), lines.shape[1]
    for k in counts:
        colours = np.arange(n) % max(k, 1)
        if np.all(_times(own * k + colours[lines.indices]) == 1):
            return numbered(np.where(needed, colours, -1))
    return None


def alone(lines: Any, colours: Any) -> Any:
    """For each entry, whether its column has a colour that no other entry of its row has."""
    own = colours[lines.indices] + 1
    places = row_numbers(lines) * (int(own.max(initial=0)) + 1) + own
    return (own > 0) & (_times(places) == 1)


def _times(numbers: Any) -> Any:
    """How often each of the numbers is there."""
    if int(numbers.max(initial=0)) <= 32 * len(numbers):
        return np.bincount(numbers)[numbers]
    _, which, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return counts[which]


def counted(colours: list[int]) -> Colouring:
    """Colours that are 0, 1, … without gaps."""
    return Colouring(np.array(colours, np.intp), max(colours, default=-1) + 1)


def numbered(colours: Any) -> Colouring:
    """Without the colours that nothing has."""
    used, numbers = np.unique(colours[colours >= 0], return_inverse=True)
    made = np.full(len(colours), -1)
    made[colours >= 0] = numbers
    return Colouring(made, len(used))


def best(
    order: str | None, bound: int, colour: Callable[[str], Colouring], entries: int
) -> Colouring:
    """By the order that was asked for; or the best of some, where that does not take long."""
    if order is not None:
        return colour(order)
    found = colour("natural")
    for name in ("largest_first", "smallest_last") if entries <= _FEW else ():
        if found.count <= bound:
            break
        found = min(found, colour(name), key=lambda one: one.count)
    return found


def _order_of_lines(turned: Any, lines: Any, order: str) -> Any:
    """The columns in this order, by their degree in the intersection graph."""
    n = turned.shape[0]
    if order == "natural":
        return arrange(sparse.csr_array((n, n)), order)
    edges = int(np.sum(np.diff(lines.indptr).astype(np.int64) ** 2))
    if edges > _MOST_EDGES:
        raise SizeLimitError(
            f"order {order!r} needs the intersection graph of the {n:,} columns, up to {edges:,} "
            f"edges; the limit is {_MOST_EDGES:,} (a row has {fullest(lines):,} entries). Use "
            "order='natural', or `bidirectional`, which takes the full rows by themselves."
        )
    return arrange(without_diagonal(turned @ turned.T), order)


def without_diagonal(graph: Any) -> Any:
    """A square pattern's graph."""
    found = graph.tocoo()
    kept = found.row != found.col
    ones = np.ones(int(kept.sum()), np.int32)
    return sparse.csr_array((ones, (found.row[kept], found.col[kept])), shape=graph.shape)


def _greedy(lines: Any, order: Iterable[int], wanted: Any = None) -> Colouring:
    """Each line in turn gets the first colour that none of those that it meets has.

    Parameters
    ----------
    lines : csr_array
        The lines to colour; two of them meet where they have a place in common.
    order : iterable of int
    wanted : array of bool, optional
        For each entry, whether it has to be read. Two lines may share a colour where they meet in
        entries that need not be.
    """
    starts, places = lines.indptr.tolist(), lines.indices.tolist()
    wants = None if wanted is None else wanted.tolist()
    colours = [-1] * lines.shape[0]
    has = [0] * lines.shape[1]  # at each place: the colours of lines that have an entry there
    reads = has if wants is None else [0] * lines.shape[1]  # … that has to be read
    for v in map(int, order):
        start, stop = starts[v], starts[v + 1]
        near = places[start:stop]
        taken = 0
        if wants is None:
            if not near:
                continue
            for i in near:
                taken |= has[i]
            bit = ~taken & (taken + 1)
            for i in near:
                has[i] |= bit
        else:
            asked = wants[start:stop]
            if not any(asked):
                continue
            for i, want in zip(near, asked, strict=True):
                taken |= has[i] if want else reads[i]
            bit = ~taken & (taken + 1)
            for i, want in zip(near, asked, strict=True):
                has[i] |= bit
                if want:
                    reads[i] |= bit
        colours[v] = bit.bit_length() - 1
    return counted(colours)


# ---- both directions ----------------------------------------------------------------------


def bidirectional(pattern: Any, order: str | None = None) -> Bicolouring:
    """Colour some rows and some columns so that each entry can be read from one of them.

    Entry (i, j) is read from its column's product where no other column of that colour has an entry
    in row i, or from its row's product where no other row of that colour has one in column j.

    Parameters
    ----------
    pattern : sparse array or array_like, shape (m, n)
    order : str, optional
        As for `columns`; it holds where one direction is enough, too.

    Returns
    -------
    Bicolouring
        Never more colours than `columns` or `rows`.

    Raises
    ------
    ShapeError
        For a pattern that has not two axes.

    Notes
    -----
    After Coleman and Verma (1998): the fullest rows are taken by rows, the rest by columns, with
    the smallest sum of two bounds: entries of the fullest row that is left, and entries of the
    fullest column among the rows taken. The same with rows and columns exchanged.
    What the columns already give does not bind the rows (star bicolouring).

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.jacobian.colour import bidirectional, columns
    >>> arrow = np.eye(50)
    >>> arrow[0, :] = arrow[:, 0] = 1
    >>> bidirectional(arrow).count, columns(arrow).count
    (3, 50)
    """
    lines = canonical(pattern)
    turned = lines.T.tocsr()
    row_bound, column_bound = fullest(turned), fullest(lines)
    by_rows, bound = _split(lines)
    by_columns, other_bound = _split(turned)
    ways: list[tuple[int, Callable[[], Bicolouring]]] = [
        (column_bound, lambda: Bicolouring(_none(lines.shape[0]), columns(lines, order))),
        (row_bound, lambda: Bicolouring(rows(lines, order), _none(lines.shape[1]))),
        (bound, lambda: _mixed(lines, by_rows)),
        (other_bound, lambda: _exchanged(_mixed(turned, by_columns))),
    ]
    found: Bicolouring | None = None
    for least, way in sorted(ways, key=lambda one: one[0]):
        if found is None or least < found.count:
            made = way()
            found = made if found is None or made.count < found.count else found
    assert found is not None
    return found


def _none(length: int) -> Colouring:
    return Colouring(np.full(length, -1), 0)


def _exchanged(found: Bicolouring) -> Bicolouring:
    return Bicolouring(found.columns, found.rows)


def _split(lines: Any) -> tuple[Any, int]:
    """Which rows are taken by rows, and a bound on the colours of both directions.

    Rows with equally many entries stay together: to take some of them lowers no bound.
    """
    lengths = np.diff(lines.indptr)
    entries = lengths[row_numbers(lines)]
    counts = np.zeros(lines.shape[1], np.int64)
    sizes = [*np.unique(lengths)[::-1].tolist(), 0]
    best, least = sizes[0], sizes[0]
    for size, smaller in itertools.pairwise(sizes):
        counts += np.bincount(lines.indices[entries == size], minlength=lines.shape[1])
        both = smaller + int(counts.max(initial=0))
        if both < least:
            best, least = smaller, both
        if counts.max(initial=0) >= least:
            break
    return lengths > best, least


def _mixed(lines: Any, by_rows: Any) -> Bicolouring:
    """These rows by rows and what is left by columns."""
    across = by_rows[row_numbers(lines)]
    turned = lines.T.tocsr()
    natural = range(lines.shape[1])
    made_columns = _greedy(turned, natural, ~by_rows[turned.indices])
    given = alone(lines, made_columns.colours)
    made_rows = _greedy(lines, np.argsort(-np.diff(lines.indptr), kind="stable"), across & ~given)
    return Bicolouring(made_rows, made_columns)
