"""What runs a graph again and again: the contract of both executors, and the one that is NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from thalweg.graph.graph import Graph, Guard
from thalweg.graph.node import Node, Origin
from thalweg.tracing import own

__all__ = ["Executor", "GuardChanged", "Interpreter", "KernelReport", "NumPyStep", "Report"]


class GuardChanged(NamedTuple):
    """The graph does not stand for the function here: Python would have branched otherwise."""

    guard: Guard
    value: Any


class KernelReport(NamedTuple):
    """One kernel of a compiled graph.

    Attributes
    ----------
    name : str
    what : str
        ``"loop"``, ``"reduction"``, ``"product"``, ….
    ops : tuple of str
        The gates that run in it.
    bytes : int
        Read and written, once each.
    flops : int
    parallel : bool
        Whether it is shared among threads.
    seconds : float or None
        The time of one run, where it was measured.
    """

    name: str
    what: str
    ops: tuple[str, ...]
    bytes: int
    flops: int
    parallel: bool
    seconds: float | None = None


class NumPyStep(NamedTuple):
    """One gate that runs in NumPy, and why."""

    primitive: str
    origin: Origin | None
    reason: str


Report = tuple[KernelReport | NumPyStep, ...]


class Executor(Protocol):
    """A graph that can be run on other values of its inputs."""

    @property
    def report(self) -> Report:
        """What runs where."""

    @property
    def graph(self) -> Graph:
        """What is run."""

    def gates(self) -> list[list[Node]]:
        """For each entry of the report the nodes of the graph that it computes."""

    def run(self, leaves: Sequence[Any]) -> tuple[Any, ...] | GuardChanged:
        """The outputs, which are the caller's own, or the guard that answers otherwise.

        An output that takes the memory of an input is that input. Nothing is written before all
        guards have answered as they did.
        """


class _Changed(Exception):  # noqa: N818 - ends the walk, never leaves this module
    def __init__(self, found: GuardChanged) -> None:
        self.found = found


class _Step(NamedTuple):
    value: Callable[..., Any]
    operands: tuple[int, ...]  # places
    params: dict[str, Any]
    place: int
    guards: tuple[Guard, ...]
    last: tuple[int, ...]  # places that nobody needs after it


class Interpreter:
    """A graph in NumPy: the reference semantics, with the walk laid out once.

    Every value has a place in one list: inputs, then constants, then results.
    """

    def __init__(
        self, graph: Graph, inplace: Mapping[int, int] | None = None, reason: str = ""
    ) -> None:
        self.graph = graph
        self._inplace = dict(inplace or {})
        self.report: Report = tuple(
            NumPyStep(node.primitive.name, node.origin, reason) for node in graph.nodes
        )
        places: dict[Node, int] = {node: i for i, node in enumerate(graph.inputs)}
        constants: list[Any] = []

        def place_of(x: Any) -> int:
            if type(x) is Node and x in places:
                return places[x]
            constants.append(x.value if type(x) is Node else x)
            return -len(constants)  # counted from the end of the list

        members = set(graph.nodes)
        steps: list[tuple[Node, tuple[int, ...], int]] = []
        for node in graph.nodes:
            operands = tuple([place_of(x) for x in node.operands])
            places[node] = len(graph.inputs) + len(steps)
            steps.append((node, operands, places[node]))
        self._outputs = tuple([place_of(x) for x in graph.outputs])
        guards: dict[Node, list[Guard]] = {}
        for guard in graph.guards:
            guards.setdefault(guard.node, []).append(guard)
        self._input_guards = tuple(
            (i, guard) for i, node in enumerate(graph.inputs) for guard in guards.get(node, ())
        )
        used = set(self._outputs)
        laid: list[_Step] = []
        for node, operands, place in reversed(steps):
            last = {x for x in operands if x >= 0} - used
            used |= last
            if place not in used:
                last.add(place)  # only a guard asks for it
            laid.append(
                _Step(
                    node.primitive.value,
                    operands,
                    node.params,
                    place,
                    tuple(guards.get(node, ())),
                    tuple(last),
                )
            )
        self._steps = tuple(reversed(laid))
        self._constants = tuple(reversed(constants))
        self._room = [None] * len(members)
        self._kept = frozenset(id(x) for x in constants)

    def gates(self) -> list[list[Node]]:
        """For each step its node."""
        return [[node] for node in self.graph.nodes]

    def run(self, leaves: Sequence[Any]) -> tuple[Any, ...] | GuardChanged:
        """The outputs, or the first guard that answers otherwise."""
        try:
            with np.errstate(all="ignore"):  # as native code: the trace has warned
                return self._give(leaves, self._walk(leaves))
        except _Changed as changed:
            return changed.found

    def _walk(self, leaves: Sequence[Any]) -> list[Any]:
        values = [*leaves, *self._room, *self._constants]
        for place, guard in self._input_guards:
            _compare(guard, values[place])
        for value, operands, params, place, guards, last in self._steps:
            result = value(*[values[x] for x in operands], **params)
            if type(result) is complex:  # as `node.apply` has it
                result = np.complex128(result)
            values[place] = result
            for guard in guards:
                _compare(guard, result)
            for x in last:
                values[x] = None
        return [values[x] for x in self._outputs]

    def _give(self, leaves: Sequence[Any], results: list[Any]) -> tuple[Any, ...]:
        """Results that share no memory with anything, or are the in-place arguments."""
        seen = {*map(id, leaves), *self._kept}
        owned = [own(x, seen) for x in results]
        for out, into in self._inplace.items():
            np.copyto(leaves[into], owned[out])
            owned[out] = leaves[into]
        return tuple(owned)


def _compare(guard: Guard, value: Any) -> None:
    if np.shape(value) != guard.node.shape or not guard.agrees(value):
        raise _Changed(GuardChanged(guard, value))
