"""Rows of numbers: Gaussian on the diabetes set, a mixture density on irises."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg import plots
from thalweg.heads import Gaussian, MixtureDensity, evaluate
from thalweg.nn import MLP, Affine, Sequential
from thalweg.optim import AdamW
from thalweg.optional import library
from thalweg.rows.catalogue import Setting
from thalweg.rows.row import Outcome, outcome, parts, standardised, trained
from thalweg.training import Fitted

__all__ = ["gaussian", "mixture"]

_LEVELS = np.linspace(0.05, 0.95, 19)


def _trained(head: Any, net: Any, train: Any, held: Any, setting: Setting, decay: float) -> Fitted:
    def loss(net: Any, x: Any, y: Any) -> Any:
        return np.mean(head.cost(net(x), y))

    rule = AdamW(0.003, decay=decay)
    return trained(net, loss, (train, held), setting, rule, patience=60)


def _metrics(p: Any, y: Any, train: Any) -> dict[str, float]:
    return {
        "NLL": evaluate.nll(p, y),
        "MSLL": evaluate.msll(p, y, train),
        "CRPS": float(np.mean(evaluate.crps(p, y))),
        "RMSE": float(np.sqrt(np.mean((p.mean - y) ** 2))),
        "coverage of 90 %": evaluate.coverage(p, y, 0.9),
    }


def _calibration(panel: Any, p: Any, y: Any) -> None:
    panel.plot([0, 1], [0, 1], color="grey", linewidth=1)
    panel.plot(_LEVELS, [evaluate.coverage(p, y, level) for level in _LEVELS], marker=".")
    panel.set(title="intervals", xlabel="level", ylabel="targets inside")
    panel.grid(alpha=0.3)


def _transform(panel: Any, p: Any, y: Any) -> None:
    panel.axhline(1, color="grey", linewidth=1)
    panel.hist(evaluate.pit(p, y), np.linspace(0, 1, 11), density=True, alpha=0.6)
    panel.set(title="probability integral transform", xlabel="F(target)", ylabel="density")


def gaussian(setting: Setting) -> Outcome:
    """The progression of diabetes in a year."""
    bunch = library("sklearn.datasets", "the diabetes set").load_diabetes()
    train, held, test = parts(len(bunch.target), setting.seed, 0.2, 0.25)
    x, y = (
        standardised(bunch.data, bunch.data[train]),
        standardised(bunch.target, bunch.target[train]),
    )
    head = Gaussian()
    net = MLP.create(setting.seed, (x.shape[1], 16, head.n_features), activation=np.tanh)
    fitted = _trained(head, net, (x[train], y[train]), (x[held], y[held]), setting, 0.3)
    p, found = head(fitted.best(x[test])), y[test]

    def draw() -> Any:
        figure, (left, right, last) = plots.panels(3)
        order = np.argsort(p.mean)
        low, high = (end[order] for end in p.interval(0.9))
        places = np.arange(len(order))
        left.fill_between(places, low, high, alpha=0.3, label="90 % interval")
        left.plot(places, p.mean[order], label="mean")
        left.plot(places, found[order], ".", color="black", markersize=3, label="target")
        left.set(title="held-out rows, by their mean", ylabel="progression, standardised")
        left.legend(fontsize="small")
        _calibration(right, p, found)
        _transform(last, p, found)
        return figure

    return outcome(fitted, _metrics(p, found, y[train]), draw)


def mixture(setting: Setting) -> Outcome:
    """The length of an iris petal, given the width of a sepal: short ones and long ones."""
    bunch = library("sklearn.datasets", "the irises").load_iris()
    width, length = bunch.data[:, 1:2], bunch.data[:, 2]  # of the sepal; of the petal, in cm
    train, held, test = parts(len(length), setting.seed, 0.2, 0.25)
    x = standardised(width, width[train])
    head = MixtureDensity(3, min_scale=0.05)
    hidden = MLP.create(setting.seed, (1, 16), activation=np.tanh)
    last = Affine.create(setting.seed + 1, 16, head.n_features)
    net = Sequential((hidden, np.tanh, Affine(0.1 * last.W, head.start(length[train]))))
    fitted = _trained(head, net, (x[train], length[train]), (x[held], length[held]), setting, 0.01)
    p, found = head(fitted.best(x[test])), length[test]

    def draw() -> Any:
        figure, (left, right, last) = plots.panels(3)
        seen = np.linspace(width.min(), width.max(), 120)
        value = np.linspace(0, 8, 200)
        each = head(fitted.best(standardised(seen[:, None], width[train])))
        density = np.exp(each.log_prob(np.tile(value[:, None], (1, len(seen)))))
        left.pcolormesh(seen, value, density, shading="auto", cmap="Blues")
        left.plot(seen, each.mean, color="grey", linewidth=1, label="mean")
        left.plot(width[test], found, ".", color="black", markersize=4, label="held out")
        left.set(title="p(petal length | sepal width)", xlabel="sepal width, cm")
        left.set(ylabel="petal length, cm")
        left.legend(fontsize="small")
        _calibration(right, p, found)
        _transform(last, p, found)
        return figure

    return outcome(fitted, _metrics(p, found, length[train]), draw)
