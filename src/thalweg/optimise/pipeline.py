"""The passes in their order, until nothing changes."""

from __future__ import annotations

from collections.abc import Callable

from thalweg.graph.graph import Graph
from thalweg.optimise.cse import merge_equal
from thalweg.optimise.dce import drop_unused
from thalweg.optimise.fold import fold
from thalweg.optimise.simplify import simplify

__all__ = ["EXACT", "optimise"]

#: What is done again until nothing changes: constants first, because the others look at them.
EXACT: tuple[Callable[[Graph], Graph], ...] = (fold, simplify, merge_equal, drop_unused)
#: One round does nearly all; each further one only what the last one made possible.
_ROUNDS = 8


def optimise(graph: Graph) -> Graph:
    """A graph that gives the same results with less work.

    Parameters
    ----------
    graph : Graph
        With values (not `without_values`): they say shapes and dtypes and what constants are.
        What an input's value is never decides anything. A graph that uses nodes of an outer trace
        (`captured`) is given back as it is.

    Returns
    -------
    Graph
        The same inputs; as many outputs. One node may be several outputs, an output may be an
        input or a plain value: whoever hands the results out makes them separate arrays. Guards
        that constants answer, and repeated ones, are gone.
    """
    if graph.captured:
        return graph
    for _ in range(_ROUNDS):
        before = graph
        for each in EXACT:
            graph = each(graph)
        if graph is before:
            break
    return graph
