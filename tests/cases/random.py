"""Cases of `ops/random.py`: numbers that do not depend on what is differentiated."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case
from thalweg import random


def _key(x):
    """A key that is traced: the same one for all x."""
    return np.isnan(x[:2]).astype(np.uint64) + np.uint64(7)


CASES = [
    Case("random", lambda x: x * random.uniform(_key(x), x.shape, dtype=x.dtype), ((3,),)),
    Case("random", lambda x: x * random.normal(_key(x), x.shape, dtype=x.dtype), ((3,),),
         label="normal"),
    Case("random", lambda x: random.bernoulli(random.split(_key(x))[0], 0.5, 3) * x, ((3,),),
         label="split"),
    Case("random", lambda x: random.uniform(_key(x), (), dtype=x.dtype) * x, ((4,),),
         label="scalar"),
]  # fmt: skip
