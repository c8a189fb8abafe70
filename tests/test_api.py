"""grad, value_and_grad, vjp, jvp, hvp, detach: arguments, results, nesting, errors, size."""

from __future__ import annotations

import dataclasses
import functools
import gc
import re
import sys
import traceback
from collections import namedtuple

import numpy as np
import pytest

import thalweg as tw
from thalweg import guards
from thalweg.errors import (
    DtypeError,
    NonScalarOutputError,
    ShapeError,
    TracingError,
    TreeError,
)

X = np.array([0.5, -1.5, 2.0])
Point = namedtuple("Point", "x y")


@dataclasses.dataclass(frozen=True)
class Layer:
    weight: object
    bias: object
    name: object = None


# ---- arguments ----------------------------------------------------------------------------


def test_argnums():
    def f(x, n, y):
        return np.sum(x**n * y)

    np.testing.assert_allclose(tw.grad(f)(X, 2, X), 2 * X * X)
    gx, gy = tw.grad(f, (0, 2))(X, 2, X)
    np.testing.assert_allclose(gy, X**2)
    np.testing.assert_allclose(tw.grad(f, -1)(X, 2, X), X**2)
    (only,) = tw.grad(f, [0])(X, 2, X)
    np.testing.assert_array_equal(only, gx)


@pytest.mark.parametrize(
    ("argnums", "text"),
    [(2, "2 positional"), (-3, "2 positional"), ((0, 0), "twice"), ((0, -2), "twice")],
)
def test_bad_argnums(argnums, text):
    with pytest.raises(TypeError, match=text):
        tw.grad(lambda x, y: x * y, argnums)(1.0, 2.0)


def test_keyword_arguments_are_constants():
    def f(x, *, scale, shift=0.0):
        return np.sum(x * scale + shift)

    np.testing.assert_array_equal(tw.grad(f)(X, scale=X, shift=1), X)
    with pytest.raises(TypeError, match="pass what is differentiated by position"):
        tw.grad(f)(scale=X)


TREES = {
    "tuple": ((1.5, X), lambda p: np.sum(p[0] * p[1])),
    "list": ([1.5, X], lambda p: np.sum(p[0] * p[1])),
    "dict": ({"s": 1.5, "v": X}, lambda p: np.sum(p["s"] * p["v"])),
    "named tuple": (Point(1.5, X), lambda p: np.sum(p.x * p.y)),
    "dataclass": (Layer(1.5, X), lambda p: np.sum(p.weight * p.bias)),
    "nested": ([{"a": (1.5,)}, Layer(X, None)], lambda p: np.sum(p[0]["a"][0] * p[1].weight)),
}


@pytest.mark.parametrize("name", TREES)
def test_trees(name):
    tree, f = TREES[name]
    gradient = tw.grad(f)(tree)
    assert type(gradient) is type(tree)
    leaves, structure = tw.tree.flatten(gradient)
    assert structure == tw.tree.flatten(tree)[1]
    assert leaves[0] == X.sum()
    assert type(leaves[0]) is np.float64
    np.testing.assert_array_equal(leaves[1], np.full(3, 1.5))
    _, (pulled,) = (lambda pair: (pair[0], pair[1](1.0)))(tw.vjp(f, tree))
    assert type(pulled) is type(tree)
    out, tangent = tw.jvp(f, (tree,), (tree,))
    np.testing.assert_allclose(tangent, 2 * out)


def test_results_of_any_form():
    def f(x):
        return Layer(x * 2, {"same": x, "constant": 3.0, "count": np.sum(x > 0)}, None)

    out, pull = tw.vjp(f, X)
    assert type(out) is Layer
    assert out.bias["constant"] == 3.0
    assert out.bias["count"] == 2
    (g,) = pull(Layer(X, {"same": X, "constant": 0.0, "count": 0}, None))
    np.testing.assert_array_equal(g, 3 * X)
    _, tangent = tw.jvp(f, (X,), (X,))
    np.testing.assert_array_equal(tangent.weight, 2 * X)
    assert tangent.bias["constant"] == 0.0


def test_has_aux():
    def f(x):
        return np.sum(x**2), {"norm": np.sqrt(np.sum(x**2)), "note": "kept", "x": x}

    gradient, aux = tw.grad(f, has_aux=True)(X)
    np.testing.assert_array_equal(gradient, 2 * X)
    assert aux["note"] == "kept"
    assert type(aux["norm"]) is np.float64
    assert type(aux["x"]) is np.ndarray
    (value, _), again = tw.value_and_grad(f, has_aux=True)(X)
    assert value == np.sum(X**2)
    np.testing.assert_array_equal(again, gradient)
    _, pull, aux = tw.vjp(f, X, has_aux=True)
    np.testing.assert_array_equal(pull(1.0)[0], gradient)
    with pytest.raises(TreeError, match="has_aux"):
        tw.grad(lambda x: np.sum(x), has_aux=True)(X)


# ---- what can be differentiated -----------------------------------------------------------


class Model:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x):
        return np.sum(self.scale * x**2)

    def method(self, x, power):
        return np.sum(self.scale * x**power)


CALLABLES = {
    "ufunc": (np.tanh, 0.3, 1 - np.tanh(0.3) ** 2),
    "function": (np.sum, X, np.ones(3)),
    "partial": (functools.partial(lambda k, x: np.sum(k * x), 3.0), X, np.full(3, 3.0)),
    "object": (Model(2.0), X, 4 * X),
    "bound method": (functools.partial(Model(2.0).method, power=3), X, 6 * X**2),
    "lambda": (lambda x: x[0] * x[1], X, np.array([-1.5, 0.5, 0.0])),
}
TRANSFORMS = (
    tw.grad, tw.value_and_grad, tw.jacobian, tw.hessian, tw.vmap, tw.remat,
)  # fmt: skip


@pytest.mark.parametrize("name", CALLABLES)
def test_callables(name):
    f, x, expected = CALLABLES[name]
    np.testing.assert_allclose(tw.grad(f)(x), expected, rtol=1e-14)
    for transform in TRANSFORMS:
        transform(f)  # names and docstrings are copied where there are any


def test_scalars_and_dtypes():
    assert type(tw.grad(np.sin)(1.0)) is np.float64
    assert type(tw.grad(np.sin)(np.float32(1.0))) is np.float32
    assert type(tw.grad(np.sin)(np.array(1.0))) is np.ndarray
    value, gradient = tw.value_and_grad(lambda x: np.sum(np.exp(x) * 2))(X.astype(np.float32))
    assert (value.dtype, gradient.dtype) == (np.float32, np.float32)
    mixed = tw.grad(lambda x, y: np.sum(x * y), (0, 1))(X.astype(np.float32), X)
    assert [g.dtype for g in mixed] == [np.float32, np.float64]


def test_nothing_depends_on_the_input():
    np.testing.assert_array_equal(tw.grad(lambda x: 3.0)(X), np.zeros(3))
    np.testing.assert_array_equal(tw.grad(lambda x: np.sum(tw.detach(x)))(X), np.zeros(3))
    assert tw.jvp(lambda x: 3.0, (X,), (X,)) == (3.0, 0.0)
    assert tw.grad(lambda x, y: x)(2.0, 3.0) == 1.0
    gx, gy = tw.grad(lambda x, y: x, (0, 1))(2.0, 3.0)
    assert (gx, gy) == (1.0, 0.0)


def test_gradients_belong_to_the_caller():
    x = X.copy()
    a, b = tw.grad(lambda x, y: np.sum(x + y), (0, 1))(x, x)
    a += 1.0
    np.testing.assert_array_equal(b, np.ones(3))
    (g,) = tw.vjp(lambda x: x, x)[1](x)
    g += 1.0
    np.testing.assert_array_equal(x, X)


def test_vjp_holds_its_own_values():
    x = X.copy()
    _, pull = tw.vjp(lambda x: x**2, x)
    x[:] = 100.0
    np.testing.assert_array_equal(pull(np.ones(3))[0], 2 * X)
    np.testing.assert_array_equal(pull(np.ones(3))[0], 2 * X)  # and again


# ---- nesting ------------------------------------------------------------------------------


def test_no_confusion_of_perturbations():
    """d/dx (x · d/dy (x + y)) = 1, in every pair of modes (Siskind and Pearlmutter)."""

    def forward(f):
        return lambda x: tw.jvp(f, (x,), (1.0,))[1]

    for outer in (tw.grad, forward):
        for inner in (tw.grad, forward):
            assert outer(lambda x, d=inner: x * d(lambda y: x + y)(1.0))(1.0) == 1.0
            assert outer(lambda x, d=inner: x * d(lambda y: x * y)(2.0))(3.0) == 6.0
            assert outer(lambda x, d=inner: d(lambda y: d(lambda z: x * y * z)(y))(x))(2.0) == 1.0


def test_orders_and_mixtures():
    f = np.sin
    for order, expected in enumerate((np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x))):
        g = f
        for k in range(order):
            g = tw.grad(g) if k % 2 else (lambda h: lambda x: tw.jvp(h, (x,), (1.0,))[1])(g)
        np.testing.assert_allclose(g(0.7), expected(0.7), rtol=1e-13)
    seventh = np.exp
    for _ in range(7):
        seventh = tw.grad(seventh)
    np.testing.assert_allclose(seventh(0.3), np.exp(0.3), rtol=1e-12)


def test_captured_outer_values():
    def outer(x):
        inner = tw.grad(lambda y: np.sum(np.sin(y * x) * x))(X)  # x is captured, y is X
        return np.sum(inner * x)

    got = tw.grad(outer)(X + 1)
    h = 1e-6
    expected = [(outer(X + 1 + h * e) - outer(X + 1 - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(got, expected, rtol=1e-7)


def test_pull_inside_another_derivative():
    def f(c):
        _, pull = tw.vjp(np.exp, X)
        return np.sum(pull(c)[0] ** 2)

    np.testing.assert_allclose(tw.grad(f)(X), 2 * X * np.exp(2 * X), rtol=1e-14)
    _, pull = tw.vjp(np.exp, X)  # made outside, used inside
    np.testing.assert_allclose(
        tw.grad(lambda c: np.sum(pull(c)[0] ** 2))(X), 2 * X * np.exp(2 * X), rtol=1e-14
    )


def test_tangents_are_differentiable():
    got = tw.grad(lambda t: np.sum(tw.jvp(np.sin, (X,), (t,))[1] ** 2))(X)
    np.testing.assert_allclose(got, 2 * np.cos(X) ** 2 * X, rtol=1e-14)


def test_hvp_of_trees_and_several_arguments():
    def f(x, p):
        return np.sum(x**3 * p["a"])

    hx, hp = tw.hvp(f, (X, {"a": X}), (np.ones(3), {"a": np.zeros(3)}))
    np.testing.assert_allclose(hx, 6 * X * X)
    np.testing.assert_allclose(hp["a"], 3 * X**2)


# ---- mistakes -----------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", [3, True, np.array([1, 2]), np.array([True])])
def test_integers_have_no_derivative(leaf):
    with pytest.raises(DtypeError, match=re.escape("argument 0['n']")):
        tw.grad(lambda p: np.sum(p["n"]))({"n": leaf})


def test_not_a_number():
    for bad in ("text", np.array(["a"]), object(), np.array([None])):
        with pytest.raises(DtypeError, match="argument 0"):
            tw.grad(lambda x: 1.0)(bad)


def test_outputs_that_are_not_one_number():
    with pytest.raises(NonScalarOutputError, match=r"shape \(3,\)(?s:.*)thalweg.jacobian"):
        tw.grad(np.sin)(X)
    with pytest.raises(NonScalarOutputError, match="2 leaves"):
        tw.grad(lambda x: (x, x))(1.0)
    with pytest.raises(NonScalarOutputError, match="real output"):
        tw.grad(lambda x: x * 1j)(1.0)


def test_cotangents_and_tangents_that_do_not_fit():
    _, pull = tw.vjp(lambda x: {"a": x}, X)
    with pytest.raises(TreeError, match="form of the output"):
        pull(X)
    with pytest.raises(ShapeError, match=r"shape \(2,\)(?s:.*)shape \(3,\)"):
        pull({"a": np.ones(2)})
    with pytest.raises(ShapeError):
        tw.jvp(np.sin, (X,), (1.0,))
    with pytest.raises(TreeError, match="tangents"):
        tw.jvp(np.sin, (X,), (X, X))
    with pytest.raises(TreeError):
        tw.jvp(lambda p: p["a"], ({"a": X},), (X,))


def test_values_kept_from_a_call_that_has_ended():
    kept = []
    tw.grad(lambda x: (kept.append(x), np.sum(x))[1])(X)
    for transform in (tw.grad, tw.jacobian, tw.hessian):
        with pytest.raises(TracingError, match="call that has ended"):
            transform(lambda x: np.sum(x * kept[0]))(X)
    with pytest.raises(TracingError, match="call that has ended"):
        tw.jvp(lambda x: x * kept[0], (X,), (X,))


def test_exceptions_keep_the_users_traceback():
    def faulty(x):
        y = np.sin(x)
        return y[5]  # the line that fails

    for call in (
        lambda: tw.grad(faulty)(X),
        lambda: tw.grad(tw.grad(faulty))(X),
        lambda: tw.vmap(tw.grad(faulty))(X[None]),
        lambda: tw.hessian(faulty)(X),
        lambda: tw.grad(tw.remat(faulty))(X),
    ):
        with pytest.raises(IndexError) as caught:
            call()
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert any(frame.line == "return y[5]  # the line that fails" for frame in frames)
        assert guards.depth() == 0
    assert tw.grad(np.sin)(0.0) == 1.0


def test_interruption_leaves_nothing_behind():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tw.grad(tw.vmap(interrupted))(X)
    assert guards.depth() == 0


# ---- size ---------------------------------------------------------------------------------

LONG = 100_000


def chain(x):
    for _ in range(LONG):
        x = x * 0.99999
    return x


def wide(x):
    return sum(x * (1.0 / LONG) for _ in range(LONG))


@pytest.mark.parametrize(("f", "slope"), [(chain, 0.99999**LONG), (wide, 1.0)])
def test_a_hundred_thousand_nodes(f, slope):
    assert sys.getrecursionlimit() * 50 < LONG
    np.testing.assert_allclose(tw.grad(f)(2.0), slope, rtol=1e-9)
    np.testing.assert_allclose(tw.jvp(f, (2.0,), (1.0,))[1], slope, rtol=1e-9)
    gc.collect()  # a long chain is freed without recursion


def test_vmap_and_second_order_of_a_long_chain():
    np.testing.assert_allclose(tw.vmap(chain)(np.ones(2)), 0.99999**LONG, rtol=1e-9)

    def f(x):
        y = x * x
        for _ in range(20_000):
            y = y * 0.9999
        return y

    np.testing.assert_allclose(tw.grad(tw.grad(f))(2.0), 2 * 0.9999**20_000, rtol=1e-9)


def test_nothing_is_kept_after_a_call():
    gc.collect()
    before = sum(isinstance(o, tw.graph.node.Node) for o in gc.get_objects())
    tw.grad(lambda x: np.sum(np.exp(np.sin(x))))(X)
    tw.vmap(np.sin)(X)
    tw.jacobian(np.sin)(X)
    gc.collect()
    assert sum(isinstance(o, tw.graph.node.Node) for o in gc.get_objects()) == before
