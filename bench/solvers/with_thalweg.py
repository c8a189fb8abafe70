"""SciPy's solvers fed with derivatives."""

from __future__ import annotations

import thalweg as tw
from bench.solvers import Solve
from bench.solvers.calls import prepared
from bench.workload import Prepared, Setting


def fed(problem: Solve, setting: Setting) -> Prepared:
    """Traced and compiled anew in each call, as the user's call is."""
    return prepared(problem, getattr(tw.scipy, problem.module), problem.function, lambda: None)
