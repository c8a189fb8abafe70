"""Logarithms and what is made of them.

x = m·2^k with √½ ≤ m < √2, log x = k·ln 2 + log(1 + f), f = m − 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from thalweg.execute.native.coefficients import LN2, LOG
from thalweg.execute.native.emit import Emit, V
from thalweg.execute.native.math_parts import (
    FORMATS,
    at_least,
    at_most,
    binary_exponent,
    fast_sum,
)

__all__ = ["FUNCTIONS", "PARTS"]

_ROOT_HALF = math.sqrt(0.5)


def _log_sum(e: Emit, f: V, k: V, correction: V | None) -> V:
    """k·ln 2 + log(1 + f + correction); the correction is a rounding error of 1 + f."""
    high, low = (e.like(part, f) for part in LN2[f.kind])
    square = e.mul(f, f)
    half = e.mul(square, e.like(0.5, f))
    if f.kind == "f32":
        # f − f²/2 + f³ P(f); 1/(1 + f) = 1 − f + f² nearly enough for the correction.
        rest = e.fma(e.mul(square, f), e.horner(f, LOG["f32"]), e.mul(k, low))
        if correction is not None:
            inverse = e.add(e.sub(e.like(1.0, f), f), square)
            rest = e.fma(correction, inverse, rest)
        inner = e.sub(rest, half)
        return e.fma(k, high, e.add(f, inner))
    # s = f/(2 + f), log(1 + f) = 2s + s³ L(s²) = f − (f²/2 − s (f²/2 + s² L)).
    s = e.div(f, e.add(f, e.like(2.0, f)))
    z = e.mul(s, s)
    tail = e.fma(z, e.horner(z, LOG["f64"]), half)
    rest = e.mul(k, low)
    if correction is not None:
        # 1/(1 + f) = (1 − s)/(1 + s) = 1 − 2s + 2s² …
        inverse = e.fma(s, e.add(e.add(s, s), e.like(-2.0, f)), e.like(1.0, f))
        rest = e.fma(correction, inverse, rest)
    inner = e.sub(half, e.fma(s, tail, rest))
    return e.fma(k, high, e.sub(f, inner))


def _special(e: Emit, result: V, x: V, pole: float) -> V:
    """−inf at the pole, NaN below, +inf and NaN as they came."""
    result = e.select(e.compare("olt", x, e.like(math.inf, x)), result, x)
    result = e.select(e.compare("olt", x, e.like(pole, x)), e.like(math.nan, x), result)
    return e.select(e.compare("oeq", x, e.like(pole, x)), e.like(-math.inf, x), result)


def normalised(e: Emit, x: V, lowest: float) -> tuple[V, V]:
    """x = m · 2^k as `binary_exponent`, subnormal numbers included."""
    form = FORMATS[x.kind]
    small = e.compare("olt", x, e.like(form.smallest_normal, x))
    up = float(form.digits + 2)
    m, k = binary_exponent(e, e.select(small, e.mul(x, e.like(2.0**up, x)), x), lowest)
    return m, e.sub(k, e.select(small, e.like(up, x), e.like(0.0, x)))


def log(e: Emit, x: V) -> V:
    """The natural logarithm."""
    m, k = normalised(e, x, _ROOT_HALF)
    return _special(e, _log_sum(e, e.sub(m, e.like(1.0, x)), k, None), x, 0.0)


def log_one_plus(e: Emit, x: V, tail: V | None = None) -> V:
    """log(1 + x + tail) for −1 < x < inf; +0 for −0."""
    one = e.like(1.0, x)
    u = e.add(one, x)
    # What the sum lost: x − (u − 1), exact where it counts.
    lost = e.sub(x, e.sub(u, one))
    if tail is not None:
        lost = e.add(lost, tail)
    m, k = binary_exponent(e, u, _ROOT_HALF)
    # The loss, too, divided by 2^k: k ≥ −53, and above 2^60 nothing is left to correct.
    form = FORMATS[x.kind]
    power = at_most(e, k, 60.0)
    shifted = e.bits(e.sub(e.like(form.shifter + form.bias, x), power))
    inverse = e.number(e.two("shl", shifted, e.like(form.digits, shifted)))
    return _log_sum(e, e.sub(m, one), k, e.mul(lost, inverse))


def log1p(e: Emit, x: V) -> V:
    """log(1 + x)."""
    result = e.function("log_one_plus", x)
    result = e.select(e.compare("oeq", x, e.like(0.0, x)), x, result)
    return _special(e, result, x, -1.0)


def _log1p_exp_neg_abs(e: Emit, x: V) -> V:
    """log(1 + e^−|x|): u = 1 + z lies between 1 and 2, and no case is special."""
    z = e.function("exp_neg_abs_pair", x)
    return log_one_plus(e, z.value, z.tail)


def softplus(e: Emit, x: V) -> V:
    """log(1 + e^x) = max(x, 0) + log(1 + e^−|x|)."""
    return e.add(at_least(e, x, 0.0), e.function("log1p_exp_neg_abs", x))


def log_sigmoid(e: Emit, x: V) -> V:
    """−log(1 + e^−x) = min(x, 0) − log(1 + e^−|x|)."""
    return e.sub(at_most(e, x, 0.0), e.function("log1p_exp_neg_abs", x))


def logaddexp(e: Emit, x: V, y: V) -> V:
    """log(e^x + e^y) = max + log(1 + e^−|x − y|)."""
    difference = e.sub(x, y)
    top = e.select(e.compare("ogt", difference, e.like(0.0, x)), x, y)
    rest = e.function("log1p_exp_neg_abs", difference)
    # Equal ones apart: the difference of infinities is NaN.
    equal = e.add(x, e.like(math.log(2.0), x))
    total = fast_sum(e, top, rest).value
    return e.select(e.compare("oeq", x, y), equal, total)


FUNCTIONS: dict[str, Callable[..., V]] = {
    "log": log,
    "log1p": log1p,
    "softplus": softplus,
    "log_sigmoid": log_sigmoid,
    "logaddexp": logaddexp,
}
PARTS: dict[str, Callable[..., Any]] = {
    "log_one_plus": log_one_plus,
    "log1p_exp_neg_abs": _log1p_exp_neg_abs,
}
