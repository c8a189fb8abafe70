"""Thalweg: write NumPy; every gradient is computed, its structure used, every number visible."""

import importlib
from typing import TYPE_CHECKING, Any

from thalweg import api_dense, errors
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
    pseudoinverse,
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

if TYPE_CHECKING:  # loaded by __getattr__ when first used
    from thalweg.api_compile import Compiled, compile
    from thalweg.api_implicit import implicit
    from thalweg.execute.native.cache import cache_info, clear_cache
    from thalweg.jacobian.operator import Jacobian
    from thalweg.report.audit import audit
    from thalweg.report.compiled import trace_compiled
    from thalweg.report.series import TraceSeries
    from thalweg.report.trace import Trace, trace
    from thalweg.testing import check_gradient, check_grads, check_primitive
    from thalweg.training.loop import fit

__all__ = [
    "Compiled",
    "Jacobian",
    "Trace",
    "TraceSeries",
    "audit",
    "cache_info",
    "check_gradient",
    "check_grads",
    "check_primitive",
    "clear_cache",
    "compile",
    "config",
    "detach",
    "errors",
    "fit",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "jacobian",
    "jvp",
    "kinds",
    "primitive",
    "remat",
    "trace",
    "trace_compiled",
    "value_and_grad",
    "vjp",
    "vmap",
]
# Rules of SciPy's functions: SciPy is imported when the first of them is met.
LOADERS.append(lambda: importlib.import_module("thalweg.ops.special"))
# Sparse forms of Jacobians need SciPy, too.
api_dense.LOADERS.append(lambda: importlib.import_module("thalweg.api_structured"))
__version__ = "0.1.0"


# Names that `import thalweg` leaves for their first use, and the modules that have them. Importing
# SciPy takes longer than all the rest; reports and checks are for looking, not for running.
_LAZY = {
    "Compiled": "thalweg.api_compile",
    "Jacobian": "thalweg.jacobian.operator",
    "Trace": "thalweg.report.trace",
    "TraceSeries": "thalweg.report.series",
    "audit": "thalweg.report.audit",
    "cache_info": "thalweg.execute.native.cache",
    "check_gradient": "thalweg.testing",
    "check_grads": "thalweg.testing",
    "check_primitive": "thalweg.testing",
    "clear_cache": "thalweg.execute.native.cache",
    "compile": "thalweg.api_compile",
    "fit": "thalweg.training.loop",
    "implicit": "thalweg.api_implicit",
    "trace": "thalweg.report.trace",
    "trace_compiled": "thalweg.report.compiled",
}
_LAZY_MODULES = frozenset(
    "generative heads nn optim random report scipy sklearn testing training".split()
)


def __getattr__(name: str) -> Any:
    """What is loaded when it is first used."""
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    if name in _LAZY_MODULES:
        return importlib.import_module(f"thalweg.{name}")
    raise AttributeError(f"module 'thalweg' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What Tab offers and misspellings are compared with: public names, not the parts inside."""
    own = (name for name in globals() if name.startswith("__"))
    return sorted({*__all__, *_LAZY_MODULES, "tree", *own} - {"report", "testing"})
