"""`Graph`: what stands between inputs and outputs, cut out of the web of nodes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.node import Node, Origin, refuse_retired
from thalweg.graph.spec import Spec

__all__ = ["Graph", "Guard", "between", "evaluate", "reaches_older"]


class Guard(NamedTuple):
    """Python branched on `node`, whose value then was `answer`."""

    node: Node
    answer: Any
    origin: Origin

    def agrees(self, value: Any) -> bool:
        """Whether `value` of the node (or each of a batch of them) gives the same answer."""
        value, answer = np.asarray(value), np.asarray(self.answer)
        if answer.dtype.kind == "b":
            value = value.astype(bool)
        same = np.equal(value, answer)
        if answer.dtype.kind in "fc":
            same |= np.isnan(value) & np.isnan(answer)
        return bool(np.all(same))


class Graph(NamedTuple):
    """Inputs, outputs and the nodes between.

    Attributes
    ----------
    inputs : tuple of Node
    nodes : tuple of Node
        Those that depend on an input, in topological order. A node that depends on none is a
        constant of the graph: it appears only as an operand.
    outputs : tuple
        Nodes, or plain values that depend on nothing.
    guards : tuple of Guard
        What Python asked on the way: the graph stands for the function only where they answer so.
    captured : tuple of Node
        Nodes from outside (older than the inputs) that take part.
    """

    inputs: tuple[Node, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Any, ...]
    guards: tuple[Guard, ...] = ()
    captured: tuple[Node, ...] = ()

    def without_values(self) -> Graph:
        """The same graph with a `Spec` in place of each value, so that memory is free again.

        Constants and the answers of guards keep their values; a guard on a constant says nothing.
        """
        slim: dict[Node, Node] = {}
        specs: dict[Any, Spec] = {}

        def operand(x: Any) -> Any:
            return slim.get(x, x.value) if type(x) is Node else x

        for node in self.inputs:
            spec = _spec(node.value, specs)
            slim[node] = Node(node.primitive, (), {}, spec, node.active, node.origin)
        for node in self.nodes:
            operands = tuple([operand(x) for x in node.operands])
            spec = _spec(node.value, specs)
            slim[node] = Node(node.primitive, operands, node.params, spec, node.active, node.origin)
        return Graph(
            tuple([slim[x] for x in self.inputs]),
            tuple([slim[x] for x in self.nodes]),
            tuple([operand(x) for x in self.outputs]),
            tuple(
                Guard(slim[node], answer, origin)
                for node, answer, origin in self.guards
                if node in slim
            ),
        )


def _spec(value: Any, known: dict[Any, Spec]) -> Any:
    """Shape and dtype of a value (of each, where there are several); equal ones are one object."""
    if isinstance(value, tuple) and not isinstance(value, Spec):
        return tuple([_spec(part, known) for part in value])
    key = value.shape, value.dtype
    spec = known.get(key)
    if spec is None:
        spec = known[key] = Spec(*key)
    return spec


def between(
    inputs: Sequence[Node],
    outputs: Sequence[Any],
    guards: Iterable[Guard] = (),
    first: int | None = None,
) -> Graph:
    """The graph from `inputs` to `outputs` and `guards`, values and inactive nodes included.

    Nodes older than `first` (by default: the oldest input) count as captured from outside.
    Iterative, so graphs of any depth work.
    """
    guards = tuple(guards)
    ends = set(inputs)
    if first is None:
        first = min((node.sequence for node in inputs), default=0)
    seen: set[Node] = set()
    captured: dict[Node, None] = {}
    stack = [x for x in (*outputs, *(guard.node for guard in guards)) if type(x) is Node]
    while stack:
        node = stack.pop()
        if node in seen or node in ends:
            continue
        if node.sequence < first:
            refuse_retired(node)
            captured[node] = None
            continue
        seen.add(node)
        stack += [x for x in node.operands if type(x) is Node and x not in seen]
    dependent = set(ends)
    nodes = []
    for node in sorted(seen, key=operator.attrgetter("sequence")):
        for x in node.operands:
            if type(x) is Node and x in dependent:
                dependent.add(node)
                nodes.append(node)
                break
    return Graph(tuple(inputs), tuple(nodes), tuple(outputs), guards, tuple(captured))


def reaches_older(nodes: Iterable[Node], first: int) -> bool:
    """Whether anything that `nodes` use, inactive or not, is older than sequence `first`."""
    seen: set[Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        if node.sequence < first:
            return True
        seen.add(node)
        stack.extend(x for x in node.operands if type(x) is Node)
    return False


def _take_origin(result: Any, node: Node, operands: tuple[Any, ...]) -> None:
    """What a step made for `node` has the node's place in the user's source."""
    seen = {x for x in operands if type(x) is Node}
    stack = [result]
    while stack:
        made = stack.pop()
        if type(made) is Node and made.sequence > node.sequence and made not in seen:
            seen.add(made)
            made.origin = node.origin
            stack.extend(made.operands)


def evaluate(
    graph: Graph,
    operands: Sequence[Any],
    step: Callable[[Node, tuple[Any, ...]], Any],
    *,
    as_graph: bool,
) -> tuple[Any, ...]:
    """Walk `graph` with `operands` for its inputs: ``step(node, operands)`` does each node.

    Constants of the graph stay nodes where the results are graph, else they are values. What no
    later step needs is let go.
    """
    known: dict[Node, Any] = dict(zip(graph.inputs, operands, strict=True))
    uses: dict[Node, int] = {}
    for node in graph.nodes:
        for x in node.operands:
            if type(x) is Node:
                uses[x] = uses.get(x, 0) + 1
    for x in graph.outputs:
        if type(x) is Node:
            uses[x] = uses.get(x, 0) + 1

    def look_up(x: Any) -> Any:
        if type(x) is not Node:
            return x
        if x in known:
            return known[x]
        return x if as_graph else x.value

    for node in graph.nodes:
        values = tuple([look_up(x) for x in node.operands])
        result = step(node, values)
        _take_origin(result, node, values)
        if node in uses:
            known[node] = result
        for x in node.operands:
            if type(x) is Node:
                uses[x] -= 1
                if not uses[x]:
                    known.pop(x, None)
    return tuple(look_up(x) for x in graph.outputs)
