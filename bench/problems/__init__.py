"""The ten sparse problems of the tests at growing sizes: seconds against the entries not zero.

Everybody gives the Jacobian or Hessian as a CSR matrix. The closed forms are put together by
SciPy's sparse algebra; they are the reference, and no bar.
"""

from __future__ import annotations

import functools
from typing import Any

from bench.structure import parts
from bench.workload import Workload
from tests.problems.sparse import FAMILIES, Problem

__all__ = ["WORKLOADS"]

_SIZES = (1000, 10_000, 100_000, 300_000, 1_000_000)


def _reference(problem: Problem) -> list[Any]:
    return parts(problem.matrix(problem.point()))


def _workload(make: Any, n: int) -> Workload:
    small = make(100)
    density = len(_reference(small)[2]) / small.size  # of the entries that are not zero
    whole = make(n).size
    short = small.name.lower().replace(" ", "-")
    return Workload(
        name=f"problem-{short}-{n}",
        title=f"{'Hessian' if small.order == 2 else 'Jacobian'} of {small.name}, n = {whole:,}",
        group="problems",
        problem=functools.partial(make, n),
        contenders={
            "thalweg": "bench.problems.with_thalweg:compiled",
            "thalweg, not compiled": "bench.problems.with_thalweg:plain",
            "closed form": "bench.problems.with_scipy:closed",
        },
        reference=_reference,
        tolerance=1e-12,
        threads=(1,),
        rounds=5,
        growth=(f"{small.name}: n ({density:.0f} entries a row)", whole),
    )


WORKLOADS = [_workload(make, n) for make in FAMILIES for n in _SIZES]
