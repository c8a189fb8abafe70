"""Reductions: sum and its relatives, and those that route (max, min)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import IDENTITY, Chain, Diagonal, Kind, Router, SumOver, Zero
from thalweg.graph.node import Node
from thalweg.graph.primitive import (
    Labels,
    Primitive,
    implements,
    implements_ufunc_method,
    register,
)
from thalweg.ops._axes import count, normalise_axes, over_axes
from thalweg.ops._families import discrete
from thalweg.ops._lower_reduce import (
    lower_all,
    lower_any,
    lower_best_place,
    lower_count_nonzero,
    lower_log_sum,
    lower_masked,
    lower_total,
)
from thalweg.ops.index import as_array
from thalweg.ops.shape import astype

__all__ = [
    "NOT_GIVEN",
    "count",
    "masked_reduction",
    "normalise_axes",
    "over_axes",
    "products_of_the_others",
    "reduction",
    "with_reduced_axes",
]

#: Default of arguments whose absence NumPy tells from every value.
NOT_GIVEN: Any = type("NotGiven", (), {"__repr__": lambda self: "<not given>"})()


def with_reduced_axes(out: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """The result of a reduction of x with the reduced axes back, of size 1."""
    return np.reshape(out, tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def reduction(
    name: str,
    function: Callable[..., Any],
    weights: Callable[..., Any] | None,
    *,
    tex: str,
    gate: str | None = None,
    routed: bool = False,
    passed: Callable[[Any], Any] | None = None,
    lower: Callable[..., Any] | str,
) -> Primitive:
    r"""Declare a reduction ``function(x, axis=…, keepdims=…, **params)``.

    Parameters
    ----------
    weights : callable or None
        ``weights(out, x, axes, **params)`` gives w with dout = Σ_axes w · dx; `out` comes with its
        reduced axes kept. None: ones.
    routed : bool
        Zero weights are structural: an entry that lost has no influence, not even as NaN. Only
        for weights that are piecewise constant: no derivative passes a zero one.
    passed : callable, optional
        ``passed(x)`` says which entries take part at all, where weights that may vanish by
        chance can't say it.
    lower : callable or str
        As on the record.
    """

    def value(x: Any, axes: tuple[int, ...], keepdims: bool, **params: Any) -> Any:
        return function(x, axis=over_axes(axes, np.ndim(x)), keepdims=keepdims, **params)

    def local(
        i: int, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool, **params: Any
    ) -> Kind:
        if weights is None:
            return SumOver(axes, keepdims)
        full = out if keepdims else with_reduced_axes(out, x, axes)
        sums = SumOver(axes, keepdims, weights(full, x, axes, **params), routed)
        return sums if passed is None else Chain(sums, Router(passed(x)), x)

    def batch(operands: Any, batched: Any, params: Any) -> Any:
        return primitive(*operands, **{**params, "axes": tuple(a + 1 for a in params["axes"])})

    primitive = register(
        Primitive(
            name=name,
            value=value,
            local=local,
            labels=Labels(gate or name, tex),
            batch=batch,
            lower=lower,
        )
    )
    return primitive


def masked_reduction(
    name: str,
    ufunc: np.ufunc,
    weights: Callable[..., Any],
    of_initial: Callable[..., Kind],
    *,
    lower: Callable[..., Any],
    routed: bool = True,
) -> Primitive:
    """Declare ``ufunc.reduce(x, where=mask, initial=start)`` with operands x, mask[, start].

    Parameters
    ----------
    weights : callable
        ``weights(out, x, axes, mask, initial, tie)`` as in `reduction`; initial None: not given.
    of_initial : callable
        The same arguments, but `out` as it is, give the kind of ∂out/∂initial.
    routed : bool
        As in `reduction`; if not, the mask routes by itself.
    """

    def value(x: Any, mask: Any, *initial: Any, axes: Any, keepdims: bool, tie: bool) -> Any:
        more = {"initial": initial[0]} if initial else {}
        axis = over_axes(axes, np.ndim(x))
        return ufunc.reduce(x, axis=axis, keepdims=keepdims, where=mask, **more)

    def local(
        i: int, out: Any, x: Any, mask: Any, *rest: Any, axes: Any, keepdims: bool, tie: bool
    ) -> Kind:
        if i == 1:
            return Zero("a mask is boolean")
        initial = rest[0] if rest else None
        if i == 2:
            return of_initial(out, x, axes, mask, initial, tie)
        full = out if keepdims else with_reduced_axes(out, x, axes)
        sums = SumOver(axes, keepdims, weights(full, x, axes, mask, initial, tie), routed)
        return sums if routed else Chain(sums, Router(mask), x)

    return register(
        Primitive(
            name=name,
            value=value,
            local=local,
            labels=Labels(name.replace("_", " "), rf"\operatorname{{{{{ufunc.__name__}}}}}({{0}})"),
            batch="where= and initial= may differ an example",
            lower=lower,
        )
    )


def _reduce(
    plain: Primitive,
    masked: Primitive,
    x: Any,
    axis: Any,
    keepdims: Any,
    initial: Any,
    where: Any,
    **params: Any,
) -> Any:
    """One reduction, in its plain or its masked form."""
    axes, keepdims = normalise_axes(axis, x.ndim), bool(keepdims)
    if where is True and initial is NOT_GIVEN:
        return plain(x, axes=axes, keepdims=keepdims, **params)
    start: tuple[Any, ...] = () if initial is NOT_GIVEN or initial is None else (initial,)
    # Against a constant a tie gives the variable nothing, as in np.maximum (docs: kinks).
    tie = bool(start) and type(start[0]) is Node and start[0].active
    where = np.True_ if where is True else where  # a mask has a shape
    return masked(x, where, *start, axes=axes, keepdims=keepdims, tie=tie)


def _cast(x: Any, dtype: Any) -> Any:
    return x if dtype is None or np.dtype(dtype) == x.dtype else astype(x, dtype)


# ---- sum ------------------------------------------------------------------------------------

SUM = reduction("sum", np.add.reduce, None, tex=r"\sum {0}", lower=lower_total("add"))
MASKED_SUM = masked_reduction(
    "masked_sum",
    np.add,
    lambda out, x, axes, mask, initial, tie: mask,
    lambda out, x, axes, mask, initial, tie: IDENTITY,
    lower=lower_masked("add"),
)


@implements(np.sum)
def sum_(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = NOT_GIVEN,
    where: Any = True,
) -> Any:
    if where is True and initial is NOT_GIVEN and dtype is not None:
        # Not cast first: NumPy casts block by block, which changes the order of additions.
        axes = normalise_axes(axis, a.ndim)
        return SUM(a, axes=axes, keepdims=bool(keepdims), dtype=np.dtype(dtype))
    return _reduce(SUM, MASKED_SUM, _cast(a, dtype), axis, keepdims, initial, where)


# ---- prod -----------------------------------------------------------------------------------


def _leave_one_out(x: Any) -> Any:
    """Along axis 0 of x (n, m): the product of all the other entries, without division.

    Products of pairs up a tree, then down again: what a pair leaves out, times the partner. So
    it is right with any number of zeros, in O(n), and so are its own derivatives.
    """
    n, m = x.shape
    if n <= 1:
        return np.ones((n, m), x.dtype)
    if n % 2:
        x = np.concatenate([x, np.ones((1, m), x.dtype)])
    pairs = np.reshape(x, (-(-n // 2), 2, m))
    first, second = pairs[:, 0], pairs[:, 1]
    outside = _leave_one_out(first * second)
    both = np.stack([outside * second, outside * first], axis=1)
    return np.reshape(both, (2 * both.shape[0], m))[:n]


def products_of_the_others(x: Any, axes: tuple[int, ...]) -> Any:
    """For every entry of x the product of the others that are reduced with it."""
    order = axes + tuple(axis for axis in range(x.ndim) if axis not in axes)
    moved = np.transpose(x, order)
    n = count(x, axes)
    rest = math.prod(moved.shape[len(axes) :])
    others = np.reshape(_leave_one_out(np.reshape(moved, (n, rest))), moved.shape)
    return np.transpose(others, tuple(np.argsort(order).tolist()))


PROD = reduction(
    "prod",
    np.multiply.reduce,
    lambda out, x, axes: products_of_the_others(x, axes),
    tex=r"\prod {0}",
    lower=lower_total("mul"),
)


def _masked_prod_weights(out: Any, x: Any, axes: Any, mask: Any, initial: Any, tie: bool) -> Any:
    others = products_of_the_others(np.where(mask, x, np.ones((), x.dtype)), axes)
    return np.where(mask, others if initial is None else others * initial, 0.0)


def _masked_prod_initial(out: Any, x: Any, axes: Any, mask: Any, initial: Any, tie: bool) -> Kind:
    rest = np.prod(np.where(mask, x, np.ones((), x.dtype)), axis=axes)
    return Diagonal(np.reshape(rest, out.shape))


MASKED_PROD = masked_reduction(
    "masked_prod",
    np.multiply,
    _masked_prod_weights,
    _masked_prod_initial,
    lower=lower_masked("mul"),
    routed=False,
)


@implements(np.prod)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = NOT_GIVEN,
    where: Any = True,
) -> Any:
    return _reduce(PROD, MASKED_PROD, _cast(a, dtype), axis, keepdims, initial, where)


# ---- max and min ----------------------------------------------------------------------------


def _is_best(out: Any, x: Any) -> Any:
    """Which entries are the result; where NaN is the result, which ones are NaN."""
    return np.logical_or(np.equal(x, out), np.isnan(x))


def share(won: Any, axes: tuple[int, ...], dtype: Any) -> Any:
    """Winners of a tie share equally: 1/(number of winners) for each, 0 for the rest."""
    winners = np.sum(won, axis=axes, keepdims=True, dtype=dtype)
    return won / np.where(np.equal(winners, 0), np.ones((), dtype), winners)


def _best_weights(out: Any, x: Any, axes: tuple[int, ...]) -> Any:
    return share(_is_best(out, x), axes, x.dtype)


def _masked_best_weights(out: Any, x: Any, axes: Any, mask: Any, initial: Any, tie: bool) -> Any:
    won = np.logical_and(_is_best(out, x), mask)
    if initial is None:
        return share(won, axes, x.dtype)
    level = np.equal(out, initial)
    if not tie:  # the constant wins
        return np.where(level, 0.0, share(won, axes, x.dtype))
    won = astype(won, x.dtype)
    winners = np.sum(won, axis=axes, keepdims=True) + astype(level, x.dtype)
    return won / np.where(np.equal(winners, 0), np.ones((), x.dtype), winners)


def _masked_best_initial(out: Any, x: Any, axes: Any, mask: Any, initial: Any, tie: bool) -> Kind:
    won = np.logical_and(_is_best(with_reduced_axes(out, x, axes), x), mask)
    winners = np.sum(astype(won, x.dtype), axis=axes)
    level = astype(np.equal(out, initial), x.dtype)
    return Router(level / (1 + np.reshape(winners, out.shape)))


def _best(name: str, ufunc: np.ufunc, functions: tuple[Any, ...]) -> tuple[Primitive, Primitive]:
    plain = reduction(
        name,
        ufunc.reduce,
        _best_weights,
        tex=rf"\{name} {{0}}",
        routed=True,
        lower=lower_total(name),
    )
    masked = masked_reduction(
        f"masked_{name}",
        ufunc,
        _masked_best_weights,
        _masked_best_initial,
        lower=lower_masked(name),
    )

    @implements(*functions)
    def best(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = NOT_GIVEN,
        where: Any = True,
    ) -> Any:
        return _reduce(plain, masked, a, axis, keepdims, initial, where)

    return plain, masked


MAX, MASKED_MAX = _best("max", np.maximum, (np.max, np.amax))
MIN, MASKED_MIN = _best("min", np.minimum, (np.min, np.amin))


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


# ---- logaddexp ------------------------------------------------------------------------------


def _softmax_weights(exp: Callable[..., Any]) -> Callable[..., Any]:
    def weights(out: Any, x: Any, axes: tuple[int, ...]) -> Any:
        # exp(x − out), where out is finite; where it is +inf, the infinite ones share; where it
        # is −inf, all entries are alike and share too.
        infinite = np.isinf(out)
        softmax = exp(np.where(infinite, 0.0, x - np.where(infinite, 0.0, out)))
        return np.where(infinite, share(np.equal(x, out), axes, x.dtype), softmax)

    return weights


LOGADDEXP_REDUCE = reduction(
    "logaddexp_reduce",
    np.logaddexp.reduce,
    _softmax_weights(np.exp),
    tex=r"\log \sum e^{{{0}}}",
    gate="logaddexp.reduce",
    lower=lower_log_sum("exp", "log"),
)
LOGADDEXP2_REDUCE = reduction(
    "logaddexp2_reduce",
    np.logaddexp2.reduce,
    _softmax_weights(np.exp2),
    tex=r"\log_2 \sum 2^{{{0}}}",
    gate="logaddexp2.reduce",
    lower=lower_log_sum("exp2", "log2"),
)


# ---- ufunc.reduce ---------------------------------------------------------------------------


def _ufunc_reduce(ufunc: np.ufunc, plain: Primitive, masked: Primitive | None) -> None:
    @implements_ufunc_method(ufunc, "reduce")
    def reduce(
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = NOT_GIVEN,
        where: Any = True,
    ) -> Any:
        # `out` was a traced array: it moves on to the result (thalweg.array).
        array = _cast(array, dtype)
        if masked is not None:
            return _reduce(plain, masked, array, axis, keepdims, initial, where)
        if where is not True:  # e^−∞ adds nothing
            array = np.where(where, array, -np.inf)
        found = plain(array, axes=normalise_axes(axis, array.ndim), keepdims=bool(keepdims))
        if initial is NOT_GIVEN or initial is None:
            return found
        return ufunc(found, _cast(as_array(initial), found.dtype))


for _ufunc, _plain, _masked in (
    (np.add, SUM, MASKED_SUM),
    (np.multiply, PROD, MASKED_PROD),
    (np.maximum, MAX, MASKED_MAX),
    (np.minimum, MIN, MASKED_MIN),
    (np.logaddexp, LOGADDEXP_REDUCE, None),
    (np.logaddexp2, LOGADDEXP2_REDUCE, None),
):
    _ufunc_reduce(_ufunc, _plain, _masked)


# ---- integer and boolean results --------------------------------------------------------------

_NAN = "it raises where all entries are NaN"
for _function, _operands, _lower in (
    (np.all, ("a", "where"), lower_all),
    (np.any, ("a", "where"), lower_any),
    (np.argmax, ("a",), lower_best_place("max")),
    (np.argmin, ("a",), lower_best_place("min")),
    (np.nanargmax, ("a",), _NAN),
    (np.nanargmin, ("a",), _NAN),
    (np.count_nonzero, ("a",), lower_count_nonzero),
):
    discrete(
        _function,
        _operands,
        reason=f"{_function.__name__} is integer or boolean",
        lower=_lower,
    )


def _logical_reduce(ufunc: np.ufunc, function: Callable[..., Any]) -> None:
    @implements_ufunc_method(ufunc, "reduce")
    def reduce(
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = NOT_GIVEN,
        where: Any = True,
    ) -> Any:
        if dtype is not None and np.dtype(dtype) != np.bool_:
            raise NoRuleError(f"np.{ufunc.__name__}.reduce: no rule for dtype={dtype!r}")
        found = function(array, axis=axis, keepdims=keepdims, where=where)
        return found if initial is NOT_GIVEN else ufunc(found, initial)


_logical_reduce(np.logical_and, np.all)
_logical_reduce(np.logical_or, np.any)
