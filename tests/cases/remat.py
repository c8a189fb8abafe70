"""Cases of `api_remat.py`: a recomputed call follows the laws of what it recomputes."""

from __future__ import annotations

import numpy as np

import thalweg as tw
from tests.cases.case import Case

_sine = tw.remat(lambda x: np.sin(x) * x)
_several = tw.remat(lambda x, y: {"product": x @ y, "sum": np.sum(np.exp(x)), "same": y})

CASES = [
    *[Case("remat", _sine, (shape,), complex=True) for shape in ((), (3, 4), (0,))],
    Case("remat", _several, ((2, 3), (3,)), complex=True, label="several"),
    Case("remat", tw.remat(lambda x: tw.remat(np.tanh)(x) ** 2), ((3,),), label="nested"),
]
