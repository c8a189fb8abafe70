"""exp and what is made of it: expm1, sigmoid, softplus, tanh, sinh, cosh.

x = n·ln 2 + r with |r| ≤ ½ ln 2, e^x = 2^n e^r, e^r = 1 + r + r² EXP(r).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg.execute.native.coefficients import EXP, EXP2, LN2, LOG2E, TANH
from thalweg.execute.native.emit import Emit, V
from thalweg.execute.native.math_parts import (
    FORMATS,
    Pair,
    at_least,
    at_most,
    fast_sum,
    negative_fma,
    power_of_two,
    quotient,
    scale,
)

__all__ = ["FUNCTIONS", "PARTS"]

# Beyond these e^x is infinite and 0 in any rounding, and n still fits the scaling.
_EXP_RANGE = {"f32": (-104.5, 89.0), "f64": (-746.0, 710.0)}
# Below, e^x − 1 rounds to −1; above, it is infinite.
_EXPM1_RANGE = {"f32": (-20.0, 88.8), "f64": (-40.0, 709.9)}
_EXP2_RANGE = {"f32": (-151.0, 129.0), "f64": (-1076.0, 1025.0)}
# sinh and cosh are infinite above.
_SINH_LIMIT = {"f32": 89.6, "f64": 710.6}


def _reduced(e: Emit, x: V, offset: float) -> tuple[V, V, V, V]:
    """(n + shifter + offset, n, r, tail of r) of a clamped x."""
    form = FORMATS[x.kind]
    high, low = LN2[x.kind]
    base = e.like(form.shifter + offset, x)
    shifted = e.fma(x, e.like(LOG2E[x.kind][0], x), base)
    n = e.sub(shifted, base)
    exact = negative_fma(e, n, e.like(high, x), x)
    r = negative_fma(e, n, e.like(low, x), exact)
    return shifted, n, r, negative_fma(e, n, e.like(low, x), e.sub(exact, r))


def exp(e: Emit, x: V) -> V:
    """e^x."""
    return _exp_below(e, at_most(e, x, _EXP_RANGE[x.kind][1]))


def _exp_below(e: Emit, x: V) -> V:
    """e^x of what is not too large already."""
    _, n, r, _ = _reduced(e, at_least(e, x, _EXP_RANGE[x.kind][0]), 0.0)
    t = e.fma(e.mul(r, r), e.horner(r, EXP[x.kind]), r)
    return scale(e, e.add(e.like(1.0, x), t), n)


def exp_pair(e: Emit, x: V) -> Pair:
    """e^x with a tail: some eight more digits."""
    low, high = _EXP_RANGE[x.kind]
    _, n, r, tail = _reduced(e, at_least(e, at_most(e, x, high), low), 0.0)
    main = fast_sum(e, e.like(1.0, x), r)
    rest = e.fma(e.mul(r, r), e.horner(r, EXP[x.kind]), e.add(main.tail, tail))
    total = fast_sum(e, main.value, rest)
    return Pair(scale(e, total.value, n), scale(e, total.tail, n))


def exp2(e: Emit, x: V) -> V:
    """2^x: n whole, r = x − n exact, 2^r = 1 + r EXP2(r)."""
    low, high = _EXP2_RANGE[x.kind]
    x = at_least(e, at_most(e, x, high), low)
    n = e.rint(x)
    r = e.sub(x, n)
    return scale(e, e.fma(r, e.horner(r, EXP2[x.kind]), e.like(1.0, x)), n)


def expm1(e: Emit, x: V) -> V:
    """e^x − 1 = (2^n − 1) + 2^n r + 2^n r² EXP(r), by half of it, which does not overflow."""
    low, high = _EXPM1_RANGE[x.kind]
    inside = at_least(e, at_most(e, x, high), low)
    shifted, _, r, tail = _reduced(e, inside, FORMATS[x.kind].bias - 1.0)
    s = power_of_two(e, shifted)
    rest = e.fma(e.mul(r, r), e.horner(r, EXP[x.kind]), tail)
    half = e.fma(s, rest, e.fma(s, r, e.sub(s, e.like(0.5, x))))
    # Halves of subnormal numbers would lose a bit, and the sign of zero.
    tiny = e.compare("olt", e.abs(x), e.like(FORMATS[x.kind].smallest_normal * 4.0, x))
    return e.select(tiny, x, e.add(half, half))


def exp_neg_abs(e: Emit, x: V) -> V:
    """e^−|x|: sigmoid, softplus and log_sigmoid of one x share it."""
    return _exp_below(e, e.neg(e.function("absolute", x)))


def sigmoid(e: Emit, x: V) -> V:
    """1/(1 + z) for x ≥ 0, z/(1 + z) for x < 0, with z = e^−|x|."""
    z = e.function("exp_neg_abs", x)
    one = e.like(1.0, x)
    over = e.select(e.compare("olt", x, e.like(0.0, x)), z, one)
    under = fast_sum(e, one, z)
    if x.kind == "f32":
        return e.div(over, under.value)
    return quotient(e, over, under)


def tanh(e: Emit, x: V) -> V:
    """x + x³ TANH(x²) up to 0.6, then 1 − 2z/(1 + z) with z = e^−2|x|."""
    size = e.function("absolute", x)
    square = e.mul(size, size)
    near = e.fma(e.mul(square, size), e.horner(square, TANH[x.kind]), size)
    # At the lower limit of expm1 1 − 2z is 1; z = 2^n + 2^n t.
    twice = at_least(e, e.mul(size, e.like(-2.0, x)), _EXPM1_RANGE[x.kind][0])
    shifted, _, r, _ = _reduced(e, twice, float(FORMATS[x.kind].bias))
    s = power_of_two(e, shifted)
    z = e.fma(s, e.fma(e.mul(r, r), e.horner(r, EXP[x.kind]), r), s)
    one = e.like(1.0, x)
    far = e.fma(e.div(z, e.add(one, z)), e.like(-2.0, x), one)
    return e.copysign(e.select(e.compare("olt", size, e.like(0.6, x)), near, far), x)


def _both_exponentials(e: Emit, x: V) -> tuple[V, V, V, V, V]:
    """(a + b, a − b, r, s − r, c − 1) with a = 2^(n−2), b = 2^(−n−2), s = sinh r, c = cosh r.

    Even and odd powers of e^r's polynomial are cosh r and sinh r; x ≥ 0.
    """
    form = FORMATS[x.kind]
    shifted, n, r, tail = _reduced(e, at_most(e, x, _SINH_LIMIT[x.kind]), form.bias - 2.0)
    a = power_of_two(e, shifted)
    # Where 2^−n no longer counts beside 2^n it may be any small number.
    small = at_most(e, n, 60.0)
    b = power_of_two(e, e.sub(e.like(form.shifter + form.bias - 2.0, x), small))
    z = e.mul(r, r)
    coefficients = EXP[x.kind]
    odd = e.fma(e.mul(z, r), e.horner(z, coefficients[1::2]), tail)
    even = e.mul(z, e.horner(z, coefficients[0::2]))
    return e.add(a, b), e.sub(a, b), r, odd, even


def sinh(e: Emit, x: V) -> V:
    """½(e^x − e^−x) = 2[(a − b) c + (a + b) s]."""
    total, difference, r, odd, even = e.function("sinh_cosh_parts", e.function("absolute", x))
    rest = e.fma(difference, even, e.mul(total, odd))
    value = e.add(e.fma(total, r, difference), rest)
    tiny = e.compare("olt", e.abs(x), e.like(FORMATS[x.kind].smallest_normal * 8.0, x))
    return e.select(tiny, x, e.copysign(e.add(value, value), x))


def cosh(e: Emit, x: V) -> V:
    """½(e^x + e^−x) = 2[(a + b) c + (a − b) s]."""
    total, difference, r, odd, even = e.function("sinh_cosh_parts", e.function("absolute", x))
    rest = e.fma(total, even, e.mul(difference, odd))
    value = e.add(e.fma(difference, r, total), rest)
    return e.add(value, value)


FUNCTIONS: dict[str, Callable[..., V]] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "exp_neg_abs": exp_neg_abs,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "sinh": sinh,
    "cosh": cosh,
}
PARTS: dict[str, Callable[..., Any]] = {
    "exp_pair": exp_pair,
    "sinh_cosh_parts": _both_exponentials,
}
