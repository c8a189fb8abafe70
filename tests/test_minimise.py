"""L-BFGS and Newton on trees, against closed forms and SciPy's own defaults."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from sklearn.datasets import load_breast_cancer

import thalweg as tw
from thalweg import optim
from thalweg.errors import DataError

PENALTY = 1e-3


def loss(params, X, y):
    scores = X @ params["w"] + params["b"]
    penalty = 0.5 * PENALTY * (np.sum(params["w"] ** 2) + params["b"] ** 2)
    return np.mean(np.logaddexp(0, scores) - y * scores) + penalty


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return (X - X.mean(0)) / X.std(0), y.astype(float)


@pytest.fixture(scope="module")
def optimum(cancer):
    """By undamped Newton steps with the Hessian written out."""
    X, y = cancer
    X = np.column_stack([X, np.ones(len(X))])
    w = np.zeros(X.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-(X @ w)))
        slope = X.T @ (p - y) / len(y) + PENALTY * w
        curve = (X.T * (p * (1 - p))) @ X / len(y) + PENALTY * np.eye(len(w))
        w = w - np.linalg.solve(curve, slope)
    assert np.max(np.abs(slope)) < 1e-14
    return w


def test_logistic_regression_to_1e_10_in_fewer_evaluations_than_the_default(cancer, optimum):
    X, y = cancer
    begin = {"w": np.zeros(X.shape[1]), "b": 0.0}

    def flat(w):
        return loss({"w": w[:-1], "b": w[-1]}, X, y)

    best = flat(optimum)
    start, slope = np.zeros(len(optimum)), tw.compile(tw.grad(flat))
    differences = scipy.optimize.minimize(flat, start)
    fed = scipy.optimize.minimize(flat, start, jac=slope)
    limited = scipy.optimize.minimize(flat, start, jac=slope, method="L-BFGS-B")
    for theirs in (differences, fed, limited):
        assert theirs.fun - best > 1e-10  # they do not even get there
    for minimise in (optim.minimize_lbfgs, optim.minimize_newton):
        found = minimise(loss, begin, X, y)
        assert found.converged
        assert loss(found.params, X, y) - best < 1e-10
        assert found.evaluations < fed.nfev
        assert found.evaluations + found.products < differences.nfev / 10
        assert found.value == pytest.approx(best, abs=1e-10)
        assert found.params["b"].shape == ()
    assert found.evaluations < 20  # Newton's
    flat_found = np.append(found.params["w"], found.params["b"])
    np.testing.assert_allclose(flat_found, optimum, rtol=1e-6)


def test_newton_leaves_a_saddle():
    found = optim.minimize_newton(
        lambda p: p["x"] ** 4 / 4 - p["x"] ** 2 / 2 + p["y"] ** 2, {"x": 1e-3, "y": 1.0}
    )
    assert found.converged
    np.testing.assert_allclose([abs(found.params["x"]), found.params["y"]], [1, 0], atol=1e-8)


def test_float32_stays():
    found = optim.minimize_lbfgs(
        lambda w: np.sum((w - 3) ** 2), np.zeros(2, np.float32), tolerance=1e-4
    )
    assert found.params.dtype == np.float32
    np.testing.assert_allclose(found.params, 3, rtol=1e-5)


def test_it_tells_that_it_did_not_converge():
    def valley(p):
        return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2

    found = optim.minimize_lbfgs(valley, np.array([-1.2, 1.0]), max_iterations=3)
    assert not found.converged
    assert found.iterations == 3
    assert found.gradient_norm > 1


def test_where_there_is_no_way_down():
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(DataError, match="the loss is nan at the start"),
    ):
        optim.minimize_lbfgs(lambda w: np.sqrt(w), -1.0)
    with pytest.raises(TypeError, match="real parameters"):
        optim.minimize_newton(lambda w: np.abs(w) ** 2, 1.0 + 1j)
    with pytest.raises(ValueError, match="tolerance"):
        optim.minimize_lbfgs(lambda w: w**2, 1.0, tolerance=0.0)
