"""Running sums and products, and the linear recurrence that their derivatives are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Custom, Kind
from thalweg.graph.primitive import (
    Labels,
    Primitive,
    implements,
    implements_ufunc_method,
    register,
)
from thalweg.ops._reasons import SCAN
from thalweg.ops.shape import astype

__all__: list[str] = []


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, index)


def _previous(x: Any, axis: int, first: float) -> Any:
    """x moved on by one along the axis: `first`, x_0, x_1, … (the last one falls out)."""
    n = x.shape[axis]
    start = np.full(
        tuple(min(n, 1) if i == axis else k for i, k in enumerate(x.shape)), first, x.dtype
    )
    return np.concatenate([start, x[_along(axis, slice(0, max(n - 1, 0)))]], axis=axis)


def _following(x: Any, axis: int, last: float) -> Any:
    """x moved back by one along the axis: x_1, x_2, …, `last`."""
    return np.flip(_previous(np.flip(x, axis), axis, last), axis)


# ---- s_k = a_k s_{k−1} + b_k ----------------------------------------------------------------


def _recurrence_value(a: Any, b: Any, axis: int) -> Any:
    a, b = np.broadcast_arrays(a, b)
    result = np.empty(b.shape, np.result_type(a, b))
    factors, terms, rows = (np.moveaxis(x, axis, 0) for x in (a, b, result))
    if b.size == b.shape[axis]:  # one sequence: Python numbers are faster than arrays of one
        state: Any = 0.0
        found = []
        for factor, term in zip(factors.ravel().tolist(), terms.ravel().tolist(), strict=True):
            state = factor * state + term
            found.append(state)
        rows[...] = np.reshape(np.array(found, result.dtype), rows.shape)
        return result
    state = np.zeros(b.shape[:axis] + b.shape[axis + 1 :], result.dtype)
    for k in range(b.shape[axis]):
        state = factors[k] * state + terms[k]
        rows[k] = state
    return result


def _recurrence_local(i: int, out: Any, a: Any, b: Any, axis: int) -> Kind:
    #   ds_k = a_k ds_{k−1} + s_{k−1} da_k + db_k;  backward: g_k = c_k + a_{k+1} g_{k+1}
    def push_term(t: Any) -> Any:
        return RECURRENCE(a, t, axis=axis)

    def pull_term(c: Any) -> Any:
        backward = np.flip(_following(a, axis, 0.0), axis)
        return np.flip(RECURRENCE(backward, np.flip(c, axis), axis=axis), axis)

    if i == 1:
        return Custom(push_term, pull_term, "linear recurrence", pattern=(axis,))
    before = _previous(out, axis, 0.0)
    return Custom(
        lambda t: push_term(before * t),
        lambda c: before * pull_term(c),
        "linear recurrence",
        pattern=(axis,),
    )


def _batch_recurrence(operands: Any, batched: Any, params: Any) -> Any:
    size = next(x.shape[0] for x, b in zip(operands, batched, strict=True) if b)
    a, b = (
        x if one else np.broadcast_to(x, (size, *x.shape))
        for x, one in zip(operands, batched, strict=True)
    )
    return RECURRENCE(a, b, axis=params["axis"] + 1)


RECURRENCE: Primitive = register(
    Primitive(
        name="linear_recurrence",
        value=_recurrence_value,
        local=_recurrence_local,
        labels=Labels("recurrence", r"s_k = {0}_k s_{{k-1}} + {1}_k"),
        batch=_batch_recurrence,
        lower=SCAN,
    )
)


# ---- cumulative sum, product, maximum ---------------------------------------------------------


def _cumulative(name: str, value: Callable[..., Any], local: Callable[..., Kind]) -> Primitive:
    primitive = register(
        Primitive(
            name=name,
            value=value,
            local=local,
            labels=Labels(name, rf"\operatorname{{{{{name.replace('_', ' ')}}}}}({{0}})"),
            batch=lambda operands, batched, params: primitive(
                *operands, **{**params, "axis": params["axis"] + 1}
            ),
            lower=SCAN,
        )
    )
    return primitive


def _cumsum_local(i: int, out: Any, x: Any, axis: int) -> Kind:
    return Custom(
        lambda t: np.cumsum(t, axis=axis),
        lambda c: np.flip(np.cumsum(np.flip(c, axis), axis=axis), axis),
        "cumulative sum",
        pattern=(axis,),
    )


def _cumprod_local(i: int, out: Any, x: Any, axis: int) -> Kind:
    # dy_k = x_k dy_{k−1} + y_{k−1} dx_k: no division, so right with any number of zeros.
    before = _previous(out, axis, 1.0)

    def pull(c: Any) -> Any:
        backward = np.flip(_following(x, axis, 0.0), axis)
        return before * np.flip(RECURRENCE(backward, np.flip(c, axis), axis=axis), axis)

    return Custom(
        lambda t: RECURRENCE(x, before * t, axis=axis),
        pull,
        "cumulative product",
        pattern=(axis,),
    )


def _cumulative_best_local(i: int, out: Any, x: Any, axis: int) -> Kind:
    # The result stays on a level until an entry exceeds it. Entries that reach the level of
    # their own place share it equally with those before them on the same level: c_k / n_k each.
    reached = astype(np.logical_or(np.equal(x, out), np.isnan(x)), x.dtype)
    level = np.where(np.isnan(out), 0.0, out)
    same = np.logical_and(
        np.equal(level, _previous(level, axis, 0.0)),
        np.equal(np.isnan(out), np.isnan(_previous(out, axis, 0.0))),
    )
    same = np.logical_and(same, _previous(np.ones(x.shape, bool), axis, False))
    stay = astype(same, x.dtype)
    winners = RECURRENCE(stay, reached, axis=axis)

    def pull(c: Any) -> Any:
        backward = np.flip(_following(stay, axis, 0.0), axis)
        shared = RECURRENCE(backward, np.flip(c / winners, axis), axis=axis)
        return np.where(reached, np.flip(shared, axis), 0.0)

    return Custom(
        lambda t: RECURRENCE(stay, np.where(reached, t, 0.0), axis=axis) / winners,
        pull,
        "cumulative maximum",
        pattern=(axis,),
    )


CUMSUM = _cumulative("cumsum", lambda x, axis: np.cumsum(x, axis=axis), _cumsum_local)
CUMPROD = _cumulative("cumprod", lambda x, axis: np.cumprod(x, axis=axis), _cumprod_local)
CUMMAX = _cumulative(
    "maximum_accumulate",
    lambda x, axis: np.maximum.accumulate(x, axis=axis),
    _cumulative_best_local,
)
CUMMIN = _cumulative(
    "minimum_accumulate",
    lambda x, axis: np.minimum.accumulate(x, axis=axis),
    _cumulative_best_local,
)


def _run(primitive: Primitive, a: Any, axis: Any, dtype: Any) -> Any:
    """The accumulation of a along an axis (None: of its entries in C order)."""
    if axis is None or a.ndim == 0:
        a, axis = np.ravel(a), 0
    if dtype is not None and np.dtype(dtype) != a.dtype:
        a = astype(a, dtype)
    return primitive(a, axis=normalize_axis_index(axis, a.ndim))


def _implement_cumulative(
    function: Any, skipping_nan: Any, ufunc: np.ufunc, primitive: Primitive, start: float
) -> None:
    @implements(function)
    def cumulative(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return _run(primitive, a, axis, dtype)

    @implements(skipping_nan)
    def nan_cumulative(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return _run(primitive, np.where(np.isnan(a), np.full((), start, a.dtype), a), axis, dtype)

    newer = getattr(
        np, {"cumsum": "cumulative_sum", "cumprod": "cumulative_prod"}[function.__name__], None
    )
    if newer is None:  # NumPy 2.0
        return

    @implements(newer)
    def cumulative_of(
        x: Any,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        if axis is None and x.ndim > 1:
            raise ValueError(
                "For arrays which have more than one dimension ``axis`` argument is required."
            )
        run = _run(primitive, x, axis, dtype)
        if not include_initial:
            return run
        along = normalize_axis_index(0 if axis is None else axis, run.ndim)
        shape = tuple(1 if i == along else n for i, n in enumerate(run.shape))
        return np.concatenate([np.full(shape, start, run.dtype), run], axis=along)


_implement_cumulative(np.cumsum, np.nancumsum, np.add, CUMSUM, 0.0)
_implement_cumulative(np.cumprod, np.nancumprod, np.multiply, CUMPROD, 1.0)


def _implement_accumulate(ufunc: np.ufunc, primitive: Primitive) -> None:
    @implements_ufunc_method(ufunc, "accumulate")
    def accumulate(array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        if axis is None or array.ndim == 0:
            raise NoRuleError(f"np.{ufunc.__name__}.accumulate needs an axis of an array")
        return _run(primitive, array, axis, dtype)


for _ufunc, _primitive in (
    (np.add, CUMSUM),
    (np.multiply, CUMPROD),
    (np.maximum, CUMMAX),
    (np.minimum, CUMMIN),
):
    _implement_accumulate(_ufunc, _primitive)
