"""Bishop's inverse problem: x ~ U(0, 1), t = x + 0.3 sin 2πx + U(−0.1, 0.1), model p(x|t)."""

from __future__ import annotations

import importlib
import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.heads import MixtureDensity
from thalweg.sklearn import NetRegressor, neg_nll

__all__ = ["bishop", "optimum", "picture"]

_NOISE = 0.1
_TEST_SEED = 2026


def _curve(x: Any) -> Any:
    return x + 0.3 * np.sin(2 * np.pi * x)


def _density(t: np.ndarray, n: int = 200_000) -> np.ndarray:
    """p(t), by a fine grid of x."""
    heights = np.sort(_curve((np.arange(n) + 0.5) / n))
    inside = np.searchsorted(heights, t + _NOISE) - np.searchsorted(heights, t - _NOISE)
    return inside / (n * 2 * _NOISE)


def optimum(n: int = 200_001) -> float:
    """The mean NLL of the true p(x|t): h(x|t) = h(t|x) + h(x) − h(t), with h(x) = 0."""
    t = np.linspace(-0.2, 1.2, n)
    p = _density(t)
    entropy = -np.trapezoid(np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0), t)
    return float(np.log(2 * _NOISE) - entropy)


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs t, of shape (n, 1), and targets x, in float32."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, n)
    t = _curve(x) + rng.uniform(-_NOISE, _NOISE, n)
    return t[:, None].astype(np.float32), x.astype(np.float32)


def _net(seed: int) -> NetRegressor:
    return NetRegressor(
        (64, 64),
        MixtureDensity(30, min_scale=0.01),
        "silu",
        learning_rate="cosine",
        learning_rate_init=0.005,
        max_iter=60,
        batch_size=500,
        alpha=0.0,
        random_state=seed,
    )


def bishop(seed: int) -> dict[str, dict[str, float]]:
    """30,000 rows to train on, 20,000 to test; torch, if it is there, begins with our weights."""
    t, x = draw(30_000, seed)
    t_test, x_test = draw(20_000, _TEST_SEED)
    net = _net(seed)
    start = time.perf_counter()
    net.fit(t, x)
    seconds = time.perf_counter() - start
    found = {
        "NetRegressor(head=MixtureDensity(30))": {
            "seconds": seconds,
            "NLL": -neg_nll(net, t_test, x_test),
            "NLL − optimum": -neg_nll(net, t_test, x_test) - optimum(),
        }
    }
    if importlib.util.find_spec("torch") is not None:
        with_torch = importlib.import_module("bench.realdata.with_torch")
        start_net = _net(seed).set_params(max_iter=1, learning_rate_init=1e-12).fit(t, x)
        start = time.perf_counter()
        nll = with_torch.train(start_net, t, x, seed, epochs=60, batch=500, rate=0.005)
        seconds = time.perf_counter() - start
        score = nll(t_test, x_test)
        found["torch, the same network"] = {
            "seconds": seconds,
            "NLL": score,
            "NLL − optimum": score - optimum(),
        }
    return found


def picture(path: Path) -> None:
    """Left: p(x|t) of a trained net in grey, draws of the data over it. Right: three cuts."""
    plt = importlib.import_module("matplotlib.pyplot")
    net = _net(0).fit(*draw(30_000, 0))
    t_data, x_data = draw(400, 1)
    side = np.linspace(-0.05, 1.05, 441, dtype=np.float32)
    grid = np.linspace(-0.1, 1.1, 301, dtype=np.float32)
    p = net.predict_dist(grid[:, None])
    density = np.exp(np.stack([p.log_prob(np.full(len(grid), x)) for x in side]))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8, 3.2), layout="constrained", width_ratios=[3, 2]
    )
    extent = (grid[0], grid[-1], side[0], side[-1])
    left.imshow(density, origin="lower", extent=extent, aspect="auto", cmap="Greys", vmax=8, vmin=0)
    left.plot(t_data[:, 0], x_data, ".", color="tab:red", markersize=2)
    left.set(xlabel="t", ylabel="x", title="p(x|t), and 400 draws of the data")
    for place, colour in ((0.3, "tab:blue"), (0.5, "tab:orange"), (0.8, "tab:green")):
        left.axvline(place, color=colour, linewidth=1)
        q = net.predict_dist(np.full((len(side), 1), place, np.float32))
        right.plot(side, np.exp(q.log_prob(side)), color=colour, label=f"t = {place}")
        true = np.where(np.abs(place - _curve(side)) < _NOISE, 1.0, 0.0)
        true[(side < 0) | (side > 1)] = 0
        right.plot(side, true / np.trapezoid(true, side), color=colour, linewidth=0.8, ls="--")
    right.set(xlabel="x", title="cuts; dashed: the truth")
    right.legend(frameon=False)
    figure.savefig(path, dpi=90)
