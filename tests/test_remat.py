"""remat: the same numbers at any order, with less memory kept."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import thalweg as tw

RNG = np.random.default_rng(2)
X = RNG.standard_normal(4)
P = {"w": RNG.standard_normal(4), "b": 0.3}


def block(x, p):
    return np.tanh(np.sin(x * p["w"]) + p["b"])


def network(block):
    return lambda x, p: np.sum(block(block(x, p), p) ** 2)


PLAIN, HELD = network(block), network(tw.remat(block))

TRANSFORMS = {
    "grad": lambda f: tw.grad(f, (0, 1))(X, P),
    "jvp": lambda f: tw.jvp(f, (X, P), (X, P)),
    "hessian": lambda f: tw.hessian(f, (0, 1))(X, P),
    "reverse over reverse": lambda f: tw.grad(lambda x: np.sum(tw.grad(f)(x, P) ** 2))(X),
    "third": lambda f: tw.jacobian(tw.hessian(f))(X, P),
    "vmap of grad": lambda f: tw.vmap(tw.grad(f), (0, None))(np.stack([X, 2 * X]), P),
    "grad of vmap": lambda f: tw.grad(
        lambda xs: np.sum(tw.vmap(f, (0, None))(xs, P) ** 2)
    )(np.stack([X, 2 * X])),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_same_numbers(name):
    expected, got = TRANSFORMS[name](PLAIN), TRANSFORMS[name](HELD)
    a, structure = tw.tree.flatten(expected)
    b, same = tw.tree.flatten(got)
    assert structure == same
    for x, y in zip(a, b, strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_allclose(y, x, rtol=1e-13, atol=1e-15)


def test_plain_values_go_through():
    assert type(tw.remat(np.sin)(0.5)) is np.float64
    np.testing.assert_array_equal(tw.remat(block)(X, P), block(X, P))


def test_captured_values_are_differentiated():
    def f(w):
        held = tw.remat(lambda x: np.sin(x * w) + np.exp(w))
        return np.sum(held(X) * w) + np.sum(tw.remat(lambda x: x * (w * 2.0))(w))

    def plain(w):
        return np.sum((np.sin(X * w) + np.exp(w)) * w) + np.sum(w * (w * 2.0))

    np.testing.assert_allclose(tw.grad(f)(P["w"]), tw.grad(plain)(P["w"]), rtol=1e-13)


def test_nested_and_results_of_every_sort():
    @tw.remat
    def f(x):
        inner = tw.remat(lambda y: np.cos(y) * y)
        return {"out": inner(x) * x, "positive": x > 0, "constant": 1.5, "same": x}

    def loss(x):
        r = f(x)
        return np.sum(np.where(r["positive"], r["out"], r["same"]) * r["constant"])

    expected = np.where(X > 0, 1.5 * (2 * X * np.cos(X) - X**2 * np.sin(X)), 1.5)
    np.testing.assert_allclose(tw.grad(loss)(X), expected, rtol=1e-13)


def test_python_runs_once_and_random_numbers_stay():
    calls = []

    @tw.remat
    def dropout(x):
        calls.append(1)
        return x * (RNG.uniform(size=4) > 0.5)

    out, pull = tw.vjp(dropout, X)
    (g,) = pull(np.ones(4))
    np.testing.assert_array_equal(g, (out != 0).astype(float))
    assert len(calls) == 1


def test_it_saves_memory():
    size = 50_000

    def deep(x):
        for _ in range(12):
            x = np.sin(x) * 1.01
        return x

    def arrays(block):
        """Most arrays of the input's size that were alive at a time."""

        def net(x):
            for _ in range(8):
                x = block(x)
            return np.sum(x)

        x = np.ones(size)
        tracemalloc.start()
        try:
            tw.grad(net)(x)
            return tracemalloc.get_traced_memory()[1] / x.nbytes
        finally:
            tracemalloc.stop()

    kept, held = arrays(deep), arrays(tw.remat(deep))
    assert kept > 8 * 12  # every value of the chain
    assert held < 45  # 8 blocks' ends, and one block's inside (24) with its backward pass


def test_the_inside_is_computed_once_more_for_all_operands():
    calls = []

    @tw.primitive
    def counted(a, b):
        calls.append(1)
        return a * b

    @counted.local
    def _(out, a, b):
        return tw.kinds.Diagonal(b), tw.kinds.Diagonal(a)

    held = tw.remat(lambda a, b: counted(a, b))
    assert tw.grad(held, (0, 1))(2.0, 3.0) == (3.0, 2.0)
    assert len(calls) == 2


def test_one_cotangent_again_and_elsewhere():
    c = np.array([1.0, 2.0, 3.0, 4.0])
    held = tw.remat(lambda x, w: np.sin(x) * w)
    _, pull = tw.vjp(lambda x: held(x, x) + held(2.0 * x, np.cos(x)), X)
    _, plain = tw.vjp(lambda x: np.sin(x) * x + np.sin(2.0 * x) * np.cos(x), X)
    for _ in range(3):
        np.testing.assert_allclose(pull(c)[0], plain(c)[0], rtol=1e-14)
    seeds = np.eye(4)

    def again(d):  # inside of another trace: the call is run again on nodes
        return np.sum(pull(d * c)[0] + pull(c)[0])

    np.testing.assert_allclose(
        tw.jacobian(again)(c), np.array([np.sum(plain(e * c)[0]) for e in seeds]), rtol=1e-13
    )


def test_an_output_that_nothing_uses_brings_no_nan():
    held = tw.remat(lambda x: (np.sqrt(x), x * x))
    assert tw.grad(lambda x: held(x)[1])(0.0) == 0.0
