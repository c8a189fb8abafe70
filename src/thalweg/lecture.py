"""The content of ``thalweg lecture``: every numbered part, its numbers computed when it is shown.

Each part is text and exhibits; an exhibit is a NumPy program (as text) with values, and its trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.api import grad
from thalweg.expression import parse
from thalweg.jacobian.structure import bytes_text
from thalweg.report.numbers import value_text
from thalweg.report.trace import Trace, trace
from thalweg.testing import check_grads

__all__ = ["PARTS", "Exhibit", "Part", "Table"]

NEURON = "1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))"


@dataclass(frozen=True)
class Table:
    """Rows under a heading."""

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Exhibit:
    """A program, run forward and backward.

    Attributes
    ----------
    caption : str
    program : str
        NumPy, as `thalweg.expression` reads it.
    values : dict
        Of its variables.
    """

    caption: str
    program: str
    values: dict[str, Any]

    def trace(self) -> Trace:
        """Run it."""
        function = parse(self.program).function(list(self.values))
        return trace(function, *self.values.values())


@dataclass(frozen=True)
class Part:
    """One numbered part: `show` computes what stands after the text."""

    number: int
    title: str
    text: tuple[str, ...]
    show: Callable[[], list[Exhibit | Table | str]]


def _array(*rows: Any) -> Any:
    return np.array(rows, dtype=float)


# ---- 0 ------------------------------------------------------------------------------------

SCORES = "s = W @ x; L = log(sum(exp(s))) - s[0]; R = 0.05 * sum(W * W); J = L + R"


def _where_gradients_are_needed() -> list[Exhibit | Table | str]:
    x = _array(1.0, 2.0)
    W = _array([0.1, -0.2], [0.3, 0.4], [-0.5, 0.2])
    objective = parse(SCORES).function(["W", "x"])
    rows = []
    for step in range(4):
        gradient = grad(objective)(W, x)
        rows.append((str(step), value_text(objective(W, x)), value_text(np.linalg.norm(gradient))))
        W = W - 0.1 * gradient
    return [
        Exhibit(
            "scores of three classes, loss for class 0, penalty, and the sum J",
            SCORES,
            {"W": _array([0.1, -0.2], [0.3, 0.4], [-0.5, 0.2]), "x": x},
        ),
        "Descent, W ← W - 0.1 ∂J/∂W:",
        Table(("step", "J", "‖∂J/∂W‖"), tuple(rows)),
    ]


# ---- 2 ------------------------------------------------------------------------------------

UNITS = Table(
    ("output", "distribution", "output layer", "cost"),
    (
        ("binary", "Bernoulli", "sigmoid", "binary cross-entropy"),
        ("discrete", "categorical (Multinoulli)", "softmax", "discrete cross-entropy"),
        ("continuous", "Gaussian", "linear", "Gaussian cross-entropy (squared error)"),
        ("continuous", "mixture of Gaussians", "mixture density", "cross-entropy"),
        ("continuous", "arbitrary", "GAN, VAE, FVBN", "various"),
    ),
)
BINARY = "p = 1 / (1 + exp(-s)); L = -(t * log(p) + (1 - t) * log(1 - p))"
DISCRETE = "L = log(sum(exp(s))) - s[1]"
GAUSSIAN = "L = (s - t) ** 2 / 2"


def _output_units() -> list[Exhibit | Table | str]:
    s, t = 0.8, 1.0
    binary = grad(parse(BINARY).function(["s", "t"]))(s, t)
    scores = _array(0.5, 1.5, -1.0)
    discrete = grad(parse(DISCRETE).function(["s"]))(scores)
    softmax = np.exp(scores) / np.exp(scores).sum()
    gaussian = grad(parse(GAUSSIAN).function(["s", "t"]))(s, t)
    return [
        UNITS,
        "With its own cost, each of the first three layers has the same gradient at its score: "
        "prediction minus target.",
        Table(
            ("layer", "∂L/∂s by the chain rule", "prediction - target"),
            (
                ("sigmoid", value_text(binary), value_text(1 / (1 + np.exp(-s)) - t)),
                ("softmax", value_text(discrete), value_text(softmax - _array(0, 1, 0))),
                ("linear", value_text(gaussian), value_text(s - t)),
            ),
        ),
    ]


# ---- 3 ------------------------------------------------------------------------------------


def _analytic_not_numerical() -> list[Exhibit | Table | str]:
    function = parse(NEURON).function(["w0", "x0", "w1", "x1", "w2"])
    point = (2.0, -1.0, -3.0, -2.0, -3.0)
    exact = grad(function)(*point)
    rows = []
    for h in (1e-1, 1e-4, 1e-7, 1e-10, 1e-13):
        shifted = [function(point[0] + sign * h, *point[1:]) for sign in (1, -1)]
        difference = (shifted[0] - shifted[1]) / (2 * h)
        rows.append((f"{h:g}", f"{difference:.12f}", f"{abs(difference - exact):.1e}"))
    return [
        f"∂f/∂w0 of the neuron of part 7, analytically: {exact:.12f}. By central differences:",
        Table(("step h", "(f(w0 + h) - f(w0 - h)) / 2h", "error"), tuple(rows)),
        "A difference takes two runs a parameter and is never exact; one backward pass gives all "
        "parameters. Differences stay as the check:",
        str(check_grads(function, point)),
    ]


# ---- 8 ------------------------------------------------------------------------------------


def _vectorised() -> list[Exhibit | Table | str]:
    x = np.linspace(-4.0, 4.0, 100 * 4096).reshape(100, 4096)
    exhibit = Exhibit("a mini-batch of 100 through tanh", "y = tanh(x); L = sum(y)", {"x": x})
    local = exhibit.trace()["y"].inputs[0].local
    assert local is not None
    rows, columns = local.shape
    return [
        exhibit,
        Table(
            ("the local Jacobian of y", ""),
            (
                ("kind", local.kind),
                ("shape", f"{rows:,} × {columns:,}"),
                ("written out, float64", bytes_text(8 * rows * columns)),
                ("entries that are not 0", f"{local.nnz:,}"),
                ("what is kept", bytes_text(local.nbytes)),
            ),
        ),
    ]


PARTS = (
    Part(
        0,
        "Where gradients are needed",
        (
            "A classifier gives a score vector s = W x, one number a class. A loss function says "
            "in one number how far the scores are from the truth. Regularisation is a penalty on "
            "the parameters that holds overfitting back.",
            "Optimisation changes W so that the sum becomes small. The direction to go is minus "
            "the gradient with respect to W.",
        ),
        _where_gradients_are_needed,
    ),
    Part(
        1,
        "Chain rule",
        (
            "The derivative of a composite function is the product of the derivatives of its "
            "parts: for z = t² and t = x + y, ∂z/∂x = ∂z/∂t · ∂t/∂x = 2t · 1 = 2(x + y).",
        ),
        lambda: [Exhibit("at x = 1, y = 2", "t = x + y; z = t ** 2", {"x": 1.0, "y": 2.0})],
    ),
    Part(
        2,
        "Output units",
        (
            "What the output means decides its distribution; the distribution decides the last "
            "layer and the cost.",
        ),
        _output_units,
    ),
    Part(
        3,
        "Analytic, not numerical",
        ("The gradient is computed analytically: exact, and far cheaper than differences.",),
        _analytic_not_numerical,
    ),
    Part(
        4,
        "The computational graph",
        (
            "A node is a function, a gate. In the backward pass a node receives the upstream "
            "gradient: that of the result with respect to its output. It knows its local "
            "gradients: those of its output with respect to its inputs, in general Jacobians.",
            "Upstream times local is the downstream gradient, which it hands to each input. A node "
            "that is used several times has the sum of what comes back as its upstream gradient: "
            "here t, which the product uses twice.",
        ),
        lambda: [
            Exhibit("t is used twice", "t = x * y; u = sin(t); f = t * u", {"x": 0.5, "y": 3.0})
        ],
    ),
    Part(
        5,
        "Patterns in the backward flow",
        (
            "The add gate hands the upstream gradient to each input unchanged: a distributor. The "
            "max gate hands it to the winning input and nothing to the rest: a router.",
            "The mul gate multiplies it by the other input's value: a switcher. A copy (fan-out) "
            "adds what comes back: an adder.",
        ),
        lambda: [
            Exhibit(
                "all four: p is copied",
                "p = x * y; m = maximum(z, w); s = p + m; f = s * p",
                {"x": 3.0, "y": -4.0, "z": 2.0, "w": -1.0},
            )
        ],
    ),
    Part(
        6,
        "Scalar example 1",
        ("f(x, y, z) = (x + y) z, with q = x + y in between.",),
        lambda: [
            Exhibit(
                "at x = -2, y = 5, z = -4",
                "q = x + y; f = q * z",
                {"x": -2.0, "y": 5.0, "z": -4.0},
            )
        ],
    ),
    Part(
        7,
        "Scalar example 2: the sigmoid neuron",
        (
            "f(w, x) = 1 / (1 + exp(-(w0 x0 + w1 x1 + w2))): two weights, two inputs, a bias.",
            "With σ(x) = 1/(1 + exp(-x)) the derivative is (1 - σ(x)) σ(x). So the last four "
            "nodes can be one sigmoid node with a known local gradient. Such groups are found by "
            "themselves; what one saves stands below the table.",
        ),
        lambda: [
            Exhibit(
                "at w = (2, -3, -3), x = (-1, -2)",
                "s = w0*x0 + w1*x1 + w2; f = 1 / (1 + exp(-s))",
                {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0},
            )
        ],
    ),
    Part(
        8,
        "Vectorised operations",
        (
            "Real networks pass vectors and matrices. The Jacobian of an elementwise function of n "
            "numbers is n × n, but diagonal: only the diagonal takes part, and only it is kept.",
        ),
        _vectorised,
    ),
    Part(
        9,
        "Affine layer",
        (
            "q = W x and f = ‖q‖²: ∂f/∂q = 2q, ∂f/∂x = Wᵀ ∂f/∂q, ∂f/∂W = ∂f/∂q xᵀ. The Jacobian "
            "of q with respect to W has three indices, ∂q_k/∂W_ij = [k = i] x_j: one copy of xᵀ "
            "a row.",
            "For a batch, Q = X W + b: ∂L/∂X = ∂L/∂Q Wᵀ, ∂L/∂W = Xᵀ ∂L/∂Q, and ∂L/∂b is the sum of "
            "∂L/∂Q over the batch.",
        ),
        lambda: [
            Exhibit(
                "one vector",
                "q = W @ x; f = sum(q ** 2)",
                {"W": _array([0.1, 0.5], [-0.3, 0.8]), "x": _array(0.2, 0.4)},
            ),
            Exhibit(
                "a batch of three",
                "Q = X @ W + b; L = sum(Q ** 2)",
                {
                    "X": _array([1, 2], [3, 4], [5, 6]),
                    "W": _array([0.1, 0.5], [-0.3, 0.8]),
                    "b": _array(0.5, -0.5),
                },
            ),
        ],
    ),
)
