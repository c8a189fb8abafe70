"""L-BFGS and Newton on logistic regression (breast cancer) beside SciPy's defaults."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import thalweg as tw

DECAY = 1e-3


@pytest.fixture(scope="module")
def problem():
    """The loss of (weights, bias), data bound; and its optimum, by Newton steps in NumPy."""
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = np.hstack([(x - x.mean(axis=0)) / x.std(axis=0), np.ones((len(x), 1))])
    sign = 2.0 * y - 1
    ridge = DECAY * np.append(np.ones(x.shape[1] - 1), 0.0)

    def loss(w):
        return np.mean(np.logaddexp(0, -sign * (x @ w))) + 0.5 * np.sum(ridge * w * w)

    best = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ best))
        slope = x.T @ (p - y) / len(x) + ridge * best
        curvature = (x * (p * (1 - p))[:, None]).T @ x / len(x) + np.diag(ridge)
        best = best - np.linalg.solve(curvature, slope)
    assert np.max(np.abs(slope)) < 1e-15
    return loss, best


@pytest.mark.parametrize("minimise", [tw.optim.minimize_lbfgs, tw.optim.minimize_newton])
def test_the_optimum_in_fewer_evaluations_than_scipys_defaults(problem, minimise):
    loss, best = problem
    start = np.zeros(len(best))
    found = minimise(loss, start)
    assert found.converged
    assert loss(found.params) - loss(best) < 1e-10
    slope = tw.compile(tw.grad(loss))
    for options in ({}, {"jac": slope}):
        theirs = scipy.optimize.minimize(loss, start, **options)
        assert theirs.fun - loss(best) > 1e-10  # stopped at 1e-5 in the gradient
        assert found.evaluations < theirs.nfev
    theirs = scipy.optimize.minimize(loss, start, jac=slope, method="L-BFGS-B")
    assert theirs.fun - loss(best) > loss(found.params) - loss(best)


def test_newton_reaches_the_last_digits(problem):
    loss, best = problem
    found = tw.optim.minimize_newton(loss, np.zeros(len(best)), tolerance=1e-12)
    np.testing.assert_allclose(found.params, best, rtol=0, atol=1e-9)
    assert found.evaluations < 20
