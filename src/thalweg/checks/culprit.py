"""Which gate is it? Every gate of a function asked by itself, and kinks traced to their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.api import jvp, vjp
from thalweg.array import unwrap, wrap
from thalweg.checks.survey import (
    Call,
    CheckRow,
    Leaves,
    Survey,
    Target,
    directions_from,
    is_float,
    vector,
)
from thalweg.graph.node import Node, apply
from thalweg.jacobian.differences import along, rough
from thalweg.ops.structural import ITEM, items
from thalweg.report.source import Sources
from thalweg.tracing import Run, run

__all__ = ["all_nodes", "describe", "find_culprit", "locate_kink"]

#: Entries of operand and output up to which every derivative is looked at by itself.
_SMALL = 64


def all_nodes(outputs: Sequence[Any]) -> list[Node]:
    """Every node that the outputs are made from, also where no derivative flows, in order."""
    stack = [x for x in outputs if type(x) is Node]
    seen: set[Node] = set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        stack.extend(x for x in node.operands if type(x) is Node)
    return sorted(seen, key=lambda node: node.sequence)


def describe(node: Node) -> str:
    """``gate 'sqrt' at file:line: np.sqrt(x)``."""
    place = Sources().place(node.origin)
    where = f" at {place.file}:{place.line}" if place.file else ""
    text = f": {place.expression}" if place.expression else ""
    return f"gate '{node.primitive.labels.gate}'{where}{text}"


def _traced(call: Call, point: Sequence[Any]) -> Run:
    with np.errstate(all="ignore"):
        return run(call, point, {}, range(len(point)))


# ---- the culprit ---------------------------------------------------------------------------


def find_culprit(
    call: Leaves, order: int, modes: Sequence[str], tolerance: float, seed: int
) -> str | None:
    """The first gate whose own derivatives disagree with differences of its own value."""
    for node in all_nodes(_traced(call, call.point).outputs):
        varying = [i for i, x in enumerate(node.operands) if type(x) is Node and x.active]
        if not varying or node.primitive is ITEM or node.operands[varying[0]].primitive.outputs:
            continue
        own = _alone(node, varying)
        point = [np.array(node.operands[i].value)[()] for i in varying]
        if not own(*point) or not np.all(np.isfinite(vector(own)(point))):
            continue
        survey = Survey(modes, tolerance, 2, seed)
        survey.measure(own, point, order, ())
        failed = [row for row in survey.rows if not row.passed]
        if failed:
            return f"  culprit: {describe(node)}\n{_evidence(own, point, varying, failed[0])}"
    return None


def _alone(node: Node, varying: list[int]) -> Call:
    """The gate as a function of its varying operands."""
    fixed = [x.value if type(x) is Node else x for x in node.operands]

    def own(*leaves: Any) -> tuple[Any, ...]:
        operands = list(fixed)
        for i, leaf in zip(varying, leaves, strict=True):
            operands[i] = unwrap(leaf)
        result = apply(node.primitive, tuple(operands), node.params)
        parts = wrap(items(result)) if node.primitive.outputs else (wrap(result),)
        return tuple(part for part in parts if is_float(part))

    return own


def _evidence(own: Call, point: list[Any], varying: list[int], row: CheckRow) -> str:
    """The worst entry of the gate's Jacobian: expected and found."""
    if row.order > 1:
        return (
            f"    its first derivative is right, its {' over '.join(row.path)} is not (relative "
            f"error {row.error:.2g}):\n"
            "    does the rule take something out of the graph, or compute with constants?"
        )
    out_size = sum(np.size(y) for y in own(*point))
    small = max(out_size, *(np.size(x) for x in point)) <= _SMALL
    columns = _basis(point) if small else directions_from(point, np.random.default_rng(1), 1)
    worst: tuple[float, Any, Any, Any, list[Any]] | None = None
    for direction in columns:
        expected = along(vector(own), point, direction)
        found = _column(own, point, direction, row.path[0])
        with np.errstate(all="ignore"):
            gap = np.abs(found - expected.values)
        gap = np.where(np.isfinite(gap), gap, np.inf)
        k = int(np.argmax(gap))
        if worst is None or gap[k] > worst[0]:
            worst = (float(gap[k]), k, expected.values[k], found[k], direction)
    if worst is None:
        return "    (it has no entries)"
    _, k, wanted, got, direction = worst
    outputs = own(*point)
    out = f"out{_index(k, np.shape(outputs[0]))}" if len(outputs) == 1 else f"output entry {k}"
    along_ = _named(direction, varying) if small else "along a random direction"
    method = expected.method
    return (
        f"    ∂{out} {along_}: expected {wanted:.12g} ({method}), found {got:.12g} ({row.path[0]})"
    )


def _basis(point: list[Any]) -> list[list[Any]]:
    made = []
    for i, x in enumerate(point):
        for j in range(np.size(x)):
            direction = [np.zeros_like(np.asarray(y))[()] for y in point]
            unit = np.zeros(np.size(x), np.asarray(x).dtype)
            unit[j] = 1
            direction[i] = unit.reshape(np.shape(x))[()]
            made.append(direction)
    return made


def _column(own: Call, point: list[Any], direction: list[Any], mode: str) -> Any:
    """J · direction, by pushes, or entry by entry from pulls."""
    if mode == "forward":
        return np.concatenate([np.ravel(t) for t in jvp(own, tuple(point), tuple(direction))[1]])
    outputs, pull = vjp(own, *point)
    entries = []
    for i, y in enumerate(outputs):
        for j in range(np.size(y)):
            c = [np.zeros_like(np.asarray(z)) for z in outputs]
            c[i].reshape(-1)[j] = 1
            pulled = pull(tuple(part[()] for part in c))
            with np.errstate(all="ignore"):
                entries.append(sum(np.sum(g * t) for g, t in zip(pulled, direction, strict=True)))
    return np.array(entries)


def _index(k: int, shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, np.unravel_index(k, shape)))}]" if shape else ""


def _named(direction: list[Any], varying: list[int]) -> str:
    i = next(i for i, t in enumerate(direction) if np.any(t))
    at = _index(int(np.argmax(np.abs(direction[i]))), np.shape(direction[i]))
    return f"/ ∂operand {varying[i]}{at}"


# ---- kinks ---------------------------------------------------------------------------------


class _OtherBranchError(Exception):
    """A neighbouring point ran other gates."""


def locate_kink(call: Call, point: list[Any], target: Target) -> str:
    """Where the kink of a function is: the first gate whose value has it."""
    base = _traced(call, point)
    nodes = all_nodes(base.outputs)
    gates = [(node.origin, node.primitive, node.shape) for node in nodes if not _several(node)]

    def values(leaves: Sequence[Any]) -> Any:
        there = [node for node in all_nodes(_traced(call, leaves).outputs) if not _several(node)]
        if [(node.origin, node.primitive, node.shape) for node in there] != gates:
            raise _OtherBranchError
        return np.concatenate([np.ravel(_floating(node)) for node in there])

    try:
        marks = rough(values, point, target.direction)
    except _OtherBranchError:
        return _branch(call, point, target, base)
    place = 0
    for node in nodes:
        if _several(node):
            continue
        own = marks[place : place + np.size(node.value)]
        place += own.size
        if np.any(own):
            return f"{describe(node)}, entry {_index(int(np.argmax(own)), node.shape) or '()'}"
    return "between the gates (the function as a whole has it)"


def _several(node: Node) -> bool:
    return bool(node.primitive.outputs)


def _floating(node: Node) -> Any:
    """The value, with zeros for what is no float: a mask that flips is no kink by itself."""
    return node.value if node.dtype.kind in "fc" else np.zeros(node.shape)


def _branch(call: Call, point: list[Any], target: Target, base: Run) -> str:
    """The first Python question that a neighbouring point answers otherwise."""
    for h in (1e-5, -1e-5):
        moved = [x + h * t for x, t in zip(point, target.direction, strict=True)]
        for here, there in zip(base.guards, _traced(call, moved).guards, strict=False):
            if not np.array_equal(here.answer, there.answer):
                place = Sources().place(here.origin)
                return f"Python took another branch at {place.file}:{place.line}" + (
                    f": {place.expression}" if place.expression else ""
                )
    return "Python took another branch at a neighbouring point"
