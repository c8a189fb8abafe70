"""A trace as a table that a person reads in a terminal.

`table` gives cells with roles, so that a front end can colour them; `render` lays them out, with
a `paint` function where there is colour.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from thalweg.jacobian.structure import LocalJacobian, bytes_text
from thalweg.report.numbers import SMALL, value_text
from thalweg.report.record import GroupFound, KernelFound, Record, TraceEdge, TraceNode

__all__ = [
    "Cell",
    "Paint",
    "cut",
    "display_width",
    "group_text",
    "local_text",
    "one_line",
    "render",
    "table",
]


class Cell(NamedTuple):
    """A piece of a table.

    `role` is ``"name"``, ``"gate"``, ``"value"``, ``"gradient"``, ``"local"``, ``"head"`` or
    ``"plain"``.
    """

    text: str
    role: str


#: Given a padded text and its role, gives what is printed (markup, escape codes).
Paint = Callable[[str, str], str]

_HEAD = ("node", "gate", "value", "upstream", "to", "local", "downstream")
#: Of a compiled graph, in which gradients are gates like others; a column without text is left out.
_HEAD_COMPILED = ("node", "gate", "value", "", "operands", "", "")
#: Columns that may be cut where the terminal is narrow, and how far: names first, then all.
_NAMES = {0: 18, 4: 16}
_FLEXIBLE = {0: 14, 2: 12, 3: 12, 4: 8, 5: 12, 6: 12}
_GAP = "  "
_SUMMARY = re.compile(
    r"(?P<shape>\([\d, ]*\))(?P<limits> (?:\|·\| )?in \[[^\]]*\])?(?:, mean [^,]*)?(?P<faults>.*)"
)
_FRACTION = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?")
_SIZE = re.compile(r" (\d+×\d+|\(.*\))$")
_REPEAT = re.compile(r"(?<!\d)\.\d{1,9}$")
_NOT_RUN = "-"
#: Nodes that `print` shows; `Trace.to_text` shows as many as one asks for.
LIMIT = 200
_NO_TERMINAL = 160
#: What dense Jacobians would take at least before anything is said about it.
_MANY_BYTES = 10_000
#: Columns for one member in the list of a group's members.
_MEMBER = 40


def local_text(local: LocalJacobian | None) -> str:
    """A local Jacobian in a few words: its numbers where they are few, its kind and size else."""
    if local is None:
        return "no derivative"
    number = local.number
    if number is not None:
        return f"{value_text(number)} ({local.kind})"
    m, n = local.shape
    entries = local.entries
    if isinstance(entries, tuple) or entries is None or getattr(entries, "size", 1) > SMALL:
        return f"{local.kind} {m}×{n}"
    return f"{local.kind} {value_text(entries)}"


def table(record: Record, limit: int | None = None) -> list[list[Cell]]:
    """The rows of the table, the heading first; the same number of cells in each.

    A node has a row for each operand that a derivative can go to (one row, where it has none);
    what belongs to the node stands in the first of them. Of more than `limit` nodes, those in
    the middle are left out.
    """
    rows = [[Cell(title, "head") for title in (_HEAD_COMPILED if record.kernels else _HEAD)]]
    nodes: list[TraceNode | None] = list(record.nodes)
    if limit is not None and len(nodes) > limit:
        half = max(limit // 2, 1)
        nodes[half:-half] = [None]
    for node in nodes:
        if node is None:
            left_out = f"… {len(record.nodes) - 2 * half} nodes …"
            rows.append([Cell(left_out, "plain"), *[Cell("", "plain")] * (len(_HEAD) - 1)])
            continue
        if record.kernels:
            rows.append(
                [*_node_cells(record, node, True), _operands(node), *[Cell("", "plain")] * 2]
            )
            continue
        edges = [edge for edge in node.inputs if edge.node is not None]
        for position, edge in enumerate(edges or [None]):
            rows.append([*_node_cells(record, node, position == 0), *_edge_cells(record, edge)])
    return rows


def _node_cells(record: Record, node: TraceNode, first: bool) -> list[Cell]:
    if not first:
        return [Cell("", role) for role in ("name", "gate", "value", "gradient")]
    return [
        Cell(one_line(node.label), "name"),
        Cell(node.gate, "gate"),
        Cell(value_text(node.value), "value"),
        Cell(_gradient(record, node.upstream), "gradient"),
    ]


def _edge_cells(record: Record, edge: TraceEdge | None) -> list[Cell]:
    if edge is None or edge.node is None:
        return [Cell("", "name"), Cell("", "local"), Cell("", "gradient")]
    return [
        Cell(one_line(edge.node.label), "name"),
        Cell(local_text(edge.local), "local"),
        Cell(_gradient(record, edge.downstream), "gradient"),
    ]


def _operands(node: TraceNode) -> Cell:
    """All operands in one cell."""
    names = (edge.node.label if edge.node else value_text(edge.value) for edge in node.inputs)
    return Cell(", ".join(cut(one_line(name), _MEMBER) for name in names), "name")


def _gradient(record: Record, value: object) -> str:
    if record.kernels:
        return ""
    return _NOT_RUN if value is None else value_text(value)


def one_line(text: str) -> str:
    """`text` without line breaks and control characters, which a terminal would obey."""
    text = " ".join(text.split())
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def group_text(group: GroupFound) -> str:
    """What is said about a group that was found."""
    count = len(group.members)
    number = "" if group.local is None else f" = {value_text(group.local)}"
    return (
        f"these {count} nodes could be one {group.name} node: "
        f"{', '.join(cut(one_line(node.label), _MEMBER) for node in group.members)}\n"
        f"  local gradient {group.formula}{number}; saves {_operations(group.saved_forward)} "
        f"forward and {_operations(group.saved_backward)} backward"
    )


def kernel_text(kernel: KernelFound) -> str:
    """What is said about a kernel of a compiled graph."""
    names = ", ".join(cut(one_line(node.label), _MEMBER) for node in kernel.members)
    cost = f"; {kernel.bytes:,} bytes, {_operations(kernel.flops)}" if kernel.bytes else ""
    return f"{kernel.name} ({kernel.what}) computes {names or 'nothing by name'}{cost}"


def _operations(count: int) -> str:
    return f"{count:,} operation{'' if count == 1 else 's'}"


def render(
    record: Record,
    width: int | None = None,
    paint: Paint | None = None,
    limit: int | None = LIMIT,
) -> str:
    """The whole report as text.

    Parameters
    ----------
    width : int, optional
        Columns of the table at most (default: the terminal's).
    paint : callable, optional
        ``paint(text, role)`` gives what is printed for a cell.
    limit : int or None
        Nodes and groups to show at most; None: all.
    """
    width = width or _terminal_width()
    where = f" at {record.file}:{record.line}" if record.file else ""
    values = ", ".join(value_text(value) for value in record.output_values)
    lines = [
        cut(f"{one_line(record.function)}{where}", width),
        cut(f"{len(record.nodes)} nodes, output {values}", width),
    ]
    if not record.backward and not record.kernels:
        lines.append("backward not run: pass upstream= in the form of the output")
    lines += ["", *_layout(table(record, limit), width, paint or _plain)]
    saved = _jacobians_text(record)
    if saved:
        lines += ["", saved]
    groups = record.groups if limit is None else record.groups[: limit // 10]
    for group in groups:
        lines += ["", group_text(group)]
    if len(groups) < len(record.groups):
        lines += ["", f"… and {len(record.groups) - len(groups)} more groups"]
    for kernel in record.kernels if limit is None else record.kernels[:limit]:
        lines += ["", kernel_text(kernel)]
    for note in record.notes:
        lines += ["", f"note: {note}"]
    return "\n".join(lines)


def _jacobians_text(record: Record) -> str:
    """What all local Jacobians take, and would as dense matrices, where that is another order."""
    found = [edge.local for node in record.nodes for edge in node.inputs if edge.local is not None]
    held = sum(local.nbytes for local in found)
    dense = sum(local.dense_nbytes for local in found)
    if dense < max(_MANY_BYTES, 10 * held):
        return ""
    return f"local Jacobians: held in {bytes_text(held)}; dense they would take {bytes_text(dense)}"


def _terminal_width() -> int:
    """Columns of the terminal; 160 where there is none."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or _NO_TERMINAL  # 1: the standard output
    except OSError:
        return _NO_TERMINAL


def _plain(text: str, role: str) -> str:
    return text


def _layout(rows: Sequence[Sequence[Cell]], width: int, paint: Paint) -> list[str]:
    for form in (_without_mean, _rounded):
        if sum(_widths(rows, _NAMES)) > _room(width):
            rows = [[cell._replace(text=form(cell)) for cell in row] for row in rows]
    widths = _fit_columns(rows, width)
    # A summary that lost its range needs less than its column has: give the rest to the others.
    rows = [[_shorter(cell, room) for cell, room in zip(row, widths, strict=True)] for row in rows]
    widths = _fit_columns(rows, width)
    lines = []
    for row in rows:
        cells = [
            paint(_pad(_cut_cell(cell, room), room), cell.role)
            for cell, room in zip(row, widths, strict=True)
            if room
        ]
        lines.append(_GAP.join(cells).rstrip())
    return lines


def _widths(rows: Sequence[Sequence[Cell]], most: Mapping[int, int]) -> list[int]:
    """What the columns need, up to `most`."""
    return [
        min(max(display_width(cell.text) for cell in column), most.get(i, sys.maxsize))
        for i, column in enumerate(zip(*rows, strict=True))
    ]


def _room(width: int) -> int:
    return width - len(_GAP) * (len(_HEAD) - 1)


def _fit_columns(rows: Sequence[Sequence[Cell]], width: int) -> list[int]:
    """Widths of the columns: what they need; the widest flexible ones give way first."""
    widths = _widths(rows, {})
    for flexible in (_NAMES, _FLEXIBLE):
        while sum(widths) > _room(width):
            wide = [i for i, least in flexible.items() if widths[i] > least]
            if not wide:
                break
            widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def display_width(text: str) -> int:
    """Columns that a terminal needs for `text`: wide characters take two, marks none."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _summary(cell: Cell) -> re.Match[str] | None:
    """The parts of an array's summary; None for other cells."""
    return _SUMMARY.fullmatch(cell.text) if cell.role in ("value", "gradient") else None


def _without_mean(cell: Cell) -> str:
    found = _summary(cell)
    return f"{found['shape']}{found['limits'] or ''}{found['faults']}" if found else cell.text


def _rounded(cell: Cell) -> str:
    """A summary with two digits, the entries of an array with three; a single number as it is."""
    if cell.role not in ("value", "gradient", "local") or "[" not in cell.text:
        return cell.text
    digits = 2 if _summary(cell) else 3
    return _FRACTION.sub(lambda found: f"{float(found[0]):.{digits}g}", cell.text)


def _shorter(cell: Cell, room: int) -> Cell:
    """The cell without what tells least, where there is no room: a range, a size, a kind.

    That there are NaN or inf, and how many, stays as long as it fits.
    """
    if display_width(cell.text) <= room:
        return cell
    if cell.role == "local":
        return cell._replace(text=_SIZE.sub("", cell.text))
    found = _summary(cell)
    if not found:
        return cell._replace(text=_rounded(cell))
    shape, faults = found["shape"], found["faults"].removeprefix(",")
    forms = (shape + faults, shape + "".join(f" {word}" for word in re.findall("nan|inf", faults)))
    return cell._replace(text=next((form for form in forms if len(form) <= room), shape))


def _cut_cell(cell: Cell, room: int) -> str:
    """A cell in at most `room` columns.

    The end of a name stays: it tells ``params['W1']`` from ``params['b1']``, and a repeated label
    (``s.12``) from the others.
    """
    text = cell.text
    if cell.role != "name" or display_width(text) <= room:
        return cut(text, room)
    repeat = _REPEAT.search(text)
    tail = max(room // 3, len(repeat[0]) if repeat else 0)
    return cut(text, room - tail) + _last(text, tail)


def _last(text: str, room: int) -> str:
    """The end of `text`, in at most `room` columns."""
    start, used = len(text), 0
    while start and used + _character_width(text[start - 1]) <= room:
        start -= 1
        used += _character_width(text[start])
    return text[start:]


def cut(text: str, room: int) -> str:
    """`text` in at most `room` columns, with … where something was left out."""
    if display_width(text) <= room:
        return text
    kept, used = "", 0
    for character in text:
        used += _character_width(character)
        if used > room - 1:
            break
        kept += character
    return kept + "…"


def _pad(text: str, room: int) -> str:
    return text + " " * (room - display_width(text))
