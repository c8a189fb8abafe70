"""SciPy's solvers as they are."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from scipy.optimize import approx_fprime

from bench.solvers import Solve
from bench.solvers.calls import prepared
from bench.workload import Prepared, Setting


def plain(problem: Solve, setting: Setting) -> Prepared:
    """With the differences that are SciPy's default; those it does not take of itself beside."""
    calls = 0

    def function(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        return problem.function(*args)

    def counted() -> int:
        nonlocal calls
        found, calls = calls, 0
        return found

    options = dict(problem.options)
    if "jac" in problem.differences:
        options["jac"] = lambda x: approx_fprime(x, function)
    if "hess" in problem.differences:
        options["hess"] = "2-point"
    module = importlib.import_module(f"scipy.{problem.module}")
    return prepared(dataclasses.replace(problem, options=options), module, function, counted)
