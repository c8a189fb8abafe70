"""Cases of `ops/complexes.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.arithmetic import SHAPES
from tests.cases.case import Case

CASES = [
    *(Case(op, call, (shape,), complex=True) for op, call in (
        ("conjugate", np.conj), ("real", np.real), ("imag", np.imag),
        ("imag", lambda z: z.real * z.imag)) for shape in SHAPES
      if not (op == "imag" and call is not np.imag and shape != (3, 4))),
    Case("real", lambda z: np.angle(z), domain=((0.2, 2.0),), label="angle", complex=True),
    Case("real", lambda z: np.angle(z, deg=True), domain=((0.2, 2.0),), label="angle-deg",
         complex=True),
    Case("real", lambda z: np.abs(z) * np.isreal(z), label="isreal", domain=((0.2, 2.0),),
         complex=True),
    Case("imag", lambda z: np.abs(z) * np.iscomplex(z), label="iscomplex", domain=((0.2, 2.0),),
         complex=True),
    Case("real", np.real_if_close, label="real_if_close"),
    Case("conjugate", lambda z: np.conj(z) * z * z, label="product", complex=True),
]  # fmt: skip
