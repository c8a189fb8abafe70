"""Contractions: matmul, dot, tensordot and their relatives."""

from __future__ import annotations

import math
import operator
import string
from typing import Any

import numpy as np

from thalweg.graph.kinds import Contract, Diagonal, Kind, MatMulLeft, MatMulRight
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import align_batched, front
from thalweg.ops.einsum import conjugated_product, contract
from thalweg.ops.index import as_array

__all__ = ["DOT", "MATMUL"]


def _matmul_local(i: int, out: Any, a: Any, b: Any) -> Kind:
    return MatMulRight(b) if i == 0 else MatMulLeft(a)


def _batch_matmul(operands: Any, batched: Any, params: Any) -> Any:
    a, b = operands
    if not batched[1] and len(b.shape) <= 2:  # the same matrix for all: one product
        flat = np.matmul(np.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1])), b)
        return np.reshape(flat, (*a.shape[:-1], *b.shape[1:]))
    if not batched[0] and len(a.shape) <= 2 and len(b.shape) == 2:
        return np.matmul(b, np.transpose(a))
    rows, columns = (len(x.shape) - mark > 1 for x, mark in zip(operands, batched, strict=True))
    a = a if rows else np.expand_dims(a, -2)
    b = b if columns else np.expand_dims(b, -1)
    ndim = max(len(x.shape) - mark for x, mark in zip((a, b), batched, strict=True))
    a = front(a, ndim) if batched[0] else a
    b = front(b, ndim) if batched[1] else b
    product = np.matmul(a, b)
    dropped = ([] if rows else [-2]) + ([] if columns else [-1])
    return np.squeeze(product, tuple(dropped)) if dropped else product


def _lower_matmul(b: Any, out: Any, x: Any, y: Any) -> Any:
    x, y = b.tensor(x, out.dtype), b.tensor(y, out.dtype)
    x = b.reshape(x, (1, *x.shape)) if x.ndim == 1 else x
    y = b.reshape(y, (*y.shape, 1)) if y.ndim == 1 else y
    return b.reshape(b.matmul(x, y), out.shape)


MATMUL = register(
    Primitive(
        name="matmul",
        value=np.matmul,
        local=_matmul_local,
        labels=Labels("@", r"{0}\,{1}"),
        batch=_batch_matmul,
        lower=_lower_matmul,
    ),
    np.matmul,
)


def _dot_letters(ndim_a: int, ndim_b: int) -> tuple[tuple[str, str], str]:
    """Subscripts of np.dot: the last axis of a with the last but one of b."""
    letters = iter(string.ascii_lowercase)
    a = [next(letters) for _ in range(ndim_a)]
    b = [next(letters) for _ in range(ndim_b)]
    b[max(ndim_b - 2, 0)] = a[-1]
    output = [*a[:-1], *(k for k in b if k != a[-1])]
    return ("".join(a), "".join(b)), "".join(output)


def _dot_local(i: int, out: Any, a: Any, b: Any) -> Kind:
    if not a.shape or not b.shape:
        return Diagonal(b if i == 0 else a)
    if len(b.shape) <= 2 and (len(a.shape) <= 2 or i == 0):
        return MatMulRight(b) if i == 0 else MatMulLeft(a)
    inputs, output = _dot_letters(len(a.shape), len(b.shape))
    return Contract(inputs, output, i, (b if i == 0 else a,))


def _batch_dot(operands: Any, batched: Any, params: Any) -> Any:
    ndims = [len(x.shape) - mark for x, mark in zip(operands, batched, strict=True)]
    if 0 in ndims:
        return np.multiply(*align_batched(operands, batched))
    (a, b), output = _dot_letters(*ndims)
    inputs = ("Z" + a if batched[0] else a, "Z" + b if batched[1] else b)
    return contract(inputs, "Z" + output, operands)


def _lower_dot(b: Any, out: Any, x: Any, y: Any) -> Any:
    x, y = b.tensor(x, out.dtype), b.tensor(y, out.dtype)
    if x.ndim == 0 or y.ndim == 0:
        return b.multiply(x, y)
    axis = max(y.ndim - 2, 0)
    n = x.shape[-1]
    rows = math.prod(x.shape[:-1])
    columns = math.prod(y.shape[:axis]) * math.prod(y.shape[axis + 1 :])
    y = b.transpose(y, (axis, *range(axis), *range(axis + 1, y.ndim)))
    product = b.matmul(b.reshape(x, (rows, n)), b.reshape(y, (n, columns)))
    return b.reshape(product, out.shape)


DOT = register(
    Primitive(
        name="dot",
        value=np.dot,
        local=_dot_local,
        labels=Labels("dot", r"{0} \cdot {1}"),
        batch=_batch_dot,
        lower=_lower_dot,
    )
)


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    return DOT(as_array(a), as_array(b))


VECDOT = conjugated_product("vecdot", np.vecdot, ("n", "n", ""), r"\langle {0}, {1} \rangle")
if hasattr(np, "matvec"):  # NumPy 2.2
    conjugated_product("matvec", np.matvec, ("mn", "n", "m"), r"{0}\,{1}")
    conjugated_product("vecmat", np.vecmat, ("n", "nm", "m"), r"{0}^\dagger\,{1}")


@implements(np.linalg.vecdot)
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    a, b = as_array(x1), as_array(x2)
    return VECDOT(np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1))


@implements(np.linalg.matmul)
def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    return MATMUL(as_array(x1), as_array(x2))


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    a, b = as_array(a), as_array(b)
    flat = (np.reshape(x, (x.size,)) for x in (a, b))
    return VECDOT(*flat)


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    a, b = as_array(a), as_array(b)
    turned = len(b.shape) > 1 and a.shape  # a number only scales
    return DOT(a, np.swapaxes(b, -1, -2) if turned else b)


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    a, b = as_array(a), as_array(b)
    return np.multiply(np.reshape(a, (a.size, 1)), np.reshape(b, (1, b.size)))


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    a, b = as_array(x1), as_array(x2)
    if len(a.shape) != 1 or len(b.shape) != 1:
        raise ValueError(
            "Input arrays must be one-dimensional, but they are "
            f"x1.ndim={len(a.shape)} and x2.ndim={len(b.shape)}."
        )
    return outer(a, b)


def _axes(axes: Any, a: Any, b: Any) -> tuple[list[int], list[int]]:
    """The axes that np.tensordot sums over, of each operand."""
    ndim_a, ndim_b = len(a.shape), len(b.shape)
    try:
        first, second = axes
    except TypeError:
        count = operator.index(axes)
        first, second = range(ndim_a - count, ndim_a), range(count)
    listed = [
        [int(k) % n if n else int(k) for k in ([part] if np.ndim(part) == 0 else part)]
        for part, n in ((first, ndim_a), (second, ndim_b))
    ]
    if [a.shape[k] for k in listed[0]] != [b.shape[k] for k in listed[1]]:
        raise ValueError(
            f"tensordot: shapes {a.shape} and {b.shape} do not fit along the axes {axes}"
        )
    return listed[0], listed[1]


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = as_array(a), as_array(b)
    summed_a, summed_b = _axes(axes, a, b)
    kept_a = [k for k in range(len(a.shape)) if k not in summed_a]
    kept_b = [k for k in range(len(b.shape)) if k not in summed_b]
    n = int(np.prod([a.shape[k] for k in summed_a], dtype=int))
    rows, columns = [a.shape[k] for k in kept_a], [b.shape[k] for k in kept_b]
    left = np.reshape(np.transpose(a, kept_a + summed_a), (int(np.prod(rows, dtype=int)), n))
    right = np.reshape(np.transpose(b, summed_b + kept_b), (n, int(np.prod(columns, dtype=int))))
    return np.reshape(DOT(left, right), rows + columns)


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    ndim = max(len(a.shape), len(b.shape))
    shape_a = (1,) * (ndim - len(a.shape)) + a.shape
    shape_b = (1,) * (ndim - len(b.shape)) + b.shape
    # Entry (i·m + j) along an axis is a_i b_j: the axes of a and b take turns.
    product = np.multiply(
        np.reshape(a, [k for n in shape_a for k in (n, 1)]),
        np.reshape(b, [k for n in shape_b for k in (1, n)]),
    )
    return np.reshape(product, [n * m for n, m in zip(shape_a, shape_b, strict=True)])


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    operands = [as_array(x) for x in arrays]
    if len(operands) < 2:
        raise ValueError("Expecting at least two arrays.")
    first, last = operands[0].shape, operands[-1].shape
    dims = [
        first[0] if len(first) > 1 else 1,
        first[-1],
        *(x.shape[1] for x in operands[1:-1]),
        last[1] if len(last) > 1 else 1,
    ]
    split = _cheapest_order(dims)

    def product(i: int, j: int) -> Any:
        if i == j:
            return operands[i]
        return dot(product(i, split[i][j]), product(split[i][j] + 1, j))

    return product(0, len(operands) - 1)


def _cheapest_order(dims: list[int]) -> list[list[int]]:
    """Where to split the product of matrices i … j (sizes dims[i] × dims[i+1]) for least work."""
    n = len(dims) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + dims[i] * dims[k + 1] * dims[j + 1], k)
                for k in range(i, j)
            )
    return split
