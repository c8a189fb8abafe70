"""What ails a network: saturated and dead units, kinks that were hit, gates whose rule is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from thalweg.jacobian.differences import along, rough
from thalweg.jacobian.structure import LocalJacobian
from thalweg.ops.structural import ITEM
from thalweg.report.record import GroupFound, Record, TraceEdge, TraceNode

__all__ = ["Symptom", "gate_errors", "symptoms"]

#: Part of the greatest slope below which a unit is saturated: |x| > 3 for tanh, 6 for sigmoid.
_FLAT = 0.01
_TWO_SIDED = ("maximum", "minimum", "fmax", "fmin")
_COMPARISONS = ("greater", "greater_equal", "less", "less_equal")
_REDUCTIONS = ("max", "min", "fmax_reduce", "fmin_reduce")


class Symptom(NamedTuple):
    """Something at a node that a reader should look at.

    Attributes
    ----------
    kind : str
        ``"saturated"``, ``"dead"`` or ``"kink"``.
    text : str
    """

    kind: str
    text: str


def symptoms(record: Record) -> dict[int, list[Symptom]]:
    """What was found, by the number of the node."""
    found: dict[int, list[Symptom]] = {}
    with np.errstate(all="ignore"):
        for node in record.nodes:
            for symptom in _of_node(node):
                found.setdefault(node.index, []).append(symptom)
        for group in record.groups:
            for symptom in _of_group(group):
                if symptom.kind not in [other.kind for other in found.get(group.output.index, ())]:
                    found.setdefault(group.output.index, []).append(symptom)
    return found


def _of_node(node: TraceNode) -> Iterator[Symptom]:
    name = node.node.primitive.name
    value = node.value
    if type(value) is tuple or np.size(value) == 0 or np.asarray(value).dtype.kind not in "bf":
        return
    if name == "tanh":
        yield from _saturated(1 - np.square(value) < _FLAT)
    elif name in ("sigmoid", "expit"):
        yield from _saturated(4 * value * (1 - value) < _FLAT)
    elif name in _TWO_SIDED or name == "clip":
        for edge in node.inputs:
            if edge.local is not None and _others_are_constant(node, edge):
                yield from _dead(_shut(edge.local, node))
    elif name == "where":
        for edge, other in zip(node.inputs[1:], node.inputs[:0:-1], strict=True):
            if edge.local is not None and other.node is None and not np.any(other.value):
                yield from _dead(_shut(edge.local, node))
    yield from _kinks(node, name)


def _of_group(group: GroupFound) -> Iterator[Symptom]:
    value = group.output.value
    if group.name in ("sigmoid", "sigmoid of −x"):
        yield from _saturated(4 * value * (1 - value) < _FLAT)
    elif group.name == "tanh":
        yield from _saturated(1 - np.square(value) < _FLAT)
    elif group.name == "relu":
        yield from _dead(value == 0)


# ---- units --------------------------------------------------------------------------------


def _others_are_constant(node: TraceNode, edge: TraceEdge) -> bool:
    return all(other is edge or other.local is None for other in node.inputs)


def _shut(local: LocalJacobian, node: TraceNode) -> Any:
    entries = local.entries
    if not isinstance(entries, np.ndarray | np.generic) or entries.shape != np.shape(node.value):
        return np.zeros(np.shape(node.value), bool)
    return entries == 0


def _units(mask: Any) -> tuple[int, int]:
    """Units (places along the last axis) for which the mask holds in every row, and all units."""
    rows = np.reshape(mask, (-1, np.shape(mask)[-1]))
    return int(np.sum(np.all(rows, axis=0))), rows.shape[1]


def _counted(mask: Any) -> str | None:
    """How much is concerned, where it is worth saying: whole units, or most entries."""
    if np.ndim(mask) >= 2:
        units, count = _units(mask)
        if units:
            return f"{units} of {count} units in every one of {np.size(mask) // count} rows"
        return None
    entries, count = int(np.sum(mask)), int(np.size(mask))
    if 2 * entries < count or not entries:
        return None
    return "it" if count == 1 else f"{entries} of {count} entries"


def _saturated(mask: Any) -> Iterator[Symptom]:
    text = _counted(mask)
    if text is not None:
        yield Symptom("saturated", f"saturated, slope under 1 % of the greatest: {text}")


def _dead(mask: Any) -> Iterator[Symptom]:
    text = _counted(mask)
    if text is not None and (np.ndim(mask) >= 2 or bool(np.all(mask))):
        yield Symptom("dead", f"dead, no gradient comes through: {text}")


# ---- kinks --------------------------------------------------------------------------------


def _kinks(node: TraceNode, name: str) -> Iterator[Symptom]:
    at: Any = None
    values = [edge.value for edge in node.inputs]
    if name in _TWO_SIDED or (name in _COMPARISONS and _is_traced(node)):
        at = np.equal(values[0], values[1])
    elif name in ("absolute", "fabs"):
        at = np.equal(values[0], 0)
    elif name == "clip":
        at = np.any([np.equal(values[0], bound) for bound in values[1:] if bound is not None], 0)
    elif name in _REDUCTIONS:
        at = _ties(node)
    count = 0 if at is None else int(np.sum(at))
    if count:
        yield Symptom(
            "kink", f"at a kink: {count} of {np.size(at)}; docs/semantics.md has the rule"
        )


def _is_traced(node: TraceNode) -> bool:
    """Whether a derivative flows to an operand of a comparison of real numbers."""
    return any(
        edge.node is not None and edge.node.differentiable and edge.node.dtype.kind == "f"
        for edge in node.inputs
    )


def _ties(node: TraceNode) -> Any:
    """Where more than one entry has the greatest (least) value."""
    local = node.inputs[0].local
    weights = None if local is None else local.entries
    if not isinstance(weights, np.ndarray | np.generic):
        return None
    won = (weights != 0) & (weights != 1)
    axes = node.node.params.get("axes")
    return np.any(won, axis=tuple(axes) if axes is not None else None)


# ---- the check of every gate --------------------------------------------------------------


def gate_errors(record: Record, seed: int = 0) -> dict[int, float]:
    """Relative error of each node's local Jacobians against differences of its own value.

    Along one random direction; entries at a kink, and what is within the noise of the
    differences, do not count. Nodes with several results and parts of them are left out.
    """
    rng = np.random.default_rng(seed)
    errors: dict[int, float] = {}
    for node in record.nodes:
        edges = [(i, edge) for i, edge in enumerate(node.inputs) if edge.local is not None]
        if not edges or node.node.primitive is ITEM or node.node.primitive.outputs:
            continue
        if any(type(edge.value) is tuple for _, edge in edges):
            continue
        with np.errstate(all="ignore"):
            errors[node.index] = _error(node, edges, rng)
    return errors


def _error(node: TraceNode, edges: list[tuple[int, TraceEdge]], rng: np.random.Generator) -> float:
    function, point = _alone(node, [i for i, _ in edges])
    direction = [_direction(x, rng) for x in point]
    found: Any = 0.0
    for (_, edge), t in zip(edges, direction, strict=True):
        assert edge.local is not None
        found = found + np.ravel(edge.local.push(t))
    expected = along(function, point, direction)
    gap = np.abs(found - expected.values)
    gap = np.where(found == expected.values, 0.0, gap)
    finite = np.isfinite(expected.values)
    counts = (gap > 20 * expected.noise) & finite
    if np.any(counts):
        counts &= ~rough(function, point, direction)
    scale = max(
        float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))
        for array in (found, expected.values)
    )
    worst = float(np.max(gap, initial=0.0, where=counts))
    return worst / scale if worst and scale else worst


def _alone(node: TraceNode, varying: list[int]) -> tuple[Callable[[Any], Any], list[Any]]:
    """The gate's own value as a function of its varying operands, and where they are."""
    primitive, params = node.node.primitive, node.node.params
    fixed = [edge.value for edge in node.inputs]

    def function(point: Any) -> Any:
        operands = list(fixed)
        for i, x in zip(varying, point, strict=True):
            operands[i] = x
        return np.ravel(primitive.value(*operands, **params))

    return function, [fixed[i] for i in varying]


def _direction(x: Any, rng: np.random.Generator) -> Any:
    t = rng.standard_normal(np.shape(x))
    if np.iscomplexobj(x):
        t = t + 1j * rng.standard_normal(np.shape(x))
    return np.asarray(t, np.asarray(x).dtype)[()]
