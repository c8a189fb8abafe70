"""SciPy's functions for plain and traced arrays, and its solvers fed with derivatives.

Imports SciPy; `import thalweg` does not.
"""

from thalweg.scipy import integrate, linalg, optimize, special
from thalweg.scipy.integrate import solve_ivp
from thalweg.scipy.optimize import (
    curve_fit,
    fsolve,
    least_squares,
    minimize,
    newton_krylov,
    root,
    root_scalar,
)

__all__ = [
    "curve_fit",
    "fsolve",
    "integrate",
    "least_squares",
    "linalg",
    "minimize",
    "newton_krylov",
    "optimize",
    "root",
    "root_scalar",
    "solve_ivp",
    "special",
]
