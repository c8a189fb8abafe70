"""SciPy's special functions in native code, as SciPy composes them.

b is `thalweg.execute.native.builder.Builder`; operands are float64 tensors (`through_double`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "cosine_less_1",
    "entropy",
    "huber",
    "kl_divergence",
    "logit",
    "pseudo_huber",
    "relative_entropy",
    "relative_exponential",
]


def logit(b: Any, x: Any) -> Any:
    """log(x/(1 − x)); about ½ as log(1 + s) − log(1 − s) with s = 2x − 1."""
    near = b.logical_and(b.greater_equal(x, 0.3), b.less_equal(x, 0.65))
    s = b.multiply(b.subtract(x, 0.5), 2.0)
    centre = b.subtract(b.log1p(s), b.log1p(b.negative(s)))
    return b.where(near, centre, b.log(b.divide(x, b.subtract(1.0, x))))


def entropy(b: Any, x: Any) -> Any:
    """−x log x; 0 at 0, −∞ below."""
    outside = b.where(b.isnan(x), x, -math.inf)
    outside = b.where(b.equal(x, 0.0), 0.0, outside)
    return b.where(b.greater(x, 0.0), b.negative(b.multiply(x, b.log(x))), outside)


def _at_the_edge(b: Any, x: Any, y: Any, inside: Any, at_zero: Any) -> Any:
    """`inside` for x, y > 0; `at_zero` for x = 0 ≤ y; NaN for NaN; else ∞."""
    positive = b.logical_and(b.greater(x, 0.0), b.greater(y, 0.0))
    zero = b.logical_and(b.equal(x, 0.0), b.greater_equal(y, 0.0))
    nan = b.logical_or(b.isnan(x), b.isnan(y))
    outside = b.where(zero, at_zero, b.where(nan, math.nan, b.tensor(math.inf, np.float64)))
    return b.where(positive, inside, outside)


def relative_entropy(b: Any, x: Any, y: Any) -> Any:
    """x log(x/y): by log1p where x and y are near, by two logarithms where x/y is out of range."""
    ratio = b.divide(x, y)
    near = b.logical_and(b.greater(ratio, 0.5), b.less(ratio, 2.0))
    in_range = b.logical_and(
        b.greater(ratio, float(np.finfo(np.float64).tiny)), b.less(ratio, math.inf)
    )
    logarithm = b.where(
        near,
        b.log1p(b.divide(b.subtract(x, y), y)),
        b.where(in_range, b.log(ratio), b.subtract(b.log(x), b.log(y))),
    )
    return _at_the_edge(b, x, y, b.multiply(x, logarithm), 0.0)


def kl_divergence(b: Any, x: Any, y: Any) -> Any:
    """x log(x/y) − x + y."""
    inside = b.add(b.subtract(b.multiply(x, b.log(b.divide(x, y))), x), y)
    return _at_the_edge(b, x, y, inside, y)


def huber(b: Any, delta: Any, r: Any) -> Any:
    """r²/2 up to delta, delta (|r| − delta/2) beyond."""
    size = b.absolute(r)
    inside = b.multiply(b.multiply(r, r), 0.5)
    beyond = b.multiply(delta, b.subtract(size, b.multiply(delta, 0.5)))
    found = b.where(b.less_equal(size, delta), inside, beyond)
    return b.where(b.less(delta, 0.0), math.inf, found)


def pseudo_huber(b: Any, delta: Any, r: Any) -> Any:
    """delta² (√(1 + (r/delta)²) − 1)."""
    ratio = b.divide(r, delta)
    stretch = b.expm1(b.multiply(b.log1p(b.multiply(ratio, ratio)), 0.5))
    found = b.multiply(b.multiply(delta, delta), stretch)
    nothing = b.logical_or(b.equal(delta, 0.0), b.equal(r, 0.0))
    return b.where(b.less(delta, 0.0), math.inf, b.where(nothing, 0.0, found))


def cosine_less_1(b: Any, x: Any) -> Any:
    """cos x − 1 = −2 sin²(x/2)."""
    s = b.sin(b.multiply(x, 0.5))
    return b.multiply(b.multiply(s, s), -2.0)


def relative_exponential(b: Any, x: Any) -> Any:
    """(e^x − 1)/x, 1 at 0."""
    found = b.divide(b.expm1(x), x)
    near = b.less(b.absolute(x), 1e-16)
    return b.where(near, 1.0, b.where(b.greater(x, 717.0), math.inf, found))
