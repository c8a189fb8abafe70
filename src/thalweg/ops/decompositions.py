"""Factorisations: Cholesky, eigenvalues, singular values, QR.

Formulas: Giles (2008); Seeger et al. (2017); Townsend (2016, SVD); Walter and Lehmann (2018, QR).

Conventions: of an operand that NumPy takes as Hermitian it reads one triangle, and the derivative
is that of this function: it stands in the triangle that is read, the other one is zero, as
differences say; ``(a + a.T) / 2`` gives it among symmetric matrices. Factors determined only up to
a phase or a rotation (vectors, columns of a full basis beyond the rank) move the shortest way:
right for functions that do not depend on that freedom. At repeated eigenvalues or singular values
those of the vectors do not exist: inf or nan. Values stay finite. ``ᵀ`` is the plain transpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Custom, Kind, Zero
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._matrices import (
    adjoint,
    by_lapack,
    conj,
    diagonal_of,
    hermitian_part,
    imag,
    mirror,
    mirror_transpose,
    real,
    scale_columns,
    scale_rows,
    strictly_lower,
    transposed,
    upper,
)
from thalweg.ops.structural import items
from thalweg.ops.triangular import SOLVE_TRIANGULAR

__all__: list[str] = []

_EighResult: Any = type(np.linalg.eigh(np.eye(1)))
_EigResult: Any = type(np.linalg.eig(np.eye(1)))
_QRResult: Any = type(np.linalg.qr(np.eye(1)))
_SVDResult: Any = type(np.linalg.svd(np.eye(1)))


def _zeros(end: Any) -> Any:
    return np.zeros(end.shape, end.dtype)


def _on_diagonal(values: Any) -> Any:
    """diag(values)."""
    return np.where(np.eye(values.shape[-1], dtype=bool), np.expand_dims(values, -2), 0.0)


def _inverse_gaps(w: Any) -> Any:
    """F_ij = 1 / (w_j − w_i) off the diagonal, 0 on it."""
    on = np.eye(w.shape[-1], dtype=bool)
    gaps = np.expand_dims(w, -2) - np.expand_dims(w, -1)
    return np.where(on, 0.0, 1 / np.where(on, 1.0, gaps))


# ---- Cholesky -------------------------------------------------------------------------------


def _cholesky_local(i: int, out: Any, a: Any, upper: bool) -> Kind:
    # A = L Lᴴ: dL = L Φ(L⁻¹ dA L⁻ᴴ), Φ: the lower triangle with half the diagonal.
    factor = adjoint(out) if upper else out
    half = np.tri(a.shape[-1]) - 0.5 * np.eye(a.shape[-1])
    half = half.astype(np.finfo(a.dtype).dtype)

    def push(t: Any) -> Any:
        left = SOLVE_TRIANGULAR(factor, mirror(t, not upper), lower=True, unit=False)
        both = SOLVE_TRIANGULAR(factor, adjoint(left), lower=True, unit=False)
        dl = factor @ (half * adjoint(both))
        return adjoint(dl) if upper else dl

    def pull(c: Any) -> Any:
        c = adjoint(c) if upper else c
        factor_t = transposed(factor)
        inner = SOLVE_TRIANGULAR(factor_t, half * (factor_t @ c), lower=False, unit=False)
        both = SOLVE_TRIANGULAR(adjoint(factor), transposed(inner), lower=False, unit=False)
        return mirror_transpose(hermitian_part(transposed(both)), not upper)

    return Custom(push, pull, name="cholesky")


CHOLESKY: Primitive = register(
    by_lapack(
        name="cholesky",
        value=lambda a, upper: np.linalg.cholesky(a, upper=upper),
        local=_cholesky_local,
        labels=Labels("cholesky", r"\operatorname{{chol}}({0})"),
        batch=lambda operands, batched, params: CHOLESKY(*operands, **params),
    )
)


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return CHOLESKY(a, upper=bool(upper))


# ---- Hermitian eigenvalues ------------------------------------------------------------------


def _eigh_local(i: int, out: Any, a: Any, UPLO: str) -> Kind:
    # A V = V W, P = Vᴴ dA V: dW = diag P, dV = V (F ∘ P).
    w, v = items(out)
    is_lower = UPLO.upper() == "L"

    def push(t: Any) -> Any:
        p = adjoint(v) @ mirror(t, is_lower) @ v
        return real(diagonal_of(p)), v @ (_inverse_gaps(w) * p)

    def pull(c: Any) -> Any:
        cw, cv = c
        p = 0.0 if cw is None else _on_diagonal(cw)
        if cv is not None:
            p = p + _inverse_gaps(w) * (transposed(v) @ cv)
        return mirror_transpose(conj(v) @ p @ transposed(v), is_lower)

    return Custom(push, pull, name="eigh", absent=True)


EIGH: Primitive = register(
    by_lapack(
        name="eigh",
        value=lambda a, UPLO: tuple(np.linalg.eigh(a, UPLO)),
        local=_eigh_local,
        labels=Labels("eigh", r"\operatorname{{eigh}}({0})"),
        batch=lambda operands, batched, params: EIGH(*operands, **params),
        outputs=2,
    )
)


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: Any = "L") -> Any:
    return _EighResult(*items(EIGH(a, UPLO=UPLO)))


def _eigvalsh_local(i: int, out: Any, a: Any, UPLO: Any) -> Kind:
    _, v = np.linalg.eigh(a, UPLO)
    is_lower = UPLO.upper() == "L"
    return Custom(
        push=lambda t: real(np.sum(conj(v) * (mirror(t, is_lower) @ v), axis=-2)),
        pull=lambda c: mirror_transpose(scale_columns(conj(v), c) @ transposed(v), is_lower),
        name="eigvalsh",
    )


EIGVALSH: Primitive = register(
    by_lapack(
        name="eigvalsh",
        value=lambda a, UPLO: np.linalg.eigvalsh(a, UPLO),
        local=_eigvalsh_local,
        labels=Labels("eigvalsh", r"\lambda({0})"),
        batch=lambda operands, batched, params: EIGVALSH(*operands, **params),
    )
)


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return EIGVALSH(a, UPLO=UPLO)


# ---- general eigenvalues --------------------------------------------------------------------


def _eig_local(i: int, out: Any, a: Any) -> Kind:
    # P = V⁻¹ dA V: dW = diag P; dV = Z − V diag(Re diag(Vᴴ Z)), Z = V (F ∘ P): columns keep norm 1.
    w, v = items(out)

    def push(t: Any) -> Any:
        p = np.linalg.solve(v, t @ v)
        z = v @ (_inverse_gaps(w) * p)
        along = np.sum(real(conj(v) * z), axis=-2, keepdims=True)
        return diagonal_of(p), z - v * along

    def pull(c: Any) -> Any:
        cw, cv = c
        p = 0.0 if cw is None else _on_diagonal(cw)
        if cv is not None:
            along = np.sum(real(cv * v), axis=-2, keepdims=True)
            p = p + _inverse_gaps(w) * (transposed(v) @ (cv - conj(v) * along))
        return np.linalg.solve(transposed(v), p @ transposed(v))

    return Custom(push, pull, name="eig", absent=True)


EIG: Primitive = register(
    by_lapack(
        name="eig",
        value=lambda a: tuple(np.linalg.eig(a)),
        local=_eig_local,
        labels=Labels("eig", r"\operatorname{{eig}}({0})"),
        batch="whether the result is real or complex differs an example",
        outputs=2,
    )
)


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    return _EigResult(*items(EIG(a)))


def _order_value(found: Any, wanted: Any) -> Any:
    """Permutation matrices Q with found @ Q ≈ wanted: nearest first, each taken once."""
    n = found.shape[-1]
    matrix = np.zeros((*found.shape, n))
    for index in np.ndindex(found.shape[:-1]):
        distances = np.abs(found[index][:, None] - wanted[index])
        for _ in range(n):
            row, column = np.unravel_index(np.nanargmin(distances), distances.shape)
            matrix[(*index, row, column)] = 1.0
            distances[row] = distances[:, column] = np.inf
    return matrix


_ORDER: Primitive = register(
    by_lapack(
        name="eigenvalue_order",
        value=_order_value,
        local=lambda i, out, found, wanted: Zero("an order is piecewise constant"),
        labels=Labels("order", r"\pi({0}, {1})"),
        batch=lambda operands, batched, params: _ORDER(*operands),
    )
)


def _eigvals_local(i: int, out: Any, a: Any) -> Kind:
    # As for `eig`; LAPACK may list the eigenvalues in another order when it finds no vectors.
    w, v = np.linalg.eig(a)
    v = v @ _ORDER(w, out)
    return Custom(
        push=lambda t: diagonal_of(np.linalg.solve(v, t @ v)),
        pull=lambda c: np.linalg.solve(transposed(v), scale_rows(c, transposed(v))),
        name="eigvals",
    )


EIGVALS: Primitive = register(
    by_lapack(
        name="eigvals",
        value=lambda a: np.linalg.eigvals(a),
        local=_eigvals_local,
        labels=Labels("eigvals", r"\lambda({0})"),
        batch="whether the result is real or complex differs an example",
    )
)


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    return EIGVALS(a)


# ---- singular values ------------------------------------------------------------------------


def _svd_push(u: Any, s: Any, vh: Any, t: Any) -> tuple[Any, Any, Any]:
    # P = Uᴴ dA V: dS = Re diag P, dU = U (F ∘ (P S + S Pᴴ) + D) + (I − U Uᴴ) dA V S⁻¹,
    # dVᴴ = (D − F ∘ (S P + Pᴴ S)) Vᴴ + S⁻¹ Uᴴ dA (I − V Vᴴ), F_ij = 1 / (s_j² − s_i²) and
    # D = i Im diag(P) / 2S, the phase that the two share.
    f = _inverse_gaps(s * s)
    right, left = t @ adjoint(vh), adjoint(u) @ t
    p = left @ adjoint(vh)
    ph = adjoint(p)
    x = f * (scale_columns(p, s) + scale_rows(s, ph))
    y = -f * (scale_rows(s, p) + scale_columns(ph, s))
    if p.dtype.kind == "c":
        phase = _on_diagonal(0.5j * imag(diagonal_of(p)) / s)
        x, y = x + phase, y + phase
    du, dvh = u @ x, y @ vh
    if u.shape[-2] > s.shape[-1]:
        du = du + scale_columns(right - u @ p, 1 / s)
    if vh.shape[-1] > s.shape[-1]:
        dvh = dvh + scale_rows(1 / s, left - p @ vh)
    return du, real(diagonal_of(p)), dvh


def _svd_pull(u: Any, s: Any, vh: Any, cu: Any, cs: Any, cvh: Any) -> Any:
    f: Any = None if cu is None and cvh is None else _inverse_gaps(s * s)
    p: Any = None if cs is None else _on_diagonal(cs)
    rest: Any = None
    if cu is not None:
        g = transposed(u) @ cu
        x = f * g
        p = _plus(p, scale_columns(x + adjoint(x), s))
        if g.dtype.kind == "c":
            p = p + _on_diagonal(0.5j * imag(diagonal_of(g)) / s)
        if u.shape[-2] > s.shape[-1]:
            rest = scale_columns(cu - conj(u) @ g, 1 / s) @ conj(vh)
    if cvh is not None:
        g = cvh @ transposed(vh)
        y = -f * g
        p = _plus(p, scale_rows(s, y + adjoint(y)))
        if g.dtype.kind == "c":
            p = p + _on_diagonal(0.5j * imag(diagonal_of(g)) / s)
        if vh.shape[-1] > s.shape[-1]:
            rest = _plus(rest, conj(u) @ scale_rows(1 / s, cvh - g @ conj(vh)))
    return _plus(rest, conj(u) @ p @ conj(vh))


def _plus(x: Any, y: Any) -> Any:
    """x + y, where None stands for zero."""
    return y if x is None else x if y is None else x + y


def _svd_local(i: int, out: Any, a: Any, full_matrices: bool, hermitian: bool) -> Kind:
    # A full basis U = [U₁ U₂]: U₂ spans what U₁ leaves, dU₂ = −U₁ dU₁ᴴ U₂; so for Vᴴ.
    u, s, vh = items(out)
    k = s.shape[-1]
    u1, vh1 = u[..., :, :k], vh[..., :k, :]
    more_u, more_v = u.shape[-1] > k, vh.shape[-2] > k
    u2, vh2 = (u[..., :, k:] if more_u else None), (vh[..., k:, :] if more_v else None)

    def push(t: Any) -> Any:
        du, ds, dvh = _svd_push(u1, s, vh1, mirror(t) if hermitian else t)
        if more_u:
            du = np.concatenate((du, -u1 @ (adjoint(du) @ u2)), axis=-1)
        if more_v:
            dvh = np.concatenate((dvh, -(vh2 @ adjoint(dvh)) @ vh1), axis=-2)
        return du, ds, dvh

    def pull(c: Any) -> Any:
        cu, cs, cvh = c
        if more_u and cu is not None:
            c1, c2 = cu[..., :, :k], cu[..., :, k:]
            cu = c1 - conj(u2) @ (adjoint(c2) @ conj(u1))
        if more_v and cvh is not None:
            c1, c2 = cvh[..., :k, :], cvh[..., k:, :]
            cvh = c1 - (conj(vh1) @ adjoint(c2)) @ conj(vh2)
        g = _svd_pull(u1, s, vh1, cu, cs, cvh)
        return mirror_transpose(g) if hermitian else g

    return Custom(push, pull, name="svd", absent=True)


SVD: Primitive = register(
    by_lapack(
        name="svd",
        value=lambda a, full_matrices, hermitian: tuple(
            np.linalg.svd(a, full_matrices, hermitian=hermitian)
        ),
        local=_svd_local,
        labels=Labels("svd", r"\operatorname{{svd}}({0})"),
        batch=lambda operands, batched, params: SVD(*operands, **params),
        outputs=3,
    )
)


def _svdvals_local(i: int, out: Any, a: Any, hermitian: bool) -> Kind:
    u, _, vh = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)

    def pull(c: Any) -> Any:
        g = scale_columns(conj(u), c) @ conj(vh)
        return mirror_transpose(g) if hermitian else g

    def push(t: Any) -> Any:
        t = mirror(t) if hermitian else t
        return real(np.sum((adjoint(u) @ t) * conj(vh), axis=-1))

    return Custom(push, pull, name="svdvals")


SVDVALS: Primitive = register(
    by_lapack(
        name="svdvals",
        value=lambda a, hermitian: np.linalg.svd(a, compute_uv=False, hermitian=hermitian),
        local=_svdvals_local,
        labels=Labels("svdvals", r"\sigma({0})"),
        batch=lambda operands, batched, params: SVDVALS(*operands, **params),
    )
)


@implements(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    if not compute_uv:
        return SVDVALS(a, hermitian=bool(hermitian))
    results = SVD(a, full_matrices=bool(full_matrices), hermitian=bool(hermitian))
    return _SVDResult(*items(results))


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return SVDVALS(x, hermitian=False)


# ---- QR -------------------------------------------------------------------------------------


def _skew(c: Any) -> Any:
    """Ω: skew-Hermitian, with the strictly lower triangle of c and i Im of its diagonal."""
    below = strictly_lower(c)
    omega = below - adjoint(below)
    return omega + _on_diagonal(1j * imag(diagonal_of(c))) if c.dtype.kind == "c" else omega


def _right_solve(x: Any, r: Any, is_lower: bool) -> Any:
    """x r⁻¹ for a triangular r."""
    rt, xt = transposed(r), transposed(x)
    return transposed(SOLVE_TRIANGULAR(rt, xt, lower=not is_lower, unit=False))


def _qr_push(q: Any, r: Any, t: Any) -> tuple[Any, Any]:
    # Tall A = Q R: B = dA R⁻¹, C = Qᴴ B: dQ = B + Q (Ω(C) − C), dR = (C − Ω(C)) R.
    b = _right_solve(t, r, False)
    c = adjoint(q) @ b
    change = _skew(c) - c
    return b + q @ change, -upper(change) @ r


def _qr_pull(q: Any, r: Any, cq: Any, cr: Any) -> Any:
    omega = transposed(q) @ cq - cr @ transposed(r)  # cotangent of Ω − C
    c = strictly_lower(omega - adjoint(omega)) - omega
    if omega.dtype.kind == "c":
        c = c + _on_diagonal(1j * imag(diagonal_of(omega)))
    return _right_solve(cq + conj(q) @ c, transposed(r), True)


def _qr_local(i: int, out: Any, a: Any, mode: str) -> Kind:
    # Wide A = [A₁ A₂]: Q R₁ = A₁, R₂ = Qᴴ A₂. Complete Q = [Q₁ Q₂]: dQ₂ = −Q₁ dQ₁ᴴ Q₂.
    if mode == "r":
        r, (q, _) = out, np.linalg.qr(a)
    else:
        q, r = items(out)
    m, n = a.shape[-2:]
    k = min(m, n)
    q1, r1 = q[..., :, :k], r[..., :k, :k]
    more_q, wide = q.shape[-1] > k, n > m
    q2 = q[..., :, k:] if more_q else None
    a2 = a[..., :, k:] if wide else None

    def push(t: Any) -> Any:
        dq, dr = _qr_push(q1, r1, t[..., :, :k])
        if wide:
            dr2 = adjoint(dq) @ a2 + adjoint(q) @ t[..., :, k:]
            dr = np.concatenate((dr, dr2), axis=-1)
        if mode == "r":
            return dr
        if more_q:
            dq = np.concatenate((dq, -q1 @ (adjoint(dq) @ q2)), axis=-1)
            below = np.zeros((*r.shape[:-2], m - k, n), r.dtype)
            dr = np.concatenate((dr, below), axis=-2)
        return dq, dr

    def pull(c: Any) -> Any:
        cq, cr = (None, c) if mode == "r" else c
        cq = _zeros(q) if cq is None else cq
        cr = _zeros(r) if cr is None else cr
        if more_q:
            c1, c2 = cq[..., :, :k], cq[..., :, k:]
            cq = c1 - conj(q2) @ (adjoint(c2) @ conj(q1))
        if not wide:
            return _qr_pull(q1, r1, cq, cr[..., :k, :])
        c2 = cr[..., :, k:]
        g1 = _qr_pull(q1, r1, cq + conj(a2 @ transposed(c2)), cr[..., :, :k])
        return np.concatenate((g1, conj(q) @ c2), axis=-1)

    return Custom(push, pull, name="qr", absent=True)


QR: Primitive = register(
    by_lapack(
        name="qr",
        value=lambda a, mode: tuple(np.linalg.qr(a, mode)),
        local=_qr_local,
        labels=Labels("qr", r"\operatorname{{qr}}({0})"),
        batch=lambda operands, batched, params: QR(*operands, **params),
        outputs=2,
    )
)
QR_R: Primitive = register(
    by_lapack(
        name="qr_r",
        value=lambda a, mode: np.linalg.qr(a, mode),
        local=_qr_local,
        labels=Labels("qr R", r"R({0})"),
        batch=lambda operands, batched, params: QR_R(*operands, **params),
    )
)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    if mode == "r":
        return QR_R(a, mode=mode)
    if mode not in ("reduced", "complete"):
        raise NoRuleError(f"np.linalg.qr(mode={mode!r}) has no derivative rule; use 'reduced'")
    return _QRResult(*items(QR(a, mode=mode)))
