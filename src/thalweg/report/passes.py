"""The passes of a trace: what they met on every node and edge."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.api import match_output
from thalweg.graph.kinds import IDENTITY, Kind
from thalweg.graph.node import Node, describe_origin
from thalweg.jacobian.structure import LocalJacobian
from thalweg.ops.structural import ITEM
from thalweg.optimise.stabilise import stable_forms
from thalweg.report.numbers import value_text
from thalweg.report.record import TraceEdge, TraceNode
from thalweg.tracing import Run
from thalweg.transforms.linear import zeros_like
from thalweg.transforms.reverse import live_nodes, reverse

__all__ = ["Backward", "Constants", "cotangents", "edges", "gather", "notes_of", "plain"]


def plain(value: Any) -> Any:
    """The value of a node; anything else as it is."""
    return value.value if type(value) is Node else value


def cotangents(run_: Run, upstream: Any) -> list[Any] | None:
    """What arrives at the outputs; None: no backward pass."""
    if upstream is not None:
        given = match_output(upstream, run_, "upstream")
        return [np.array(plain(c))[()] for c in given]
    if len(run_.outputs) != 1:
        return None
    value = np.asarray(plain(run_.outputs[0]))
    if value.shape != () or value.dtype.kind != "f":
        return None
    return [value.dtype.type(1)]


def gather(run_: Run) -> list[Node]:
    """The inputs, and every node between them and the outputs, also what carries no derivative."""
    first = min(node.sequence for node in run_.inputs)
    seen = set(run_.inputs)
    stack = [x for x in run_.outputs if type(x) is Node]
    while stack:
        node = stack.pop()
        if node in seen or node.sequence < first:
            continue
        seen.add(node)
        stack += [x for x in node.operands if type(x) is Node]
    return sorted(seen, key=operator.attrgetter("sequence"))


class Backward:
    """The backward pass with each gate's plain chain rule, and what it met on every edge."""

    def __init__(self, run_: Run, cotangents: list[Any] | None) -> None:
        self.run = run_
        self.cotangents = cotangents
        self.ran = cotangents is not None
        self.edges: dict[tuple[Node, int], tuple[Kind, Any]] = {}
        self.upstream: dict[Node, Any] = {}
        nodes = [x for x in run_.outputs if type(x) is Node]
        self.order, self.live = live_nodes(nodes, run_.inputs, {}, run_.nested)
        if self.ran:
            self._pull({}, self.upstream, self._visit)

    def _visit(self, node: Node, i: int, kind: Kind, downstream: Any) -> None:
        self.edges[node, i] = kind, downstream

    def _pull(self, replacements: Any, upstream: Any, visit: Any) -> list[Any]:
        pairs = zip(self.run.outputs, self.cotangents or (), strict=True)
        given = [(x, c) for x, c in pairs if type(x) is Node]
        return reverse(
            [x for x, _ in given],
            [c for _, c in given],
            self.run.inputs,
            as_graph=False,
            replacements=replacements,
            order=self.order,
            live=self.live,
            visit=visit,
            upstream=upstream,
        )

    def stable_gradients(self) -> list[Any] | None:
        """The gradients as `thalweg.grad` takes them, where it takes any through a stable form."""
        replacements = stable_forms(self.order, self.live) if self.ran else {}
        return self._pull(replacements, None, None) if replacements else None

    def upstream_of(self, node: Node) -> Any:
        if not self.ran or not node.active:
            return None
        c = self.upstream.get(node)
        if type(node.value) is tuple:
            parts = c or [None] * len(node.value)
            return tuple(
                zeros_like(end)[()] if part is None else part
                for part, end in zip(parts, node.value, strict=True)
            )
        return zeros_like(node.value)[()] if c is None else c

    def edge(self, node: Node, i: int, x: Node) -> tuple[LocalJacobian | None, Any]:
        """The local Jacobian of an edge, and what went down along it."""
        if not (node.active and x.active):
            return None, None
        if node.primitive is ITEM:
            part = node.params["index"]
            local = LocalJacobian(IDENTITY, x.value, node.value, part)
            return local, local.pull(self.upstream_of(node)) if self.ran else None
        found = self.edges.get((node, i))
        if found is None:
            values = [plain(operand) for operand in node.operands]
            with np.errstate(all="ignore"):
                kind = node.primitive.local(i, node.value, *values, **node.params)
            found = kind, None
        kind, downstream = found
        if downstream is None and self.ran:
            downstream = (
                tuple(zeros_like(end)[()] for end in x.value)
                if type(x.value) is tuple
                else zeros_like(x.value)[()]
            )
        return LocalJacobian(kind, x.value, node.value), downstream


def edges(
    node: Node, records: dict[Node, TraceNode], backward: Backward, constants: Constants
) -> Iterator[TraceEdge]:
    for i, operand in enumerate(node.operands):
        source = records.get(operand) if type(operand) is Node else None
        if source is None:
            yield TraceEdge(None, constants.copy(plain(operand)))
        else:
            local, downstream = backward.edge(node, i, operand)
            if local is not None:
                local = constants.kept_by(local)
            yield TraceEdge(source, operand.value, local, downstream)


class Constants:
    """The caller's own arrays that take part as constants.

    They are copied, so that the trace stays as it is when they are written to.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        operands = (x for node in nodes for x in node.operands)
        self._owners = {id(_owner(x)) for x in operands if isinstance(x, np.ndarray)}
        self._copies: dict[int, tuple[Any, Any]] = {}  # the original too: its id stays its own

    def copy(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        if id(value) not in self._copies:
            self._copies[id(value)] = value, np.array(value)
        return self._copies[id(value)][1]

    def kept_by(self, local: LocalJacobian) -> LocalJacobian:
        """The local Jacobian without memory of the caller's."""
        return local.replace(self._safe) if self._owners else local

    def _safe(self, value: Any) -> Any:
        return self.copy(value) if id(_owner(value)) in self._owners else value


def _owner(array: np.ndarray[Any, Any]) -> Any:
    """The array whose memory this is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def notes_of(run_: Run, backward: Backward, records: dict[Node, TraceNode]) -> list[str]:
    """What a reader of the numbers should know."""
    notes = []
    stable = backward.stable_gradients()
    for node, better in zip(run_.inputs, stable or (), strict=bool(stable)):
        plain = records[node].upstream
        if better is None or np.allclose(plain, better, rtol=1e-9, atol=0.0, equal_nan=True):
            continue
        notes.append(
            f"the plain chain rule gives {value_text(plain)} for {records[node].label}; "
            f"thalweg.grad takes the derivative through a stable form: {value_text(better)}"
        )
    answers: dict[str, list[str]] = {}
    for guard in run_.guards:
        answers.setdefault(describe_origin(guard.origin), []).append(value_text(guard.answer))
    for where, given in answers.items():
        shown = ", ".join(given[:4]) + (f", … ({len(given)} times)" if len(given) > 4 else "")
        notes.append(f"Python asked for a value at {where} ({shown}): this is one branch")
    return notes
