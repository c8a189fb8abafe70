"""Cases of `ops/linalg.py`, `ops/pseudoinverse.py`, `ops/decompositions.py` and `ops/norm.py`.

Functions of eigen- and singular vectors are chosen so that they do not depend on their phases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.cases.case import Case

Shapes = tuple[tuple[int, ...], ...]


def _apart(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Matrices whose singular values and eigenvalues are well apart, and right-hand sides."""

    def make(rng: np.random.Generator) -> tuple[Any, ...]:
        made = []
        for shape in shapes:
            x = 0.3 * rng.standard_normal(shape)
            if len(shape) > 1:
                x[..., range(min(shape[-2:])), range(min(shape[-2:]))] += np.arange(
                    1, min(shape[-2:]) + 1
                )
            made.append(x)
        return tuple(made)

    return make


def _cases(
    op: str, label: str, call: Callable[..., Any], *shapes: Shapes, **more: Any
) -> list[Case]:
    more.setdefault("complex", True)
    return [
        Case(op, call, s, make=_apart(*s), label=f"{label}-{k}" if label else "", **more)
        for k, s in enumerate(shapes)
    ]


def _h(x: Any) -> Any:
    return np.conjugate(np.swapaxes(x, -1, -2))


def _hermitian(a: Any) -> Any:
    return a + _h(a)


def _positive(a: Any) -> Any:
    return a @ _h(a) + np.eye(a.shape[-1], dtype=a.dtype)


def _abs2(x: Any) -> Any:
    return np.real(x * np.conjugate(x))


def _eigh(a: Any, uplo: str = "L") -> Any:
    w, v = np.linalg.eigh(_hermitian(a), uplo)
    return w, _abs2(v), (v * np.expand_dims(np.cos(w), -2)) @ _h(v)


def _eig(a: Any) -> Any:
    w, v = np.linalg.eig(a)
    return w, _abs2(v)


def _svd(a: Any, full: bool) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=full)
    k = s.shape[-1]
    made = [s, _abs2(u[..., :, :k]), (u[..., :, :k] * np.expand_dims(s**3, -2)) @ vh[..., :k, :]]
    if full:  # the projections on what the leading vectors leave
        u2, v2 = u[..., :, k:], vh[..., k:, :]
        made += [u2 @ _h(u2), _h(v2) @ v2]
    return tuple(made)


def _svd_hermitian(a: Any) -> Any:
    u, s, vh = np.linalg.svd(_hermitian(a), hermitian=True)
    return s, _abs2(u), (u * np.expand_dims(s**2, -2)) @ vh


def _qr_complete(a: Any) -> Any:
    q, r = np.linalg.qr(a, "complete")
    k = min(a.shape[-2:])
    q2 = q[..., :, k:]
    return q[..., :, :k], r, q2 @ _h(q2)


def _solution(a: Any, b: Any) -> Any:
    x, residuals, _rank, s = np.linalg.lstsq(a, b)
    return x, residuals, s


_SQUARE: tuple[Shapes, ...] = (((3, 3),), ((2, 4, 4),), ((1, 1),), ((0, 0),), ((0, 3, 3),))
_TALL: Shapes = ((4, 2),)
_WIDE: Shapes = ((2, 2, 4),)

CASES = [
    *_cases(
        "solve",
        "",
        np.linalg.solve,
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((2, 3, 3), (3,)),
        ((2, 3, 3), (3, 2)),
        ((3, 3), (2, 3, 1)),
        ((2, 1, 3, 3), (4, 3, 2)),
        ((1, 1), (1,)),
        ((0, 0), (0,)),
        ((0, 0), (0, 2)),
        ((0, 3, 3), (3,)),
        ((3, 3), (3, 0)),
    ),
    *_cases("inv", "", np.linalg.inv, *_SQUARE),
    *_cases("matmul", "power-2", lambda a: np.linalg.matrix_power(a, 2), *_SQUARE),
    *_cases("matmul", "power-3", lambda a: np.linalg.matrix_power(a, 3), *_SQUARE[:3]),
    *_cases("matmul", "power-7", lambda a: np.linalg.matrix_power(0.3 * a, 7), *_SQUARE[:3]),
    *_cases("inv", "power-minus-1", lambda a: np.linalg.matrix_power(a, -1), *_SQUARE[:3]),
    *_cases("inv", "power-minus-2", lambda a: np.linalg.matrix_power(a, -2), *_SQUARE[:3]),
    *_cases("pinv", "", np.linalg.pinv, *_SQUARE, _TALL, _WIDE, ((0, 3),)),
    *_cases("pinv", "rtol", lambda a: np.linalg.pinv(a, rtol=None), _TALL, _WIDE),
    *_cases(
        "pinv", "hermitian", lambda a: np.linalg.pinv(_hermitian(a), hermitian=True), ((3, 3),)
    ),
    *_cases(
        "pinv",
        "rank-1",
        lambda x, y: np.linalg.pinv(x[:, None] * y, rcond=1e-8),
        ((3,), (2,)),
    ),
    *_cases(  # the cut-off drops singular values that are not zero
        "pinv", "truncated", lambda a: np.linalg.pinv(a, rcond=0.55), *_SQUARE, _TALL, _WIDE
    ),
    *_cases(
        "pinv",
        "truncated-hermitian",
        lambda a: np.linalg.pinv(_hermitian(a), rcond=0.5, hermitian=True),
        ((3, 3),),
    ),
    *_cases(
        "lstsq",
        "truncated",
        lambda a, b: np.linalg.lstsq(a, b, rcond=0.55)[0],
        ((4, 3), (4,)),
        ((3, 5), (3, 2)),
        ((3, 3), (3,)),
    ),
    *_cases(  # full rank in spite of it
        "lstsq",
        "cut-off",
        lambda a, b: np.linalg.lstsq(a, b, rcond=0.01)[:2],
        ((4, 2), (4, 3)),
    ),
    *_cases(
        "lstsq",
        "",
        _solution,
        ((4, 2), (4,)),
        ((4, 2), (4, 3)),
        ((2, 4), (2,)),
        ((3, 3), (3, 2)),
        ((1, 1), (1,)),
    ),
    *_cases(
        "lstsq",
        "rank-1",
        lambda x, y, b: np.linalg.lstsq(x[:, None] * y, b, rcond=1e-8)[0],
        ((4,), (2,), (4,)),
    ),
    *_cases("det", "", np.linalg.det, *_SQUARE, ((2, 2),)),
    *_cases("cofactor", "det", np.linalg.det, ((4, 4),), ((2, 5, 5),)),
    *_cases("slogdet", "", lambda a: tuple(np.linalg.slogdet(a)), *_SQUARE),
    *_cases("cholesky", "", lambda a: np.linalg.cholesky(_positive(a)), *_SQUARE),
    *_cases(
        "cholesky", "upper", lambda a: np.linalg.cholesky(_positive(a), upper=True), *_SQUARE[:3]
    ),
    *_cases("eigh", "", _eigh, *_SQUARE),
    *_cases("eigh", "U", lambda a: _eigh(a, "U"), *_SQUARE[:2]),
    *_cases("eigvalsh", "", lambda a: np.linalg.eigvalsh(_hermitian(a)), *_SQUARE),
    *_cases("eigvalsh", "U", lambda a: np.linalg.eigvalsh(_hermitian(a), "U"), *_SQUARE[:2]),
    *_cases("eig", "", _eig, *_SQUARE),
    *_cases("eig", "rotation", lambda a: _eig(a + np.array([[0, 9.0], [-9, 0]])), ((2, 2),)),
    *_cases("eigvals", "", np.linalg.eigvals, *_SQUARE),
    *_cases("eigenvalue_order", "eigvals", np.linalg.eigvals, ((5, 5),)),
    *_cases("svd", "reduced", lambda a: _svd(a, False), *_SQUARE, _TALL, _WIDE),
    *_cases("svd", "full", lambda a: _svd(a, True), ((3, 3),), _TALL, _WIDE, ((3, 0),)),
    *_cases("svd", "hermitian", _svd_hermitian, ((3, 3),)),
    *_cases("svdvals", "", np.linalg.svdvals, *_SQUARE, _TALL, _WIDE),
    *_cases(
        "svdvals",
        "hermitian",
        lambda a: np.linalg.svd(_hermitian(a), compute_uv=False, hermitian=True),
        ((3, 3),),
    ),
    *_cases("svdvals", "cond", np.linalg.cond, ((3, 3),), _TALL),
    *_cases("svdvals", "cond-minus-2", lambda a: np.linalg.cond(a, -2), ((3, 3),)),
    # Real only: NumPy 2.0 gives complex matrices a complex condition number.
    *_cases("norm", "cond-fro", lambda a: np.linalg.cond(a, "fro"), ((2, 3, 3),), complex=False),
    *_cases("svdvals", "norm-nuc", lambda a: np.linalg.norm(a, "nuc"), _TALL, ((0, 2),)),
    *_cases(
        "svdvals",
        "norm-2",
        lambda a: np.linalg.norm(a, 2, (0, 2), keepdims=True),
        ((3, 2, 2),),
    ),
    *_cases("svdvals", "norm-minus-2", lambda a: np.linalg.norm(a, -2), _TALL),
    *_cases(
        "qr", "", lambda a: tuple(np.linalg.qr(a)), *_SQUARE, _TALL, _WIDE, ((3, 0),), ((0, 3),)
    ),
    *_cases("qr", "complete", _qr_complete, ((3, 3),), _TALL, _WIDE),
    *_cases("qr_r", "", lambda a: np.linalg.qr(a, "r"), *_SQUARE, _TALL, _WIDE),
    *_cases(
        "matrix_rank",
        "",
        lambda a: np.linalg.matrix_rank(a)[..., None, None] * a,
        ((2, 3, 3),),
        _WIDE,
    ),
    *_cases(
        "solve",
        "tensorsolve",
        lambda a, b: np.linalg.tensorsolve(np.reshape(a, (2, 3, 6)), b),
        ((6, 6), (2, 3)),
    ),
    *_cases(
        "solve",
        "tensorsolve-axes",
        lambda a, b: np.linalg.tensorsolve(
            np.transpose(np.reshape(a, (2, 3, 6)), (2, 0, 1)), b, axes=(0,)
        ),
        ((6, 6), (2, 3)),
    ),
    *_cases("inv", "tensorinv", lambda a: np.linalg.tensorinv(np.reshape(a, (2, 3, 6))), ((6, 6),)),
    *_cases(
        "inv", "tensorinv-1", lambda a: np.linalg.tensorinv(np.reshape(a, (6, 3, 2)), 1), ((6, 6),)
    ),
    *_cases("sum", "trace", lambda a: np.linalg.trace(a, offset=1), ((2, 3, 4),)),
    *_cases("getitem", "diagonal", lambda a: np.linalg.diagonal(a, offset=-1), ((2, 3, 4),)),
    *_cases("multiply", "linalg-outer", np.linalg.outer, ((3,), (4,))),
    *_cases("multiply", "linalg-cross", np.linalg.cross, ((2, 3), (3,))),
]
_VECTORS = (None, 1, 2, 3, 1.5, 0.5, 0, -1, np.inf, -np.inf)
CASES += [
    Case("norm", call, shapes, domain=((0.2, 2.0),), complex=True, label=f"{label}-{ord}-{shapes}")
    for ord in _VECTORS
    for label, call, shapes in (
        ("whole", lambda x, ord=ord: np.linalg.norm(x, ord), ((4,),)),
        ("axis", lambda x, ord=ord: np.linalg.norm(x, ord, axis=-1), ((3, 4),)),
        ("keepdims", lambda x, ord=ord: np.linalg.norm(x, ord, 0, keepdims=True), ((3, 2),)),
        ("one", lambda x, ord=ord: np.linalg.norm(x, ord, axis=0), ((1,),)),
    )
]
CASES += [
    Case("norm", call, (shape,), domain=((0.2, 2.0),), complex=True, label=f"{label}-{shape}")
    for label, call, shape in (
        ("none", np.linalg.norm, ()),
        ("none", np.linalg.norm, (2, 3, 2)),
        ("none", np.linalg.norm, (1,)),
        ("none-kept", lambda x: np.linalg.norm(x, keepdims=True), (2, 3, 2)),
        ("fro", lambda x: np.linalg.norm(x, "fro"), (2, 3)),
        ("fro-axes", lambda x: np.linalg.norm(x, "fro", (2, -3), keepdims=True), (2, 3, 2)),
        ("axes", lambda x: np.linalg.norm(x, axis=(0, 1)), (2, 3, 2)),
        ("1", lambda x: np.linalg.norm(x, 1), (2, 3)),
        ("minus-1", lambda x: np.linalg.norm(x, -1, (2, 0)), (2, 3, 2)),
        ("inf", lambda x: np.linalg.norm(x, np.inf, (0, 2), keepdims=True), (2, 3, 2)),
        ("minus-inf", lambda x: np.linalg.norm(x, -np.inf), (3, 2)),
        ("vector", np.linalg.vector_norm, (2, 3)),
        ("vector-axes", lambda x: np.linalg.vector_norm(x, axis=(2, 0), ord=3), (2, 3, 2)),
        ("vector-kept", lambda x: np.linalg.vector_norm(x, axis=1, keepdims=True), (2, 3)),
        ("vector-all-kept", lambda x: np.linalg.vector_norm(x, keepdims=True), (2, 3)),
        ("matrix", np.linalg.matrix_norm, (2, 2, 3)),
        ("matrix-1", lambda x: np.linalg.matrix_norm(x, ord=1, keepdims=True), (2, 2, 3)),
        ("empty", lambda x: np.linalg.norm(x, axis=0), (0, 2)),
        ("empty-whole", np.linalg.norm, (0,)),
    )
]
