"""Every number of the lecture, from `thalweg.trace`, to 1e-12 of the exact value."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

import thalweg as tw


def exact(found, expected):
    """The shape of `expected`, and no entry further than 1e-12 (relative) from it."""
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


# ---- 1: the chain rule ----------------------------------------------------------------------


def test_chain_rule():
    def f(x, y):
        t = x + y
        z = t**2
        return z

    trace = tw.trace(f, 1, 2)
    exact(trace["t"].value, 3.0)
    exact(trace["z"].value, 9.0)
    assert trace["z"].inputs[0].local.todense() == [[6.0]]  # ∂z/∂t = 2t
    assert trace["t"].inputs[0].local.todense() == [[1.0]]  # ∂t/∂x = 1
    exact(trace["t"].upstream, 6.0)
    exact(trace["x"].upstream, 6.0)
    exact(trace["y"].upstream, 6.0)


# ---- 5: patterns in the backward flow ---------------------------------------------------------


def test_add_gate_distributes():
    trace = tw.trace(lambda x, y: (x + y) * 7.0, 3.0, 4.0)
    node = trace["x + y"]
    exact(node.upstream, 7.0)
    assert [edge.local.kind for edge in node.inputs] == ["identity", "identity"]
    assert [float(edge.downstream) for edge in node.inputs] == [7.0, 7.0]


def test_max_gate_routes():
    trace = tw.trace(lambda x, y: np.maximum(x, y) * 7.0, 3.0, 4.0)
    node = trace["np.maximum(x, y)"]
    assert [edge.local.kind for edge in node.inputs] == ["router", "router"]
    assert [edge.local.nnz for edge in node.inputs] == [0, 1]
    assert [float(edge.downstream) for edge in node.inputs] == [0.0, 7.0]


def test_mul_gate_switches():
    trace = tw.trace(lambda x, y: (x * y) * 7.0, 3.0, 4.0)
    node = trace["x * y"]
    assert [float(edge.local.todense()[0, 0]) for edge in node.inputs] == [4.0, 3.0]
    assert [float(edge.downstream) for edge in node.inputs] == [28.0, 21.0]


def test_copy_adds():
    def f(x):
        a = 2.0 * x
        return a * 3.0 + a * 5.0

    trace = tw.trace(f, 1.5)
    edges = [e for n in trace.nodes for e in n.inputs if e.node is trace["a"]]
    assert [float(e.downstream) for e in edges] == [3.0, 5.0]
    exact(trace["a"].upstream, 8.0)


# ---- 6: scalar example 1 ----------------------------------------------------------------------


def test_scalar_example_1():
    def f(x, y, z):
        q = x + y
        f = q * z
        return f

    trace = tw.trace(f, -2, 5, -4)
    values = {name: float(trace[name].value) for name in "xyzqf"}
    assert values == {"x": -2.0, "y": 5.0, "z": -4.0, "q": 3.0, "f": -12.0}
    gradients = {name: float(trace[name].upstream) for name in "xyzqf"}
    assert gradients == {"f": 1.0, "q": -4.0, "z": 3.0, "x": -4.0, "y": -4.0}


# ---- 7: the sigmoid neuron --------------------------------------------------------------------

SIGMA = 1 / (1 + math.exp(-1))
SLOPE = (1 - SIGMA) * SIGMA  # 0.196612


def neuron(w0, x0, w1, x1, w2):
    p0 = w0 * x0
    p1 = w1 * x1
    s = p0 + p1 + w2
    n = -s
    e = np.exp(n)
    d = 1 + e
    f = 1 / d
    return f


@pytest.fixture(name="neuron_trace")
def _neuron_trace():
    return tw.trace(neuron, 2, -1, -3, -2, -3)


@pytest.mark.parametrize(
    ("node", "value", "upstream"),
    [
        ("p0", -2.0, SLOPE),
        ("p1", 6.0, SLOPE),
        ("s", 1.0, SLOPE),
        ("n", -1.0, -SLOPE),
        ("e", math.exp(-1), -(SIGMA**2)),
        ("d", 1 + math.exp(-1), -(SIGMA**2)),
        ("f", SIGMA, 1.0),
    ],
)
def test_sigmoid_neuron(neuron_trace, node, value, upstream):
    exact(neuron_trace[node].value, value)
    exact(neuron_trace[node].upstream, upstream)


def test_sigmoid_neuron_gradients(neuron_trace):
    expected = {"w0": -SLOPE, "x0": 2 * SLOPE, "w1": -2 * SLOPE, "x1": -3 * SLOPE, "w2": SLOPE}
    for name, value in expected.items():
        exact(neuron_trace.gradients[name], value)


def test_six_digits_of_the_notes(neuron_trace):
    """The table as the notes print it."""
    shown = str(neuron_trace)
    for number in ("0.196612", "-0.196612", "0.367879", "-0.534447", "1.36788", "0.731059"):
        assert number in shown
    for number in ("0.393224", "-0.393224", "-0.589836"):
        assert number in shown


def test_the_big_node(neuron_trace):
    """Negate, exp, add 1, reciprocal are found as one sigmoid, with what it saves."""
    (group,) = [g for g in neuron_trace.groups if g.name == "sigmoid"]
    assert [node.label for node in group.members] == ["n", "e", "d", "f"]
    assert [node.label for node in group.inputs] == ["s"]
    assert group.output is neuron_trace["f"]
    exact(group.local, SLOPE)
    assert (group.saved_forward, group.saved_backward) == (3, 3)
    shown = str(neuron_trace)
    assert "these 4 nodes could be one sigmoid node" in shown
    assert "0.196612; saves 3 operations forward and 3 operations backward" in shown


# ---- 8: vectorised operations -----------------------------------------------------------------


def test_elementwise_jacobian_is_diagonal_and_never_filled():
    x = np.linspace(-2.0, 2.0, 409_600).reshape(100, 4096)
    tracemalloc.start()
    trace = tw.trace(np.tanh, x, upstream=np.ones_like(x))
    local = trace.nodes[-1].inputs[0].local
    assert local.kind == "diagonal"
    assert local.shape == (409_600, 409_600)
    assert local.nnz == 409_600
    assert local.nbytes == 409_600 * 8
    assert repr(local) == "diagonal 409600×409600, nnz 409600, 3.3 MB instead of 1.3 TB"
    with pytest.raises(tw.errors.SizeLimitError, match=r"1\.3 TB"):
        local.todense()
    str(trace)
    assert tracemalloc.get_traced_memory()[1] < 20 * x.nbytes
    tracemalloc.stop()
    exact(trace["x"].upstream, 1 - np.tanh(x) ** 2)


@pytest.mark.parametrize("function", [np.tanh, np.exp, np.sin, np.square, np.sqrt])
def test_memory_of_a_vector_jacobian_product(function):
    """At most four arrays of the operand's size: the value, the diagonal, the product, one more."""
    x = np.linspace(0.5, 2.0, 409_600).reshape(100, 4096)
    c = np.ones_like(x)
    _, pull = tw.vjp(function, x)  # warm: caches and imports are not the product
    pull(c)
    del pull
    tracemalloc.start()
    _, pull = tw.vjp(function, x)
    pull(c)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 4 * x.nbytes + 100_000, peak / x.nbytes


# ---- 9: the affine layer ----------------------------------------------------------------------

W = np.array([[0.1, 0.5], [-0.3, 0.8]])
X = np.array([0.2, 0.4])


def test_affine_layer():
    def f(W, x):
        q = W @ x
        f = np.sum(q**2)
        return f

    trace = tw.trace(f, W, X)
    exact(trace["q"].value, [0.22, 0.26])
    exact(trace["f"].value, 0.116)
    exact(trace["q"].upstream, [0.44, 0.52])  # 2q
    exact(trace["W"].upstream, [[0.088, 0.176], [0.104, 0.208]])  # 2 q xᵀ
    exact(trace["x"].upstream, [-0.112, 0.636])  # 2 Wᵀ q
    to_w, to_x = trace["q"].inputs
    assert (to_w.local.kind, to_x.local.kind) == ("matmul right", "matmul left")
    # ∂q_k/∂W_ij = [k = i] x_j: block diagonal, one copy of xᵀ a row.
    exact(to_w.local.todense(), np.kron(np.eye(2), X))
    assert to_w.local.nnz == 4
    exact(to_x.local.todense(), W)


def test_affine_layer_of_a_batch():
    rng = np.random.default_rng(9)
    samples, weights, bias = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)

    def f(X, W, b):
        Q = X @ W + b
        return np.sum(Q**2)

    trace = tw.trace(f, samples, weights, bias)
    upstream = trace["Q"].upstream
    exact(upstream, 2 * (samples @ weights + bias))
    exact(trace["X"].upstream, upstream @ weights.T)
    exact(trace["W"].upstream, samples.T @ upstream)
    exact(trace["b"].upstream, upstream.sum(axis=0))
