"""Stable values: in a compiled function the stable form takes the place of the spelled-out one.

`stabilise` leaves values as NumPy computes them and takes only the derivative through the stable
form, because the value is there already. In a graph that will be run for other inputs both would
be computed: here the gate with the result becomes the stable form too, and `cse` then finds the
one that the gradient uses. 1/(1 + e^−x) and its gradient become σ(x) and σ(x) · σ(−x).

It is the one difference that is allowed between a compiled function and the interpreter: a finite
value where the spelled-out one overflows (and the last bits). What Python branched on is left
exactly as it is spelled, so that the branch is the one that NumPy's numbers take.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.optimise.gates import is_gate
from thalweg.optimise.rewrite import in_place_of
from thalweg.optimise.stabilise import stable_forms

__all__ = ["asked_for", "stable_values"]

#: Forms whose spelling overflows, cancels or does more work; those that differ from their spelling
#: in their derivative only (the square of a norm) are as good spelled out.
_FORMS = frozenset(
    """absolute hypot norm log_cosh log_of_weighted_sum log_sigmoid log_softmax log_softmax_entries
    log_to_base logaddexp logmeanexp logsumexp over_one_plus_exp sigmoid sigmoid_of_difference
    sigmoid_slope softmax softplus tanh_of_half""".split()
)


def stable_values(graph: Graph) -> Graph:
    """Unstable spellings replaced by stable forms, except below a guard."""
    order = list(graph.nodes)
    asked = asked_for(graph)
    replacements = stable_forms(order, {x for x in order if x not in asked}, only=_FORMS)
    if not replacements:
        return graph
    newest = max(node.sequence for node in graph.nodes)
    with np.errstate(all="ignore"):
        replacements = {node: _spelled(x, newest) for node, x in replacements.items()}
    instead: dict[Node, Node] = {}
    nodes: list[Node] = []

    def rebuilt(x: Node, at: Node) -> Node:
        """`x`, a node of the graph or one made in the place of `at`, over the new operands."""
        if x in instead:
            return instead[x]
        if x.sequence > newest:
            x.origin = at.origin
        elif x is not at:
            return x  # an input or a constant
        operands = tuple([rebuilt(y, at) if type(y) is Node else y for y in x.operands])
        same = all(new is old for new, old in zip(operands, x.operands, strict=True))
        instead[x] = x if same else in_place_of(x, x.primitive, operands, x.params)
        nodes.append(instead[x])
        return instead[x]

    for node in graph.nodes:
        stable = replacements.get(node)
        instead[node] = rebuilt(node, node) if stable is None else rebuilt(stable, node)
    return graph._replace(
        nodes=tuple(nodes),
        outputs=tuple([instead.get(x, x) if type(x) is Node else x for x in graph.outputs]),
    )


def _spelled(stable: Node, newest: int) -> Any:
    """hypot(∞, NaN) is ∞, but √(x² + y²) is NaN."""
    sides: list[Any] = []
    waiting = [stable] if is_gate(stable, "hypot") else []
    while waiting:
        for x in waiting.pop().operands:
            (waiting if is_gate(x, "hypot") and x.sequence > newest else sides).append(x)
    if not sides:
        return stable
    there: Any = functools.reduce(np.logical_or, map(np.isnan, sides))
    found: Any = stable  # a node is an operand of NumPy's functions
    return np.where(there, np.nan, found)


def asked_for(graph: Graph) -> set[Node]:
    """What the guards of a graph depend on, their own nodes included."""
    found = {guard.node for guard in graph.guards}
    stack: list[Node] = list(found)
    while stack:
        for x in stack.pop().operands:
            if type(x) is Node and x not in found:
                found.add(x)
                stack.append(x)
    return found
