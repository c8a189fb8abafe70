"""Cases of `ops/creation.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case
from tests.cases.shape import _named


def _assigned(x):
    buffer = np.zeros(3, like=x)
    buffer[0] = x[1]
    buffer[2] = x[0] * x[2]
    return buffer


_ENDS = ((0.5, 1.0), (2.0, 3.0))

CASES = [
    *_named(
        "setitem", "like",
        (((3,),), _assigned),
    ),
    *_named(
        "broadcast_to", "full",
        (((2, 3), ()), lambda x, v: np.full_like(x, v) * x),
        (((2, 3), (3,)), lambda x, v: np.full_like(x, v)),
        (((2,),), lambda v: np.full((2, 2), v, like=v)),
        (((2, 3),), lambda x: np.full_like(x, 2.0) * x),
        (((2, 3),), lambda x: np.zeros_like(x) + np.ones_like(x) * x),
        (((2, 3),), lambda x: np.arange(3.0, like=x) * x + np.eye(2, 3, like=x)),
    ),
    *_named(
        "stack", "asarray",
        (((2,), (2,)), lambda x, y: np.array([[x, [1.0, 2]], [y, x]], like=x)),
        (((3,),), lambda x: np.asarray(x, like=x) * 2),
        (((3,),), lambda x: np.asarray([x[0], x[1] * 2], like=x)),
    ),
    *[
        case
        for op, function in (("linspace", np.linspace), ("geomspace", np.geomspace))
        for case in _named(
            op, op,
            (((), ()), lambda a, b, f=function: f(a, b, 5)),
            (((), ()), lambda a, b, f=function: f(a, b, 5, endpoint=False)),
            (((), ()), lambda a, b, f=function: f(a, b, 1)),
            (((), ()), lambda a, b, f=function: f(a, b, 0)),
            (((3,), ()), lambda a, b, f=function: f(a, b, 4)),
            (((3,), (2, 3)), lambda a, b, f=function: f(a, b, 4, axis=-1)),
            (((),), lambda a, f=function: f(a, 2.0, 4)),
            domain=_ENDS,
        )
    ],
    Case("linspace", lambda a, b: np.linspace(a, b, 4, retstep=True), ((), ()), _ENDS,
         label="retstep"),
    Case("linspace", lambda a, b: np.logspace(a, b, 4), ((), ()), _ENDS, label="logspace"),
    Case("linspace", lambda a, b: np.logspace(a, 2.0, 4, base=b), ((), ()), _ENDS, label="base"),
    *[
        Case(function.__name__, lambda x, f=function: x * f(x, x + 1.0), ((3,),))
        for function in (np.array_equal, np.array_equiv, np.allclose, np.isclose, np.isin)
    ],
    *[
        Case(function.__name__, lambda x, f=function: x * f(x), ((3,),))
        for function in (np.isposinf, np.isneginf)
    ],
]  # fmt: skip
