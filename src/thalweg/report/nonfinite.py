"""Where NaN and Inf begin: the producer told from everything that only hands them on.

Forward: a gate whose operands are finite and whose value is not. Local: a local Jacobian with a
non-finite entry although operands and value are finite, as of sqrt at 0. Backward: a downstream
gradient that is non-finite although upstream and local gradient are finite (overflow, or a fan-out
whose sum does). A non-finite number that reaches neither the output nor a gradient, behind a
`np.where` say, is no fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.kinds import (
    Chain,
    Custom,
    Diagonal,
    Identity,
    Kind,
    Router,
    Scale,
    SumOver,
    Wirtinger,
    Zero,
)
from thalweg.report.hints import hint
from thalweg.report.numbers import value_text
from thalweg.report.record import Record, TraceEdge, TraceNode

__all__ = ["NonFinite", "first_nonfinite"]

_ELEMENTWISE = (Identity, Scale, Diagonal, Router, Wirtinger, Zero)
Index = tuple[int, ...]


@dataclass(frozen=True)
class NonFinite:
    """Where the first NaN or Inf was made.

    Attributes
    ----------
    phase : str
        ``"input"`` (it came in), ``"constant"``, ``"forward"``, ``"local"``, ``"backward"``, or
        ``"upstream"`` (the gradient that was given for the output).
    gate, expression, file, line
        The operation and its place in the source.
    label : str
        The node's name in the trace.
    index : tuple of int
        The first entry concerned: of the value (forward), of the value or operand that the local
        gradient's entries belong to (local, backward).
    operands : tuple
        The operands at that entry (whole operands, where entries do not correspond).
    value : Any
        The gate's value there.
    operand : int or None
        Local and backward: which operand's derivative it is.
    upstream, local, downstream : Any
        Local and backward: the gradients there (None where they have no single entry).
    hint : str
        What to do about it.
    """

    phase: str
    gate: str
    expression: str
    file: str | None
    line: int | None
    label: str
    index: Index
    operands: tuple[Any, ...]
    value: Any
    hint: str
    operand: int | None = None
    upstream: Any = None
    local: Any = None
    downstream: Any = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file else "unknown place"
        what = "input" if self.phase == "input" else f"gate {self.gate!r} at {where}:"
        at = f" at index {list(self.index)}" if self.index else ""
        made = self.downstream if self.phase in ("local", "backward") else self.value
        lines = [
            f"first non-finite number: {_short(made)} ({_PHASES[self.phase]})",
            f"  {what} {self.expression}",
        ]
        if self.operands:
            lines.append(f"  operands{at}: {', '.join(map(_short, self.operands))}")
            lines.append(f"  value: {_short(self.value)}")
        elif at:
            lines.append(f"  value{at}: {_short(self.value)}")
        if self.operand is not None:
            lines.append(
                f"  towards operand {self.operand}: upstream {_short(self.upstream)}, "
                f"local {_short(self.local)}, downstream {_short(self.downstream)}"
            )
        return "\n".join([*lines, f"  hint: {self.hint}"])

    __repr__ = __str__


_PHASES = {
    "input": "it came in with an input",
    "constant": "a constant of the program has it",
    "forward": "forward: the operands are finite, the value is not",
    "local": "local gradient: operands and value are finite, the derivative is not",
    "backward": "backward: upstream and local gradient are finite, what goes down is not",
    "upstream": "it came in with the upstream gradient of the output",
}


class _Found(NamedTuple):
    """A producer: its node, the entry, and in the backward pass the edge."""

    phase: str
    node: TraceNode
    at: Index
    edge: int | None = None


def first_nonfinite(record: Record) -> NonFinite | None:
    """The producer of the first NaN or Inf that reaches an output or a gradient, or None.

    Forward comes before backward; in each pass the first in the order of computation counts.
    """
    search = _Search(record)
    with np.errstate(all="ignore"):
        found = search.forward([node for node in record.outputs if node is not None])
        if found is None and record.backward:
            found = search.backward()
        return None if found is None else search.report(found)


# ---- masks ---------------------------------------------------------------------------------


def _bad(value: Any) -> Any:
    """Mask of the non-finite entries (one flag for each array of a tuple)."""
    if type(value) is tuple:
        return np.array([bool(np.any(_bad(part))) for part in value])
    array = np.asarray(value)
    if array.dtype.kind not in "fc":
        return np.zeros(array.shape, bool)
    return ~np.isfinite(array)


def _is_bad(value: Any) -> bool:
    return value is not None and bool(np.any(_bad(value)))


def _first(mask: Any) -> Index:
    """Index of the first true entry."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), np.shape(mask)))


def _shape(value: Any) -> tuple[int, ...]:
    return (len(value),) if type(value) is tuple else np.shape(value)


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def _is_elementwise(node: TraceNode) -> bool:
    """Whether entry i of the value is made from the operands' entries i alone."""
    if type(node.value) is tuple:
        return False
    shape = _shape(node.value)
    if not all(type(e.value) is not tuple and _fits(_shape(e.value), shape) for e in node.inputs):
        return False
    if node.node.primitive.rules:
        return True
    kinds = [e.local.structure for e in node.inputs if e.local is not None]
    return bool(kinds) and all(type(kind) in _ELEMENTWISE for kind in kinds)


def _is_opaque(kind: Kind) -> bool:
    """Whether a kind is given as functions, without numbers to look at."""
    if type(kind) is Chain:
        return _is_opaque(kind.inner) or _is_opaque(kind.outer)
    return type(kind) is Custom


def _scaled(value: Any, factor: float) -> Any:
    if type(value) is tuple:
        return tuple(_scaled(part, factor) for part in value)
    return value * np.asarray(value).dtype.type(factor)


def _numbers(kind: Kind) -> Iterator[Any]:
    """The floating arrays that a kind holds."""
    if type(kind) is Chain:
        yield from _numbers(kind.inner)
        yield from _numbers(kind.outer)
    elif type(kind) is not Custom:
        for value in kind:
            for part in value if type(value) is tuple else (value,):
                if np.asarray(part).dtype.kind in "fc":
                    yield part


# ---- the search ----------------------------------------------------------------------------


class _Search:
    """Walks from the non-finite ends to what made them."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.uses: dict[TraceNode, list[tuple[TraceNode, int]]] = {}
        for node in record.nodes:
            for i, edge in enumerate(node.inputs):
                if edge.node is not None:
                    self.uses.setdefault(edge.node, []).append((node, i))

    def forward(self, ends: Iterable[TraceNode]) -> _Found | None:
        """The first gate that makes what is non-finite in the values of `ends`."""
        waiting = [node for node in ends if _is_bad(node.value)]
        seen = set(waiting)
        producers = []
        while waiting:
            node = waiting.pop()
            found, further = self._made_forward(node)
            if found is not None:
                producers.append(found)
            for operand in further:
                if operand not in seen:
                    seen.add(operand)
                    waiting.append(operand)
        return min(producers, key=lambda found: found.node.index, default=None)

    def _made_forward(self, node: TraceNode) -> tuple[_Found | None, list[TraceNode]]:
        """What `node` makes itself, and the operands that it only hands on."""
        own = _bad(node.value)
        if not node.inputs:
            return _Found("input" if node.is_input else "constant", node, _first(own)), []
        handed = [edge for edge in node.inputs if _is_bad(edge.value)]
        further = handed
        if _is_elementwise(node):
            explained = np.zeros(own.shape, bool)
            further = []
            for edge in handed:
                there = np.broadcast_to(_bad(edge.value), own.shape) & own & _taken(edge, own)
                explained |= there
                if np.any(there):
                    further.append(edge)
            if np.any(own & ~explained):
                return _Found("forward", node, _first(own & ~explained)), _sources(further)
        elif not handed:
            return _Found("forward", node, _first(own)), []
        if any(edge.node is None for edge in further):
            return _Found("constant", node, _first(own)), _sources(further)
        return None, _sources(further)

    def backward(self) -> _Found | None:
        """The first edge of the backward pass that makes what is non-finite in a gradient."""
        waiting = [node for node in self.record.inputs if _is_bad(node.upstream)]
        seen = set(waiting)
        producers = []
        while waiting:
            node = waiting.pop()
            contributions = [
                (user, i)
                for user, i in self.uses.get(node, ())
                if _is_bad(user.inputs[i].downstream)
            ]
            if not contributions:
                given = node in self.record.outputs and not self.uses.get(node)
                phase = "upstream" if given else "backward"
                producers.append(_Found(phase, node, _first(_bad(node.upstream))))
            for user, i in contributions:
                found, goes_on = self._made_backward(user, i)
                if found is not None:
                    producers.append(found)
                if goes_on and user not in seen:
                    seen.add(user)
                    waiting.append(user)
        first = max(producers, key=lambda found: found.node.index, default=None)
        return first and (self._behind(first) or first)

    def _made_backward(self, node: TraceNode, i: int) -> tuple[_Found | None, bool]:
        """Whether the edge makes non-finite numbers, and whether it hands on others."""
        edge = node.inputs[i]
        above, below = _bad(node.upstream), _bad(edge.downstream)
        if not np.any(above):
            return _Found("backward", node, _place(edge, node, below), i), False
        if _is_elementwise(node) and above.shape == below.shape:
            fresh = below & ~above
            if np.any(fresh):
                return _Found("backward", node, _first(fresh), i), bool(np.any(below & above))
        return None, True

    def _behind(self, found: _Found) -> _Found | None:
        """What is really the matter with a backward producer: its local gradient, or a value."""
        if found.edge is None:
            return None
        edge = found.node.inputs[found.edge]
        assert edge.local is not None
        if not self._is_local(edge, found.node):
            return None
        at = found.at if _is_elementwise(found.node) else None
        ends: list[tuple[TraceNode | None, Any]] = [(found.node, found.node.value)]
        ends += [(e.node, e.value) for e in found.node.inputs]
        sick = [node for node, value in ends if _is_bad(_entry(value, at, found.node))]
        values = [node for node in sick if node is not None]
        if values:
            return self.forward(values)
        if sick:
            return found._replace(phase="constant")
        return found._replace(phase="local")

    def _is_local(self, edge: TraceEdge, node: TraceNode) -> bool:
        """Whether the local gradient itself is non-finite (what is opaque is tried out)."""
        assert edge.local is not None
        if _is_opaque(edge.local.structure):
            return _is_bad(edge.local.pull(_scaled(node.upstream, 1e-100)))
        return any(_is_bad(number) for number in _numbers(edge.local.structure))

    # ---- the report ----------------------------------------------------------------------

    def report(self, found: _Found) -> NonFinite:
        """The producer with its numbers."""
        node, index = found.node, found.at
        elementwise = _is_elementwise(node)
        at = index if elementwise else None
        operands = tuple(_entry(edge.value, at, node) for edge in node.inputs)
        shared = elementwise or found.phase in ("input", "constant", "forward")
        value = _at(node.value, index) if shared else node.value
        numbers: dict[str, Any] = {}
        if found.edge is not None:
            edge = node.inputs[found.edge]
            numbers = {
                "operand": found.edge,
                "upstream": _at(node.upstream, index) if elementwise else _single(node.upstream),
                "local": _local_number(edge, index, elementwise, node),
                "downstream": _worst(edge.downstream, index),
            }
        elif found.phase in ("backward", "upstream"):
            numbers = {"downstream": _at(node.upstream, index)}
        return NonFinite(
            phase=found.phase,
            gate=node.gate,
            expression=node.expression or node.label,
            file=node.file,
            line=node.line,
            label=node.label,
            index=index,
            operands=operands,
            value=value,
            hint=hint(node.node.primitive.name, found.phase, operands, value, numbers)
            + self._absorbed(node),
            **numbers,
        )

    def _absorbed(self, node: TraceNode) -> str:
        """The first non-finite value among what `node` is made from, as exp(x) = inf in 1/exp(x).

        It did not come through as such, but is often the real cause.
        """
        waiting, seen, sick = [node], {node}, []
        while waiting:
            for operand in _sources(waiting.pop().inputs):
                if operand not in seen:
                    seen.add(operand)
                    waiting.append(operand)
                    if _is_bad(operand.value):
                        sick.append(operand)
        if not sick:
            return ""
        first = min(sick, key=lambda operand: operand.index)
        return (
            f"; before it, gate {first.gate!r} at line {first.line} ({first.expression}) was "
            "already non-finite in an entry, which may be the cause"
        )


def _sources(edges: Sequence[TraceEdge]) -> list[TraceNode]:
    return [edge.node for edge in edges if edge.node is not None]


def _taken(edge: TraceEdge, own: Any) -> Any:
    """Where a router lets the operand through (everywhere, for other gates)."""
    kind = edge.local.structure if edge.local is not None else None
    if type(kind) is not Router:
        return True
    return np.broadcast_to(np.asarray(kind.entries).astype(bool), own.shape)


def _place(edge: TraceEdge, node: TraceNode, below: Any) -> Index:
    """The entry that an edge's fault is shown at: of the value if entries correspond."""
    if _is_elementwise(node) and below.shape != _shape(node.value):
        assert edge.local is not None
        for number in _numbers(edge.local.structure):
            if _is_bad(number):
                return _first(np.broadcast_to(_bad(number), _shape(node.value)))
        return _first(np.abs(node.upstream) == np.max(np.abs(node.upstream)))
    return _first(below)


def _entry(value: Any, at: Index | None, node: TraceNode) -> Any:
    """An operand at an entry of the gate's value, or the whole operand."""
    if at is None or type(value) is tuple:
        return value
    return np.broadcast_to(value, _shape(node.value))[at]


def _at(value: Any, index: Index) -> Any:
    """value[index] where it has such an entry, else the whole."""
    if type(value) is tuple:
        return value[index[0]] if index and index[0] < len(value) else value
    if len(index) != np.ndim(value) or any(
        i >= n for i, n in zip(index, np.shape(value), strict=True)
    ):
        return value
    return np.asarray(value)[index]


def _single(value: Any) -> Any:
    """The value, if it is one array."""
    return None if type(value) is tuple else value


def _worst(downstream: Any, index: Index) -> Any:
    """The downstream gradient at `index`, or its first non-finite entry."""
    there = _at(downstream, index)
    return there if np.ndim(there) == 0 else _at(downstream, _first(_bad(downstream)))


def _local_number(edge: TraceEdge, index: Index, elementwise: bool, node: TraceNode) -> Any:
    """The local gradient's entry there, where there is a single one."""
    assert edge.local is not None
    kind = edge.local.structure
    numbers = list(_numbers(kind))
    if type(kind) is Identity:
        return 1.0
    if len(numbers) != 1 or not (elementwise or type(kind) is SumOver):
        return None
    end = node.value if elementwise else edge.value
    return _at(np.broadcast_to(numbers[0], _shape(end)), index)


def _short(value: Any) -> str:
    if type(value) is tuple:
        return f"({', '.join(map(_short, value))})"
    return "—" if value is None else value_text(value)
