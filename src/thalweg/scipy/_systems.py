"""Systems of equations, as `scipy.linalg` has them: re-exported by `thalweg.scipy.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.ops._matrices import conj, real, strictly_lower, transposed, upper
from thalweg.ops.scipy_linalg import LU_FACTOR, MIRROR, PERMUTATION
from thalweg.ops.shape import astype
from thalweg.ops.structural import items
from thalweg.scipy._common import as_columns, checked, on_nodes, triangular, unsupported

__all__ = [
    "cho_factor",
    "cho_solve",
    "cholesky",
    "det",
    "inv",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "pinv",
    "solve",
    "solve_triangular",
]


@on_nodes
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: str | None = None,
    transposed: bool = False,
) -> Any:
    """The solution x of ``a x = b``, as `scipy.linalg.solve`.

    `assume_a`: ``'general'``, ``'symmetric'``, ``'hermitian'``, ``'positive definite'``,
    ``'upper triangular'``, ``'lower triangular'``, ``'diagonal'`` or SciPy's short forms. The
    structure is taken on trust, not looked for (SciPy's None).

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.scipy.linalg import solve
    >>> b = np.array([2.0, 4.0])
    >>> tw.grad(lambda b: solve(np.diag([1.0, 4.0]), b, assume_a="pos")[1])(b)
    array([0.  , 0.25])
    """
    a, b = checked(a, check_finite), checked(b, check_finite)
    form = assume_a or "general"
    if form in ("general", "gen"):
        return np.linalg.solve(_swap(a) if transposed else a, b)
    if form in ("upper triangular", "lower triangular"):
        return triangular(a, b, form.startswith("lower"), False, int(transposed))
    if form == "diagonal":
        return as_columns(lambda b: b / np.expand_dims(_diagonal(a), -1), b)
    if form in ("positive definite", "pos"):
        factor = np.linalg.cholesky(a, upper=not lower)
        if transposed:  # Aᵀ is the conjugate of A
            return conj(_cho_solve(factor, lower, conj(b)))
        return _cho_solve(factor, lower, b)
    if form in ("symmetric", "sym", "hermitian", "her"):
        full = MIRROR(a, is_lower=bool(lower), hermitian=form.startswith("her"))
        return np.linalg.solve(_swap(full) if transposed else full, b)
    raise NoRuleError(f"thalweg.scipy.linalg.solve: assume_a={assume_a!r} has no derivative rule")


@on_nodes
def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution of a triangular system, as `scipy.linalg.solve_triangular`.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.scipy.linalg import solve_triangular
    >>> a = np.array([[2.0, 1.0], [0.0, 4.0]])
    >>> tw.grad(lambda b: np.sum(solve_triangular(a, b)))(np.array([1.0, 2.0]))
    array([0.5  , 0.125])
    """
    a, b = checked(a, check_finite), checked(b, check_finite)
    return triangular(a, b, lower, unit_diagonal, trans)


@on_nodes
def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """The Cholesky factor, the upper one by default, as `scipy.linalg.cholesky`."""
    return np.linalg.cholesky(checked(a, check_finite), upper=not lower)


@on_nodes
def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    """The Cholesky factor for `cho_solve`, as `scipy.linalg.cho_factor`.

    The other triangle holds zeros here, SciPy leaves there what it finds.
    """
    return np.linalg.cholesky(checked(a, check_finite), upper=not lower), lower


def _cho_solve(factor: Any, lower: bool, b: Any) -> Any:
    first, second = (0, 2) if lower else (2, 0)
    return triangular(factor, triangular(factor, b, lower, False, first), lower, False, second)


@on_nodes
def cho_solve(
    c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The solution of ``A x = b`` from A's Cholesky factor, as `scipy.linalg.cho_solve`.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.scipy.linalg import cho_factor, cho_solve
    >>> b = np.array([1.0, 2.0])
    >>> round(float(tw.grad(lambda s: b @ cho_solve(cho_factor(s * np.eye(2)), b))(2.0)), 12)
    -1.25
    """
    factor, lower = c_and_lower
    return _cho_solve(checked(factor, check_finite), bool(lower), checked(b, check_finite))


@on_nodes
def inv(
    a: Any,
    overwrite_a: bool = False,
    check_finite: bool = True,
    *,
    assume_a: str | None = None,
    lower: bool = False,
) -> Any:
    """The inverse, as `scipy.linalg.inv`; all entries count, so no structure is assumed."""
    unsupported("inv", assume_a=None if assume_a in ("gen", "general") else assume_a, lower=lower)
    return np.linalg.inv(checked(a, check_finite))


@on_nodes
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The determinant, as `scipy.linalg.det`."""
    return np.linalg.det(checked(a, check_finite))


@on_nodes
def pinv(
    a: Any,
    *,
    atol: Any = None,
    rtol: Any = None,
    return_rank: bool = False,
    check_finite: bool = True,
) -> Any:
    """The pseudo-inverse, as `scipy.linalg.pinv`; `atol` has no rule."""
    unsupported("pinv", atol=atol, return_rank=return_rank)
    return np.linalg.pinv(checked(a, check_finite), rtol=rtol)


@on_nodes
def lstsq(
    a: Any,
    b: Any,
    cond: Any = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    lapack_driver: str | None = None,
) -> tuple[Any, Any, Any, Any]:
    """Least squares: solution, residuals, rank, singular values, as `scipy.linalg.lstsq`."""
    a, b = checked(a, check_finite), checked(b, check_finite)
    rcond = np.finfo(np.result_type(a.dtype, b.dtype)).eps if cond is None else cond
    found: tuple[Any, Any, Any, Any] = np.linalg.lstsq(a, b, rcond)
    return found


# ---- LU -------------------------------------------------------------------------------------


@on_nodes
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """L and U in one matrix, and the pivots, as `scipy.linalg.lu_factor`."""
    packed, pivots = items(LU_FACTOR(checked(a, check_finite)))
    return packed, pivots


@on_nodes
def lu_solve(
    lu_and_piv: tuple[Any, Any],
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution of ``a x = b`` from `lu_factor`, as `scipy.linalg.lu_solve`."""
    packed, pivots = lu_and_piv
    packed, b = checked(packed, check_finite), checked(b, check_finite)
    permutation = PERMUTATION(pivots, rows=packed.shape[-1])

    def solver(b: Any) -> Any:
        if trans == 0:
            inner = triangular(packed, transposed(permutation) @ b, True, True, 0)
            return triangular(packed, inner, False, False, 0)
        inner = triangular(packed, b, False, False, trans)
        return permutation @ triangular(packed, inner, True, True, trans)

    return as_columns(solver, b)


@on_nodes
def lu(
    a: Any,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
    p_indices: bool = False,
) -> tuple[Any, ...]:
    """``a = P L U`` as `scipy.linalg.lu`; P is constant where it does not jump."""
    a = checked(a, check_finite)
    packed, pivots = items(LU_FACTOR(a))
    m, k = a.shape[-2], min(a.shape[-2:])
    low = strictly_lower(packed[..., :, :k]) + np.eye(m, k, dtype=packed.dtype)
    up = upper(packed[..., :k, :])
    permutation = astype(PERMUTATION(pivots, rows=m), real(packed).dtype)
    if permute_l:
        return permutation @ low, up
    return np.argmax(permutation, axis=-1) if p_indices else permutation, low, up


def _swap(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _diagonal(a: Any) -> Any:
    return np.diagonal(a, axis1=-2, axis2=-1)
