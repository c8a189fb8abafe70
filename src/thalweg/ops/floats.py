"""Signs, exponents and neighbours: ufuncs that look at how a floating number is made."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.kinds import Router, Zero
from thalweg.graph.primitive import implements
from thalweg.ops._families import elementwise, interval, piecewise_constant
from thalweg.ops._lower_arithmetic import lower_fraction
from thalweg.ops._reasons import BITS, INTEGER

__all__: list[str] = []

NONZERO = interval(0.1, np.inf, name="non-zero")

HEAVISIDE = elementwise(
    "heaviside",
    np.heaviside,
    (
        Zero("heaviside is piecewise constant"),
        lambda out, x, at_zero: Router(np.equal(x, 0)),  # the second operand counts at 0 only
    ),
    tex=r"H({0})",
    domain=NONZERO,
)
COPYSIGN = elementwise(
    "copysign",
    np.copysign,
    (
        # |x| with the sign of y; as for abs, the derivative at x = 0 is 0.
        lambda out, x, y: np.sign(x) * np.copysign(1.0, y),
        Zero("only the sign of the second operand counts"),
    ),
    tex=r"|{0}| \operatorname{{sign}}({1})",
    domain=NONZERO,
)
NEXTAFTER = elementwise(
    "nextafter",
    np.nextafter,
    (1, Zero("only the direction of the second operand counts")),
    tex=r"\operatorname{{nextafter}}({0}, {1})",
    lower=BITS,
)
SPACING = piecewise_constant(
    "spacing",
    np.spacing,
    1,
    tex=r"\operatorname{{ulp}}({0})",
    domain=interval(1.1, 1.9),
    lower=BITS,
)
LDEXP = elementwise(
    "ldexp",
    np.ldexp,
    (lambda out, x, n: np.ldexp(1.0, n), Zero("the exponent is an integer")),
    tex=r"{0} \cdot 2^{{{1}}}",
    lower=BITS,
)
EXPONENT = piecewise_constant(
    "frexp_exponent",
    lambda x: np.frexp(x)[1],
    1,
    gate="exponent",
    tex=r"\operatorname{{exponent}}({0})",
    domain=interval(1.1, 1.9),
    reason="an integer",
    lower=BITS,
)
MANTISSA = elementwise(
    "frexp_mantissa",
    lambda x: np.frexp(x)[0],
    (lambda out, x: np.ldexp(1.0, -EXPONENT(x)),),  # x = mantissa · 2^exponent
    gate="mantissa",
    tex=r"\operatorname{{mantissa}}({0})",
    domain=interval(1.1, 1.9),
    lower=BITS,
)
FRACTION = elementwise(
    "modf_fraction",
    lambda x: np.modf(x)[0],
    (1,),
    gate="fraction",
    tex=r"\operatorname{{fraction}}({0})",
    domain=interval(0.1, 0.9, name="between two integers"),
    lower=lower_fraction,
)
GCD, LCM, BITWISE_COUNT = (
    piecewise_constant(name, getattr(np, name), count, tex=tex, reason=reason, lower=INTEGER)
    for name, count, tex, reason in (
        ("gcd", 2, r"\gcd({0}, {1})", "a function of integers"),
        ("lcm", 2, r"\operatorname{{lcm}}({0}, {1})", "a function of integers"),
        ("bitwise_count", 1, r"\operatorname{{popcount}}({0})", "a bit operation"),
    )
)


@implements(np.frexp)
def frexp(x: Any) -> tuple[Any, Any]:
    return MANTISSA(x), EXPONENT(x)


@implements(np.modf)
def modf(x: Any) -> tuple[Any, Any]:
    return FRACTION(x), np.trunc(x)


@implements(np.divmod)
def divmod_(x: Any, y: Any) -> tuple[Any, Any]:
    return np.floor_divide(x, y), np.remainder(x, y)
