"""Norms of vectors and matrices. The derivative of every norm at 0 is taken as 0."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from thalweg.graph.kinds import Kind, SumOver, Zero
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import static
from thalweg.ops._matrices import conj
from thalweg.ops.reduce import normalise_axes

__all__: list[str] = []


def _value(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool, whole: bool) -> Any:
    return np.linalg.norm(x, ord, axis=None if whole else axes, keepdims=keepdims)


def _unit(x: Any) -> Any:
    """∂|x|/∂x: x̄/|x|, and 0 at 0."""
    if x.dtype.kind != "c":
        return np.sign(x)
    zero = np.equal(x, 0)
    return np.where(zero, 0.0, np.conjugate(x) / np.where(zero, 1.0, np.abs(x)))


def _local(
    i: int, out: Any, x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool, whole: bool
) -> Kind:
    # d‖x‖ = Re Σ weights · dx; ‖x‖ = 0 is kept out of the division, in every order.
    if ord == 0:
        return Zero("the number of non-zero entries is piecewise constant")
    if ord == 1:
        return SumOver(axes, keepdims, _unit(x))
    kept = np.reshape(out, tuple(1 if k in axes else n for k, n in enumerate(x.shape)))
    if ord in (np.inf, -np.inf):  # ties share equally, as for max
        hit = np.equal(np.abs(x), kept)
        shares = hit / np.sum(hit, axis=axes, keepdims=True, dtype=out.dtype)
        return SumOver(axes, keepdims, shares * _unit(x), routed=True)
    nothing = np.equal(kept, 0)
    safe = np.where(nothing, np.inf, kept)  # x / ∞ = 0, and so are its derivatives
    if ord in (None, 2, "f", "fro"):
        weights = conj(x) / safe
    else:  # sign(x) (|x| / ‖x‖)^(p−1); its slope at x = 0 is 0 for p > 2, none for 1 < p < 2
        size = np.abs(x)
        if 1 < ord < 2:
            weights = np.where(nothing, 0.0, _unit(x) * (size / safe) ** (ord - 1))
        else:
            zero = np.equal(x, 0)
            ratio = np.where(zero, 1.0, size) / safe
            weights = np.where(zero, 0.0, _unit(x) * ratio ** (ord - 1))
    return SumOver(axes, keepdims, weights)


def _batch(operands: Any, batched: Any, params: Any) -> Any:
    axes = tuple(axis + 1 for axis in params["axes"])
    ord, keepdims = params["ord"], params["keepdims"]
    if len(axes) <= 2 and len(axes) > 0:
        return NORM(operands[0], ord=ord, axes=axes, keepdims=keepdims, whole=False)
    (x,) = operands  # all entries of an example: NumPy's norm takes at most two axes
    flat = NORM(
        np.reshape(x, (x.shape[0], prod(x.shape[1:]))),
        ord=ord,
        axes=(1,),
        keepdims=False,
        whole=False,
    )
    return np.reshape(flat, (x.shape[0], *(1,) * (x.ndim - 1))) if keepdims else flat


def _lower(
    b: Any, out: Any, x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool, whole: bool
) -> Any:
    x = b.tensor(x, out.dtype)
    if ord in (None, "f", "fro") or (ord == 2 and len(axes) == 1):
        return b.sqrt(b.reduce("add", b.multiply(x, x), axes, keepdims))
    size = b.absolute(x)
    if ord == 1:
        return b.reduce("add", size, axes, keepdims)
    if ord == 0:
        there = b.cast(b.not_equal(x, 0.0), out.dtype)
        return b.reduce("add", there, axes, keepdims)
    if ord == np.inf:  # 0 of nothing
        empty = any(x.shape[axis] == 0 for axis in axes)
        return b.const(0, x.kind, out.shape) if empty else b.reduce("max", size, axes, keepdims)
    if ord == -np.inf:
        return b.reduce("min", size, axes, keepdims)
    total = b.reduce("add", b.power(size, float(ord)), axes, keepdims)
    return b.power(total, float(out.dtype.type(1) / out.dtype.type(ord)))


NORM: Primitive = register(
    Primitive(
        name="norm",
        value=_value,
        local=_local,
        labels=Labels("norm", r"\lVert {0} \rVert"),
        batch=_batch,
        lower=_lower,
    )
)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    static("np.linalg.norm", ord=ord)
    keepdims = bool(keepdims)
    ndim = x.ndim
    whole = axis is None
    if whole and (ord is None or (ord in ("f", "fro") and ndim == 2) or (ndim == 1 and ord == 2)):
        return NORM(x, ord=ord, axes=tuple(range(ndim)), keepdims=keepdims, whole=True)
    given = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(np.lib.array_utils.normalize_axis_tuple(given, ndim))
    if len(axes) == 1:
        if isinstance(ord, str):
            raise ValueError(f"Invalid norm order '{ord}' for vectors")
        return NORM(x, ord=ord, axes=axes, keepdims=keepdims, whole=False)
    if len(axes) != 2:
        raise ValueError("Improper number of dimensions to norm.")
    if ord in (None, "f", "fro"):
        return NORM(x, ord=ord, axes=axes, keepdims=keepdims, whole=False)
    result = _matrix_norm(x, ord, *axes)
    if keepdims:
        result = np.reshape(result, tuple(1 if k in axes else n for k, n in enumerate(x.shape)))
    return result


def _matrix_norm(x: Any, ord: Any, row: int, column: int) -> Any:
    """The norms of matrices that are not a vector's: sums of entries or singular values."""
    if ord in ("nuc", 2, -2):
        rest = [axis for axis in range(x.ndim) if axis not in (row, column)]
        s = np.linalg.svd(np.transpose(x, (*rest, row, column)), compute_uv=False)
        s = np.where(np.equal(s, 0), 0.0, s)  # its slope there is 0, as of every norm
        if ord == "nuc":
            return np.sum(s, axis=-1)
        return _extreme(s, s.ndim - 1, ord)
    if ord in (1, -1):
        sums, other = np.sum(np.abs(x), axis=row), column - (column > row)
    elif ord in (np.inf, -np.inf):
        sums, other = np.sum(np.abs(x), axis=column), row - (row > column)
    else:
        raise ValueError("Invalid norm order for matrices.")
    return _extreme(sums, other, ord)


def _extreme(x: Any, axis: int, ord: Any) -> Any:
    """The maximum (ord > 0; 0 of nothing) or minimum along the axis."""
    if ord < 0:
        return np.min(x, axis=axis)
    if x.shape[axis] == 0:
        return np.zeros(x.shape[:axis] + x.shape[axis + 1 :], x.dtype)
    return np.max(x, axis=axis)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    axes = normalise_axes(axis, x.ndim)
    if axis is None:
        result = norm(np.reshape(x, (x.size,)), ord, 0)
    elif isinstance(axis, tuple):
        given = tuple(np.lib.array_utils.normalize_axis_tuple(axis, x.ndim))
        rest = tuple(k for k in range(x.ndim) if k not in given)
        shape = (prod(x.shape[k] for k in given), *(x.shape[k] for k in rest))
        result = norm(np.reshape(np.transpose(x, given + rest), shape), ord, 0)
    else:
        result = norm(x, ord, axis)
    if keepdims:
        result = np.reshape(result, tuple(1 if k in axes else n for k, n in enumerate(x.shape)))
    return result


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(x, ord, (-2, -1), keepdims)
