"""The error function and the normal distribution.

erfc x = e^−x² w(x) for x ≥ 0, and w is smooth: (1 + 2x) w = 1 + v ERFC(v − 1), v = 2x/(x + 3¾).
In e^−x² the rounding error of x² counts: x² = h + l, e^−x² = e^−h (1 − l).
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg.execute.native.coefficients import ERF_FAR, ERF_NEAR, ERFC, ROOT_HALF
from thalweg.execute.native.emit import Emit, V
from thalweg.execute.native.math_parts import (
    Pair,
    at_most,
    fast_sum,
    negative_fma,
    product,
    quotient,
    sum_of,
)

__all__ = ["FUNCTIONS"]

_CENTRE = 3.75
# erfc x rounds to 0 from here on.
_ERFC_LIMIT = {"f32": 11.0, "f64": 28.0}


def erf(e: Emit, x: V) -> V:
    """x + x ERF_NEAR(x²) up to 1, then 1 − e^−x² ERF_FAR(1/(x + 3) − 0.18).

    The derivative is a multiple of e^−x², spelled the same: a loop that has both computes it once.
    """
    size = e.abs(x)
    near = e.fma(size, e.horner(e.mul(x, x), ERF_NEAR[x.kind]), size)
    one = e.like(1.0, x)
    t = e.sub(e.div(one, e.add(size, e.like(3.0, x))), e.like(0.18, x))
    gauss = e.function("exp", e.mul(e.neg(x), x))
    far = negative_fma(e, gauss, e.horner(t, ERF_FAR[x.kind]), one)
    return e.copysign(e.select(e.compare("olt", size, one), near, far), x)


def _tail_factor(e: Emit, x: V, tail: V) -> V:
    """w = e^x² erfc x of x + tail, 0 ≤ x ≤ the limit."""
    one = e.like(1.0, x)
    twice = e.add(x, x)
    v = e.div(twice, e.add(x, e.like(_CENTRE, x)))
    over = fast_sum(e, one, e.mul(v, e.horner(e.sub(v, one), ERFC[x.kind])))
    under = sum_of(e, twice, one)
    lower = Pair(under.value, e.fma(tail, e.like(2.0, x), under.tail))
    return quotient(e, over.value, lower, over.tail)


def _gauss(e: Emit, square: Pair, w: V) -> V:
    """e^−square · w."""
    power = e.function("exp_pair", e.neg(square.value))
    tail = negative_fma(e, square.tail, power.value, power.tail)
    return e.fma(power.value, w, e.mul(tail, w))


def erfc(e: Emit, x: V) -> V:
    """1 − erf x, to full relative precision for large x."""
    size = at_most(e, e.abs(x), _ERFC_LIMIT[x.kind])
    value = _gauss(e, product(e, size, size), _tail_factor(e, size, e.like(0.0, x)))
    return e.select(e.compare("olt", x, e.like(0.0, x)), e.sub(e.like(2.0, x), value), value)


def ndtr(e: Emit, x: V) -> V:
    """The normal distribution function ½ erfc(−x/√2); x²/2 with its tail from x itself."""
    size = at_most(e, e.abs(x), _ERFC_LIMIT[x.kind] * 1.5)
    square = product(e, size, e.mul(size, e.like(0.5, x)))
    high, low = (e.like(part, x) for part in ROOT_HALF[x.kind])
    place = product(e, size, high)
    w = _tail_factor(e, place.value, e.fma(size, low, place.tail))
    tail = _gauss(e, square, e.mul(w, e.like(0.5, x)))
    return e.select(e.compare("ogt", x, e.like(0.0, x)), e.sub(e.like(1.0, x), tail), tail)


FUNCTIONS: dict[str, Callable[..., V]] = {
    "erf": erf,
    "erfc": erfc,
    "ndtr": ndtr,
}
