"""Cases of `ops/cumulative.py` and `sequences.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case
from tests.cases.reduce import _distinct, _nan_marked
from tests.cases.shape import _named

_A, _V = ((3, 4),), ((6,),)
_ZEROS = np.array([[1.5, 0.0, -0.7], [0.0, 0.0, 2.0], [1.2, 0.4, -0.3]])


def _zeros(rng):
    return (_ZEROS.copy(),)


_AXES = (((6,), {}), ((3, 4), {}), ((3, 4), {"axis": 0}), ((2, 3, 4), {"axis": -1}), ((1,), {}),
         ((0,), {}), ((2, 0), {"axis": 1}), ((), {}))  # fmt: skip


def _running(op, function, **case):
    return [
        Case(op, lambda x, o=options: function(x, **o), (shape,), label=f"{list(shape)}{options}",
             **case)
        for shape, options in _AXES
    ]  # fmt: skip


def _knots(rng):
    """x, xp, fp of interp: points away from the knots, some outside of them."""
    xp = np.sort(rng.permutation(np.linspace(-1.0, 1.0, 9))[:5])
    return np.array([-1.31, -0.62, 0.04, 0.41, 1.37]), xp, rng.uniform(-1, 1, 5)


CASES = [
    *_running("cumsum", np.cumsum, complex=True),
    *_running("cumsum", lambda x, **o: x.cumsum(**o)),
    Case("cumsum", lambda x: np.add.accumulate(x), _A, label="add.accumulate"),
    Case("cumsum", lambda x: np.nancumsum(np.where(x < 9, x, np.nan), axis=1),
         make=_nan_marked(3, 4), label="nancumsum"),
    *_running("cumprod", np.cumprod, complex=True),
    *_named("cumprod", "zeros",
            *((_A, lambda x, a=axis: np.cumprod(x, axis=a)) for axis in (0, 1, None)), make=_zeros),
    Case("cumprod", lambda x: np.multiply.accumulate(x, axis=1), _A, label="multiply.accumulate"),
    Case("cumprod", lambda x: np.nancumprod(np.where(x < 9, x, np.nan), axis=1),
         make=_nan_marked(3, 4), label="nancumprod"),
    *[
        Case(op, lambda x, u=ufunc, a=axis: u.accumulate(x, axis=a), make=_distinct(4, 5),
             label=f"axis{axis}")
        for op, ufunc in (("maximum_accumulate", np.maximum), ("minimum_accumulate", np.minimum))
        for axis in (0, -1)
    ],
    Case("linear_recurrence", lambda x: np.cumprod(np.cumprod(x, axis=1), axis=1), make=_zeros,
         label="twice"),
    *_named(
        "subtract", "diff",
        (_V, lambda x: np.diff(x)),
        (_A, lambda x: np.diff(x, axis=0)),
        (_A, lambda x: np.diff(x, n=2)),
        (_A, lambda x: np.diff(x, n=0)),
        (_A, lambda x: np.diff(x, prepend=0.0)),
        (((3, 4), (3, 1), ()), lambda x, y, z: np.diff(x, prepend=y, append=z)),
        (_A, lambda x: np.ediff1d(x)),
        (((5,), (), (2,)), lambda x, y, z: np.ediff1d(x, to_end=z, to_begin=y)),
        (_V, lambda x: np.diff(x > 0) * 1.0),
        complex=True,
    ),
    *_named(
        "subtract", "gradient",
        (_V, lambda x: np.gradient(x)),
        (_V, lambda x: np.gradient(x, 0.3)),
        (_V, lambda x: np.gradient(x, 0.3, edge_order=2)),
        (((6,), (6,)), lambda x, s: np.gradient(x, np.cumsum(np.exp(s)))),
        (((6,), (6,)), lambda x, s: np.gradient(x, np.cumsum(np.exp(s)), edge_order=2)),
        (_V, lambda x: np.gradient(x, np.array([0.0, 1, 3, 4, 7, 8]), edge_order=2)),
        (_V, lambda x: np.gradient(x, np.arange(6) * 2.0)),
        (_A, lambda x: np.gradient(x)),
        (_A, lambda x: np.gradient(x, axis=0, edge_order=2)),
        (_A, lambda x: np.gradient(x, 2.0, np.array([0.0, 1, 3, 4]))),
        (((3, 4), ()), lambda x, h: np.gradient(x, h + 3.0, axis=-1)),
    ),
    *_named(
        "sum", "trapezoid",
        (_V, lambda y: np.trapezoid(y)),
        (_A, lambda y: np.trapezoid(y, dx=0.3, axis=0)),
        (((3, 4), (4,)), lambda y, x: np.trapezoid(y, x)),
        (((3, 4), (3,)), lambda y, x: np.trapezoid(y, x, axis=0)),
        (((3, 4), (3, 4)), lambda y, x: np.trapezoid(y, x)),
        (((3,), ()), lambda y, h: np.trapezoid(y, dx=h)),
        complex=True,
    ),
    Case("unwrap", lambda x: np.unwrap(x), make=lambda rng: (rng.uniform(-9, 9, 7),), label="1"),
    Case("unwrap", lambda x: np.unwrap(x, axis=0, period=4),
         make=lambda rng: (rng.uniform(-9, 9, (5, 2)),), label="2"),
    Case("getitem", lambda x, xp, fp: np.interp(x, xp, fp), make=_knots, label="interp"),
    Case("getitem", lambda x, xp, fp: np.interp(x[2], xp, fp), make=_knots, label="interp-scalar"),
    Case("getitem", lambda x, xp, fp: np.interp(x[:, None], xp, fp, left=-2.0, right=fp[0] * 2),
         make=_knots, label="interp-ends"),
    Case("getitem", lambda x, fp: np.interp(x, np.linspace(-1, 1, 5), fp, period=2.3),
         make=lambda rng: (np.array([-1.9, 0.2, 0.7, 3.1]), rng.uniform(-1, 1, 5)),
         label="interp-period"),
    Case("getitem", lambda x, fp: np.interp(x, [0.3], fp), label="interp-one",
         make=lambda rng: (np.array([-1.9, 0.2, 0.7]), rng.uniform(-1, 1, 1))),
    Case("getitem", lambda fp: np.interp([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], fp), ((3,),),
         label="interp-at-knots"),
    *[
        Case("convolve", lambda a, v, f=function, m=mode: f(a, v, m), shapes, complex=True,
             label=f"{function.__name__}-{mode}{shapes}")
        for function in (np.convolve, np.correlate)
        for mode in ("full", "same", "valid")
        for shapes in (((6,), (3,)), ((6,), (4,)), ((3,), (6,)), ((2,), (5,)), ((4,), (4,)))
    ],
    Case("convolve", lambda a, v: np.convolve(a, v), ((), (3,)), label="number"),
    Case("convolve", lambda a: np.correlate(a, [1.0, 2.0]), ((5,),), label="constant"),
    *_named(
        "convolve", "polynomials",
        (((4,), (2,)), lambda p, q: np.polymul(np.where([0, 1, 1, 1], p, 0.0), q)),
        (((), (3,)), lambda p, q: np.polymul([0.0, p, 1.0], q)),
    ),
    *_named(
        "multiply", "polynomial",
        (((4,), (3,)), lambda p, x: np.polyval(p, x)),
        (((4,), ()), lambda p, x: np.polyval(p, x)),
        (((2, 3),), lambda x: np.polyval([1.0, 2.0, 3.0], x)),
        (((4,),), lambda p: np.polyval(p, 0.3)),
        (((4,), (2,)), lambda p, q: np.polyadd(p, q)),
        (((4,), (2,)), lambda p, q: np.polysub(p, q)),
        (((4,),), lambda p: np.polyder(p)),
        (((4,),), lambda p: np.polyder(p, 2)),
        (((4,),), lambda p: np.polyint(p)),
        (((4,), (2,)), lambda p, k: np.polyint(p, 2, k)),
    ),
]  # fmt: skip

if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    CASES += [
        Case(op, lambda x, f=function, o=options: f(x, axis=1, **o), _A,
             label=f"{function.__name__}{options}")
        for op, function in (("cumsum", np.cumulative_sum), ("cumprod", np.cumulative_prod))
        for options in ({}, {"include_initial": True})
    ]  # fmt: skip
