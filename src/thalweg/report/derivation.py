"""The chain rule in words of the trace: each gradient as the sum of upstream times local."""

from __future__ import annotations

from thalweg.report.numbers import value_text
from thalweg.report.record import Record, TraceEdge, TraceNode
from thalweg.report.text import local_text

__all__ = ["derivation"]

#: Derivations of larger graphs are cut: nobody reads them, `to_dict` has all of it.
LIMIT = 60
_SHORT = "#"


def derivation(record: Record, limit: int = LIMIT) -> list[str]:
    """One line a node, from the output back to the inputs, with symbols and numbers.

    ``∂f/∂q = ∂f/∂f · ∂f/∂q = 1 · -4 = -4``. A node with several consumers has the sum of what
    they hand back; constants and nodes without a derivative are left out. Long expressions are
    numbered, ``#7``, and explained in front.
    """
    if not record.backward:
        return []
    consumers: dict[int, list[tuple[TraceNode, TraceEdge]]] = {}
    for node in record.nodes:
        for edge in node.inputs:
            if edge.node is not None and edge.local is not None:
                consumers.setdefault(edge.node.index, []).append((node, edge))
    outputs = {node.index for node in record.outputs if node is not None}
    names = {node.index: _symbol(node) for node in record.nodes}
    result = "L"
    if len(outputs) == 1:
        (only,) = outputs
        if not names[only].isidentifier():
            names[only] = "f" if "f" not in names.values() else "result"
        result = names[only]
    lines = []
    for node in reversed(record.nodes):
        if not node.differentiable or node.upstream is None:
            continue
        uses = consumers.get(node.index, [])
        lines.append(_line(node, names, result, uses, node.index in outputs))
    if len(lines) > limit:
        lines[limit:] = [f"… and {len(lines) - limit} more nodes"]
    text = "\n".join(lines)
    legend = [
        f"{names[node.index]} stands for {_one_line(node.label)}"
        for node in record.nodes
        if names[node.index].startswith(_SHORT) and names[node.index] in text
    ]
    return [*legend, *lines]


def _line(
    node: TraceNode,
    names: dict[int, str],
    result: str,
    uses: list[tuple[TraceNode, TraceEdge]],
    is_output: bool,
) -> str:
    own = names[node.index]
    users = [names[user.index] for user, _ in uses]
    symbols = [f"∂{result}/∂{user} · ∂{user}/∂{own}" for user in users]
    numbers = [f"{_factor(value_text(user.upstream))} · {_local(edge)}" for user, edge in uses]
    if is_output and uses:  # the result itself is one of its consumers
        symbols.insert(0, "1")
        numbers.insert(0, "1")
    parts = [f"∂{result}/∂{own}", " + ".join(symbols), " + ".join(numbers)]
    return " = ".join([*filter(None, parts), value_text(node.upstream)])


def _symbol(node: TraceNode) -> str:
    """A node as one factor: a short expression in brackets, a number for a long one."""
    text = _one_line(node.label)
    if len(text) > 12:
        return f"{_SHORT}{node.index}"
    return text if text.replace(".", "_").isidentifier() else f"({text})"


def _one_line(label: str) -> str:
    return " ".join(label.split())


def _factor(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def _local(edge: TraceEdge) -> str:
    local = edge.local
    if local is not None and local.shape == (1, 1):
        return _factor(local_text(local).partition(" ")[0])
    return f"[{local_text(local)}]"
