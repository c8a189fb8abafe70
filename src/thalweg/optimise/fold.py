"""Constants: what depends on no input becomes a plain value, equal entries become one number.

``np.ones((100, 4096)) * x`` reads as much memory for the ones as for x. An array whose entries are
all the same is handed to elementwise operations as a NumPy scalar of its dtype (not as a Python
number, which would be weak in dtype promotion), where another operand still gives the result its
shape; elsewhere as a view of one entry (`np.broadcast_to`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.optimise.rewrite import Rule, in_place_of, rewrite

__all__ = ["EXPONENTS", "fold", "folding", "is_elementwise", "number_of", "without_constant_ends"]

#: NumPy raises to one number (or to a view of one) by other functions than to an array of the same
#: numbers: √x for x ** 0.5, which differs at −0 and −∞. So an array of exponents stays one.
EXPONENTS = frozenset(("power", "float_power"))


def is_elementwise(node: Node) -> bool:
    """Whether the primitive acts entry by entry over NumPy's broadcasting."""
    return bool(node.primitive.rules)


def fold(graph: Graph) -> Graph:
    """Nodes without inputs become values, arrays of one number repeated give up their memory."""
    if graph.captured:  # they look like constants, but belong to a trace that is under way
        return graph
    return without_constant_ends(rewrite(graph, folding(graph)))


def without_constant_ends(graph: Graph) -> Graph:
    """Outputs that depend on no input are values; guards that depend on none are left out."""
    members = {*graph.inputs, *graph.nodes}

    def constant(x: Any) -> bool:
        return type(x) is Node and x not in members

    if any(map(constant, graph.outputs)):
        outputs = tuple([x.value if constant(x) else x for x in graph.outputs])
        graph = graph._replace(outputs=outputs)
    if any(constant(guard.node) for guard in graph.guards):  # Python always gets the same answer
        guards = tuple([guard for guard in graph.guards if not constant(guard.node)])
        graph = graph._replace(guards=guards)
    return graph


def folding(graph: Graph) -> Rule:
    """The rule that `fold` goes by."""
    members = {*graph.inputs, *graph.nodes}
    newest = max((node.sequence for node in members), default=0)
    found: dict[int, tuple[Any, Any]] = {}

    def number(x: np.ndarray[Any, Any]) -> Any:
        """`number_of` x, looked for once; x is kept, so that its id stays its own."""
        if id(x) not in found:
            found[id(x)] = (x, number_of(x))
        return found[id(x)][1]

    def rule(node: Node) -> Any:
        plain, varies = True, False
        for x in node.operands:
            form = type(x)
            if form is Node:
                if x in members or x.sequence > newest:
                    varies = True
                    continue
            elif form is float or form is int:
                continue
            plain = False
        if plain and varies:
            return None
        operands = [
            x.value if type(x) is Node and x not in members and x.sequence <= newest else x
            for x in node.operands
        ]
        if Node not in map(type, operands):
            return node.value
        for i, x in enumerate(operands):
            if isinstance(x, np.ndarray):
                operands[i] = _smaller(node, operands, i, number)
        if all(map(operator.is_, operands, node.operands)):
            return None
        return in_place_of(node, node.primitive, tuple(operands), node.params)

    return rule


def _smaller(
    node: Node, operands: list[Any], i: int, number: Callable[[np.ndarray[Any, Any]], Any]
) -> Any:
    """Operand `i`, an array, as one number or as a view of one entry where it is that."""
    x = operands[i]
    if i == 1 and node.primitive.name in EXPONENTS:
        return x
    if x.ndim and not any(x.strides) and not is_elementwise(node):
        return x  # such a view already
    value = number(x)
    if value is None:
        return x
    if is_elementwise(node):
        others = [np.shape(_value(y)) for k, y in enumerate(operands) if k != i]
        if np.broadcast_shapes(*others) == node.shape:
            return value
    return np.broadcast_to(value, x.shape) if x.ndim and any(x.strides) else x


def _value(x: Any) -> Any:
    return x.value if type(x) is Node else x


def number_of(x: Any) -> Any:
    """The NumPy scalar that all entries of an array are (zeros of one sign, or all NaN), or None.

    Python numbers and NumPy scalars are given back as they are.
    """
    if not isinstance(x, np.ndarray):
        return x
    if x.dtype.kind not in "fiub" or not x.dtype.isnative or x.size == 0:
        return None
    first = x[(0,) * x.ndim]
    if x.ndim == 0 or not any(x.strides):
        return first
    last = x[(-1,) * x.ndim]  # most arrays differ here already
    if x.dtype.kind != "f":
        return first if last == first and bool(np.all(x == first)) else None
    if np.isnan(first):
        return first if np.isnan(last) and bool(np.isnan(x).all()) else None
    if last != first or not np.all(x == first):
        return None
    return first if first != 0 or np.all(np.signbit(x) == np.signbit(first)) else None
