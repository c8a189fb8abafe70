"""Linear algebra that only SciPy has: LU, matrix functions, Sylvester's equation.

Formulas: M. B. Giles (2008); A. H. Al-Mohy and N. J. Higham, *Computing the Fréchet derivative of
the matrix exponential* (2009); N. J. Higham, *Functions of matrices* (2008): for an analytic f, the
derivative in the direction E is the upper right block of f([[A, E], [0, A]]). Imports SciPy: only
`thalweg.scipy.linalg` imports this module. ``ᵀ`` in a pull is the plain transpose (Re Σ c·t).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg as _sl

from thalweg.graph.kinds import Chain, Custom, Kind, MatMulRight, Zero
from thalweg.graph.primitive import Labels, Primitive, register
from thalweg.ops._families import align_batched
from thalweg.ops._matrices import (
    adjoint,
    by_lapack,
    conj,
    hermitian_part,
    mirror,
    mirror_transpose,
    strictly_lower,
    transposed,
    upper,
)
from thalweg.ops.structural import items
from thalweg.ops.triangular import SOLVE_TRIANGULAR

__all__ = [
    "EXPM",
    "EXPM_FRECHET",
    "LOGM",
    "LU_FACTOR",
    "MIRROR",
    "PERMUTATION",
    "SQRTM",
    "SYLVESTER",
    "UNITARY",
]


def _each(function: Callable[..., Any], *stacks: Any) -> Any:
    """`function` of matrices applied over leading axes that broadcast; tuples stay tuples."""
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in stacks))
    if not batch:
        return function(*stacks)
    stacks = tuple(np.broadcast_to(x, batch + x.shape[-2:]) for x in stacks)
    if 0 in batch:  # the result's form, from any regular matrices
        example = function(*(np.eye(*x.shape[-2:], dtype=x.dtype) for x in stacks))
        if type(example) is tuple:
            return tuple(np.empty(batch + part.shape, part.dtype) for part in example)
        return np.empty(batch + example.shape, example.dtype)
    results = [function(*(x[index] for x in stacks)) for index in np.ndindex(batch)]
    if type(results[0]) is tuple:
        columns = zip(*results, strict=True)
        return tuple(np.stack(part).reshape(batch + part[0].shape) for part in columns)
    return np.stack(results).reshape(batch + results[0].shape)


# ---- symmetric operands -----------------------------------------------------------------------


def _mirror_local(i: int, out: Any, a: Any, is_lower: bool, hermitian: bool) -> Kind:
    return Custom(
        push=lambda t: mirror(t, is_lower, hermitian),
        pull=lambda c: mirror_transpose(c, is_lower, hermitian),
        name="mirror",
    )


MIRROR: Primitive = register(
    by_lapack(
        name="mirror",
        value=mirror,
        local=_mirror_local,
        labels=Labels("mirror", r"\operatorname{{sym}}({0})"),
        batch=lambda operands, batched, params: MIRROR(*operands, **params),
    )
)


# ---- LU -------------------------------------------------------------------------------------


def _lu_value(a: Any) -> tuple[Any, Any]:
    def factor(a: Any) -> tuple[Any, Any]:
        if a.size == 0:
            return np.array(a), np.arange(min(a.shape), dtype=np.int32)
        packed, pivots = _sl.lu_factor(a, check_finite=False)
        return packed, pivots

    result: tuple[Any, Any] = _each(factor, a)
    return result


def _lu_local(i: int, out: Any, a: Any) -> Kind:
    # T = Pᵀ dA, M = L⁻¹ T₁ U⁻¹ of the leading square: dL = L tril(M, −1), dU = triu(M) U. Below it
    # (tall) dL₂ = (T₂ − L₂ dU) U⁻¹; to its right (wide) dU₂ = L⁻¹ (T₂ − dL U₂).
    packed, pivots = items(out)
    m, n = a.shape[-2:]
    k = min(m, n)
    square = packed[..., :k, :k]
    permutation = PERMUTATION(pivots, rows=m)

    def from_left(x: Any, t: bool = False) -> Any:  # L⁻¹ x or L⁻ᵀ x
        matrix = transposed(square) if t else square
        return SOLVE_TRIANGULAR(matrix, x, lower=not t, unit=True)

    def from_right(x: Any, t: bool = False) -> Any:  # x U⁻¹ or x U⁻ᵀ
        matrix = square if t else transposed(square)
        return transposed(SOLVE_TRIANGULAR(matrix, transposed(x), lower=not t, unit=False))

    low = strictly_lower(square) + np.eye(k, dtype=packed.dtype)
    up = upper(square)

    def push(t: Any) -> Any:
        t = transposed(permutation) @ t
        inner = from_right(from_left(t[..., :k, :k]))
        dl, du = low @ strictly_lower(inner), upper(inner) @ up
        d = dl + du
        if m > k:
            below = from_right(t[..., k:, :] - packed[..., k:, :] @ du)
            d = np.concatenate((d, below), axis=-2)
        if n > k:
            beside = from_left(t[..., :, k:] - dl @ packed[..., :, k:])
            d = np.concatenate((d, beside), axis=-1)
        return d, np.zeros(pivots.shape, pivots.dtype)

    def pull(parts: tuple[Any, Any]) -> Any:
        c: Any = parts[0]
        cl, cu = strictly_lower(c[..., :k, :k]), upper(c[..., :k, :k])
        if m > k:
            below = from_right(c[..., k:, :], t=True)
            cu = cu - transposed(packed[..., k:, :]) @ below
        if n > k:
            beside = from_left(c[..., :, k:], t=True)
            cl = cl - beside @ transposed(packed[..., :, k:])
        inner = strictly_lower(transposed(low) @ cl) + upper(cu @ transposed(up))
        g = from_right(from_left(inner, t=True), t=True)
        if m > k:
            g = np.concatenate((g, below), axis=-2)
        if n > k:
            g = np.concatenate((g, beside), axis=-1)
        return permutation @ g

    return Custom(push, pull, name="lu")


LU_FACTOR: Primitive = register(
    by_lapack(
        name="lu_factor",
        value=_lu_value,
        local=_lu_local,
        labels=Labels("LU", r"\operatorname{{lu}}({0})"),
        batch=lambda operands, batched, params: LU_FACTOR(*operands),
        outputs=2,
    )
)


def _permutation_value(pivots: Any, rows: int) -> Any:
    # The narrowest numbers: a product has the dtype of its other factor.
    matrix = np.zeros((*pivots.shape[:-1], rows, rows), np.int8)
    for index in np.ndindex(pivots.shape[:-1]):
        order = np.arange(rows)
        for row, other in enumerate(pivots[index]):
            order[[row, other]] = order[[other, row]]
        matrix[(*index, order, np.arange(rows))] = 1
    return matrix


PERMUTATION: Primitive = register(
    by_lapack(
        name="permutation",
        value=_permutation_value,
        local=lambda i, out, pivots, rows: Zero("pivots are integers"),
        labels=Labels("permutation", r"P({0})"),
        batch=lambda operands, batched, params: PERMUTATION(*operands, **params),
    )
)


# ---- Sylvester's equation -------------------------------------------------------------------


def _sylvester_value(a: Any, b: Any, q: Any) -> Any:
    def solve(a: Any, b: Any, q: Any) -> Any:
        if q.size == 0:
            return np.zeros(q.shape, np.result_type(a, b, q, np.float32))
        # All of one dtype: SciPy brings a real A to quasi-triangular form, which LAPACK's complex
        # solver takes for triangular.
        dtype = np.result_type(a, b, q)
        return _sl.solve_sylvester(*(x.astype(dtype, copy=False) for x in (a, b, q)))

    return _each(solve, a, b, q)


def _sylvester_local(i: int, out: Any, a: Any, b: Any, q: Any) -> Kind:
    # A X + X B = Q: dX solves the same equation for dQ − dA X − X dB.
    through = Custom(
        push=lambda t: SYLVESTER(a, b, t),
        pull=lambda c: SYLVESTER(transposed(a), transposed(b), c),
        name="sylvester",
    )
    if i == 2:
        return through
    if i == 0:
        return Chain(through, MatMulRight(-out), out)
    return Custom(
        push=lambda t: SYLVESTER(a, b, -(out @ t)),
        pull=lambda c: -(transposed(out) @ SYLVESTER(transposed(a), transposed(b), c)),
        name="sylvester",
    )


SYLVESTER: Primitive = register(
    by_lapack(
        name="sylvester",
        value=_sylvester_value,
        local=_sylvester_local,
        labels=Labels("sylvester", r"\operatorname{{sylvester}}({args})"),
        batch=lambda operands, batched, params: SYLVESTER(*align_batched(operands, batched)),
    )
)


# ---- functions of a matrix ------------------------------------------------------------------


def _block(a: Any, e: Any) -> Any:
    """[[A, E], [0, A]]."""
    shape = np.broadcast_shapes(a.shape, e.shape)
    a, e = np.broadcast_to(a, shape), np.broadcast_to(e, shape)
    top = np.concatenate((a, e), axis=-1)
    below = np.concatenate((np.zeros(a.shape, a.dtype), a), axis=-1)
    return np.concatenate((top, below), axis=-2)


def _corner(x: Any) -> Any:
    """The upper right block."""
    n = x.shape[-1] // 2
    return x[..., :n, n:]


EXPM: Primitive = register(
    by_lapack(
        name="expm",
        value=lambda a: _each(lambda a: _sl.expm(a) if a.size else np.array(a), a),
        local=lambda i, out, a: Custom(
            push=lambda t: EXPM_FRECHET(a, t),
            pull=lambda c: EXPM_FRECHET(transposed(a), c),
            name="expm",
        ),
        labels=Labels("expm", "e^{{{0}}}"),
        batch=lambda operands, batched, params: EXPM(*operands),
    )
)


def _frechet_value(a: Any, e: Any) -> Any:
    def frechet(a: Any, e: Any) -> Any:
        if a.size == 0:
            return np.array(e)
        return _sl.expm_frechet(a, e, compute_expm=False, check_finite=False)

    return _each(frechet, a, e)


def _frechet_local(i: int, out: Any, a: Any, e: Any) -> Kind:
    # L(A, E) is linear in E. In the direction T of A it moves by the corner of
    # L([[A, E], [0, A]], [[T, 0], [0, T]]).
    if i == 1:
        return Custom(
            push=lambda t: EXPM_FRECHET(a, t),
            pull=lambda c: EXPM_FRECHET(transposed(a), c),
            name="expm_frechet",
        )
    block = _block(a, e)
    n = a.shape[-1]

    def push(t: Any) -> Any:
        return _corner(EXPM_FRECHET(block, _block(t, np.zeros(t.shape, t.dtype))))

    def pull(c: Any) -> Any:
        zero = np.zeros(c.shape, c.dtype)
        seed = np.concatenate(
            (np.concatenate((zero, c), axis=-1), np.concatenate((zero, zero), axis=-1)), axis=-2
        )
        g = EXPM_FRECHET(transposed(block), seed)
        return g[..., :n, :n] + g[..., n:, n:]

    return Custom(push, pull, name="expm_frechet")


EXPM_FRECHET: Primitive = register(
    by_lapack(
        name="expm_frechet",
        value=_frechet_value,
        local=_frechet_local,
        labels=Labels("expm'", r"L({0}, {1})"),
        batch=lambda operands, batched, params: EXPM_FRECHET(*align_batched(operands, batched)),
    )
)


def _logm_value(a: Any) -> Any:
    # SciPy measures the error of a float32 result with float64's precision, and warns.
    wide = a.astype(np.result_type(a.dtype, np.float64))
    found = _each(lambda a: _sl.logm(a) if a.size else np.array(a), wide)
    if a.dtype == wide.dtype:
        return found
    return found.astype(np.complex64 if found.dtype.kind == "c" else np.float32)


LOGM: Primitive = register(
    by_lapack(
        name="logm",
        value=_logm_value,
        local=lambda i, out, a: Custom(
            push=lambda t: _corner(LOGM(_block(a, t))),
            pull=lambda c: _corner(LOGM(_block(transposed(a), c))),
            name="logm",
        ),
        labels=Labels("logm", r"\log {0}"),
        batch="whether the result is real or complex differs an example",
    )
)
SQRTM: Primitive = register(
    by_lapack(
        name="sqrtm",
        value=lambda a: _each(lambda a: _sl.sqrtm(a) if a.size else np.array(a), a),
        # X X = A: X dX + dX X = dA
        local=lambda i, out, a: Custom(
            push=lambda t: SYLVESTER(out, out, t),
            pull=lambda c: SYLVESTER(transposed(out), transposed(out), c),
            name="sqrtm",
        ),
        labels=Labels("sqrtm", r"{0}^{{1/2}}"),
        batch="whether the result is real or complex differs an example",
    )
)


def _unitary_local(i: int, out: Any, a: Any) -> Kind:
    # A = U H (tall): Ω = Uᴴ dU solves Ω H + H Ω = Uᴴ dA − dAᴴ U;
    # dU = U Ω + (I − U Uᴴ) dA H⁻¹.
    u = out
    h = hermitian_part(adjoint(u) @ a)
    tall = a.shape[-2] > a.shape[-1]

    def push(t: Any) -> Any:
        s = adjoint(u) @ t
        du = u @ SYLVESTER(h, h, s - adjoint(s))
        if tall:
            du = du + adjoint(np.linalg.solve(h, adjoint(t - u @ s)))
        return du

    def pull(c: Any) -> Any:
        along = transposed(u) @ c
        g = SYLVESTER(transposed(h), transposed(h), along)
        pulled = conj(u) @ (g - adjoint(g))
        if tall:
            rest = c - conj(u) @ along
            pulled = pulled + transposed(np.linalg.solve(h, transposed(rest)))
        return pulled

    return Custom(push, pull, name="polar")


UNITARY: Primitive = register(
    by_lapack(
        name="unitary_factor",
        value=lambda a: _each(lambda a: _sl.polar(a)[0] if a.size else np.array(a), a),
        local=_unitary_local,
        labels=Labels("polar", r"\operatorname{{polar}}({0})"),
        batch=lambda operands, batched, params: UNITARY(*operands),
    )
)
