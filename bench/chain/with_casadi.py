"""The chain with CasADi's graphs of matrices."""

from __future__ import annotations

from typing import Any

import casadi

from bench.chain import Chain, program
from bench.workload import Prepared, Setting


def mx(problem: Chain, setting: Setting) -> Prepared:
    """Its virtual machine."""
    x = casadi.MX.sym("x", len(problem.x))
    value = casadi.sum1(program(x, problem.operations, casadi.sin, casadi.tanh))
    both = casadi.Function("both", [x], [value, casadi.gradient(value, x)])

    def results() -> Any:
        found, gradient = both(problem.x)
        return float(found), gradient.full()[:, 0]

    return Prepared(lambda: both(problem.x), results)


def warm(setting: Setting) -> None:
    """Another function, so that all is loaded that is loaded late."""
    x = casadi.MX.sym("x", 3)
    casadi.Function("g", [x], [casadi.gradient(casadi.sum1(x * x), x)])(casadi.DM.ones(3))
