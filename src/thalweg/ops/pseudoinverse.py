"""The pseudo-inverse and least squares: A⁺ b with singular values below a cut-off dropped.

Where what is dropped is zero the rank is constant: G. H. Golub and V. Pereyra, *The differentiation
of pseudo-inverses* (1973). Where it is not, the dropped part turns into the kept one, and the
derivative is that of a function of the singular values. Cotangents pair as Re Σ c·t.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.kinds import Custom, Kind, Zero
from thalweg.graph.node import Node
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import static
from thalweg.ops._matrices import (
    adjoint,
    by_lapack,
    conj,
    diagonal_of,
    mirror,
    mirror_transpose,
    real,
    scale_columns,
    transposed,
)
from thalweg.ops.index import as_array
from thalweg.ops.structural import items

#: A relative cut-off above it drops singular values that are not just noise about zero.
_NOISE = 1e-8


def _truncating(cutoff: Any) -> bool:
    return type(cutoff) is Node or bool(np.any(np.asarray(cutoff) > _NOISE))


def _truncated(a: Any, cutoff: Any) -> Custom:
    """The local Jacobian of P where the cut-off drops singular values other than zero.

    Pᴴ = U f(S) Vᴴ with f(s) = 1/s for those that are kept, else 0. With W = Uᴴ dA V,
    dPᴴ = U (α ∘ W + β ∘ Wᴴ) Vᴴ + (I − U Uᴴ) dA V δ Vᴴ + U δ Uᴴ dA (I − V Vᴴ), δ = f(s)/s.
    Both kept: α = 0, β = −1/(s_i s_j). One of them, k, kept and d dropped:
    α = 1/(s_k² − s_d²), β = s_d/s_k α. Only gaps between kept and dropped ones divide.
    """
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    bound = np.expand_dims(cutoff, -1) * np.max(s, axis=-1, keepdims=True, initial=0)
    kept = np.greater(s, bound)
    rows, columns = np.expand_dims(s, -1), np.expand_dims(s, -2)
    row, column = np.expand_dims(kept, -1), np.expand_dims(kept, -2)
    both, one = np.logical_and(row, column), np.logical_xor(row, column)
    product = np.where(both, rows * columns, 1.0)
    gap = np.where(one, np.abs(rows * rows - columns * columns), 1.0)
    ratio = np.minimum(rows, columns) / np.where(one, np.maximum(rows, columns), 1.0)
    alpha = np.where(one, 1 / gap, 0.0)
    beta = np.where(both, -1 / product, ratio * alpha)
    delta = np.where(kept, 1 / np.square(np.where(kept, s, 1.0)), 0.0)
    v, uh = adjoint(vh), adjoint(u)
    out_u = np.eye(a.shape[-2], dtype=a.dtype) - u @ uh
    out_v = np.eye(a.shape[-1], dtype=a.dtype) - v @ vh
    in_u, in_v = scale_columns(u, delta) @ uh, scale_columns(v, delta) @ vh

    def push(t: Any) -> Any:
        w = uh @ t @ v
        mixed = u @ (alpha * w + beta * adjoint(w)) @ vh
        return adjoint(mixed + out_u @ t @ in_v + in_u @ t @ out_v)

    def pull(c: Any) -> Any:
        g = adjoint(c)
        w = transposed(u) @ g @ conj(v)
        mixed = conj(u) @ (alpha * w + adjoint(beta * w)) @ conj(vh)
        return (
            mixed
            + transposed(out_u) @ g @ transposed(in_v)
            + transposed(in_u) @ g @ transposed(out_v)
        )

    return Custom(push, pull, name="pinv")


def _pinv_local(i: int, out: Any, a: Any, cutoff: Any, hermitian: bool) -> Kind:
    # Golub and Pereyra, for constant rank, P = A⁺:
    # dP = −P dA P + P Pᴴ dAᴴ (I − A P) + (I − P A) dAᴴ Pᴴ P.
    if i == 1:
        return Zero("the rank is piecewise constant in the cut-off")
    p = out
    a = mirror(a) if hermitian else a
    if _truncating(cutoff):
        kind = _truncated(a, cutoff)
        if not hermitian:
            return kind
        return Custom(
            lambda t: kind.push(mirror(t)), lambda c: mirror_transpose(kind.pull(c)), name="pinv"
        )
    left, right = p @ adjoint(p), adjoint(p) @ p
    rest_left = np.eye(p.shape[-2], dtype=p.dtype) - p @ a
    rest_right = np.eye(p.shape[-1], dtype=p.dtype) - a @ p

    def push(t: Any) -> Any:
        t = mirror(t) if hermitian else t
        th = adjoint(t)
        return left @ th @ rest_right + rest_left @ th @ right - p @ t @ p

    def pull(c: Any) -> Any:
        ct, pt = transposed(c), transposed(p)
        mixed = conj(rest_right @ ct @ left + right @ ct @ rest_left)
        g = mixed - pt @ c @ pt
        return mirror_transpose(g) if hermitian else g

    return Custom(push, pull, name="pinv")


PINV: Primitive = register(
    by_lapack(
        name="pinv",
        value=lambda a, cutoff, hermitian: np.linalg.pinv(a, cutoff, hermitian),
        local=_pinv_local,
        labels=Labels("pinv", r"{0}^{{+}}"),
        batch="the cut-off may have axes of its own",
    )
)


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    a = as_array(a)
    if rcond is not None and rtol is not np._NoValue:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if rcond is None:
        small = max(a.shape[-2:]) * np.finfo(a.dtype).eps
        rcond = 1e-15 if rtol is np._NoValue else small if rtol is None else rtol
    return PINV(a, rcond, hermitian=bool(hermitian))


# ---- least squares --------------------------------------------------------------------------


def _lstsq_local(i: int, out: Any, a: Any, b: Any, rcond: Any) -> Kind:
    # x = P b with P = A⁺ and r = b − A x (Golub and Pereyra, as for `pinv`):
    # dx = P (db − dA x) + P Pᴴ dAᴴ r + (I − P A) dAᴴ Pᴴ x;
    # ρ = Σ|r|²: dρ = 2 Re Σ r̄ (db − dA x), for Aᴴ r = 0; s as in `svd`.
    x, residuals, rank, s = items(out)
    if rcond is None or rcond < 0:  # a negative one stands for LAPACK's own, the precision
        eps = np.finfo(np.result_type(a.dtype, b.dtype)).eps
        rcond = eps * max(a.shape) if rcond is None else eps
    p = np.linalg.pinv(a, rcond)
    r = b - a @ x
    has_residuals = residuals.shape != (0,)

    def slope(c: Any) -> Any:  # of ρ: its gradient with respect to b
        return scale_columns(2 * conj(r), c)

    def push_b(t: Any) -> Any:
        rho = real(np.sum(2 * conj(r) * t, axis=-2)) if has_residuals else residuals
        return p @ t, rho, _none(rank), _none(s)

    def pull_b(c: Any) -> Any:
        g = transposed(p) @ _or_zeros(c[0], x)
        return g + slope(c[1]) if has_residuals and c[1] is not None else g

    if i == 1:
        return Custom(push_b, pull_b, name="lstsq", absent=True)
    of_p = _truncated(a, rcond) if _truncating(rcond) else None
    left, right = p @ adjoint(p), adjoint(p) @ x
    rest = np.eye(a.shape[-1], dtype=p.dtype) - p @ a

    def push_a(t: Any) -> Any:
        th = adjoint(t)
        dx, rho, zero, _ = push_b(-(t @ x))
        dx = of_p.push(t) @ b if of_p else dx + left @ th @ r + rest @ th @ right
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        ds = real(diagonal_of(adjoint(u) @ t @ adjoint(vh)))
        return dx, rho, zero, ds

    def pull_a(c: Any) -> Any:
        cx = _or_zeros(c[0], x)
        ct = transposed(cx)
        if of_p:
            g = of_p.pull(cx @ transposed(b))
            if has_residuals and c[1] is not None:
                g = g - slope(c[1]) @ transposed(x)
        else:
            g = conj(r @ ct @ left + right @ ct @ rest) - pull_b(c) @ transposed(x)
        if c[3] is None:
            return g
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        return g + scale_columns(conj(u), c[3]) @ conj(vh)

    return Custom(push_a, pull_a, name="lstsq", absent=True)


def _none(end: Any) -> Any:
    return np.zeros(end.shape, end.dtype)


def _or_zeros(c: Any, end: Any) -> Any:
    return _none(end) if c is None else c


def _lstsq_value(a: Any, b: Any, rcond: Any) -> tuple[Any, ...]:
    x, residuals, rank, s = np.linalg.lstsq(a, b, rcond)
    return x, residuals, np.asarray(rank)[()], s


LSTSQ: Primitive = register(
    by_lapack(
        name="lstsq",
        value=_lstsq_value,
        local=_lstsq_local,
        labels=Labels("lstsq", r"{0}^{{+}}\,{1}"),
        batch="np.linalg.lstsq takes one matrix",
        outputs=4,
    )
)


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    a, b = as_array(a), as_array(b)
    static("np.linalg.lstsq", rcond=rcond)
    vector = b.ndim == 1
    x, residuals, rank, s = items(LSTSQ(a, np.expand_dims(b, -1) if vector else b, rcond=rcond))
    return x[..., 0] if vector else x, residuals, rank, s
