"""Sine, cosine, tangent and their inverses.

sin x and cos x are ±sin r or ±cos r, as the quadrant n says; the inverses map large arguments to
small ones by the addition theorem of the arctangent and by arcsin x = π/2 − 2 arcsin √((1 − x)/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from thalweg.execute.native.coefficients import ARCSIN, ARCTAN, ARCTAN_ANGLES, COS, HALF_PI, SIN
from thalweg.execute.native.emit import BITS, Emit, V
from thalweg.execute.native.math_parts import FORMATS, Pair, fast_sum, negative_fma, quotient
from thalweg.execute.native.math_reduce import reduced

__all__ = ["FUNCTIONS", "PARTS"]

#: Below, sin x and tan x are x.
_TINY = {"f32": 2.0**-13, "f64": 2.0**-27}


# ---- sine, cosine, tangent ----------------------------------------------------------------


def _sine_cosine(e: Emit, x: V) -> tuple[Pair, Pair, V]:
    """(sin r, cos r, n), each of them with its tail.

    sin r = r + r³ SIN(r²), cos r = 1 − r²/2 + r⁴ COS(r²); the tail t of r adds t cos r, −t sin r.
    """
    r, tail, n = e.function("trig_reduced", x)
    one = e.like(1.0, x)
    z = e.mul(r, r)
    half = e.mul(z, e.like(0.5, x))
    rest = e.mul(e.mul(z, r), e.horner(z, SIN[x.kind]))
    main = e.sub(one, half)
    lost = e.sub(e.sub(one, main), half)
    even = e.fma(e.mul(z, z), e.horner(z, COS[x.kind]), lost)
    if x.kind == "f64":
        rest = e.add(rest, negative_fma(e, half, tail, tail))
        even = negative_fma(e, r, tail, even)
    return fast_sum(e, r, rest), fast_sum(e, main, even), n


def _flag(e: Emit, n: V) -> V:
    """Whether n is odd."""
    return e.compare("ne", e.two("and", n, e.like(1, n)), e.like(0, n))


def _turned(e: Emit, value: V, n: V) -> V:
    """−value, if the second bit of n is set."""
    sign = e.two("shl", e.two("and", n, e.like(2, n)), e.like(BITS[n.kind] - 2, n))
    return e.number(e.two("xor", e.bits(value), sign))


def _same_if_tiny(e: Emit, value: V, x: V) -> V:
    return e.select(e.compare("olt", e.abs(x), e.like(_TINY[x.kind], x)), x, value)


def sin(e: Emit, x: V) -> V:
    sine, cosine, n = e.function("sine_cosine", x)
    value = e.select(_flag(e, n), cosine.value, sine.value)
    return _same_if_tiny(e, _turned(e, value, n), x)


def cos(e: Emit, x: V) -> V:
    sine, cosine, n = e.function("sine_cosine", x)
    value = e.select(_flag(e, n), sine.value, cosine.value)
    return _turned(e, value, e.add(n, e.like(1, n)))


def tan(e: Emit, x: V) -> V:
    """sin r/cos r, and −cos r/sin r in odd quadrants."""
    sine, cosine, n = e.function("sine_cosine", x)
    odd = _flag(e, n)
    over = Pair(*[e.select(odd, e.neg(c), s) for s, c in zip(sine, cosine, strict=True)])
    under = Pair(*[e.select(odd, s, c) for s, c in zip(sine, cosine, strict=True)])
    return _same_if_tiny(e, quotient(e, over.value, under, over.tail), x)


# ---- arctangent ---------------------------------------------------------------------------

#: Up to these ratios the angle 0, arctan ½, π/4, arctan 3/2 is taken out; above, π/2.
_BOUNDS = (7 / 16, 11 / 16, 19 / 16, 39 / 16)


def _angle(e: Emit, y: V, x: V) -> tuple[Pair, V]:
    """arctan(y/x) = angle + arctan r for y ≥ 0, x > 0, as (angle, r); y may be infinite.

    arctan(y/x) − arctan c = arctan((y − c x)/(x + c y)), for the angle π/2 arctan(−x/y).
    """
    zero = e.like(0.0, x)
    c, high, low = zero, zero, zero
    above = zero
    for bound, (value, tail), factor in zip(
        _BOUNDS, ARCTAN_ANGLES[x.kind], (0.5, 1.0, 1.5, None), strict=True
    ):
        above = e.compare("oge", y, e.mul(x, e.like(bound, x)))
        if factor is not None:
            c = e.select(above, e.like(factor, x), c)
        high = e.select(above, e.like(value, x), high)
        low = e.select(above, e.like(tail, x), low)
    over = e.select(above, e.neg(x), negative_fma(e, c, x, y))
    under = e.select(above, y, e.fma(c, y, x))
    return Pair(high, low), e.div(over, under)


def _arctan_sum(e: Emit, angle: Pair, r: V) -> V:
    """angle + arctan r = angle + r + r³ ARCTAN(r²)."""
    z = e.mul(r, r)
    rest = e.fma(e.mul(r, z), e.horner(z, ARCTAN[r.kind]), angle.tail)
    return e.add(angle.value, e.add(r, rest))


def arctan(e: Emit, x: V) -> V:
    return e.copysign(_arctan_sum(e, *_angle(e, e.abs(x), e.like(1.0, x))), x)


def arctan2(e: Emit, y: V, x: V) -> V:
    """The angle of the point (x, y), from −π to π."""
    zero, one = e.like(0.0, x), e.like(1.0, x)
    infinity = e.like(math.inf, x)
    height, width = e.abs(y), e.abs(x)
    # Far from overflow, and from where multiples of the last digit of y − c x would be lost.
    digits, bias = FORMATS[x.kind][:2]
    larger = e.select(e.compare("ogt", height, width), height, width)
    factor = e.select(
        e.compare("ogt", larger, e.like(2.0 ** (bias - 3), x)),
        e.like(0.125, x),
        e.select(
            e.compare("olt", larger, e.like(2.0 ** (2 * digits - bias), x)),
            e.like(2.0 ** (digits + 4), x),
            one,
        ),
    )
    height, width = e.mul(height, factor), e.mul(width, factor)
    # inf/inf counts as 1/1, y/inf as 0/1 and 0/0 as 0/1.
    wide = e.compare("oeq", width, infinity)
    both = e.select(e.compare("oeq", height, infinity), one, zero)
    height = e.select(wide, both, height)
    width = e.select(e.either(wide, e.compare("oeq", height, zero)), one, width)
    angle, r = _angle(e, height, width)
    # π − angle − arctan r for x < 0, −0 included.
    bits = e.bits(x)
    left = e.compare("slt", bits, e.like(0, bits))
    high, low = HALF_PI[x.kind][:2]
    value = e.sub(e.like(2.0 * high, x), angle.value)
    lost = e.sub(e.sub(e.like(2.0 * high, x), value), angle.value)
    tail = e.add(lost, e.sub(e.like(2.0 * low, x), angle.tail))
    base = Pair(e.select(left, value, angle.value), e.select(left, tail, angle.tail))
    result = e.copysign(_arctan_sum(e, base, e.select(left, e.neg(r), r)), y)
    return e.select(e.compare("uno", x, y), e.like(math.nan, x), result)


# ---- arcsine, arccosine -------------------------------------------------------------------


def _arcsine_parts(e: Emit, x: V) -> tuple[V, V, V]:
    """(|x| > ½, s, arcsin s − s) with s = |x|, or √((1 − |x|)/2) where |x| > ½."""
    size = e.abs(x)
    half = e.like(0.5, x)
    large = e.compare("ogt", size, half)
    w = e.mul(e.sub(e.like(1.0, x), size), half)
    z = e.select(large, w, e.mul(size, size))
    s = e.select(large, e.sqrt(w), size)
    return large, s, e.mul(e.mul(s, z), e.horner(z, ARCSIN[x.kind]))


def arcsin(e: Emit, x: V) -> V:
    large, s, rest = e.function("arcsine_parts", x)
    value = e.add(s, rest)
    high, low = (e.like(part, x) for part in HALF_PI[x.kind][:2])
    main = fast_sum(e, high, e.mul(s, e.like(-2.0, x)))
    folded = e.add(main.value, e.add(main.tail, e.sub(low, e.add(rest, rest))))
    return e.copysign(e.select(large, folded, value), x)


def arccos(e: Emit, x: V) -> V:
    large, s, rest = e.function("arcsine_parts", x)
    high, low = (e.like(part, x) for part in HALF_PI[x.kind][:2])
    left = e.compare("olt", x, e.like(0.0, x))
    value = e.add(s, rest)
    half = e.select(left, e.sub(high, e.sub(value, low)), value)
    middle = e.sub(high, e.sub(x, e.sub(low, e.copysign(rest, x))))
    return e.select(large, e.add(half, half), middle)


FUNCTIONS: dict[str, Callable[..., V]] = {
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "arcsin": arcsin,
    "arccos": arccos,
    "arctan": arctan,
    "arctan2": arctan2,
}
PARTS: dict[str, Callable[..., Any]] = {
    "trig_reduced": reduced,
    "sine_cosine": _sine_cosine,
    "arcsine_parts": _arcsine_parts,
}
