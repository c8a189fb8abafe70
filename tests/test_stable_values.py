"""Compiled values take the stable form, and share it with the gradient."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.graphs import X, derivatives, names, record, run
from tests.test_stabilise import EXTREMES, SPELLINGS
from thalweg.execute.executor import GuardChanged
from thalweg.graph.verify import verify
from thalweg.optimise.pipeline import optimise
from thalweg.optimise.stable import stable_values


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_stable_values(name, dtype):
    f = SPELLINGS[name][0]
    x = np.random.default_rng(2).uniform(-2, 2, (4, 4)).astype(dtype)
    graph = record(derivatives(f), x)
    close = 1e-12 if dtype == "float64" else 2e-5
    for each in (stable_values(graph), optimise(graph)):
        with np.errstate(all="ignore"):
            verify(each)
        for point in (x, -0.5 * x):
            for got, want in zip(run(each, [point]), run(graph, [point]), strict=True):
                assert (np.shape(got), got.dtype) == (np.shape(want), want.dtype)
                np.testing.assert_allclose(got, want, rtol=close, atol=close)


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("x", [-1e6, -1000.0, -40.0, 1.0, 40.0, 1000.0, 1e6])
def test_values_far_out(name, x):
    f, first, _ = EXTREMES[name]
    value, gradient = run(optimise(record(tw.value_and_grad(f), 0.5)), [x])
    assert np.isfinite(value)
    np.testing.assert_allclose(gradient, first(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["bool", "uint16", "int32", "uint32", "uint64"])
@pytest.mark.parametrize(
    "f",
    [
        *[f for f, _ in SPELLINGS.values()],
        lambda x: np.log(np.cosh(x)),
        lambda x: np.log(1 - 1 / (1 + np.exp(x))),
        lambda x: np.exp(x) / (np.exp(x) + np.exp(x[::-1])),
        lambda x: np.sqrt(x**2.0),
    ],
)
def test_integers_are_no_arguments_of_stable_forms(f, dtype):
    """Their differences and negatives wrap around."""
    x = np.array([[0, 1, 3, 2], [1, 1, 0, 2], [5, 0, 2, 1], [0, 0, 1, 0]]).astype(dtype)
    try:
        with np.errstate(all="ignore"):
            want = f(x)
    except (TypeError, OverflowError):  # -x of booleans, -2 * x of unsigned ones
        return
    compiled = tw.compile(f)
    for _ in range(2):
        with np.errstate(all="ignore"):
            got = compiled(x)
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=3e-3 if want.dtype.itemsize < 8 else 1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: np.sqrt(x**2 + y**2),
        lambda x, y: np.sqrt(x * x + y**2 + x**2),
        lambda x, y: np.sqrt(np.sum(np.stack([x, y]) ** 2, axis=0)),
        lambda x, y: np.log(np.exp(x) + np.exp(y)),
        lambda x, y: np.exp(x) / (np.exp(x) + np.exp(y)),
        lambda x, y: x / (1 + np.exp(y)),
        lambda x, y: np.log(np.sum(np.exp(np.stack([x, y])), axis=0)),
    ],
)
def test_nan_is_handed_on(f, dtype):
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 800.0], dtype)
    x, y = np.meshgrid(special, special)
    with np.errstate(all="ignore"):
        want, (got,) = f(x, y), run(optimise(record(f, X[:2], X[:2])), [x, y])
    asked = np.isnan(want) & (np.isnan(x) | np.isnan(y))
    assert np.isnan(got[asked]).all()
    assert not np.isnan(got[~np.isnan(want)]).any()


def test_value_and_gradient_share_the_stable_form():
    def loss(x):
        return np.sum(1 / (1 + np.exp(-x)))

    graph = optimise(record(tw.value_and_grad(loss), np.ones((4, 3), "float32")))
    assert names(graph) == ["negative", "sigmoid", "sum", "sigmoid", "multiply"]

    def other(x):
        return np.sum(np.tanh(x) * np.log1p(np.exp(x)))

    graph = optimise(record(tw.value_and_grad(other), X))
    assert "exp" not in names(graph)
    assert names(graph).count("softplus") == names(graph).count("sigmoid") == 1


def test_what_is_needed_otherwise_stays():
    def f(x):
        e = np.exp(-x)
        return 1 / (1 + e), e

    assert sorted(names(optimise(record(f, X)))) == ["exp", "negative", "sigmoid"]


def test_what_python_branched_on_stays_as_it_is_spelled():
    def f(x):
        p = 1 / (1 + np.exp(-x))
        q = 1 / (1 + np.exp(-2 * x))
        return np.sum(q) if np.all(p > 0.25) else p

    graph = optimise(record(f, np.ones(3)))
    assert "sigmoid" in names(graph)
    assert "divide" in names(graph)
    for point in (np.ones(3), np.full(3, -2.0)):
        assert isinstance(run(graph, [point]), GuardChanged) == (point[0] < 0)


def test_stable_nodes_stand_at_the_users_line():
    graph = optimise(record(lambda x: np.log2(1 + np.exp(x)), X))
    here = test_stable_nodes_stand_at_the_users_line.__code__.co_filename
    assert {node.origin[0].co_filename for node in graph.nodes} == {here}
