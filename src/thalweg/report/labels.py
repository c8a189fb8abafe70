"""Names, expressions and labels of the nodes of a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

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
    start = 0
    for run in _runs(nodes):
        _name_run(run, places[start])
        start += len(run)
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


def _runs(nodes: Sequence[TraceNode]) -> Iterator[Sequence[TraceNode]]:
    """Neighbours of the same origin; a write into an array stands alone."""
    start = 0
    while start < len(nodes):
        origin, stop = nodes[start].node.origin, start + 1
        if not _is_write(nodes[start]) and origin is not None:
            while (
                stop < len(nodes)
                and nodes[stop].node.origin == origin
                and not _is_write(nodes[stop])
            ):
                stop += 1
        yield nodes[start:stop]
        start = stop


def _is_write(record: TraceNode) -> bool:
    return record.node.primitive.name == "setitem"


def _name_run(run: Sequence[TraceNode], place: Place) -> None:
    """Name what was made at one place.

    One NumPy call may make several gates (``np.var``: mean, subtract, square, mean), all with the
    same origin; so may a loop. They are told apart by the pattern: gates a, b, c, a, b, c are two
    calls of three gates. The last gate of a call is its result, the others are on the way.
    """
    text = place.expression or ""
    if _is_write(run[0]):
        run[0].name, run[0].expression = place.stored, place.statement or text
        return
    period = _period([record.gate for record in run])
    for k, record in enumerate(run):
        if (k + 1) % period == 0:
            record.expression = text
            record.name = None if place.targets else place.name
        elif text:
            record.expression = f"{text}: {record.gate}"
    _name_parts(run, place.targets)


def _name_parts(run: Sequence[TraceNode], targets: tuple[str, ...]) -> None:
    """``u, s, v = …``: each result has its own name."""
    count = len(targets)
    if not count:
        return
    items = [record for record in run if record.node.primitive is ITEM]
    for record in items:
        record.name = targets[record.node.params["index"]]
    last = run[-count:]
    if not items and len({record.gate for record in last}) == 1:
        # Results that are gates of their own (np.split, an array taken apart), in their order.
        several = run if len({record.gate for record in run}) == 1 else last
        if len(several) % count == 0:
            for k, record in enumerate(several):
                record.name = targets[k % count]


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


def _spelled(record: TraceNode) -> str:
    """Gate and operands, where there is no source: ``x + y``, ``exp(#3)``."""
    if record.gate == "constant":
        return value_text(record.value)
    inner = record.inputs[0].node if record.gate == "input" else None
    if inner is not None:  # the same value, as the input of a nested derivative
        return inner.name or inner.expression
    operands = [
        value_text(edge.value) if edge.node is None else edge.node.name or f"#{edge.node.index}"
        for edge in record.inputs
    ]
    if record.gate in _INFIX and len(operands) == 2:
        return f" {record.gate} ".join(operands)
    if record.gate == "neg":
        return f"-{operands[0]}"
    return f"{record.gate}({', '.join(operands)})"
