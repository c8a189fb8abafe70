"""Unstable spellings have the right derivative everywhere, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special as sp

import thalweg as tw
import thalweg.scipy.special as tsp
from thalweg import api
from thalweg.graph.graph import between
from thalweg.graph.node import Node
from thalweg.optimise.patterns import recognise
from thalweg.optimise.stabilise import stable_forms
from thalweg.tracing import run
from thalweg.transforms.reverse import live_nodes


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    e = np.exp(x)
    return e / np.sum(e, axis=axis, keepdims=True)


ROWS = np.arange(4)
LABELS = np.array([0, 2, 1, 1])

#: name → (spelling, form that it is recognised as). All map (4, 4) arrays to arrays.
SPELLINGS = {
    "1/(1+exp(-x))": (sigmoid, "sigmoid"),
    "1/(exp(-x)+1)": (lambda x: 1.0 / (np.exp(-x) + 1.0), "sigmoid"),
    "1/(1+exp(x))": (lambda x: 1 / (1 + np.exp(x)), "sigmoid"),
    "reciprocal": (lambda x: np.reciprocal(1 + np.exp(-x)), "sigmoid"),
    "**-1": (lambda x: (1 + np.exp(-x)) ** -1, "sigmoid"),
    "**-1.0": (lambda x: (1 + np.exp(-x)) ** -1.0, "sigmoid"),
    "exp(x)/(1+exp(x))": (lambda x: np.exp(x) / (1 + np.exp(x)), "sigmoid"),
    "exp(-x)/(1+exp(-x))": (lambda x: np.exp(-x) / (1 + np.exp(-x)), "sigmoid"),
    "shared exp": (lambda x: (lambda e: e / (e + 1))(np.exp(x)), "sigmoid"),
    "scaled inside": (lambda x: 1 / (1 + np.exp(-(0.5 * x + 0.1))), "sigmoid"),
    "ones": (lambda x: np.ones(4) / (np.ones((4, 4)) + np.exp(-x)), "sigmoid"),
    "ones_like": (lambda x: 1 / (np.ones_like(x) + np.exp(-x)), "sigmoid"),
    "two classes": (lambda x: np.exp(x) / (np.exp(x) + np.exp(x.T)), "sigmoid_of_difference"),
    "x/(1+exp(-x))": (lambda x: x / (1 + np.exp(-x)), "over_one_plus_exp"),
    "3/(1+exp(-x))": (lambda x: 3 / (1 + np.exp(-x)), "over_one_plus_exp"),
    "log(sigmoid)": (lambda x: np.log(sigmoid(x)), "log_sigmoid"),
    "log(1-sigmoid)": (lambda x: np.log(1 - sigmoid(x)), "log_sigmoid"),
    "log1p(-sigmoid)": (lambda x: np.log1p(-sigmoid(x)), "log_sigmoid"),
    "log(expit)": (lambda x: np.log(sp.expit(x)), "log_sigmoid"),
    "log(1-expit)": (lambda x: np.log(1 - sp.expit(x)), "log_sigmoid"),
    "log(1+exp)": (lambda x: np.log(1 + np.exp(x)), "softplus"),
    "log(exp+1)": (lambda x: np.log(np.exp(x) + 1), "softplus"),
    "log1p(exp)": (lambda x: np.log1p(np.exp(x)), "softplus"),
    "log(1+exp(-x))": (lambda x: np.log(1 + np.exp(-x)), "softplus"),
    "log(exp+exp)": (lambda x: np.log(np.exp(x) + np.exp(x.T)), "logaddexp"),
    "tanh": (lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), "tanh_of_half"),
    "tanh, once": (lambda x: (1 - np.exp(-2 * x)) / (1 + np.exp(-2 * x)), "tanh_of_half"),
    "log(cosh)": (lambda x: np.log(np.cosh(x)), "log_cosh"),
    "log(sum(exp))": (lambda x: np.log(np.sum(np.exp(x))), "logsumexp"),
    "log(sum(exp), 0)": (lambda x: np.log(np.exp(x).sum(axis=0)), "logsumexp"),
    "log(sum(exp), kept)": (lambda x: np.log(np.exp(x).sum(axis=1, keepdims=True)), "logsumexp"),
    "logsumexp, shifted": (
        lambda x: np.log(np.sum(np.exp(x - np.max(x, 1, keepdims=True)), 1)),
        "logsumexp",
    ),
    "log(mean(exp))": (lambda x: np.log(np.mean(np.exp(x), axis=1)), "logmeanexp"),
    "softmax": (softmax, "softmax"),
    "softmax, axis 0": (lambda x: softmax(x, 0), "softmax"),
    "softmax, axis 0, no keepdims": (lambda x: np.exp(x) / np.exp(x).sum(axis=0), "softmax"),
    "softmax, [:, None]": (lambda x: np.exp(x) / np.exp(x).sum(axis=1)[:, None], "softmax"),
    "softmax, all": (lambda x: np.exp(x) / np.sum(np.exp(x)), "softmax"),
    "softmax, reshape": (lambda x: np.exp(x) / np.exp(x).sum(1).reshape(4, 1), "softmax"),
    "softmax, shifted twice": (
        lambda x: (
            np.exp(x - np.max(x, 1, keepdims=True))
            / np.sum(np.exp(x - np.max(x, 1, keepdims=True)), 1, keepdims=True)
        ),
        "softmax",
    ),
    "log(softmax)": (lambda x: np.log(softmax(x)), "log_softmax"),
    "log(softmax[i, y])": (lambda x: np.log(softmax(x)[ROWS, LABELS]), "log_softmax_entries"),
    "x - log(sum(exp))": (
        lambda x: x - np.log(np.sum(np.exp(x), axis=1, keepdims=True)),
        "log_softmax",
    ),
    "x - log(sum(exp)), axis 0": (lambda x: x - np.log(np.exp(x).sum(axis=0)), "log_softmax"),
    "x - scipy's logsumexp": (
        lambda x: x - tsp.logsumexp(x, axis=1, keepdims=True),
        "log_softmax",
    ),
    "x - log(sum(exp)), shifted": (
        lambda x: (lambda z: z - np.log(np.exp(z).sum(1))[:, None])(x - x.max(1, keepdims=True)),
        "log_softmax",
    ),
    "x - (m + log(sum(exp(x - m))))": (
        lambda x: (lambda m: x - (m + np.log(np.sum(np.exp(x - m), axis=1, keepdims=True))))(
            np.max(x, axis=1, keepdims=True)
        ),
        "log_softmax",
    ),
    "log(sum(exp(x - m))) + m": (
        lambda x: (lambda m: np.log(np.sum(np.exp(x - m[:, None]), axis=1)) + m)(np.max(x, axis=1)),
        "logsumexp",
    ),
    "norm": (lambda x: np.sqrt(np.sum(x * x)), "norm"),
    "norm, axis": (lambda x: np.sqrt(np.sum(x**2, axis=1)), "norm"),
    "norm, kept": (lambda x: np.sqrt(np.sum(np.square(x), axis=(0, 1), keepdims=True)), "norm"),
    "hypot": (lambda x: np.sqrt(x**2 + x.T**2), "hypot"),
    "hypot of three": (lambda x: np.sqrt(x**2 + x.T**2 + x[0] ** 2), "hypot"),
    "sqrt(x*x)": (lambda x: np.sqrt(x * x), "absolute"),
    "slope": (lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, "sigmoid_slope"),
    "slope, product": (
        lambda x: (lambda e: (lambda s: e / (s * s))(e + 1))(np.exp(x)),
        "sigmoid_slope",
    ),
    "log(sum(w exp))": (
        lambda x: np.log(np.sum(np.arange(1, 5.0).astype(x.dtype) * np.exp(x), axis=1)),
        "log_of_weighted_sum",
    ),
    "log(sum(exp w), kept)": (
        lambda x: np.log(np.sum(np.exp(x) * (x.T**2 + 1), axis=0, keepdims=True)),
        "log_of_weighted_sum",
    ),
    "log2(1+exp)": (lambda x: np.log2(1 + np.exp(x)), "log_to_base"),
    "log10(sum(exp))": (lambda x: np.log10(np.sum(np.exp(x), axis=1)), "log_to_base"),
    "abs(x)**2": (lambda x: abs(x) ** 2, "square_of_modulus"),
    "abs(x)*abs(x)": (lambda x: abs(x) * abs(x), "square_of_modulus"),
    "square(fabs(x))": (lambda x: np.square(np.fabs(x)), "square_of_modulus"),
    "norm(x)**2": (lambda x: np.linalg.norm(x) ** 2, "square_of_norm"),
    "norm(x, axis)**2": (lambda x: np.linalg.norm(x, axis=1) ** 2.0, "square_of_norm"),
    "norm*norm, kept": (
        lambda x: (lambda n: n * n)(np.linalg.norm(x, axis=0, keepdims=True)),
        "square_of_norm",
    ),
    "sqrt(sum(x²))**2": (lambda x: np.sqrt(np.sum(x * x, axis=1)) ** 2, "square_of_root"),
    "hypot**2": (lambda x: np.hypot(x, x.T) ** 2, "square_of_hypot"),
    "std**2": (lambda x: np.std(x, axis=1) ** 2, "square_of_std"),
    "(x+abs(x))/2": (lambda x: (x + abs(x)) / 2, "positive_part"),
    "0.5*(abs(x)+x)": (lambda x: 0.5 * (np.abs(x) + x), "positive_part"),
}

#: Calls that look like one of the forms and are none.
LOOKALIKES = {
    "2+exp": lambda x: 1 / (2 + np.exp(-x)),
    "almost one": lambda x: 1 / (np.array([1, 1, 1, 1.5]) + np.exp(-x)),
    "squared": lambda x: (1 + np.exp(-x)) ** -2,
    "exp2": lambda x: 1 / (1 + np.exp2(-x)),
    "other exp": lambda x: np.exp(x) / np.sum(np.exp(2 * x), axis=1, keepdims=True),
    "square matrix, wrong axis": lambda x: np.exp(x) / np.exp(x).sum(axis=1),
    "log(1+2exp)": lambda x: np.log(1 + 2 * np.exp(x)),
    "log(2+exp)": lambda x: np.log(2 + np.exp(x)),
    "cubes": lambda x: np.sqrt(np.sum(np.abs(x) ** 3)),
    "product": lambda x: np.sqrt(np.abs(x * x.T)),
    "root of a sum": lambda x: np.sqrt(x**2 + 1),
    "mixed difference": lambda x: (np.exp(x) - np.exp(-2 * x)) / (np.exp(x) + np.exp(-x)),
    "other abs": lambda x: (x + abs(x.T)) / 2,
    "third": lambda x: (x + abs(x)) / 3,
    "log2": lambda x: np.log2(2 + np.exp(x)),
    "slope with another exponent": lambda x: np.exp(-x) / (1 + np.exp(x)) ** 2,
    "product of two moduli": lambda x: abs(x) * abs(x.T),
    "norm of another order": lambda x: np.linalg.norm(x[0], 3) ** 2,
    "cubed modulus": lambda x: abs(x) ** 3,
    "over the mean": lambda x: np.exp(x) / np.exp(x).mean(axis=1, keepdims=True),
    "subset": lambda x: np.exp(x) / np.sum(np.exp(x)[:2], axis=0),
    "minus the log of a mean": lambda x: x - np.log(np.cosh(x)[:1] + 1),
    "some of the rows": lambda x: np.exp(x) / np.exp(x).sum(axis=1)[[1, 0, 2, 3], None],
}


def _forms(f, x):
    traced = run(f, (x,), {}, [0])
    order, live = live_nodes(traced.outputs, traced.inputs, {}, False)
    return [form.name for form in map(recognise, order) if form is not None], order, live


def _point(dtype=float):
    return np.random.default_rng(2).uniform(-2, 2, (4, 4)).astype(dtype)


def _weigh(f):
    """A number made of f's entries, each with a weight of its own."""

    def weighed(x):
        out = f(x)
        return np.sum(np.cos(np.arange(out.size)).reshape(out.shape).astype(out.dtype) * out)

    return weighed


@pytest.mark.parametrize("name", SPELLINGS)
def test_recognised_with_the_value_of_the_spelling(name):
    f, form = SPELLINGS[name]
    names, order, live = _forms(f, _point())
    assert form in names
    before = set(order)
    for node, stable in stable_forms(order, live).items():
        assert node in before
        assert (stable.shape, stable.dtype) == (node.shape, node.dtype)
        np.testing.assert_allclose(stable.value, node.value, rtol=1e-13, atol=1e-15)
        again = stable.primitive.value(  # what a replay computes
            *[x.value if type(x) is Node else x for x in stable.operands], **stable.params
        )
        np.testing.assert_allclose(again, node.value, rtol=1e-13, atol=1e-15)
    assert before <= set(order)
    assert [n.sequence for n in order if n in before] == sorted(n.sequence for n in before)
    position = {node: i for i, node in enumerate(order)}
    for node in order:
        below = [x for x in node.operands if type(x) is Node and x in position]
        assert all(position[x] < position[node] for x in below)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SPELLINGS)
def test_the_derivative_is_that_of_the_spelling(name, dtype, monkeypatch):
    f, x = _weigh(SPELLINGS[name][0]), _point(dtype)
    t = np.random.default_rng(5).standard_normal((4, 4)).astype(dtype)

    def derivatives():
        return (
            tw.grad(f)(x),
            tw.jvp(f, (x,), (t,))[1],
            tw.hvp(f, (x,), (t,)),
            tw.grad(lambda x: np.sum(t * tw.grad(f)(x)))(x),
        )

    stable = derivatives()
    monkeypatch.setattr(api, "stable_forms", lambda *_, **__: {})
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    for mine, plain in zip(stable, derivatives(), strict=True):
        assert mine.dtype == plain.dtype
        np.testing.assert_allclose(mine, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", LOOKALIKES)
def test_lookalikes_are_left_alone(name):
    names, order, live = _forms(LOOKALIKES[name], _point() + 3 * np.eye(4))
    assert names == []
    assert not stable_forms(order, live)


#: name → (function of one number, its first and second derivatives).
EXTREMES = {
    "sigmoid": (
        sigmoid,
        lambda x: sp.expit(x) * sp.expit(-x),
        lambda x: sp.expit(x) * sp.expit(-x) * (sp.expit(-x) - sp.expit(x)),
    ),
    "exp/(1+exp)": (
        lambda x: np.exp(x) / (1 + np.exp(x)),
        lambda x: sp.expit(x) * sp.expit(-x),
        lambda x: sp.expit(x) * sp.expit(-x) * (sp.expit(-x) - sp.expit(x)),
    ),
    "log(sigmoid)": (
        lambda x: np.log(sigmoid(x)),
        lambda x: sp.expit(-x),
        lambda x: -sp.expit(x) * sp.expit(-x),
    ),
    "log(1-sigmoid)": (
        lambda x: np.log(1 - sigmoid(x)),
        lambda x: -sp.expit(x),
        lambda x: -sp.expit(x) * sp.expit(-x),
    ),
    "softplus": (
        lambda x: np.log(1 + np.exp(x)),
        lambda x: sp.expit(x),
        lambda x: sp.expit(x) * sp.expit(-x),
    ),
    "log1p(exp)": (
        lambda x: np.log1p(np.exp(x)),
        lambda x: sp.expit(x),
        lambda x: sp.expit(x) * sp.expit(-x),
    ),
    "swish": (
        lambda x: x / (1 + np.exp(-x)),
        lambda x: sp.expit(x) * (1 + x * sp.expit(-x)),
        lambda x: sp.expit(x) * sp.expit(-x) * (2 + x * (sp.expit(-x) - sp.expit(x))),
    ),
    "tanh": (
        lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
        lambda x: 1 - np.tanh(x) ** 2,
        lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2),
    ),
    "log(cosh)": (lambda x: np.log(np.cosh(x)), np.tanh, lambda x: 1 - np.tanh(x) ** 2),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("x", [-1e6, -1000.0, -40.0, -1.0, 0.0, 1.0, 40.0, 1000.0, 1e6])
def test_derivatives_far_out(name, x):
    f, first, second = EXTREMES[name]
    with np.errstate(all="ignore"):
        pairs = (
            (tw.grad(f)(x), first),
            (tw.jvp(f, (x,), (1.0,))[1], first),
            (tw.grad(tw.grad(f))(x), second),
            (tw.hvp(f, (x,), (1.0,)), second),
            (tw.jvp(lambda x: tw.jvp(f, (x,), (1.0,))[1], (x,), (1.0,))[1], second),
        )
    for got, expected in pairs:
        np.testing.assert_allclose(got, expected(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["log(softmax)", "log(sum(exp))", "softmax", "log(softmax[i, y])"])
def test_softmax_and_its_relatives_far_out(name):
    f = _weigh(SPELLINGS[name][0])
    x = np.array([[0.0, -1000, 1000, 3], [800, 801, 802, 803], [-900, -901, -902, 0], [1e5] * 4])
    stable = {
        "log(softmax)": sp.log_softmax,
        "log(sum(exp))": lambda x, axis: sp.logsumexp(x),
        "softmax": sp.softmax,
        "log(softmax[i, y])": lambda x, axis: sp.log_softmax(x, axis)[ROWS, LABELS],
    }[name]
    h, numbers = 1e-4, []
    w = np.random.default_rng(0).standard_normal((4, 4))
    values = np.shape(stable(x, axis=-1))
    weights = np.cos(np.arange(np.prod(values, dtype=int))).reshape(values)
    for sign in (1, -1):
        numbers.append(np.sum(weights * stable(x + sign * h * w, axis=-1)))
    with np.errstate(all="ignore"):
        got = np.sum(w * tw.grad(f)(x))
        assert np.isfinite(tw.hvp(f, (x,), (w,))).all()
    np.testing.assert_allclose(got, (numbers[0] - numbers[1]) / (2 * h), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "f",
    [
        lambda z: z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)),
        lambda z: np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True),
        lambda z: np.log(np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True))[ROWS, LABELS],
    ],
)
def test_the_derivative_does_not_pass_through_the_shift(f):
    def shifted(x):
        return f(x - np.max(x, axis=1, keepdims=True))

    x = np.array([[1.0, 1.0, 0.0, 1.0], [800, 801, 802, 803], [0, -900, 5, 5], [1e5] * 4])
    with np.errstate(all="ignore"):
        traced = run(tw.grad(_weigh(shifted)), (x,), {}, [0])
        top = x.max(axis=1, keepdims=True)  # a constant
        want = tw.grad(_weigh(lambda x: f(x - top)))(x)
        got = tw.grad(_weigh(shifted))(x)
    nodes = between(traced.inputs, traced.outputs).nodes
    assert "isnan" not in {node.primitive.name for node in nodes}
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


def test_only_its_own_log_sum_is_subtracted():
    for f in (
        lambda x: x - np.log(np.sum(np.exp(x.T), axis=1, keepdims=True)),
        lambda x: x - np.log(np.sum(np.exp(x), axis=1)),
        lambda x: x.T - np.log(np.sum(np.exp(x), axis=1, keepdims=True)),
        lambda x: np.log(np.sum(np.exp(x - np.max(x, axis=1, keepdims=True)), axis=1)) + x[0],
    ):
        assert _forms(f, _point())[0] == ["logsumexp"]


def test_shared_interior_gates_get_every_share():
    def f(x):
        e = np.exp(-x)
        s = 1 / (1 + e)
        return np.sum(s * s + np.log(s) + e)

    x = _point()
    s = sp.expit(x)
    expected = 2 * s * s * (1 - s) + (1 - s) - np.exp(-x)
    np.testing.assert_allclose(tw.grad(f)(x), expected, rtol=1e-12)


def test_several_outputs_of_one_form():
    def f(x):
        p = softmax(x)
        return p, np.log(p)

    x = np.array([[0.0, 1000.0], [3.0, 1.0]])
    with np.errstate(all="ignore"):
        _, pull = tw.vjp(f, x)
    (g,) = pull((np.zeros((2, 2)), np.ones((2, 2))))
    np.testing.assert_allclose(g, 1 - 2 * sp.softmax(x, axis=1), atol=1e-12)


def test_partly_constant_operands():
    a, b = np.array(0.3), np.array([1.0, 2.0])
    got = tw.grad(lambda x: np.sum(np.exp(x) / (np.exp(x) + np.exp(b))))(a)
    s = sp.expit(a - b)
    np.testing.assert_allclose(got, np.sum(s * (1 - s)), rtol=1e-12)
    got = tw.grad(lambda x: np.sum(1 / (1 + np.exp(-x)) + b))(b)
    np.testing.assert_allclose(got, sp.expit(b) * sp.expit(-b), rtol=1e-12)


def test_values_stay_what_numpy_gives():
    with np.errstate(all="ignore"):
        value, gradient = tw.value_and_grad(lambda x: np.log(sigmoid(x)))(-1000.0)
    assert value == -np.inf
    assert gradient == 1.0


def test_complex_spellings_are_left_alone():
    z = np.array([0.3 + 0.2j, -1.0 + 1j])
    names, _, _ = _forms(sigmoid, z)
    assert names == []


def test_a_graph_without_a_match_costs_nothing():
    _, order, live = _forms(lambda x: np.sin(x * 2 + 1) / 3, _point())
    assert stable_forms(order, live) is stable_forms([], set())


@pytest.mark.parametrize(
    ("f", "hessian"),
    [
        (lambda x: np.sum(abs(x) ** 2), 2 * np.eye(3)),
        (lambda x: np.sum(abs(x) * abs(x)), 2 * np.eye(3)),
        (lambda x: np.sum(np.square(abs(x))), 2 * np.eye(3)),
        (lambda x: np.linalg.norm(x) ** 2, 2 * np.eye(3)),
        (lambda x: np.square(np.linalg.norm(x)), 2 * np.eye(3)),
        (lambda x: np.linalg.norm(x) * np.linalg.norm(x), 2 * np.eye(3)),
        (lambda x: np.sum(np.linalg.norm(x, keepdims=True) ** 2), 2 * np.eye(3)),
        (lambda x: np.sum(np.linalg.norm(x[None], axis=1) ** 2), 2 * np.eye(3)),
        (lambda x: np.sqrt(np.sum(x**2)) ** 2, 2 * np.eye(3)),
        (lambda x: np.std(x) ** 2, 2 / 3 * (np.eye(3) - 1 / 3)),
        (lambda x: np.hypot(x[0], x[1]) ** 2, np.diag([2.0, 2.0, 0.0])),
    ],
)
def test_squares_are_smooth_at_zero(f, hessian):
    zero = np.zeros(3)
    np.testing.assert_array_equal(tw.grad(f)(zero), zero)
    np.testing.assert_allclose(tw.hessian(f)(zero), hessian, atol=1e-15)
    for t in np.eye(3):
        np.testing.assert_allclose(tw.hvp(f, (zero,), (t,)), hessian @ t, atol=1e-15)


def test_squares_of_complex_moduli():
    for f in (
        lambda z: np.sum(np.abs(z) ** 2),
        lambda z: np.linalg.norm(z) ** 2,
        lambda z: np.sum(abs(z) * abs(z)),
    ):

        def of_parts(x, f=f):
            return f(x[0] + 1j * x[1])

        for point in (np.zeros((2, 2)), np.arange(4.0).reshape(2, 2)):
            hessian = tw.hessian(of_parts)(point).reshape(4, 4)
            np.testing.assert_allclose(hessian, 2 * np.eye(4), atol=1e-14)
        np.testing.assert_allclose(tw.grad(f)(np.array([3 + 4j, 0])), [6 - 8j, 0], rtol=1e-15)


def test_a_root_squared_is_its_operand_where_it_is_real():
    f = lambda s: np.sqrt(s) ** 2  # noqa: E731 - one function, three points
    with np.errstate(invalid="ignore"):
        assert tw.grad(f)(0.0) == 1
        assert tw.grad(f)(4.0) == 1
        assert np.isnan(tw.grad(f)(-1.0))
    assert tw.hvp(f, (0.0,), (1.0,)) == 0


def test_weighted_sums_of_exponentials_far_out():
    def f(x, w):
        return np.log(np.sum(w * np.exp(x)))

    x, w = np.array([1000.0, 0.0, 2000.0]), np.array([1.0, 2.0, 0.0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(tw.grad(f)(x, w), [1, 0, 0])
        np.testing.assert_array_equal(tw.grad(f)(-x[:2], w[:2]), [0, 1])
        np.testing.assert_array_equal(tw.grad(f, 1)(-x[:2], w[:2]), [0, 0.5])
        assert np.isfinite(tw.hvp(lambda x: f(x, w), (x,), (np.ones(3),))).all()
        assert tw.grad(lambda x: np.log2(1 + np.exp(x)))(1000.0) == 1 / np.log(2)
        slope = lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2  # noqa: E731
        for far in (-1000.0, 1000.0):
            assert tw.grad(slope)(far) == 0
            assert tw.hvp(slope, (far,), (1.0,)) == 0


@pytest.mark.parametrize("scale", [1.0, 15.0, 40.0, 800.0])
def test_right_to_rounding_with_and_without_the_stable_form(scale):
    """A harmless spelling is left as it is: on both sides of that bound the slope is exact."""
    x = np.linspace(-scale, scale, 41)
    wide = x.astype(np.longdouble)
    softmax = np.exp(wide - wide.max())
    with np.errstate(all="ignore"):
        slope = tw.grad(lambda x: np.sum(1 / (1 + np.exp(-x))))(x)
        shares = tw.grad(lambda x: np.log(np.sum(np.exp(x))))(x)
    expected = 1 / ((1 + np.exp(-wide)) * (1 + np.exp(wide)))
    tiny = np.finfo(float).tiny
    np.testing.assert_allclose(slope, expected.astype(float), rtol=3e-15, atol=tiny)
    np.testing.assert_allclose(
        shares, (softmax / softmax.sum()).astype(float), rtol=2e-13, atol=tiny
    )
