"""O1 with autograd."""

from __future__ import annotations

import autograd

from bench.overhead import Problem, program
from bench.workload import Prepared, Setting


def eager(problem: Problem, setting: Setting) -> Prepared:
    """`autograd.grad`."""
    gradient, (x, a, b) = autograd.grad(program), (problem.x, problem.a, problem.b)
    return Prepared(lambda: gradient(x, a, b), lambda: [gradient(x, a, b)])
