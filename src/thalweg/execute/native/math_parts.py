"""What the elementary functions share: exact sums and products, clamps, powers of two.

A number known to more digits than its kind holds is an unevaluated sum: a value and its *tail*.
"""

from __future__ import annotations

from typing import NamedTuple

from thalweg.execute.native.emit import BITS, TYPES, Emit, V

__all__ = [
    "FORMATS",
    "Format",
    "Pair",
    "at_least",
    "at_most",
    "binary_exponent",
    "fast_sum",
    "halves",
    "negative_fma",
    "power_of_two",
    "product",
    "quotient",
    "scale",
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


def quotient(e: Emit, a: Pair, d: Pair) -> V:
    """a/d, corrected by its residual: about 0.6 ulp. d far from overflow and underflow."""
    inverse = e.div(e.like(1.0, d.value), d.value)
    first = e.mul(a.value, inverse)
    residual = negative_fma(e, first, d.value, a.value)
    residual = e.add(negative_fma(e, first, d.tail, residual), a.tail)
    return e.fma(residual, inverse, first)


def halves(e: Emit, v: V) -> tuple[V, V]:
    """The lower and the upper lanes of a vector, to be used with half as many lanes."""
    half = e.lanes // 2
    kind = e.type(v.kind)
    lower = ", ".join(f"i32 {i}" for i in range(half))
    upper = ", ".join(f"i32 {i}" for i in range(half, e.lanes))
    return (
        e.line(f"shufflevector {kind} {v.text}, {kind} poison, <{half} x i32> <{lower}>", v.kind),
        e.line(f"shufflevector {kind} {v.text}, {kind} poison, <{half} x i32> <{upper}>", v.kind),
    )


def _joined(e: Emit, lower: V, upper: V) -> V:
    """Vectors of half as many lanes, one behind the other."""
    half = f"<{e.lanes // 2} x {TYPES[lower.kind]}>"
    every = ", ".join(f"i32 {i}" for i in range(e.lanes))
    return e.line(
        f"shufflevector {half} {lower.text}, {half} {upper.text}, <{e.lanes} x i32> <{every}>",
        lower.kind,
    )


def _scalef(e: Emit, x: V, n: V, lanes: int) -> V:
    """AVX-512's x · 2^⌊n⌋ with one rounding, on vectors of `lanes` numbers."""
    size = lanes * BITS[x.kind]
    kind = f"<{lanes} x {TYPES[x.kind]}>"
    name = f"llvm.x86.avx512.mask.scalef.p{'s' if x.kind == 'f32' else 'd'}.{size}"
    mask = f"i{max(lanes, 8)}"
    types = [kind, kind, kind, mask]
    shown = f"{kind} {x.text}, {kind} {n.text}, {kind} zeroinitializer, {mask} -1"
    if size == 512:  # 4: round as the control register says
        types.append("i32")
        shown += ", i32 4"
    e.module.declare(f"declare {kind} @{name}({', '.join(types)})")
    return e.line(f"call {kind} @{name}({shown})", x.kind)


def power_of_two(e: Emit, shifted: V) -> V:
    """2^n, of shifter + bias + n: the low bits, moved into the exponent's place."""
    form = FORMATS[shifted.kind]
    bits = e.bits(shifted)
    return e.number(e.two("shl", bits, e.like(form.digits, bits)))


def scale(e: Emit, x: V, n: V) -> V:
    """x · 2^n with one rounding, for x near 1 and whole n up to twice the format's range."""
    size = e.lanes * BITS[x.kind]
    needed = {"+avx512f"} if size >= 512 else {"+avx512f", "+avx512vl"}
    if size >= 128 and needed <= e.module.features:
        if size <= 512:
            return _scalef(e, x, n, e.lanes)
        if size == 1024:
            pieces = zip(halves(e, x), halves(e, n), strict=True)
            lower, upper = [_scalef(e, part, power, e.lanes // 2) for part, power in pieces]
            return _joined(e, lower, upper)
    # In two steps, each by a power of two that the format has.
    form = FORMATS[x.kind]
    base = e.like(form.shifter + form.bias, x)
    first = e.fma(n, e.like(0.5, n), base)
    second = e.add(e.sub(n, e.sub(first, base)), base)
    return e.mul(e.mul(x, power_of_two(e, first)), power_of_two(e, second))


def binary_exponent(e: Emit, x: V, lowest: float) -> tuple[V, V]:
    """x = m · 2^k, of a normal x > 0, with lowest ≤ m < 2·lowest, as (m, k); 0.5 < lowest ≤ 1."""
    form = FORMATS[x.kind]
    bits = e.bits(x)
    start = e.bits(e.like(lowest, x))
    # In the integers' order x is lowest · 2^k plus less than a whole exponent; the sum with the
    # bias keeps the difference positive.
    moved = e.sub(bits, e.sub(start, e.like(form.bias << form.digits, bits)))
    power = e.two("lshr", moved, e.like(form.digits, bits))
    whole = e.number(e.two("or", power, e.bits(e.like(2.0**form.digits, x))))
    k = e.sub(whole, e.like(2.0**form.digits + form.bias, x))
    rest = e.two("and", moved, e.like((1 << form.digits) - 1, bits))
    return e.number(e.add(rest, start)), k
