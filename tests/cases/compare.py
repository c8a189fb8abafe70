"""Cases of `ops/compare.py`: what is piecewise constant takes part as a factor."""

from __future__ import annotations

import operator

import numpy as np

from tests.cases.arithmetic import BROADCASTS, SHAPES
from tests.cases.case import Case


def _factor(compare):
    return lambda x, y: (x - y) * compare(x, y)


def _own_factor(act):
    return lambda x: x * act(x)


def _bits(act):
    return lambda x: x * act(np.floor(8 * x).astype(int), 3)


CASES = [
    *(Case(op, _factor(call), shapes) for op, call in (
        ("less", operator.lt), ("less_equal", operator.le), ("greater", operator.gt),
        ("greater_equal", operator.ge), ("equal", np.equal), ("not_equal", np.not_equal),
        ("logical_and", lambda x, y: np.logical_and(x > 0, y)),
        ("logical_or", lambda x, y: np.logical_or(x > 0, y > 0)),
        ("logical_xor", lambda x, y: np.logical_xor(x > 0, y > 0)))
      for shapes in BROADCASTS),
    *(Case(op, _own_factor(getattr(np, op)), (shape,)) for op in (
        "logical_not", "isnan", "isinf", "isfinite", "signbit", "floor", "ceil", "trunc", "rint")
      for shape in SHAPES),
    *(Case("round", lambda x, f=f, d=d: x * f(x, d), (shape,), domain=((0.01, 0.04),),
           label=f"{f.__name__}-{d}-{len(shape)}")
      for f in (np.round, np.around) for d in (0, 1) for shape in ((), (3, 4))),
    Case("round", lambda x: x * x.round(1), domain=((0.01, 0.04),), label="method"),
    Case("trunc", lambda x: x * np.fix(x), label="fix"),
    *(Case(op, _bits(getattr(np, op)), (shape,), domain=((0.26, 0.36),), label=f"{op}-{shape}")
      for op in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift")
      for shape in ((), (3, 4))),
    Case("invert", lambda x: x * np.invert(np.floor(8 * x).astype(int)), domain=((0.26, 0.36),)),
    *(Case("where", lambda x, y: np.where(x > y, x * y, y), shapes) for shapes in BROADCASTS),
    Case("where", lambda x: np.where([True, False, True, False], x, 2.0), label="list-condition"),
    Case("where", lambda x, y: np.where(y > 0, x, y), ((3, 1), (1, 4)), label="complex-free"),
]  # fmt: skip
