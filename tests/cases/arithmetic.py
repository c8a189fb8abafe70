"""Cases of `ops/arithmetic.py`, `transcendental.py` and `compare.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case

_BROADCASTS = (((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((0, 3), (3,)))

CASES = [
    Case(op, call, shapes, complex=op != "maximum")
    for op, call in (
        ("add", lambda x, y: x + y),
        ("subtract", lambda x, y: x - y),
        ("multiply", lambda x, y: x * y),
        ("divide", lambda x, y: x / y),
        ("maximum", lambda x, y: np.maximum(x, y)),
    )
    for shapes in _BROADCASTS
] + [
    Case(op, getattr(np, op), (shape,), complex=True)
    for op in ("exp", "log", "sin", "cos", "tanh", "sqrt")
    for shape in ((), (3, 4), (0,))
]
