"""The chain rule of a trace, written out node by node in LaTeX (amsmath is all it needs).

Every name becomes a symbol made of letters, digits and commands that are known here; a name that
is none of these gets the symbol v with the node's number, and is shown as escaped text only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.report.numbers import SMALL, number_text, value_text
from thalweg.report.record import Record, TraceEdge, TraceNode

__all__ = ["document"]

_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau"
    " upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
_NAME = re.compile(r"([A-Za-z]+)_?(\d*)(?:\.(\d+))?")
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "`": r"\textasciigrave{}",
}
#: Equations in one display: TeX keeps a display in memory as a whole.
_CHUNK = 25
#: Paths of the chain rule that one line spells out.
_TERMS = 4


def document(record: Record) -> str:
    """A document: the forward pass, and the chain rule from the output back to the inputs."""
    symbols = _symbols(record)
    lines = [
        r"\documentclass{article}",
        r"\usepackage{amsmath}",
        r"\allowdisplaybreaks",
        r"\begin{document}",
        rf"\section*{{{_escaped(record.function)}}}",
        r"\subsection*{Forward}",
        *_displays([_forward(node, symbols) for node in record.nodes]),
    ]
    if record.backward:
        lines += [r"\subsection*{Backward}", *_displays(_backward(record, symbols))]
    else:
        lines += ["", "The backward pass was not run."]
    lines += [_escaped(note) + r"\par" for note in record.notes]
    lines += [r"\end{document}", ""]
    return "\n".join(lines)


def _displays(equations: Sequence[str]) -> list[str]:
    lines = []
    for start in range(0, len(equations), _CHUNK):
        chunk = " \\\\\n".join(equations[start : start + _CHUNK])
        lines += [r"\begin{align*}", chunk, r"\end{align*}"]
    return lines


# ---- symbols ------------------------------------------------------------------------------


def _symbols(record: Record) -> dict[TraceNode, str]:
    """A symbol a node, no symbol twice."""
    symbols: dict[TraceNode, str] = {}
    used: set[str] = set()
    output = record.outputs[0] if len(record.outputs) == 1 else None
    for node in record.nodes:
        symbol = _symbol(node.label) if node.name is not None else None
        if symbol is None and node is output:
            symbol = _symbol(record.function) or "f"
        if symbol is None or symbol in used:
            symbol = f"v_{{{node.index}}}"
        used.add(symbol)
        symbols[node] = symbol
    return symbols


def _symbol(name: str) -> str | None:
    """``w0`` → w_{0}, ``alpha`` → \\alpha, ``loss.2`` → \\mathrm{loss}^{(2)}; None for others."""
    match = _NAME.fullmatch(name)
    if match is None or (match[1] == "v" and match[2]):  # v_3 is the symbol of node 3
        return None
    letters, digits, repeat = match.groups()
    base = letters if len(letters) == 1 else rf"\mathrm{{{letters}}}"
    if letters in _GREEK:
        base = rf"\{letters}"
    return base + (f"_{{{digits}}}" if digits else "") + (f"^{{({repeat})}}" if repeat else "")


def _escaped(text: str) -> str:
    """`text` for text mode; what plain TeX fonts lack becomes a question mark."""
    return "".join(
        _ESCAPES.get(c, c) if " " <= c <= "~" else " " if c.isspace() else "?" for c in text
    )


# ---- numbers ------------------------------------------------------------------------------


def _number(value: Any) -> str:
    if isinstance(value, (complex, np.complexfloating)):
        sign = "-" if value.imag < 0 else "+"
        return rf"({_number(value.real)} {sign} {_number(abs(value.imag))}i)"
    if isinstance(value, (float, np.floating)) and not math.isfinite(value):
        return r"\mathrm{NaN}" if math.isnan(value) else r"\infty" if value > 0 else r"-\infty"
    text = number_text(value)
    if isinstance(value, (bool, np.bool_)):
        return rf"\mathrm{{{text.lower()}}}"
    mantissa, e, exponent = text.partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if e else text


def _value(value: Any) -> str:
    """A number, a small vector or matrix; the shape of anything larger."""
    if type(value) is tuple:
        return rf"\left({', '.join(map(_value, value))}\right)"
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":  # an option: None, a name
        return rf"\text{{{_escaped(str(value))}}}"
    if array.ndim == 0:
        return _number(array[()])
    if array.ndim > 2 or array.size > SMALL or array.size == 0:
        lengths = r" \times ".join(map(str, array.shape))
        return rf"[\,{lengths}\,]"
    rows = array.reshape(-1, 1) if array.ndim == 1 else array
    body = r" \\ ".join(" & ".join(_number(x) for x in row) for row in rows)
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


def _is_number(value: Any) -> bool:
    return type(value) is not tuple and np.ndim(value) == 0


def _factor(value: Any) -> str:
    """A value as a factor: negative numbers and powers of ten in parentheses."""
    text = _value(value)
    return rf"\left({text}\right)" if text.startswith("-") or r"\times" in text else text


# ---- equations ----------------------------------------------------------------------------


def _forward(node: TraceNode, symbols: dict[TraceNode, str]) -> str:
    symbol, value = symbols[node], _value(node.value)
    if node.is_input:
        known = "" if _symbol(node.label) == symbol else rf"\qquad\text{{{_escaped(node.label)}}}"
        return f"{symbol} &= {value}{known}"
    if not node.inputs:
        return f"{symbol} &= {value}"
    named = [_factor(e.value) if e.node is None else symbols[e.node] for e in node.inputs]
    steps = [_applied(node, named)]
    if all(_is_number(e.value) for e in node.inputs):
        steps.append(_applied(node, [_factor(e.value) for e in node.inputs]))
    return f"{symbol} &= {' = '.join(dict.fromkeys([*steps, value]))}"


def _applied(node: TraceNode, operands: list[str]) -> str:
    """The gate's TeX template filled in; gate(operands) where it names more than there are."""
    joined = ", ".join(operands)
    params = {key: rf"\text{{{_param(value)}}}" for key, value in node.node.params.items()}
    try:
        return node.node.primitive.labels.tex.format(*operands, args=joined, **params)
    except (IndexError, KeyError):
        return rf"\text{{{_escaped(node.gate)}}}\left({joined}\right)"


def _param(value: Any) -> str:
    """A static parameter (axes, an index) as escaped text, cut where it is long."""
    text = _spelled(value)
    return _escaped(text if len(text) <= 30 else text[:27] + "...")


def _spelled(value: Any) -> str:
    if isinstance(value, slice):
        ends = ("" if end is None else str(end) for end in (value.start, value.stop))
        return ":".join(ends) + ("" if value.step is None else f":{value.step}")
    if type(value) is tuple:
        return ", ".join(map(_spelled, value))
    if isinstance(value, np.ndarray):
        return value_text(value)
    if value is None or value is Ellipsis:
        return "None" if value is None else "..."
    return " ".join(str(value).split())


def _backward(record: Record, symbols: dict[TraceNode, str]) -> list[str]:
    consumers: dict[TraceNode, list[tuple[TraceNode, TraceEdge]]] = {}
    for node in record.nodes:
        for edge in node.inputs:
            if edge.node is not None and edge.downstream is not None:
                consumers.setdefault(edge.node, []).append((node, edge))
    outputs = {node for node in record.outputs if node is not None}
    loss = _loss(record, symbols)
    equations = []
    for node in reversed(record.nodes):
        if node.upstream is not None:
            equations.append(_chain(node, consumers.get(node, []), node in outputs, loss, symbols))
    return equations


def _loss(record: Record, symbols: dict[TraceNode, str]) -> str:
    """What is differentiated: the output itself, where it is one number with upstream 1."""
    output = record.outputs[0] if len(record.outputs) == 1 else None
    if output is not None and _is_number(output.value) and np.all(output.upstream == 1):
        return symbols[output]
    return "L"


def _chain(
    node: TraceNode,
    paths: Sequence[tuple[TraceNode, TraceEdge]],
    is_output: bool,
    loss: str,
    symbols: dict[TraceNode, str],
) -> str:
    """∂L/∂node = Σ over its consumers of ∂L/∂consumer · ∂consumer/∂node."""
    own = symbols[node]
    terms, numbers = [], []
    for consumer, edge in paths[:_TERMS]:
        arriving = _partial(loss, symbols[consumer])
        local = _partial(symbols[consumer], own)
        number = None if edge.local is None else edge.local.number
        if number is not None and _is_number(consumer.value) and _is_number(node.value):
            terms.append(rf"{arriving} \cdot {local}")
            numbers.append(rf"{_factor(consumer.upstream)} \cdot {_factor(number)}")
        else:
            terms.append(rf"\left({local}\right)^{{\top}} {arriving}")
    if len(paths) > _TERMS:
        terms.append(rf"\cdots \;(\text{{{len(paths)} paths}})")
    steps = [" + ".join(terms)] if terms else []
    if len(numbers) == len(terms) and numbers and not is_output:
        steps.append(" + ".join(numbers))
    steps = [] if is_output and not paths else steps
    return f"{_partial(loss, own)} &= {' = '.join([*steps, _value(node.upstream)])}"


def _partial(above: str, below: str) -> str:
    return rf"\frac{{\partial {above}}}{{\partial {below}}}"
