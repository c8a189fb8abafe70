"""Factorisations, as `scipy.linalg` has them: re-exported by `thalweg.scipy.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.ops._matrices import adjoint, hermitian_part
from thalweg.ops.scipy_linalg import MIRROR, UNITARY
from thalweg.ops.shape import astype
from thalweg.scipy._common import checked, on_nodes, triangular, unsupported

__all__ = [
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "polar",
    "qr",
    "svd",
    "svdvals",
]


@on_nodes
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """Q and R, as `scipy.linalg.qr`; pivoting has no rule."""
    unsupported("qr", pivoting=pivoting)
    a = checked(a, check_finite)
    if mode == "economic":
        return tuple(np.linalg.qr(a))
    if mode not in ("full", "r"):
        raise NoRuleError(f"thalweg.scipy.linalg.qr: mode={mode!r} has no derivative rule")
    if mode == "full":
        return tuple(np.linalg.qr(a, "complete"))
    r: Any = np.linalg.qr(a, "r")
    missing = a.shape[-2] - r.shape[-2]
    if missing:
        rows = np.zeros((*r.shape[:-2], missing, r.shape[-1]), r.dtype)
        r = np.concatenate((r, rows), axis=-2)
    return (r,)


@on_nodes
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """Singular values and vectors, as `scipy.linalg.svd`."""
    a = checked(a, check_finite)
    if not compute_uv:
        return np.linalg.svd(a, compute_uv=False)
    return tuple(np.linalg.svd(a, full_matrices))


@on_nodes
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Singular values, as `scipy.linalg.svdvals`."""
    return np.linalg.svd(checked(a, check_finite), compute_uv=False)


def _eigen(a: Any, b: Any, lower: bool, values_only: bool) -> Any:
    triangle: Any = "L" if lower else "U"
    if b is None:
        return np.linalg.eigvalsh(a, triangle) if values_only else np.linalg.eigh(a, triangle)
    # A v = λ B v with B = L Lᴴ: (L⁻¹ A L⁻ᴴ) y = λ y, v = L⁻ᴴ y.
    factor = np.linalg.cholesky(b, upper=not lower)
    factor = factor if lower else adjoint(factor)
    full = MIRROR(a, is_lower=bool(lower), hermitian=True)
    half = triangular(factor, full, True, False, 0)
    inner = adjoint(triangular(factor, adjoint(half), True, False, 0))
    if values_only:
        return np.linalg.eigvalsh(inner)
    w, y = np.linalg.eigh(inner)
    return w, triangular(factor, y, True, False, 2)


@on_nodes
def eigh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: str | None = None,
) -> Any:
    """Eigenvalues and vectors of a Hermitian matrix or pencil, as `scipy.linalg.eigh`.

    ``a v = w b v`` for a given `b` (``type=1``); subsets have no rule: index the result.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.scipy.linalg import eigh
    >>> a = np.diag([1.0, 6.0])
    >>> round(float(tw.grad(lambda s: eigh(a, s * np.eye(2), eigvals_only=True)[1])(2.0)), 12)
    -1.5
    """
    given = None if type == 1 else type
    unsupported(
        "eigh", type=given, subset_by_index=subset_by_index, subset_by_value=subset_by_value
    )
    a = checked(a, check_finite)
    b = None if b is None else checked(b, check_finite)
    found = _eigen(a, b, lower, eigvals_only)
    return found if eigvals_only else tuple(found)


@on_nodes
def eigvalsh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: str | None = None,
) -> Any:
    """Eigenvalues of a Hermitian matrix or pencil, as `scipy.linalg.eigvalsh`."""
    given = None if type == 1 else type
    unsupported(
        "eigvalsh", type=given, subset_by_index=subset_by_index, subset_by_value=subset_by_value
    )
    a = checked(a, check_finite)
    return _eigen(a, None if b is None else checked(b, check_finite), lower, True)


def _complex(x: Any) -> Any:
    return x if x.dtype.kind == "c" else astype(x, np.result_type(x.dtype, np.complex64))


@on_nodes
def eig(
    a: Any,
    b: Any = None,
    left: bool = False,
    right: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """Eigenvalues (complex) and right vectors, as `scipy.linalg.eig`."""
    unsupported("eig", b=b, left=left, homogeneous_eigvals=homogeneous_eigvals)
    a = checked(a, check_finite)
    if not right:
        return _complex(np.linalg.eigvals(a))
    w, v = np.linalg.eig(a)
    return _complex(w), v


@on_nodes
def eigvals(
    a: Any,
    b: Any = None,
    overwrite_a: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """Eigenvalues (complex), as `scipy.linalg.eigvals`."""
    unsupported("eigvals", b=b, homogeneous_eigvals=homogeneous_eigvals)
    return _complex(np.linalg.eigvals(checked(a, check_finite)))


@on_nodes
def polar(a: Any, side: str = "right") -> tuple[Any, Any]:
    """``a = u p`` (right, m ≥ n) or ``a = p u`` (left, m ≤ n), as `scipy.linalg.polar`.

    Raises
    ------
    NoRuleError
        If p would be singular: a wide matrix from the right, a tall one from the left.
    """
    a = checked(a, True)
    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    tall = a if side == "right" else adjoint(a)
    if tall.shape[-2] < tall.shape[-1]:
        raise NoRuleError(
            f"thalweg.scipy.linalg.polar: shape {a.shape} from the {side} has a singular p, "
            "which has no derivative"
        )
    u = UNITARY(tall)
    p = hermitian_part(adjoint(u) @ tall)
    return (u, p) if side == "right" else (adjoint(u), p)
