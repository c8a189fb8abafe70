"""`remat`: keep only inputs and outputs of a call, and compute the rest again when it is needed.

The call becomes one node. Its local Jacobian is not stored: a pull replays the recorded graph on
the kept operands and goes backward through it. The replay builds nodes where an outer derivative is
under way, so any order works.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.execute.interpret import interpret
from thalweg.graph.graph import Graph, between
from thalweg.graph.kinds import Custom, Kind
from thalweg.graph.node import Node, input_node, user_frame
from thalweg.graph.primitive import Labels, Primitive, register
from thalweg.ops.structural import items
from thalweg.optimise.stabilise import stable_forms
from thalweg.tracing import check_function
from thalweg.transforms.batch import batch
from thalweg.transforms.forward import forward
from thalweg.transforms.linear import zeros_like
from thalweg.transforms.reverse import live_nodes, reverse
from thalweg.tree import flatten, unflatten

__all__ = ["remat"]


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function like `f` whose inner values are computed again rather than kept.

    Under `grad` and its relatives a call of the result holds its inputs and outputs only; going
    backward, the inside is computed a second time. It saves memory at the price of one more forward
    pass: wrap the blocks of a deep network, for example. Outside of a derivative it is `f` itself.

    What the function did at the call is what is replayed: Python code in it runs once.

    Parameters
    ----------
    f : callable
        A NumPy function of arrays, numbers and trees of them.

    Returns
    -------
    callable
        Takes what `f` takes and gives what it gives.

    References
    ----------
    A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 12.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> block = tw.remat(lambda x: np.sin(np.exp(x)))
    >>> float(tw.grad(block)(0.0)) == float(np.cos(1.0))
    True
    """
    check_function(f, "remat(f)(x)")

    @functools.wraps(f)
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = flatten((args, kwargs))
        traced = [i for i, leaf in enumerate(leaves) if type(leaf) is Array]
        if not traced:
            return f(*args, **kwargs)
        out_structure: list[Any] = []

        def call(*nodes: Any) -> list[Any]:
            handles = list(leaves)
            for i, node in zip(traced, nodes, strict=True):
                handles[i] = Array(node)
            inner_args, inner_kwargs = unflatten(structure, handles)
            outputs, found = flatten(f(*inner_args, **inner_kwargs))
            out_structure.append(found)
            return [x._node if type(x) is Array else x for x in outputs]

        results = _hold(call, [leaves[i]._node for i in traced])
        handles = [Array(x) if type(x) is Node else x for x in results]
        return unflatten(out_structure[0], handles)

    return recomputed


def _hold(call: Callable[..., Sequence[Any]], operands: Sequence[Any]) -> list[Any]:
    """``call(*operands)`` as one node: what lies between operands and results is let go."""
    inner = [input_node(x) if type(x) is Node else x for x in operands]
    inputs = [x for x in inner if type(x) is Node]
    outputs = list(call(*inner))
    graph = between(inputs, outputs)
    # What the function captured from outside is an operand too.
    captured = list(graph.captured)
    first = min(node.sequence for node in inputs)
    graph = between([*inputs, *captured], outputs, first=first)
    ends = {*graph.nodes, *graph.inputs}
    varying = [k for k, x in enumerate(outputs) if type(x) is Node and x in ends]
    if not varying:
        return outputs
    graph = graph._replace(outputs=tuple(outputs[k] for k in varying))
    frame = user_frame(2)
    outer = tuple([x for x in operands if type(x) is Node] + captured)
    node = Node(
        REMAT,
        outer,
        {"graph": graph.without_values(), "memory": _Memory()},
        tuple(x.value for x in graph.outputs),
        any(x.active for x in outer),
        (frame.f_code, frame.f_lasti),
    )
    for k, item in zip(varying, items(node), strict=True):
        outputs[k] = item
    return outputs


_TAKEN = object()


class _Memory:
    """What the last pull gave: the operands' cotangents are asked for one by one.

    Held against what it was computed from: the same call can be pulled again, on other operands
    (a batch, an outer trace) or in another thread.
    """

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: tuple[tuple[Any, ...], list[Any]] | None = None

    def take(self, key: tuple[Any, ...], i: int) -> Any:
        """The cotangent of operand i from the pull that `key` describes, once; else `_TAKEN`."""
        last = self.last
        if last is None or len(last[0]) != len(key) or any(map(operator.is_not, last[0], key)):
            return _TAKEN
        found, last[1][i] = last[1][i], _TAKEN
        if all(g is _TAKEN or g is None for g in last[1]):
            self.last = None
        return found


def _local(i: int, out: Any, *operands: Any, graph: Graph, memory: _Memory) -> Kind:
    as_graph = any(type(x) is Node for x in operands)

    def replay() -> tuple[list[Node], list[Any], dict[str, Any]]:
        inputs = [input_node(x) for x in operands]
        outputs = list(interpret(graph, inputs))
        order, live = live_nodes(outputs, inputs, {}, True)
        options = {"replacements": stable_forms(order, live), "order": order, "live": live}
        return inputs, outputs, options

    def push(t: Any) -> Any:
        inputs, outputs, options = replay()
        graph_wanted = as_graph or type(t) is Node
        pushed = forward(outputs, [inputs[i]], [t], as_graph=graph_wanted, **options)
        return tuple(
            zeros_like(end) if t is None else t for t, end in zip(pushed, outputs, strict=True)
        )

    def pull(c: Any) -> Any:
        graph_wanted = as_graph or any(type(part) is Node for part in c)
        key = (graph_wanted, *operands, *c)
        found = memory.take(key, i)
        if found is _TAKEN:
            inputs, outputs, options = replay()
            reached = [k for k, part in enumerate(c) if part is not None]
            pulled = reverse(
                [outputs[k] for k in reached],
                [c[k] for k in reached],
                inputs,
                as_graph=graph_wanted,
                **options,
            )
            memory.last = (key, pulled)
            found = memory.take(key, i)
        return zeros_like(operands[i]) if found is None else found

    return Custom(push, pull, "recompute", absent=True)


def _batch(operands: Any, batched: Any, params: dict[str, Any]) -> Any:
    size = next(x.shape[0] for x, flag in zip(operands, batched, strict=True) if flag)
    graph = params["graph"]
    as_graph = any(type(x) is Node for x in operands)

    def call(*inner: Any) -> list[Any]:
        values, carried = batch(graph, inner, batched, size, as_graph=as_graph)
        return [
            value if flag else np.broadcast_to(value, (size, *value.shape))
            for value, flag in zip(values, carried, strict=True)
        ]

    return tuple(_hold(call, operands) if as_graph else call(*operands))


REMAT = register(
    Primitive(
        name="remat",
        value=lambda *operands, graph, memory: interpret(graph, operands),
        local=_local,
        labels=Labels("remat", r"\operatorname{{remat}}({args})"),
        batch=_batch,
        outputs=-1,
        lower=lambda b, out, *operands, graph, memory: b.inline(graph, operands),
    )
)
