"""Orders in which a greedy colouring takes the vertices of a graph.

The graph is a symmetric pattern without its diagonal. A vertex that comes late has many coloured
neighbours already, so the orders differ in what they leave for last.

References
----------
A. H. Gebremedhin, F. Manne, A. Pothen, "What color is your Jacobian? Graph coloring for computing
derivatives", SIAM Review 47 (2005). Smallest last: D. W. Matula, L. L. Beck, "Smallest-last
ordering and clustering and graph coloring algorithms", Journal of the ACM 30 (1983).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["ORDERS", "arrange"]


def _natural(graph: Any) -> Any:
    return np.arange(graph.shape[0])


def _largest_first(graph: Any) -> Any:
    return np.argsort(-np.diff(graph.indptr), kind="stable")


def _smallest_last(graph: Any) -> Any:
    """Backwards: each time the vertex with the fewest neighbours among those that are left."""
    degrees = np.diff(graph.indptr)
    return _one_by_one(graph, degrees.tolist(), -1, False)[::-1]


def _dynamic_largest_first(graph: Any) -> Any:
    """Each time the vertex with the most neighbours among those that are left."""
    degrees = np.diff(graph.indptr)
    return _one_by_one(graph, degrees.tolist(), -1, True)


def _incidence_degree(graph: Any) -> Any:
    """Each time the vertex with the most neighbours among those that were taken."""
    return _one_by_one(graph, [0] * graph.shape[0], 1, True)


def _one_by_one(graph: Any, keys: list[int], step: int, largest: bool) -> Any:
    """Take the vertex with the largest (smallest) key; its neighbours' keys change by `step`.

    A vertex stands in one bucket for each key that it has had, and only the last one counts: keys
    go one way, so nothing has to be removed and all of it takes time linear in the edges.
    """
    starts, near = graph.indptr.tolist(), graph.indices.tolist()
    n = len(keys)
    most = max(np.diff(graph.indptr).tolist(), default=0)
    buckets: list[list[int]] = [[] for _ in range(most + 1)]
    for v in range(n - 1, -1, -1):
        buckets[keys[v]].append(v)
    done = bytearray(n)
    order: list[int] = []
    level = most if largest else 0
    inward = -1 if largest else 1
    while len(order) < n:
        while not buckets[level]:
            level += inward
        v = buckets[level].pop()
        if done[v] or keys[v] != level:
            continue
        done[v] = 1
        order.append(v)
        for w in near[starts[v] : starts[v + 1]]:
            if not done[w]:
                keys[w] += step
                buckets[keys[w]].append(w)
        if step != inward:  # keys move towards the end that is taken from
            level = min(max(level + step, 0), most)
    return np.array(order, np.intp)


#: Name → function of the graph.
ORDERS: dict[str, Callable[[Any], Any]] = {
    "natural": _natural,
    "largest_first": _largest_first,
    "smallest_last": _smallest_last,
    "incidence_degree": _incidence_degree,
    "dynamic_largest_first": _dynamic_largest_first,
}


def arrange(graph: Any, order: str) -> Any:
    """The vertices of `graph` in the order of this name.

    Parameters
    ----------
    graph : scipy.sparse.csr_array
        Symmetric, without diagonal; only the pattern counts.
    order : str
        One of `ORDERS`.

    Returns
    -------
    array of int, shape (n,)

    Raises
    ------
    ValueError
        For another name.
    """
    if order not in ORDERS:
        raise ValueError(f"order {order!r} is not one of {', '.join(map(repr, ORDERS))}")
    return ORDERS[order](graph)
