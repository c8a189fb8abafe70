"""`thalweg.sklearn`: the density and the transformer, held against what is known of the data."""

from __future__ import annotations

import itertools
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

import thalweg as tw
from thalweg.heads import Categorical, Gaussian, MixtureDensity
from thalweg.sklearn import MADEDensity, VAETransformer

MOONS = 3 + 10 * make_moons(300, noise=0.1, random_state=0)[0]
BITS = np.array(list(itertools.product([0.0, 1.0], repeat=4)))


def quiet(estimator, *args, **options):
    """Fitted, whether it has converged or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*args, **options)


# ---- MADEDensity --------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["mixture", "gaussian", "laplace", MixtureDensity(3)], ids=str)
@pytest.mark.parametrize("orders", [1, 2])
def test_a_density_integrates_to_one(head, orders):
    made = MADEDensity(head, hidden_layer_sizes=(8,), orders=orders, max_iter=3, random_state=0)
    quiet(made, MOONS)
    side = np.linspace(-80, 90, 600)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    total = np.sum(np.exp(made.score_samples(grid))) * (side[1] - side[0]) ** 2
    assert abs(total - 1) < 2e-3


def test_probabilities_of_bits_sum_to_one():
    x = BITS[np.random.default_rng(0).choice(16, 200, p=np.arange(16) / 120)]
    made = quiet(MADEDensity("bernoulli", hidden_layer_sizes=(16,), random_state=0), x)
    p = np.exp(made.score_samples(BITS))
    assert np.sum(p) == pytest.approx(1, abs=1e-12)
    drawn = made.sample(4000, random_state=1)
    found = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16) / 4000
    np.testing.assert_allclose(found, p, atol=5 * np.sqrt(0.12 / 4000))


def test_the_density_of_a_normal_distribution_is_found():
    """With Gaussian conditionals, linear in what is before, the model contains it."""
    rng = np.random.default_rng(0)
    factor = np.array([[2.0, 0, 0], [1, 0.5, 0], [-3, 0.2, 1]])
    x = rng.standard_normal((3000, 3)) @ factor.T + [5.0, 0, -100]
    truth = multivariate_normal([5, 0, -100], factor @ factor.T)
    made = MADEDensity("gaussian", hidden_layer_sizes=(), solver="lbfgs", alpha=0, random_state=0)
    made.fit(x)
    assert np.mean(np.abs(made.score_samples(x) - truth.logpdf(x))) < 0.06
    assert made.score(x) == pytest.approx(np.mean(truth.logpdf(x)), abs=0.01)
    drawn = made.sample(20_000, random_state=0)
    np.testing.assert_allclose(np.cov(drawn.T), factor @ factor.T, atol=0.25)


def test_units_of_the_features_do_not_matter():
    options = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
    plain = quiet(MADEDensity(**options), MOONS)
    moved = quiet(MADEDensity(**options), 1000 + 20 * MOONS)
    expected = plain.score_samples(MOONS) - 2 * np.log(20)
    np.testing.assert_allclose(moved.score_samples(1000 + 20 * MOONS), expected, rtol=1e-6)


def test_a_weight_of_n_is_n_rows():
    x = MOONS[:30]
    w = np.random.default_rng(1).integers(0, 4, len(x))
    options = {"hidden_layer_sizes": (8,), "max_iter": 10, "random_state": 0}
    weighted = quiet(MADEDensity(**options), x, sample_weight=w)
    repeated = quiet(MADEDensity(**options), np.repeat(x, w, 0)[::-1])
    np.testing.assert_allclose(weighted.score_samples(x), repeated.score_samples(x), rtol=1e-6)
    assert weighted.score(x, sample_weight=w) == pytest.approx(repeated.score(np.repeat(x, w, 0)))


@pytest.mark.parametrize("estimator", [MADEDensity(), VAETransformer(learning_rate="constant")])
def test_partial_fit_on_the_same_rows_goes_on(estimator):
    whole = clone(estimator).set_params(
        hidden_layer_sizes=(8,), shuffle=False, random_state=0, max_iter=3
    )
    parts = clone(whole)
    quiet(whole, MOONS)
    for _ in range(3):
        parts.partial_fit(MOONS)
    for a, b in zip(*(tw.tree.flatten(net.net_)[0] for net in (whole, parts)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11)


def test_a_grid_search_by_likelihood_and_pickle():
    made = MADEDensity(hidden_layer_sizes=(16,), max_iter=20, random_state=0)
    search = quiet(GridSearchCV(made, {"head": ["gaussian", "mixture"]}, cv=2), MOONS[::-1])
    assert search.best_params_ == {"head": "mixture"}
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(again.score_samples(MOONS), search.score_samples(MOONS))
    assert np.array_equal(again.sample(5), search.best_estimator_.sample(5))
    assert not np.array_equal(again.sample(5, random_state=1), again.sample(5))


@pytest.mark.parametrize(
    "wrong",
    [
        {"head": "poisson"},
        {"head": Gaussian(event=(2,))},
        {"head": Categorical(3)},
        {"orders": 0},
        {"orders": 1.5},
        {"n_iter_no_change": 0},
    ],
    ids=str,
)
def test_parameters_of_the_density(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MADEDensity(**wrong).fit(MOONS)


def test_mistakes_with_the_density():
    with pytest.raises(ValueError, match="bits, 0 or 1"):
        MADEDensity("bernoulli").fit(MOONS)
    made = quiet(MADEDensity(hidden_layer_sizes=(4,), max_iter=1), MOONS)
    with pytest.raises(ValueError, match="n_samples"):
        made.sample(0)


# ---- VAETransformer -----------------------------------------------------------------------------


def plane(n, seed=0):
    """Points near a plane in five dimensions, and the distribution they are from."""
    rng = np.random.default_rng(seed)
    factor = np.random.default_rng(7).standard_normal((5, 2))
    x = rng.standard_normal((n, 2)) @ factor.T + 0.2 * rng.standard_normal((n, 5))
    return x, multivariate_normal(np.zeros(5), factor @ factor.T + 0.04 * np.eye(5))


def test_codes_say_where_a_row_is_and_the_score_is_a_bound():
    x, truth = plane(1000)
    vae = VAETransformer(
        2, hidden_layer_sizes=(32,), learning_rate_init=0.01, max_iter=60, random_state=0
    ).fit(x)
    test, _ = plane(500, seed=1)
    codes = vae.transform(test)
    assert codes.shape == (500, 2)
    error = np.mean((vae.inverse_transform(codes) - test) ** 2)
    assert error < 0.1 * np.mean(np.var(test, axis=0))
    best = np.mean(truth.logpdf(test))
    plain = np.mean(np.sum(-0.5 * test**2 / np.var(x, 0) - 0.5 * np.log(np.var(x, 0)), axis=1))
    assert plain - 2.5 * np.log(2 * np.pi) + 1 < vae.score(test) < best + 0.05
    assert vae.score(test, draws=1) < vae.score(test)
    drawn = vae.sample(20_000, random_state=0)
    np.testing.assert_allclose(np.std(drawn, axis=0), np.std(x, axis=0), rtol=0.25)


def test_it_is_a_transformer():
    x, _ = plane(100)
    vae = VAETransformer(3, hidden_layer_sizes=(8,), max_iter=2, random_state=0)
    pipe = make_pipeline(MinMaxScaler(), vae, FunctionTransformer(feature_names_out="one-to-one"))
    assert pipe.fit_transform(x).shape == (100, 3)
    assert pipe.get_feature_names_out().tolist() == [f"vaetransformer{i}" for i in range(3)]
    again = pickle.loads(pickle.dumps(pipe))
    assert np.array_equal(again.transform(x), pipe.transform(x))
    single = vae.fit(x.astype(np.float32))
    assert single.transform(x.astype(np.float32)).dtype == np.float32
    assert single.inverse_transform(np.zeros((2, 3), np.float32)).dtype == np.float32


def test_bits_and_codes():
    x = BITS[np.random.default_rng(0).integers(0, 16, 100)]
    vae = VAETransformer(2, "bernoulli", hidden_layer_sizes=(8,), max_iter=3, random_state=0).fit(x)
    p = vae.inverse_transform(vae.transform(x))
    assert np.all((p > 0) & (p < 1))
    assert set(np.unique(vae.sample(50))) == {0.0, 1.0}
    assert vae.score(x) < 0


def test_mistakes_with_the_transformer():
    x, _ = plane(50)
    for wrong, told in (
        ({"head": "poisson"}, "head"),
        ({"n_components": 0}, "n_components"),
        ({"beta": -1}, "beta"),
        ({"solver": "lbfgs"}, "noise"),
        ({"head": "bernoulli"}, r"\[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=told):
            VAETransformer(**wrong).fit(x)
    vae = VAETransformer(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(x)
    with pytest.raises(ValueError, match="n_components"):
        vae.inverse_transform(np.zeros((3, 4)))
