"""A compiled call as a trace: the graph as it runs, and the kernel that each gate runs in."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.api_compile import Compiled
from thalweg.compiled.machine import kernels_of, machine, main_dtype
from thalweg.compiled.record import Record as CompiledRecord
from thalweg.compiled.signature import describe_leaf
from thalweg.execute.executor import KernelReport
from thalweg.graph.graph import Graph, Guard, evaluate
from thalweg.graph.node import Node, input_node, user_frame
from thalweg.report.labels import label_nodes
from thalweg.report.passes import plain
from thalweg.report.record import KernelFound, Record, TraceEdge, TraceNode
from thalweg.report.trace import Trace

__all__ = ["trace_compiled"]

_NOTE = (
    "the graph as it runs, after the optimiser: what a gradient needs are gates of it like all "
    "others, and there is no backward pass beside it"
)


def trace_compiled(
    compiled: Compiled, /, *args: Any, measure: bool = False, **kwargs: Any
) -> Trace:
    """A call of a compiled function as a trace: each gate, its value, and the kernel it runs in.

    Parameters
    ----------
    compiled : Compiled
        What `thalweg.compile` gave: of a loss, a gradient, a whole training step.
    *args, **kwargs
        Its arguments. Nothing is written to, also where it works in place.
    measure : bool
        Measure the kernels, and what the machine can do (half a second, once).

    Returns
    -------
    Trace
        Its `record.kernels` say which gates are one kernel; `to_html` and `show` draw them.

    Raises
    ------
    TypeError
        If `compiled` was not made by `thalweg.compile`.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> f = tw.compile(tw.value_and_grad(lambda x: np.sum(1 / (1 + np.exp(-x)))))
    >>> t = tw.trace_compiled(f, np.ones(1000))
    >>> [sorted(gate.gate for gate in kernel.members) for kernel in t.record.kernels]
    [['*', 'neg', 'sigmoid', 'sigmoid', 'sum']]
    """
    if not isinstance(compiled, Compiled):
        raise TypeError(
            f"trace_compiled: a compiled function is needed, not {type(compiled).__name__}.\n"
            "  Write thalweg.trace_compiled(thalweg.compile(f), …), or thalweg.trace(f, …) for the "
            "graph as it is written."
        )
    frame = user_frame()
    record, leaves = compiled.serving(*args, **kwargs)
    executor = getattr(record.executor, "executor", record.executor)
    graph = executor.graph
    paths = record.family.paths
    names = [describe_leaf(paths[i], compiled.parameters) for i in record.positions]
    with np.errstate(all="ignore"):  # as it runs: the trace has warned
        made, outputs = _with_values(graph, leaves, names)
    records = {node: TraceNode(i, node) for i, node in enumerate(made.values())}
    for node, kept in records.items():
        kept.inputs = tuple(
            TraceEdge(records.get(x) if type(x) is Node else None, plain(x)) for x in node.operands
        )
    inputs = [records[made[node]] for node in graph.inputs]
    for kept in inputs:
        kept.is_input = True
    everything = list(records.values())
    label_nodes(everything, (frame.f_code, frame.f_lasti))
    place = inspect.unwrap(compiled)
    code = place.__code__ if inspect.isfunction(place) else None
    return Trace(
        Record(
            function=compiled.name,
            file=code.co_filename if code else None,
            line=code.co_firstlineno if code else None,
            nodes=everything,
            inputs=inputs,
            outputs=[records.get(x) if type(x) is Node else None for x in outputs],
            output_values=[plain(x) for x in outputs],
            backward=False,
            notes=[_NOTE],
            guards=[Guard(made[node], *asked) for node, *asked in graph.guards if node in made],
            kernels=_kernels(record, executor, made, records, measure),
        ),
        tuple(plain(x) for x in outputs),
    )


def _with_values(
    graph: Graph, leaves: Sequence[Any], names: Sequence[str]
) -> tuple[dict[Node, Node], tuple[Any, ...]]:
    """The nodes of a graph without values, each with its twin that has one."""
    twins = {
        node: input_node(value, name)
        for node, value, name in zip(graph.inputs, leaves, names, strict=True)
    }

    def step(node: Node, operands: tuple[Any, ...]) -> Node:
        values = [plain(x) for x in operands]
        value = node.primitive.value(*values, **node.params)
        twins[node] = Node(node.primitive, operands, node.params, value, False, node.origin)
        return twins[node]

    outputs = evaluate(graph, [twins[x] for x in graph.inputs], step, as_graph=True)
    return twins, outputs


def _kernels(
    record: CompiledRecord,
    executor: Any,
    made: dict[Node, Node],
    records: dict[Node, TraceNode],
    measure: bool,
) -> list[KernelFound]:
    timed = {x.name: x.seconds for x in kernels_of(record)} if measure else {}
    dtype = main_dtype(record.graph.nodes)
    found = []
    for entry, nodes in zip(executor.report, executor.gates(), strict=True):
        members = tuple(records[made[node]] for node in nodes)
        if isinstance(entry, KernelReport):
            what = entry.what + (", on several threads" if entry.parallel else "")
            least = machine().bound(entry.bytes, entry.flops, dtype) if measure else None
            seconds = timed.get(entry.name)
            found.append(
                KernelFound(entry.name, what, members, entry.bytes, entry.flops, seconds, least)
            )
        else:
            found.append(KernelFound(entry.primitive, f"in NumPy: {entry.reason}", members))
    return found
