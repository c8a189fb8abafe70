"""Functions of a few instructions: NumPy's values bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable

from thalweg.execute.native.emit import Emit, V

__all__ = ["FUNCTIONS"]

#: NumPy divides 180 by π as its dtype has it.
_PI = {"f32": 0xC90FDB * 2.0**-22, "f64": math.pi}


def sign(e: Emit, x: V) -> V:
    """−1, 0 or 1, and NaN; +0 for −0."""
    zero = e.like(0.0, x)
    value = e.select(e.compare("ogt", x, zero), e.like(1.0, x), zero)
    value = e.select(e.compare("olt", x, zero), e.like(-1.0, x), value)
    return e.select(e.is_nan(x), x, value)


def maximum(e: Emit, x: V, y: V) -> V:
    """The larger; a NaN wins, the second operand at a tie."""
    return e.select(e.either(e.compare("ogt", x, y), e.is_nan(x)), x, y)


def minimum(e: Emit, x: V, y: V) -> V:
    """The smaller; a NaN wins, the second operand at a tie."""
    return e.select(e.either(e.compare("olt", x, y), e.is_nan(x)), x, y)


def fmax(e: Emit, x: V, y: V) -> V:
    """The larger; a number wins against NaN, the second operand at a tie."""
    return e.select(e.either(e.compare("ogt", x, y), e.is_nan(y)), x, y)


def fmin(e: Emit, x: V, y: V) -> V:
    """The smaller; a number wins against NaN, the second operand at a tie."""
    return e.select(e.either(e.compare("olt", x, y), e.is_nan(y)), x, y)


def heaviside(e: Emit, x: V, y: V) -> V:
    """0 below 0, y at 0, 1 above."""
    zero = e.like(0.0, x)
    value = e.select(e.compare("olt", x, zero), zero, e.like(1.0, x))
    value = e.select(e.compare("oeq", x, zero), y, value)
    return e.select(e.is_nan(x), x, value)


def isinf(e: Emit, x: V) -> V:
    return e.compare("oeq", e.abs(x), e.like(math.inf, x))


def isfinite(e: Emit, x: V) -> V:
    return e.compare("olt", e.abs(x), e.like(math.inf, x))


def signbit(e: Emit, x: V) -> V:
    bits = e.bits(x)
    return e.compare("slt", bits, e.like(0, bits))


def xlogy(e: Emit, x: V, y: V) -> V:
    """x·log y, 0 for x = 0 and y not NaN."""
    value = e.mul(x, e.function("log", y))
    nothing = e.both(e.compare("oeq", x, e.like(0.0, x)), e.opposite(e.is_nan(y)))
    return e.select(nothing, e.like(0.0, x), value)


def xlog1py(e: Emit, x: V, y: V) -> V:
    """x·log(1 + y), 0 for x = 0 and y not NaN."""
    value = e.mul(x, e.function("log1p", y))
    nothing = e.both(e.compare("oeq", x, e.like(0.0, x)), e.opposite(e.is_nan(y)))
    return e.select(nothing, e.like(0.0, x), value)


FUNCTIONS: dict[str, Callable[..., V]] = {
    "absolute": lambda e, x: e.abs(x),
    "sqrt": lambda e, x: e.sqrt(x),
    "square": lambda e, x: e.mul(x, x),
    "reciprocal": lambda e, x: e.div(e.like(1.0, x), x),
    "copysign": lambda e, x, y: e.copysign(x, y),
    "floor": lambda e, x: e.floor(x),
    "ceil": lambda e, x: e.ceil(x),
    "trunc": lambda e, x: e.trunc(x),
    "rint": lambda e, x: e.rint(x),
    "isnan": lambda e, x: e.is_nan(x),
    "isinf": isinf,
    "isfinite": isfinite,
    "signbit": signbit,
    "sign": sign,
    "maximum": maximum,
    "minimum": minimum,
    "fmax": fmax,
    "fmin": fmin,
    "heaviside": heaviside,
    "deg2rad": lambda e, x: e.mul(x, e.like(_PI[x.kind] / 180.0, x)),
    "rad2deg": lambda e, x: e.mul(x, e.like(180.0 / _PI[x.kind], x)),
    "xlogy": xlogy,
    "xlog1py": xlog1py,
}
