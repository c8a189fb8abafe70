"""Distributions at their limits: certain outcomes, NaN, rates and scales far off, wrong parameters.

What is not a number or not in the support must come out as NaN, −inf or an error.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

import thalweg as tw
from thalweg import heads
from thalweg.errors import DtypeError, ShapeError, UserError
from thalweg.heads import evaluate
from thalweg.nn import losses
from thalweg.tree import tree_map

NAN, INF = np.nan, np.inf
ZEROS, ONES = np.zeros(2), np.ones(2)


def close(ours, theirs, tolerance=1e-12):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


# ---- what is certain ------------------------------------------------------------------------


def compiled(f, *args):
    """The same from both executors, or it fails."""
    plain, native = f(*args), tw.compile(f)(*args)
    close(native, plain)
    return plain


def test_bits_of_probability_zero_and_one():
    z = np.array([INF, -INF, 0.0])
    for x, wanted in ((1.0, [0, -INF, -math.log(2)]), (0.0, [-INF, 0, -math.log(2)])):
        found = compiled(lambda z, x=x: heads.BernoulliDistribution(z).log_prob(x), z)
        close(found, wanted)
    p = heads.BernoulliDistribution(z)
    close(compiled(lambda z: heads.BernoulliDistribution(z).entropy(), z), [0, 0, math.log(2)])
    y = np.array([1.0, 0.0, 1.0])
    close(tw.grad(lambda z: np.sum(heads.BernoulliDistribution(z).nll(y)))(z), [0, 0, -0.5])
    assert p.sample(0, 50)[:, :2].tolist() == [[1, 0]] * 50
    assert p.mode.tolist() == [1, 0, 0]
    close(p.quantile(0.3), [1, 0, 0])


def test_classes_of_probability_zero():
    logits = np.array([[0.0, -INF, 1.0]])
    p, q = heads.CategoricalDistribution(logits), scipy.special.softmax([0.0, 1.0])
    close(p.log_prob(np.arange(3)[:, None])[:, 0], [np.log(q[0]), -INF, np.log(q[1])])
    one_hot = np.eye(3)[[2]]
    close(p.cross_entropy(one_hot), -np.log(q[1]))
    slope = tw.grad(lambda z: np.sum(heads.CategoricalDistribution(z).cross_entropy(one_hot)))
    close(slope(logits), [[q[0], 0, q[1] - 1]])
    close(p.entropy(), scipy.stats.entropy(q))
    assert not np.any(p.sample(0, 1000) == 1)


def test_counts_of_rate_zero():
    for log_rate in (-INF, -1e4):
        p = heads.PoissonDistribution(np.array([log_rate]))
        assert p.log_prob(0) == 0
        assert p.log_prob(2) < -1e4
        assert p.entropy() == 0
        close(p.quantile([0.0, 0.5, 1 - 1e-12])[:, 0], 0)
        close(p.cdf(0), 1)


@pytest.mark.parametrize("n", [7, 60])
def test_cumulative_probabilities_and_quantiles_of_classes_agree(n):
    """The quantile at the probability of ≤ k is k, to the last digit; none is above 1."""
    logits = 3 * np.random.default_rng(0).normal(size=(300, n))
    p = heads.CategoricalDistribution(logits)
    classes = np.broadcast_to(np.arange(n)[:, None], (n, 300))
    cumulative = p.cdf(classes)
    assert cumulative.max() == 1
    assert np.all(np.diff(cumulative, axis=0) >= 0)
    for k in range(300):
        row = tree_map(lambda a, k=k: a[k], p)
        assert np.array_equal(row.quantile(row.cdf(np.arange(n))), np.arange(n))


def test_mixtures_have_no_probability_above_one():
    rng = np.random.default_rng(0)
    p = heads.MixtureDistribution(
        rng.normal(size=(500, 5)), 0 * np.ones((500, 5)), np.ones((500, 5))
    )
    assert p.cdf(np.full(500, 50.0)).max() == 1
    p.quantile(p.cdf(np.full(500, 50.0))[0])


# ---- what is not a number -------------------------------------------------------------------

NUMBERS = [
    heads.BernoulliDistribution(ZEROS),
    heads.PoissonDistribution(ZEROS),
    heads.GaussianDistribution(ZEROS, ONES),
    heads.LaplaceDistribution(ZEROS, ONES),
    heads.StudentTDistribution(ZEROS, ONES),
    heads.MixtureDistribution(np.zeros((2, 3)), np.zeros((2, 3)), np.ones((2, 3))),
]


@pytest.mark.parametrize("p", NUMBERS, ids=lambda p: type(p).__name__)
def test_nan_is_no_number_anywhere(p):
    x = np.array([NAN, 1.0])
    for found in (p.log_prob(x), p.cdf(x)):
        assert np.isnan(found).tolist() == [True, False]
    close(tw.compile(lambda p, x: p.cdf(x))(p, x), p.cdf(x))
    assert np.isnan(p.quantile([NAN, 0.5])).tolist() == [[True, True], [False, False]]
    broken = tree_map(
        lambda a: np.where(np.arange(2).reshape(2, *[1] * (a.ndim - 1)), a, NAN) if a.ndim else a, p
    )
    for found in (broken.log_prob(1.0), broken.mean, broken.mode, broken.quantile(0.3)):
        assert np.isnan(found).tolist() == [True, False]
    if p.discrete:
        with pytest.raises(UserError, match="a parameter is NaN"):
            broken.sample(0)
    else:
        assert np.isnan(broken.sample(0)).tolist() == [True, False]
        assert np.isnan(evaluate.coverage(p, x))
        assert np.isnan(evaluate.coverage(broken, ZEROS))
        assert evaluate.coverage(p, ZEROS, 1.0) == 1


def test_nan_is_no_class():
    p = heads.CategoricalDistribution(np.zeros((2, 3)))
    assert np.isnan(p.cdf(np.array([NAN, 1.0]))).tolist() == [True, False]
    with pytest.raises(UserError, match="a level is NaN"):
        p.quantile(NAN)
    broken = heads.CategoricalDistribution(np.array([[0.0, NAN, 0.0]]))
    for ask in (lambda: broken.sample(0), lambda: broken.quantile(0.5)):
        with pytest.raises(UserError, match="NaN"):
            ask()


def test_a_mixture_with_broken_weights_only_has_broken_draws():
    p = heads.MixtureDistribution(np.array([[NAN, 0.0], [0, 0]]), np.zeros((2, 2)), np.ones((2, 2)))
    assert np.isnan(p.sample(0, 3)).tolist() == [[True, False]] * 3


# ---- far off --------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [90.0, 110.0, 1e3, 1e5, 9e5, 1e8, 1e12, 1e200])
def test_many_degrees_of_freedom(df):
    """Where differences of log Γ and of ψ cancel: against more digits than cancel."""
    p, t = heads.StudentTDistribution(np.zeros(1), np.ones(1), df), 1.3
    with mpmath.workdps(450):
        v, half = mpmath.mpf(df), mpmath.mpf(0.5)
        log_beta = mpmath.loggamma(v / 2) + mpmath.loggamma(half) - mpmath.loggamma(v / 2 + half)
        norm = log_beta + mpmath.log(v) / 2
        log = -norm - (v + 1) / 2 * mpmath.log1p(mpmath.mpf(t) ** 2 / v)
        entropy = (v + 1) / 2 * (mpmath.digamma((v + 1) / 2) - mpmath.digamma(v / 2)) + norm
    close(p.log_prob(t), float(log), 2e-13)
    close(p.entropy(), float(entropy), 2e-13)
    if df >= 1e8:
        normal = heads.GaussianDistribution(np.zeros(1), np.ones(1))
        close(evaluate.crps(p, t), evaluate.crps(normal, t), 1e-8)


def test_learned_degrees_of_freedom_have_a_gradient_on_both_sides():
    def cost(df):
        p = heads.StudentTDistribution(ZEROS, ONES, df)
        return np.sum(p.nll(np.array([0.5, 3.0])) + p.entropy())

    for df in (40.0, 99.0, 101.0, 150.0):
        tw.check_grads(cost, (np.full(2, df),), order=1)


@pytest.mark.parametrize(
    "rate",
    [
        *(1e3, 1e9, 3e10, 1e12),
        pytest.param(
            1e15,
            marks=pytest.mark.skipif(
                np.lib.NumpyVersion(scipy.__version__) < "1.17.0",
                reason="older SciPy's cdf has three digits there",
            ),
        ),
    ],
)
def test_quantiles_of_large_rates(rate):
    """The smallest count with probability ≥ q: SciPy's inverse is NaN from 2e10 on."""
    p = heads.PoissonDistribution(np.log(np.array([rate])))
    for q in (1e-6, 0.3, 0.5, 0.999):
        count = p.quantile(q)[0]
        assert count == np.floor(count)
        step = math.sqrt(rate) * 1e-4 + 1  # a count itself is at the rounding of `cdf` for 1e15
        assert p.cdf(count - step)[0] < q < p.cdf(count + step)[0]


@pytest.mark.parametrize("rate", [1e-3, 0.7, 17.0, 4567.0, 1e6])
def test_counts_and_their_levels_agree(rate):
    """The quantile at the probability of ≤ k is k, to the last digit."""
    p = heads.PoissonDistribution(np.log(np.array([rate])))
    for k in np.unique(np.floor(rate + math.sqrt(rate) * np.linspace(-4, 4, 41)).clip(0)):
        level = p.cdf(k)[0]
        if p.cdf(k - 1)[0] < level < 1:
            assert p.quantile(level)[0] == k
            assert p.quantile(np.nextafter(level, 1))[0] == k + 1


def test_rates_that_cannot_be_drawn():
    with pytest.raises(UserError, match="rate above"):
        heads.PoissonDistribution(np.array([50.0])).sample(0)


def test_levels_near_one_in_single_precision():
    """1 − 1e-9 is 1 in float32: its quantile is not infinite."""
    loc, scale = ZEROS.astype("f4"), ONES.astype("f4")
    for kind, theirs in (
        (heads.GaussianDistribution, scipy.stats.norm),
        (heads.LaplaceDistribution, scipy.stats.laplace),
        (heads.StudentTDistribution, scipy.stats.t(5)),
    ):
        for level in (1e-50, 1 - 1e-9):
            found = kind(loc, scale).quantile(level)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, theirs.ppf(level), rtol=1e-6)
    mixture = heads.MixtureDistribution(loc, loc, scale)
    np.testing.assert_allclose(
        mixture.quantile(1 - 1e-9), scipy.stats.norm.ppf(1 - 1e-9), rtol=1e-6
    )


def test_a_mixture_of_the_smallest_and_the_largest_scales():
    p = heads.MixtureDistribution(ZEROS, ZEROS, np.array([1e-150, 1e150]))
    level = scipy.stats.norm.cdf(-1.28) / 2 + 0.25  # the wide one is at ½
    assert p.quantile(level) == pytest.approx(-1.28e-150, rel=1e-9)


@pytest.mark.parametrize("value", [1.0, 100.0, -3e9])
def test_a_mixture_starts_on_targets_that_do_not_vary(value):
    head = heads.MixtureDensity(2)
    p = head(head.start(np.full(6, value)))
    close(p.loc, value)
    vectors = heads.MixtureDensity(2, event=2)
    y = np.stack([np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2]), np.full(6, value)], axis=1)
    found = vectors(vectors.start(y)).loc  # the other number still tells the clusters apart
    close(found[np.argsort(found[:, 0])], [[0.1, value], [5.1, value]])


# ---- parameters and arguments that are wrong ------------------------------------------------


def test_numbers_lists_and_integers_are_parameters():
    close(heads.GaussianDistribution(0.0, 1).quantile(0.3), scipy.stats.norm.ppf(0.3))
    close(
        heads.GaussianDistribution([0, 1], [1, 2]).quantile(0.3),
        scipy.stats.norm.ppf(0.3, [0, 1], [1, 2]),
    )
    assert len(set(heads.GaussianDistribution(np.zeros(2, int), np.ones(2, int)).sample(0))) == 2
    close(
        heads.PoissonDistribution(np.array([0, 1])).entropy(),
        scipy.stats.poisson([1, math.e]).entropy(),
    )
    close(heads.BernoulliDistribution(0).entropy(), math.log(2))
    close(heads.StudentTDistribution(0, 1, 4).variance, 2)
    close(heads.MixtureDistribution([0, 0], [0, 1], [1, 1]).quantile(0.5), 0.5)
    single = heads.StudentTDistribution(ZEROS.astype("f4"), ONES.astype("f4"), 3.0)
    assert single.log_prob(np.float32(1)).dtype == np.float32


@pytest.mark.parametrize(
    ("error", "make"),
    [
        (UserError, lambda: heads.GaussianDistribution(ZEROS, -ONES)),
        (UserError, lambda: heads.LaplaceDistribution(ZEROS, -ONES)),
        (UserError, lambda: heads.StudentTDistribution(ZEROS, ONES, 0.0)),
        (ShapeError, lambda: heads.StudentTDistribution(ZEROS, ONES, np.ones(3))),
        (UserError, lambda: heads.MixtureDistribution(ZEROS, ZEROS, -ONES)),
        # a covariance in the place of its factor
        (UserError, lambda: heads.MultivariateGaussianDistribution(ZEROS, np.ones((2, 2)))),
        (UserError, lambda: heads.MultivariateGaussianDistribution(ZEROS, -np.eye(2))),
        (ShapeError, lambda: heads.GaussianDistribution(ZEROS, ONES, event_ndim=2)),
        (DtypeError, lambda: heads.BernoulliDistribution(1j * ONES)),
        (DtypeError, lambda: heads.BernoulliDistribution(["a"])),
        (DtypeError, lambda: heads.Gaussian()(np.ones((1, 2)) * 1j)),
        (DtypeError, lambda: heads.Gaussian()(np.array([["1", "2"]]))),
        (UserError, lambda: heads.MixtureDensity(2, max_scale="large")),
        (DtypeError, lambda: heads.GaussianDistribution(ZEROS, ONES).quantile("median")),
        (UserError, lambda: heads.GaussianDistribution(ZEROS, ONES).interval(1.5)),
        (ShapeError, lambda: heads.Categorical(3).cost(np.zeros((2, 3)), 1.0)),
        (UserError, lambda: heads.Categorical(3).cost(np.zeros((2, 3)), -np.ones((2, 3)))),
        (UserError, lambda: heads.PoissonDistribution(ZEROS).nll(INF)),
        (UserError, lambda: evaluate.crps(heads.BernoulliDistribution(ZEROS), np.array([0, 2]))),
        (UserError, lambda: evaluate.crps(heads.BernoulliDistribution(ZEROS), np.array([0, 0.5]))),
    ],
)
def test_what_makes_no_distribution_is_refused(error, make):
    with pytest.raises(error):
        make()


def test_intervals_of_several_levels():
    low, high = heads.GaussianDistribution(ZEROS, ONES).interval([0.5, 0.9])
    close(high[:, 0], scipy.stats.norm.ppf([0.75, 0.95]))
    close(low, -high)


def test_one_hot_targets_of_integers():
    """Also where there are as many rows as classes, and the shape could be of class numbers."""
    head, y = heads.Categorical(3), np.array([2, 0, 1])
    logits = np.random.default_rng(0).normal(size=(3, 3))
    for n in (2, 3):
        wanted = head.cost(logits[:n], y[:n])
        close(head.cost(logits[:n], np.eye(3, dtype=int)[y[:n]]), wanted)


def test_the_integral_transform_of_unsigned_bits():
    p = heads.BernoulliDistribution(np.zeros(4))
    wanted = evaluate.pit(p, np.zeros(4, int), 0)
    for dtype in (np.uint8, bool, float):
        close(evaluate.pit(p, np.zeros(4, dtype), 0), wanted)


@pytest.mark.parametrize(
    ("cost", "name"),
    [
        (lambda z: losses.cross_entropy(z, np.array([0, 2])), "softmax + cross-entropy"),
        (lambda z: losses.cross_entropy(z, np.eye(3)[[0, 2]]), "softmax + cross-entropy"),
        (lambda z: losses.binary_cross_entropy(z, np.ones((2, 3))), "sigmoid + cross-entropy"),
        (lambda z: np.mean(heads.Categorical(3).cost(z, np.eye(3)[:2])), "softmax + cross-entropy"),
    ],
)
def test_losses_are_one_group_with_their_layer(cost, name):
    trace = tw.trace(cost, np.random.default_rng(0).normal(size=(2, 3)))
    (group,) = trace.groups
    assert group.name == name
    assert group.output is trace.nodes[-1]


# ---- where a target is hit ------------------------------------------------------------------


@pytest.mark.parametrize("df", [3.0, 200.0])
def test_the_curvature_of_a_t_at_its_centre(df):
    """(df + 1)/(df scale²) in x: a Newton step from there needs it."""
    scale = 0.7

    def nll(x):
        return heads.StudentTDistribution(np.zeros(()), np.array(scale), df).nll(x)

    for f in (nll, lambda x: heads.GaussianDistribution(np.zeros(()), np.array(scale)).nll(x)):
        wanted = (1 + (1 / df if f is nll else 0)) / scale**2
        close(tw.grad(tw.grad(f))(0.0), wanted)
        close(tw.compile(tw.grad(tw.grad(f)))(np.zeros(())), wanted)


@pytest.mark.parametrize(
    "p", [p for p in NUMBERS if not p.discrete], ids=lambda p: type(p).__name__
)
def test_the_slope_of_the_distribution_function_is_the_density(p):
    for x in (np.zeros(2), np.array([1e-9, -1e-9])):
        close(tw.grad(lambda x: np.sum(p.cdf(x)))(x), np.exp(p.log_prob(x)), 1e-9)
