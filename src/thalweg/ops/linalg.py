"""Linear algebra: systems, inverses, determinants (factorisations are in `decompositions`).

Formulas: M. B. Giles, *Collected matrix derivative results for forward and reverse mode algorithmic
differentiation* (2008); J. R. Magnus and H. Neudecker, *Matrix differential calculus* (1988).
Cotangents pair as Re Σ c·t, without
conjugation (`thalweg.transforms.linear`), so ``ᵀ`` in a pull is the plain transpose.

Rules solve with the operand again rather than form its inverse, and are written with functions
that have rules: any order of derivative follows.
"""

from __future__ import annotations

import operator
from math import prod
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph.kinds import Chain, Custom, Kind, MatMulLeft, MatMulRight, SumOver, Zero
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import align_batched
from thalweg.ops._matrices import (
    by_lapack,
    diagonal_of,
    transposed,
)
from thalweg.ops.index import as_array
from thalweg.ops.structural import items

__all__ = ["inv", "matrix_power", "solve"]


# ---- A X = B --------------------------------------------------------------------------------


def _solve_local(i: int, out: Any, a: Any, b: Any) -> Kind:
    # dX = A⁻¹ (dB − dA X); pulled back: B̄ = A⁻ᵀ c, Ā = −B̄ Xᵀ.
    through = Custom(
        push=lambda t: np.linalg.solve(a, t),
        pull=lambda c: np.linalg.solve(transposed(a), c),
        name="solve",
        pattern=(-2,),
    )
    return through if i == 1 else Chain(through, MatMulRight(-out), out)


SOLVE: Primitive = register(
    by_lapack(
        name="solve",
        value=lambda a, b: np.linalg.solve(a, b),
        local=_solve_local,
        labels=Labels("solve", r"{0}^{{-1}}\,{1}"),
        batch=lambda operands, batched, params: SOLVE(*align_batched(operands, batched)),
    )
)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    if b.ndim == 1:  # a vector, also for a stack of matrices
        return SOLVE(a, np.expand_dims(b, -1))[..., 0]
    return SOLVE(a, b)


# ---- A⁻¹ ------------------------------------------------------------------------------------

INV: Primitive = register(
    by_lapack(
        name="inv",
        value=lambda a: np.linalg.inv(a),
        # dY = −Y dA Y
        local=lambda i, out, a: Chain(MatMulLeft(-out), MatMulRight(out), out),
        labels=Labels("inv", r"{0}^{{-1}}"),
        batch=lambda operands, batched, params: INV(*operands),
    )
)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    return INV(a)


# ---- determinants ---------------------------------------------------------------------------


def _cofactor_value(a: Any) -> Any:
    """The matrix of cofactors: det(A) A⁻ᵀ, through the singular values where A is near singular."""
    largest = np.abs(a).max(initial=0)
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        pass
    else:
        if largest * np.abs(inverse).max(initial=0) < 1e6:
            return np.linalg.det(a)[..., None, None] * transposed(inverse)
    # A = U S Vᴴ: cof A = det(U Vᴴ) conj(U diag(Π_{j≠i} s_j) Vᴴ)
    u, s, vh = np.linalg.svd(a)
    others = np.where(np.eye(s.shape[-1], dtype=bool), 1, s[..., None, :]).prod(-1)
    phase = np.linalg.det(u) * np.linalg.det(vh)
    return phase[..., None, None] * np.conjugate((u * others[..., None, :]) @ vh)


def _cofactor_local(i: int, out: Any, a: Any) -> Kind:
    # K = det(A) Y, Y = A⁻ᵀ: dK = ⟨Y, dA⟩ K − Y dAᵀ K.
    y = transposed(np.linalg.inv(a))

    def push(t: Any) -> Any:
        return _inner(y, t) * out - y @ transposed(t) @ out

    def pull(c: Any) -> Any:
        return _inner(c, out) * y - out @ transposed(c) @ y

    return Custom(push, pull, name="cofactor")


def _inner(x: Any, y: Any) -> Any:
    return np.sum(x * y, axis=(-2, -1), keepdims=True)


COFACTOR: Primitive = register(
    by_lapack(
        name="cofactor",
        value=_cofactor_value,
        local=_cofactor_local,
        labels=Labels("cofactor", r"\operatorname{{cof}}({0})"),
        batch=lambda operands, batched, params: COFACTOR(*operands),
    )
)


def cofactor(a: Any) -> Any:
    """The matrix of cofactors, ∂det(A)/∂A: it exists where A is singular, too.

    Up to 3 × 3 it is the polynomial, right at any order of derivative everywhere; above, its own
    derivative needs a regular matrix.
    """
    n = a.shape[-1]
    if n <= 1:
        return np.ones(a.shape, a.dtype)
    if n == 2:  # tr(A) I − Aᵀ
        trace = np.expand_dims(np.sum(diagonal_of(a), axis=-1), (-2, -1))
        return trace * np.eye(2, dtype=a.dtype) - transposed(a)
    if n == 3:  # K_ij = a_{i+1,j+1} a_{i+2,j+2} − a_{i+1,j+2} a_{i+2,j+1}, indices modulo 3
        return _turned(a, 1, 1) * _turned(a, 2, 2) - _turned(a, 1, 2) * _turned(a, 2, 1)
    return COFACTOR(a)


def _turned(a: Any, rows: int, columns: int) -> Any:
    turn = np.arange(3)
    return a[..., ((turn + rows) % 3)[:, None], (turn + columns) % 3]


DET: Primitive = register(
    by_lapack(
        name="det",
        value=lambda a: np.linalg.det(a),
        # d det = Σ cofactor · dA
        local=lambda i, out, a: SumOver((a.ndim - 2, a.ndim - 1), False, cofactor(a)),
        labels=Labels("det", r"\det {0}"),
        batch=lambda operands, batched, params: DET(*operands),
    )
)


@implements(np.linalg.det)
def det(a: Any) -> Any:
    return DET(a)


def _slogdet_local(i: int, out: Any, a: Any) -> Kind:
    # z = tr(A⁻¹ dA): d log|det| = Re z, d sign = i sign Im z (0 where all is real).
    sign, logabsdet = items(out)
    y = transposed(np.linalg.inv(a))
    is_complex = a.dtype.kind == "c"

    def push(t: Any) -> Any:
        z = np.sum(y * t, axis=(-2, -1))
        if not is_complex:
            return np.zeros(sign.shape, sign.dtype), z
        return 1j * sign * np.imag(z), np.real(z)

    def pull(c: tuple[Any, Any]) -> Any:
        weight = np.zeros(logabsdet.shape, logabsdet.dtype) if c[1] is None else c[1]
        if is_complex and c[0] is not None:
            weight = weight + 1j * np.imag(c[0] * sign)
        return np.expand_dims(weight, (-2, -1)) * y

    return Custom(push, pull, name="slogdet", absent=True)


SLOGDET: Primitive = register(
    by_lapack(
        name="slogdet",
        value=lambda a: tuple(np.linalg.slogdet(a)),
        local=_slogdet_local,
        labels=Labels("slogdet", r"\log\lvert\det {0}\rvert"),
        batch=lambda operands, batched, params: SLOGDET(*operands),
        outputs=2,
    )
)
_SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    return _SlogdetResult(*items(SLOGDET(a)))


# ---- composed -------------------------------------------------------------------------------


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    n = operator.index(n)
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape).copy()
    if n < 0:
        a, n = inv(a), -n
    if n == 3:  # NumPy's own order of products
        return (a @ a) @ a
    square = result = None
    while n > 0:
        square = a if square is None else square @ square
        n, bit = divmod(n, 2)
        if bit:
            result = square if result is None else result @ square
    return result


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = as_array(a), as_array(b)
    if axes is not None:
        order = [k for k in range(a.ndim) if k not in axes] + list(axes)
        a = np.transpose(a, order)
    old = a.shape[-(a.ndim - b.ndim) :]
    n = prod(old)
    if a.size != n * n:
        raise np.linalg.LinAlgError(
            "tensorsolve: prod(a.shape[b.ndim:]) must equal prod(a.shape[:b.ndim])"
        )
    return np.reshape(solve(np.reshape(a, (n, n)), np.reshape(b, (n,))), old)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    shape = a.shape
    n = prod(shape[ind:])
    return np.reshape(inv(np.reshape(a, (n, a.size // max(n, 1)))), shape[ind:] + shape[:ind])


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    if 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        s = np.linalg.svd(x, compute_uv=False)
        with np.errstate(all="ignore"):
            r = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        return np.where(np.isnan(r), np.inf, r)  # 0/0; svd itself refuses nan
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(inv(x), p, axis=(-2, -1))


MATRIX_RANK: Primitive = register(
    by_lapack(
        name="matrix_rank",
        value=lambda a, tol, rtol, hermitian: np.asarray(
            np.linalg.matrix_rank(a, tol, hermitian, rtol=rtol)
        )[()],
        local=lambda i, out, *operands, hermitian: Zero("matrix_rank is piecewise constant"),
        labels=Labels("rank", r"\operatorname{{rank}} {0}"),
        batch="the tolerance may have axes of its own",
    )
)


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    return MATRIX_RANK(A, tol, rtol, hermitian=hermitian)


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x, offset, axis1=-2, axis2=-1, dtype=dtype)


@implements(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return np.diagonal(x, offset, axis1=-2, axis2=-1)


@implements(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    x1, x2 = as_array(x1), as_array(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ShapeError(f"cross needs 3 entries along the axis; got {x1.shape} and {x2.shape}")
    return np.cross(x1, x2, axis=axis)
