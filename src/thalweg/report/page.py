"""The data of the explorer's page: a trace and its drawing, in little room.

Texts stand once, in a table, and are known by their place in it. docs/explorer.md has the form.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.jacobian.coordinates import size_of
from thalweg.report.blocks import Block, blocks_of
from thalweg.report.describe import number
from thalweg.report.layout import Drawing, Edge, layered
from thalweg.report.nonfinite import first_nonfinite
from thalweg.report.numbers import number_text
from thalweg.report.page_local import Matrices, local_data
from thalweg.report.page_values import Detail, choose_detail, pack
from thalweg.report.program import program_data
from thalweg.report.record import GroupFound, KernelFound, Record, TraceEdge, TraceNode
from thalweg.report.text import display_width, one_line
from thalweg.report.trouble import Symptom, symptoms
from thalweg.report.units import OutputUnit, output_units

__all__ = ["FORMAT", "VERSION", "page_data"]

FORMAT = "thalweg-explorer"
VERSION = 1

# A card: the value above the body, the gradient below it, the local and the downstream gradients
# to the left of it, over and under the wires that come in. static/card.js draws the same.
#: Height of the lines above and below the body, and of the body of a gate with one operand.
_LINE, _BODY = 20.0, 44.0
#: Distance of two wires that come in; without room for their labels, where they are many.
_PITCH, _CLOSE, _MANY = 36.0, 12.0, 6
#: Width of a character in the body, and on the wires.
_WIDE, _NARROW = 7.3, 6.4
#: Characters of the longest text on a card and on a wire.
_LONGEST, _LONGEST_ON_WIRE = 22, 18
#: Characters of the longest text on the page: a source line may be a whole program.
_LONGEST_TEXT = 400


def page_data(
    record: Record, limit: int | None = None, runs: Sequence[tuple[str, Record]] = ()
) -> dict[str, Any]:
    """Everything that the page shows, as plain data.

    Parameters
    ----------
    record : Record
    limit : int, optional
        Arrays of more entries are summarised. By default as many as a page of 5 MB has room for,
        at most 1024.
    runs : sequence of (label, Record), optional
        Several runs of the same graph, `record` the first of them.
    """
    if limit is None:
        detail = choose_detail(size for _, run in runs or [("", record)] for size in _sizes(run))
    else:
        detail = Detail(limit, True)
    texts, matrices = _Texts(), Matrices(record.nodes)
    found = symptoms(record)
    cards = [_card(node) for node in record.nodes]
    drawing = _draw(record, cards)
    return {
        "format": FORMAT,
        "version": VERSION,
        "function": one_line(record.function)[:_LONGEST_TEXT],
        "file": None if record.file is None else one_line(record.file),
        "line": record.line,
        "backward": record.backward,
        "limit": detail.limit,
        "inputs": [node.index for node in record.inputs],
        "outputs": [None if node is None else node.index for node in record.outputs],
        "output_values": [pack(value, detail) for value in record.output_values],
        "notes": [one_line(note) for note in record.notes],
        "groups": [_group(group) for group in record.groups],
        "blocks": [_block(block) for block in blocks_of(record)],
        "kernels": [_kernel(kernel) for kernel in record.kernels],
        "units": [_unit(unit) for unit in output_units(record)],
        "trouble": _trouble(record),
        "checked": record.errors is not None,
        "height": drawing.height,
        "columns": [[round(column.x, 1), round(column.width, 1)] for column in drawing.columns],
        "nodes": [
            _node(node, texts, detail, matrices)
            | _ailing(node, found, record.errors)
            | _place(card, drawing, node.index)
            for node, card in zip(record.nodes, cards, strict=True)
        ],
        "frames": [_run(label, run, texts, detail) for label, run in runs],
        "texts": texts.list,
        "program": {"missing": "the page has several runs"} if runs else program_data(record),
    }


class _Texts:
    """Texts, each kept once."""

    def __init__(self) -> None:
        self.list: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        found = self._places.get(text)
        if found is None:
            found = self._places[text] = len(self.list)
            shown = one_line(text)
            longer = len(shown) > _LONGEST_TEXT
            self.list.append(shown[: _LONGEST_TEXT - 1] + "…" if longer else shown)
        return found


def _sizes(record: Record) -> Iterator[int]:
    """The number of entries of every array that the page could show."""
    for node in record.nodes:
        yield size_of(node.value)
        if node.upstream is not None:
            yield size_of(node.upstream)
        for edge in node.inputs:
            if edge.downstream is not None:
                yield size_of(edge.downstream)
            if edge.node is None and isinstance(edge.value, np.ndarray):
                yield edge.value.size
            if edge.local is not None and isinstance(edge.local.entries, np.ndarray):
                yield edge.local.entries.size


# ---- nodes and edges ----------------------------------------------------------------------


def _node(node: TraceNode, texts: _Texts, detail: Detail, matrices: Matrices) -> dict[str, Any]:
    base = node.name or node.expression
    data: dict[str, Any] = {"base": texts.place(base), "gate": texts.place(node.gate)}
    if node.label != base:
        data["repeat"] = int(node.label.rpartition(".")[2])
    if node.name is not None:
        data["named"] = 1
        if node.expression != node.name:
            data["expression"] = texts.place(node.expression)
    if node.file is not None and node.line is not None:
        source = linecache.getline(node.file, node.line).strip()
        data["at"] = [texts.place(node.file), node.line, texts.place(source)]
    if node.is_input:
        data["input"] = 1
    if not node.differentiable:
        data["constant"] = 1
    return data | _numbers(node, texts, detail, matrices)


def _numbers(node: TraceNode, texts: _Texts, detail: Detail, matrices: Matrices) -> dict[str, Any]:
    data: dict[str, Any] = {"value": pack(node.value, detail)}
    if node.upstream is not None:
        data["upstream"] = pack(node.upstream, detail)
    data["operands"] = [_edge(edge, texts, detail, matrices) for edge in node.inputs]
    return data


def _run(label: str, record: Record, texts: _Texts, detail: Detail) -> dict[str, Any]:
    """The numbers of one of several runs; its local Jacobians without matrices and pictures."""
    none, found = Matrices(()), symptoms(record)
    none.limit = none.pictures = 0
    return {
        "label": label,
        "outputs": [pack(value, detail) for value in record.output_values],
        "trouble": _trouble(record),
        "backward": record.backward,
        "checked": record.errors is not None,
        "units": [_unit(unit) for unit in output_units(record)],
        "nodes": [
            _numbers(node, texts, detail, none) | _ailing(node, found, record.errors)
            for node in record.nodes
        ],
    }


def _ailing(
    node: TraceNode, found: dict[int, list[Symptom]], errors: Mapping[int, float] | None
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if node.index in found:
        data["symptoms"] = [[symptom.kind, symptom.text] for symptom in found[node.index]]
    if errors is not None and node.index in errors:
        data["error"] = number(errors[node.index])
    return data


def _edge(edge: TraceEdge, texts: _Texts, detail: Detail, matrices: Matrices) -> dict[str, Any]:
    if edge.node is None:
        return {"value": pack(edge.value, detail)}
    data: dict[str, Any] = {"node": edge.node.index}
    if edge.local is not None:
        data["kind"] = texts.place(edge.local.kind)
        data |= local_data(edge.local, detail, matrices)
    if edge.downstream is not None:
        data["downstream"] = pack(edge.downstream, detail)
    return data


def _trouble(record: Record) -> dict[str, Any] | None:
    """Where the first NaN or Inf was made, and what to do."""
    found = first_nonfinite(record)
    if found is None:
        return None
    index = next(node.index for node in record.nodes if node.label == found.label)
    return {"node": index, "text": [one_line(line) for line in str(found).splitlines()]}


def _group(group: GroupFound) -> dict[str, Any]:
    return {
        "name": group.name,
        "members": [node.index for node in group.members],
        "output": group.output.index,
        "formula": group.formula,
        "local": None if group.local is None else number_text(group.local),
        "saved": [group.saved_forward, group.saved_backward],
    }


def _unit(unit: OutputUnit) -> dict[str, Any]:
    rows = [
        {key: None if part is None else [number(x) for x in part] for key, part in row.items()}
        for row in unit.rows
    ]
    return {"kind": unit.kind, "node": unit.node.index, "total": unit.total, "rows": rows}


def _block(block: Block) -> dict[str, Any]:
    """Its members as ranges [first, last]."""
    ranges: list[list[int]] = []
    for index in block.members:
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    data: dict[str, Any] = {"name": one_line(block.name)[:_LONGEST_TEXT], "kind": block.kind}
    data["members"] = ranges
    if block.parent is not None:
        data["parent"] = block.parent
    if block.group is not None:
        data["group"] = block.group
    return data


def _kernel(kernel: KernelFound) -> dict[str, Any]:
    return {
        "name": one_line(kernel.name),
        "what": one_line(kernel.what),
        "members": [node.index for node in kernel.members],
        "bytes": kernel.bytes,
        "flops": kernel.flops,
        "seconds": kernel.seconds,
        "least": kernel.least,
    }


# ---- cards --------------------------------------------------------------------------------


def _card(node: TraceNode) -> tuple[float, float, float, float]:
    """Width, width of the part where the wires come in, distance of the wires, height."""
    label = f"{node.label} {_shape(node)}"
    texts = [label, node.gate, _short(node.value), _short(node.upstream)]
    longest = max(min(display_width(one_line(text[:60])), _LONGEST) for text in texts)
    body = max(58.0, longest * _WIDE + 22)
    count = len(node.inputs)
    if not count:
        return body, 0.0, _PITCH, 2 * _LINE + _BODY
    if count > _MANY:
        return body + 24, 24.0, _CLOSE, 2 * _LINE + count * _CLOSE
    on_wires = [
        text
        for edge in node.inputs
        for text in (_short(edge.value if edge.node is None else edge.downstream), _kind(edge))
    ]
    wires = max(min(len(text), _LONGEST_ON_WIRE) for text in on_wires) * _NARROW + 16
    return body + wires, wires, _PITCH, 2 * _LINE + max(_BODY, count * _PITCH)


def _shape(node: TraceNode) -> str:
    return f"[{'×'.join(map(str, node.shape))}]" if node.shape else ""


def _kind(edge: TraceEdge) -> str:
    if edge.local is None:
        return ""
    number = edge.local.number
    return edge.local.kind if number is None else f"×{_short(number)}"


def _short(value: Any) -> str:
    """What stands for a value on a card, with the arrow in front: about as long as on the page."""
    if value is None:
        return "◂ not run"
    if type(value) is tuple or np.size(value) > 3:
        return "◂ -0.0123 … 0.0123"
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        return str(value)[:_LONGEST]
    numbers = ", ".join(number_text(x) for x in array.ravel())
    return f"◂ {numbers}" if array.ndim == 0 else f"◂ [{numbers}]"


def _draw(record: Record, cards: list[tuple[float, float, float, float]]) -> Drawing:
    edges = []
    for node, (_, _, pitch, height) in zip(record.nodes, cards, strict=True):
        first = height / 2 - pitch * (len(node.inputs) - 1) / 2
        for position, edge in enumerate(node.inputs):
            if edge.node is not None:
                source = edge.node.index
                leaves = cards[source][3] / 2
                edges.append(Edge(source, node.index, leaves, first + pitch * position))
    return layered([(card[0], card[3]) for card in cards], edges)


def _place(card: tuple[float, float, float, float], drawing: Drawing, index: int) -> dict[str, Any]:
    width, wires, pitch, height = (round(length, 1) for length in card)
    place: dict[str, Any] = {
        "place": [drawing.layers[index], drawing.tops[index], width, height, wires, pitch]
    }
    if drawing.ways[index]:
        place["way"] = drawing.ways[index]
    return place
