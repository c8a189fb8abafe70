"""Cases of `ops/selection.py`: choosing entries."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case

_INDEX = np.array([[2, 0], [-1, 2]])
_NUMBERS = np.array([[1, 0, 2], [2, 2, 0]])
_ORDER = np.array([[1, 1, 0, 3], [0, 2, 3, 1], [3, 3, 3, 3]])
_MASK = np.array([True, False, True])

CASES = [
    Case("getitem", lambda x: np.take(x, _INDEX), ((3, 4),), complex=True, label="take-flat"),
    Case("getitem", lambda x: np.take(x, _INDEX, axis=1), ((3, 4, 2),), label="take-1"),
    Case("getitem", lambda x: np.take(x, _INDEX, axis=-1), ((2, 3),), label="take-last"),
    Case("getitem", lambda x: np.take(x, 2), ((3, 4),), label="take-one"),
    Case("getitem", lambda x: np.take(x, 1, axis=1), ((3, 4),), label="take-one-of-axis"),
    Case("getitem", lambda x: np.take(x, []), ((3, 4),), label="take-none"),
    Case("getitem", lambda x: np.take(x, [5, -7], mode="wrap"), ((4,),), label="take-wrap"),
    Case("getitem", lambda x: np.take(x, [5, -7], mode="clip"), ((4,),), label="take-clip"),
    Case("getitem", lambda x: x.take([0, 0, 1], axis=0), ((3, 2),), label="take-method"),
    Case("getitem", lambda x: np.take_along_axis(x, _ORDER, 1), ((3, 4),), label="along-1"),
    Case("getitem", lambda x: np.take_along_axis(x, _ORDER[:2] % 3, 0), ((3, 4),),
         label="along-0"),
    Case("getitem", lambda x: np.take_along_axis(x, np.array([3, 3, 0]), None), ((2, 2),),
         label="along-none"),
    Case("getitem", lambda x: np.take_along_axis(x, np.argsort(x, 0), 0), ((3, 2),),
         label="along-own-order"),
    Case("getitem", lambda *x: np.choose(_NUMBERS, x), ((2, 3), (3,), ()), label="choose"),
    Case("getitem", lambda *x: np.choose(_NUMBERS + 1, x, mode="wrap"), ((2, 3), (3,), (2, 1)),
         label="choose-wrap"),
    Case("getitem", lambda x: np.choose([0, 1], x), ((2, 2),), label="choose-rows"),
    Case("where", lambda x, y: np.select([x > 0.5, x > 0], [x * y, y]), ((3, 4), (4,)),
         label="select"),
    Case("where", lambda x: np.select([x > 0.5, x < -0.5], [1.0, x**2], default=x), ((5,),),
         label="select-default"),
    Case("getitem", lambda x: np.compress(_MASK, x, axis=0), ((3, 2),), label="compress-0"),
    Case("getitem", lambda x: np.compress([0, 1], x, axis=1), ((3, 4),), label="compress-shorter"),
    Case("getitem", lambda x: np.compress(_MASK, x), ((2, 2),), label="compress-flat"),
    Case("getitem", lambda x: x.compress(_MASK, axis=-1), ((2, 3),), label="compress-method"),
    Case("getitem", lambda x: np.extract(x > 0, x), ((3, 2),), label="extract", batched=False),
    Case("getitem", lambda x: np.extract(_NUMBERS > 0, x), ((2, 3),), label="extract-plain"),
    Case("where", np.nan_to_num, ((3, 2),), complex=True, label="nan_to_num"),
    Case("where", lambda x: np.nan_to_num(np.where(_MASK, x, np.nan), nan=2.0), ((2, 3),),
         label="nan_to_num-nan"),
    Case("where", lambda x: np.nan_to_num(np.where(_MASK, x, -np.inf), neginf=-1.0), ((3,),),
         label="nan_to_num-inf"),
    Case("getitem", lambda x: x[np.ix_([0, 2], _MASK)], ((3, 3),), label="ix_"),
    Case("getitem", lambda x: x[np.tril_indices_from(x)], ((3, 3),), label="tril-indices"),
    Case("add_at", lambda w: np.bincount([0, 2, 2], w, minlength=4), ((3,),), label="bincount"),
    Case("getitem", lambda x: x[np.unravel_index(np.argmax(x), x.shape)], ((3, 4),),
         label="unravel_index"),
    Case("getitem", lambda x: x[np.unravel_index(np.argsort(x, axis=None)[:3], x.shape, "F")],
         ((3, 3),), label="unravel_index-order"),
    Case("getitem", lambda x: x.ravel()[np.ravel_multi_index((np.argmax(x, 0) + 2, [0, 1]), x.shape,
                                                             mode=("wrap", "clip"))],
         ((3, 2),), label="ravel_multi_index"),
    *[
        Case("sliding_windows", lambda x, w=window, a=axis:
             np.lib.stride_tricks.sliding_window_view(x, w, a), (shape,), complex=True,
             label=f"{shape}-{window}-{axis}".replace(" ", ""))
        for shape, window, axis in (
            ((5,), 2, None), ((3, 4), (2, 2), None), ((3, 4), 3, 1), ((4, 3), (2, 2), (0, 0)),
        )
    ],
    Case("setitem", lambda x: np.piecewise(x, [x < 0, x > 1], [lambda v: v**2, np.exp, 3.0]),
         ((3, 4),), label="piecewise", batched=False),
    Case("setitem", lambda x: np.piecewise(x, x > 0, [lambda v, k: v.sum() * k + v], 2.0), ((3,),),
         label="piecewise-one", batched=False),
    Case("setitem", lambda x: np.piecewise(x, [x > 0], [lambda v: v * 2, lambda v: -v]), ((),),
         label="piecewise-0d", batched=False),
    Case("sum", lambda x: np.apply_along_axis(np.sum, 0, x), ((3, 4),), label="apply_along-sum"),
    Case("multiply", lambda x: np.apply_along_axis(lambda v: np.outer(v, v), 1, x), ((2, 3, 2),),
         label="apply_along-outer"),
    Case("multiply", lambda x: np.apply_along_axis(lambda v, k: v[::-1] * k, -1, x, 2.0), ((2, 3),),
         label="apply_along-arguments"),
    Case("sum", lambda x: np.apply_over_axes(np.sum, x, [0, 2]), ((2, 3, 2),), label="apply_over"),
]  # fmt: skip
