"""Cases of `ops/arithmetic.py` and `ops/floats.py`."""

from __future__ import annotations

import operator

import numpy as np

from tests.cases.case import Case

SHAPES = ((), (3, 4), (0,), (1,), (2, 1, 3))
BROADCASTS = (
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((0, 3), (3,)),
    ((), ()),
)
AWAY_FROM_ZERO = ((-2.0, -0.1),)
BETWEEN = ((1.1, 1.9), (0.6, 0.9))


def spread(low, high):
    """Operands beyond the ±2 that the table draws from by itself."""
    return lambda rng: (rng.uniform(low, high, (3, 4)),)


_BINARY = [
    Case(op, call, shapes, complex=complex_)
    for op, call, complex_ in (
        ("add", operator.add, True),
        ("subtract", operator.sub, True),
        ("multiply", operator.mul, True),
        ("divide", operator.truediv, True),
        ("power", operator.pow, True),
        ("float_power", np.float_power, True),
        ("maximum", np.maximum, False),
        ("minimum", np.minimum, False),
        ("fmax", np.fmax, False),
        ("fmin", np.fmin, False),
        ("floor_divide", operator.floordiv, False),
        ("remainder", operator.mod, False),
        ("fmod", np.fmod, False),
        ("copysign", np.copysign, False),
        ("heaviside", np.heaviside, False),
        ("nextafter", lambda x, y: np.nextafter(x, y), False),
    )
    for shapes in BROADCASTS
]
_UNARY = [
    Case(op, call, (shape,), complex=complex_)
    for op, call, complex_ in (
        ("negative", operator.neg, True),
        ("positive", operator.pos, True),
        ("square", np.square, True),
        ("reciprocal", np.reciprocal, True),
        ("sqrt", np.sqrt, True),
        ("cbrt", np.cbrt, False),
        ("absolute", np.abs, True),
        ("fabs", np.fabs, False),
        ("sign", np.sign, True),
        ("spacing", np.spacing, False),
        ("frexp_mantissa", lambda x: np.frexp(x)[0], False),
        ("modf_fraction", lambda x: np.modf(x)[0], False),
    )
    for shape in SHAPES
]
_POWERS = [
    Case(
        "power", lambda x, n=n: x**n, domain=((low, high),), label=f"to-{n}-on-{low}", complex=True
    )
    for n, low, high in (
        (0, -2.0, 2.0),
        (1, -2.0, 2.0),
        (2, -2.0, 2.0),
        (3, -2.0, 2.0),
        (2.0, -2.0, 2.0),
        (-1, 0.3, 2.0),
        (-2, -2.0, -0.3),
        (0.5, 0.3, 2.0),
        (2.5, 0.3, 2.0),
    )
]

CASES = [
    *_BINARY,
    *_UNARY,
    *_POWERS,
    Case(
        "power", lambda x: x ** np.array([0, 1, 2, 3]), domain=((-2.0, 2.0),), label="integer-array"
    ),
    Case("power", lambda x: np.array([[0.5], [1.5], [2.0]]) ** x, label="constant-base"),
    Case("power", lambda x: 2**x, label="integer-base"),
    *(
        Case(op, call, domain=AWAY_FROM_ZERO, label=f"{op}-left")
        for op, call in (
            ("absolute", abs),
            ("fabs", np.fabs),
            ("sign", np.sign),
            ("cbrt", np.cbrt),
            ("reciprocal", np.reciprocal),
            ("copysign", lambda x: np.copysign(x, -1.5)),
        )
    ),
    Case("heaviside", lambda h: np.heaviside(np.array([-1.0, 0.0, 2.0, 0.0]), h), label="at-zero"),
    Case("ldexp", lambda x: np.ldexp(x, np.array([0, -3, 2, 5])), label="array"),
    Case("ldexp", lambda x: np.ldexp(x, 3), ((),), label="scalar"),
    Case("frexp_exponent", lambda x: x * np.frexp(x)[1], label="both"),
    Case("modf_fraction", lambda x: x * np.modf(x)[1] + np.modf(x)[0], label="both"),
    Case("remainder", lambda x, y: divmod(x, y)[1], ((3, 4), (4,)), label="divmod"),
    Case(
        "floor_divide",
        lambda x, y: np.divmod(x, y)[0] * x,
        ((3, 4), (4,)),
        domain=BETWEEN,
        label="np.divmod",
    ),
    Case("maximum", lambda x: np.maximum(x, 0.0), label="relu"),
    Case("maximum", lambda x: np.maximum(0, x), label="relu-left"),
    Case("minimum", lambda x: np.minimum(x, np.array([0.5, 9.0, -9.0, 1.0])), label="const"),
    Case("maximum", lambda x: np.clip(x, -0.5, None), label="clip-below"),
    Case("minimum", lambda x: np.clip(x, None, 0.5), label="clip-above"),
    Case("clip", lambda x: np.clip(x, -0.5, 0.5), ((2, 1, 3),), label="clip-both"),
    Case(
        "minimum",
        lambda x, lo, hi: np.clip(x, lo, hi),
        ((3, 4), (4,), (3, 1)),
        domain=((-2.0, 2.0), (-1.0, -0.5), (0.5, 1.0)),
        label="clip-by-arrays",
    ),
    Case("clip", lambda x: x.clip(min=-0.5, max=0.5), label="clip-method"),
    Case(
        "minimum",
        lambda hi: np.array([-0.3, 0.2, 9.0]).clip(0.0, hi),
        ((3,),),
        ((0.5, 1.0),),
        label="clip-plain-by-traced",
    ),
    Case("power", lambda y: np.power(-1.5, y + 0.5j * y), ((3,),), label="negative-to-complex"),
    Case(
        "float_power",
        lambda x, y: np.float_power(x, y + 1j),
        ((3,), (2, 1)),
        ((-2.0, -0.5), (-1.0, 1.0)),
        label="negative-to-complex",
    ),
    Case("clip", lambda x: np.clip(x, -0.5, 0.5, dtype=complex), label="clip-dtype"),
    Case(
        "minimum",
        lambda x, hi: np.clip(x, [-1, 0, -1, 0], [1.0, hi, 1, hi]),
        ((3, 4), ()),
        ((-2.0, 2.0), (0.5, 0.8)),
        label="clip-by-lists",
    ),
    Case("positive", lambda x: np.clip(x, None, None), label="clip-nothing"),
    Case("gcd", lambda x: x * np.gcd(np.floor(x * 10).astype(int), 6), label="integers"),
    Case("lcm", lambda x: x * np.lcm(np.floor(x * 10).astype(int), 6), label="integers"),
    Case(
        "bitwise_count", lambda x: x * np.bitwise_count(np.floor(x * 10).astype(int)), label="bits"
    ),
    Case("multiply", lambda x: x * x, label="square", complex=True),
    Case("divide", lambda x: 1 / (2 + x * x), label="left-constant"),
]
