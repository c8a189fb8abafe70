"""Sparse Jacobians and Hessians from a few products: seeds, products, recovery.

A plan is made once for a pattern: who shares a product (`thalweg.jacobian.colour`), and where each
entry then stands among the products' numbers. With it a new matrix of the pattern costs its
products and one gather; for acyclic colourings, a triangular solve, too.

References
----------
- A. R. Curtis, M. J. D. Powell, J. K. Reid, "On the estimation of sparse Jacobian matrices",
  Journal of the Institute of Mathematics and its Applications 13 (1974).
- A. H. Gebremedhin, A. Tarafdar, A. Pothen, A. Walther, "Efficient computation of sparse Hessians
  using coloring and automatic differentiation", INFORMS Journal on Computing 21 (2009).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from thalweg.errors import ShapeError
from thalweg.jacobian.colour import (
    Colouring,
    alone,
    bidirectional,
    canonical,
    columns,
    row_numbers,
    rows,
)
from thalweg.jacobian.colour_symmetric import acyclic, star, symmetric

__all__ = ["METHODS", "Plan", "compressed", "plan", "recover", "seed", "solved"]

#: A block of seeds, one a column → the block of products, one a column.
Product = Callable[[Any], Any]

METHODS = ("columns", "rows", "bidirectional", "star", "acyclic")


class Substitution(NamedTuple):
    """A triangular system for the unknown entries: which numbers stand on its right, and its LU."""

    right: Any
    factors: Any


@dataclass(frozen=True)
class Plan:
    """How the matrices of a pattern are computed.

    Attributes
    ----------
    method : str
        One of `METHODS`.
    shape : (int, int)
    indptr, indices : array of int
        The pattern in canonical CSR form.
    columns, rows : Colouring
        Who shares a product; a count of 0 where the direction is not used.
    source : array of int, shape (nnz,)
        Where each entry stands: among the numbers of the pushed block and then of the pulled one,
        in C order; by substitution, among the unknowns.
    substitution : Substitution or None
    """

    method: str
    shape: tuple[int, int]
    indptr: Any
    indices: Any
    columns: Colouring
    rows: Colouring
    source: Any
    substitution: Substitution | None = None

    @property
    def count(self) -> int:
        """Products that are needed."""
        return self.columns.count + self.rows.count

    @property
    def nnz(self) -> int:
        """Entries of the pattern."""
        return len(self.indices)

    def __repr__(self) -> str:
        m, n = self.shape
        return (
            f"Plan({self.method}, {m} × {n}, nnz {self.nnz}: "
            f"{self.columns.count} pushed, {self.rows.count} pulled)"
        )


def plan(pattern: Any, method: str = "bidirectional", order: str | None = None) -> Plan:
    """Plan how matrices of this pattern are computed.

    Parameters
    ----------
    pattern : sparse array or array_like, shape (m, n)
        Stored entries count, whatever their values. It may have more than the matrices.
    method : {'bidirectional', 'columns', 'rows', 'star', 'acyclic'}
        ``bidirectional`` is never more products than ``columns`` (pushes only) or ``rows`` (pulls
        only). The last two are for symmetric matrices and push only; ``acyclic`` is the fewest
        products, by substitution, whose rounding errors grow along its trees.
    order : str, optional
        As for `thalweg.jacobian.colour.columns`.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        For another method or order.
    ShapeError
        Where the pattern has not two axes, or is not symmetric and the method needs it to be.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from thalweg.jacobian.compress import compressed, plan
    >>> A = sparse.diags_array([1.0, 2.0, 3.0], offsets=[-1, 0, 1], shape=(1000, 1000))
    >>> made = plan(A)
    >>> made
    Plan(bidirectional, 1000 × 1000, nnz 2998: 3 pushed, 0 pulled)
    >>> bool((compressed(made, lambda seeds: A @ seeds, lambda seeds: A.T @ seeds) != A).nnz == 0)
    True
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not one of {', '.join(map(repr, METHODS))}")
    if method in ("star", "acyclic"):
        return _symmetric_plan(symmetric(pattern), method, order)
    lines = canonical(pattern)
    m, n = lines.shape
    by_columns, by_rows = Colouring(np.full(n, -1), 0), Colouring(np.full(m, -1), 0)
    if method == "columns":
        by_columns = columns(lines, order)
    elif method == "rows":
        by_rows = rows(lines, order)
    else:
        both = bidirectional(lines, order)
        by_columns, by_rows = both.columns, both.rows
    own = row_numbers(lines)
    pushed = own * by_columns.count + by_columns.colours[lines.indices]
    pulled = lines.indices.astype(np.intp) * by_rows.count + by_rows.colours[own]
    source = np.where(alone(lines, by_columns.colours), pushed, m * by_columns.count + pulled)
    return Plan(method, (m, n), lines.indptr, lines.indices, by_columns, by_rows, source)


def _symmetric_plan(lines: Any, method: str, order: str | None) -> Plan:
    n = lines.shape[0]
    coloured = (star if method == "star" else acyclic)(lines, order)
    i, j = row_numbers(lines), lines.indices.astype(np.intp)
    # Entry (i, j) below the diagonal is what (j, i) is: the result is symmetric to the last bit.
    # The entries in the order of columns are the transposes of those in the order of rows.
    first = np.where(i <= j, np.arange(lines.nnz), np.lexsort((i, j)))
    substitution = None
    if method == "star":
        here = i * coloured.count + coloured.colours[j]
        there = j * coloured.count + coloured.colours[i]
        source = np.where(alone(lines, coloured.colours), here, there)[first]
    else:
        upper = np.flatnonzero(i <= j)
        number = np.zeros(lines.nnz, np.intp)
        substitution, number[upper] = _substitution(i[upper], j[upper], coloured)
        source = number[first]
    none = Colouring(np.full(n, -1), 0)
    return Plan(method, (n, n), lines.indptr, lines.indices, coloured, none, source, substitution)


def _substitution(i: Any, j: Any, coloured: Colouring) -> tuple[Substitution, Any]:
    """The system for the entries (i ≤ j), and each one's place among its unknowns.

    Vertex i's sum over its neighbours of a colour is a number of the pushed block. From the leaves
    of the two-coloured trees inwards, each sum has one entry that is not known yet.
    """
    count, colours = coloured.count, coloured.colours
    sums, which = np.unique(
        np.stack([i * count + colours[j], j * count + colours[i]]), return_inverse=True
    )
    which = which.reshape(2, -1)
    first, second = which[0].tolist(), which[1].tolist()
    # Of each sum: how many entries are not known yet, and the xor of their numbers.
    unknown, left = [0] * len(sums), [0] * len(sums)
    for entry, ends in enumerate(zip(first, second, strict=True)):
        for end in set(ends):  # a diagonal entry stands in one sum, alone
            unknown[end] += 1
            left[end] ^= entry
    leaves = deque(end for end, many in enumerate(unknown) if many == 1)
    order: list[int] = []
    used: list[int] = []
    while leaves:
        end = leaves.popleft()
        if unknown[end] != 1:
            continue
        entry = left[end]
        order.append(entry)
        used.append(end)
        for other in {first[entry], second[entry]}:
            unknown[other] -= 1
            left[other] ^= entry
            if unknown[other] == 1:
                leaves.append(other)
    size = len(order)
    number = np.zeros(size, np.intp)
    number[order] = np.arange(size)
    equation = np.full(len(sums), -1)
    equation[used] = np.arange(size)
    across = np.concatenate([equation[which[0]], np.where(i == j, -1, equation[which[1]])])
    down = np.concatenate([number, number])[across >= 0]
    system = sparse.csc_array((np.ones(len(down)), (across[across >= 0], down)), shape=(size, size))
    # Triangular as it stands: with this order and the diagonal as pivots there is no fill-in.
    factors = splu(system, "NATURAL", diag_pivot_thresh=0.0) if size else None
    return Substitution(sums[used] if size else np.zeros(0, np.intp), factors), number


# ---- a new matrix -------------------------------------------------------------------------


def seed(colouring: Colouring, dtype: Any = np.float64) -> Any:
    """The seed matrix: row j has a one in the column of j's colour.

    Parameters
    ----------
    colouring : Colouring
        of n columns (rows, vertices) in k colours.
    dtype : dtype

    Returns
    -------
    array, shape (n, k)

    Examples
    --------
    >>> from thalweg.jacobian.colour import columns
    >>> from thalweg.jacobian.compress import seed
    >>> seed(columns([[1, 0, 1], [0, 1, 1]]))
    array([[1., 0.],
           [1., 0.],
           [0., 1.]])
    """
    made = np.zeros((len(colouring.colours), colouring.count), dtype)
    needed = np.flatnonzero(colouring.colours >= 0)
    made[needed, colouring.colours[needed]] = 1
    return made


def recover(made: Plan, pushed: Any, pulled: Any = None) -> Any:
    """The matrix from its products.

    Parameters
    ----------
    made : Plan
        of a pattern of shape (m, n).
    pushed : array, shape (m, made.columns.count)
        A times the seeds of the columns.
    pulled : array, shape (n, made.rows.count), optional
        The transpose of A times the seeds of the rows; may be left out where there are none.

    Returns
    -------
    scipy.sparse.csr_array, shape (m, n)
        With the plan's pattern, entries that happen to be zero included.

    Raises
    ------
    ShapeError
        Where a block has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.jacobian.compress import plan, recover, seed
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> made = plan(A)
    >>> recover(made, A @ seed(made.columns)).toarray().tolist() == A.tolist()
    True
    """
    m, n = made.shape
    blocks = [
        _block(value, (length, count), name, line)
        for value, length, count, name, line in (
            (pushed, m, made.columns.count, "pushed", "output"),
            (pulled, n, made.rows.count, "pulled", "input"),
        )
        if count or value is not None
    ]
    numbers = np.concatenate(blocks) if blocks else np.zeros(0)
    if made.substitution is not None:
        numbers = solved(made.substitution, numbers)
    entries = numbers[made.source]
    return sparse.csr_array((entries, made.indices.copy(), made.indptr.copy()), shape=made.shape)


def _block(value: Any, shape: tuple[int, int], name: str, line: str) -> Any:
    """The numbers of a block one by one."""
    block = np.asarray(value)
    if block.shape != shape:
        given = "is missing" if value is None else f"has shape {block.shape}"
        raise ShapeError(
            f"the {name} block {given}; the plan's is {shape}: one row an {line}, "
            "one column a product"
        )
    return block.reshape(-1)


def solved(system: Substitution, numbers: Any) -> Any:
    """The unknowns of a substitution from the numbers of the pushed block, in C order."""
    right = numbers[system.right]
    if system.factors is None:
        return right
    if np.iscomplexobj(right):
        found = system.factors.solve(np.stack([right.real, right.imag], 1).astype(np.float64))
        return (found[:, 0] + 1j * found[:, 1]).astype(right.dtype)
    found = system.factors.solve(right.astype(np.float64))
    return found.astype(right.dtype) if right.dtype.kind == "f" else found


def compressed(
    made: Plan,
    push: Product,
    pull: Product | None = None,
    dtype: Any = np.float64,
    chunk: int | None = None,
) -> Any:
    """Compute a matrix of the plan's pattern, of shape (m, n), by its products.

    Parameters
    ----------
    made : Plan
    push : callable
        A block of shape (n, k) → A times it, of shape (m, k).
    pull : callable, optional
        A block of shape (m, k) → the transpose of A times it, of shape (n, k). May be left out
        where the plan pulls nothing.
    dtype : dtype
        Of the seeds.
    chunk : int, optional
        Products that are asked for at once, at most (all by default).

    Returns
    -------
    scipy.sparse.csr_array, shape (m, n)

    Raises
    ------
    ShapeError
        Where a product has another shape.
    ValueError
        Where the plan pulls and there is no `pull`, or `chunk` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.jacobian.compress import compressed, plan
    >>> A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0], [6.0, 0.0, 7.0]])
    >>> made = plan(A, "star")
    >>> made.count
    2
    >>> S = A + A.T
    >>> compressed(made, lambda seeds: S @ seeds).toarray().tolist() == S.tolist()
    True
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is the number of products at once, at least 1; got {chunk}")
    if made.rows.count and pull is None:
        raise ValueError(f"{made!r} pulls: give `pull`, or make the plan with method='columns'")
    pushed = _products(push, seed(made.columns, dtype), chunk)
    pulled = None if pull is None else _products(pull, seed(made.rows, dtype), chunk)
    return recover(made, pushed, pulled)


def _products(product: Product, seeds: Any, chunk: int | None) -> Any:
    count = seeds.shape[1]
    if not count:
        return None
    step = count if chunk is None else chunk
    parts = [np.asarray(product(seeds[:, k : k + step])) for k in range(0, count, step)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
