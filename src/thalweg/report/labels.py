"""Names, expressions and labels of the nodes of a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from thalweg.graph.node import Node, Origin
from thalweg.ops.structural import ITEM
from thalweg.report.numbers import value_text
from thalweg.report.record import TraceNode
from thalweg.report.source import UNKNOWN, Place, Sources

__all__ = ["label_nodes"]

_INFIX = frozenset(["+", "-", "*", "/", "//", "%", "**", "@", "<", "<=", ">", ">=", "==", "!="])


def label_nodes(nodes: Sequence[TraceNode], caller: Origin) -> None:
    """Fill in name, expression, file, line and label.

    Parameters
    ----------
    nodes : sequence of TraceNode
        In the order in which they were made.
    caller : Origin
        Where `trace` was called: what has this origin was made by no line of the user's function.
    """
    sources = Sources()
    places = [_place(sources, record.node, caller) for record in nodes]
    for start, stop in _calls(nodes):
        _name_call(nodes[start:stop], places[start])
    seen: Counter[str] = Counter()
    for record, place in zip(nodes, places, strict=True):
        record.file, record.line = place.file, place.line
        if record.is_input:
            record.name = record.expression = record.node.params["name"]
        elif not record.expression:
            record.expression = record.name or _spelled(record)
        label = record.name or record.expression
        seen[label] += 1
        record.label = label if seen[label] == 1 else f"{label}.{seen[label]}"


def _place(sources: Sources, node: Node, caller: Origin) -> Place:
    origin = node.origin
    if origin is None or (origin[0] is caller[0] and origin[1] == caller[1]):
        return UNKNOWN
    return sources.place(origin)


def _calls(nodes: Sequence[TraceNode]) -> list[tuple[int, int]]:
    """Ranges of nodes that one evaluation of one expression made.

    One NumPy call may make several gates (``np.var``: mean, subtract, square, mean), all with the
    same origin; so may a loop. They are told apart by the pattern: gates a, b, c, a, b, c at one
    origin are two calls of three gates.
    """
    calls: list[tuple[int, int]] = []
    start = 0
    while start < len(nodes):
        origin = nodes[start].node.origin
        stop = start + 1
        while stop < len(nodes) and origin is not None and nodes[stop].node.origin == origin:
            stop += 1
        period = _period([record.gate for record in nodes[start:stop]])
        calls += [(k, k + period) for k in range(start, stop, period)]
        start = stop
    return calls


def _period(gates: list[str]) -> int:
    """The length of the shortest pattern whose repetition gives `gates`."""
    # Knuth, Morris, Pratt: the longest proper prefix that is also a suffix.
    border = [0] * len(gates)
    for i in range(1, len(gates)):
        k = border[i - 1]
        while k and gates[i] != gates[k]:
            k = border[k - 1]
        border[i] = k + 1 if gates[i] == gates[k] else 0
    period = len(gates) - border[-1]
    return period if len(gates) % period == 0 else len(gates)


def _name_call(members: Sequence[TraceNode], place: Place) -> None:
    """Name what one evaluation made: its last node is the result, the others are on the way."""
    text = place.expression or ""
    for record in members[:-1]:
        record.expression = f"{text}: {record.gate}" if text else ""
    last = members[-1]
    last.expression = text
    if place.stored and last.node.primitive.name == "setitem":
        last.name, last.expression = place.stored, place.statement or text
        return
    if not place.targets:
        last.name = place.name
        return
    for record in members:
        if record.node.primitive is ITEM:
            k = record.node.params["index"]
            record.name = place.targets[k] if k < len(place.targets) else None


def _spelled(record: TraceNode) -> str:
    """Gate and operands, where there is no source: ``x + y``, ``exp(#3)``."""
    if record.gate == "constant":
        return value_text(record.value)
    operands = [
        value_text(edge.value) if edge.node is None else edge.node.name or f"#{edge.node.index}"
        for edge in record.inputs
    ]
    if record.gate in _INFIX and len(operands) == 2:
        return f" {record.gate} ".join(operands)
    if record.gate == "neg":
        return f"-{operands[0]}"
    return f"{record.gate}({', '.join(operands)})"
