"""Cases of `ops/statistics.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case
from tests.cases.reduce import _AXES, _MASK, _distinct, _name, _nan_reductions, _reductions

_SPREAD = [(shape, axes) for shape, axes in _AXES if shape not in ((), (1,), (1, 1), (2, 1, 3))]


def _spreads(op, function, options=None, **case):
    return [
        Case(
            op,
            lambda x, o={**axes, **(options or {})}: function(x, **o),
            (shape,),
            label=_name(shape, {**axes, **(options or {})}),
            **case,
        )
        for shape, axes in _SPREAD
    ]


_QUANTILE_AXES = (
    ((7,), {}),
    ((3, 5), {}),
    ((3, 5), {"axis": -1}),
    ((4, 3), {"axis": 0, "keepdims": True}),
    ((2, 3, 4), {"axis": (0, -1)}),
    ((), {}),
    ((1,), {"axis": 0}),
)
_METHODS = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "hazen", "weibull",
            "interpolated_inverted_cdf", "median_unbiased", "normal_unbiased", "lower", "higher",
            "midpoint", "nearest")  # fmt: skip

CASES = [
    *_reductions("mean", np.mean, complex=True),
    *_reductions("mean", np.mean, {"dtype": np.float64}),
    *_reductions("mean", lambda x, **o: x.mean(**o)),
    Case("mean", lambda x: np.mean(x, where=_MASK), ((3, 4),), label="where"),
    Case("mean", lambda x: np.mean(x, axis=1, where=_MASK), ((3, 4),), label="where-axis"),
    *_reductions("var", np.var, complex=True),
    *_spreads("var", np.var, {"ddof": 1}, complex=True),
    *_spreads("var", np.var, {"correction": 1}),
    *_spreads("std", np.std, complex=True),
    *_spreads("std", np.std, {"ddof": 1}),
    *_spreads("std", lambda x, **o: x.std(**o)),
    Case("var", lambda x: np.var(x, axis=0, where=_MASK[:, ::-1]), ((3, 4),), label="where"),
    Case("std", lambda x: np.std(x, axis=1, where=_MASK[[0, 2, 2]], ddof=1), ((3, 4),),
         label="where"),
    Case("std", lambda x: np.std(x, where=_MASK), ((3, 4),), label="where-all"),
    Case("var", lambda x, m: np.var(x, axis=1, mean=m), ((3, 4), (3, 1)), label="mean="),
    *[
        Case("median", lambda x, o=options: np.median(x, **o), make=_distinct(*shape),
             label=_name(shape, options))
        for shape, options in _QUANTILE_AXES
    ],
    *[
        Case("quantile", lambda x, o=options, q=q: np.quantile(x, q, **o), make=_distinct(*shape),
             label=f"{_name(shape, options)}{q}")
        for shape, options in _QUANTILE_AXES
        for q in (0.3, 0.0, 1.0, [0.1, 0.9], [[0.5], [0.75]])
    ],
    *[
        Case("quantile", lambda x, m=method, q=q: np.quantile(x, q, axis=1, method=m),
             make=_distinct(3, 7), label=f"{method}{q}")
        for method in _METHODS
        for q in (0.37, 0.5)
    ],
    Case("quantile", lambda x: np.percentile(x, 35), make=_distinct(3, 5), label="percentile"),
    Case("quantile", lambda x: np.percentile(x, [10, 50.0], axis=0), make=_distinct(6, 2),
         label="percentiles"),
    *_nan_reductions("nanmedian", np.nanmedian),
    *_nan_reductions("nanquantile", lambda x, **o: np.nanquantile(x, 0.4, **o)),
    *_nan_reductions("nanquantile", lambda x, **o: np.nanpercentile(x, [20.0, 40], **o)),
    *_reductions("mean", lambda x, **o: np.average(x, **o)),
    *[
        Case("mean", lambda x, w, o=options: np.average(x, weights=w, **o), shapes,
             ((-1.0, 1.0), (0.5, 2.0)), label=f"average{_name(shapes, options)}", complex=True)
        for shapes, options in (
            (((5,), (5,)), {}),
            (((3, 4), (3, 4)), {}),
            (((3, 4), (4,)), {"axis": 1}),
            (((3, 4), (3,)), {"axis": 0, "keepdims": True}),
            (((2, 3, 4), (4, 2)), {"axis": (2, 0)}),
        )
    ],
    Case("mean", lambda x, w: np.average(x, axis=1, weights=w, returned=True), ((3, 4), (4,)),
         ((-1.0, 1.0), (0.5, 2.0)), label="average-returned"),
    *[
        Case("var", lambda *a, o=options: np.cov(*a, **o), shapes, complex=True,
             label=f"cov{_name(shapes, options)}")
        for shapes, options in (
            (((3, 5),), {}),
            (((5,),), {}),
            (((5, 3),), {"rowvar": False}),
            (((3, 5),), {"bias": True}),
            (((3, 5),), {"ddof": 0, "fweights": [1, 2, 1, 3, 1]}),
            (((3, 5), (2, 5)), {}),
            (((5,), (5,)), {"fweights": [1, 2, 1, 3, 1]}),
        )
    ],
    Case("var", lambda x, w: np.cov(x, aweights=w), ((3, 5), (5,)), ((-1.0, 1.0), (0.5, 2.0)),
         label="cov-aweights"),
    Case("std", lambda x: np.corrcoef(x), ((3, 6),), label="corrcoef"),
    Case("std", lambda x, y: np.corrcoef(x, y), ((6,), (6,)), label="corrcoef-pair"),
]  # fmt: skip
