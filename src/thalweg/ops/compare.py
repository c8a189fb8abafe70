"""Comparisons, logic and rounding (derivative zero where it exists), and `where`."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from thalweg.graph.kinds import Router
from thalweg.graph.primitive import implements
from thalweg.ops._families import elementwise, interval, piecewise_constant, static
from thalweg.ops._lower_arithmetic import lower_invert, lower_round
from thalweg.ops._reasons import INTEGER as RARE
from thalweg.ops.index import as_array, from_list

BOOLEAN = "boolean: no derivative passes a comparison"

LESS = piecewise_constant(
    "less", operator.lt, 2, gate="<", tex="{0} < {1}", ufunc=np.less, reason=BOOLEAN
)
LESS_EQUAL = piecewise_constant(
    "less_equal", operator.le, 2, gate="<=", tex=r"{0} \le {1}", ufunc=np.less_equal, reason=BOOLEAN
)
GREATER = piecewise_constant(
    "greater", operator.gt, 2, gate=">", tex="{0} > {1}", ufunc=np.greater, reason=BOOLEAN
)
GREATER_EQUAL = piecewise_constant(
    "greater_equal", operator.ge, 2, gate=">=", tex=r"{0} \ge {1}", ufunc=np.greater_equal,
    reason=BOOLEAN,
)  # fmt: skip
EQUAL = piecewise_constant("equal", np.equal, 2, gate="==", tex="{0} = {1}", reason=BOOLEAN)
NOT_EQUAL = piecewise_constant(
    "not_equal", np.not_equal, 2, gate="!=", tex=r"{0} \ne {1}", reason=BOOLEAN
)
LOGICAL = [
    piecewise_constant(name, getattr(np, name), count, tex=tex, reason=BOOLEAN)
    for name, count, tex in (
        ("logical_and", 2, r"{0} \wedge {1}"),
        ("logical_or", 2, r"{0} \vee {1}"),
        ("logical_xor", 2, r"{0} \oplus {1}"),
        ("logical_not", 1, r"\neg {0}"),
        ("isnan", 1, r"\operatorname{{isnan}}({0})"),
        ("isinf", 1, r"\operatorname{{isinf}}({0})"),
        ("isfinite", 1, r"\operatorname{{isfinite}}({0})"),
        ("signbit", 1, r"\operatorname{{signbit}}({0})"),
    )
]
INTEGER = [
    piecewise_constant(name, getattr(np, name), count, tex=tex, reason="a bit operation", lower=low)
    for name, count, tex, low in (
        ("bitwise_and", 2, r"{0} \,\&\, {1}", None),
        ("bitwise_or", 2, r"{0} \,|\, {1}", None),
        ("bitwise_xor", 2, r"{0} \oplus {1}", None),
        ("invert", 1, r"\sim {0}", lower_invert),
        ("left_shift", 2, r"{0} \ll {1}", RARE),
        ("right_shift", 2, r"{0} \gg {1}", RARE),
    )
]
BETWEEN_INTEGERS = interval(0.1, 0.9, name="between two integers")
ROUNDING = [
    piecewise_constant(name, getattr(np, name), 1, tex=tex, domain=BETWEEN_INTEGERS)
    for name, tex in (
        ("floor", r"\lfloor {0} \rfloor"),
        ("ceil", r"\lceil {0} \rceil"),
        ("trunc", r"\operatorname{{trunc}}({0})"),
        ("rint", r"\operatorname{{rint}}({0})"),
    )
]
ROUND = piecewise_constant(
    "round",
    lambda x, decimals: np.round(x, decimals),
    1,
    tex=r"\operatorname{{round}}({0})",
    domain=interval(0.1, 0.4, name="between two halves"),
    lower=lower_round,
)


@implements(np.round, np.around)
def round_(a: Any, decimals: int = 0, out: Any = None) -> Any:
    static("np.round", decimals=decimals)
    return ROUND(a, decimals=decimals)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    return np.trunc(x)


def _where_value(condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y)[()]  # NumPy scalars where all operands are


WHERE = elementwise(
    "where",
    _where_value,
    (
        0,
        lambda out, condition, x, y: Router(condition),
        lambda out, condition, x, y: Router(np.logical_not(condition)),
    ),
    tex=r"\operatorname{{where}}({0}, {1}, {2})",
    lower=lambda b, out, condition, x, y: b.where(condition, x, y),
)


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    if x is None and y is None:
        return np.nonzero(condition)
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    condition = as_array(condition)[()]
    if condition.dtype.kind != "b":  # numbers count as true or false, not as factors
        condition = np.not_equal(condition, 0)
    return WHERE(condition, from_list(x), from_list(y))
