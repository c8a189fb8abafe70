"""Draw docs/patterns.png, where Jacobians have their entries: ``python -m tools.patterns [FILE]``.

Needs matplotlib.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import thalweg as tw

__all__ = ["PATTERNS", "Pattern", "draw"]

PATH = Path(__file__).resolve().parents[1] / "docs" / "patterns.png"


class Pattern(NamedTuple):
    """A function and a point; `order` 2 for the Hessian."""

    title: str
    function: Callable[..., Any]
    x: Any
    order: int = 1

    def jacobian(self) -> tw.Jacobian:
        """The Jacobian or Hessian as an operator."""
        make = tw.jacobian if self.order == 1 else tw.hessian
        found: tw.Jacobian = make(self.function, form="operator")(self.x)
        return found


def _rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _brusselator(w: Any) -> Any:
    u, v = w

    def spread(a: Any) -> Any:
        return sum(np.roll(a, s, k) for s in (1, -1) for k in (0, 1)) - 4 * a

    reaction = u * u * v
    return np.stack([1 + reaction - 4.4 * u + spread(u), 3.4 * u - reaction + spread(v)])


def _arrow(x: Any) -> Any:
    return np.sum((x[:-1] ** 2 + x[-1] ** 2) ** 2)


def _bundle(z: Any) -> Any:
    """Two numbers for each of 24 observations: of 3 cameras (6 numbers each) and 8 points (3)."""
    seen = np.arange(24)
    camera, point = np.reshape(z[:18], (3, 6))[seen % 3], np.reshape(z[18:], (8, 3))[seen // 3]
    moved = np.sin(camera[:, :3]) * point + camera[:, 3:]
    return moved[:, :2] / moved[:, 2:]


_RNG = np.random.default_rng(0)
_W = _RNG.standard_normal((5, 4))
_X = _RNG.uniform(0.5, 1.5, (8, 5))
_TAPS = np.array([0.25, 0.5, 1.0, 0.5, 0.25])

PATTERNS = [
    Pattern("tanh of a batch", np.tanh, _X),
    Pattern("X W + b, by X", lambda X: X @ _W, _X),
    Pattern("X W + b, by W", lambda W: _X @ W, _W),
    Pattern("softmax of each row", lambda X: tw.scipy.special.softmax(X, axis=1), _X),
    Pattern("Rosenbrock, Hessian", _rosenbrock, np.linspace(-1, 1, 32), 2),
    Pattern("Brusselator, 5 × 5 × 2", _brusselator, _RNG.uniform(0.5, 1.5, (2, 5, 5))),
    Pattern("arrow, Hessian", _arrow, np.linspace(0.5, 1.5, 32), 2),
    Pattern("bundle adjustment", _bundle, _RNG.uniform(0.5, 1.5, 42)),
]


def draw(path: Path, pyplot: Any) -> None:
    """Write the picture; ``pyplot`` is matplotlib's."""
    figure, axes = pyplot.subplots(2, 4, figsize=(11, 6.2))
    for axis, pattern in zip(axes.flat, PATTERNS, strict=True):
        J = pattern.jacobian()
        m, n = J.shape
        axis.spy(J.pattern, markersize=170 / max(m, n), color="#0b5f8a")
        axis.set_title(pattern.title, fontsize=11)
        axis.set_xlabel(f"{J.kind}\n{m} × {n}, {J.nnz} entries", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout(h_pad=2.5)
    figure.savefig(path, dpi=90)


def main(arguments: list[str] | None = None) -> int:
    """Draw into the file that is named, or into the documentation."""
    given = sys.argv[1:] if arguments is None else arguments
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    draw(Path(given[0]) if given else PATH, importlib.import_module("matplotlib.pyplot"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
