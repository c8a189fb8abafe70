"""Elementwise operations in native code that are not one scalar function of their own name.

b is `thalweg.execute.native.builder.Builder`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "alias",
    "lower_clip",
    "lower_fraction",
    "lower_imag",
    "lower_invert",
    "lower_logaddexp2",
    "lower_power",
    "lower_real",
    "lower_round",
    "lower_sinc",
    "through_double",
]

Rule = Callable[..., Any]
#: The highest powers that products give as accurately as the power function would.
_LONGEST = {"f32": 6, "f64": 5}


def alias(name: str) -> Rule:
    """The scalar function that native code knows by another name."""
    return lambda b, out, *operands: b.elementwise(name, out, operands)


def through_double(rule: Rule) -> Rule:
    """``rule(b, *operands)`` in float64, as SciPy computes float32."""

    def lower(b: Any, out: Any, *operands: Any) -> Any:
        return b.cast(rule(b, *[b.tensor(x, np.float64) for x in operands]), out.dtype)

    return lower


# ---- powers ---------------------------------------------------------------------------------


def _number(b: Any, x: Any) -> float | None:
    """The one number that a constant operand is."""
    if not hasattr(x, "serial"):
        return x if isinstance(x, (int, float)) else None
    return None if x.op != "const" or isinstance(x.data, tuple) else x.data


def _product(b: Any, x: Any, n: int) -> Any:
    """x^n for n ≥ 1 by squaring."""
    found = None
    while n:
        if n & 1:
            found = x if found is None else b.multiply(found, x)
        n >>= 1
        x = b.multiply(x, x) if n else x
    return found


def lower_power(b: Any, out: Any, x: Any, y: Any) -> Any:
    """x**y; small constant exponents as products and roots.

    C's power of −0 and −∞ is positive for exponents that are no integers. NumPy takes the root of
    an array instead, where the exponent is the number ½.
    """
    exponent = _number(b, y)
    # NumPy's short cut for x**0.5 is taken for arrays only, and for exponents that are numbers.
    is_root = len(getattr(x, "shape", ())) > 0 and len(getattr(y, "shape", ())) == 0
    x, y = b.tensor(x, out.dtype), b.tensor(y, out.dtype)
    found = None if exponent is None else _power(b, x, exponent, is_root)
    if found is None:
        if x.kind[0] != "f":
            b.refuse("integers to a power that is no small constant")
        found = b.exp2(y) if _number(b, x) == 2 else b.power(x, y)
    return b.broadcast(found, out.shape)


def _power(b: Any, x: Any, n: float, is_root: bool) -> Any:
    """x^n for some constant n, else None."""
    if x.kind[0] != "f":
        short = n == int(n) and 0 <= n <= 64 and x.kind != "i1"
        return None if not short else _product(b, x, int(n)) if n else b.const(1, x.kind, x.shape)
    if math.isfinite(n) and n == int(n):
        if n == 0:
            return b.const(1.0, x.kind, x.shape)
        if 0 < n <= _LONGEST[x.kind]:
            return _product(b, x, int(n))
        return _product(b, b.divide(1.0, x), int(-n)) if -2 <= n < 0 else None
    if n == 0.5 and is_root:
        return b.sqrt(x)
    if n not in (0.5, 1.5, -0.5):
        return None
    root = b.add(b.sqrt(x), 0.0)  # of −0 it is 0
    end = b.tensor(0.0 if n < 0 else math.inf, x.dtype)
    found = root if n == 0.5 else b.multiply(x, root) if n > 0 else b.divide(1.0, root)
    if n == 1.5:
        found = b.multiply(x, b.sqrt(x))
    return b.where(b.equal(x, -math.inf), end, found)


# ---- rounding and bounds ----------------------------------------------------------------------


def lower_clip(b: Any, out: Any, x: Any, low: Any, high: Any) -> Any:
    """minimum(maximum(x, low), high); at a tie a bound that is an array wins, a number does not."""
    x = b.tensor(x, out.dtype)
    for bound, beyond in ((low, "less"), (high, "greater")):
        edge = b.tensor(bound, out.dtype)
        if edge.ndim == 0:
            number = _number(b, edge)
            outside = b.map(beyond, x, edge)
            if x.kind[0] == "f" and (number is None or number != number):
                outside = b.logical_or(outside, b.isnan(edge))
            x = b.where(outside, edge, x)
        else:
            inside = b.map("greater" if beyond == "less" else "less", x, edge)
            if x.kind[0] == "f":
                inside = b.logical_or(inside, b.isnan(x))
            x = b.where(inside, x, edge)
    return b.broadcast(x, out.shape)


def lower_round(b: Any, out: Any, x: Any, decimals: int) -> Any:
    """rint of x · 10^decimals, taken back."""
    if out.dtype.kind == "c":
        b.refuse("rounding of complex numbers")
    if x.kind[0] != "f":
        return x if decimals >= 0 and x.kind != "i1" else b.refuse("integers rounded to tens")
    if decimals == 0:
        return b.rint(x)
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return b.divide(b.rint(b.multiply(x, scale)), scale)
    return b.multiply(b.rint(b.divide(x, scale)), scale)


def lower_fraction(b: Any, out: Any, x: Any) -> Any:
    """What modf leaves behind the point, with x's sign; 0 of an infinity."""
    x = b.tensor(x, out.dtype)
    rest = b.where(b.isinf(x), b.tensor(0.0, x.dtype), b.subtract(x, b.trunc(x)))
    return b.copysign(rest, x)


def lower_invert(b: Any, out: Any, x: Any) -> Any:
    """All bits the other way round."""
    if x.kind == "i1":
        return b.logical_not(x)
    info = np.iinfo(x.dtype)
    return b.map("bitwise_xor", x, b.const(-1 if info.min else info.max, x.kind))


# ---- complex parts of real numbers ------------------------------------------------------------


def lower_real(b: Any, out: Any, x: Any) -> Any:
    """A real number is its real part, and its conjugate."""
    return b.tensor(x, out.dtype)


def lower_imag(b: Any, out: Any, x: Any) -> Any:
    """The imaginary part of a real number is 0."""
    if x.kind.startswith("raw"):
        b.refuse("complex numbers run in NumPy")
    return b.const(0, x.kind, x.shape)


# ---- others -----------------------------------------------------------------------------------


def lower_logaddexp2(b: Any, out: Any, x: Any, y: Any) -> Any:
    """log₂(2^x + 2^y) = max + log₂(1 + 2^−|x−y|); equal operands, infinities too, one more."""
    x, y = (b.tensor(v, out.dtype) for v in (x, y))
    apart = b.exp2(b.negative(b.absolute(b.subtract(x, y))))
    beyond = b.multiply(b.log1p(apart), 1 / math.log(2.0))
    return b.where(b.equal(x, y), b.add(x, 1.0), b.add(b.maximum(x, y), beyond))


def lower_sinc(b: Any, out: Any, x: Any, order: int) -> Any:
    """sin(πx)/(πx) as NumPy has it: at 0 a number next to it."""
    if order:
        b.refuse("derivatives of sinc are a recurrence and a series")
    x = b.multiply(b.tensor(x, out.dtype), math.pi)
    x = b.where(b.equal(x, 0.0), b.tensor(np.finfo(x.dtype).eps, x.dtype), x)
    return b.divide(b.sin(x), x)
