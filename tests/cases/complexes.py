"""Cases of `ops/complexes.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.arithmetic import SHAPES
from tests.cases.case import Case

CASES = [
    *(Case(op, getattr(np, op), (shape,), complex=True) for op in ("conjugate", "real", "imag")
      for shape in SHAPES),
    Case("imag", lambda z: z.real * z.imag, label="product-of-parts", complex=True),
    Case("arctan2", lambda z: np.angle(z), domain=((0.2, 2.0),), label="angle", complex=True),
    Case("arctan2", lambda z: np.angle(z, deg=True), domain=((0.2, 2.0),), label="angle-deg",
         complex=True),
    Case("imag", lambda z: np.abs(z) * np.isreal(z), label="isreal", domain=((0.2, 2.0),),
         complex=True),
    Case("imag", lambda z: np.abs(z) * np.iscomplex(z), label="iscomplex", domain=((0.2, 2.0),),
         complex=True),
    Case("conjugate", lambda z: np.conj(z) * z * z, label="product", complex=True),
]  # fmt: skip
