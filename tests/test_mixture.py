"""Mixtures of Gaussians and the mixture density head."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import scipy.stats

import thalweg as tw
from thalweg import heads
from thalweg.errors import ShapeError, TracingError, UserError
from thalweg.heads._clusters import k_means
from thalweg.heads.head import raw_of_scale, scale_of
from thalweg.tree import tree_map

RNG = np.random.default_rng(11)
LOGITS = RNG.normal(size=(4, 3))
LOC = 3 * RNG.normal(size=(4, 3))
SCALE = np.exp(RNG.normal(size=(4, 3)))
P = heads.MixtureDistribution(LOGITS, LOC, SCALE)
WEIGHTS = scipy.special.softmax(LOGITS, axis=1)
Y = RNG.normal(size=4)
VECTORS = heads.MixtureDistribution(
    LOGITS, RNG.normal(size=(4, 3, 2)), np.exp(RNG.normal(size=(4, 3, 2))), event_ndim=1
)


def close(ours, theirs, tolerance=1e-12):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def components(row):
    return scipy.stats.norm(LOC[row], SCALE[row])


def test_against_sums_of_scipys_normal_distributions():
    for row in range(4):
        w, norm = WEIGHTS[row], components(row)
        close(P.log_prob(Y)[row], math.log(np.sum(w * norm.pdf(Y[row]))))
        close(P.cdf(Y)[row], np.sum(w * norm.cdf(Y[row])))
        mean = np.sum(w * norm.mean())
        close(P.mean[row], mean)
        close(P.variance[row], np.sum(w * (norm.var() + norm.mean() ** 2)) - mean**2, 1e-11)
        close(P.responsibilities(Y)[row], w * norm.pdf(Y[row]) / np.sum(w * norm.pdf(Y[row])))
    close(P.weights, WEIGHTS)
    close(np.exp(P.log_weights), WEIGHTS)


def test_quantiles_by_another_root_finder():
    levels = np.array([1e-12, 1e-4, 0.2, 0.5, 0.9, 0.9999])
    found = P.quantile(levels)
    for row in range(4):
        for level, x in zip(levels, found[:, row], strict=True):

            def missing(x, row=row, level=level):
                return np.sum(WEIGHTS[row] * components(row).cdf(x)) - level

            root = scipy.optimize.brentq(missing, -100, 100, xtol=1e-14, rtol=1e-14)
            # Where the density is d, the distribution function's rounding is 1e-16 / d.
            density = np.sum(WEIGHTS[row] * components(row).pdf(root))
            assert x == pytest.approx(root, rel=1e-12, abs=1e-12 + 4e-16 / density)
    assert np.array_equal(P.quantile([0.0, 1.0])[:, 0], [-np.inf, np.inf])
    assert np.isnan(P.quantile(np.nan)).all()
    close(P.cdf(np.stack(P.interval(0.9)))[:, 0], [0.05, 0.95])


def test_quantile_in_a_gap_and_of_one_component():
    gap = heads.MixtureDistribution(np.zeros(2), np.array([-50.0, 50.0]), np.ones(2))
    close(gap.cdf(gap.quantile(0.25)), 0.25)
    assert -45 < gap.quantile(0.5) < 45
    one = heads.MixtureDistribution(np.zeros(1), np.array([2.0]), np.array([3.0]))
    levels = np.array([0.001, 0.4, 0.8])
    close(one.quantile(levels), scipy.stats.norm.ppf(levels, 2, 3))
    close(one.entropy(), scipy.stats.norm.entropy(2, 3))
    close(one.mode, 2.0)


def test_entropy_and_normalisation_by_quadrature():
    for row in range(4):
        norm, w = components(row), WEIGHTS[row]
        ends = np.sort(
            np.concatenate([LOC[row] + k * SCALE[row] for k in np.linspace(-12, 12, 25)])
        )
        pieces = list(itertools.pairwise(ends))

        def density(x, w=w, norm=norm):
            return np.sum(w * norm.pdf(x))

        def term(x, density=density):
            return scipy.special.entr(density(x))

        close(P.entropy()[row], math.fsum(scipy.integrate.quad(term, *p)[0] for p in pieces), 1e-12)
        ours = tree_map(lambda a, row=row: a[row], P)

        def our_density(x, ours=ours):
            return np.exp(ours.log_prob(x))

        total = math.fsum(scipy.integrate.fixed_quad(our_density, *p, n=20)[0] for p in pieces)
        assert total == pytest.approx(1, abs=1e-12)
    with pytest.raises(UserError, match="Estimate it"):
        VECTORS.entropy()


def test_modes_are_the_highest_points():
    grid = np.linspace(-15, 15, 60_001)
    for row in range(4):
        ours = tree_map(lambda a, row=row: a[row], P)
        best = grid[np.argmax(ours.log_prob(grid))]
        result = scipy.optimize.minimize_scalar(
            ours.nll, bounds=(best - 1e-3, best + 1e-3), options={"xatol": 1e-10}
        )
        assert P.mode[row] == pytest.approx(result.x, abs=1e-6)
    slope = tw.grad(lambda x: np.sum(VECTORS.nll(x)))(VECTORS.mode)
    close(slope, 0, 1e-8)


def test_samples_have_the_distribution():
    draws = P.sample(3, 20_000)
    assert draws.shape == (20_000, 4)
    for row in range(4):
        ours = tree_map(lambda a, row=row: a[row], P)
        assert scipy.stats.kstest(draws[:, row], ours.cdf).pvalue > 1e-3
    vectors = VECTORS.sample(3, 20_000)
    assert vectors.shape == (20_000, 4, 2)
    assert VECTORS.sample(3).shape == (4, 2)
    for row in range(4):
        ours = tree_map(lambda a, row=row: a[row], VECTORS)
        uniform = ours.cdf(vectors[:, row])
        assert all(scipy.stats.kstest(u, "uniform").pvalue > 1e-3 for u in uniform.T)
        assert -np.mean(ours.log_prob(vectors[:, row])) == pytest.approx(
            np.mean(ours.nll(ours.sample(9, 20_000))), abs=0.05
        )
    with pytest.raises(TracingError):
        tw.grad(lambda p: np.sum(p.sample(0)))(P)


def test_vectors_against_scipy():
    y = RNG.normal(size=(4, 2))
    for row in range(4):
        parts = [
            scipy.stats.multivariate_normal(
                VECTORS.loc[row, k], np.diag(VECTORS.scale[row, k] ** 2)
            )
            for k in range(3)
        ]
        density = np.sum(WEIGHTS[row] * [part.pdf(y[row]) for part in parts])
        close(VECTORS.log_prob(y)[row], math.log(density), 1e-11)
        close(VECTORS.mean[row], WEIGHTS[row] @ VECTORS.loc[row])
    assert VECTORS.quantile([0.1, 0.5, 0.6]).shape == (3, 4, 2)
    close(VECTORS.cdf(VECTORS.quantile(0.3)), np.full((4, 2), 0.3))
    assert (VECTORS.batch_shape, VECTORS.event_shape) == ((4,), (2,))


@pytest.mark.parametrize("event", [(), (2,)])
def test_derivatives_and_compiled(event):
    head = heads.MixtureDensity(3, event=event, max_scale=5.0)
    features = RNG.normal(size=(5, head.n_features))
    y = RNG.normal(size=(5, *event))

    def cost(f):
        p = head(f)
        return np.mean(p.nll(y)) + np.mean(p.variance) + np.mean(p.cdf(y))

    tw.check_grads(cost, (features,), order=2)
    value, gradient = tw.compile(tw.value_and_grad(cost))(features)
    close(value, cost(features), 1e-12)
    close(gradient, tw.grad(cost)(features), 1e-10)
    for wrong in (y[..., None], y[:3]):
        with pytest.raises(ShapeError):
            head(features).nll(wrong)


@pytest.mark.parametrize("size", [1e4, -1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extreme_outputs_have_finite_costs_and_gradients(size, dtype):
    head = heads.MixtureDensity(3)
    features = np.full((2, 9), size, dtype)
    features[1, ::2] *= -1
    value, gradient = tw.value_and_grad(lambda f: np.sum(head(f).nll(np.ones(2, dtype))))(features)
    assert value.dtype == gradient.dtype == dtype
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_scales_far_from_one(scale):
    p = heads.MixtureDistribution(LOGITS, scale * LOC, scale * SCALE)
    close(p.nll(scale * Y), P.nll(Y) + math.log(scale), 1e-11)
    close(p.quantile(0.3) / scale, P.quantile(0.3), 1e-11)
    close(p.mode / scale, P.mode, 1e-8)
    close(p.entropy(), P.entropy() + math.log(scale), 1e-11)


def test_float32():
    p = tree_map(lambda a: a.astype(np.float32), P)
    y = Y.astype(np.float32)
    for value in (p.nll(y), p.mean, p.variance, p.cdf(y), p.quantile(0.2), p.mode, p.entropy()):
        assert value.dtype == np.float32
    np.testing.assert_allclose(p.nll(y), P.nll(Y), rtol=1e-5)
    assert p.sample(0, 3).dtype == np.float32


def test_scales_keep_their_bounds():
    head = heads.MixtureDensity(2, min_scale=0.1, max_scale=3.0)
    raw = np.array([0.0, 0, 0, 0, -1e9, 1e9])
    close(head(raw).scale, [0.1, 3.0], 1e-8)
    for bounds in ((0.0, np.inf), (0.1, np.inf), (0.1, 3.0)):
        raw = np.linspace(-9, 9, 40)
        scale = scale_of(raw, *bounds)
        close(raw_of_scale(scale, *bounds), raw, 1e-9)
        assert np.all(np.diff(scale) > 0)  # a bound is approached, so there is a gradient


def test_start_is_the_mixture_of_the_clusters():
    rng = np.random.default_rng(2)
    centres, share = np.array([-4.0, 0.0, 5.0]), np.array([0.5, 0.3, 0.2])
    labels = rng.choice(3, p=share, size=2000)
    y = centres[labels] + 0.3 * rng.standard_normal(2000)
    head = heads.MixtureDensity(3)
    p = head(head.start(y))
    order = np.argsort(p.loc)
    np.testing.assert_allclose(p.loc[order], centres, atol=0.05)
    np.testing.assert_allclose(p.weights[order], share, atol=0.03)
    np.testing.assert_allclose(p.scale[order], 0.3, atol=0.03)
    vectors = heads.MixtureDensity(3, event=2, max_scale=4.0)
    p = vectors(vectors.start(np.stack([y, 10 - y], axis=1)))
    np.testing.assert_allclose(p.loc.sum(axis=1), 10)


@pytest.mark.parametrize("y", [np.zeros(5), np.array([1.0, 1, 1, 2, 2]), np.arange(3.0)])
def test_start_with_ties_and_few_targets(y):
    head = heads.MixtureDensity(3)
    p = head(head.start(y))
    assert np.isfinite(p.nll(y[0]))
    assert np.all(p.scale > head.min_scale)


def test_start_stays_within_the_bounds_of_the_scales():
    y = np.array([-3.0, 0, 3, 1e6])  # the last one is a cluster by itself, without a spread
    lone = heads.MixtureDensity(2, min_scale=1e-6)
    close(np.min(lone(lone.start(y)).scale), 1e-3 * np.std(y), 1e-9)
    narrow = heads.MixtureDensity(2, max_scale=0.5)
    raw = narrow.start(y)
    assert np.isfinite(raw).all()
    assert 0.4 < narrow(raw).scale.max() < 0.5
    gradient = tw.grad(lambda f: np.mean(narrow(f).nll(y)))(raw)
    assert np.all(gradient[-2:] != 0)  # and can be left


@pytest.mark.parametrize("seed", range(8))
def test_clusters(seed):
    """Rare ones far away are found (k-means++); at the end each row is with its nearest mean."""
    rng = np.random.default_rng(seed)
    sizes = [900, 40, 3, 1]
    data = np.repeat(1000.0 * np.arange(4), sizes)[:, None] + rng.normal(size=(944, 2))
    found = k_means(data, 4, rng)
    truth = np.repeat(np.arange(4), sizes)
    assert len(set(zip(found.tolist(), truth.tolist(), strict=True))) == 4
    blob = rng.normal(size=(500, 2))
    labels = k_means(blob, 5, rng, 1000)
    means = np.stack([blob[labels == k].mean(axis=0) for k in range(5)])
    distance = np.linalg.norm(blob[:, None] - means, axis=2)
    assert np.array_equal(np.argmin(distance, axis=1), labels)


def test_dead_components_are_flagged():
    p = heads.MixtureDistribution(np.array([[0.0, -20, 0], [0, -20, -20]]), LOC[:2], SCALE[:2])
    assert p.dead_components().tolist() == [False, True, False]
    assert heads.MixtureDistribution(LOGITS, LOC, SCALE).dead_components().sum() == 0
    weights = np.array([[0.9985, 0.0015], [1 - 1e-9, 1e-9]])  # on average, not in every row
    p = heads.MixtureDistribution(np.log(weights), LOC[:2, :2], SCALE[:2, :2])
    assert p.dead_components().tolist() == [False, True]
    assert p.dead_components(0.0005).tolist() == [False, False]


@pytest.mark.parametrize(
    "make",
    [
        lambda: heads.MixtureDensity(0),
        lambda: heads.MixtureDensity(2, min_scale=2.0, max_scale=1.0),
        lambda: heads.MixtureDensity(2, max_scale=np.nan),
        lambda: heads.MixtureDensity(3).start(np.zeros(2)),
        lambda: heads.MixtureDensity(2).start(np.array([0.0, np.nan, 1])),
        lambda: heads.MixtureDensity(2).start(np.zeros((5, 1))),
        lambda: heads.MixtureDensity(2)(np.zeros((5, 5))),
        lambda: heads.MixtureDistribution(LOGITS, LOC, SCALE[:, :2]),
        lambda: heads.MixtureDistribution(LOGITS[:, :2], LOC, SCALE),
    ],
)
def test_wrong_settings_are_refused(make):
    with pytest.raises(UserError):
        make()


def test_a_mixture_finds_both_branches():
    """t = ±x with noise: one Gaussian's mean lies between the branches, the mixture's on them."""
    rng = np.random.default_rng(4)
    x = rng.uniform(0.5, 1, 300)
    y = np.where(rng.random(300) < 0.5, x, -x) + 0.05 * rng.standard_normal(300)
    inputs = np.stack([x, np.ones(300)], axis=1)

    def train(head, start, steps):
        @tw.compile
        def step(W):
            return W - 0.002 * tw.grad(lambda W: np.mean(head(inputs @ W).nll(y)))(W)

        W = np.zeros((2, head.n_features))
        W[1] = start
        for _ in range(steps):
            W = step(W)
        return head(inputs @ W)

    head = heads.MixtureDensity(2)
    mixture = train(head, head.start(y), 2000)
    gaussian = train(heads.Gaussian(), 0.0, 2000)
    assert np.mean(mixture.nll(y)) < np.mean(gaussian.nll(y)) - 0.8
    assert np.all(np.min(np.abs(mixture.loc - x[:, None]), axis=1) < 0.1)
    assert not mixture.dead_components().any()
