"""`scipy.linalg` for plain and traced arrays: SciPy's names and signatures.

SciPy's functions turn their arguments into arrays first and so would cut the graph; these do not.
On plain arrays they compute the same way. What has no derivative (`schur`, `hessenberg`, …) is left
to SciPy. `overwrite_*` and drivers are hints there and are ignored here; operands are never
overwritten.

Where SciPy reads one triangle of a symmetric or Hermitian operand, the gradient is its symmetric or
Hermitian part (docs/linalg.md).

Examples
--------
>>> import numpy as np, thalweg as tw
>>> from thalweg.scipy.linalg import expm
>>> a = np.array([[0.0, 1.0], [0.0, 0.0]])
>>> round(float(tw.grad(lambda t: expm(t * a)[0, 1])(2.0)), 12)
1.0
"""

from __future__ import annotations

from thalweg.scipy._factors import (
    eig,
    eigh,
    eigvals,
    eigvalsh,
    polar,
    qr,
    svd,
    svdvals,
)
from thalweg.scipy._functions import (
    block_diag,
    coshm,
    cosm,
    expm,
    expm_frechet,
    logm,
    norm,
    sinhm,
    sinm,
    solve_continuous_lyapunov,
    solve_lyapunov,
    solve_sylvester,
    sqrtm,
    toeplitz,
)
from thalweg.scipy._systems import (
    cho_factor,
    cho_solve,
    cholesky,
    det,
    inv,
    lstsq,
    lu,
    lu_factor,
    lu_solve,
    pinv,
    solve,
    solve_triangular,
)

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "coshm",
    "cosm",
    "det",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "expm",
    "expm_frechet",
    "inv",
    "logm",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "norm",
    "pinv",
    "polar",
    "qr",
    "sinhm",
    "sinm",
    "solve",
    "solve_continuous_lyapunov",
    "solve_lyapunov",
    "solve_sylvester",
    "solve_triangular",
    "sqrtm",
    "svd",
    "svdvals",
    "toeplitz",
]
