"""Colourings of symmetric patterns: an entry (i, j) may be read as (j, i): fewer products do.

- `star`: entries are read directly.
- `acyclic`: entries are found by substitution: the fewest colours.

References
----------
- A. H. Gebremedhin, F. Manne, A. Pothen, "What color is your Jacobian? Graph coloring for computing
  derivatives", SIAM Review 47 (2005), sections 4 and 6.
- A. H. Gebremedhin, A. Tarafdar, F. Manne, A. Pothen, "New acyclic and star coloring algorithms
  with application to computing Hessians", SIAM Journal on Scientific Computing 29 (2007).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from thalweg.errors import ShapeError
from thalweg.jacobian.colour import (
    Colouring,
    best,
    canonical,
    counted,
    filled,
    fullest,
    in_turn,
    numbered,
    row_numbers,
    without_diagonal,
)
from thalweg.jacobian.orders import arrange

__all__ = ["acyclic", "star", "symmetric"]


def star(pattern: Any, order: str | None = None) -> Colouring:
    """Colour the rows and columns of a symmetric pattern for direct recovery.

    Neighbours have different colours, and every path of four vertices has at least three: each
    entry (i, j) then stands alone in row i of column j's product, or in row j of column i's.

    Parameters
    ----------
    pattern : sparse array or array_like, shape (n, n), symmetric
    order : str, optional
        As for `columns`, by the degrees of the pattern's own graph.

    Returns
    -------
    Colouring
        of n vertices.

    Raises
    ------
    ShapeError
        For a pattern that is not square and symmetric.

    Notes
    -----
    Gebremedhin, Tarafdar, Manne, Pothen (2007), section 4. Here a vertex keeps sets of colours, of
    its neighbours and of the hubs whose leaf it is: so it costs as many steps as it has neighbours,
    where the paper's algorithm walks through theirs, too.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.jacobian.colour_symmetric import star
    >>> arrow = np.eye(50)
    >>> arrow[0, :] = arrow[:, 0] = 1
    >>> star(arrow).count
    2
    """
    lines = symmetric(pattern)
    most = fullest(lines)
    # Where all rows are about equally full, as in bands, stencils and blocks, colours in turn are
    # as good; where some are full it is the star colouring that saves.
    if order is None and 5 * lines.nnz >= 4 * most * lines.shape[0]:
        near = lines + sparse.eye_array(lines.shape[0], dtype=np.int32, format="csr")
        turns = in_turn(near, [most], filled(lines))
        if turns is not None:
            return turns
    graph = without_diagonal(lines)
    return best(order, 1, lambda name: _star(graph, arrange(graph, name), lines), lines.nnz)


def acyclic(pattern: Any, order: str | None = None) -> Colouring:
    """Colour the rows and columns of a symmetric pattern for recovery by substitution.

    Neighbours have different colours, and every cycle has at least three: the entries between two
    colours form a forest, and are found from its leaves inwards.

    Parameters
    ----------
    pattern : sparse array or array_like, shape (n, n), symmetric
    order : str, optional
        As for `star`.

    Returns
    -------
    Colouring
        of n vertices.

    Raises
    ------
    ShapeError
        For a pattern that is not square and symmetric.

    Notes
    -----
    Gebremedhin, Tarafdar, Manne, Pothen (2007), section 3: trees of two colours as disjoint sets. A
    full band of b diagonals on each side takes b + 1 colours in turn, which is as good as can be.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.jacobian.colour_symmetric import acyclic, star
    >>> band = abs(np.subtract.outer(np.arange(9), np.arange(9))) <= 2
    >>> acyclic(band).count, star(band).count
    (3, 5)
    """
    lines = symmetric(pattern)
    n = lines.shape[0]
    graph = without_diagonal(lines)
    if order is None:
        reach = int(np.abs(row_numbers(lines) - lines.indices).max(initial=0))
        if graph.nnz == 2 * reach * n - reach * (reach + 1):
            return numbered(np.where(filled(lines), np.arange(n) % (reach + 1), -1))
    return best(order, 1, lambda name: _acyclic(graph, arrange(graph, name), lines), lines.nnz)


def symmetric(pattern: Any) -> Any:
    lines = canonical(pattern)
    m, n = lines.shape
    if m != n:
        raise ShapeError(f"a symmetric pattern is square; this one has shape {m} × {n}")
    turned = lines.T.tocsr()
    turned.sort_indices()
    if np.array_equal(lines.indptr, turned.indptr) and np.array_equal(
        lines.indices, turned.indices
    ):
        return lines
    left = sparse.coo_array(lines - lines.multiply(turned))
    left.eliminate_zeros()
    i, j = int(left.row[0]), int(left.col[0])
    raise ShapeError(
        f"the pattern is not symmetric: it has an entry ({i}, {j}) and none at ({j}, {i}). Use "
        "pattern + pattern.T, or a colouring of the columns."
    )


def _star(graph: Any, order: Any, lines: Any) -> Colouring:
    starts, places = graph.indptr.tolist(), graph.indices.tolist()
    n = graph.shape[0]
    colours = [-1] * n
    seen = [0] * n  # the colours of a vertex's neighbours
    hubs = [0] * n  # the colours of neighbours that have another neighbour of its colour
    first: dict[int, int] = {}  # vertex · n + colour → its first neighbour of that colour
    full = filled(lines).tolist()
    for v in map(int, order):
        if not full[v]:
            continue
        near = [w for w in places[starts[v] : starts[v + 1]] if colours[w] >= 0]
        once = twice = taken = 0
        for w in near:
            bit = 1 << colours[w]
            twice |= once & bit
            once |= bit
            taken |= hubs[w]  # v would be the end of a path v, w, hub, another leaf
        taken |= once
        for w in near if twice else ():
            if twice >> colours[w] & 1:
                taken |= seen[w]  # v would stand inside of one
        bit = ~taken & (taken + 1)
        c = colours[v] = bit.bit_length() - 1
        seen[v] = once
        for w in near:
            other = colours[w]
            if seen[w] & bit:  # w is the hub of v and of the neighbours of v's colour
                hubs[first[w * n + c]] |= 1 << other
                hubs[v] |= 1 << other
            else:
                seen[w] |= bit
                first[w * n + c] = v
            if twice >> other & 1:
                hubs[w] |= bit
            first.setdefault(v * n + other, w)
    return counted(colours)


def _acyclic(graph: Any, order: Any, lines: Any) -> Colouring:
    starts, places = graph.indptr.tolist(), graph.indices.tolist()
    n = graph.shape[0]
    colours = [-1] * n
    seen = [0] * n  # the colours of a vertex's neighbours
    trees: dict[int, int] = {}  # vertex · n + colour → a number of the tree of these two colours
    parents: list[int] = []
    full = filled(lines).tolist()

    def root(tree: int) -> int:
        while parents[tree] != tree:
            parents[tree] = parents[parents[tree]]
            tree = parents[tree]
        return tree

    for v in map(int, order):
        if not full[v]:
            continue
        groups: dict[int, list[int]] = {}
        for w in places[starts[v] : starts[v + 1]]:
            if colours[w] >= 0:
                groups.setdefault(colours[w], []).append(w)
        taken = 0
        for c in groups:
            taken |= 1 << c
        for group in groups.values():
            once = twice = 0
            for w in group:
                twice |= once & seen[w]
                once |= seen[w]
            twice &= ~taken
            while twice:  # colours that two of them have beside them: are they in one tree?
                bit = twice & -twice
                c = bit.bit_length() - 1
                there = [root(trees[w * n + c]) for w in group if seen[w] & bit]
                if len(set(there)) < len(there):
                    taken |= bit
                twice ^= bit
        bit = ~taken & (taken + 1)
        c = colours[v] = bit.bit_length() - 1
        for other, group in groups.items():
            tree = trees[v * n + other] = len(parents)
            parents.append(tree)
            seen[v] |= 1 << other
            for w in group:
                if seen[w] & bit:
                    parents[root(trees[w * n + c])] = tree
                else:
                    seen[w] |= bit
                    trees[w * n + c] = tree
    return counted(colours)
