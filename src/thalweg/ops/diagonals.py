"""Diagonals and triangles: trace, diagonal, diag, tril, triu, vander; and the cross product."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from thalweg.graph.kinds import Kind, Put, Take
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import static
from thalweg.ops.index import as_array
from thalweg.ops.shape import astype

__all__: list[str] = []


def _places(length: int, offset: int) -> tuple[Any, ...]:
    """Index of `length` entries of a diagonal of the last two axes."""
    steps = np.arange(length)
    return (Ellipsis, steps + max(-offset, 0), steps + max(offset, 0))


def _diagonal_local(i: int, out: Any, x: Any, offset: int) -> Kind:
    return Take(_places(out.shape[-1], offset), True)


def _lower_diagonal(b: Any, out: Any, x: Any, offset: int) -> Any:
    base, strides, start = b.placed(x)
    start += max(-offset, 0) * strides[-2] + max(offset, 0) * strides[-1]
    if out.size == 0:
        return b.const(0, x.kind, out.shape)
    return b.view(base, out.shape, (*strides[:-2], strides[-2] + strides[-1]), start)


DIAGONAL: Primitive = register(
    Primitive(
        name="diagonal",
        value=lambda x, offset: np.diagonal(x, offset, -2, -1),
        local=_diagonal_local,
        labels=Labels("diagonal", r"\operatorname{{diag}}({0})"),
        batch=lambda operands, batched, params: DIAGONAL(*operands, **params),
        lower=_lower_diagonal,
    )
)


def _diag_value(x: Any, offset: int) -> Any:
    n = x.shape[-1] + abs(offset)
    matrix = np.zeros((*x.shape[:-1], n, n), x.dtype)
    matrix[_places(x.shape[-1], offset)] = x
    return matrix


def _lower_diag(b: Any, out: Any, x: Any, offset: int) -> Any:
    strides = b.strides(out.shape)
    start = max(-offset, 0) * strides[-2] + max(offset, 0) * strides[-1]
    zeros = b.const(0, x.kind, out.shape)
    if x.size == 0:
        return zeros
    places = (*strides[:-2], strides[-2] + strides[-1])
    return b.assemble(zeros, [(x, places, start)], out.shape, x.kind)


DIAG: Primitive = register(
    Primitive(
        name="diag",
        value=_diag_value,
        local=lambda i, out, x, offset: Put(_places(x.shape[-1], offset)),
        labels=Labels("diag", r"\operatorname{{diag}}({0})"),
        batch=lambda operands, batched, params: DIAG(*operands, **params),
        lower=_lower_diag,
    )
)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    if a.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    first, second = normalize_axis_tuple((axis1, axis2), a.ndim)
    return DIAGONAL(np.moveaxis(a, (first, second), (-2, -1)), offset=int(offset))


@implements(np.trace)
def trace(
    a: Any,
    offset: int = 0,
    axis1: int = 0,
    axis2: int = 1,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    if v.ndim == 1:
        return DIAG(v, offset=int(k))
    if v.ndim == 2:
        return diagonal(v, k)
    raise ValueError("Input must be 1- or 2-d.")


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return DIAG(np.ravel(v), offset=int(k))


def _lower(m: Any, k: int) -> Any:
    """Where the last two axes are on or below the diagonal k (of a square, for a vector)."""
    return np.tri(m.shape[-2] if m.ndim > 1 else m.shape[-1], m.shape[-1], k, bool)


def _triangle(m: Any, inside: Any) -> Any:
    return np.where(inside, m, np.zeros((), m.dtype))


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    static("np.tril", k=k)
    return _triangle(m, _lower(m, k))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    static("np.triu", k=k)
    return _triangle(m, ~_lower(m, k - 1))


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = x.shape[0] if N is None else int(N)
    dtype = np.promote_types(x.dtype, int)
    powers: Any = np.ones((x.shape[0], min(n, 1)), dtype)
    if n > 1:
        factors = np.broadcast_to(np.expand_dims(astype(x, dtype), 1), (x.shape[0], n - 1))
        powers = np.concatenate([powers, np.cumprod(factors, axis=1)], axis=1)
    return powers if increasing else powers[:, ::-1]


@implements(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a = as_array(a)
    b = as_array(b)
    if a.ndim < 1 or b.ndim < 1:
        raise ValueError("At least one array has zero dimension")
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{a.shape[-1]} and {b.shape[-1]} dimensional instead."
        )
    a1, a2, *a3 = (a[..., i] for i in range(a.shape[-1]))
    b1, b2, *b3 = (b[..., i] for i in range(b.shape[-1]))
    third = a1 * b2 - a2 * b1
    if not (a3 or b3):
        return third  # two-dimensional vectors: the component that can be other than zero
    if a3 and b3:
        parts = [a2 * b3[0] - a3[0] * b2, a3[0] * b1 - a1 * b3[0], third]
    elif a3:
        parts = [-(a3[0] * b2), a3[0] * b1, third]
    else:
        parts = [a2 * b3[0], -(a1 * b3[0]), third]
    found = np.stack(parts, axis=-1)
    return np.moveaxis(found, -1, normalize_axis_index(axisc, found.ndim))
