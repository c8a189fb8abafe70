"""Linear systems of a linearised residual: dense, sparse, or by products alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from thalweg.api import jvp, vjp
from thalweg.api_dense import jacobian
from thalweg.errors import ConvergenceError, ShapeError, SingularError, SizeLimitError

__all__ = ["LINEAR", "Solve", "solver_of"]

#: ``solve(b, transposed)``: A⁻¹ b, or A⁻ᵀ b, of vectors along the first axis of b.
Solve = Callable[[Any, bool], Any]
Residual = Callable[[Any], Any]

#: Unknowns up to which the Jacobian is dense whatever its pattern.
_DENSE = 200
#: Share of non-zeros from which a dense factorisation is the cheaper one.
_FULL = 0.2
#: Relative residual that is asked of iterative methods.
_RTOL = 1e-11

_SINGULAR = (
    "implicit: the residual's Jacobian with respect to the unknowns is singular at the solution "
    "({0}), so the solution is no differentiable function of the arguments there.\n"
    "  Are there as many independent equations as unknowns, and is the solution isolated?"
)


def solver_of(residual: Residual, x: Any, method: Any) -> Solve:
    """How systems with A = ∂residual/∂x at x are solved; factorisations are made once.

    Parameters
    ----------
    residual : callable
        A function of one vector of n numbers that gives n numbers.
    x : ndarray, shape (n,)
    method : str or callable
        One of `LINEAR`, or ``method(A, b)`` with A a LinearOperator.

    Raises
    ------
    SingularError
        If a factorisation finds that A is singular to working precision.
    """
    if not x.size:
        return lambda b, transposed: b
    if callable(method):
        return _by_products(residual, x, method)
    return LINEAR[method](residual, x)


def _automatic(residual: Residual, x: Any) -> Solve:
    if x.size <= _DENSE:
        return _dense(residual, x)
    try:
        matrix = jacobian(residual, form="sparse")(x)
    except SizeLimitError:
        return _by_products(residual, x, _gmres)
    if matrix.nnz > _FULL * x.size**2:
        return _factored(matrix.toarray())
    return _sparse_factored(matrix)


def _dense(residual: Residual, x: Any) -> Solve:
    return _factored(jacobian(residual)(x))


def _sparse(residual: Residual, x: Any) -> Solve:
    return _sparse_factored(jacobian(residual, form="sparse")(x))


def _factored(matrix: Any) -> Solve:
    """LU factors of a dense matrix whose rows and columns are scaled to about 1 first.

    Scaled, its condition says whether it is singular, whatever units the equations are in.
    """
    matrix = np.asarray(matrix, np.float64)
    _refuse_non_finite(matrix)
    rows = _scale(np.abs(matrix).max(axis=1))
    matrix = matrix * rows[:, None]
    columns = _scale(np.abs(matrix).max(axis=0))
    matrix *= columns
    norm = np.abs(matrix).sum(axis=0).max()
    lu, pivots, info = scipy.linalg.lapack.dgetrf(matrix, overwrite_a=True)
    condition = 0.0 if info else scipy.linalg.lapack.dgecon(lu, norm)[0]
    if condition < np.finfo(float).eps:
        raise SingularError(_SINGULAR.format(f"reciprocal condition number {condition:.1g}"))

    def solve(b: Any, transposed: bool) -> Any:
        before, after = (columns, rows) if transposed else (rows, columns)
        solution = scipy.linalg.lu_solve((lu, pivots), (b.T * before).T, trans=int(transposed))
        return (solution.T * after).T

    return solve


def _sparse_factored(matrix: Any) -> Solve:
    """LU factors of a sparse matrix (SuperLU, which scales rows and columns itself)."""
    matrix = matrix.astype(np.float64).tocsc()
    _refuse_non_finite(matrix.data)
    try:
        factors = scipy.sparse.linalg.splu(matrix)
    except RuntimeError as error:
        raise SingularError(_SINGULAR.format(str(error).lower())) from None
    pivots = np.abs(factors.U.diagonal())
    if pivots.min() < np.finfo(float).eps * pivots.max():
        ratio = pivots.min() / pivots.max()
        raise SingularError(_SINGULAR.format(f"pivots that differ by a factor of {ratio:.1g}"))
    return lambda b, transposed: factors.solve(np.asarray(b, float), "T" if transposed else "N")


def _scale(largest: Any) -> Any:
    """1 / largest by row or column; a row of zeros is singular at once."""
    if not largest.all():
        raise SingularError(_SINGULAR.format("a row or a column of it is zero"))
    return 1 / largest


def _refuse_non_finite(entries: Any) -> None:
    if not np.isfinite(entries).all():
        raise SingularError(_SINGULAR.format("it has entries that are inf or nan"))


# ---- by products alone ----------------------------------------------------------------------


def _by_products(residual: Residual, x: Any, method: Callable[[Any, Any], Any]) -> Solve:
    """Systems solved by a method that multiplies with A only."""
    _, pull = vjp(residual, x)
    n = x.size
    operator = scipy.sparse.linalg.LinearOperator(
        (n, n),
        matvec=lambda t: jvp(residual, (x,), (np.reshape(t, n).astype(x.dtype),))[1],
        rmatvec=lambda c: pull(np.reshape(c, n).astype(x.dtype))[0],
        dtype=x.dtype,
    )

    def solve(b: Any, transposed: bool) -> Any:
        A = operator.T if transposed else operator
        columns = [_column(method, A, column) for column in np.reshape(b, (n, -1)).T]
        return np.reshape(np.transpose(columns), b.shape) if columns else np.zeros(b.shape)

    return solve


def _column(method: Callable[[Any, Any], Any], A: Any, b: Any) -> Any:
    solution = np.asarray(method(A, b))
    if solution.shape != b.shape:
        raise ShapeError(
            f"implicit: linear(A, b) gave shape {solution.shape} for a right-hand side of shape "
            f"{b.shape}"
        )
    return solution


def _iterative(name: str, call: Callable[..., tuple[Any, int]]) -> Callable[[Any, Any], Any]:
    def solve(A: Any, b: Any) -> Any:
        solution, info = call(A, b)
        if info or not np.isfinite(solution).all():
            raise ConvergenceError(
                f"implicit: {name} did not solve the linearised system of {b.size} unknowns to "
                f"{_RTOL:g}.\n  Take linear='sparse' or 'dense' (a factorisation), or a function "
                "linear(A, b) of your own with a preconditioner."
            )
        return solution

    return solve


_gmres = _iterative(
    "GMRES",
    lambda A, b: scipy.sparse.linalg.gmres(A, b, rtol=_RTOL, restart=min(100, b.size), maxiter=50),
)
_cg = _iterative("CG", lambda A, b: scipy.sparse.linalg.cg(A, b, rtol=_RTOL, maxiter=20 * b.size))

#: Ways to solve that have a name.
LINEAR: dict[str, Callable[[Residual, Any], Solve]] = {
    "auto": _automatic,
    "dense": _dense,
    "sparse": _sparse,
    "cg": lambda residual, x: _by_products(residual, x, _cg),
    "gmres": lambda residual, x: _by_products(residual, x, _gmres),
}
