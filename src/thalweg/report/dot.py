"""A trace as Graphviz text: values above in green, gradients below in red, as in a circuit.

Names come from the user's program and may be anything: they appear only inside HTML-like labels,
escaped as XML; nodes are known to Graphviz by their number.
"""

from __future__ import annotations

from thalweg.report.numbers import value_text
from thalweg.report.record import Record, TraceNode

__all__ = ["digraph"]

_VALUE = "#1a7f37"
_GRADIENT = "#cf222e"
_LONGEST = 36
_XML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


def digraph(record: Record) -> str:
    """The graph, drawn from left to right."""
    lines = [
        "digraph trace {",
        "  rankdir=LR;",
        f"  label=<{_escape(record.function, 100)}>;",
        '  node [shape=ellipse, fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=9];',
    ]
    constants = 0
    for node in record.nodes:
        lines.append(f"  n{node.index} [{_shape(node)}label=<{_label(record, node)}>];")
        for edge in node.inputs:
            if edge.node is None:
                lines.append(
                    f"  c{constants} [shape=plaintext, label=<{_escape(value_text(edge.value))}>];"
                )
                lines.append(f"  c{constants} -> n{node.index} [style=dashed];")
                constants += 1
            elif edge.downstream is None:
                style = "" if record.backward is False and edge.local else " [style=dotted]"
                lines.append(f"  n{edge.node.index} -> n{node.index}{style};")
            else:
                text = _coloured(value_text(edge.downstream), _GRADIENT)
                lines.append(f"  n{edge.node.index} -> n{node.index} [label=<{text}>];")
    lines.append("}")
    return "\n".join(lines) + "\n"


def _shape(node: TraceNode) -> str:
    return "shape=box, " if node.is_input else ""


def _label(record: Record, node: TraceNode) -> str:
    name = _escape(node.label)
    rows = [_coloured(value_text(node.value), _VALUE)]
    if node.is_input:
        rows.append(f"<b>{name}</b>")
    else:  # the gate in the middle, as in a circuit; below it what the program calls it
        rows += [f"<b>{_escape(node.gate)}</b>", f'<font point-size="9">{name}</font>']
    if node.upstream is not None:
        rows.append(_coloured(value_text(node.upstream), _GRADIENT))
    elif record.backward:
        rows.append("no derivative")
    return "<br/>".join(rows)


def _coloured(text: str, colour: str) -> str:
    return f'<font color="{colour}">{_escape(text)}</font>'


def _escape(text: str, longest: int = _LONGEST) -> str:
    """`text` as XML character data; control characters, which XML has no place for, as �."""
    text = " ".join(text.split()) or " "
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown.translate(_XML)
