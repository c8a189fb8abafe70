"""Rows of classes: Bernoulli on the breast cancer set, Categorical on digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg import plots
from thalweg.heads import Bernoulli, Categorical, evaluate
from thalweg.mnist import images
from thalweg.nn import MLP
from thalweg.optim import AdamW
from thalweg.optional import library
from thalweg.rows.catalogue import Setting
from thalweg.rows.row import Outcome, outcome, parts, standardised, trained

__all__ = ["bernoulli", "categorical"]


def _trained(head: Any, net: Any, train: Any, held: Any, setting: Setting, rate: float) -> Any:
    """The network with the lowest validation loss."""

    def loss(net: Any, x: Any, y: Any) -> Any:
        p = head(net(x))
        return np.mean(p.nll(y)), {"accuracy": np.mean(p.mode == y)}

    rule = AdamW(rate, decay=0.02)
    return trained(net, loss, (train, held), setting, rule, patience=20)


def _metrics(p: Any, probabilities: Any, y: Any) -> dict[str, float]:
    return {
        "accuracy": float(np.mean(p.mode == y)),
        "NLL": evaluate.nll(p, y),
        "Brier score": evaluate.brier(probabilities, y),
        "calibration error": evaluate.reliability(probabilities, y).ece,
    }


def _reliability(panel: Any, probabilities: Any, y: Any) -> None:
    curve = evaluate.reliability(probabilities, y)
    panel.plot([0, 1], [0, 1], color="grey", linewidth=1)
    full = curve.count > 0
    panel.plot(curve.confidence[full], curve.frequency[full], marker="o")
    panel.set(title="reliability", xlabel="said to be", ylabel="came true")
    panel.grid(alpha=0.3)


def bernoulli(setting: Setting) -> Outcome:
    """Benign or malignant, of the breast cancer set."""
    bunch = library("sklearn.datasets", "the breast cancer set").load_breast_cancer()
    train, held, test = parts(len(bunch.target), setting.seed, 0.2, 0.25)
    x, y = standardised(bunch.data, bunch.data[train]), bunch.target.astype(float)
    head = Bernoulli()
    net = MLP.create(setting.seed, (x.shape[1], 16, head.n_features), activation=np.tanh)
    fitted = _trained(head, net, (x[train], y[train]), (x[held], y[held]), setting, 0.005)
    p, found = head(fitted.best(x[test])), y[test]
    probability = np.asarray(p.mean)

    def draw() -> Any:
        figure, (left, right) = plots.panels(2)
        for value, name in enumerate(bunch.target_names):
            left.hist(probability[found == value], np.linspace(0, 1, 21), alpha=0.6, label=name)
        left.set(title="p of held-out rows", xlabel=f"p({bunch.target_names[1]})", ylabel="rows")
        left.legend()
        _reliability(right, probability, found)
        return figure

    return outcome(fitted, _metrics(p, probability, found.astype(int)), draw)


def _digits(setting: Setting) -> tuple[Any, Any, Any]:
    """(x, y) to train with, to validate, to test."""
    if setting.data == "mnist":
        x, y, test_x, test_y = images()
        train, held = parts(len(x), setting.seed, 0.1)
        return (x[train], y[train]), (x[held], y[held]), (test_x, test_y)
    x, y = library("sklearn.datasets", "the digits").load_digits(return_X_y=True)
    x = x / 16
    train, held, test = parts(len(x), setting.seed, 0.15, 0.25)
    return (x[train], y[train]), (x[held], y[held]), (x[test], y[test])


def categorical(setting: Setting) -> Outcome:
    """Which digit an image shows."""
    train, held, (x, y) = _digits(setting)
    head = Categorical(10)
    sizes = (x.shape[1], 128, head.n_features)
    net = MLP.create(setting.seed, sizes, dtype=x.dtype)
    fitted = _trained(head, net, train, held, setting, 0.002)
    p = head(fitted.best(x))
    probabilities = np.asarray(p.probabilities)
    wrong = np.flatnonzero(np.argmax(probabilities, axis=1) != y)
    least_sure = np.argsort(probabilities.max(axis=1))
    side = round(x.shape[1] ** 0.5)

    def draw() -> Any:
        figure, (left, right) = plots.panels(2)
        shown = [*wrong, *least_sure[~np.isin(least_sure, wrong)]][:30]
        rest = 30 - len(wrong)
        title = f"{len(wrong)} of {len(y)} wrong, " + (
            f"{rest} least sure" if rest > 0 else "30 shown"
        )
        plots.tiles(left, x[shown].reshape(-1, side, side), title, columns=6)
        _reliability(right, probabilities, y)
        return figure

    return outcome(fitted, _metrics(p, probabilities, y), draw)
