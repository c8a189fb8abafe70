"""Thalweg: write NumPy; every gradient is computed, its structure used, every number visible."""

from thalweg import errors
from thalweg.api import detach, grad, hvp, jvp, value_and_grad, vjp
from thalweg.config import config
from thalweg.graph import kinds
from thalweg.ops import (  # noqa: F401 - registers the operations
    arithmetic,
    compare,
    complexes,
    contract,
    creation,
    index,
    reduce,
    shape,
    structural,
    transcendental,
)

__all__ = ["config", "detach", "errors", "grad", "hvp", "jvp", "kinds", "value_and_grad", "vjp"]
__version__ = "0.1.0"
