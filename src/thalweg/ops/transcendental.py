"""Exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.graph.primitive import Primitive, implements
from thalweg.ops._families import elementwise, interval
from thalweg.ops._lower_arithmetic import alias, lower_logaddexp2, lower_sinc
from thalweg.ops.normalise import SIGMOID, safe_ratio

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
    "arcsin",
    np.arcsin,
    (lambda out, x: 1 / np.sqrt((1 - x) * (1 + x)),),
    tex=r"\arcsin {0}",
    domain=UNIT,
)
ARCCOS = elementwise(
    "arccos",
    np.arccos,
    (lambda out, x: -1 / np.sqrt((1 - x) * (1 + x)),),
    tex=r"\arccos {0}",
    domain=UNIT,
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
    "arctanh", np.arctanh, (lambda out, x: 1 / ((1 - x) * (1 + x)),),
    tex=r"\operatorname{{artanh}} {0}", domain=UNIT,
)  # fmt: skip


HYPOT = elementwise(
    "hypot",
    np.hypot,
    (lambda out, x, y: safe_ratio(x, out), lambda out, x, y: safe_ratio(y, out)),
    tex=r"\sqrt{{{0}^2 + {1}^2}}",
)


def _per_radius(part: Any, y: Any, x: Any) -> Any:
    """part / (x² + y²), 0 at the origin and at infinity, without the overflow of squares."""
    radius = np.hypot(x, y)
    part = np.where(np.isinf(radius), 0.0, part)
    return safe_ratio(safe_ratio(part, radius), radius)


ARCTAN2 = elementwise(
    "arctan2",
    np.arctan2,
    (lambda out, y, x: _per_radius(x, y, x), lambda out, y, x: -_per_radius(y, y, x)),
    tex=r"\operatorname{{atan2}}({0}, {1})",
    domain=interval(0.1, np.inf),
)


def _share(x: Any, y: Any, rate: Any = 1.0) -> Any:
    """e^x / (e^x + e^y) = σ(x − y) (in base e^rate); equal infinities share half each."""
    tied = np.logical_and(np.equal(x, y), np.isinf(x))
    return SIGMOID(rate * np.where(tied, 0.0, x - y))


LOGADDEXP = elementwise(
    "logaddexp",
    np.logaddexp,
    (lambda out, x, y: _share(x, y), lambda out, x, y: _share(y, x)),
    tex=r"\log(e^{{{0}}} + e^{{{1}}})",
)
LOGADDEXP2 = elementwise(
    "logaddexp2",
    np.logaddexp2,
    (lambda out, x, y: _share(x, y, np.log(2.0)), lambda out, x, y: _share(y, x, np.log(2.0))),
    tex=r"\log_2(2^{{{0}}} + 2^{{{1}}})",
    lower=lower_logaddexp2,
)
DEG2RAD = elementwise("deg2rad", np.deg2rad, (np.pi / 180,), tex=r"\operatorname{{rad}} {0}")
RAD2DEG = elementwise("rad2deg", np.rad2deg, (180 / np.pi,), tex=r"\operatorname{{deg}} {0}")
RADIANS = elementwise(
    "radians",
    np.radians,
    (np.pi / 180,),
    tex=r"\operatorname{{rad}} {0}",
    lower=alias("deg2rad"),
)
DEGREES = elementwise(
    "degrees",
    np.degrees,
    (180 / np.pi,),
    tex=r"\operatorname{{deg}} {0}",
    lower=alias("rad2deg"),
)


# ---- sinc ---------------------------------------------------------------------------------


def _sinc_derivative(x: Any, order: int) -> Any:
    """dⁿ/dxⁿ sin(πx)/(πx) = πⁿ gₙ(πx), gₙ(u) = ∫₀¹ tⁿ cos(ut + nπ/2) dt.

    By parts gₙ(u) = (sin(u + nπ/2) − n gₙ₋₁(u)) / u: accurate for |u| > n. Nearer to 0 the series
    gₙ(u) = Σⱼ cos((n + j)π/2) uʲ / (j! (n + j + 1)).
    """
    if order == 0:
        return np.sinc(x)
    u = np.asarray(np.pi * x)
    near = np.abs(u) <= order
    far = np.where(near, order + 1.0, u).astype(u.dtype)
    # sin(u + nπ/2) for n = 0, 1, 2, 3, without the rounding of a large u + nπ/2.
    sine, cosine = np.sin(far), np.cos(far)
    quarters = (sine, cosine, -sine, -cosine)
    g = sine / far
    for n in range(1, order + 1):
        g = (quarters[n % 4] - n * g) / far
    small = np.where(near, u, 0.0).astype(u.dtype)
    # cos((n + j)π/2) is 0 for odd n + j, and alternates from one even n + j to the next.
    series = np.zeros_like(u)
    for j in range(order % 2, 30 + 4 * order, 2):
        sign = (-1) ** ((order + j) // 2)
        series = series + (sign / (math.factorial(j) * (order + j + 1))) * small**j
    return (np.pi**order * np.where(near, series, g)).astype(u.dtype)[()]


SINC: Primitive = elementwise(
    "sinc",
    _sinc_derivative,
    (lambda out, x, order: SINC(x, order=order + 1),),
    tex=r"\operatorname{{sinc}} {0}",
    lower=lower_sinc,
)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    return SINC(x, order=0)
