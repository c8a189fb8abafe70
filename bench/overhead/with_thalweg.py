"""O1 with Thalweg, not compiled."""

from __future__ import annotations

import thalweg as tw
from bench.overhead import Problem, program
from bench.workload import Prepared, Setting


def eager(problem: Problem, setting: Setting) -> Prepared:
    """`tw.grad`."""
    gradient, (x, a, b) = tw.grad(program), (problem.x, problem.a, problem.b)
    return Prepared(lambda: gradient(x, a, b), lambda: [gradient(x, a, b)])
