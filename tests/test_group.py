"""Big nodes are found, with the gates they save, and nothing else is called one."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.graphs import record
from thalweg.graph.node import ancestors
from thalweg.optimise.group import find_groups
from thalweg.tracing import run

X = np.random.default_rng(0).uniform(-1, 1, (4, 4))
ONEHOT = np.eye(4)[[0, 2, 1, 1]]
ROWS, LABELS = np.arange(4), np.array([0, 2, 1, 1])
W, B = np.random.default_rng(1).standard_normal((4, 4)), np.arange(4.0)


def groups(f, *args):
    outputs = run(f, args, {}, range(len(args))).outputs
    return find_groups(ancestors(outputs)[0])


def softmax(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_norm(x):
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)


def layer_norm_by_hand(x):
    centred = x - np.mean(x, axis=1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5)


def test_the_lectures_sigmoid_neuron():
    def f(w, x):
        return 1 / (1 + np.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))

    (group,) = groups(f, np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0]))
    assert group.name == "sigmoid"
    assert [node.primitive.name for node in group.members] == ["negative", "exp", "add", "divide"]
    assert group.gradient == "(1 − σ(x)) · σ(x)"
    assert (group.gates, group.pulls) == ((4, 1), (4, 1))
    assert group.saved == "forward 4 gates → 1, backward 4 products → 1"
    (s,) = group.inputs
    assert s.value == 1.0
    out = group.output.value
    assert abs((1 - out) * out - 0.19661193324148185) < 1e-15


@pytest.mark.parametrize(
    ("f", "names", "gates"),
    [
        (lambda x: np.log(1 + np.exp(x)), ["softplus"], [3]),
        (lambda x: np.log(sigmoid(x)), ["log-sigmoid"], [5]),
        (lambda x: np.log(1 - sigmoid(x)), ["log-sigmoid of −x"], [6]),
        (lambda x: 1 / (1 + np.exp(x)), ["sigmoid of −x"], [3]),
        (lambda x: x / (1 + np.exp(-x)), ["silu"], [4]),
        (lambda x: np.log(np.sum(np.exp(x), axis=1)), ["logsumexp"], [3]),
        (softmax, ["softmax"], [3]),
        (lambda x: np.log(softmax(x)), ["log-softmax"], [4]),
        (lambda x: -np.sum(ONEHOT * np.log(softmax(x))), ["softmax + cross-entropy"], [7]),
        (lambda x: np.sum(-ONEHOT * np.log(softmax(x))), ["log-softmax"], [4]),
        (lambda x: -np.log(softmax(x)[ROWS, LABELS]).mean(), ["softmax + cross-entropy"], [7]),
        (
            lambda x: -np.mean(ONEHOT * np.log(sigmoid(x)) + (1 - ONEHOT) * np.log(1 - sigmoid(x))),
            ["sigmoid + cross-entropy"],
            [16],
        ),
        (lambda x: x @ W + B, ["affine"], [2]),
        (lambda x: sigmoid(B + x @ W), ["affine", "sigmoid"], [2, 4]),
        (layer_norm, ["layer norm"], [6]),
        (layer_norm_by_hand, ["layer norm"], [7]),
        (lambda x: (x - x.mean()) / x.std(), ["layer norm"], [4]),
        (lambda x: np.sqrt(np.sum(x * x)), ["norm"], [3]),
        (lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), ["tanh"], [7]),
    ],
)
def test_groups(f, names, gates):
    found = groups(f, X)
    assert [group.name for group in found] == names
    assert [group.gates[0] for group in found] == gates
    for group in found:
        assert group.output is group.members[-1]
        assert group.pulls[0] >= group.pulls[1] >= 1


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x + 1,
        lambda x: np.exp(-x) + 1 / (1 + np.exp(x * 2) * 2),
        lambda x: x @ W + X,
        lambda x: (x - x.mean(0)) / x.std(1),
        lambda x: np.tanh(x),
    ],
)
def test_nothing_to_group(f):
    assert groups(f, X) == []


def test_a_gate_that_is_used_outside_is_not_taken():
    def f(x):
        e = np.exp(-x)
        return 1 / (1 + e) + e

    assert groups(f, X) == []


def test_no_gate_is_in_two_groups():
    def f(x):
        return -np.sum(ONEHOT * np.log(softmax(sigmoid(x @ W + B) @ W)))

    found = groups(f, X)
    members = [member for group in found for member in group.members]
    assert len(members) == len(set(members))
    assert [g.name for g in found] == ["affine", "sigmoid", "softmax + cross-entropy"]


def test_the_stated_gradients_hold():
    x = X[0]
    s = 1 / (1 + np.exp(-x))
    p = np.exp(x) / np.exp(x).sum()
    total = tw.grad(lambda x: np.sum(1 / (1 + np.exp(-x))))(x)
    np.testing.assert_allclose(total, (1 - s) * s, rtol=1e-13)
    np.testing.assert_allclose(tw.grad(lambda x: np.log(np.sum(np.exp(x))))(x), p, rtol=1e-13)
    y = np.eye(4)[2]
    loss = tw.grad(lambda x: -np.sum(y * np.log(np.exp(x) / np.sum(np.exp(x)))))(x)
    np.testing.assert_allclose(loss, p - y, rtol=1e-12)


def net(p, x):
    h = sigmoid(layer_norm(x @ p["w"] + p["b"]))
    return -np.mean(np.sum(ONEHOT * np.log(softmax(h @ p["w"] + p["b"])), axis=1))


NET = ["affine", "layer norm", "sigmoid", "affine", "softmax + cross-entropy"]


def log_softmax_by_hand(z):
    z = z - np.max(z, axis=1, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))


def test_groups_of_a_recorded_graph():
    p = {"w": W, "b": B}
    graph = record(net, p, X)
    assert [group.name for group in find_groups(graph.nodes, graph.outputs)] == NET


def test_groups_in_the_forward_part_of_a_value_and_gradient():
    p = {"w": W, "b": B}

    def step(p, x):
        value, gradient = tw.value_and_grad(net)(p, x)
        return value, {key: p[key] - 0.1 * gradient[key] for key in p}

    for f in (tw.value_and_grad(net), step):
        graph = record(f, p, X)
        assert [group.name for group in find_groups(graph.nodes, graph.outputs)] == NET


def test_a_gate_that_is_an_output_too_is_not_taken():
    def f(x):
        e = np.exp(-x)
        return 1 / (1 + e), e

    def g(x):
        e = np.exp(-x)
        return 1 / (1 + e) + e

    for spelled in (f, g):
        graph = record(spelled, X)
        assert find_groups(graph.nodes, graph.outputs) == []


@pytest.mark.parametrize(
    "f",
    [
        lambda z: -np.mean(log_softmax_by_hand(z)[ROWS, LABELS]),
        lambda z: -np.sum(ONEHOT * log_softmax_by_hand(z)),
        lambda z: -np.mean((z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)))[ROWS, LABELS]),
    ],
)
def test_cross_entropy_of_a_log_softmax_by_subtraction(f):
    for spelled in (f, tw.value_and_grad(f)):
        graph = record(spelled, X)
        names = [group.name for group in find_groups(graph.nodes, graph.outputs)]
        assert names == ["softmax + cross-entropy"]
