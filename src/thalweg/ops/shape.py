"""Shapes: reindexing without arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.kinds import IDENTITY, Broadcast, Reshape, Transpose
from thalweg.graph.node import apply
from thalweg.graph.primitive import Labels, Primitive, implements, register

__all__ = ["astype"]


def _batch_reshape(operands: Any, batched: Any, params: Any) -> Any:
    (x,) = operands
    return RESHAPE(x, shape=(x.shape[0], *params["shape"]))


RESHAPE = register(
    Primitive(
        name="reshape",
        value=lambda x, shape: np.reshape(x, shape),
        local=lambda i, out, x, shape: Reshape(),
        labels=Labels("reshape", r"\operatorname{{reshape}}({0})"),
        batch=_batch_reshape,
    )
)
TRANSPOSE = register(
    Primitive(
        name="transpose",
        value=lambda x, axes: np.transpose(x, axes),
        local=lambda i, out, x, axes: Transpose(axes),
        labels=Labels("transpose", r"{0}^\top"),
        batch=lambda operands, batched, params: TRANSPOSE(
            operands[0], axes=(0, *(a + 1 for a in params["axes"]))
        ),
    )
)


def _batch_broadcast(operands: Any, batched: Any, params: Any) -> Any:
    (x,) = operands
    shape = params["shape"]
    missing = len(shape) - (x.ndim - 1)
    x = np.reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))
    return BROADCAST_TO(x, shape=(x.shape[0], *shape))


BROADCAST_TO = register(
    Primitive(
        name="broadcast_to",
        value=lambda x, shape: np.broadcast_to(x, shape),
        local=lambda i, out, x, shape: Broadcast(),
        labels=Labels("broadcast", r"\operatorname{{broadcast}}({0})"),
        batch=_batch_broadcast,
    )
)
ASTYPE = register(
    Primitive(
        name="astype",
        value=lambda x, dtype: np.asarray(x).astype(dtype)[()],
        local=lambda i, out, x, dtype: IDENTITY,
        labels=Labels("cast", "{0}"),
        batch=lambda operands, batched, params: ASTYPE(*operands, **params),
    )
)


def astype(x: Any, dtype: Any) -> Any:
    """x with another dtype; the gradient comes back in the old one."""
    return apply(ASTYPE, (x,), {"dtype": np.dtype(dtype)})


@implements(np.reshape)
def reshape(x: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if -1 in shape:
        known = int(np.prod([n for n in shape if n != -1]))
        shape = tuple(x.size // max(known, 1) if n == -1 else n for n in shape)
    if shape == x.shape:
        return x
    return RESHAPE(x, shape=shape)


@implements(np.transpose)
def transpose(x: Any, axes: Any = None) -> Any:
    ndim = x.ndim
    axes = tuple(range(ndim))[::-1] if axes is None else tuple(int(a) % ndim for a in axes)
    return x if axes == tuple(range(ndim)) else TRANSPOSE(x, axes=axes)


@implements(np.swapaxes)
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    axes = list(range(x.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transpose(x, axes)


@implements(np.broadcast_to)
def broadcast_to(x: Any, shape: Any, subok: bool = False) -> Any:
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    return x if x.shape == shape else BROADCAST_TO(x, shape=shape)


@implements(np.expand_dims)
def expand_dims(x: Any, axis: Any) -> Any:
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    ndim = x.ndim + len(axes)
    new = {int(a) % ndim for a in axes}
    old = iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(old) for i in range(ndim)))
