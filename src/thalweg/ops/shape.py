"""Shapes: reindexing without arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.exceptions import AxisError
from numpy.lib.array_utils import normalize_axis_tuple

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import IDENTITY, Broadcast, Reshape, Transpose
from thalweg.graph.node import Node, apply
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import static

__all__ = ["astype", "laid_out", "memory_order", "on_cpu"]


def _batch_reshape(operands: Any, batched: Any, params: Any) -> Any:
    (x,) = operands
    return RESHAPE(x, shape=(x.shape[0], *params["shape"]))


RESHAPE: Primitive = register(
    Primitive(
        name="reshape",
        value=lambda x, shape: x.reshape(shape),
        local=lambda i, out, x, shape: Reshape(),
        labels=Labels("reshape", r"\operatorname{{reshape}}({0})"),
        batch=_batch_reshape,
        lower=lambda b, out, x, shape: b.reshape(x, out.shape),
    )
)
TRANSPOSE: Primitive = register(
    Primitive(
        name="transpose",
        value=lambda x, axes: x.transpose(axes),
        local=lambda i, out, x, axes: Transpose(axes),
        labels=Labels("transpose", r"{0}^\top"),
        batch=lambda operands, batched, params: TRANSPOSE(
            operands[0], axes=(0, *(a + 1 for a in params["axes"]))
        ),
        lower=lambda b, out, x, axes: b.transpose(x, axes),
    )
)


def _batch_broadcast(operands: Any, batched: Any, params: Any) -> Any:
    (x,) = operands
    shape = params["shape"]
    missing = len(shape) - (x.ndim - 1)
    x = np.reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))
    return BROADCAST_TO(x, shape=(x.shape[0], *shape))


BROADCAST_TO: Primitive = register(
    Primitive(
        name="broadcast_to",
        value=lambda x, shape: np.broadcast_to(x, shape),
        local=lambda i, out, x, shape: Broadcast(),
        labels=Labels("broadcast", r"\operatorname{{broadcast}}({0})"),
        batch=_batch_broadcast,
        lower=lambda b, out, x, shape: b.broadcast(x, shape),
    )
)
ASTYPE: Primitive = register(
    Primitive(
        name="astype",
        value=lambda x, dtype: np.asarray(x).astype(dtype)[()],
        local=lambda i, out, x, dtype: IDENTITY,
        labels=Labels("cast", "{0}"),
        batch=lambda operands, batched, params: ASTYPE(*operands, **params),
        lower=lambda b, out, x, dtype: b.tensor(x, out.dtype),
    )
)


def astype(x: Any, dtype: Any) -> Any:
    """x with another dtype; the gradient comes back in the old one."""
    return apply(ASTYPE, (x,), {"dtype": np.dtype(dtype)})


# The same entries in another order in memory, which only orders 'K' and 'A' of reshape look at.
LAYOUT: Primitive = register(
    Primitive(
        name="layout",
        value=lambda x, order: np.asarray(x, order=order)[()],
        local=lambda i, out, x, order: IDENTITY,
        labels=Labels("copy", "{0}"),
        batch=lambda operands, batched, params: operands[0],
        lower=lambda b, out, x, order: x,  # order in memory is seen by other rules when tracing
    )
)


def laid_out(x: Any, order: str | None) -> Any:
    """x with its memory in this order ('C', 'F', 'A'; 'K' and None: as it is)."""
    return x if order in ("K", "k", None) else LAYOUT(x, order=order)


def on_cpu(device: str | None) -> None:
    """Refuse, as NumPy, any device but its own."""
    if device not in (None, "cpu"):
        raise ValueError(f'Device not understood. Only "cpu" is allowed, but received: {device}')


def memory_order(order: Any) -> str:
    """'C', 'F', 'A' or 'K', as NumPy reads an `order`."""
    known = "C" if order is None else order.upper() if isinstance(order, str) else order
    if known not in ("C", "F", "A", "K"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    return str(known)


def _fortran(x: Any, order: Any, function: str) -> bool:
    """Whether `order` means that the first axis varies fastest, for this array."""
    order = memory_order(order)
    if order in ("C", "F"):
        return order == "F"
    flags = np.asarray(x.value if type(x) is Node else x).flags
    if order == "A" or flags.c_contiguous or flags.f_contiguous:
        return bool(flags.fnc)
    raise NoRuleError(f"{function}: no rule for order={order!r} of an array with gaps; use 'C'")


@implements(np.reshape)
def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    static("np.reshape", shape=shape)
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if copy is False:
        options: dict[str, Any] = {"order": order, "copy": False}
        np.reshape(a.value, shape, **options)  # raises where it can't be a view
    if shape.count(-1) == 1:
        known = math.prod(n for n in shape if n != -1)
        if known:  # else NumPy says what is wrong
            shape = tuple(a.size // known if n == -1 else n for n in shape)
    if memory_order(order) == "K":
        raise ValueError("order 'K' is not permitted for reshaping")
    if _fortran(a, order, "np.reshape"):
        return transpose(reshape(transpose(a), shape[::-1]))
    return a if shape == a.shape else RESHAPE(a, shape=shape)


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    return reshape(a, (a.size,), "F" if _fortran(a, order, "np.ravel") else "C")


def _transpose(a: Any, axes: tuple[int, ...]) -> Any:
    return a if axes == tuple(range(len(axes))) else TRANSPOSE(a, axes=axes)


def transpose(a: Any, axes: Any = None) -> Any:
    ndim = a.ndim
    if axes is None:
        return _transpose(a, tuple(range(ndim))[::-1])
    axes = normalize_axis_tuple(axes, ndim)
    if len(axes) != ndim:
        raise ValueError("axes don't match array")
    return _transpose(a, axes)


implements(np.transpose)(transpose)
if hasattr(np, "permute_dims") and np.permute_dims is not np.transpose:
    implements(np.permute_dims)(transpose)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    (axis1,), (axis2,) = normalize_axis_tuple(axis1, a.ndim), normalize_axis_tuple(axis2, a.ndim)
    axes = list(range(a.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return _transpose(a, tuple(axes))


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return swapaxes(x, -1, -2)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    source = normalize_axis_tuple(source, a.ndim, "source")
    destination = normalize_axis_tuple(destination, a.ndim, "destination")
    if len(source) != len(destination):
        raise ValueError("source and destination must have the same number of elements")
    order = [axis for axis in range(a.ndim) if axis not in source]
    for target, axis in sorted(zip(destination, source, strict=True)):
        order.insert(target, axis)
    return _transpose(a, tuple(order))


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis = normalize_axis_tuple(axis, a.ndim)[0]
    start = start + a.ndim if start < 0 else start
    if not 0 <= start <= a.ndim:
        raise AxisError(f"start is {start}, but must be from 0 to {a.ndim}")
    return moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    static("np.broadcast_to", shape=shape)
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    return array if array.shape == shape else BROADCAST_TO(array, shape=shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*(np.shape(x) for x in args))
    return tuple(np.broadcast_to(x, shape) for x in args)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = a.ndim + len(axes)
    new = normalize_axis_tuple(axes, ndim)
    old = iter(a.shape)
    return reshape(a, tuple(1 if i in new else next(old) for i in range(ndim)))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    if axis is None:
        return reshape(a, tuple(n for n in a.shape if n != 1))
    axes = normalize_axis_tuple(axis, a.ndim)
    if any(a.shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return reshape(a, tuple(n for i, n in enumerate(a.shape) if i not in axes))


def _atleast(function: Any, shape: Any) -> None:
    """atleast_1d, _2d, _3d: `shape` gives the new shape of an old one."""

    @implements(function)
    def atleast(*arys: Any) -> Any:
        arrays = [x if type(x) is Node else np.asanyarray(x) for x in arys]
        results = [np.reshape(x, shape(x.shape)) for x in arrays]
        return results[0] if len(results) == 1 else tuple(results)


_atleast(np.atleast_1d, lambda s: s or (1,))
_atleast(np.atleast_2d, lambda s: (1,) * (2 - len(s)) + s)
_atleast(np.atleast_3d, lambda s: s if len(s) > 2 else ((1,) * (2 - len(s)) + (*s, 1))[-3:])


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    # Nodes never change: the handle that is made for it is a copy.
    return laid_out(a, order)


@implements(*[getattr(np, name) for name in ("astype",) if hasattr(np, name)])
def astype_function(x: Any, dtype: Any, /, *, copy: bool = True, device: str | None = None) -> Any:
    on_cpu(device)
    return astype(x, dtype)
