"""O1 in NumPy alone: the arithmetic, without a derivative."""

from __future__ import annotations

import numpy as np

from bench.overhead import Problem, program
from bench.workload import Prepared, Setting


def forward(problem: Problem, setting: Setting) -> Prepared:
    """The value only; it stands for the arithmetic's own cost.

    The chain is linear without a constant where b is 0: its value there, one entry at a time, is
    the slope that the others compute.
    """
    x, a, b = problem.x, problem.a, problem.b

    def results() -> list[np.ndarray]:
        unit = np.eye(x.size)
        return [np.array([program(e, a, np.zeros(x.size)) for e in unit])]

    return Prepared(lambda: program(x, a, b), results)
