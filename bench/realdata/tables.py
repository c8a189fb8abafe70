"""Digits, breast cancer and diabetes beside scikit-learn's own: one seed's figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import KFold, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg.heads import GaussianDistribution
from thalweg.sklearn import NetClassifier, NetRegressor

__all__ = ["LEVEL", "cancer", "diabetes", "digits"]

LEVEL = 0.9
Figures = dict[str, dict[str, float]]


def _classifiers(load: Callable[..., Any], seed: int) -> Figures:
    """A quarter of the rows held out, of each class alike."""
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    found = {}
    for name, estimator in (
        ("NetClassifier", NetClassifier(random_state=seed)),
        (
            "StandardScaler, MLPClassifier",
            make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
        ),
    ):
        start = time.perf_counter()
        estimator.fit(X, y)
        found[name] = {
            "seconds": time.perf_counter() - start,
            "accuracy": estimator.score(X_test, y_test),
            "NLL": log_loss(y_test, estimator.predict_proba(X_test)),
        }
    return found


def digits(seed: int) -> Figures:
    """64 grey values, ten digits; both with their default parameters."""
    return _classifiers(load_digits, seed)


def cancer(seed: int) -> Figures:
    """30 numbers, two classes; both with their default parameters."""
    return _classifiers(load_breast_cancer, seed)


def _ours(seed: int, **options: Any) -> Callable[..., Any]:
    """Mean, interval and log-density of held-out rows by a network with a Gaussian head."""

    def run(X: Any, y: Any, X_test: Any, y_test: Any) -> Any:
        net = NetRegressor(
            (32,), activation="tanh", solver="lbfgs", alpha=0.1, max_iter=1000, tol=1e-3,
            random_state=seed, **options,
        )  # fmt: skip
        net.fit(X, y)
        p = net.predict_dist(X_test)
        return p.mean, net.predict_interval(X_test, LEVEL), p.log_prob(y_test)

    return run


def _bayesian(X: Any, y: Any, X_test: Any, y_test: Any) -> Any:
    mean, std = BayesianRidge().fit(X, y).predict(X_test, return_std=True)
    p = GaussianDistribution(mean, std)
    return mean, p.interval(LEVEL), p.log_prob(y_test)


def _boosted(seed: int) -> Callable[..., Any]:
    def run(X: Any, y: Any, X_test: Any, y_test: Any) -> Any:
        options = {"n_estimators": 100, "max_depth": 2, "random_state": seed}
        ends = [
            GradientBoostingRegressor(loss="quantile", alpha=q, **options).fit(X, y)
            for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        ]
        middle = GradientBoostingRegressor(**options).fit(X, y)
        return middle.predict(X_test), [end.predict(X_test) for end in ends], None

    return run


def _perceptron(seed: int) -> Callable[..., Any]:
    def run(X: Any, y: Any, X_test: Any, y_test: Any) -> Any:
        net = make_pipeline(
            StandardScaler(),
            MLPRegressor(hidden_layer_sizes=(32,), max_iter=1000, random_state=seed),
        ).fit(X, y)
        return net.predict(X_test), None, None

    return run


def _folds(X: Any, y: Any, seed: int) -> Iterator[Any]:
    for train, test in KFold(5, shuffle=True, random_state=seed).split(X):
        yield X[train], y[train], X[test], y[test]


def diabetes(seed: int) -> Figures:
    """Ten numbers, progression after a year; every row is held out once, in five folds."""
    X, y = load_diabetes(return_X_y=True)
    found = {}
    for name, run in (
        ("NetRegressor", _ours(seed)),
        ("NetRegressor, calibrated", _ours(seed, calibration_fraction=0.25)),
        ("BayesianRidge", _bayesian),
        ("GradientBoosting, quantiles", _boosted(seed)),
        ("StandardScaler, MLPRegressor", _perceptron(seed)),
    ):
        start = time.perf_counter()
        targets, means, inside, widths, logs = [], [], [], [], []
        for fold in _folds(X, y, seed):
            mean, ends, log = run(*fold)
            targets.append(fold[3])
            means.append(mean)
            if ends is not None:
                inside.append((ends[0] <= fold[3]) & (fold[3] <= ends[1]))
                widths.append(ends[1] - ends[0])
            logs += [] if log is None else [log]
        figures = {
            "seconds": time.perf_counter() - start,
            "R²": r2_score(np.concatenate(targets), np.concatenate(means)),
        }
        if inside:
            figures["coverage of 90 %"] = float(np.mean(np.concatenate(inside)))
            figures["mean width"] = float(np.mean(np.concatenate(widths)))
        if logs:
            figures["NLL"] = -float(np.mean(np.concatenate(logs)))
        found[name] = figures
    return found
