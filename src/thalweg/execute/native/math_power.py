"""Powers, roots and remainders."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from thalweg.execute.native.coefficients import (
    CBRT,
    CBRT_STEPS,
    EXP2,
    EXP2_SHORT,
    LOG2E,
    LOG_LONG,
    LOG_SHORT,
    THIRD,
)
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
    scale,
    significand,
    sum_of,
)

__all__ = ["FUNCTIONS", "PARTS"]


# ---- power --------------------------------------------------------------------------------


def _exponent_of(e: Emit, x: V, y: V) -> Pair:
    """y·log₂ x in float64, with a tail, for x ≥ 0: right to 2^−64 of its size.

    log m = 2s + 2s³/3 + s⁵ LOG_LONG(s²) with s = (m − 1)/(m + 1); the first two terms take tails.
    """
    m, k = significand(e, x)
    one = e.like(1.0, x)
    f = e.sub(m, one)
    under = sum_of(e, m, one)
    factor = e.div(one, under.value)
    s = e.mul(f, factor)
    left = negative_fma(e, s, under.tail, negative_fma(e, s, under.value, f))
    s_tail = e.mul(left, factor)
    z = product(e, s, s)
    z_tail = e.fma(e.add(s, s), s_tail, z.tail)
    # w = 2z/3 + z² LOG_LONG(z)
    third, third_tail = (e.like(part, x) for part in THIRD["f64"])
    lead = product(e, z.value, third)
    lead_tail = e.fma(z_tail, third, e.fma(z.value, third_tail, lead.tail))
    series = e.mul(e.mul(z.value, z.value), e.horner(z.value, LOG_LONG["f64"]))
    w = fast_sum(e, lead.value, e.add(series, lead_tail))
    # log m = s (2 + w)
    bracket = fast_sum(e, e.like(2.0, x), w.value)
    bracket_tail = e.add(bracket.tail, w.tail)
    main = product(e, s, bracket.value)
    main_tail = e.fma(s, bracket_tail, e.fma(s_tail, bracket.value, main.tail))
    # log₂ x = k + log m · log₂ e
    high, low = (e.like(part, x) for part in LOG2E["f64"])
    part = product(e, main.value, high)
    part_tail = e.fma(main.value, low, e.fma(main_tail, high, part.tail))
    total = fast_sum(e, k, part.value)
    log2 = fast_sum(e, total.value, e.add(total.tail, part_tail))
    value = product(e, y, log2.value)
    tail = e.fma(y, log2.tail, value.tail)
    # Infinite logarithms have no tail, nor do products that overflow.
    fine = e.compare("olt", e.abs(value.value), e.like(2000.0, x))
    infinite = e.compare("oeq", e.abs(k), e.like(math.inf, x))
    plain = e.mul(y, e.select(infinite, k, log2.value))
    return Pair(
        e.select(infinite, plain, value.value),
        e.select(fine, tail, e.like(0.0, x)),
    )


def _power_of_sizes(e: Emit, x: V, y: V) -> V:
    """x^y for x ≥ 0 in float64: 2^(n + r) of n + r = y log₂ x."""
    value, tail = _exponent_of(e, x, y)
    value = at_least(e, at_most(e, value, 1025.0), -1077.0)
    n = e.rint(value)
    r = e.add(e.sub(value, n), tail)
    return scale(e, e.fma(r, e.horner(r, EXP2["f64"]), e.like(1.0, x)), n)


def _power_of_singles(e: Emit, x: V, y: V) -> V:
    """x^y for x ≥ 0 in float64 to some 40 digits, which is enough for float32."""
    m, k = significand(e, x)
    one = e.like(1.0, x)
    s = e.div(e.sub(m, one), e.add(m, one))
    log2 = e.fma(s, e.horner(e.mul(s, s), LOG_SHORT["f64"]), k)
    infinite = e.compare("oeq", e.abs(k), e.like(math.inf, x))
    value = e.mul(y, e.select(infinite, k, log2))
    value = at_least(e, at_most(e, value, 200.0), -200.0)
    form = FORMATS["f64"]
    base = e.like(form.shifter + form.bias, x)
    shifted = e.add(value, base)
    r = e.sub(value, e.sub(shifted, base))
    power = power_of_two(e, shifted)
    return e.fma(e.mul(power, r), e.horner(r, EXP2_SHORT["f64"]), power)


def power(e: Emit, x: V, y: V) -> V:
    """x^y with the special cases of C's pow."""
    size = e.abs(x)
    one, zero = e.like(1.0, x), e.like(0.0, x)
    if x.kind == "f32":
        wide = _power_of_singles(e, e.convert(size, "f64"), e.convert(y, "f64"))
        value = e.convert(wide, "f32")
    else:
        value = _power_of_sizes(e, size, y)
    value = e.select(e.compare("oeq", size, one), one, value)
    half = e.mul(y, e.like(0.5, x))
    whole = e.compare("oeq", e.trunc(y), y)
    odd = e.both(whole, e.compare("one", e.trunc(half), half))
    value = e.select(odd, e.copysign(value, x), value)
    # Of a negative number only whole powers are real; −inf has them all.
    negative = e.both(e.compare("olt", x, zero), e.compare("ogt", x, e.like(-math.inf, x)))
    value = e.select(e.both(negative, e.opposite(whole)), e.like(math.nan, x), value)
    unknown = e.compare("uno", x, y)
    value = e.select(unknown, e.like(math.nan, x), value)
    certain = e.either(e.compare("oeq", y, zero), e.compare("oeq", x, one))
    return e.select(certain, one, value)


# ---- roots --------------------------------------------------------------------------------


def cbrt(e: Emit, x: V) -> V:
    """∛x: an estimate of m^−⅓ is refined by the third-order step, c = m y² by its residual."""
    m, k = significand(e, e.abs(x))
    third = e.like(1.0 / 3.0, x)
    q = e.rint(e.mul(k, third))
    left = e.sub(k, e.mul(q, e.like(3.0, x)))
    low, middle, high = CBRT_STEPS[x.kind]
    more = e.compare("ogt", left, e.like(0.0, x))
    less = e.compare("olt", left, e.like(0.0, x))
    step = e.select(more, e.like(high, x), e.select(less, e.like(low, x), e.like(middle, x)))
    y = e.mul(e.horner(e.sub(m, e.like(1.0, x)), CBRT[x.kind]), step)
    two = e.select(more, e.like(2.0, x), e.select(less, e.like(0.5, x), e.like(1.0, x)))
    m = e.mul(m, two)
    h = negative_fma(e, e.mul(m, y), e.mul(y, y), e.like(1.0, x))
    y = e.fma(e.mul(y, h), e.fma(h, e.like(2.0 / 9.0, x), third), y)
    square = e.mul(y, y)
    c = e.mul(m, square)
    # (m − c³)/(3c²), c³ exact.
    second = product(e, c, c)
    cube = product(e, second.value, c)
    residual = e.sub(e.sub(m, cube.value), e.fma(second.tail, c, cube.tail))
    c = e.fma(e.mul(residual, square), third, c)
    form = FORMATS[x.kind]
    value = e.mul(c, power_of_two(e, e.add(q, e.like(form.shifter + form.bias, x))))
    special = e.compare("oeq", e.abs(k), e.like(math.inf, x))
    return e.select(special, x, e.copysign(value, x))


def hypot(e: Emit, x: V, y: V) -> V:
    """√(x² + y²) without overflow of the squares; inf beside NaN is inf."""
    digits, bias = FORMATS[x.kind][:2]
    a, b = e.abs(x), e.abs(y)
    first = e.compare("ogt", a, b)
    larger, smaller = e.select(first, a, b), e.select(first, b, a)
    one = e.like(1.0, x)
    # A sum of squares is safe from 2^-least up to 2^(bias/2); the shift lifts the smallest number
    # to where its square is normal.
    least = (bias - digits) // 2 - 2
    shift = bias + digits - least
    large = e.compare("ogt", larger, e.like(2.0 ** (bias // 2 - 4), x))
    small = e.compare("olt", larger, e.like(2.0**-least, x))
    down, up = e.like(2.0**-shift, x), e.like(2.0**shift, x)
    factor = e.select(large, down, e.select(small, up, one))
    back = e.select(large, up, e.select(small, down, one))
    larger, smaller = e.mul(larger, factor), e.mul(smaller, factor)
    value = e.mul(e.sqrt(e.fma(larger, larger, e.mul(smaller, smaller))), back)
    infinity = e.like(math.inf, x)
    infinite = e.either(e.compare("oeq", a, infinity), e.compare("oeq", b, infinity))
    return e.select(infinite, infinity, value)


# ---- remainders ---------------------------------------------------------------------------

#: Of vectors whose quotients are below the limit at once, of others number by number (C's fmod).
_FMOD = """define internal {number} @{name}({number} %x, {number} %y) {attributes} {{
entry:
{near}
  br i1 %any, label %slow, label %done
slow:
  %exact = frem {number} %x, %y
  br label %done
done:
  %result = phi {number} [ {value}, %entry ], [ %exact, %slow ]
  ret {number} %result
}}"""


def _define_fmod(e: Emit, kind: str, name: str) -> None:
    lanes = e.lanes
    b = Emit(e.module, lanes)
    x, y = V("%x", kind), V("%y", kind)
    size, unit = b.abs(x), b.abs(y)
    q = b.trunc(b.div(size, unit))
    # Exact. The quotient may have been rounded up: then the remainder is negative.
    r = negative_fma(b, q, unit, size)
    r = b.select(b.compare("olt", r, b.like(0.0, x)), b.add(r, unit), r)
    value = b.copysign(b.select(b.compare("olt", size, unit), size, r), x)
    far = b.opposite(b.compare("olt", q, b.like(2.0 ** FORMATS[kind].digits, x)))
    if lanes == 1:
        b.raw(f"  %any = and i1 {far.text}, true")
    else:
        e.module.declare(f"declare i1 @llvm.vector.reduce.or.v{lanes}i1(<{lanes} x i1>)")
        b.raw(f"  %any = call i1 @llvm.vector.reduce.or.v{lanes}i1(<{lanes} x i1> {far.text})")
    e.module.define(
        name,
        _FMOD.format(
            number=e.type(kind),
            name=name,
            attributes='nounwind "prefer-vector-width"="512"',
            near="\n".join(b.lines),
            value=value.text,
        ),
    )


def fmod(e: Emit, x: V, y: V) -> V:
    """x − trunc(x/y)·y, exact, with the sign of x."""
    name = f"fmod_{x.kind}_{e.lanes}"
    if name not in e.module.definitions:
        _define_fmod(e, x.kind, name)
    number = e.type(x.kind)
    return e.line(f"call {number} @{name}({number} {x.text}, {number} {y.text})", x.kind)


def _divmod(e: Emit, x: V, y: V) -> tuple[V, V, V]:
    """(remainder with the sign of y, fmod, whether they differ by y), for y ≠ 0."""
    zero = e.like(0.0, x)
    r = e.function("fmod", x, y)
    opposite = e.two("xor", e.compare("olt", r, zero), e.compare("olt", y, zero))
    adjust = e.both(e.compare("one", r, zero), opposite)
    value = e.select(adjust, e.add(r, y), r)
    return e.select(e.compare("oeq", r, zero), e.copysign(zero, y), value), r, adjust


def remainder(e: Emit, x: V, y: V) -> V:
    """Python's x % y: the sign of y."""
    return e.function("divmod_parts", x, y)[0]


def floor_divide(e: Emit, x: V, y: V) -> V:
    """Python's x // y, by the remainder; x/0 as a quotient."""
    _, r, adjust = e.function("divmod_parts", x, y)
    zero, one = e.like(0.0, x), e.like(1.0, x)
    quotient = e.div(e.sub(x, r), y)
    quotient = e.select(adjust, e.sub(quotient, one), quotient)
    # The nearest whole number: the difference above may have rounded.
    whole = e.floor(quotient)
    up = e.compare("ogt", e.sub(quotient, whole), e.like(0.5, x))
    whole = e.select(up, e.add(whole, one), whole)
    plain = e.div(x, y)
    nothing = e.compare("oeq", quotient, zero)
    whole = e.select(nothing, e.copysign(zero, plain), whole)
    return e.select(e.compare("oeq", y, zero), plain, whole)


FUNCTIONS: dict[str, Callable[..., V]] = {
    "power": power,
    "cbrt": cbrt,
    "hypot": hypot,
    "fmod": fmod,
    "remainder": remainder,
    "floor_divide": floor_divide,
}
PARTS: dict[str, Callable[..., Any]] = {"divmod_parts": _divmod}
