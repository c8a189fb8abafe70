"""Cases of `ops/transcendental.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.arithmetic import BROADCASTS, SHAPES, spread
from tests.cases.case import Case

_COMPLEX = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "sinc",
)  # fmt: skip
_REAL = ("deg2rad", "rad2deg", "radians", "degrees")

CASES = [
    *(Case(op, getattr(np, op), (s,), complex=op in _COMPLEX) for op in _COMPLEX + _REAL
      for s in SHAPES),
    *(Case(op, getattr(np, op), shapes) for op in ("hypot", "arctan2", "logaddexp", "logaddexp2")
      for shapes in BROADCASTS),
    Case("arctan2", np.arctan2, ((3, 4), (3, 4)), domain=((-2.0, -0.2), (-2.0, -0.2)), label="III"),
    Case("hypot", np.hypot, ((3, 4), (4,)), domain=((-2.0, -0.1), (0.1, 2.0)), label="left"),
    Case("arccosh", np.arccosh, domain=((1.05, 3.0),), label="near-one"),
    Case("logaddexp", lambda x: np.logaddexp(x, 0.0), make=spread(-800.0, 800.0), label="wide"),
    Case("sinc", np.sinc, domain=((-1e-3, 1e-3),), label="near-zero"),
    Case("sinc", np.sinc, domain=((0.25, 0.4),), label="at-the-seam"),
    Case("sinc", np.sinc, make=spread(-20.0, 20.0), label="wide"),
]  # fmt: skip
