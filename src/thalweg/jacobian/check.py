"""Whether a colouring is valid: written from the definitions, entry by entry.

It shares nothing with the code that makes the colourings, and takes no care to be fast: it is for
tests, and for colourings from elsewhere. Each function returns None, or the first place where the
colouring is wrong, in words.

A colour is an integer from 0; −1 means none.

Reference for the definitions: A. H. Gebremedhin, F. Manne, A. Pothen, "What color is your Jacobian?
Graph coloring for computing derivatives", SIAM Review 47 (2005).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["wrong_acyclic", "wrong_bidirectional", "wrong_columns", "wrong_rows", "wrong_star"]


def _dense(pattern: Any) -> list[list[bool]]:
    """Where entries are stored, zeros included."""
    if not sparse.issparse(pattern):
        return [[bool(x) for x in row] for row in np.asarray(pattern)]
    found = pattern.tocoo()
    table = [[False] * found.shape[1] for _ in range(found.shape[0])]
    for i, j in zip(found.row, found.col, strict=True):
        table[i][j] = True
    return table


def wrong_columns(pattern: Any, colours: Any) -> str | None:
    """Every entry's column has a colour that no other entry of the row has.

    Examples
    --------
    >>> from thalweg.jacobian.check import wrong_columns
    >>> wrong_columns([[1, 1, 0], [0, 1, 1]], [0, 1, 0])
    >>> wrong_columns([[1, 1, 0], [0, 1, 1]], [0, 0, 1])
    'row 0: columns 0 and 1 both have colour 0'
    """
    return _wrong_lines(_dense(pattern), colours, "row", "column")


def wrong_rows(pattern: Any, colours: Any) -> str | None:
    """Every entry's row has a colour that no other entry of the column has."""
    table = [list(column) for column in zip(*_dense(pattern), strict=True)]
    return _wrong_lines(table, colours, "column", "row")


def _wrong_lines(table: list[list[bool]], colours: Any, across: str, along: str) -> str | None:
    for i, line in enumerate(table):
        there = [j for j, full in enumerate(line) if full]
        for j in there:
            if colours[j] < 0:
                return f"{across} {i}: {along} {j} has an entry and no colour"
            for k in there:
                if j < k and colours[j] == colours[k]:
                    return f"{across} {i}: {along}s {j} and {k} both have colour {colours[j]}"
    return None


def wrong_bidirectional(pattern: Any, row_colours: Any, column_colours: Any) -> str | None:
    """Every entry stands alone in its column's product or in its row's.

    Examples
    --------
    >>> from thalweg.jacobian.check import wrong_bidirectional
    >>> wrong_bidirectional([[1, 1], [1, 0]], [0, -1], [1, -1])
    >>> wrong_bidirectional([[1, 1], [1, 0]], [-1, -1], [1, -1])
    'entry (0, 1) can be read from no product'
    """
    table = _dense(pattern)
    m, n = len(table), len(table[0]) if table else 0
    for i in range(m):
        for j in range(n):
            if not table[i][j]:
                continue
            by_column = column_colours[j] >= 0 and not any(
                table[i][k] and column_colours[k] == column_colours[j] for k in range(n) if k != j
            )
            by_row = row_colours[i] >= 0 and not any(
                table[k][j] and row_colours[k] == row_colours[i] for k in range(m) if k != i
            )
            if not (by_column or by_row):
                return f"entry ({i}, {j}) can be read from no product"
    return None


def _wrong_neighbours(table: list[list[bool]], colours: Any) -> str | None:
    """Distance-1 colouring; vertices with entries have colours."""
    n = len(table)
    for i in range(n):
        if any(table[i]) and colours[i] < 0:
            return f"vertex {i} has entries and no colour"
        for j in range(i):
            if table[i][j] and colours[i] == colours[j]:
                return f"neighbours {j} and {i} both have colour {colours[i]}"
    return None


def wrong_star(pattern: Any, colours: Any) -> str | None:
    """Neighbours differ, and every path of four vertices has three colours.

    Examples
    --------
    >>> from thalweg.jacobian.check import wrong_star
    >>> path = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    >>> wrong_star(path, [0, 1, 2, 0])
    >>> wrong_star(path, [0, 1, 0, 1])
    'the path 0, 1, 2, 3 has two colours'
    """
    table = _dense(pattern)
    wrong = _wrong_neighbours(table, colours)
    if wrong is not None:
        return wrong
    near = [[j for j, full in enumerate(row) if full and j != i] for i, row in enumerate(table)]
    for a in range(len(table)):
        for b in near[a]:
            for c in near[b]:
                for d in near[c]:
                    if len({a, b, c, d}) == 4 and len({colours[v] for v in (a, b, c, d)}) < 3:
                        return f"the path {a}, {b}, {c}, {d} has two colours"
    return None


def wrong_acyclic(pattern: Any, colours: Any) -> str | None:
    """Neighbours differ, and the vertices of any two colours form a forest.

    Examples
    --------
    >>> from thalweg.jacobian.check import wrong_acyclic
    >>> ring = [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    >>> wrong_acyclic(ring, [0, 1, 0, 2])
    >>> wrong_acyclic(ring, [0, 1, 0, 1])
    'a cycle has the colours 0 and 1 only'
    """
    table = _dense(pattern)
    wrong = _wrong_neighbours(table, colours)
    if wrong is not None:
        return wrong
    for a in sorted(set(colours)):
        for b in sorted(set(colours)):
            if a < b and not _is_forest(table, [v for v, c in enumerate(colours) if c in (a, b)]):
                return f"a cycle has the colours {a} and {b} only"
    return None


def _is_forest(table: list[list[bool]], vertices: list[int]) -> bool:
    """By taking away vertices with at most one neighbour until none is left."""
    left = set(vertices)
    while left:
        leaves = {v for v in left if sum(table[v][w] for w in left if w != v) <= 1}
        if not leaves:
            return False
        left -= leaves
    return True
