"""Matrix functions and equations, special matrices, norms, as `scipy.linalg` has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.ops._matrices import adjoint, conj
from thalweg.ops.index import as_array
from thalweg.ops.scipy_linalg import EXPM, EXPM_FRECHET, LOGM, SQRTM, SYLVESTER
from thalweg.scipy._common import checked, on_nodes

__all__ = [
    "block_diag",
    "coshm",
    "cosm",
    "expm",
    "expm_frechet",
    "logm",
    "norm",
    "sinhm",
    "sinm",
    "solve_continuous_lyapunov",
    "solve_lyapunov",
    "solve_sylvester",
    "sqrtm",
    "toeplitz",
]


@on_nodes
def expm(A: Any) -> Any:
    """The matrix exponential, as `scipy.linalg.expm`."""
    return EXPM(checked(A, False))


@on_nodes
def expm_frechet(
    A: Any,
    E: Any,
    method: str | None = None,
    compute_expm: bool = True,
    check_finite: bool = True,
) -> Any:
    """The derivative of `expm` at A in the direction E, as `scipy.linalg.expm_frechet`."""
    a, e = checked(A, check_finite), checked(E, check_finite)
    derivative = EXPM_FRECHET(a, e)
    return (EXPM(a), derivative) if compute_expm else derivative


@on_nodes
def logm(A: Any) -> Any:
    """The principal logarithm of a matrix, as `scipy.linalg.logm`."""
    return LOGM(checked(A, False))


@on_nodes
def sqrtm(A: Any) -> Any:
    """The principal square root of a matrix, as `scipy.linalg.sqrtm`."""
    return SQRTM(checked(A, False))


@on_nodes
def coshm(A: Any) -> Any:
    """(e^A + e^−A) / 2, as `scipy.linalg.coshm`."""
    a = checked(A, False)
    return 0.5 * (EXPM(a) + EXPM(-a))


@on_nodes
def sinhm(A: Any) -> Any:
    """(e^A − e^−A) / 2, as `scipy.linalg.sinhm`."""
    a = checked(A, False)
    return 0.5 * (EXPM(a) - EXPM(-a))


@on_nodes
def cosm(A: Any) -> Any:
    """(e^iA + e^−iA) / 2, as `scipy.linalg.cosm`."""
    a = checked(A, False)
    if a.dtype.kind != "c":
        return np.real(EXPM(1j * a))
    return 0.5 * (EXPM(1j * a) + EXPM(-1j * a))


@on_nodes
def sinm(A: Any) -> Any:
    """(e^iA − e^−iA) / 2i, as `scipy.linalg.sinm`."""
    a = checked(A, False)
    if a.dtype.kind != "c":
        return np.imag(EXPM(1j * a))
    return -0.5j * (EXPM(1j * a) - EXPM(-1j * a))


@on_nodes
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution of ``a x + x b = q``, as `scipy.linalg.solve_sylvester`."""
    return SYLVESTER(checked(a, False), checked(b, False), checked(q, False))


@on_nodes
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """The solution of ``a x + x aᴴ = q``, as `scipy.linalg.solve_continuous_lyapunov`."""
    a = checked(a, False)
    return SYLVESTER(a, adjoint(a), checked(q, False))


solve_lyapunov = solve_continuous_lyapunov


# ---- special matrices and norms -------------------------------------------------------------


@on_nodes
def toeplitz(c: Any, r: Any = None) -> Any:
    """The Toeplitz matrix with first column c and first row r (r[0] is not read; default c̄).

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.scipy.linalg import toeplitz
    >>> tw.grad(lambda c: np.sum(toeplitz(c)))(np.ones(3))
    array([3., 4., 2.])
    """
    c = as_array(c)
    r = conj(c) if r is None else as_array(r)
    if c.ndim != 1 or r.ndim != 1:
        raise ShapeError(f"toeplitz needs vectors; got shapes {c.shape} and {r.shape}")
    entries = np.concatenate((c[::-1], r[1:]))
    rows, columns = np.arange(c.size)[:, None], np.arange(r.size)
    return entries[c.size - 1 - rows + columns]


@on_nodes
def block_diag(*arrs: Any) -> Any:
    """Matrices (vectors count as rows) along the diagonal, as `scipy.linalg.block_diag`."""
    blocks = []
    for given in arrs or ([],):
        block = as_array(given)
        if block.ndim > 2:
            raise ShapeError(f"block_diag: at most 2 axes; got shape {block.shape}")
        blocks.append(block if block.ndim == 2 else np.reshape(block, (1, block.size)))
    width = sum(block.shape[1] for block in blocks)
    rows, before = [], 0
    for block in blocks:
        m, n = block.shape
        left, right = np.zeros((m, before)), np.zeros((m, width - before - n))
        sides = (left.astype(block.dtype), block, right.astype(block.dtype))
        rows.append(np.concatenate(sides, axis=1))
        before += n
    return np.concatenate(rows, axis=0)


@on_nodes
def norm(
    a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True
) -> Any:
    """A norm, as `scipy.linalg.norm`; see `numpy.linalg.norm`."""
    return np.linalg.norm(checked(a, check_finite), ord, axis, keepdims)
