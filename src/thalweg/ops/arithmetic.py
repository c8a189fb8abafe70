"""Arithmetic: the gates of the lecture (add distributes, mul switches, max routes)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from thalweg.graph.kinds import Kind, Router, Scale, Wirtinger, Zero
from thalweg.graph.node import Node, call_ufunc
from thalweg.graph.primitive import implements
from thalweg.ops._families import elementwise, interval, piecewise_constant
from thalweg.ops._lower_arithmetic import lower_clip, lower_power
from thalweg.ops.index import as_array, from_list
from thalweg.ops.normalise import safe_ratio

POSITIVE = interval(0.0, np.inf, name="positive")
NONZERO = interval(0.1, np.inf, name="non-zero")

# `operator` and not np.add: the same result (NumPy's own operators), a third of the time on
# NumPy scalars. At least one operand is always a NumPy value.
ADD = elementwise("add", operator.add, (1, 1), gate="+", tex="{0} + {1}", ufunc=np.add)
SUBTRACT = elementwise(
    "subtract", operator.sub, (1, -1), gate="-", tex="{0} - {1}", ufunc=np.subtract
)
MULTIPLY = elementwise(
    "multiply",
    operator.mul,
    (lambda out, x, y: y, lambda out, x, y: x),
    gate="*",
    tex=r"{0} \cdot {1}",
    ufunc=np.multiply,
)


def _inverse(out: Any, x: Any, y: Any) -> Any:
    if isinstance(y, (int, float, complex)) and y == 0:  # Python raises where NumPy gives inf
        with np.errstate(all="ignore"):
            return np.divide(1.0, y).item()
    return 1 / y


DIVIDE = elementwise(
    "divide",
    operator.truediv,
    (_inverse, lambda out, x, y: -out / y),
    gate="/",
    tex=r"\frac{{{0}}}{{{1}}}",
    ufunc=np.true_divide,
    domain=interval(-np.inf, np.inf, (0.1, np.inf)),
)
NEGATIVE = elementwise("negative", operator.neg, (-1,), gate="neg", tex="-{0}", ufunc=np.negative)
POSITIVE_SIGN = elementwise(
    "positive", operator.pos, (1,), gate="pos", tex="+{0}", ufunc=np.positive
)


def _power_base(out: Any, x: Any, y: Any) -> Any:
    # ∂(x^y)/∂x = y x^(y−1); for y = 0 it is 0 also at x = 0, where x^(−1) is infinite.
    if type(y) in (int, float):
        return Scale(0.0) if y == 0 else 2 * x if y == 2 else y * x ** (y - 1)
    safe = np.where(np.equal(y, 0), 1.0, y)
    return np.where(np.equal(y, 0), 0.0, y * x ** (safe - 1))


def _power_exponent(out: Any, x: Any, y: Any) -> Any:
    # ∂(x^y)/∂y = x^y log x, with the limit 0 at x = 0 for y > 0 (and −inf for y = 0).
    limit = np.logical_and(np.equal(x, 0), np.greater(np.real(y), 0))
    base = np.where(limit, 1.0, x)
    if np.iscomplexobj(y) and not np.iscomplexobj(x):
        base = base + 0j  # a negative one has a logarithm there
    return np.where(limit, 0.0, out * np.log(base))


POWER = elementwise(
    "power",
    operator.pow,
    (_power_base, _power_exponent),
    gate="**",
    tex="{{{0}}}^{{{1}}}",
    ufunc=np.power,
    domain=interval(0.1, np.inf, (-np.inf, np.inf)),
    lower=lower_power,
)
FLOAT_POWER = elementwise(
    "float_power",
    np.float_power,
    (_power_base, _power_exponent),
    tex="{{{0}}}^{{{1}}}",
    domain=interval(0.1, np.inf, (-np.inf, np.inf)),
    lower=lower_power,
)
SQUARE = elementwise("square", np.square, (lambda out, x: 2 * x,), tex="{{{0}}}^2")
RECIPROCAL = elementwise(
    "reciprocal", np.reciprocal, (lambda out, x: -out * out,), gate="1/x", tex=r"\frac{{1}}{{{0}}}",
    domain=NONZERO,
)  # fmt: skip
SQRT = elementwise(
    "sqrt", np.sqrt, (lambda out, x: 0.5 / out,), tex=r"\sqrt{{{0}}}", domain=POSITIVE
)
CBRT = elementwise(
    "cbrt", np.cbrt, (lambda out, x: 1 / (3 * out * out),), tex=r"\sqrt[3]{{{0}}}", domain=NONZERO
)


def _abs_partial(out: Any, x: Any) -> Any:
    # Real: sign(x), 0 at 0. Complex: d|z| = Re(conj(z)/|z| · dz), 0 at 0.
    if np.iscomplexobj(x):
        return safe_ratio(np.conj(x), out)
    return np.sign(x)


ABSOLUTE = elementwise(
    "absolute", np.absolute, (_abs_partial,), gate="abs", tex=r"\left|{0}\right|", domain=NONZERO
)
FABS = elementwise("fabs", np.fabs, (_abs_partial,), tex=r"\left|{0}\right|", domain=NONZERO)


def _won(mine: Any, other: Any, sign: int, tie: float) -> Any:
    """1 where mine > other (sign −1: mine < other), `tie` where equal, else 0; 1 for NaN, so that
    NaN is handed on."""
    if not tie:
        return np.logical_not((np.less_equal if sign > 0 else np.greater_equal)(mine, other))
    kept = np.logical_not((np.less if sign > 0 else np.greater)(mine, other))
    return np.where(np.equal(mine, other), mine.dtype.type(tie), kept)


def _won_ignoring_nan(mine: Any, other: Any, sign: int, tie: float) -> Any:
    """As `_won` for fmax and fmin: a number wins over NaN."""
    number = np.logical_not(np.isnan(mine))
    return np.where(np.isnan(other), number, np.where(number, _won(mine, other, sign, tie), False))


def _choice(name: str, ufunc: np.ufunc, sign: int, won: Any, gate: str, tex: str) -> Any:
    """maximum, minimum, fmax, fmin: routers. At a tie two variables get half each; against a
    constant the variable gets 0, so relu(0), maximum(x, 0) and clip(x, 0, None) agree."""

    def value(x: Any, y: Any, ties: tuple[float, float]) -> Any:
        return ufunc(x, y)

    primitive = elementwise(
        name,
        value,
        (
            lambda out, x, y, ties: Router(won(x, y, sign, ties[0])),
            lambda out, x, y, ties: Router(won(y, x, sign, ties[1])),
        ),
        gate=gate,
        tex=tex,
    )

    @implements(ufunc)
    def choose(x: Any, y: Any) -> Any:
        both = getattr(x, "active", False) and getattr(y, "active", False)
        return primitive(x, y, ties=(0.5, 0.5) if both else (0.0, 0.0))

    return primitive


MAXIMUM = _choice("maximum", np.maximum, 1, _won, "max", r"\max({0}, {1})")
MINIMUM = _choice("minimum", np.minimum, -1, _won, "min", r"\min({0}, {1})")
FMAX = _choice("fmax", np.fmax, 1, _won_ignoring_nan, "fmax", r"\max({0}, {1})")
FMIN = _choice("fmin", np.fmin, -1, _won_ignoring_nan, "fmin", r"\min({0}, {1})")


# Both bounds in one pass, where they are constants: at a bound the variable gets 0.
CLIP = elementwise(
    "clip",
    np.clip,
    (
        lambda out, x, low, high: Router(
            np.logical_and(_won(x, low, 1, 0.0), _won(out, high, -1, 0.0))
        ),
        0,
        0,
    ),
    tex=r"\operatorname{{clip}}({0}, {1}, {2})",
    lower=lower_clip,
)


_CLIP = np._core.umath.clip  # type: ignore[attr-defined]  # what x.clip calls


@implements(np.clip)
def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    **keywords: Any,
) -> Any:
    # NumPy's definition: minimum(a_max, maximum(a, a_min)).
    low = from_list(min if a_min is None else a_min)
    high = from_list(max if a_max is None else a_max)
    if keywords:
        bounds = [bound for bound in (low, high) if bound is not None]
        one = np.positive if not bounds else np.minimum if low is None else np.maximum
        ufunc = _CLIP if len(bounds) == 2 else one
        return call_ufunc(ufunc, "__call__", (a, *bounds), keywords)
    a = as_array(a)  # a Python number is not weak here
    if a.dtype.kind in "iu":  # a Python number beyond the dtype's range bounds nothing
        info = np.iinfo(a.dtype)
        low = None if type(low) is int and low <= info.min else low
        high = None if type(high) is int and high >= info.max else high
    if not any(bound is None or type(bound) is Node for bound in (low, high)):
        return CLIP(a, low, high)
    if low is not None:
        a = np.maximum(a, low)
    if high is not None:
        a = np.minimum(a, high)
    return a if low is not None or high is not None else np.positive(a)


@implements(_CLIP)
def clip_(x: Any, low: Any, high: Any) -> Any:
    return clip(x, low, high)


def _sign_kind(out: Any, x: Any) -> Kind:
    # Real: constant but for the jump at 0. Complex, s = z/|z|: ds = (dz − s² conj(dz)) / 2|z|.
    if not np.iscomplexobj(x):
        return _SIGN_IS_FLAT
    half = safe_ratio(0.5, np.absolute(x))
    return Wirtinger(half, -half * out * out)


_SIGN_IS_FLAT = Zero("sign is piecewise constant")
SIGN = elementwise(
    "sign", np.sign, (_sign_kind,), tex=r"\operatorname{{sign}}({0})", domain=NONZERO
)
FLOOR_DIVIDE = piecewise_constant(
    "floor_divide", operator.floordiv, 2, gate="//", tex=r"\lfloor {0} / {1} \rfloor",
    ufunc=np.floor_divide, domain=interval(1.1, 1.9, (0.6, 0.9)),
)  # fmt: skip
REMAINDER = elementwise(
    "remainder", operator.mod, (1, lambda out, x, y: -np.floor_divide(x, y)), gate="%",
    tex=r"{0} \bmod {1}", ufunc=np.remainder, domain=interval(1.1, 1.9, (0.6, 0.9)),
)  # fmt: skip
FMOD = elementwise(
    "fmod", np.fmod, (1, lambda out, x, y: -np.trunc(x / y)),
    tex=r"\operatorname{{fmod}}({0}, {1})", domain=interval(1.1, 1.9, (0.6, 0.9)),
)  # fmt: skip
