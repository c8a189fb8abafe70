"""One call of the function on handles: the graph that stands for it, and which leaves may vary."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from thalweg.array import Array
from thalweg.compiled.constants import Frozen
from thalweg.compiled.signature import Call
from thalweg.graph.constants import copied
from thalweg.graph.graph import Graph, between
from thalweg.graph.node import Node, input_node
from thalweg.guards import Recording
from thalweg.tracing import call_traced, result_leaves
from thalweg.tree import Structure

__all__ = ["Traced", "as_operand", "fits_for_floats", "fits_for_int", "trace"]

#: Results that are no numbers: they go out as they are.
_PLAIN = (str, bytes, enum.Enum)
#: dtypes that a strong float64 promotes and a Python float does not.
_NARROW = frozenset(np.dtype(name) for name in ("f2", "f4", "c8"))


class Traced(NamedTuple):
    """A traced call.

    Attributes
    ----------
    graph : Graph
        From the leaves that vary to the results that depend on them, values included.
    positions : tuple of int
        Which leaves of the call are the inputs.
    leaves : tuple
        The results: nodes of the graph, or constants.
    structure : Structure
        The tree of the results.
    """

    graph: Graph
    positions: tuple[int, ...]
    leaves: tuple[Any, ...]
    structure: Structure


def as_operand(leaf: Any) -> Any:
    """A leaf that varies as a graph takes it: a Python number as NumPy's."""
    kind = type(leaf)
    if kind is float:
        return np.float64(leaf)
    if kind is int:
        return np.int64(leaf)
    return np.complex128(leaf) if kind is complex else leaf


def trace(function: Callable[..., Any], call: Call, positions: Collection[int]) -> Traced:
    """Call `function` with the leaves at `positions` traced.

    Raises
    ------
    TreeError
        If it returns what is no tree of numbers and arrays.
    TracingError
        If it draws random numbers, or returns text made from traced values.
    """
    frozen = Frozen(function)
    with Recording(copying=True) as guards:
        inputs = []
        handles = list(call.leaves)
        for i in positions:
            value = as_operand(call.leaves[i])
            inputs.append(input_node(copied(value) if isinstance(value, np.ndarray) else value))
            handles[i] = Array(inputs[-1])
        args, kwargs = call.rebuilt(handles)
        result = call_traced(function, args, kwargs)
    found, structure = result_leaves(result, besides=_PLAIN)
    frozen.check(found)
    graph = between(inputs, [x for x in found if type(x) is Node], guards)
    members = {*graph.inputs, *graph.nodes}
    leaves = tuple([x.value if type(x) is Node and x not in members else x for x in found])
    graph = graph._replace(outputs=tuple([x for x in leaves if type(x) is Node]))
    return Traced(graph, tuple(positions), leaves, structure)


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def fits_for_floats(graph: Graph) -> bool:
    """Whether Python floats can be np.float64 in this graph without any change of dtype.

    NumPy lets a Python float take the dtype of the array it meets; np.float64 promotes a float32
    one. So nothing narrow may take part: no input, no result, no constant.
    """
    for node in (*graph.inputs, *graph.nodes):
        for x in (node, *node.operands):
            value = x.value if type(x) is Node else x
            for part in _parts(value):
                if getattr(part, "dtype", None) in _NARROW:
                    return False
    return True


def fits_for_int(static: Traced, dynamic: Traced, position: int) -> bool:
    """Whether a Python int can be an np.int64 that varies: nothing may tell the two traces apart.

    A Python int never overflows and takes any array's dtype. Hence no whole number may be computed
    from it, nothing narrow may take part, nobody may ask for its value, and the results must be
    the same.
    """
    if static.structure != dynamic.structure or not fits_for_floats(dynamic.graph):
        return False
    if len(static.graph.guards) != len(dynamic.graph.guards):
        return False
    dependent = {dynamic.graph.inputs[dynamic.positions.index(position)]}
    for node in dynamic.graph.nodes:
        if not dependent.isdisjoint(x for x in node.operands if type(x) is Node):
            dependent.add(node)
            if any(part.dtype.kind in "iu" for part in _parts(node.value)):
                return False
    return all(map(_alike, static.leaves, dynamic.leaves))


def _alike(a: Any, b: Any) -> bool:
    a, b = (x.value if type(x) is Node else x for x in (a, b))
    if isinstance(a, _PLAIN) or isinstance(b, _PLAIN):
        return type(a) is type(b) and bool(a == b)
    if np.shape(a) != np.shape(b) or np.asarray(a).dtype != np.asarray(b).dtype:
        return False
    return bool(np.allclose(a, b, rtol=1e-9, atol=0.0, equal_nan=True))
