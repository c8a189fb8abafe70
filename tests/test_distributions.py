"""Output units: every distribution against SciPy's, by one table of distributions and laws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import thalweg as tw
from thalweg import heads
from thalweg.errors import DtypeError, TracingError, UserError
from thalweg.tree import flatten, tree_map

RNG = np.random.default_rng(5)
LOC = RNG.normal(size=(4, 3))
SCALE = np.exp(RNG.normal(size=(4, 3)))
LOGITS = 2 * RNG.normal(size=(4, 3))
LEVELS = np.array([1e-9, 0.02, 0.3, 0.5, 0.77, 0.999])


@dataclass(frozen=True)
class Case:
    """A distribution, SciPy's with the same parameters, and whether its values are counted."""

    name: str
    ours: Any
    theirs: Any
    discrete: bool = False
    entropy: Any = None  # where SciPy's own is less exact than the closed form

    def points(self, n=5):
        """Values to ask for: n of each distribution, tails included."""
        levels = np.random.default_rng(1).uniform(0.001, 0.999, (n, *self.ours.batch_shape))
        return self.theirs.ppf(levels).astype(int if self.discrete else float)


def _poisson_entropy(rate):
    counts = np.arange(6000.0)
    logs = counts * math.log(rate) - rate - scipy.special.gammaln(counts + 1)
    return -math.fsum(np.exp(logs) * logs)


RATES = np.array([0.03, 1.0, 7.5, 40.0, 999.0, 1001.0, 3000.0])
CASES = [
    Case(
        "bernoulli",
        heads.BernoulliDistribution(LOGITS),
        scipy.stats.bernoulli(scipy.special.expit(LOGITS)),
        discrete=True,
    ),
    Case("gaussian", heads.GaussianDistribution(LOC, SCALE), scipy.stats.norm(LOC, SCALE)),
    Case("laplace", heads.LaplaceDistribution(LOC, SCALE), scipy.stats.laplace(LOC, SCALE)),
    *(
        Case(
            f"student-{df:g}",
            heads.StudentTDistribution(LOC, SCALE, df),
            scipy.stats.t(df, LOC, SCALE),
        )
        for df in (1.5, 2.7, 30.0)
    ),
    Case(
        "student-many",
        heads.StudentTDistribution(LOC, SCALE, 2.2 + SCALE),
        scipy.stats.t(2.2 + SCALE, LOC, SCALE),
    ),
    Case(
        "poisson",
        heads.PoissonDistribution(np.log(RATES)),
        scipy.stats.poisson(RATES),
        discrete=True,
        entropy=np.array([_poisson_entropy(rate) for rate in RATES]),
    ),
]
CONTINUOUS = [case for case in CASES if not case.discrete]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def close(ours, theirs, tolerance=1e-12):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


# ---- against SciPy --------------------------------------------------------------------------


@each
def test_log_prob_and_cdf(case):
    x = case.points()
    logs = (case.theirs.logpmf if case.discrete else case.theirs.logpdf)(x)
    close(case.ours.log_prob(x), logs)
    close(case.ours.nll(x), -logs)
    close(case.ours.cdf(x), case.theirs.cdf(x))
    between = x + 0.25
    close(case.ours.cdf(between), case.theirs.cdf(between))
    close(case.ours.cdf(-0.5), case.theirs.cdf(-0.5))


@each
def test_moments_and_entropy(case):
    close(case.ours.mean, case.theirs.mean())
    with np.errstate(invalid="ignore"):
        close(case.ours.variance, case.theirs.var())
        close(case.ours.std, case.theirs.std())
    close(case.ours.entropy(), case.theirs.entropy() if case.entropy is None else case.entropy)


@each
def test_quantiles(case):
    found = case.ours.quantile(LEVELS)
    assert found.shape == LEVELS.shape + case.ours.batch_shape
    levels = LEVELS.reshape(-1, *(1,) * len(case.ours.batch_shape))
    close(found, case.theirs.ppf(levels))
    low, high = case.ours.interval(0.9)
    close(np.stack([low, high]), np.stack(case.theirs.interval(0.9)))
    ends = {"bernoulli": (0, 1), "poisson": (0, np.inf)}.get(case.name, (-np.inf, np.inf))
    for level, end in zip((0.0, 1.0), ends, strict=True):
        assert np.all(case.ours.quantile(level) == end)
    with pytest.raises(UserError, match="levels are probabilities"):
        case.ours.quantile(1.5)


@each
def test_the_mode_is_the_most_probable(case):
    step = 1 if case.discrete else 1e-4 * case.ours.quantile(0.9)
    top = case.ours.log_prob(case.ours.mode)
    for other in (case.ours.mode - step, case.ours.mode + step):
        inside = other >= 0 if case.discrete else np.full(other.shape, True)
        if case.name == "bernoulli":
            inside &= other <= 1
        other = np.where(inside, other, case.ours.mode)
        assert np.all(case.ours.log_prob(other) <= top + 1e-12)


@each
def test_samples_have_the_distribution(case):
    n = 20_000
    draws = case.ours.sample(7, n)
    assert draws.shape == (n, *case.ours.batch_shape)
    assert np.array_equal(draws, case.ours.sample(np.random.default_rng(7), n))
    assert case.ours.sample(7).shape == case.ours.batch_shape
    first = np.unravel_index(np.arange(4), case.ours.batch_shape)
    for index in zip(*first, strict=True):
        ours = tree_map(lambda a, i=index: a[i] if np.ndim(a) else a, case.ours)
        x = draws[(slice(None), *index)]
        if not case.discrete:
            assert scipy.stats.kstest(x, ours.cdf).pvalue > 1e-3
            continue
        values = np.arange(int(np.max(x)) + 1)
        expected = n * np.exp(ours.log_prob(values))
        often = expected > 5
        seen = np.bincount(x.astype(int), minlength=len(values))[often]
        rest = n - np.array([seen.sum(), expected[often].sum()])
        statistic = np.sum((seen - expected[often]) ** 2 / expected[often])
        assert scipy.stats.chi2.sf(statistic, max(len(seen) - 1, 1)) > 1e-3
        assert abs(rest[0] - rest[1]) < 5 * math.sqrt(max(rest[1], 1)) + 1


@pytest.mark.parametrize("case", CONTINUOUS, ids=lambda case: case.name)
def test_densities_integrate_to_one(case):
    ours = tree_map(lambda a: a[0, 0] if np.ndim(a) else a, case.ours)

    def density(x):
        return math.exp(ours.log_prob(x))

    middle = float(ours.loc)
    total = sum(
        scipy.integrate.quad(density, *ends, epsabs=1e-12, epsrel=1e-12)[0]
        for ends in ((-np.inf, middle), (middle, np.inf))
    )
    assert total == pytest.approx(1, abs=1e-9)


# ---- derivatives, precision -----------------------------------------------------------------


@each
def test_derivatives(case):
    x = case.points(2) + (0 if case.discrete else 0.1)
    tw.check_grads(lambda p: np.sum(p.nll(x)), (case.ours,), order=1, tolerance=1e-6)
    if case.discrete:
        return
    if case.name != "student-1.5":  # no variance
        tw.check_grads(lambda p: np.sum(p.variance + p.mean), (case.ours,), order=1)
    density = tw.grad(lambda x: np.sum(case.ours.cdf(x)))(x)
    close(density, np.exp(case.ours.log_prob(x)), 1e-9)


@each
def test_float32_stays_float32(case):
    ours = tree_map(lambda a: np.asarray(a, np.float32), case.ours)
    x = case.points(2)
    x32 = x.astype(np.float32)
    for name in ("log_prob", "cdf"):
        value = getattr(ours, name)(x if case.discrete else x32)
        assert value.dtype == np.float32, name
        np.testing.assert_allclose(
            value,
            getattr(case.ours, name)(x),
            rtol=2e-3 if case.name == "poisson" else 2e-4,
            atol=2e-5,
        )
    for value in (ours.mean, ours.variance, ours.entropy(), ours.quantile(0.3), ours.mode):
        assert value.dtype == np.float32
    grads = tw.grad(lambda p: np.sum(p.nll(x if case.discrete else x32)))(ours)
    assert all(g.dtype == np.float32 and np.isfinite(g).all() for g in flatten(grads)[0])


@each
def test_compiled_traced_and_mapped(case):
    x = case.points(1)[0]

    def everything(p, x):
        return p.log_prob(x), p.mean, p.variance, p.cdf(x)

    plain = everything(case.ours, x)
    for got in (
        (tw.compile(everything)(case.ours, x), tw.vmap(everything)(case.ours, x))
        if (all(np.ndim(leaf) for leaf in flatten(case.ours)[0]))
        else (tw.compile(everything)(case.ours, x),)
    ):
        for a, b in zip(got, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)
    with pytest.raises(TracingError, match="outside of traces"):
        tw.grad(lambda p: np.sum(p.sample(0)))(case.ours)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_logits_of_ten_thousand(dtype):
    z = np.array([-1e4, -100, -1, 0, 1, 100, 1e4], dtype)
    for y in (0.0, 1.0):
        p = heads.BernoulliDistribution(z)
        expected = np.where(y == 1, np.maximum(-z, 0), np.maximum(z, 0))
        np.testing.assert_allclose(p.nll(dtype(y)), expected + np.log1p(np.exp(-abs(z))), rtol=1e-6)
        gradient = tw.grad(lambda z, y=y: np.sum(heads.BernoulliDistribution(z).nll(dtype(y))))(z)
        close(gradient, p.probability - y, 1e-6)
        assert np.isfinite(p.entropy()).all()
    rows = np.stack([z, -z, 0 * z], axis=1)
    for y in range(3):
        target = np.full(len(rows), y)
        gradient = tw.grad(lambda z, y=target: np.sum(heads.CategoricalDistribution(z).nll(y)))(
            rows
        )
        close(gradient, scipy.special.softmax(rows, axis=1) - np.eye(3)[target], 1e-6)
        assert np.isfinite(heads.CategoricalDistribution(rows).nll(target)).all()


@pytest.mark.parametrize("family", ["gaussian", "laplace", "student-2.7", "student-30"])
@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1.0, 1e20, 1e150])
def test_scales_far_from_one(family, scale):
    (case,) = (case for case in CASES if case.name == family)
    base = tree_map(lambda a: a[0] if np.ndim(a) else a, case.ours)
    x = base.quantile(np.array([0.01, 0.6, 0.99]))
    zero = 0 * base.loc

    def nll(loc, scale, x):
        return tree_map(lambda a: a, type(base)(loc, scale, *flatten(base)[0][2:])).nll(x)

    t = x - base.loc
    close(nll(zero, scale * base.scale, scale * t), base.nll(x) + math.log(scale), 1e-11)
    for argument, point in enumerate((zero, base.scale)):
        got = tw.grad(lambda *a: np.sum(nll(*a, scale * t)), argument)(zero, scale * base.scale)
        wanted = tw.grad(lambda *a: np.sum(nll(*a, t)), argument)(zero, base.scale)
        np.testing.assert_allclose(got * scale, wanted, rtol=1e-9, err_msg=str(point))


def test_a_t_far_from_its_centre():
    p = heads.StudentTDistribution(np.zeros(3), np.ones(3), 3.0)
    x = np.array([1e8, 1e100, 1e300])
    close(p.log_prob(x), -4 * np.log(x) + p.log_prob(1e50)[0] + 4 * math.log(1e50), 1e-9)
    np.testing.assert_allclose(tw.grad(lambda x: np.sum(p.nll(x)))(x), 4 / x, rtol=1e-9)


# ---- the other distributions ----------------------------------------------------------------


def test_categorical():
    logits = RNG.normal(size=(5, 4))
    ours = heads.CategoricalDistribution(logits)
    p = scipy.special.softmax(logits, axis=1)
    close(ours.probabilities, p)
    for row in range(5):
        theirs = scipy.stats.rv_discrete(values=(np.arange(4), p[row]))
        one = heads.CategoricalDistribution(logits[row])
        classes = np.arange(4)
        close(one.log_prob(classes), theirs.logpmf(classes))
        close(one.cdf(classes - 0.5), theirs.cdf(classes - 0.5))
        close(one.cdf(classes), theirs.cdf(classes))
        close(
            [one.mean, one.variance, one.entropy()], [theirs.mean(), theirs.var(), theirs.entropy()]
        )
        close(one.quantile(LEVELS), theirs.ppf(LEVELS))
        assert one.mode == np.argmax(p[row])
        counts = np.bincount(one.sample(3, 10_000), minlength=4)
        assert scipy.stats.chisquare(counts, 10_000 * p[row]).pvalue > 1e-3
    y = np.array([0, 3, 2, 1, 1])
    close(ours.cross_entropy(np.eye(4)[y]), ours.nll(y))
    close(heads.Categorical(4).cost(logits, np.eye(4)[y]), heads.Categorical(4).cost(logits, y))
    close(ours.log_prob(np.stack([y, y]))[1], ours.log_prob(y))
    close(ours.log_prob(2), ours.log_prob(np.full(5, 2)))
    for wrong in (np.array([0, 1, 2, 3, 4]), np.array([0, 1, 2, 3, -1])):
        with pytest.raises(UserError, match="classes are 0, …, 3"):
            ours.log_prob(wrong)
    with pytest.raises(DtypeError, match="cross_entropy"):
        ours.log_prob(y.astype(float))


def test_multivariate_gaussian():
    d = 3
    head = heads.Gaussian(covariance="full", event=(d,))
    features = RNG.normal(size=(4, head.n_features))
    ours = head(features)
    y = RNG.normal(size=(4, d))
    for row in range(4):
        theirs = scipy.stats.multivariate_normal(ours.mean[row], ours.covariance[row])
        assert ours.log_prob(y)[row] == pytest.approx(theirs.logpdf(y[row]), rel=1e-11)
        assert ours.entropy()[row] == pytest.approx(theirs.entropy(), rel=1e-11)
    close(ours.variance, np.diagonal(ours.covariance, axis1=1, axis2=2))
    close(ours.cdf(y), scipy.stats.norm.cdf(y, ours.mean, ours.std))
    close(ours.quantile(0.3), scipy.stats.norm.ppf(0.3, ours.mean, ours.std))
    draws = ours.sample(0, 40_000)
    np.testing.assert_allclose(draws.mean(0), ours.mean, atol=0.06)
    for row in range(4):
        np.testing.assert_allclose(np.cov(draws[:, row].T), ours.covariance[row], atol=0.15)
    whitened = np.linalg.solve(ours.cholesky[0], (draws[:, 0] - ours.mean[0]).T)
    assert scipy.stats.kstest(np.sum(whitened**2, 0), scipy.stats.chi2(d).cdf).pvalue > 1e-3
    tw.check_grads(lambda f: np.sum(head(f).nll(y)), (features,), order=1)
    compiled = tw.compile(tw.value_and_grad(lambda f: np.sum(head(f).nll(y))))(features)
    close(compiled[0], np.sum(ours.nll(y)), 1e-11)


def test_covariances_are_the_same_where_they_must_be():
    y = RNG.normal(size=(5, 2))
    mean, raw = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 1))
    isotropic = heads.Gaussian("isotropic", event=2)(np.hstack([mean, raw]))
    diagonal = heads.Gaussian("diagonal", event=2)(np.hstack([mean, raw, raw]))
    full = heads.Gaussian("full", event=2)(np.hstack([mean, raw, 0 * raw, raw]))
    for p in (isotropic, full):
        close(p.nll(y), diagonal.nll(y))
        close(p.variance, diagonal.variance)
        close(p.entropy(), diagonal.entropy())
    fixed = heads.Gaussian("fixed", event=2, scale=0.5)
    assert fixed.n_features == 2
    slope = tw.grad(lambda m: np.sum(fixed(m).nll(y)))(mean)
    close(slope, (mean - y) / 0.25)
