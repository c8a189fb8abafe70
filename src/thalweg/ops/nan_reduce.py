"""Reductions that pass over NaN: an entry that is NaN has no influence and no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.primitive import Primitive, implements, implements_ufunc_method
from thalweg.ops._families import static
from thalweg.ops._lower_reduce import (
    lower_nan_deviation,
    lower_nan_mean,
    lower_nan_total,
    lower_number_extreme,
)
from thalweg.ops.reduce import (
    NOT_GIVEN,
    normalise_axes,
    products_of_the_others,
    reduction,
    share,
)
from thalweg.ops.shape import astype
from thalweg.ops.statistics import deviation_weights, root, squared, sums_in

__all__: list[str] = []


def _valid(x: Any) -> Any:
    return np.logical_not(np.isnan(x))


def _filled(x: Any, fill: float) -> Any:
    return np.where(np.isnan(x), np.full((), fill, x.dtype), x)


def _real(x: Any) -> Any:
    """The dtype of |x|."""
    return x.dtype.type(0).real.dtype


def _valid_count(x: Any, axes: tuple[int, ...]) -> Any:
    """Entries that are numbers, as floats; the reduced axes are kept."""
    real = _real(x)
    return np.sum(astype(_valid(x), real), axis=axes, keepdims=True)


def _nanmean_weights(out: Any, x: Any, axes: tuple[int, ...], **dtype: Any) -> Any:
    counted = _valid_count(x, axes)
    return _valid(x) / np.where(np.equal(counted, 0), np.ones((), counted.dtype), counted)


def _nanvar_weights(out: Any, x: Any, axes: tuple[int, ...], ddof: Any) -> Any:
    counted = _valid_count(x, axes)
    centre = np.sum(_filled(x, 0.0), axis=axes, keepdims=True) / counted
    weights = deviation_weights(x - centre, counted - ddof)
    return np.where(np.isnan(x), np.zeros((), x.dtype), weights)


def _nanstd_weights(out: Any, x: Any, axes: tuple[int, ...], ddof: Any) -> Any:
    still = np.equal(out, 0)
    slope = _nanvar_weights(out, x, axes, ddof) / (2 * np.where(still, np.ones((), out.dtype), out))
    return np.where(still, np.zeros((), x.dtype), slope)


def _best_number_weights(out: Any, x: Any, axes: tuple[int, ...]) -> Any:
    return share(np.equal(x, out), axes, x.dtype)


NANSUM = reduction(
    "nansum",
    np.nansum,
    lambda out, x, axes, **dtype: _valid(x),
    tex=r"\sum {0}",
    routed=True,
    lower=lower_nan_total("add"),
)
NANPROD = reduction(
    "nanprod",
    np.nanprod,
    lambda out, x, axes: np.where(
        np.isnan(x), np.zeros((), x.dtype), products_of_the_others(_filled(x, 1.0), axes)
    ),
    tex=r"\prod {0}",
    passed=_valid,
    lower=lower_nan_total("mul"),
)
NANMEAN = reduction(
    "nanmean",
    np.nanmean,
    _nanmean_weights,
    tex=r"\operatorname{{mean}}({0})",
    routed=True,
    lower=lower_nan_mean,
)


def _best_number(name: str, function: Any, how: str) -> Primitive:
    return reduction(
        name,
        function,
        _best_number_weights,
        tex=rf"\{how} {{0}}",
        routed=True,
        lower=lower_number_extreme(how),
    )


NANMAX = _best_number("nanmax", np.nanmax, "max")
NANMIN = _best_number("nanmin", np.nanmin, "min")
FMAX_REDUCE = _best_number("fmax_reduce", np.fmax.reduce, "max")
FMIN_REDUCE = _best_number("fmin_reduce", np.fmin.reduce, "min")
NANVAR = reduction(
    "nanvar",
    np.nanvar,
    _nanvar_weights,
    tex=r"\operatorname{{var}}({0})",
    passed=_valid,
    lower=lower_nan_deviation(False),
)
NANSTD = reduction(
    "nanstd",
    np.nanstd,
    _nanstd_weights,
    tex=r"\operatorname{{std}}({0})",
    passed=_valid,
    lower=lower_nan_deviation(True),
)


def _implement_filled(function: Any, primitive: Primitive, masked: Any, fill: float) -> None:
    """nansum and nanprod: with a mask they are the plain reduction of the filled array."""

    @implements(function)
    def reduce(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = NOT_GIVEN,
        where: Any = True,
    ) -> Any:
        a = a if dtype is None else astype(a, dtype)
        if where is True and initial is NOT_GIVEN:
            return primitive(a, axes=normalise_axes(axis, a.ndim), keepdims=bool(keepdims))
        start = {} if initial is NOT_GIVEN else {"initial": initial}
        return masked(_filled(a, fill), axis=axis, keepdims=keepdims, where=where, **start)


_implement_filled(np.nansum, NANSUM, np.sum, 0.0)
_implement_filled(np.nanprod, NANPROD, np.prod, 1.0)


def _implement_best(
    function: Any, ufunc: np.ufunc, plain: Primitive, reduced: Primitive, masked: Any, fill: float
) -> None:
    """nanmax and nanmin, and the reductions of fmax and fmin."""
    name = f"np.{function.__name__}"

    @implements(function)
    def reduce(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = NOT_GIVEN,
        where: Any = True,
    ) -> Any:
        if where is True and initial is NOT_GIVEN:
            return plain(a, axes=normalise_axes(axis, a.ndim), keepdims=bool(keepdims))
        if initial is NOT_GIVEN:
            raise ValueError(f"{name}: where= needs initial=")
        return masked(_filled(a, fill), axis=axis, keepdims=keepdims, initial=initial, where=where)

    @implements_ufunc_method(ufunc, "reduce")
    def ufunc_reduce(
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = NOT_GIVEN,
        where: Any = True,
    ) -> Any:
        array = array if dtype is None else astype(array, dtype)
        if where is True and (initial is NOT_GIVEN or initial is None):
            return reduced(array, axes=normalise_axes(axis, array.ndim), keepdims=bool(keepdims))
        array = _filled(array, fill) if array.dtype.kind == "f" else array
        return masked(array, axis=axis, keepdims=keepdims, initial=initial, where=where)


_implement_best(np.nanmax, np.fmax, NANMAX, FMAX_REDUCE, np.max, -np.inf)
_implement_best(np.nanmin, np.fmin, NANMIN, FMIN_REDUCE, np.min, np.inf)


@implements(np.nanmean)
def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    a = a if dtype is None else astype(a, dtype)
    if where is True:
        return NANMEAN(a, axes=normalise_axes(axis, a.ndim), keepdims=bool(keepdims))
    return np.mean(
        _filled(a, 0.0), axis=axis, keepdims=keepdims, where=np.logical_and(where, _valid(a))
    )


def _implement_spread(function: Any, primitive: Primitive, plain: Any) -> None:
    name = f"np.{function.__name__}"

    @implements(function)
    def spread(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
        *,
        where: Any = True,
        mean: Any = NOT_GIVEN,
        correction: Any = NOT_GIVEN,
    ) -> Any:
        ddof = ddof if correction is NOT_GIVEN else correction
        static(name, ddof=ddof)
        if a.dtype.kind not in "fc":  # no NaN
            return plain(
                a, axis, dtype, ddof=ddof, keepdims=keepdims, where=where,
                **({} if mean is NOT_GIVEN else {"mean": mean}),
            )  # fmt: skip
        if where is True and mean is NOT_GIVEN and sums_in(dtype, a):
            axes = normalise_axes(axis, a.ndim)
            return primitive(a, axes=axes, keepdims=bool(keepdims), ddof=ddof)
        over = {"axis": axis, "where": where}
        counted = np.sum(_valid(a), keepdims=True, **over)
        if mean is NOT_GIVEN:
            mean = np.sum(_filled(a, 0.0), dtype=dtype, keepdims=True, **over)
            mean = mean / astype(counted, _real(mean))
        # Filled again after the centre is taken off: what is NaN adds nothing. The dtype is that
        # of the sums, as in NumPy: the deviations keep their own.
        shifted = a - mean
        shifted = np.real(shifted) if a.dtype.kind == "f" else shifted
        deviation = np.where(np.isnan(a), np.zeros((), a.dtype), astype(shifted, a.dtype))
        total = np.sum(squared(deviation), dtype=dtype, keepdims=keepdims, **over)
        freedom = astype(np.reshape(counted, total.shape) - ddof, _real(total))
        spread = np.greater(freedom, 0)
        variance = np.where(spread, total / np.where(spread, freedom, 1.0), np.nan)
        return variance if primitive is NANVAR else root(variance)


_implement_spread(np.nanvar, NANVAR, np.var)
_implement_spread(np.nanstd, NANSTD, np.std)
