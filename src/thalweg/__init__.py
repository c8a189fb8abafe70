"""Thalweg: write NumPy; every gradient is computed, its structure used, every number visible."""

from thalweg import errors
from thalweg.api import detach, grad, hvp, jvp, value_and_grad, vjp
from thalweg.api_batch import vmap
from thalweg.config import config
from thalweg.graph import kinds
from thalweg.ops import (  # noqa: F401 - registers the operations
    arithmetic,
    compare,
    complexes,
    contract,
    creation,
    floats,
    index,
    reduce,
    shape,
    structural,
    transcendental,
)
from thalweg.primitives import primitive

__all__ = ["config", "detach", "errors", "grad", "hvp", "jvp", "kinds", "primitive", "value_and_grad", "vjp", "vmap"]
__version__ = "0.1.0"
