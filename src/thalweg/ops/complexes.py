"""Complex parts. Convention: docs/complex.md (JAX's and autograd's)."""

from __future__ import annotations

import numpy as np

from thalweg.graph.kinds import Diagonal, Wirtinger
from thalweg.graph.primitive import implements
from thalweg.ops._families import elementwise

CONJ = elementwise(
    "conjugate", np.conjugate, (Wirtinger(0.0, 1.0),), gate="conj", tex=r"\overline{{{0}}}"
)
# d real(z) = Re(1 · dz), d imag(z) = Re(−i · dz): a real end keeps the real part.
REAL = elementwise("real", lambda x: np.real(x)[()], (1,), tex=r"\operatorname{{Re}} {0}")
IMAG = elementwise(
    "imag", lambda x: np.imag(x)[()], (Diagonal(-1j),), tex=r"\operatorname{{Im}} {0}"
)


@implements(np.real)
def real(val: object) -> object:
    return REAL(val)


@implements(np.imag)
def imag(val: object) -> object:
    return IMAG(val)
