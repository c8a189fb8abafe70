"""The Graph record, the type checker of graphs, and the interpreter."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import thalweg as tw
from thalweg.array import Array
from thalweg.errors import InternalError
from thalweg.execute.executor import GuardChanged, Interpreter
from thalweg.execute.interpret import interpret
from thalweg.graph.graph import Graph, between
from thalweg.graph.node import Node, input_node
from thalweg.graph.primitive import PRIMITIVES, Labels, Primitive
from thalweg.graph.spec import Spec
from thalweg.graph.verify import verify
from thalweg.guards import Recording
from thalweg.transforms.batch import batch
from thalweg.tree import flatten

RNG = np.random.default_rng(3)
X = RNG.standard_normal((3, 4))


def graph_of(f, *args):
    inputs = [input_node(x) for x in args]
    with Recording() as guards:
        result = f(*[Array(x) for x in inputs])
    outputs = [x._node if type(x) is Array else x for x in flatten(result)[0]]
    return between(inputs, outputs, guards)


def mixed(x):
    y = np.tanh(x[1:] @ x.T) * 2.0
    y[0, 0] = np.sum(x)
    return np.where(y > 0, y, np.exp(y)), x[0][np.argsort(x[0])]


# ---- the record ---------------------------------------------------------------------------


def test_parts():
    kept = np.ones(4)
    graph = graph_of(lambda x: (np.sin(x) * (np.cos(kept)), 3.0), X)
    assert [node.primitive.name for node in graph.nodes] == ["sin", "multiply"]
    assert graph.outputs[1] == 3.0
    assert graph.captured == ()
    assert [node.sequence for node in graph.nodes] == sorted(n.sequence for n in graph.nodes)


def test_what_is_captured():
    outer = input_node(X)
    graph = graph_of(lambda x: x * Array(outer) + np.exp(Array(outer)), X)
    assert graph.captured == (outer,)
    assert [node.primitive.name for node in graph.nodes] == ["multiply", "add"]
    wider = between([*graph.inputs, outer], graph.outputs, first=graph.inputs[0].sequence)
    assert [node.primitive.name for node in wider.nodes] == ["multiply", "exp", "add"]


def test_without_values():
    graph = graph_of(mixed, X)
    slim = graph.without_values()
    assert all(isinstance(node.value, Spec) for node in slim.nodes)
    assert [(n.shape, n.dtype, n.ndim, n.size) for n in slim.nodes] == [
        (n.shape, n.dtype, n.ndim, n.size) for n in graph.nodes
    ]
    for a, b in zip(interpret(slim, [X + 1]), interpret(graph, [X + 1]), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- the interpreter ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_replay_is_a_new_trace(seed):
    graph = graph_of(mixed, X)
    x = np.random.default_rng(seed).standard_normal(X.shape)
    for a, b in zip(interpret(graph, [x]), mixed(x), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(Interpreter(graph).run([x]), mixed(x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_replay_on_nodes_keeps_the_source_lines():
    graph = graph_of(mixed, X)
    inputs = [input_node(X)]
    again = between(inputs, interpret(graph, inputs))
    assert [n.origin for n in again.nodes] == [n.origin for n in graph.nodes]
    assert [n.primitive for n in again.nodes] == [n.primitive for n in graph.nodes]
    verify(again)


def test_values_are_let_go():
    """A long chain needs two values at a time, not all."""

    def chain(x):
        for _ in range(50):
            x = np.sin(x)
        return x

    x = np.ones(10_000)
    graph = graph_of(chain, x).without_values()
    tracemalloc.start()
    interpret(graph, [x])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * x.nbytes


def branching(x):
    if np.sum(x) > 0:
        return np.sqrt(np.sum(x))
    return np.sum(x)


def test_guards_are_compared():
    graph = graph_of(branching, np.ones(3))
    assert Interpreter(graph).run([np.full(3, 4.0)]) == (np.sqrt(12.0),)
    changed = Interpreter(graph).run(
        [-np.ones(3)]
    )  # and no warning: the square root is not reached
    assert isinstance(changed, GuardChanged)
    assert changed.guard.answer is True
    assert not changed.value


def test_guards_on_integers_and_arrays():
    graph = graph_of(lambda x, n: x ** int(n), np.ones(3), np.int64(2))
    np.testing.assert_array_equal(
        Interpreter(graph).run([np.full(3, 3.0), np.int64(2)])[0], [9.0] * 3
    )
    assert isinstance(Interpreter(graph).run([np.ones(3), np.int64(3)]), GuardChanged)
    listed = graph_of(lambda x, n: x[n.tolist()], X, np.array([0, 2]))
    np.testing.assert_array_equal(Interpreter(listed).run([X, np.array([0, 2])])[0], X[[0, 2]])
    assert isinstance(Interpreter(listed).run([X, np.array([0, 1])]), GuardChanged)
    assert isinstance(Interpreter(listed).run([X, np.array([0])]), GuardChanged)


# ---- the type checker ---------------------------------------------------------------------

PROGRAMS = {
    "mixed": mixed,
    "gradient": tw.grad(lambda x: np.sum(mixed(x)[0] ** 2)),
    "hessian": tw.hessian(lambda x: np.sum(mixed(x)[0] ** 2)),
    "tangent": lambda x: tw.jvp(lambda y: np.prod(np.max(y, axis=0) + y[0]), (x,), (x,)),
    "batched": lambda x: tw.vmap(lambda row: np.cumsum(np.tanh(row) @ X.T))(x),
    "recomputed": tw.grad(lambda x: np.sum(tw.remat(np.sin)(x) ** 2)),
    "reduction": lambda x: (np.mean(x, axis=0), np.max(x), np.logaddexp.reduce(x, axis=-1)),
    "shapes": lambda x: np.concatenate([x.reshape(-1), np.broadcast_to(x, (2, 3, 4)).ravel()]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_transforms_hand_on_sound_graphs(name):
    graph = graph_of(PROGRAMS[name], X)
    assert len(graph.nodes) > 1
    verify(graph)


def test_the_batched_graph_is_sound():
    inner = graph_of(mixed, X)
    x = input_node(np.stack([X, X + 1]))
    values, carried = batch(inner, [x], [True], 2, as_graph=True)
    assert carried == (True, True)
    verify(between([x], values))


def a_node(primitive, *operands, value, **params):
    return Node(primitive, operands, params, value, True, None)


def bad_primitive():
    return Primitive(
        "test_bad",
        np.sin,
        lambda i, out, x: tw.kinds.Diagonal(np.ones(5)),
        Labels("bad", ""),
        "none",
    )


def computed_later(x, good):
    later = PRIMITIVES["exp"](good)
    return [a_node(PRIMITIVES["add"], x, later, value=X), good, later]


def wrong_shape(x, good):
    return [good, a_node(PRIMITIVES["sum"], x, value=X, axes=(0, 1), keepdims=False)]


def handle_as_operand(x, good):
    return [good, a_node(PRIMITIVES["add"], x, Array(x), value=X)]


def unregistered(x, good):
    return [good, a_node(bad_primitive(), x, value=np.sin(X))]


def wrong_kind(x, good):
    return [good, a_node(PRIMITIVES["test_bad"], x, value=np.sin(X))]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (computed_later, "is computed later"),
        (wrong_shape, r"the value is float64\[3, 4\], the primitive gives float64\[\]"),
        (handle_as_operand, "neither a node nor a number but Array"),
        (unregistered, "not a registered primitive"),
        (wrong_kind, "Diagonal, does not fit: .*shape mismatch"),
    ],
)
def test_a_broken_graph_is_shown(make, complaint, monkeypatch):
    monkeypatch.setitem(PRIMITIVES, "test_bad", bad_primitive())
    x = input_node(X)
    nodes = make(x, PRIMITIVES["sin"](x))
    with pytest.raises(InternalError, match=complaint) as caught:
        verify(Graph((x,), tuple(nodes), (nodes[-1],)))
    text = str(caught.value)
    assert "\n-> %" in text  # the bad line is marked
    assert "sin(" in text  # and stands in its context
