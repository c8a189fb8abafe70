"""Cases of `ops/reduce.py` and `ops/nan_reduce.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case

_AXES = (
    ((), {}),
    ((3, 4), {}),
    ((3, 4), {"axis": -1}),
    ((3, 4), {"axis": 0, "keepdims": True}),
    ((2, 3, 4), {"axis": (0, -1)}),
    ((2, 3, 4), {"axis": (2, 0), "keepdims": True}),
    ((2, 1, 3), {"axis": ()}),
    ((1,), {"axis": 0}),
    ((1, 1), {}),
)
_EMPTY = (((0,), {}), ((0, 3), {"axis": 0}), ((0, 3), {"axis": 1}), ((2, 0), {"axis": -1}))


def _name(shape, options):
    return f"{list(shape)}{options}".replace(" ", "")


def _reductions(op, function, options=None, *, empty=False, **case):
    return [
        Case(
            op,
            lambda x, f=function, o={**axes, **(options or {})}: f(x, **o),
            (shape,),
            label=_name(shape, {**axes, **(options or {})}),
            **case,
        )
        for shape, axes in (*_AXES, *(_EMPTY if empty else ()))
    ]


def _distinct(*shape):
    """Entries further apart than the steps of the differences."""

    def make(rng):
        n = int(np.prod(shape))
        return (rng.permutation(np.linspace(-1.5, 1.4, n)).reshape(shape)[()],)

    return make


def _distinct_reductions(op, function, options=None, **case):
    return [
        Case(
            op,
            lambda x, f=function, o={**axes, **(options or {})}: f(x, **o),
            make=_distinct(*shape),
            label=_name(shape, {**axes, **(options or {})}),
            **case,
        )
        for shape, axes in _AXES
    ]


_WITH_NAN = (((3, 4), {}), ((3, 4), {"axis": 1}), ((3, 4), {"axis": -1, "keepdims": True}),
             ((2, 3, 5), {"axis": (0, 2)}), ((5,), {"axis": 0}))  # fmt: skip


def _nan_reductions(op, function, options=None, **case):
    return [
        Case(
            op,
            lambda x, f=function, o={**axes, **(options or {})}: f(_unmarked(x), **o),
            make=_nan_marked(*shape),
            label=_name(shape, {**axes, **(options or {})}),
            **case,
        )
        for shape, axes in _WITH_NAN
    ]


def _nan_marked(*shape):
    """Distinct entries; those above 9 are made NaN by the case (differences can't pass NaN)."""

    def make(rng):
        (x,) = _distinct(*shape)(rng)
        return (np.where(np.arange(x.size).reshape(shape) % 4 == 1, 10.0, x),)

    return make


def _unmarked(x):
    return np.where(x < 9, x, np.nan)


_MASK = np.array([[True, False, True, True], [False, False, True, False], [True] * 4])
_ZEROS = np.array([[1.5, 0.0, -0.7], [0.0, 0.0, 2.0], [1.2, 0.4, -0.3]])


def _zeros(rng):
    return (_ZEROS.copy(),)


def _masked(op, function, **case):
    distinct = _distinct(3, 4)
    return [
        Case(op, lambda x, f=function: f(x, where=_MASK, initial=0.3), make=distinct,
             label="where,initial", **case),
        Case(op, lambda x, f=function: f(x, axis=1, where=_MASK, initial=-0.3), make=distinct,
             label="where,axis1", **case),
        Case(op, lambda x, f=function: f(x, axis=0, where=_MASK[1:2], initial=0.7, keepdims=True),
             make=distinct, label="where,keepdims", **case),
        Case(op, lambda x, s, f=function: f(x, axis=0, initial=s), label="traced-initial",
             make=lambda rng: (*distinct(rng), np.float64(0.45)), **case),
    ]  # fmt: skip


CASES = [
    *_reductions("sum", np.sum, empty=True, complex=True),
    *_reductions("sum", np.sum, {"dtype": np.float64}),
    *_reductions("sum", lambda x, **o: x.sum(**o)),
    Case("sum", lambda x: np.add.reduce(x), ((3, 4),), label="add.reduce"),
    Case("sum", lambda x: np.add.reduce(x, axis=None), ((3, 4),), label="add.reduce-None"),
    Case("sum", lambda x: np.add.reduce(x, (0, 2), keepdims=True), ((2, 3, 4),), label="args"),
    Case("sum", lambda x: np.sum(x.T), ((30, 40),), label="fortran"),
    *_masked("masked_sum", np.sum, complex=False),
    Case("masked_sum", lambda x: np.sum(x, axis=1, where=_MASK), ((3, 4),), label="where"),
    *_reductions("prod", np.prod, empty=True, complex=True),
    Case("prod", lambda x: np.prod(x, axis=1), make=_zeros, label="zeros-axis1"),
    Case("prod", lambda x: np.prod(x, axis=0), make=_zeros, label="zeros-axis0"),
    Case("prod", np.prod, make=_zeros, label="zeros-all"),
    Case("prod", lambda x: np.multiply.reduce(x), make=_zeros, label="multiply.reduce"),
    Case("prod", np.prod, ((17,),), label="odd-tree"),
    *_masked("masked_prod", np.prod),
    *_distinct_reductions("max", np.max),
    *_distinct_reductions("max", np.amax),
    *_distinct_reductions("min", np.min),
    *_distinct_reductions("min", lambda x, **o: x.min(**o)),
    Case("max", lambda x: np.maximum.reduce(x), make=_distinct(3, 4), label="maximum.reduce"),
    Case("min", lambda x: np.minimum.reduce(x, 1), make=_distinct(3, 4), label="minimum.reduce"),
    Case("max", lambda x: np.max(x, axis=1), ((3, 0),), order=0, label="never",
         make=lambda rng: (np.empty((0, 3)),)),
    *_masked("masked_max", np.max),
    *_masked("masked_min", np.min),
    *[
        Case("max", lambda x, o=options: np.ptp(x, **o), make=_distinct(*shape),
             label=f"ptp{_name(shape, options)}")
        for shape, options in _AXES[1:]
        if options.get("axis") != ()
    ],
    *[
        Case(op, lambda x, u=ufunc, a=axis, k=keep: u.reduce(x, axis=a, keepdims=k), ((3, 4),),
             label=f"{axis}{keep}")
        for op, ufunc in (("logaddexp_reduce", np.logaddexp), ("logaddexp2_reduce", np.logaddexp2))
        for axis, keep in ((0, False), (1, True), ((-1), False))
    ],
    Case("logaddexp_reduce", lambda x, s: np.logaddexp.reduce(x, 1, where=_MASK, initial=s),
         ((3, 4), ()), label="where,initial"),
    Case("logaddexp_reduce", lambda x: np.logaddexp.reduce(x, where=_MASK), ((3, 4),),
         label="where"),
    Case("logaddexp_reduce", lambda x: np.logaddexp.reduce(x + np.array([0.0, -np.inf, 0.0])),
         ((3,),), label="-inf"),
    *_nan_reductions("nansum", np.nansum),
    *_nan_reductions("nanprod", np.nanprod),
    *_nan_reductions("nanmean", np.nanmean),
    *_nan_reductions("nanmax", np.nanmax),
    *_nan_reductions("nanmin", np.nanmin),
    *_nan_reductions("nanvar", np.nanvar),
    *_nan_reductions("nanvar", np.nanvar, {"ddof": 1}),
    *_nan_reductions("nanstd", np.nanstd),
    *_nan_reductions("nanstd", np.nanstd, {"ddof": 1}),
    *_nan_reductions("nansum", np.nansum, {"initial": 2.0}),
    *[
        Case(op, lambda x, f=function: f(_unmarked(x), axis=1, where=_MASK[:, ::-1]),
             make=_nan_marked(3, 4), label="where")
        for op, function in (("nansum", np.nansum), ("nanprod", np.nanprod))
    ],
    Case("nanmean", lambda x: np.nanmean(_unmarked(x), where=_MASK, axis=1),
         make=_nan_marked(3, 4), label="where"),
    Case("nanvar", lambda x: np.nanvar(_unmarked(x), where=_MASK),
         make=_nan_marked(3, 4), label="where"),
    Case("nanmax", lambda x: np.nanmax(_unmarked(x), where=_MASK, initial=-5.0, axis=1),
         make=_nan_marked(3, 4), label="where"),
    Case("fmax_reduce", lambda x: np.fmax.reduce(_unmarked(x), axis=1),
         make=_nan_marked(3, 4), label="axis1"),
    Case("fmax_reduce", lambda x, s: np.fmax.reduce(_unmarked(x), 1, where=_MASK, initial=s),
         make=lambda rng: (*_nan_marked(3, 4)(rng), np.float64(0.4)), label="where,initial"),
    Case("fmin_reduce", lambda x: np.fmin.reduce(_unmarked(x), dtype=float, initial=0.4),
         make=_nan_marked(3, 5), label="initial"),
    Case("fmin_reduce", lambda x: np.fmin.reduce(_unmarked(x)),
         make=_nan_marked(3, 5), label="axis0"),
    *[
        Case(function.__name__, lambda x, f=function, o=options: f(x, **o) * 1.0,
             make=_distinct(*shape), label=_name(shape, options))
        for function in (np.argmax, np.argmin, np.nanargmax, np.nanargmin)
        for shape, options in (((3, 4), {}), ((3, 4), {"axis": 1}), ((4,), {"axis": -1}))
    ],
    *[
        Case(function.__name__,
             lambda x, f=function, o=options: x * np.multiply(f(x > 0, **o), np.float64(1)),
             make=_distinct(3, 4), label=f"{options}")
        for function in (np.all, np.any, np.count_nonzero)
        for options in ({}, {"axis": 1, "keepdims": True}, {"axis": 0})
    ],
]  # fmt: skip
