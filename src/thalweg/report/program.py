"""Both passes of a trace as a program that the explorer's page runs again: what if x were 3?

The backward pass is built once more as a graph, with the same rules that gave the numbers, and the
page (static/interpreter.js) computes both. docs/explorer.md has the form.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from thalweg.errors import TracingError
from thalweg.graph.graph import between
from thalweg.graph.kinds import Kind
from thalweg.graph.node import Node, describe_origin
from thalweg.jacobian.coordinates import size_of
from thalweg.ops.structural import ITEM
from thalweg.optimise.cse import merge_equal
from thalweg.optimise.simplify import simplify
from thalweg.report.program_local import UNKNOWN, Again, again
from thalweg.report.program_steps import Steps, UnknownStepError
from thalweg.report.record import Record, TraceNode
from thalweg.transforms.reverse import live_nodes, reverse

__all__ = ["MOST_NODES", "program_data"]

#: Nodes up to which a page can compute again.
MOST_NODES = 2_000
#: Entries of all values: more would take the page longer than a hand on a slider waits.
_MOST_ENTRIES = 2_000_000
#: Characters that it may take: the rest of 5 MB is values and graph.
_BUDGET = 1_500_000


def program_data(record: Record) -> dict[str, Any]:
    """The program, or ``{"missing": why}`` where the page cannot compute again.

    Parameters
    ----------
    record : Record
    """
    if len(record.nodes) > MOST_NODES:
        count = f"{len(record.nodes):,}"
        return {"missing": f"the graph has {count} nodes; up to {MOST_NODES:,} are computed again"}
    entries = sum(size_of(node.value) for node in record.nodes)
    if entries > _MOST_ENTRIES:
        most = f"up to {_MOST_ENTRIES:,} are computed again"
        return {"missing": f"the arrays of the graph have {entries:,} entries; {most}"}
    try:
        found = _program(record)
    except UnknownStepError as reason:
        return {"missing": str(reason)}
    except TracingError:
        return {"missing": "the trace was made inside another one"}
    if len(json.dumps(found)) > _BUDGET:
        return {"missing": "inputs and constants are too large to be kept in the page"}
    return found


def _program(record: Record) -> dict[str, Any]:
    passes = _Passes(record)
    wanted: list[Any] = []

    def want(x: Any) -> int:
        wanted.append(x)
        return len(wanted) - 1

    with np.errstate(all="ignore"):
        places = [_places(node, passes, want) for node in record.nodes]
    outputs = [want(None if node is None else node.node) for node in record.outputs]
    answers = [want(guard.node) for guard in passes.guards]
    inputs = [node.node for node in record.inputs]
    graph = between(inputs, [x if type(x) is Node else None for x in wanted])
    graph = merge_equal(simplify(graph))
    steps = Steps(graph)
    varying = {*graph.inputs, *graph.nodes}
    # −1: it does not vary with the inputs, and keeps the number that the page has already.
    slots = [
        -2 if was is UNKNOWN else steps.slots[x] if type(x) is Node and x in varying else -1
        for was, x in zip(wanted, graph.outputs, strict=True)
    ]
    return {
        "inputs": [node.index for node in record.inputs],
        "starts": [steps.constant(x.value) for x in inputs],
        "nodes": [
            [slots[value], slots[upstream], [_edge(steps, slots, *edge) for edge in edges]]
            for value, upstream, edges in places
        ],
        "outputs": [slots[k] for k in outputs],
        "guards": [
            [slots[k], steps.constant(np.asarray(guard.answer)), describe_origin(guard.origin)]
            for k, guard in zip(answers, passes.guards, strict=True)
            if slots[k] >= 0
        ],
        **steps.data(),
    }


def _edge(
    steps: Steps, slots: list[int], shown: list[int], places: tuple[Any, Any] | None
) -> list[Any]:
    """Slots of the downstream gradient, number, entries, count and matrix; rows and columns."""
    found: list[Any] = [slots[k] for k in shown]
    while found and found[-1] == -1:
        found.pop()
    if places is not None and len(found) == len(shown):
        found += [steps.constant(part.astype(np.int32)) for part in places]
    return found


class _Passes:
    """The nodes that hold what the page shows: of values, gradients and local Jacobians."""

    def __init__(self, record: Record) -> None:
        self.kinds: dict[tuple[Node, int], Kind] = {}
        self.downstream: dict[tuple[Node, int], Any] = {}
        self.upstream: dict[Node, Any] = {}
        self.guards = record.guards
        if not record.backward:
            return
        pairs = zip(record.outputs, record.cotangents or (), strict=True)
        ends = [(node.node, c) for node, c in pairs if node is not None]
        inputs = [node.node for node in record.inputs]
        order, live = live_nodes([node for node, _ in ends], inputs, {}, False)
        reverse(
            [node for node, _ in ends],
            [c for _, c in ends],
            inputs,
            as_graph=True,
            replacements={},
            order=order,
            live=live,
            visit=self._visit,
            upstream=self.upstream,
        )

    def _visit(self, node: Node, i: int, kind: Kind, downstream: Any) -> None:
        self.kinds[node, i] = kind
        self.downstream[node, i] = downstream

    def kind(self, node: Node, i: int) -> Kind:
        found = self.kinds.get((node, i))
        if found is None:
            found = node.primitive.local(i, node, *node.operands, **node.params)
        return found


def _places(node: TraceNode, passes: _Passes, want: Any) -> tuple[int, int, list[Any]]:
    """Places of the value, the gradient, and of what each operand's edge shows."""
    own = node.node
    if own.primitive.outputs or own.primitive is ITEM:
        raise UnknownStepError(f"the gate {own.primitive.labels.gate} is not computed again")
    edges = []
    for i, edge in enumerate(node.inputs):
        local = Again()
        if edge.node is not None and edge.local is not None:
            local = again(passes.kind(own, i), edge.local, edge.node.node, own)
        shown = [want(passes.downstream.get((own, i))), *map(want, local[:4])]
        edges.append((shown, local.places))
    return want(own), want(passes.upstream.get(own)), edges
