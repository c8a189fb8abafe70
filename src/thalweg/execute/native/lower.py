"""Graph → tensors: every node by its primitive's `lower` rule, or as a step that runs in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import InternalError
from thalweg.execute.native.builder import Builder
from thalweg.execute.native.ir import NoLowering, Tensor, storage_kind
from thalweg.graph.graph import Graph, Guard
from thalweg.graph.node import Node, Origin

__all__ = ["Lowered", "Step", "lower"]

#: What stands for a node: a tensor, or one for each of its outputs.
Lowering = Tensor | tuple[Tensor, ...]
_NUMBERS = (bool, int, float, complex)


class Step(NamedTuple):
    """What an opaque tensor stands for: a call of NumPy.

    Attributes
    ----------
    name : str
        The primitive's, or "guard".
    reason : str
        Why there is no native code for it.
    run : callable
        Gives the result (a tuple, where the tensor's kind is "several") for the values of the
        tensor's arguments, which are arrays.
    origin : Origin or None
        The user's code that asked for it.
    """

    name: str
    reason: str
    run: Callable[..., Any]
    origin: Origin | None


class Lowered(NamedTuple):
    """A graph in the tensor language.

    Attributes
    ----------
    graph : Graph
        What was lowered.
    builder : Builder
        With the constant arrays and the checks.
    inputs : list of Tensor
    outputs : list
        Tensors, or the graph's plain values that depend on nothing.
    guards : list of (Guard, Tensor)
        The tensor (0-d, boolean) says whether the guard agrees.
    steps : list of Step
        Those that run in NumPy; `data` of an opaque tensor is its place here.
    values : dict of Node
        The tensor (or tuple of them) that each node of the graph became.
    """

    graph: Graph
    builder: Builder
    inputs: list[Tensor]
    outputs: list[Any]
    guards: list[tuple[Guard, Tensor]]
    steps: list[Step]
    values: dict[Node, Lowering]


class _Lowerer(Builder):
    """The builder that rules get, with what NumPy has to do and the constants of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self._constants: dict[int, tuple[Any, Any]] = {}

    def constant(self, value: Any) -> Any:
        """What rules get for a constant of the graph: a tensor, or a Python number as it is.

        Raises
        ------
        NoLowering
            For what native code has no numbers for.
        """
        if type(value) in _NUMBERS:
            return value
        known = self._constants.get(id(value))
        if known is None:
            if not isinstance(value, (np.ndarray, np.generic)):
                raise NoLowering(f"an operand is a {type(value).__name__}")
            known = self._constants[id(value)] = value, self.array(np.asarray(value))
        return known[1]

    def inline(self, graph: Graph, operands: Sequence[Any]) -> tuple[Tensor, ...]:
        """The outputs of a graph for these operands."""
        values: dict[Node, Lowering] = {
            node: self.tensor(x, node.dtype) for node, x in zip(graph.inputs, operands, strict=True)
        }
        self.extend(graph.nodes, values)
        return tuple(
            values[x] if type(x) is Node else self.tensor(self.constant(x))  # type: ignore[misc]
            for x in graph.outputs
        )

    def extend(self, nodes: Sequence[Node], values: dict[Node, Lowering]) -> None:
        """Lower nodes in order; what they depend on is in `values`, and they come to it."""
        for node in nodes:
            # A node of several outputs is known as a tuple: picking one needs no code.
            primitive = node.primitive
            if primitive.name == "item":
                first = node.operands[0]
                parts = values.get(first) if type(first) is Node else None
                if isinstance(parts, tuple):
                    values[node] = parts[node.params["index"]]
                    continue
            rule = primitive.lower
            if isinstance(rule, str):
                values[node] = self._opaque(node, rule, values)
                continue
            checks = len(self.checks)
            try:
                operands = [self._operand(x, values) for x in node.operands]
                for x in operands:
                    if isinstance(x, Tensor) and x.kind.startswith("raw:"):
                        raise NoLowering(f"{x.dtype} runs in NumPy")
                made = rule(self, node.value, *operands, **node.params)
            except NoLowering as refusal:
                del self.checks[checks:]
                values[node] = self._opaque(node, str(refusal), values)
                continue
            _verify(node, made)
            values[node] = made

    def _operand(self, x: Any, values: dict[Node, Lowering]) -> Any:
        if type(x) is not Node:
            return self.constant(x)
        found = values.get(x)
        return self.constant(x.value) if found is None else found

    def _opaque(self, node: Node, reason: str, values: dict[Node, Lowering]) -> Lowering:
        """The node as a step that runs in NumPy."""
        fixed: list[Any] = []
        places: list[int] = []
        arguments: list[Tensor] = []
        for i, x in enumerate(node.operands):
            found = values.get(x) if type(x) is Node else None
            if isinstance(found, tuple):
                raise InternalError(f"{node!r} takes several arrays as one operand")
            if found is None:
                fixed.append(x.value if type(x) is Node else x)
            else:
                fixed.append(None)
                places.append(i)
                arguments.append(found)
        function, params = node.primitive.value, node.params

        def run(*arrays: Any) -> Any:
            operands = list(fixed)
            for i, array in zip(places, arrays, strict=True):
                operands[i] = array[()] if array.ndim == 0 else array  # as graphs hold numbers
            return function(*operands, **params)

        self.steps.append(Step(node.primitive.name, reason, run, node.origin))
        number = len(self.steps) - 1
        if not node.primitive.outputs:
            kind = storage_kind(node.dtype)
            return self.make("opaque", arguments, number, node.shape, kind)
        several = self.make("opaque", arguments, number, (), "several")
        return tuple(
            self.make("part", (several,), i, part.shape, storage_kind(part.dtype))
            for i, part in enumerate(node.value)
        )

    def agreement(self, guard: Guard, x: Tensor) -> Tensor:
        """Whether the guard agrees, as `Guard.agrees` has it."""
        answer = np.asarray(guard.answer)
        try:
            if answer.dtype.kind == "b":
                same = self.map("equal", self.cast(x, "i1"), self.array(answer))
            else:
                wanted = self.array(answer)
                same = self.elementwise("equal", None, (x, wanted))
                if answer.dtype.kind == "f" and np.isnan(answer).any():
                    nans = [self.map("isnan", part) for part in self.common(x, wanted)]
                    same = self.map("logical_or", same, self.map("logical_and", *nans))
            return self.reduce("and", same, range(same.ndim))
        except NoLowering as refusal:
            self.steps.append(Step("guard", str(refusal), guard.agrees, guard.origin))
            return self.make("opaque", (x,), len(self.steps) - 1, (), "i1")


def _verify(node: Node, made: Any) -> None:
    """Shape and dtype of what a rule gave must be the node's."""
    pairs = zip(made, node.value, strict=True) if isinstance(made, tuple) else [(made, node.value)]
    for tensor, value in pairs:
        if tensor.shape != value.shape or tensor.kind != storage_kind(value.dtype):
            raise InternalError(
                f"lowering of {node.primitive.name!r} gave {tensor!r} for "
                f"{value.dtype}{list(value.shape)}"
            )


def lower(graph: Graph) -> Lowered:
    """Lower `graph`: what its nodes mean as tensors, in linear time."""
    b = _Lowerer()
    values: dict[Node, Lowering] = {}
    inputs = []
    for i, node in enumerate(graph.inputs):
        x = b.make("input", (), i, node.shape, storage_kind(node.dtype))
        inputs.append(x)
        values[node] = x
    b.extend(graph.nodes, values)
    outputs: list[Any] = [values.get(x, x.value) if type(x) is Node else x for x in graph.outputs]
    guards = []
    for guard in graph.guards:
        found = values.get(guard.node)
        if isinstance(found, Tensor):  # what depends on no input answers as it did
            guards.append((guard, b.agreement(guard, found)))
    return Lowered(graph, b, inputs, outputs, guards, b.steps, values)
