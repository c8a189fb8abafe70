"""`thalweg.sklearn`: scikit-learn's own checks, and laws that hold for any network."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from collections import deque

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

import thalweg as tw
from thalweg.heads import Categorical, MixtureDensity
from thalweg.heads.evaluate import crps
from thalweg.sklearn import (
    MADEDensity,
    NetClassifier,
    NetRegressor,
    VAETransformer,
    neg_crps,
    neg_nll,
)
from thalweg.sklearn.rows import Scaling, holdout

ESTIMATORS = [NetClassifier(), NetRegressor(), MADEDensity(), VAETransformer()]
HEADS = ["gaussian", "squared_error", "laplace", "student", "mixture", "poisson"]


def curve(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    return X, X[:, 0] ** 2 - X[:, 1] + 0.1 * rng.standard_normal(n)


def quiet(estimator, *args, **options):
    """Fitted, whether it has converged or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*args, **options)


def weights(net):
    return tw.tree.flatten(net.net_)[0]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.filterwarnings("ignore")
def test_check_estimator(estimator):
    check_estimator(estimator)


def test_without_scikit_learn_the_error_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import thalweg as tw; tw.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'thalweg[sklearn]'" in done.stderr.splitlines()[-1]


# ---- learning -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", tw.optim.AdamW(0.01)], ids=str)
def test_it_learns_a_curve(solver):
    X, y = curve(400)
    rate = 0.05 if solver == "sgd" else 0.01
    net = NetRegressor(
        (32,), "squared_error", solver=solver, learning_rate_init=rate, alpha=1e-3, random_state=0
    )
    assert quiet(net, X[:300], y[:300]).score(X[300:], y[300:]) > 0.9
    assert abs(net.noise_ * net.target_scaling_.std - 0.1) < 0.03


def test_labels_of_text_and_cross_validation():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    net = NetClassifier(
        (16,), solver="lbfgs", activation="tanh", alpha=0.1, tol=1e-3, random_state=0
    )
    assert np.mean(cross_val_score(net, X, names, cv=3)) > 0.93
    net.fit(X, names)
    p = net.predict_proba(X)
    assert net.classes_.tolist() == sorted(set(names))
    assert np.array_equal(net.classes_[np.argmax(p, axis=1)], net.predict(X))
    np.testing.assert_allclose(np.log(p), net.predict_log_proba(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(p, net.predict_dist(X).probabilities, rtol=1e-12)
    assert neg_nll(net, X, names) == np.mean(net.predict_dist(X).log_prob(net.encode(names)))


def test_pipeline_grid_search_clone_and_pickle():
    X, y = load_breast_cancer(return_X_y=True)
    pipe = make_pipeline(
        MinMaxScaler(), NetClassifier((8,), solver="lbfgs", tol=0.01, random_state=0)
    )
    grid = {"netclassifier__alpha": [0.03, 0.1], "netclassifier__activation": ["tanh", "relu"]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X[::3], y[::3])
    assert search.best_score_ > 0.9
    again = pickle.loads(pickle.dumps(search))
    assert np.array_equal(again.predict_proba(X), search.predict_proba(X))
    assert clone(search.best_estimator_[1]).get_params() == search.best_estimator_[1].get_params()
    copied = copy.deepcopy(search.best_estimator_[1])
    assert not hasattr(clone(copied), "net_")


def test_several_labels_a_row():
    X, Y = make_multilabel_classification(300, 8, n_classes=3, random_state=0)
    net = quiet(NetClassifier((32,), solver="lbfgs", alpha=0.01, random_state=0), X, Y)
    p = net.predict_proba(X)
    assert p.shape == Y.shape
    assert np.array_equal(net.predict(X), p > 0.5)
    assert net.score(X, Y) > 0.7  # of all three labels at once
    np.testing.assert_allclose(np.exp(net.predict_log_proba(X)), p, rtol=1e-12)


def test_feature_names():
    pandas = pytest.importorskip("pandas")
    X, y = curve()
    table = pandas.DataFrame(X, columns=["a", "b"])
    net = quiet(NetRegressor((4,), max_iter=2), table, y)
    assert net.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="feature names"):
        net.predict(table[["b", "a"]])


def test_random_state_decides():
    X, y = curve()
    first, again, other = (
        quiet(NetRegressor((4,), max_iter=3, random_state=seed), X, y) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.predict(X), again.predict(X))
    assert not np.array_equal(first.predict(X), other.predict(X))


# ---- laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["gaussian", "mixture"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_weight_of_n_is_n_rows(solver, head):
    """On all rows at once; weight 0 is no row."""
    X, y = curve(30)
    w = np.random.default_rng(1).integers(0, 4, len(X))
    options = {"head": head, "solver": solver, "max_iter": 20, "random_state": 0}
    weighted = quiet(NetRegressor((8,), **options), X, y, sample_weight=w)
    repeated = quiet(NetRegressor((8,), **options), np.repeat(X, w, 0), np.repeat(y, w))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-7)


def test_class_weight_is_a_sample_weight():
    X, y = load_iris(return_X_y=True)
    weight = {0: 1.0, 1: 5.0, 2: 0.5}
    options = {"max_iter": 20, "random_state": 0}
    by_class = quiet(NetClassifier((8,), class_weight=weight, **options), X, y)
    by_row = quiet(NetClassifier((8,), **options), X, y, np.array([weight[k] for k in y]))
    np.testing.assert_allclose(by_class.predict_proba(X), by_row.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize(
    "head", ["gaussian", "squared_error", "laplace", "student", "mixture", "multivariate"]
)
def test_units_of_the_targets_do_not_matter(head):
    """Trained on 1000 − 20 y, every distribution is that of y, moved."""
    X, y = curve(60)
    y = np.stack([y, y**2], axis=1) if head == "multivariate" else y
    options = {"head": head, "max_iter": 5, "random_state": 0, "activation": "tanh"}
    plain = quiet(NetRegressor((8,), **options), X, y).predict_dist(X)
    moved = quiet(NetRegressor((8,), **options), X, 1000 + 20 * y).predict_dist(X)
    size = y[0].size
    expected = plain.log_prob(y) - size * np.log(20)
    np.testing.assert_allclose(moved.log_prob(1000 + 20 * y), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moved.mean, 1000 + 20 * plain.mean, rtol=1e-8)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("outputs", [(), (1,), (2,)], ids=str)
def test_shapes(head, outputs):
    X = np.random.default_rng(0).standard_normal((50, 3))
    y = np.random.default_rng(1).poisson(3.0, (50, *outputs))
    net = quiet(NetRegressor((4,), head, max_iter=2, random_state=0), X, y)
    p = net.predict_dist(X[:7])
    low, high = net.predict_interval(X[:7], 0.8)
    assert net.predict(X[:7]).shape == low.shape == high.shape == (7, *outputs)
    assert np.all(low <= high)
    assert p.log_prob(y[:7]).shape == (7,)
    assert p.sample(0, 5).shape == (5, 7, *outputs)
    if not p.discrete:
        np.testing.assert_allclose(p.cdf(high) - p.cdf(low), 0.8, rtol=1e-6)


def test_single_precision_stays():
    X, y = curve()
    net = quiet(NetRegressor((4,), max_iter=2), X.astype(np.float32), y)
    assert {leaf.dtype for leaf in weights(net)} == {np.dtype(np.float32)}
    assert net.predict(X.astype(np.float32)).dtype == np.float32
    labels = quiet(NetClassifier((4,), max_iter=2), X.astype(np.float32), y > 0)
    assert labels.predict_proba(X.astype(np.float32)).dtype == np.float32


# ---- intervals ----------------------------------------------------------------------------------


def noisy(n, seed):
    """Heavy tails, which a Gaussian head does not know."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 1))
    return X, X[:, 0] + (0.1 + 0.3 * (X[:, 0] > 0)) * rng.standard_t(2, n)


def test_calibrated_intervals_hold_what_they_say():
    net = NetRegressor((16,), calibration_fraction=0.4, max_iter=60, random_state=0)
    quiet(net, *noisy(1000, 0))
    X, y = noisy(4000, 1)
    for level in (0.5, 0.9):
        p, held = net._calibration
        low, high = (end + sign * net._excess(level) * np.subtract(*p.interval(level)[::-1])
                     for end, sign in zip(p.interval(level), (-1, 1), strict=True))  # fmt: skip
        inside = np.count_nonzero((low <= held + 1e-9) & (held - 1e-9 <= high))
        assert inside == np.ceil((len(held) + 1) * level)
        low, high = net.predict_interval(X, level)
        # 400 held-out rows: the coverage has a standard deviation of at most 0.025.
        assert abs(np.mean((low <= y) & (y <= high)) - level) < 0.08
    with pytest.raises(ValueError, match="400 held-out rows are too few"):
        net.predict_interval(X, 0.999)


def test_calibrated_counts():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (600, 1))
    y = rng.poisson(np.exp(1 + X[:, 0])) * 2  # overdispersed
    net = NetRegressor((8,), "poisson", calibration_fraction=0.5, max_iter=40, random_state=0)
    quiet(net, X, y)
    low, high = net.predict_interval(X, 0.9)
    assert np.mean((low <= y) & (y <= high)) > 0.87


def test_scores():
    X, y = curve()
    net = quiet(NetRegressor((8,), max_iter=20, random_state=0), X, y)
    p = net.predict_dist(X)
    assert neg_nll(net, X, y) == pytest.approx(np.mean(p.log_prob(y)), rel=1e-12)
    assert neg_crps(net, X, y) == pytest.approx(-np.mean(crps(p, y)), rel=1e-12)


# ---- training's end -----------------------------------------------------------------------------


def test_early_stopping_keeps_the_best_epoch():
    X, y = curve(60)
    net = NetRegressor(
        (64,), learning_rate_init=0.03, early_stopping=True, n_iter_no_change=15, random_state=0
    )
    net.fit(X, y)
    assert net.n_iter_ < 200
    assert len(net.validation_curve_) == len(net.loss_curve_) == net.n_iter_
    best = int(np.argmin(net.validation_curve_))
    again = NetRegressor((64,), learning_rate_init=0.03, early_stopping=True, random_state=0)
    quiet(again.set_params(max_iter=best + 1, n_iter_no_change=200), X, y)
    np.testing.assert_allclose(again.predict(X), net.predict(X), rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_it_says_that_it_has_not_converged(solver):
    X, y = curve()
    with pytest.warns(ConvergenceWarning, match="raise max_iter") as caught:
        NetRegressor((8,), solver=solver, max_iter=2).fit(X, y)
    assert caught[0].filename == __file__


def test_a_cosine_rate_ends_when_it_ends():
    X, y = curve()
    net = NetRegressor((8,), learning_rate="cosine", max_iter=15, tol=1e6).fit(X, y)
    assert net.n_iter_ == 15


def test_a_loss_that_grows_without_bound():
    X, y = curve()
    net = NetRegressor((8,), "squared_error", solver=tw.optim.SGD(1e6), activation="identity")
    with np.errstate(all="ignore"), pytest.raises(tw.errors.NonFiniteError):
        net.fit(X, y)
    assert not hasattr(net, "net_")
    with np.errstate(all="ignore"), pytest.raises(tw.errors.NonFiniteError, match="partial_fit"):
        deque((net.partial_fit(X, y) for _ in range(200)), maxlen=0)


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_layer_sizes": (0,)},
        {"activation": "swish"},
        {"solver": "newton"},
        {"learning_rate_init": 0.0},
        {"learning_rate": "adaptive"},
        {"alpha": -1},
        {"batch_size": 0},
        {"max_iter": 0},
        {"tol": "small"},
        {"n_iter_no_change": 0},
        {"validation_fraction": 1.0},
        {"calibration_fraction": 1.0},
        {"head": Categorical(3)},
        {"max_iter": 1.5},
        {"batch_size": 7.5},
        {"hidden_layer_sizes": None},
        {"hidden_layer_sizes": 4.0},
        {"activation": ["relu"]},
        {"head": "normal"},
        {"head": MixtureDensity(2, event=(3,))},
        {"solver": "lbfgs", "early_stopping": True},
    ],
    ids=str,
)
def test_parameters_are_checked_by_name(wrong):
    with pytest.raises(ValueError, match=next(reversed(wrong))):
        NetRegressor(**wrong).fit(*curve())


def test_mistakes_with_classes():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="classes must be passed"):
        NetClassifier().partial_fit(X, y)
    net = NetClassifier((4,)).partial_fit(X[:100], y[:100], classes=[0, 1])
    with pytest.raises(ValueError, match="label '2'"):
        net.partial_fit(X, y)
    with pytest.raises(ValueError, match="the first call had"):
        net.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="dict of weights"):
        NetClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="one class"):
        NetClassifier().fit(X, np.zeros(len(X), int))
    warm = quiet(NetClassifier((4,), warm_start=True, max_iter=1), X[:100], y[:100])
    with pytest.raises(ValueError, match="warm_start"):
        warm.fit(X, y)


def test_a_row_of_weight_0_is_not_calibrated_with():
    X, y = curve()
    weights = np.r_[np.zeros(len(X) // 2), np.ones(len(X) - len(X) // 2)]
    options = {"calibration_fraction": 0.3, "max_iter": 2, "random_state": 0}
    net = NetRegressor((4,), **options)
    found = quiet(net, X, y, weights).predict_interval(X[:3], 0.5)
    half = weights > 0
    np.testing.assert_array_equal(found, quiet(net, X[half], y[half]).predict_interval(X[:3], 0.5))
    with pytest.raises(ValueError, match="sample_weight"):
        net.fit(X, y, np.ones(len(X) + 5))


def test_mistakes_with_rows():
    X, y = curve()
    with pytest.raises(NotFittedError):
        NetRegressor().predict_interval(X)
    with pytest.raises(ValueError, match="negative"):
        NetRegressor().fit(X, y, -np.ones(len(X)))
    with pytest.raises(ValueError, match=r"non-zero|every weight is 0"):
        NetRegressor().fit(X, y, np.zeros(len(X)))
    with pytest.raises(ValueError, match="sum of the weights is beyond float64"):
        NetRegressor().fit(X, y, np.full(len(X), 1e308))
    with pytest.raises(ValueError, match="too few samples"):
        NetRegressor(early_stopping=True).fit(X[:3], y[:3])
    net = quiet(NetRegressor((4,), max_iter=1), X, y)
    with pytest.raises(ValueError, match="level"):
        net.predict_interval(X, 1.5)
    with pytest.raises(ValueError, match="mini-batches"):
        NetRegressor(solver="lbfgs").partial_fit(X, y)
    with pytest.raises(ValueError, match="calibration_fraction"):
        NetRegressor(calibration_fraction=0.2).partial_fit(X, y)
    with pytest.raises(ValueError, match="targets of shape"):
        net.partial_fit(X, np.stack([y, y], axis=1))


# ---- parts --------------------------------------------------------------------------------------


def test_a_holdout_has_its_share_of_every_label():
    labels = np.repeat([0, 1, 2], [100, 40, 10])
    for seed in range(5):
        inside, outside = holdout(150, 0.2, np.random.default_rng(seed), labels)
        assert np.array_equal(np.sort(np.concatenate([inside, outside])), np.arange(150))
        assert np.all(np.abs(np.bincount(labels[outside]) - [20, 8, 2]) <= 1)


def test_scaling_of_constant_and_huge_columns():
    x = np.stack([np.full(5, 1e9 / 3), 1e200 * np.arange(5.0), np.arange(5.0)], axis=1)
    scaling = Scaling.of(x)
    z = scaling(x)
    assert np.isfinite(z).all()
    assert scaling.std[0] == 1
    np.testing.assert_allclose(scaling.undo(z), x, rtol=1e-12)
