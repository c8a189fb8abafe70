"""Thalweg: write NumPy; every gradient is computed, its structure used, every number visible."""

import importlib
from typing import Any

from thalweg import errors
from thalweg.api import detach, grad, hvp, jvp, value_and_grad, vjp
from thalweg.api_batch import vmap
from thalweg.api_dense import hessian, jacobian
from thalweg.api_remat import remat
from thalweg.config import config
from thalweg.graph import kinds
from thalweg.graph.primitive import LOADERS
from thalweg.ops import (  # noqa: F401 - registers the operations
    arithmetic,
    compare,
    complexes,
    contract,
    creation,
    cumulative,
    decompositions,
    diagonals,
    fft,
    floats,
    index,
    joining,
    linalg,
    nan_reduce,
    norm,
    rearrange,
    reduce,
    selection,
    sequences,
    shape,
    sorting,
    statistics,
    structural,
    transcendental,
)
from thalweg.primitives import primitive
from thalweg.report.audit import audit
from thalweg.report.trace import Trace, trace
from thalweg.testing import check_gradient, check_grads, check_primitive

__all__ = [
    "Trace",
    "audit",
    "check_gradient",
    "check_grads",
    "check_primitive",
    "config",
    "detach",
    "errors",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "kinds",
    "primitive",
    "remat",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
]
# Rules of SciPy's functions: SciPy is imported when the first of them is met.
LOADERS.append(lambda: importlib.import_module("thalweg.ops.special"))
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`thalweg.scipy`, when it is first used: importing SciPy takes longer than all the rest."""
    if name == "scipy":
        return importlib.import_module("thalweg.scipy")
    raise AttributeError(f"module 'thalweg' has no attribute {name!r}")
