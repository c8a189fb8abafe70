"""Cases of `ops/normalise.py`."""

from __future__ import annotations

import numpy as np

from tests.cases.arithmetic import SHAPES, spread
from tests.cases.case import Case
from thalweg.array import Array, unwrap
from thalweg.ops import normalise


def _gate(name, **params):
    """The primitive on arrays and handles alike."""
    primitive = getattr(normalise, name)
    return lambda x: Array(primitive(unwrap(x), **params)) if type(x) is Array else primitive(
        x, **params
    )  # fmt: skip


_AXES = (((3, 4), (1,)), ((3, 4), (0,)), ((4,), (0,)), ((2, 3, 4), (0, 2)), ((3, 4), (0, 1)),
         ((3, 1), (1,)), ((0, 3), (1,)), ((3, 0), (1,)), ((), ()), ((2, 3, 2), (1,)))  # fmt: skip

CASES = [
    *(Case(name.lower(), _gate(name), (shape,)) for name in ("SIGMOID", "SOFTPLUS", "LOG_SIGMOID")
      for shape in SHAPES),
    *(Case(name.lower(), _gate(name), make=spread(-60.0, 60.0), label=f"{name}-wide")
      for name in ("SIGMOID", "SOFTPLUS", "LOG_SIGMOID")),
    *(Case(name.lower(), _gate(name, axes=axes), (shape,), label=f"{name}-{shape}-{axes}")
      for name in ("SOFTMAX", "LOG_SOFTMAX") for shape, axes in _AXES),
    *(Case(name.lower(), _gate(name, axes=axes, keepdims=keepdims), (shape,),
           label=f"{name}-{shape}-{axes}-{keepdims}")
      for name in ("LOGSUMEXP",) for shape, axes in _AXES
      for keepdims in (False, True) if shape != (3, 0)),  # there the value is −∞
    Case("logsumexp", _gate("LOGSUMEXP", axes=(1,), keepdims=False),
         make=lambda rng: (800 * np.eye(3) + rng.standard_normal((3, 3)),), label="large"),
]  # fmt: skip
