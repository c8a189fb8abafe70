"""Reductions: sum and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.kinds import SumOver
from thalweg.graph.primitive import (
    Labels,
    Primitive,
    implements,
    implements_ufunc_method,
    register,
)

__all__ = ["normalise_axes"]


def normalise_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """axis=None | int | tuple as a sorted tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(np.lib.array_utils.normalize_axis_tuple(axes, ndim)))


def _batch_reduction(name: list[Primitive]) -> Any:
    def batch(operands: Any, batched: Any, params: Any) -> Any:
        (x,) = operands
        return name[0](x, **{**params, "axes": tuple(a + 1 for a in params["axes"])})

    return batch


_sum: list[Primitive] = []
SUM = register(
    Primitive(
        name="sum",
        value=lambda x, axes, keepdims: np.add.reduce(x, axis=axes, keepdims=keepdims),
        local=lambda i, out, x, axes, keepdims: SumOver(axes, keepdims),
        labels=Labels("sum", r"\sum {0}"),
        batch=_batch_reduction(_sum),
    )
)
_sum.append(SUM)


@implements(np.sum)
@implements_ufunc_method(np.add, "reduce")
def sum_(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    return SUM(x, axes=normalise_axes(axis, x.ndim), keepdims=bool(keepdims))
