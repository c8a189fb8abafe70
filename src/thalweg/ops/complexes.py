"""Complex parts. Convention: docs/complex.md (JAX's and autograd's)."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Diagonal, Wirtinger
from thalweg.graph.primitive import implements
from thalweg.ops._families import elementwise
from thalweg.ops._lower_arithmetic import lower_imag, lower_real

CONJ = elementwise(
    "conjugate",
    np.conjugate,
    (Wirtinger(0.0, 1.0),),
    gate="conj",
    tex=r"\overline{{{0}}}",
    lower=lower_real,
)
# d real(z) = Re(1 · dz), d imag(z) = Re(−i · dz): a real end keeps the real part.
REAL = elementwise(
    "real", lambda x: np.real(x)[()], (1,), tex=r"\operatorname{{Re}} {0}", lower=lower_real
)
IMAG = elementwise(
    "imag",
    lambda x: np.imag(x)[()],
    (Diagonal(-1j),),
    tex=r"\operatorname{{Im}} {0}",
    lower=lower_imag,
)


@implements(np.real)
def real(val: Any) -> Any:
    return REAL(val)


@implements(np.imag)
def imag(val: Any) -> Any:
    return IMAG(val)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    # As NumPy spells it; at 0 the derivative is 0, as for arctan2.
    radians = np.arctan2(IMAG(z), REAL(z)) if np.iscomplexobj(z) else np.arctan2(0, z)
    return radians * (180 / np.pi) if deg else radians


@implements(np.isreal)
def isreal(x: Any) -> Any:
    return np.equal(IMAG(x), 0)


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    return np.not_equal(IMAG(x), 0)


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    if np.iscomplexobj(a):
        raise NoRuleError(
            "np.real_if_close decides by the values whether its result is real; write np.real(a), "
            "or leave a complex"
        )
    return a
