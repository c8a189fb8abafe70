"""Draw the pictures of the documentation: ``python -m tools.pictures [NAME …]``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.datasets import load_breast_cancer

import thalweg as tw
from thalweg import heads, plots
from thalweg.rows.catalogue import ROWS, Setting

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"


def _row(name: str) -> Any:
    row = ROWS[name]
    return row.train(Setting(row.data[0], row.epochs, progress=False)).draw()


def _tails() -> Any:
    """Densities of three heads, and how hard a target pulls at the location."""
    t = np.linspace(-6, 6, 401)
    figure, (left, right) = plots.panels(2)
    for name, head in (
        ("Gaussian", heads.Gaussian()),
        ("Laplace", heads.Laplace()),
        ("StudentT(3)", heads.StudentT(3)),
    ):

        def cost(location: Any, head: Any = head) -> Any:
            raw = np.stack([location, np.zeros_like(location)], axis=-1)
            return np.sum(head(raw).nll(t))

        p = head(np.zeros((len(t), 2)))
        left.semilogy(t, np.exp(p.log_prob(t)), label=name)
        right.plot(t, -tw.grad(cost)(np.zeros_like(t)), label=name)
    left.set(title="density, scale 1", xlabel="target − location", ylim=(1e-6, 1))
    right.set(title="pull of a target on the location", xlabel="target − location")
    right.legend()
    for panel in (left, right):
        panel.grid(alpha=0.3)
    return figure


def _poisson() -> Any:
    """Two Poisson distributions, and counts that vary more than their mean."""
    rng = np.random.default_rng(0)
    rate = 8.0
    counts = rng.negative_binomial(4, 4 / (4 + rate), 4000)
    p = heads.Poisson()(np.full(1, np.log(counts.mean())))
    k = np.arange(31)
    figure, (left, right) = plots.panels(2)
    for mean in (1.0, 4.0, 12.0):
        q = heads.Poisson()(np.full((len(k), 1), np.log(mean)))
        left.plot(k, np.exp(q.log_prob(k)), ".-", label=f"λ = {mean:g}")
    left.set(title="probability of a count", xlabel="count")
    left.legend()
    right.hist(counts, np.arange(32) - 0.5, density=True, alpha=0.5, label="overdispersed counts")
    q = heads.Poisson()(np.full((len(k), 1), np.log(counts.mean())))
    right.plot(k, np.exp(q.log_prob(k)), ".-", label="Poisson of their mean")
    low, high = p.interval(0.9)
    inside = np.mean((counts >= low) & (counts <= high))
    right.set(title=f"its 90 % interval holds {inside:.0%}", xlabel="count")
    right.legend()
    return figure


def _rosenbrock(p: Any) -> Any:
    x, y = p
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def _ravine(p: Any) -> Any:
    x, y = p
    return 0.5 * (x * x + 40 * y * y)


def _path(f: Callable[[Any], Any], rule: Any, start: Any, steps: int) -> np.ndarray:
    @tw.compile
    def step(state: Any, p: Any) -> Any:
        return rule.update(state, tw.grad(f)(p), p)

    p, state = np.array(start), rule.init(np.array(start))
    path = [p]
    for _ in range(steps):
        state, p = step(state, p)
        path.append(p)
    return np.array(path)


def _steps_of(minimise: Callable[..., Any], f: Callable[[Any], Any], start: Any) -> np.ndarray:
    """The points after 0, 1, 2, … steps."""
    path, k = [np.array(start)], 1
    while True:
        found = minimise(f, np.array(start), max_iterations=k)
        if found.iterations < k:
            return np.array(path)
        path.append(found.params)
        k += 1


def _paths() -> Any:
    """Paths on Rosenbrock's valley and in a ravine; below, the distance from the optimum."""
    o = tw.optim
    scenes = [
        ("Rosenbrock", _rosenbrock, [-1.2, 1.0], [1.0, 1.0], (-1.8, 1.8), (-0.7, 1.9), 2000,
         [o.SGD(0.001), o.Momentum(0.0005), o.RMSprop(0.005), o.Adam(0.03)]),
        ("a ravine, 40 : 1", _ravine, [-4.0, 1.0], [0.0, 0.0], (-4.5, 2.0), (-1.6, 1.6), 150,
         [o.SGD(0.045), o.Momentum(0.02, 0.8), o.RMSprop(0.05), o.Adam(0.15)]),
    ]  # fmt: skip
    figure, places = plots.panels(4, rows=2)
    for column, (name, f, start, best, xs, ys, steps, rules) in enumerate(scenes):
        map_, below = places[column], places[2 + column]
        grid = np.array(np.meshgrid(np.linspace(*xs, 200), np.linspace(*ys, 200)))
        map_.contour(*grid, np.log10(f(grid) + 1e-3), levels=18, colors="0.8", linewidths=0.7)
        paths = {f"{type(r).__name__}({r.rate:g})": _path(f, r, start, steps) for r in rules}
        paths["L-BFGS"] = _steps_of(o.minimize_lbfgs, f, start)
        paths["Newton"] = _steps_of(o.minimize_newton, f, start)
        for label, path in paths.items():
            mark = "o" if label in ("L-BFGS", "Newton") else None
            map_.plot(*path.T, linewidth=1.2, marker=mark, markersize=3)
            far = np.linalg.norm(path - best, axis=1)
            below.loglog(np.arange(1, len(far)), np.maximum(far[1:], 1e-12), label=label)
        map_.plot(*best, "*", color="black", markersize=10, zorder=5)
        map_.set(title=name, xlim=xs, ylim=ys)
        below.set(xlabel="steps", ylabel="distance from the optimum", ylim=(1e-12, 10))
        below.grid(alpha=0.3)
        below.legend(fontsize="x-small", loc="lower left")
    return figure


def _logistic() -> Any:
    """How far above the optimum each method is after so many evaluations."""
    x, y = load_breast_cancer(return_X_y=True)
    x = np.hstack([(x - x.mean(axis=0)) / x.std(axis=0), np.ones((len(x), 1))])
    sign, ridge = 2.0 * y - 1, 1e-3 * np.append(np.ones(x.shape[1] - 1), 0.0)

    def loss(w: Any) -> Any:
        return np.mean(np.logaddexp(0, -sign * (x @ w))) + 0.5 * np.sum(ridge * w * w)

    start = np.zeros(x.shape[1])
    best = tw.optim.minimize_newton(loss, start, tolerance=1e-14).value
    slope = tw.compile(tw.value_and_grad(loss))
    lines = {}
    for name, options in (("SciPy's default, differences", {}), ("SciPy's default", {"jac": True})):
        seen: list[float] = []

        def noted(w: Any, exact: bool = bool(options), seen: list[float] = seen) -> Any:
            value, gradient = slope(w)
            seen.append(float(value))
            return (value, gradient) if exact else value

        scipy.optimize.minimize(noted, start, **options)
        lines[name] = np.arange(1, len(seen) + 1), np.minimum.accumulate(seen)
    for name, minimise in (
        ("minimize_lbfgs", tw.optim.minimize_lbfgs),
        ("minimize_newton", tw.optim.minimize_newton),
    ):
        runs = [minimise(loss, start, max_iterations=k) for k in range(1, 60)]
        lines[name] = [r.evaluations for r in runs], [r.value for r in runs]
    figure, (panel,) = plots.panels(1)
    for name, (count, value) in lines.items():
        panel.loglog(count, np.maximum(np.array(value) - best, 1e-16), label=name)
    panel.set(title="logistic regression", xlabel="evaluations", ylabel="above the optimum")
    panel.grid(alpha=0.3)
    panel.legend(fontsize="x-small")
    return figure


PICTURES: dict[str, Callable[[], Any]] = {
    **{name: (lambda name=name: _row(name)) for name in ROWS},
    "tails": _tails,
    "poisson": _poisson,
    "paths": _paths,
    "logistic": _logistic,
}


def main() -> None:
    """Draw those that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    names = parser.parse_args().names or list(PICTURES)
    if unknown := set(names) - set(PICTURES):
        parser.error(f"no picture is called {sorted(unknown)[0]!r}: {', '.join(PICTURES)}")
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        print(plots.save(PICTURES[name](), FOLDER / f"{name}.png", dpi=72))


if __name__ == "__main__":
    main()
