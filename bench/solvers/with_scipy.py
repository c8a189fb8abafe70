"""SciPy's solvers as they are."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.solvers import Solve
from bench.solvers.calls import prepared
from bench.workload import Prepared, Setting


def _central(function: Callable[[Any], Any], x: Any) -> Any:
    """Central differences: of one-sided ones SciPy's difference quotients see mostly rounding."""
    steps = np.finfo(float).eps ** (1 / 3) * np.diag(np.maximum(1, np.abs(x)))
    return np.array([(function(x + h) - function(x - h)) / (2 * h.sum()) for h in steps])


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
        options["jac"] = lambda x: _central(function, x)
    if "hess" in problem.differences:
        options["hess"] = "2-point"
    module = importlib.import_module(f"scipy.{problem.module}")
    return prepared(dataclasses.replace(problem, options=options), module, function, counted)
