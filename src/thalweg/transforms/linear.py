"""How each kind of local Jacobian acts: push(kind, t) forward, pull(kind, c) backward.

The only place that says so. Tangents, cotangents and entries are NumPy values or nodes; the code
is the same for both, because nodes speak NumPy.

Complex numbers follow JAX's and autograd's convention: the cotangent c of y pairs with a tangent
t as Re(Σ c·t), without conjugation. A holomorphic map is pulled back by its plain transpose, and
the gradient of a real function u of z = x + iy is ∂u/∂x − i ∂u/∂y. What arrives at a real end keeps
its real part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.graph.kinds import (
    BatchedDense,
    Broadcast,
    Chain,
    Contract,
    Custom,
    DiagMinusRank1,
    Diagonal,
    Identity,
    Kind,
    MatMulLeft,
    MatMulRight,
    Put,
    Reshape,
    Router,
    Scale,
    SumOver,
    Take,
    Transpose,
    Wirtinger,
)
from thalweg.ops.einsum import contract
from thalweg.ops.index import add_at, getitem, scatter_add, setitem
from thalweg.ops.shape import astype

__all__ = [
    "PULL",
    "ROUTING",
    "accumulate_take",
    "conform",
    "mask_of_take",
    "pull",
    "pull_mask",
    "push",
    "unbroadcast",
    "zeros_like",
]


#: From so many entries on it is their number that costs, not the calls.
_MANY = 2048


def zeros_like(end: Any) -> Any:
    """A zero tangent or cotangent for the end `end` of an edge."""
    return np.zeros(end.shape, end.dtype)


def unbroadcast(c: Any, shape: tuple[int, ...]) -> Any:
    """Transpose of broadcasting to c.shape: sum over the axes that were new or stretched."""
    if c.shape == shape:
        return c
    new = len(c.shape) - len(shape)
    stretched = tuple(i + new for i, n in enumerate(shape) if n == 1 and c.shape[i + new] != 1)
    axes = tuple(range(new)) + stretched
    summed = np.sum(c, axis=axes) if axes else c
    return summed if summed.shape == shape else np.reshape(summed, shape)


def conform(value: Any, end: Any) -> Any:
    """`value` with the shape and dtype of `end`: summed or broadcast, cast, real part kept."""
    shape = end.shape
    if value.shape != shape:
        value = unbroadcast(value, shape) if _covers(value.shape, shape) else _stretch(value, shape)
    if value.dtype != end.dtype:
        if value.dtype.kind == "c" and end.dtype.kind != "c":
            value = np.real(value)
        if value.dtype != end.dtype:
            value = astype(value, end.dtype)
    return value


def _stretch(c: Any, shape: tuple[int, ...]) -> Any:
    """c broadcast to `shape`: where these are few entries, a new array costs less than a view."""
    if math.prod(shape) >= _MANY or not isinstance(c, (np.ndarray, np.generic)):
        return np.broadcast_to(c, shape)
    filled = np.empty(shape, c.dtype)
    filled[...] = c
    return filled


def _covers(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether `shape` is `target` with axes stretched or added (so that it must be summed)."""
    if len(shape) < len(target):
        return False
    tail = shape[len(shape) - len(target) :]
    return all(n == m or m == 1 for n, m in zip(tail, target, strict=True))


def _expand(c: Any, kind: SumOver, x: Any) -> Any:
    """A cotangent of a reduction with the reduced axes back (of size 1)."""
    if kind.keepdims or not c.shape:  # what has no axes fits everywhere
        return c
    shape = tuple([1 if i in kind.axes else n for i, n in enumerate(x.shape)])
    return np.reshape(c, shape)


def _gated(mask: Any, product: Any) -> Any:
    """`product` with zeros where `mask` is False.

    One factor of the product vanishes there, so entries other than ±0 are NaN: of a product of
    values, new and all finite, nothing but the sign of the zeros needs to be mended.
    """
    if type(product) is np.ndarray and product.size >= _MANY and np.isfinite(product).all():
        product += 0.0
        return product
    return np.where(mask, product, 0.0)


def _routed(entries: Any, t: Any) -> Any:
    """diag(entries) t, where zero entries let nothing pass."""
    return _gated(entries, t * entries)


# ---- forward: push(kind, t, x, out) -------------------------------------------------------


def _push_matmul(left: Any, right: Any) -> Any:
    return np.matmul(left, right)


def _push_contract(kind: Contract, t: Any) -> Any:
    operands = (*kind.others[: kind.position], t, *kind.others[kind.position :])
    return contract(kind.inputs, kind.output, operands)


def _push_put(kind: Put, t: Any, out: Any) -> Any:
    return setitem(np.zeros(out.shape, t.dtype), kind.index, t)


def _push_dense(kind: BatchedDense, t: Any, x: Any, out: Any) -> Any:
    b = kind.batch
    batch, n_in = x.shape[:b], x.shape[b:]
    rows = math.prod(out.shape[b:])
    matrix = np.reshape(kind.entries, (*batch, rows, math.prod(n_in)))
    column = np.reshape(t, (*batch, math.prod(n_in), 1))
    return np.reshape(np.matmul(matrix, column), out.shape)


def _push_rank1(kind: DiagMinusRank1, t: Any) -> Any:
    p = kind.probabilities
    return p * (t - np.sum(p * t, axis=kind.axis, keepdims=True))


def _weighted(kind: SumOver, t: Any) -> Any:
    weighted = t if kind.weights is None else t * kind.weights
    if kind.routed and kind.weights is not None:
        weighted = _gated(kind.weights, weighted)
    return np.sum(weighted, axis=kind.axes, keepdims=kind.keepdims)


_PUSH: dict[type, Callable[..., Any]] = {
    Identity: lambda kind, t, x, out: t,
    Scale: lambda kind, t, x, out: t * kind.factor,
    Diagonal: lambda kind, t, x, out: t * kind.entries,
    Router: lambda kind, t, x, out: _routed(kind.entries, t),
    Wirtinger: lambda kind, t, x, out: kind.linear * t + kind.conjugate * np.conj(t),
    Broadcast: lambda kind, t, x, out: np.broadcast_to(t, out.shape),
    SumOver: lambda kind, t, x, out: _weighted(kind, t),
    Reshape: lambda kind, t, x, out: np.reshape(t, out.shape),
    Transpose: lambda kind, t, x, out: np.transpose(t, kind.axes),
    Take: lambda kind, t, x, out: getitem(t, kind.index),
    Put: lambda kind, t, x, out: _push_put(kind, t, out),
    MatMulLeft: lambda kind, t, x, out: _push_matmul(kind.matrix, t),
    MatMulRight: lambda kind, t, x, out: _push_matmul(t, kind.matrix),
    Contract: lambda kind, t, x, out: _push_contract(kind, t),
    BatchedDense: _push_dense,
    DiagMinusRank1: lambda kind, t, x, out: _push_rank1(kind, t),
    Chain: lambda kind, t, x, out: push(
        kind.outer, push(kind.inner, t, x, kind.between), kind.between, out
    ),
    Custom: lambda kind, t, x, out: kind.push(t),
}


def push(kind: Kind, t: Any, x: Any, out: Any) -> Any:
    """The tangent of `out` that comes from the tangent `t` of the operand `x`."""
    pushed = _PUSH[type(kind)](kind, t, x, out)
    if type(pushed) is tuple:  # several outputs: a Custom kind says each
        return pushed
    return conform(pushed, out)


# ---- backward: pull(kind, c, x, out) ------------------------------------------------------


def _swap(matrix: Any) -> Any:
    return np.swapaxes(matrix, -1, -2) if len(matrix.shape) > 1 else matrix


def _pull_left(kind: MatMulLeft, c: Any, x: Any) -> Any:
    a = kind.matrix
    if len(a.shape) == 1:  # y = a @ x drops the row axis: dx = a_k c
        return c * a if len(x.shape) == 1 else np.reshape(a, (-1, 1)) * np.expand_dims(c, -2)
    if len(x.shape) == 1:  # y = A @ x: dx = Aᵀ c, summed over batch axes
        return np.matmul(_rows(c), _matrix(a))
    if len(x.shape) == 2 and len(a.shape) > 2:  # one product instead of a sum over the batch
        return np.matmul(_swap(_matrix(a)), _matrix(c))
    return np.matmul(_swap(a), c)


def _pull_right(kind: MatMulRight, c: Any, x: Any) -> Any:
    b = kind.matrix
    if len(b.shape) == 1:  # y = x @ b drops the last axis: dx = c ⊗ b
        return c * b if len(x.shape) == 1 else np.expand_dims(c, -1) * b
    if len(x.shape) == 1:
        return np.matmul(b, np.expand_dims(c, -1))[..., 0]
    return np.matmul(c, _swap(b))


def _matrix(x: Any) -> Any:
    """All axes but the last as one."""
    shape = x.shape
    return x if len(shape) == 2 else np.reshape(x, (math.prod(shape[:-1]), shape[-1]))


def _rows(c: Any) -> Any:
    """All axes as one."""
    return c if len(c.shape) == 1 else np.reshape(c, (math.prod(c.shape),))


def _pull_contract(kind: Contract, c: Any, x: Any) -> Any:
    target = kind.inputs[kind.position]
    rest = tuple(s for i, s in enumerate(kind.inputs) if i != kind.position)
    known = set(kind.output).union(*rest)
    # A letter that only the operand itself has was summed away: its cotangent is repeated.
    kept = "".join(letter for letter in target if letter in known)
    if rest:
        pulled = contract((kind.output, *rest), kept, (c, *kind.others))
    else:
        pulled = np.transpose(c, [kind.output.index(letter) for letter in kept])
    if kept != target:
        sizes = dict(zip(kept, pulled.shape, strict=True))
        pulled = np.reshape(pulled, [sizes.get(letter, 1) for letter in target])
    full = tuple(n if m == 1 else m for m, n in zip(pulled.shape, x.shape, strict=True))
    return pulled if full == pulled.shape else np.broadcast_to(pulled, full)


def _pull_take(kind: Take, c: Any, x: Any) -> Any:
    zeros = np.zeros(x.shape, c.dtype)
    if kind.unique:
        return setitem(zeros, kind.index, c)
    return add_at(zeros, kind.index, c)


def _pull_dense(kind: BatchedDense, c: Any, x: Any, out: Any) -> Any:
    b = kind.batch
    batch = x.shape[:b]
    rows, columns = math.prod(out.shape[b:]), math.prod(x.shape[b:])
    matrix = np.reshape(kind.entries, (*batch, rows, columns))
    row = np.reshape(c, (*batch, 1, rows))
    return np.reshape(np.matmul(row, matrix), x.shape)


def _pull_sum(kind: SumOver, c: Any, x: Any) -> Any:
    c = _expand(c, kind, x)
    if kind.weights is None:
        return _stretch(c, x.shape)
    pulled = c * kind.weights
    return _gated(kind.weights, pulled) if kind.routed else pulled


PULL: dict[type, Callable[..., Any]] = {
    Identity: lambda kind, c, x, out: c,
    Scale: lambda kind, c, x, out: c * kind.factor,
    Diagonal: lambda kind, c, x, out: c * kind.entries,
    Router: lambda kind, c, x, out: _routed(kind.entries, c),
    Wirtinger: lambda kind, c, x, out: kind.linear * c + np.conj(kind.conjugate * c),
    Broadcast: lambda kind, c, x, out: c,
    SumOver: lambda kind, c, x, out: _pull_sum(kind, c, x),
    Reshape: lambda kind, c, x, out: np.reshape(c, x.shape),
    Transpose: lambda kind, c, x, out: np.transpose(c, _inverse(kind.axes)),
    Take: lambda kind, c, x, out: _pull_take(kind, c, x),
    Put: lambda kind, c, x, out: getitem(c, kind.index),
    MatMulLeft: lambda kind, c, x, out: _pull_left(kind, c, x),
    MatMulRight: lambda kind, c, x, out: _pull_right(kind, c, x),
    Contract: lambda kind, c, x, out: _pull_contract(kind, c, x),
    BatchedDense: _pull_dense,
    DiagMinusRank1: lambda kind, c, x, out: _push_rank1(kind, c),
    Chain: lambda kind, c, x, out: pull(
        kind.inner, pull(kind.outer, c, kind.between, out), x, kind.between
    ),
    Custom: lambda kind, c, x, out: kind.pull(c),
}


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    inverse = [0] * len(axes)
    for position, axis in enumerate(axes):
        inverse[axis] = position
    return tuple(inverse)


_ELEMENTWISE = (Identity, Scale, Diagonal, Router, Wirtinger, Broadcast)


def pull(kind: Kind, c: Any, x: Any, out: Any, mask: Any = None) -> Any:
    """The cotangent of the operand `x` that comes from the cotangent `c` of `out`.

    `mask` (as from `pull_mask`) marks the entries of c that can be other than zero; where it is
    False the result is zero even if the local Jacobian is infinite there.
    """
    if mask is not None and type(kind) is Chain:
        inner_mask = pull_mask(kind.outer, mask, kind.between, out)
        return pull(
            kind.inner, pull(kind.outer, c, kind.between, out, mask), x, kind.between, inner_mask
        )
    pulled = PULL[type(kind)](kind, c, x, out)
    if mask is not None:
        if type(kind) in _FACTORS:
            pulled = _gated(mask, pulled)
        elif type(kind) is SumOver and kind.weights is not None:
            pulled = _gated(_expand(mask, kind, x), pulled)
    return conform(pulled, x)


#: Kinds whose factor may be infinite where nothing comes down.
_FACTORS = frozenset((Diagonal, Scale, Router, Wirtinger))
#: Kinds that may make a mask where there was none.
ROUTING = frozenset((Router, SumOver, Chain))


def pull_mask(kind: Kind, mask: Any, x: Any, out: Any) -> Any:
    """Which entries of the pulled cotangent can be other than zero (None: all of them).

    Zeros are structural where a branch was not taken (`Router`), an entry lost (a routed
    `SumOver`) or was left out (a boolean `Take`); they stay so through elementwise operations,
    reductions and reindexing, and end at operations that mix entries.
    """
    form = type(kind)
    if form is Router:
        taken = kind.entries  # type: ignore[union-attr]
        mask = taken if mask is None else np.logical_and(mask, taken)
    elif form is Chain:
        between = kind.between  # type: ignore[union-attr]
        mask = pull_mask(kind.outer, mask, between, out)  # type: ignore[union-attr]
        return pull_mask(kind.inner, mask, x, between)  # type: ignore[union-attr]
    elif form is SumOver and kind.routed:  # type: ignore[union-attr]
        won = np.not_equal(kind.weights, 0)  # type: ignore[union-attr]
        won = won if mask is None else np.logical_and(won, _expand(mask, kind, x))  # type: ignore[arg-type]
        return np.broadcast_to(won, x.shape)
    elif form is Take:
        return mask_of_take(kind, mask, x)  # type: ignore[arg-type]
    if mask is None:
        return None
    if form in _ELEMENTWISE:
        return _reached(_full(mask, out), x)
    if form is SumOver:
        return np.broadcast_to(_expand(mask, kind, x), x.shape)  # type: ignore[arg-type]
    if form is Reshape or form is Transpose or form is Put:
        return _reached(PULL[form](kind, _full(mask, out), x, out), x)
    return None


def mask_of_take(kind: Take, mask: Any, x: Any) -> Any:
    """`pull_mask` of x[index]: what a boolean index of the shape of x leaves out is not reached."""
    index = kind.index
    if mask is not None:
        return _pull_take(kind, _ones(mask), x) > 0
    if type(index) is not tuple or len(index) != 1:
        return None
    (chosen,) = index
    whole = getattr(chosen, "dtype", None) == np.bool_ and chosen.shape == x.shape
    return chosen if whole else None


def _full(mask: Any, out: Any) -> Any:
    return mask if getattr(mask, "shape", None) == out.shape else np.broadcast_to(mask, out.shape)


def _ones(mask: Any) -> Any:
    """A mask, or a router's entries (a half at a tie), as integers that can be added up."""
    return astype(np.not_equal(mask, 0), np.intp)


def _reached(mask: Any, x: Any) -> Any:
    """The mask on the operand's own entries: one that was broadcast is reached if any copy is."""
    if mask.shape == x.shape:
        return mask
    return np.greater(unbroadcast(_ones(mask), x.shape), 0)


def accumulate_take(buffer: Any, kind: Take, c: Any) -> None:
    """buffer[index] += c in place: a gather's pull without a new array of zeros."""
    if kind.unique:
        buffer[kind.index] += c
    else:
        scatter_add(buffer, kind.index, c)
