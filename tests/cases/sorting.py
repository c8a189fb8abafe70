"""Cases of `ops/sorting.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case
from tests.cases.reduce import _distinct

_AXES = (((5,), {}), ((3, 4), {}), ((3, 4), {"axis": 0}), ((3, 4), {"axis": None}),
         ((2, 3, 4), {"axis": 1}), ((1,), {}))  # fmt: skip


def _sorted(op, function, axes=_AXES):
    return [
        Case(op, lambda x, o=options: function(x, **o), make=_distinct(*shape),
             label=f"{list(shape)}{options}")
        for shape, options in axes
    ]  # fmt: skip


CASES = [
    *_sorted("sort", np.sort),
    *_sorted("sort", lambda x, **o: np.sort(x, kind="stable", **o)),
    Case("sort", lambda x: np.sort(x), ((0,),), label="empty"),
    Case("sort", lambda x: np.sort(x, axis=0), ((3, 4),), label="complex", complex=True),
    Case("sort", lambda x: np.sum(x * np.argsort(x)), make=_distinct(5), label="with-argsort"),
    *_sorted("partition", lambda x, **o: np.partition(x, 2, **o), _AXES[:-2]),
    *_sorted("partition", lambda x, **o: np.partition(x, (0, -1), **o)),
    *_sorted("argsort", lambda x, **o: np.argsort(x, **o) * 1.0),
    *_sorted("argpartition", lambda x, **o: np.argpartition(x, 0, **o) * 1.0),
    Case("searchsorted", lambda x, v: np.searchsorted(np.sort(x), v, side="right") * v,
         make=lambda rng: (*_distinct(5)(rng), rng.uniform(-1, 1, 3))),
    Case("digitize", lambda x: np.digitize(x, [-1.0, 0.01, 1.0]) * x, make=_distinct(5)),
    Case("flatnonzero", lambda x: np.flatnonzero(x > 0) * 1.0, make=_distinct(3, 4)),
    Case("argwhere", lambda x: np.argwhere(x > 0) * 1.0, make=_distinct(3, 4), batched=False),
    Case("argwhere", lambda x: x[np.nonzero(x > 0)] ** 2, make=_distinct(3, 4), label="nonzero"),
    Case("argsort", lambda x: np.lexsort((x[0], x[1])) * 1.0, make=_distinct(2, 5),
         label="lexsort"),
    Case("unique_index", lambda x: np.unique(x), make=_distinct(3, 4)),
    Case("unique_index", lambda x: np.unique(x, axis=0), make=_distinct(3, 4), label="axis0"),
    Case("unique_index", lambda x: np.unique(x, return_inverse=True, return_counts=True)[0] ** 2,
         make=_distinct(5), label="more"),
]  # fmt: skip
