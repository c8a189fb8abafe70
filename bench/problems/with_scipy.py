"""The ten problems by their closed forms."""

from __future__ import annotations

from bench.structure import prepared
from bench.workload import Prepared, Setting
from tests.problems.sparse import Problem


def closed(problem: Problem, setting: Setting) -> Prepared:
    """Sums and products of SciPy's sparse matrices."""
    x = problem.point()
    return prepared(lambda: lambda: problem.matrix(x), lambda matrix: matrix)
