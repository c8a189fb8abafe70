"""Logarithms and what is made of them.

x = m·2^k with ¾ ≤ m < 3/2, log x = k·ln 2 + log(1 + f), f = m − 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.execute.native.coefficients import LN2, LOG, LOG2E, LOG10_2, LOG10E, LOG_UNIT
from thalweg.execute.native.emit import Emit, V
from thalweg.execute.native.math_parts import (
    FORMATS,
    Pair,
    at_least,
    at_most,
    fast_sum,
    negative_fma,
    power_of_two,
    product,
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


def _log_pair(e: Emit, f: V) -> Pair:
    """log(1 + f), with a tail."""
    square = e.mul(f, f)
    half = e.mul(square, e.like(0.5, f))
    main = fast_sum(e, f, e.neg(half))
    if f.kind == "f32":
        return Pair(main.value, e.fma(e.mul(square, f), e.horner(f, LOG["f32"]), main.tail))
    s = e.div(f, e.add(f, e.like(2.0, f)))
    z = e.mul(s, s)
    return Pair(main.value, e.fma(s, e.fma(z, e.horner(z, LOG["f64"]), half), main.tail))


def _log_to_base(e: Emit, x: V, of_two: Sequence[float], of_e: Sequence[float]) -> V:
    """k·log 2 + log(1 + f)·log e, the logarithms to some base, each with its tail."""
    m, k = significand(e, x)
    f = _log_pair(e, e.sub(m, e.like(1.0, x)))
    high, low = (e.like(part, x) for part in of_e)
    part = product(e, f.value, high)
    tail = e.add(part.tail, e.fma(f.value, low, e.mul(f.tail, high)))
    high, low = (e.like(part, x) for part in of_two)
    whole = product(e, k, high)
    total = fast_sum(e, whole.value, part.value)
    rest = e.add(e.fma(k, low, whole.tail), e.add(total.tail, tail))
    special = e.compare("oeq", e.abs(k), e.like(math.inf, x))
    return e.select(special, k, e.add(total.value, rest))


def log2(e: Emit, x: V) -> V:
    """Exact for powers of 2."""
    return _log_to_base(e, x, (1.0, 0.0), LOG2E[x.kind])


def log10(e: Emit, x: V) -> V:
    """Exact for powers of 10."""
    return _log_to_base(e, x, LOG10_2[x.kind], LOG10E[x.kind])


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


# ---- inverse hyperbolic functions ---------------------------------------------------------

#: Above, arcsinh x and arccosh x are log 2x.
_LARGE = {"f32": 2.0**13, "f64": 2.0**28}


def _log_of_sum(e: Emit, x: V, y: V, tail: V) -> V:
    """log(1 + y + tail) with y = x + √(x² ± 1) − 1; log x + log 2 for a large x."""
    large = e.compare("ogt", x, e.like(_LARGE[x.kind], x))
    zero = e.like(0.0, x)
    y = e.select(large, e.sub(x, e.like(1.0, x)), y)
    value = log_one_plus(e, y, e.select(large, zero, tail))
    value = e.add(value, e.select(large, e.like(math.log(2.0), x), zero))
    return e.select(e.compare("oeq", x, e.like(math.inf, x)), x, value)


def arcsinh(e: Emit, x: V) -> V:
    """log(1 + y), y = |x| + x²/(1 + √(1 + x²)), and the sign of x."""
    size = e.abs(x)
    one = e.like(1.0, x)
    root = e.sqrt(e.fma(size, size, one))
    y = fast_sum(e, size, e.div(e.mul(size, size), e.add(one, root)))
    return e.copysign(_log_of_sum(e, size, y.value, y.tail), x)


def arccosh(e: Emit, x: V) -> V:
    """log(1 + y), y = t + √(t (t + 2)), t = x − 1."""
    t = e.sub(x, e.like(1.0, x))
    y = fast_sum(e, e.sqrt(e.fma(t, t, e.add(t, t))), t)
    value = _log_of_sum(e, x, y.value, y.tail)
    return e.select(e.compare("olt", x, e.like(1.0, x)), e.like(math.nan, x), value)


def arctanh(e: Emit, x: V) -> V:
    """½ log(1 + y), y = 2|x|/(1 − |x|), and the sign of x."""
    size = e.abs(x)
    one = e.like(1.0, x)
    under = fast_sum(e, one, e.neg(size))
    over = e.add(size, size)
    factor = e.div(one, under.value)
    y = e.mul(over, factor)
    left = negative_fma(e, y, under.tail, negative_fma(e, y, under.value, over))
    value = e.mul(log_one_plus(e, y, e.mul(left, factor)), e.like(0.5, x))
    value = e.select(e.compare("oeq", size, one), e.like(math.inf, x), value)
    return e.copysign(value, x)


FUNCTIONS: dict[str, Callable[..., V]] = {
    "log": log,
    "log2": log2,
    "log10": log10,
    "log1p": log1p,
    "arcsinh": arcsinh,
    "arccosh": arccosh,
    "arctanh": arctanh,
    "softplus": softplus,
    "log_sigmoid": log_sigmoid,
    "logaddexp": logaddexp,
}
PARTS: dict[str, Callable[..., Any]] = {
    "log_one_plus": log_one_plus,
    "log1p_exp_neg_abs": _log1p_exp_neg_abs,
}
