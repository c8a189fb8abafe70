"""Scores and calibration of predictive distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

import thalweg as tw
from thalweg import heads
from thalweg.errors import ShapeError, UserError
from thalweg.heads import evaluate
from thalweg.tree import tree_map

RNG = np.random.default_rng(21)
LOC, SCALE, Y = RNG.normal(size=5), np.exp(RNG.normal(size=5)), 2 * RNG.normal(size=5)
DISTRIBUTIONS = [
    heads.GaussianDistribution(LOC, SCALE),
    heads.LaplaceDistribution(LOC, SCALE),
    heads.StudentTDistribution(LOC, SCALE, 2.5),
    heads.StudentTDistribution(LOC, SCALE, 2 + SCALE),
    heads.MixtureDistribution(
        RNG.normal(size=(5, 3)), 2 * RNG.normal(size=(5, 3)), np.exp(RNG.normal(size=(5, 3)))
    ),
]
each = pytest.mark.parametrize("p", DISTRIBUTIONS, ids=lambda p: type(p).__name__)


@each
def test_crps_is_the_integral_of_its_definition(p):
    for row in range(5):
        one = tree_map(lambda a, row=row: a[row] if np.ndim(a) else a, p)
        y = float(Y[row])
        below = scipy.integrate.quad(lambda x, one=one: one.cdf(x) ** 2, -np.inf, y, epsabs=1e-12)
        above = scipy.integrate.quad(
            lambda x, one=one: (1 - one.cdf(x)) ** 2, y, np.inf, epsabs=1e-12
        )
        assert evaluate.crps(p, Y)[row] == pytest.approx(below[0] + above[0], abs=1e-8)


@each
def test_crps_is_a_cost(p):
    def score(p):
        if isinstance(p, heads.StudentTDistribution):  # no rule for the shape of stdtr
            p = heads.StudentTDistribution(p.loc, p.scale, 2.5)
        return np.sum(evaluate.crps(p, Y))

    tw.check_grads(score, (p,), order=1)


def test_crps_of_vectors_and_of_bits():
    loc, scale, y = RNG.normal(size=(3, 4, 2))
    full = heads.MultivariateGaussianDistribution(loc, np.exp(scale)[..., None] * np.eye(2))
    single = heads.GaussianDistribution(loc, np.exp(scale), event_ndim=1)
    np.testing.assert_allclose(evaluate.crps(full, y), evaluate.crps(single, y), rtol=1e-12)
    mixture = heads.MixtureDistribution(
        np.zeros((4, 2)),
        np.stack([loc, loc], axis=1),
        np.exp(np.stack([scale, scale], axis=1)),
        event_ndim=1,
    )
    np.testing.assert_allclose(evaluate.crps(mixture, y), evaluate.crps(single, y), rtol=1e-12)
    bits = heads.BernoulliDistribution(np.array([0.0, 2.0]))
    np.testing.assert_allclose(
        evaluate.crps(bits, np.array([1, 0])), (bits.probability - [1, 0]) ** 2
    )
    with pytest.raises(UserError, match="no closed form for Poisson"):
        evaluate.crps(heads.PoissonDistribution(np.zeros(2)), np.zeros(2))
    with pytest.raises(ShapeError):
        evaluate.crps(single, y[:, :1])


@pytest.mark.parametrize("seed", range(2))
def test_right_distributions_are_calibrated(seed):
    rng = np.random.default_rng(seed)
    n = 4000
    loc, scale = rng.normal(size=n), np.exp(rng.normal(size=n))
    for p in (
        heads.GaussianDistribution(loc, scale),
        heads.PoissonDistribution(loc + 1),
        heads.BernoulliDistribution(loc),
        heads.CategoricalDistribution(rng.normal(size=(n, 4))),
    ):
        y = p.sample(rng)
        assert scipy.stats.kstest(evaluate.pit(p, y, rng), "uniform").pvalue > 1e-3
        if not p.discrete:
            assert evaluate.coverage(p, y, 0.8) == pytest.approx(0.8, abs=0.02)
            wide = heads.GaussianDistribution(loc, 2 * scale)
            assert evaluate.coverage(wide, y, 0.8) > 0.95
            assert scipy.stats.kstest(evaluate.pit(wide, y), "uniform").pvalue < 1e-6
            assert np.mean(evaluate.crps(p, y)) < np.mean(evaluate.crps(wide, y))
            assert evaluate.nll(p, y) == pytest.approx(-np.mean(p.log_prob(y)))
        else:
            with pytest.raises(UserError, match="rng="):
                evaluate.pit(p, y)


def test_msll_is_zero_for_the_trivial_model_and_lower_for_a_better_one():
    train = RNG.normal(size=400)
    y = RNG.normal(size=100)
    trivial = heads.GaussianDistribution(np.full(100, train.mean()), np.full(100, train.std()))
    assert evaluate.msll(trivial, y, train) == pytest.approx(0, abs=1e-12)
    good = heads.GaussianDistribution(y + 0.1, np.full(100, 0.1))
    assert evaluate.msll(good, y, train) < -1
    with pytest.raises(UserError, match="do not vary"):
        evaluate.msll(good, y, np.ones(4))


def test_brier_and_reliability_against_scikit_learn():
    p = RNG.random(500)
    y = (RNG.random(500) < p**2).astype(int)
    assert evaluate.brier(p, y) == pytest.approx(brier_score_loss(y, p))
    assert evaluate.brier(np.stack([1 - p, p], axis=1), y) == pytest.approx(
        2 * evaluate.brier(p, y)
    )
    curve = evaluate.reliability(p, y, bins=8)
    true, said = calibration_curve(y, p, n_bins=8)
    np.testing.assert_allclose(curve.frequency, true)
    np.testing.assert_allclose(curve.confidence, said)
    assert curve.ece == pytest.approx(np.sum(curve.count * np.abs(true - said)) / 500)


def test_reliability_of_several_classes():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.4, 0.3, 0.3], [1.0, 0.0, 0.0]])
    curve = evaluate.reliability(p, np.array([0, 1, 2, 0]), bins=5)
    assert curve.count.tolist() == [0, 0, 1, 1, 2]
    assert curve.frequency[2:].tolist() == [0.0, 1.0, 0.5]
    assert np.isnan(curve.frequency[:2]).all()
    assert curve.ece == pytest.approx((0.4 + 0.3 + 2 * 0.4) / 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: evaluate.brier(np.array([0.5, 1.5]), np.array([0, 1])),
        lambda: evaluate.brier(np.array([0.5, 0.5]), np.array([0, 2])),
        lambda: evaluate.brier(np.array([0.5, np.nan]), np.array([0, 1])),
        lambda: evaluate.brier(np.array([0.5, 0.5]), np.array([[0], [1]])),
        lambda: evaluate.reliability(np.array([]), np.array([])),
        lambda: evaluate.reliability(np.array([0.5]), np.array([0]), bins=0),
    ],
)
def test_wrong_arguments_are_refused(call):
    with pytest.raises(UserError):
        call()


def test_a_distribution_without_a_mean_has_no_crps():
    p = heads.StudentTDistribution(LOC, SCALE, np.array([2.0, 1.0, 3.0, 1.5, 2.0]))
    with pytest.raises(UserError, match="no mean"):
        evaluate.crps(p, Y)


def test_crps_of_a_certain_prediction_is_the_absolute_error():
    p = heads.GaussianDistribution(np.zeros(1), np.full(1, 1e-12))
    assert math.isclose(evaluate.crps(p, np.array([0.7]))[0], 0.7, rel_tol=1e-9)
