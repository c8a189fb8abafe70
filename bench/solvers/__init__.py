"""SciPy's solvers on real problems: fed by `thalweg.scipy`, and as they are, with differences.

*function* and *derivative* count evaluations of a whole solution: of the function, those for
differences among them, and of Jacobians, gradients or Hessians (products with them too).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import integrate
from scipy.sparse.linalg import spsolve

from bench.workload import Workload
from tests.problems import brusselator, sparse

__all__ = ["WORKLOADS", "Solve"]


@dataclass(frozen=True)
class Solve:
    """A solver of SciPy's and what it is asked.

    Attributes
    ----------
    module, solver : str
        ``scipy.<module>.<solver>``, or the same of ``thalweg.scipy``.
    given : tuple
        What follows the function.
    options : dict
        Keyword arguments for both.
    differences : tuple of str
        What SciPy does not estimate of itself and is given by differences: ``"jac"``, ``"hess"``.
    """

    module: str
    solver: str
    function: Callable[..., Any]
    given: tuple[Any, ...]
    options: dict[str, Any]
    matrix: Callable[[Any], Any] | None = None
    differences: tuple[str, ...] = ()


def _newton(slope: Callable[[Any], Any], matrix: Callable[[Any], Any], x: Any) -> Any:
    """A root of `slope` by its closed derivative."""
    for _ in range(30):
        x = x - spsolve(matrix(x).tocsc(), slope(x))
    return x


def _root(problem: Solve) -> list[Any]:
    assert problem.matrix is not None
    return [_newton(problem.function, problem.matrix, np.array(problem.given[0], float))]


def _least(problem: Solve) -> list[Any]:
    """The minimum, with the gradient by central differences."""
    f = problem.function
    assert problem.matrix is not None

    def slope(x: Any) -> Any:
        steps = 1e-5 * np.eye(x.size)
        return np.array([(f(x + step) - f(x - step)) / 2e-5 for step in steps])

    return [_newton(slope, problem.matrix, np.array(problem.given[0], float))]


def _flow(problem: Solve) -> list[Any]:
    """The end of the way, by an explicit method of high order."""
    (start, end), y0 = problem.given
    found = integrate.solve_ivp(problem.function, (start, end), y0, "DOP853", rtol=1e-9, atol=1e-11)
    return [found.y[:, -1]]


def _tridiagonal(n: int, **options: Any) -> Solve:
    made = sparse.FAMILIES[0](n)
    start = -np.ones(made.size)
    return Solve("optimize", "least_squares", made.function, (start,), options, made.matrix)


def _bratu(side: int, solver: str, **options: Any) -> Solve:
    made = sparse.FAMILIES[3](side**2)
    start = np.zeros(made.size)
    return Solve("optimize", solver, made.function, (start,), options, made.matrix)


def _surface(method: str, *differences: str) -> Solve:
    made = sparse.FAMILIES[5](10**2)
    options = {"method": method, "tol": 1e-8}
    start = np.zeros(made.size)
    return Solve("optimize", "minimize", made.function, (start,), options, made.matrix, differences)


def _stiff(method: str, n: int) -> Solve:
    options = {"method": method, "rtol": 1e-6, "atol": 1e-8}
    given = ((0.0, 10.0), brusselator.start(n))
    return Solve("integrate", "solve_ivp", brusselator.rate, given, options)


def _workload(name: str, title: str, problem: Any, reference: Any, tolerance: float) -> Workload:
    return Workload(
        name=f"solve-{name}",
        title=title,
        group="solvers",
        problem=problem,
        contenders={
            "thalweg": "bench.solvers.with_thalweg:fed",
            "SciPy, differences": "bench.solvers.with_scipy:plain",
        },
        reference=reference,
        tolerance=tolerance,
        threads=(1,),
        scale=1e3,
        unit="ms",
        rounds=5,
    )


_AREA = "the minimal surface on 10 × 10 points"
_METHODS = {
    "BFGS": (),
    "L-BFGS-B": (),
    "trust-constr": (),
    "trust-ncg": ("jac", "hess"),
    "Newton-CG": ("jac",),
}

WORKLOADS = [
    _workload(
        "least_squares",
        "least_squares (trf, lsmr): Broyden's tridiagonal system, n = 400",
        functools.partial(_tridiagonal, 400, xtol=1e-12, ftol=1e-12),
        _root,
        1e-6,
    ),
    *(
        _workload(
            f"minimize-{method}",
            f"minimize ({method}): {_AREA}",
            functools.partial(_surface, method, *differences),
            _least,
            1e-2,
        )
        for method, differences in _METHODS.items()
    ),
    _workload(
        "root",
        "root (hybr): Bratu's equation, 20 × 20",
        functools.partial(_bratu, 20, "root"),
        _root,
        1e-6,
    ),
    _workload(
        "fsolve",
        "fsolve: Bratu's equation, 20 × 20",
        functools.partial(_bratu, 20, "fsolve", full_output=True),
        _root,
        1e-6,
    ),
    _workload(
        "krylov",
        "root (krylov), newton_krylov: Bratu's equation, 40 × 40",
        functools.partial(_bratu, 40, "root", method="krylov", options={"fatol": 1e-9}),
        _root,
        1e-6,
    ),
    *(
        _workload(
            f"{method}-{n}",
            f"solve_ivp ({method}): the stiff Brusselator, N = {n}",
            functools.partial(_stiff, method, n),
            _flow,
            1e-3,
        )
        for method in ("Radau", "BDF")
        for n in (64, 256)
    ),
]
