"""Logarithms and what is made of them.

x = m·2^k with ¾ ≤ m < 3/2, log x = k·ln 2 + log(1 + f), f = m − 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from thalweg.execute.native.coefficients import LN2, LOG, LOG_UNIT
from thalweg.execute.native.emit import Emit, V
from thalweg.execute.native.math_parts import (
    FORMATS,
    at_least,
    at_most,
    fast_sum,
    power_of_two,
    significand,
)

__all__ = ["FUNCTIONS", "PARTS"]


def _log_sum(e: Emit, f: V, k: V, correction: V | None) -> V:
    """k·ln 2 + log(1 + f + correction); the correction is a rounding error of 1 + f."""
    high, low = (e.like(part, f) for part in LN2[f.kind])
    square = e.mul(f, f)
    half = e.mul(square, e.like(0.5, f))
    if f.kind == "f32":
        # f − f²/2 + f³ P(f); 1/(1 + f) = 1 − f + f² nearly enough for the correction.
        rest = e.fma(e.mul(square, f), e.horner(f, LOG["f32"]), e.mul(k, low))
        if correction is not None:
            slope = e.add(e.sub(e.like(1.0, f), f), square)
            rest = e.fma(correction, slope, rest)
        inner = e.sub(rest, half)
        return e.fma(k, high, e.add(f, inner))
    # s = f/(2 + f), log(1 + f) = 2s + s³ L(s²) = f − (f²/2 − s (f²/2 + s² L)).
    s = e.div(f, e.add(f, e.like(2.0, f)))
    z = e.mul(s, s)
    tail = e.fma(z, e.horner(z, LOG["f64"]), half)
    rest = e.mul(k, low)
    if correction is not None:
        # 1/(1 + f) = (1 − s)/(1 + s) = 1 − 2s + 2s² …
        slope = e.fma(s, e.add(e.add(s, s), e.like(-2.0, f)), e.like(1.0, f))
        rest = e.fma(correction, slope, rest)
    inner = e.sub(half, e.fma(s, tail, rest))
    return e.fma(k, high, e.sub(f, inner))


def log(e: Emit, x: V) -> V:
    """The natural logarithm."""
    m, k = significand(e, x)
    return _log_sum(e, e.sub(m, e.like(1.0, x)), k, None)


def log_one_plus(e: Emit, x: V, tail: V | None = None) -> V:
    """log(1 + x + tail); NaN for inf, +0 for −0."""
    one = e.like(1.0, x)
    u = e.add(one, x)
    # What the sum lost: x − (u − 1), exact where it counts.
    lost = e.sub(x, e.sub(u, one))
    if tail is not None:
        lost = e.add(lost, tail)
    m, k = significand(e, u)
    # The loss, too, divided by 2^k: k ≥ −53, and above 2^60 nothing is left to correct.
    form = FORMATS[x.kind]
    down = power_of_two(e, e.sub(e.like(form.shifter + form.bias, x), at_most(e, k, 60.0)))
    return _log_sum(e, e.sub(m, one), k, e.mul(lost, down))


def log1p(e: Emit, x: V) -> V:
    """log(1 + x)."""
    same = e.either(e.compare("oeq", x, e.like(0.0, x)), e.compare("oeq", x, e.like(math.inf, x)))
    return e.select(same, x, e.function("log_one_plus", x))


def _log1p_exp_neg_abs(e: Emit, x: V) -> V:
    """log(1 + z) of z = e^−|x|, 0 ≤ z ≤ 1: no power of two has to be taken out.

    It is z itself where z is small; squares below the normal numbers would be slow.
    """
    tiny = e.function("exp_neg_abs", x)
    limit = 2.0 ** -(FORMATS[x.kind].digits + 5)
    return e.select(
        e.compare("olt", tiny, e.like(limit, x)), tiny, _log_unit(e, at_least(e, tiny, limit))
    )


def _log_unit(e: Emit, z: V) -> V:
    """log(1 + z) for 0 ≤ z ≤ 1."""
    square = e.mul(z, z)
    half = e.mul(square, e.like(0.5, z))
    if z.kind == "f32":
        return e.add(z, e.fma(e.mul(square, z), e.horner(z, LOG_UNIT["f32"]), e.neg(half)))
    s = e.div(z, e.add(z, e.like(2.0, z)))
    w = e.mul(s, s)
    series = e.fma(w, e.horner(w, LOG_UNIT["f64"]), half)
    return e.add(z, e.fma(s, series, e.neg(half)))


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
