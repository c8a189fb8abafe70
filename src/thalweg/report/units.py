"""Output units at the end of a trace: the distribution that a cost belongs to, and p − y.

A cost that is a negative log-likelihood says which distribution it is of (Bishop, Pattern
Recognition and Machine Learning, 2006, §4.3.6 and §5.2). Targets are read off the gradients where
they are not there as constants: what arrives at log softmax(z) is −w y, with w the row's weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from thalweg.report.record import GroupFound, Record, TraceEdge, TraceNode

__all__ = ["OutputUnit", "output_units"]

#: Rows of a batch, and numbers of a row, that are kept.
_ROWS, _NUMBERS = 16, 32
_LINEAR = frozenset(
    ["multiply", "divide", "add", "subtract", "negative", "sum", "mean", "logsumexp", "reshape"]
)


class OutputUnit(NamedTuple):
    """The distribution at the end of a trace.

    Attributes
    ----------
    kind : str
        ``"categorical"``, ``"bernoulli"``, ``"gaussian"`` or ``"mixture"``.
    node : TraceNode
        What it is made from: the logits, or the location.
    rows : list of dict
        For the first rows of the batch: ``p`` and ``y``; ``loc``, ``scale`` and ``y``; of a mixture
        also ``weights`` and ``responsibilities``. ``y`` is None where it is not known.
    total : int
        Rows of the batch.
    """

    kind: str
    node: TraceNode
    rows: list[dict[str, Any]]
    total: int


def output_units(record: Record) -> list[OutputUnit]:
    """The units, mixtures before what they are made of; none where the trace has no known end."""
    search = _Search(record)
    with np.errstate(all="ignore"):
        found = [*search.mixtures(), *search.categorical(), *search.bernoulli()]
        return found or list(search.gaussians())


class _Normal(NamedTuple):
    """(y − loc)² or ((y − loc) / scale)²."""

    square: TraceNode
    loc: TraceNode
    target: Any
    scale: Any


class _Search:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.uses: dict[TraceNode, list[TraceNode]] = {}
        for node in record.nodes:
            for edge in node.inputs:
                if edge.node is not None:
                    self.uses.setdefault(edge.node, []).append(node)

    # ---- discrete ------------------------------------------------------------------------

    def categorical(self) -> Iterator[OutputUnit]:
        for node in self.record.nodes:
            if _name(node) == "log_softmax" and not self._into_mixture(node):
                yield from self._softmax(node, node.inputs[0].node or node)
        for group in self.record.groups:
            if group.name == "softmax + cross-entropy" and not any(
                _name(node) == "log_softmax" for node in group.members
            ):
                logs = _log_probabilities(group)
                if logs is not None:
                    yield from self._softmax(logs, group.inputs[0])

    def _softmax(self, logs: TraceNode, logits: TraceNode) -> Iterator[OutputUnit]:
        if np.ndim(logs.value) == 0:
            return
        p = np.exp(_rows(logs.value))
        if not np.allclose(p.sum(axis=1), 1, atol=1e-4):
            return  # along another axis
        y: Any = None
        if logs.upstream is not None:
            weighted = -_rows(logs.upstream)
            weights = weighted.sum(axis=1, keepdims=True)
            y = weighted / weights if np.all(weights > 0) else None
        rows = [_row(p=p[i], y=None if y is None else y[i]) for i in range(min(len(p), _ROWS))]
        yield OutputUnit("categorical", logits, rows, len(p))

    def bernoulli(self) -> Iterator[OutputUnit]:
        for group in self.record.groups:
            if group.name == "sigmoid + cross-entropy" and len(group.inputs) == 1:
                if any(_name(node) == "softplus" for node in group.members):
                    continue  # softplus(z) − y z: found below
                logs = [node for node in group.members if _name(node) in _LOG_SIGMOIDS]
                weight = None
                if len(logs) == 2 and all(node.upstream is not None for node in logs):
                    weight = -(logs[0].upstream + logs[1].upstream)
                yield from self._sigmoid(group.inputs[0], weight)
        for node in self.record.nodes:
            if _name(node) == "softplus" and node.inputs[0].node is not None:
                logits = node.inputs[0].node
                subtracted = [use for use in self.uses.get(node, ()) if _name(use) == "subtract"]
                products = [use for use in self.uses[logits] if _name(use) == "multiply"]
                if any(use.inputs[1].node in products for use in subtracted):
                    yield from self._sigmoid(logits, node.upstream)

    def _sigmoid(self, logits: TraceNode, weight: Any) -> Iterator[OutputUnit]:
        p = np.ravel(1 / (1 + np.exp(-np.asarray(logits.value))))
        y: Any = None
        if logits.upstream is not None and weight is not None and np.all(weight != 0):
            y = p - np.ravel(logits.upstream / weight)
            y = np.where(np.abs(y - np.round(y)) < 1e-9, np.round(y), y)
        rows = [_row(p=[p[i]], y=None if y is None else [y[i]]) for i in range(min(len(p), _ROWS))]
        yield OutputUnit("bernoulli", logits, rows, len(p))

    # ---- continuous ----------------------------------------------------------------------

    def mixtures(self) -> Iterator[OutputUnit]:
        normals = list(self._normals())
        for node in self.record.nodes:
            if _name(node) != "logsumexp" or node.inputs[0].node is None:
                continue
            joint = node.inputs[0].node
            logs = self._above(joint, "log_softmax")
            fitting = [
                normal
                for normal in normals
                if np.shape(normal.square.value) == joint.shape
                and self._leads_to(normal.square, joint)
            ]
            if logs is None or len(fitting) != 1 or logs.shape != joint.shape:
                continue
            yield self._mixture(fitting[0], logs, joint)

    def _mixture(self, normal: _Normal, logs: TraceNode, joint: TraceNode) -> OutputUnit:
        weights = np.exp(_rows(logs.value))
        shape = joint.shape
        loc, scale, target = (
            _rows(np.broadcast_to(part, shape)) for part in (normal.loc.value, normal.scale,
                                                             normal.target)
        )  # fmt: skip
        heights = np.exp(_rows(joint.value) - np.max(_rows(joint.value), axis=1, keepdims=True))
        responsibilities = heights / heights.sum(axis=1, keepdims=True)
        rows = [
            _row(
                weights=weights[i],
                loc=loc[i],
                scale=scale[i],
                responsibilities=responsibilities[i],
                y=target[i][:1],
            )
            for i in range(min(len(weights), _ROWS))
        ]
        return OutputUnit("mixture", normal.loc, rows, len(weights))

    def gaussians(self) -> Iterator[OutputUnit]:
        for normal in self._normals():
            shape = np.shape(normal.square.value)
            loc, scale, target = (
                np.ravel(np.broadcast_to(part, shape))
                for part in (normal.loc.value, normal.scale, normal.target)
            )
            rows = [
                _row(loc=[loc[i]], scale=[scale[i]], y=[target[i]])
                for i in range(min(len(loc), _ROWS))
            ]
            yield OutputUnit("gaussian", normal.loc, rows, len(loc))

    def _normals(self) -> Iterator[_Normal]:
        for node in self.record.nodes:
            base = _squared(node)
            if base is None or not self._ends_in_a_cost(node):
                continue
            scale: Any = 1.0
            if _name(base) == "divide" and base.inputs[0].node is not None:
                scale, base = base.inputs[1].value, base.inputs[0].node
            if _name(base) != "subtract":
                continue
            for known in (lambda edge: edge.local is None, _is_argument):
                target = [edge for edge in base.inputs if known(edge)]
                loc = [edge.node for edge in base.inputs if not known(edge)]
                if len(target) == 1 and loc[0] is not None:
                    yield _Normal(node, loc[0], target[0].value, scale)
                    break

    # ---- walks ---------------------------------------------------------------------------

    def _ends_in_a_cost(self, node: TraceNode) -> bool:
        """Whether it goes to one output that is a number by sums and products only."""
        waiting, seen = [node], {node}
        while waiting:
            for use in self.uses.get(waiting.pop(), ()):
                if _name(use) not in _LINEAR:
                    return False
                if use not in seen:
                    seen.add(use)
                    waiting.append(use)
        outputs = [out for out in self.record.outputs if out is not None]
        return len(outputs) == 1 and outputs[0] in seen and outputs[0].shape == ()

    def _into_mixture(self, node: TraceNode) -> bool:
        return any(
            _name(use) == "add" and any(_name(n) == "logsumexp" for n in self.uses.get(use, ()))
            for use in self.uses.get(node, ())
        )

    def _above(self, node: TraceNode, name: str) -> TraceNode | None:
        """An operand, or an operand of a sum among them, made by this primitive."""
        waiting = [node]
        while waiting:
            for edge in waiting.pop().inputs:
                if edge.node is not None and _name(edge.node) == name:
                    return edge.node
                if edge.node is not None and _name(edge.node) in ("add", "subtract"):
                    waiting.append(edge.node)
        return None

    def _leads_to(self, node: TraceNode, end: TraceNode) -> bool:
        waiting, seen = [node], {node}
        while waiting:
            for use in self.uses.get(waiting.pop(), ()):
                if use is end:
                    return True
                if use.index < end.index and use not in seen:
                    seen.add(use)
                    waiting.append(use)
        return False


_LOG_SIGMOIDS = ("log_expit", "log_sigmoid")


def _name(node: TraceNode) -> str:
    return node.node.primitive.name


def _rows(array: Any) -> Any:
    return np.reshape(array, (-1, np.shape(array)[-1]))


def _row(**parts: Any) -> dict[str, Any]:
    return {
        key: None if part is None else [float(x) + 0.0 for x in part[:_NUMBERS]]
        for key, part in parts.items()
    }


def _squared(node: TraceNode) -> TraceNode | None:
    """Of x², however it is written: x."""
    name, edges = _name(node), node.inputs
    if name == "square" or (
        name == "power" and edges[1].node is None and np.all(np.equal(edges[1].value, 2))
    ):
        return edges[0].node
    same = name == "multiply" and edges[0].node is edges[1].node
    return edges[0].node if same else None


def _is_argument(edge: TraceEdge) -> bool:
    """Whether it is an argument of the traced function, at most reshaped: data, not a result."""
    node = edge.node
    while node is not None and _name(node) in ("getitem", "reshape", "broadcast_to"):
        node = node.inputs[0].node
    return node is None or node.is_input


def _log_probabilities(group: GroupFound) -> TraceNode | None:
    """The member that is log softmax of the group's input."""
    shape = group.inputs[0].shape
    for node in group.members:
        if node.shape != shape or not node.shape or np.any(np.greater(node.value, 0)):
            continue
        if np.allclose(np.exp(_rows(node.value)).sum(axis=1), 1):
            return node
    return None
