"""`thalweg.sklearn`: one fit after another, by `fit`, warm starts and `partial_fit`."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import thalweg as tw
from thalweg.sklearn import MADEDensity, NetClassifier, NetRegressor, VAETransformer

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (120, 2))
Y = X[:, 0] ** 2 - X[:, 1] + 0.1 * RNG.standard_normal(120)


def quiet(estimator, *args, **options):
    """Fitted, whether it has converged or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*args, **options)


def test_partial_fit_on_the_same_rows_is_fit():
    X, y = load_iris(return_X_y=True)
    options = {"shuffle": False, "batch_size": 40, "random_state": 0}
    whole = quiet(NetClassifier((8,), max_iter=4, **options), X, y)
    parts = NetClassifier((8,), **options)
    for _ in range(4):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    for a, b in zip(*(tw.tree.flatten(net.net_)[0] for net in (whole, parts)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-9)
    assert parts.n_iter_ == whole.n_iter_ == 4


def test_a_warm_start_goes_on():
    options = {"solver": tw.optim.SGD(0.1), "shuffle": False, "random_state": 0}
    whole = quiet(NetRegressor((8,), max_iter=6, **options), X, Y)
    warm = NetRegressor((8,), max_iter=3, warm_start=True, **options)
    quiet(quiet(warm, X, Y), X, Y)
    np.testing.assert_allclose(warm.predict(X), whole.predict(X), rtol=1e-9)
    cold = quiet(warm.set_params(warm_start=False), X, Y)
    assert not np.allclose(cold.predict(X), whole.predict(X))


def test_passes_with_an_optimiser_for_each_group():
    def group(path, leaf):
        return "W" if path.endswith("W") else "b"

    rule = tw.optim.Groups(group, W=tw.optim.Adam(0.01), b=tw.optim.SGD(0.01))
    options = {"solver": rule, "shuffle": False, "random_state": 0}
    whole = quiet(NetRegressor((4,), max_iter=2, **options), X, Y)
    parts = NetRegressor((4,), **options).partial_fit(X, Y).partial_fit(X, Y)
    np.testing.assert_allclose(parts.predict(X), whole.predict(X), rtol=1e-9)


def test_curves_are_those_of_the_last_fit():
    net = NetRegressor((4,), early_stopping=True, max_iter=2, warm_start=True, random_state=0)
    quiet(net, X, Y)
    assert len(net.validation_curve_) == len(net.loss_curve_) == 2
    quiet(net.set_params(early_stopping=False, max_iter=3), X, Y)
    assert len(net.loss_curve_) == net.n_iter_ == 3
    assert not hasattr(net, "validation_curve_")
    quiet(net.set_params(early_stopping=True), X, Y).partial_fit(X, Y)
    assert len(net.loss_curve_) == net.n_iter_ == 4
    assert not hasattr(net, "validation_curve_")
    quiet(net.set_params(early_stopping=False, solver="lbfgs"), X, Y)
    assert not hasattr(net, "loss_curve_")
    net.set_params(solver="adam").partial_fit(X, Y)
    assert net.loss_curve_ == [net.loss_]


def attributes(net):
    return pickle.dumps(vars(net))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_fit_that_fails_leaves_what_was_there(method):
    """Not the new scaling or classes beside the old net."""
    diverging = {"solver": tw.optim.SGD(1e9), "activation": "relu", "batch_size": 1}
    for net, y in (
        (NetRegressor((4,), "squared_error"), 1000 * Y),
        (NetClassifier((4,)), np.arange(len(Y)) % 2),
        (MADEDensity("gaussian", hidden_layer_sizes=(4,)), None),
        (VAETransformer(1, hidden_layer_sizes=(4,)), None),
    ):
        net = quiet(clone(net).set_params(max_iter=1), X, None if y is None else y[::-1])
        net.set_params(**{k: v for k, v in diverging.items() if k in net.get_params()})
        if isinstance(net, NetClassifier) and method == "fit":
            y = y + 5
        before = attributes(net)
        with np.errstate(all="ignore"), pytest.raises(tw.errors.NonFiniteError):
            getattr(net, method)(1e3 * X + 7, y)
        assert attributes(net) == before


@pytest.mark.parametrize(
    ("net", "other"),
    [
        (NetClassifier((4,)), {"hidden_layer_sizes": (5,)}),
        (NetRegressor((4,)), {"activation": "tanh"}),
        (MADEDensity(hidden_layer_sizes=(4,)), {"head": "laplace"}),
        (MADEDensity(hidden_layer_sizes=(4,)), {"orders": 2}),
        (VAETransformer(1, hidden_layer_sizes=(4,)), {"n_components": 2}),
        (VAETransformer(1, hidden_layer_sizes=(4,)), {"head": "bernoulli"}),
    ],
)
def test_a_net_that_is_there_does_not_follow_other_sizes(net, other):
    X, y = np.random.default_rng(0).random((20, 2)), np.arange(20) % 2
    net = clone(net).set_params(max_iter=1, warm_start=True)
    quiet(quiet(net, X, y).set_params(hidden_layer_sizes=[4]), X, y)  # the same, said otherwise
    net.set_params(**other)
    (name,) = other
    with pytest.raises(ValueError, match=f"{name}=.*the earlier fit had"):
        net.fit(X, y)
    with pytest.raises(ValueError, match=f"{name}=.*the earlier fit had"):
        net.partial_fit(X, y)
    quiet(net.set_params(warm_start=False), X, y)


def test_warm_starts_and_passes_go_on_with_what_is_there():
    net = quiet(NetRegressor((4,), warm_start=True, max_iter=1), X, Y)
    with pytest.raises(ValueError, match=f"X has 1 features, the earlier fit had {X.shape[1]}"):
        net.fit(X[:, :1], Y)
    net = quiet(NetRegressor((4,), warm_start=True, max_iter=1), X, Y).set_params(head="mixture")
    with pytest.raises(ValueError, match="head='mixture': the earlier fit had Gaussian"):
        net.fit(X, Y)
    net = quiet(NetRegressor((4,), max_iter=1), X, Y)
    means = net.predict(X)
    np.testing.assert_array_equal(net.set_params(head="squared_error").predict(X), means)
    net = NetRegressor((4,)).partial_fit(X, Y).set_params(head="laplace")
    with pytest.raises(ValueError, match="head='laplace'"):
        net.partial_fit(X, Y)


def test_one_label_a_row_and_several_are_not_mixed():
    one = (Y > 0).astype(int)
    several = np.stack([one, 1 - one], axis=1)
    options = {"max_iter": 1, "warm_start": True, "random_state": 0}
    for first, second, told in (
        (one, several, "y has several labels a row, the earlier fit had one label"),
        (several, one, "y has one label a row, the earlier fit had several labels"),
    ):
        net = quiet(NetClassifier((4,), **options), X, first)
        with pytest.raises(ValueError, match=told):
            net.fit(X, second)
        with pytest.raises(ValueError, match=r"y should be a 1d array|had 2 labels a row"):
            net.partial_fit(X, second)
        np.testing.assert_array_equal(net.predict(X).shape, first.shape)
    with pytest.raises(ValueError, match="the earlier fit had 2 labels a row"):
        net.partial_fit(X, np.stack([one] * 3, axis=1))
