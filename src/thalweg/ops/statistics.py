"""Statistics: mean, variance, order statistics, and what is composed of them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.primitive import Primitive, implements
from thalweg.ops._checks import holds
from thalweg.ops._families import static
from thalweg.ops._lower_reduce import lower_deviation, lower_mean
from thalweg.ops._reasons import SORTING
from thalweg.ops.index import as_array, getitem, setitem
from thalweg.ops.reduce import (
    NOT_GIVEN,
    count,
    normalise_axes,
    reduction,
)
from thalweg.ops.shape import astype
from thalweg.ops.sorting import along_axis, places_of_ranks

__all__ = ["deviation_weights", "root", "squared", "sums_in"]

# ---- mean, var, std -------------------------------------------------------------------------

MEAN = reduction(
    "mean",
    np.mean,
    lambda out, x, axes, **dtype: 1 / max(count(x, axes), 1),
    tex=r"\operatorname{{mean}}({0})",
    lower=lower_mean,
)


@implements(np.mean)
def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    if where is not True:
        total = np.sum(a, axis=axis, dtype=dtype, keepdims=keepdims, where=where)
        return total / _counted(where, a, axis, keepdims, total.dtype)
    more = {} if dtype is None else {"dtype": np.dtype(dtype)}
    return MEAN(a, axes=normalise_axes(axis, a.ndim), keepdims=bool(keepdims), **more)


def _counted(where: Any, a: Any, axis: Any, keepdims: Any, dtype: Any) -> Any:
    """How many entries the mask lets through, as floats."""
    mask = np.broadcast_to(where, a.shape)
    return astype(np.sum(mask, axis=axis, keepdims=keepdims), dtype)


def deviation_weights(deviation: Any, freedom: Any) -> Any:
    """∂var/∂x = 2 (x − mean)/(n − ddof), conjugated where x is complex (|x − mean|²)."""
    return (
        2 * np.conj(deviation) / freedom
        if np.iscomplexobj(deviation)
        else (2 * deviation / freedom)
    )


def _freedom(x: Any, axes: tuple[int, ...], ddof: Any) -> Any:
    freedom = x.dtype.type(0).real.dtype.type(max(count(x, axes) - ddof, 0))
    return freedom


def _var_weights(out: Any, x: Any, axes: tuple[int, ...], ddof: Any) -> Any:
    deviation = x - np.mean(x, axis=axes, keepdims=True)
    return deviation_weights(deviation, _freedom(x, axes, ddof))


def _std_weights(out: Any, x: Any, axes: tuple[int, ...], ddof: Any) -> Any:
    # ∂std/∂x = ∂var/∂x / (2 std); 0 where nothing is spread, as for norm(0).
    still = np.equal(out, 0)
    slope = _var_weights(out, x, axes, ddof) / (2 * np.where(still, np.ones((), out.dtype), out))
    return np.where(still, np.zeros((), x.dtype), slope)


VAR = reduction(
    "var", np.var, _var_weights, tex=r"\operatorname{{var}}({0})", lower=lower_deviation(False)
)
STD = reduction(
    "std", np.std, _std_weights, tex=r"\operatorname{{std}}({0})", lower=lower_deviation(True)
)


def _spread(
    primitive: Primitive,
    x: Any,
    axis: Any,
    dtype: Any,
    ddof: Any,
    keepdims: Any,
    where: Any,
    centre: Any,
) -> Any:
    """var or std. A dtype is that of the sums: the deviations keep their own, as in NumPy."""
    static(f"np.{primitive.name}", ddof=ddof)
    if where is True and centre is NOT_GIVEN and sums_in(dtype, x):
        axes = normalise_axes(axis, x.ndim)
        return primitive(x, axes=axes, keepdims=bool(keepdims), ddof=ddof)
    if centre is NOT_GIVEN:
        centre = np.mean(x, axis=axis, dtype=dtype, keepdims=True, where=where)
    deviation = x - centre
    total = np.sum(squared(deviation), axis=axis, dtype=dtype, keepdims=keepdims, where=where)
    freedom = _counted(where, x, axis, keepdims, total.dtype.type(0).real.dtype) - ddof
    variance = total / np.maximum(freedom, np.zeros((), freedom.dtype))
    return variance if primitive is VAR else root(variance)


def sums_in(dtype: Any, x: Any) -> bool:
    """Whether a dtype asks for what is done without it: sums of |x − mean|² in their own dtype."""
    return dtype is None or (x.dtype.kind == "f" and np.dtype(dtype) == x.dtype)


def squared(deviation: Any) -> Any:
    """|x − mean|², as NumPy computes it."""
    if np.iscomplexobj(deviation):
        return np.real(deviation * np.conj(deviation))
    return deviation * deviation


def root(variance: Any) -> Any:
    """√variance with derivative 0 at 0."""
    still = np.equal(variance, 0)
    zero, one = np.zeros((), variance.dtype), np.ones((), variance.dtype)
    return np.where(still, zero, np.sqrt(np.where(still, one, variance)))


def _implement_spread(function: Any, primitive: Primitive) -> None:
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
        if correction is not NOT_GIVEN:
            if ddof != 0:
                raise ValueError("ddof and correction can't be provided simultaneously.")
            ddof = correction
        return _spread(primitive, a, axis, dtype, ddof, keepdims, where, mean)


_implement_spread(np.var, VAR)
_implement_spread(np.std, STD)


# ---- order statistics -------------------------------------------------------------------------


def _interpolated(x: Any, axes: tuple[int, ...], position: Any) -> Any:
    """Weights of linear interpolation between the entries ranked around `position`.

    The position, from 0, is a number or an array with the reduced axes of size 1. NaN ranks last;
    of equal entries the one that comes first in x.
    """
    if x.size == 0:
        return np.zeros(x.shape, x.dtype)
    moving = tuple(a for a in range(x.ndim) if a not in axes) + axes
    moved = np.transpose(x, moving)
    kept = moved.shape[: x.ndim - len(axes)]
    n = count(x, axes)
    rows = np.reshape(moved, (*kept, n))
    weigh = _same_for_all if type(position) is np.ndarray and not position.ndim else _for_each
    weights = astype(weigh(rows, position), x.dtype)
    return np.transpose(np.reshape(weights, moved.shape), tuple(np.argsort(moving).tolist()))


def _same_for_all(rows: Any, position: Any) -> Any:
    """The weights along the last axis for one position, a number."""
    low = max(math.floor(position), 0)
    part = float(position) - low
    low_and_high = places_of_ranks(rows, low, min(low + 1, rows.shape[-1] - 1))
    # Where both are one entry (the last), what is written last stays: the weight of the lower.
    index = along_axis(low_and_high[..., ::-1], rows.ndim - 1)
    return setitem(np.zeros(rows.shape, rows.dtype), index, np.array([part, 1 - part]))


def _for_each(rows: Any, position: Any) -> Any:
    """The weights along the last axis for a position of its own in each row."""
    kept, n = rows.shape[:-1], rows.shape[-1]
    order = np.argsort(rows, axis=-1, kind="stable")
    position = np.reshape(position, (*kept, 1))
    low = np.maximum(np.floor(position), 0.0)
    part = position - low
    lower, upper = astype(low, np.intp), astype(np.minimum(low + 1, n - 1), np.intp)
    places = np.arange(n)
    is_lower = np.equal(places, getitem(order, along_axis(lower, len(kept))))
    is_upper = np.equal(places, getitem(order, along_axis(upper, len(kept))))
    return np.where(is_lower, 1 - part, np.where(is_upper, part, 0.0))


def _quantile(x: Any, q: Any, percent: bool, **params: Any) -> Any:
    """One quantile. A `q` that came in an array stays one: it is not weak in promotion."""
    found = (np.percentile if percent else np.quantile)(x, q, **params)
    return found[0] if np.ndim(q) else found


def _nanquantile(x: Any, q: Any, percent: bool, **params: Any) -> Any:
    found = (np.nanpercentile if percent else np.nanquantile)(x, q, **params)
    return found[0] if np.ndim(q) else found


def _quantile_weights(
    out: Any, x: Any, axes: tuple[int, ...], q: Any, percent: bool, method: str
) -> Any:
    # Every method is an average of at most two neighbours in rank: which ones, NumPy tells us
    # itself when asked for the quantile of 0, 1, …, n − 1.
    ranks = np.arange(float(max(count(x, axes), 1)))
    return _interpolated(x, axes, np.asarray(_quantile(ranks, q, percent, method=method)))


QUANTILE = reduction(
    "quantile",
    _quantile,
    _quantile_weights,
    tex=r"Q({0})",
    routed=True,
    lower=SORTING,
)
MEDIAN = reduction(
    "median",
    np.median,
    lambda out, x, axes: _quantile_weights(out, x, axes, 0.5, False, "linear"),
    tex=r"\operatorname{{median}}({0})",
    routed=True,
    lower=SORTING,
)


def _nan_quantile_weights(out: Any, x: Any, axes: tuple[int, ...], q: Any, percent: bool) -> Any:
    valid = np.logical_not(np.isnan(x))
    fraction = np.reshape(np.true_divide(q, 100) if percent else q, ())
    position = fraction * (astype(np.sum(valid, axis=axes, keepdims=True), float) - 1)
    weights = _interpolated(x, axes, position)
    return np.where(valid, weights, np.zeros((), x.dtype))


NANQUANTILE = reduction(
    "nanquantile",
    _nanquantile,
    _nan_quantile_weights,
    tex=r"Q({0})",
    routed=True,
    lower=SORTING,
)
NANMEDIAN = reduction(
    "nanmedian",
    np.nanmedian,
    lambda out, x, axes: _nan_quantile_weights(out, x, axes, 0.5, False),
    tex=r"\operatorname{{median}}({0})",
    routed=True,
    lower=SORTING,
)


def _implement_median(function: Any, primitive: Primitive) -> None:
    @implements(function)
    def median(
        a: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        keepdims: Any = False,
    ) -> Any:
        axis = tuple(axis) if isinstance(axis, list) else axis
        return primitive(a, axes=normalise_axes(axis, a.ndim), keepdims=bool(keepdims))


_implement_median(np.median, MEDIAN)
_implement_median(np.nanmedian, NANMEDIAN)


def _implement_quantile(function: Any, primitive: Primitive, percent: bool) -> None:
    name = f"np.{function.__name__}"

    @implements(function)
    def quantile(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = False,
        *,
        weights: Any = None,
    ) -> Any:
        static(name, q=q)
        if isinstance(q, np.ndarray):
            q = np.array(q)  # the derivative asks for it again
        if weights is not None:
            raise NoRuleError(f"{name}: no rule for weights=")
        if primitive is NANQUANTILE and method != "linear":
            raise NoRuleError(f"{name}: no rule for method={method!r}, only for 'linear'")
        more = {"method": method} if primitive is QUANTILE else {}
        axis = tuple(axis) if isinstance(axis, list) else axis
        axes = normalise_axes(axis, a.ndim)
        parts = [
            primitive(a, axes=axes, keepdims=bool(keepdims), q=part, percent=percent, **more)
            for part in ([q] if np.ndim(q) == 0 else np.reshape(q, (-1, 1)))
        ]
        if np.ndim(q) == 0:
            return parts[0]
        return np.reshape(np.stack(parts), (*np.shape(q), *parts[0].shape))


_implement_quantile(np.quantile, QUANTILE, False)
_implement_quantile(np.percentile, QUANTILE, True)
_implement_quantile(np.nanquantile, NANQUANTILE, False)
_implement_quantile(np.nanpercentile, NANQUANTILE, True)


# ---- average, cov, corrcoef -------------------------------------------------------------------


@implements(np.average)
def average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: Any = False,
) -> Any:
    a = as_array(a)
    if weights is None:
        found = np.mean(a, axis=axis, keepdims=keepdims)
        scale: Any = found.dtype.type(a.size / max(found.size, 1))
    else:
        weights = as_array(weights)
        weights = _aligned_weights(a, weights, axis)
        scale = np.sum(weights, axis=axis, keepdims=keepdims, dtype=_weight_dtype(a, weights))
        if holds(np.any(np.equal(scale, 0.0))):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        product = np.multiply(a, weights, dtype=_weight_dtype(a, weights))
        found = np.sum(product, axis=axis, keepdims=keepdims) / scale
    if not returned:
        return found
    return found, scale if scale.shape == found.shape else np.broadcast_to(scale, found.shape)


def _weight_dtype(a: Any, weights: Any) -> Any:
    more = ("f8",) if a.dtype.kind in "iub" else ()
    return np.result_type(a.dtype, weights.dtype, *more)


def _aligned_weights(a: Any, weights: Any, axis: Any) -> Any:
    """Weights that belong to some axes, laid out to broadcast against a."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = np.lib.array_utils.normalize_axis_tuple(given, a.ndim)
    if weights.shape != tuple(a.shape[i] for i in axes):
        raise ValueError(
            "Shape of weights must be consistent with shape of a along specified axis."
        )
    moved = np.transpose(weights, tuple(np.argsort(axes).tolist()))
    return np.reshape(moved, tuple(n if i in axes else 1 for i, n in enumerate(a.shape)))


def _rows(x: Any, rowvar: bool, dtype: Any) -> Any:
    """Observations as a matrix with one variable a row (`rowvar`: they come so)."""
    x = astype(x, dtype)
    if x.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    x = np.atleast_2d(x)
    return x if rowvar else x.T


def _observation_weights(weights: Any, n: int, name: str) -> Any:
    """fweights or aweights of `cov`, checked as NumPy does."""
    weights = astype(as_array(weights), float)
    if weights.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if weights.shape[0] != n:
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    if holds(np.any(np.less(weights, 0))):
        raise ValueError(f"{name} cannot be negative")
    return weights


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    m = as_array(m)
    y = None if y is None else as_array(y)
    static("np.cov", ddof=ddof)
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    if dtype is None:
        dtype = np.result_type(m.dtype, np.float64, *(() if y is None else (y.dtype,)))
    x = _rows(m, rowvar or m.ndim == 1, dtype)
    if x.shape[0] == 0:
        return np.zeros((0, 0))
    if y is not None:
        y = _rows(y, rowvar or y.ndim < 2 or y.shape[0] == 1, dtype)
        x = np.concatenate([x, y], axis=0)
    n = x.shape[1]
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights = None if fweights is None else _observation_weights(fweights, n, "fweights")
    if aweights is not None:
        aweights = _observation_weights(aweights, n, "aweights")
        weights = aweights if weights is None else weights * aweights
    centre, total = np.average(x, axis=1, weights=weights, returned=True)
    factor: Any = total[0]
    if weights is None:
        factor = n - ddof
    elif ddof != 0:
        # With reliability weights the bias is corrected as for a sample of Σw²/Σw.
        correction = 1.0 if aweights is None else np.sum(weights * aweights) / factor
        factor = factor - ddof * correction
    if holds(np.less_equal(factor, 0)):
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        factor = 0.0
    deviation = x - np.expand_dims(centre, 1)
    other = deviation.T if weights is None else (deviation * weights).T
    product = np.dot(deviation, np.conj(other))
    return np.squeeze(product * np.true_divide(1, factor))


@implements(np.corrcoef)
def corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, bias: Any = NOT_GIVEN, ddof: Any = NOT_GIVEN, *,
    dtype: Any = None,
) -> Any:  # fmt: skip
    if bias is not NOT_GIVEN or ddof is not NOT_GIVEN:
        message = "bias and ddof have no effect and are deprecated"  # gone from NumPy 2.4
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    c = np.cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    c = c / np.expand_dims(deviation, 1) / np.expand_dims(deviation, 0)
    if not np.iscomplexobj(c):
        return np.clip(c, -1, 1)
    return np.clip(np.real(c), -1, 1) + 1j * np.clip(np.imag(c), -1, 1)
