"""What a trace holds: nodes and edges with their values, gradients and local Jacobians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.graph import Guard
from thalweg.graph.node import Node
from thalweg.jacobian.structure import LocalJacobian

__all__ = ["GroupFound", "KernelFound", "Record", "TraceEdge", "TraceNode"]


class TraceEdge:
    """One operand of a node.

    Attributes
    ----------
    node : TraceNode or None
        Where the operand comes from; None for a constant.
    value : array
        The operand's value.
    local : LocalJacobian or None
        ∂(node's output)/∂(operand); None for what carries no derivative.
    downstream : array or None
        What the backward pass handed to this operand: upstream ∘ local. None where the operand
        carries no derivative or the backward pass was not run.
    """

    __slots__ = ("downstream", "local", "node", "value")

    def __init__(
        self,
        node: TraceNode | None,
        value: Any,
        local: LocalJacobian | None = None,
        downstream: Any = None,
    ) -> None:
        self.node = node
        self.value = value
        self.local = local
        self.downstream = downstream

    def __repr__(self) -> str:
        return f"<edge from {self.node.label if self.node else 'a constant'}: {self.local!r}>"


class TraceNode:
    """One gate of the graph, with everything that the two passes computed.

    Attributes
    ----------
    index : int
        Place in `Trace.nodes`.
    label : str
        Unique in the trace: the name or the expression; ``s.2``, ``s.3`` … where it comes again.
    name : str or None
        The user's variable.
    gate : str
        The operation.
    expression : str
        The text of the source; without a source, gate and operands.
    file, line
        Where the source stands.
    value : array (a tuple for an operation with several results)
    upstream : array or None
        ∂(output)/∂(this node), weighted by the trace's `upstream`; None where no derivative flows
        or the backward pass was not run.
    inputs : tuple of TraceEdge
    is_input : bool
        Whether it is one of the inputs that the derivative is taken with respect to.
    """

    __slots__ = (
        "expression",
        "file",
        "gate",
        "index",
        "inputs",
        "is_input",
        "label",
        "line",
        "name",
        "node",
        "upstream",
        "value",
    )

    def __init__(self, index: int, node: Node) -> None:
        self.index = index
        self.node = node
        self.gate = node.primitive.labels.gate
        self.value: Any = node.value
        self.name: str | None = None
        self.expression = ""
        self.label = ""
        self.file: str | None = None
        self.line: int | None = None
        self.upstream: Any = None
        self.inputs: tuple[TraceEdge, ...] = ()
        self.is_input = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return tuple(np.shape(self.value)) if type(self.value) is not tuple else (len(self.value),)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of the value."""
        return np.result_type(*self.value) if type(self.value) is tuple else self.value.dtype

    @property
    def differentiable(self) -> bool:
        """Whether a derivative can flow through."""
        return self.node.active

    def __repr__(self) -> str:
        return f"<{self.label}: {self.gate}, {self.dtype}{list(self.shape)}>"


class GroupFound(NamedTuple):
    """Nodes that could be one gate with a known local gradient.

    `local` is its number where the group has one input and works on single numbers.
    """

    name: str
    members: tuple[TraceNode, ...]
    inputs: tuple[TraceNode, ...]
    output: TraceNode
    formula: str
    saved_forward: int
    saved_backward: int
    local: float | None = None


class KernelFound(NamedTuple):
    """A kernel of a compiled graph, or a step of it that runs in NumPy.

    Attributes
    ----------
    name : str
    what : str
        What it is, or why it runs in NumPy.
    members : tuple of TraceNode
        The gates that it computes.
    bytes, flops : int
        What it moves and computes.
    seconds : float or None
        The time of a run on made-up values; None where it was not measured.
    least : float or None
        The least seconds that the machine needs for that (the roofline).
    """

    name: str
    what: str
    members: tuple[TraceNode, ...]
    bytes: int = 0
    flops: int = 0
    seconds: float | None = None
    least: float | None = None


class Record(NamedTuple):
    """The plain data of a trace; the renderers work on this.

    `guards` is what Python asked of traced values on the way, `cotangents` what was given as the
    gradient of each output (None: the backward pass was not run).
    `errors` has, by the number of the node, the relative error of its local Jacobians where these
    were held against differences (`Trace.check`).
    """

    function: str
    file: str | None
    line: int | None
    nodes: Sequence[TraceNode]
    inputs: Sequence[TraceNode]
    outputs: Sequence[TraceNode | None]
    output_values: Sequence[Any]
    backward: bool
    notes: Sequence[str] = ()
    groups: Sequence[GroupFound] = ()
    guards: Sequence[Guard] = ()
    cotangents: Sequence[Any] | None = None
    errors: Mapping[int, float] | None = None
    kernels: Sequence[KernelFound] = ()
