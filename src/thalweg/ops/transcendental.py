"""Exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.ops._families import elementwise, interval

POSITIVE = interval(0.0, np.inf, name="positive")
UNIT = interval(-1.0, 1.0, name="(-1, 1)")

EXP = elementwise("exp", np.exp, (lambda out, x: out,), tex=r"e^{{{0}}}")
EXP2 = elementwise("exp2", np.exp2, (lambda out, x: np.log(2.0) * out,), tex=r"2^{{{0}}}")
EXPM1 = elementwise("expm1", np.expm1, (lambda out, x: np.exp(x),), tex=r"e^{{{0}}} - 1")
LOG = elementwise(
    "log", np.log, (lambda out, x: 1 / x,), tex=r"\log {0}", domain=POSITIVE
)  # fmt: skip
LOG2 = elementwise(
    "log2", np.log2, (lambda out, x: (1 / np.log(2.0)) / x,), tex=r"\log_2 {0}", domain=POSITIVE
)
LOG10 = elementwise(
    "log10", np.log10, (lambda out, x: (1 / np.log(10.0)) / x,), tex=r"\log_{{10}} {0}",
    domain=POSITIVE,
)  # fmt: skip
LOG1P = elementwise(
    "log1p", np.log1p, (lambda out, x: 1 / (1 + x),), tex=r"\log(1 + {0})",
    domain=interval(-1.0, np.inf),
)  # fmt: skip
SIN = elementwise("sin", np.sin, (lambda out, x: np.cos(x),), tex=r"\sin {0}")
COS = elementwise("cos", np.cos, (lambda out, x: -np.sin(x),), tex=r"\cos {0}")
TAN = elementwise(
    "tan", np.tan, (lambda out, x: 1 + out * out,), tex=r"\tan {0}", domain=interval(-1.5, 1.5)
)
ARCSIN = elementwise(
    "arcsin", np.arcsin, (lambda out, x: 1 / np.sqrt(1 - x * x),), tex=r"\arcsin {0}", domain=UNIT
)
ARCCOS = elementwise(
    "arccos", np.arccos, (lambda out, x: -1 / np.sqrt(1 - x * x),), tex=r"\arccos {0}", domain=UNIT
)
ARCTAN = elementwise(
    "arctan", np.arctan, (lambda out, x: 1 / (1 + x * x),), tex=r"\arctan {0}"
)  # fmt: skip
SINH = elementwise("sinh", np.sinh, (lambda out, x: np.cosh(x),), tex=r"\sinh {0}")
COSH = elementwise("cosh", np.cosh, (lambda out, x: np.sinh(x),), tex=r"\cosh {0}")
TANH = elementwise("tanh", np.tanh, (lambda out, x: 1 - out * out,), tex=r"\tanh {0}")
ARCSINH = elementwise(
    "arcsinh",
    np.arcsinh,
    (lambda out, x: 1 / np.sqrt(x * x + 1),),
    tex=r"\operatorname{{arsinh}} {0}",
)
ARCCOSH = elementwise(
    "arccosh", np.arccosh, (lambda out, x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),),
    tex=r"\operatorname{{arcosh}} {0}", domain=interval(1.0, np.inf),
)  # fmt: skip
ARCTANH = elementwise(
    "arctanh", np.arctanh, (lambda out, x: 1 / (1 - x * x),), tex=r"\operatorname{{artanh}} {0}",
    domain=UNIT,
)  # fmt: skip


def _ratio(x: Any, y: Any) -> Any:
    """x / y with 0 where y is 0: hypot and its kind have derivative 0 at the origin."""
    return np.where(np.equal(y, 0), 0.0, x / np.where(np.equal(y, 0), 1.0, y))


HYPOT = elementwise(
    "hypot",
    np.hypot,
    (lambda out, x, y: _ratio(x, out), lambda out, x, y: _ratio(y, out)),
    tex=r"\sqrt{{{0}^2 + {1}^2}}",
)
ARCTAN2 = elementwise(
    "arctan2",
    np.arctan2,
    (lambda out, y, x: x / (x * x + y * y), lambda out, y, x: -y / (x * x + y * y)),
    tex=r"\operatorname{{atan2}}({0}, {1})",
    domain=interval(0.1, np.inf),
)


LOGADDEXP = elementwise(
    "logaddexp",
    np.logaddexp,
    (lambda out, x, y: np.exp(x - out), lambda out, x, y: np.exp(y - out)),
    tex=r"\log(e^{{{0}}} + e^{{{1}}})",
)
LOGADDEXP2 = elementwise(
    "logaddexp2",
    np.logaddexp2,
    (lambda out, x, y: np.exp2(x - out), lambda out, x, y: np.exp2(y - out)),
    tex=r"\log_2(2^{{{0}}} + 2^{{{1}}})",
)
DEG2RAD = elementwise("deg2rad", np.deg2rad, (np.pi / 180,), tex=r"\operatorname{{rad}} {0}")
RAD2DEG = elementwise("rad2deg", np.rad2deg, (180 / np.pi,), tex=r"\operatorname{{deg}} {0}")
RADIANS = elementwise("radians", np.radians, (np.pi / 180,), tex=r"\operatorname{{rad}} {0}")
DEGREES = elementwise("degrees", np.degrees, (180 / np.pi,), tex=r"\operatorname{{deg}} {0}")
