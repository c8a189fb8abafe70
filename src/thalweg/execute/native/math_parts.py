"""What the elementary functions share: exact sums and products, clamps, powers of two.

A number known to more digits than its kind holds is an unevaluated sum: a value and its *tail*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from thalweg.execute.native.emit import BITS, TYPES, Emit, V

__all__ = [
    "FORMATS",
    "Format",
    "Pair",
    "at_least",
    "at_most",
    "fast_sum",
    "negative_fma",
    "power_of_two",
    "product",
    "quotient",
    "scale",
    "significand",
    "sum_of",
]


class Format(NamedTuple):
    """A floating format: bits of the stored significand, bias, and the integer kind of its size."""

    digits: int
    bias: int
    integer: str

    @property
    def shifter(self) -> float:
        """1.5 · 2^digits: adding it rounds to an integer, which then stands in the low bits."""
        return 1.5 * 2.0**self.digits

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.bias)


FORMATS = {"f32": Format(23, 127, "i32"), "f64": Format(52, 1023, "i64")}


class Pair(NamedTuple):
    """The unevaluated sum of a number and its tail."""

    value: V
    tail: V


def at_most(e: Emit, x: V, limit: float) -> V:
    """min(x, limit); NaN stays."""
    bound = e.like(limit, x)
    return e.select(e.compare("olt", bound, x), bound, x)


def at_least(e: Emit, x: V, limit: float) -> V:
    """max(x, limit); NaN stays."""
    bound = e.like(limit, x)
    return e.select(e.compare("ogt", bound, x), bound, x)


def negative_fma(e: Emit, a: V, b: V, c: V) -> V:
    """c − a·b with one rounding."""
    return e.fma(e.neg(a), b, c)


def fast_sum(e: Emit, a: V, b: V) -> Pair:
    """a + b and its exact rounding error, for |a| ≥ |b| or a = 0."""
    value = e.add(a, b)
    return Pair(value, e.sub(b, e.sub(value, a)))


def sum_of(e: Emit, a: V, b: V) -> Pair:
    """a + b and its exact rounding error."""
    value = e.add(a, b)
    part = e.sub(value, a)
    return Pair(value, e.add(e.sub(a, e.sub(value, part)), e.sub(b, part)))


def product(e: Emit, a: V, b: V) -> Pair:
    """a·b and its exact rounding error."""
    value = e.mul(a, b)
    return Pair(value, e.fma(a, b, e.neg(value)))


def quotient(e: Emit, a: V, d: Pair, tail: V | None = None) -> V:
    """a/d, corrected by its residual: about 0.6 ulp. d far from overflow and underflow.

    `tail` is that of a, if it has one.

    The one division runs beside the other instructions: an estimate refined by them is slower.
    """
    factor = e.div(e.like(1.0, d.value), d.value)
    first = e.mul(a, factor)
    residual = negative_fma(e, first, d.tail, negative_fma(e, first, d.value, a))
    if tail is not None:
        residual = e.add(residual, tail)
    return e.fma(residual, factor, first)


def _has_avx512(e: Emit, kind: str) -> bool:
    width = e.lanes * BITS[kind]
    wanted = {"+avx512f"} if width >= 512 else {"+avx512f", "+avx512vl"}
    return 128 <= width <= 1024 and wanted <= e.module.features


def _shuffle(e: Emit, v: V, lanes: int, order: range, other: str = "poison") -> V:
    kind = f"<{lanes} x {TYPES[v.kind]}>"
    mask = ", ".join(f"i32 {i}" for i in order)
    return e.line(
        f"shufflevector {kind} {v.text}, {kind} {other}, <{len(order)} x i32> <{mask}>", v.kind
    )


def _avx512(
    e: Emit, name: str, operands: Sequence[V], immediate: int | None = None, lanes: int = 0
) -> V:
    """A masked instruction of AVX-512, in two halves where one vector is too short."""
    lanes = lanes or e.lanes
    kind = operands[0].kind
    width = lanes * BITS[kind]
    if width > 512:
        half = lanes // 2
        lower = [_shuffle(e, v, lanes, range(half)) for v in operands]
        upper = [_shuffle(e, v, lanes, range(half, lanes)) for v in operands]
        first = _avx512(e, name, lower, immediate, half)
        second = _avx512(e, name, upper, immediate, half)
        return _shuffle(e, first, half, range(lanes), second.text)
    vector, mask = f"<{lanes} x {TYPES[kind]}>", f"i{max(lanes, 8)}"
    shown = [(vector, v.text) for v in operands]
    if immediate is not None:
        shown.append(("i32", str(immediate)))
    shown += [(vector, "zeroinitializer"), (mask, "-1")]
    if width == 512:
        shown.append(("i32", "4"))  # rounded as the control register says
    full_name = f"llvm.x86.avx512.mask.{name}.p{'s' if kind == 'f32' else 'd'}.{width}"
    e.module.declare(f"declare {vector} @{full_name}({', '.join(t for t, _ in shown)})")
    arguments = ", ".join(f"{t} {text}" for t, text in shown)
    return e.line(f"call {vector} @{full_name}({arguments})", kind)


def power_of_two(e: Emit, shifted: V) -> V:
    """2^n, of shifter + bias + n: the low bits, moved into the exponent's place."""
    form = FORMATS[shifted.kind]
    bits = e.bits(shifted)
    return e.number(e.two("shl", bits, e.like(form.digits, bits)))


def scale(e: Emit, x: V, n: V) -> V:
    """x · 2^n with one rounding, for x near 1 and whole n up to twice the format's range."""
    if _has_avx512(e, x.kind):
        return _avx512(e, "scalef", [x, n])
    # In two steps, each by a power of two that the format has.
    form = FORMATS[x.kind]
    base = e.like(form.shifter + form.bias, x)
    first = e.fma(n, e.like(0.5, n), base)
    second = e.add(e.sub(n, e.sub(first, base)), base)
    return e.mul(e.mul(x, power_of_two(e, first)), power_of_two(e, second))


def significand(e: Emit, x: V) -> tuple[V, V]:
    """x = m · 2^k with ¾ ≤ m < 3/2, as (m, k).

    Special values: k = ∓inf and m = 1 for 0 and inf; m is NaN for NaN and x < 0.
    """
    if _has_avx512(e, x.kind):
        # Interval 3: ¾ to 3/2; sign control 2: NaN for negative numbers.
        m = _avx512(e, "getmant", [x], 3 | 2 << 2)
        return m, e.sub(_avx512(e, "getexp", [x]), _avx512(e, "getexp", [m]))
    form = FORMATS[x.kind]
    one = e.like(1.0, x)
    # Subnormal numbers are made normal.
    small = e.compare("olt", x, e.like(form.smallest_normal, x))
    up = float(form.digits + 2)
    bits = e.bits(e.select(small, e.mul(x, e.like(2.0**up, x)), x))
    # In the integers' order x is ¾ · 2^k plus less than a whole exponent; the bias keeps the
    # difference positive.
    start = e.bits(e.like(0.75, x))
    moved = e.sub(bits, e.sub(start, e.like(form.bias << form.digits, bits)))
    power = e.two("lshr", moved, e.like(form.digits, bits))
    whole = e.number(e.two("or", power, e.bits(e.like(2.0**form.digits, x))))
    offset = 2.0**form.digits + form.bias
    k = e.sub(whole, e.select(small, e.like(offset + up, x), e.like(offset, x)))
    rest = e.two("and", moved, e.like((1 << form.digits) - 1, bits))
    m = e.number(e.add(rest, start))
    m = e.select(e.compare("oge", x, e.like(0.0, x)), m, e.like(math.nan, x))
    zero = e.compare("oeq", x, e.like(0.0, x))
    infinite = e.compare("oeq", x, e.like(math.inf, x))
    m = e.select(e.either(zero, infinite), one, m)
    k = e.select(infinite, e.like(math.inf, x), k)
    return m, e.select(zero, e.like(-math.inf, x), k)
