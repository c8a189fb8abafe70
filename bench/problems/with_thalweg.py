"""The ten problems with Thalweg."""

from __future__ import annotations

from typing import Any

import thalweg as tw
from bench.structure import prepared
from bench.workload import Prepared, Setting
from tests.problems.sparse import Problem


def _made(problem: Problem, function: Any) -> Prepared:
    x = problem.point()
    transform = tw.hessian if problem.order == 2 else tw.jacobian

    def make() -> Any:
        matrix = transform(function, form="sparse")
        return lambda: matrix(x)

    return prepared(make, lambda matrix: matrix)


def compiled(problem: Problem, setting: Setting) -> Prepared:
    """Planned once, one native function a call."""
    return _made(problem, tw.compile(problem.function))


def plain(problem: Problem, setting: Setting) -> Prepared:
    """Traced anew at each call."""
    return _made(problem, problem.function)
