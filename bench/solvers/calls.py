"""One call of a solver, and the counts that it reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.solvers import Solve
from bench.workload import Prepared

__all__ = ["prepared"]


def _outcome(problem: Solve, found: Any) -> tuple[Any, int, int]:
    """The solution; evaluations of the function and of its derivatives as SciPy counts them."""
    if problem.solver == "fsolve":
        x, info, *_ = found
        return x, int(info["nfev"]), int(info.get("njev", 0))
    derivatives = sum(int(found.get(name) or 0) for name in ("njev", "nhev"))
    if problem.options.get("method") == "krylov":
        derivatives = int(found.nit)
    x = found.y[:, -1] if problem.solver == "solve_ivp" else found.x
    return x, int(found.nfev), derivatives


def prepared(
    problem: Solve, module: Any, function: Callable[..., Any], counted: Callable[[], int | None]
) -> Prepared:
    """The solver of `module` on `function`; `counted` gives its calls since the last time."""
    solver = getattr(module, problem.solver)

    def call() -> Any:
        counted()
        return solver(function, *problem.given, **problem.options)

    def facts() -> dict[str, Any]:
        _, functions, derivatives = _outcome(problem, call())
        calls = counted()
        return {"function": functions if calls is None else calls, "derivative": derivatives}

    return Prepared(call, lambda: [_outcome(problem, call())[0]], facts=facts)
