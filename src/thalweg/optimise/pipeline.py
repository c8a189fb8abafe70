"""The passes, in their order."""

from __future__ import annotations

from collections.abc import Callable

from thalweg.graph.graph import Graph
from thalweg.optimise.cse import merge_equal, merging, without_repeated_guards
from thalweg.optimise.dce import drop_unused
from thalweg.optimise.fold import fold, folding, without_constant_ends
from thalweg.optimise.products import turn_products
from thalweg.optimise.rewrite import first_of, rewrite
from thalweg.optimise.simplify import algebra, simplify
from thalweg.optimise.stable import stable_values

__all__ = ["EXACT", "optimise"]

#: Passes after which every bit of the results is what it was. `optimise` takes the rules of the
#: first three in one walk: operands come before their consumers, so that it ends where the passes
#: would if they were repeated until nothing changes, in a quarter of the time.
EXACT: tuple[Callable[[Graph], Graph], ...] = (fold, simplify, merge_equal, drop_unused)


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
    graph = stable_values(graph)
    rule = first_of(folding(graph), algebra, merging())
    graph = without_constant_ends(rewrite(graph, rule))
    graph = drop_unused(without_repeated_guards(graph))
    turned = turn_products(graph)
    return graph if turned is graph else merge_equal(turned)
