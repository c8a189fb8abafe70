"""What this machine can do at best, measured once: the two lines of the roofline."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from thalweg.compiled.backends import Tiered
from thalweg.compiled.record import Record
from thalweg.execute.executor import GuardChanged, KernelReport
from thalweg.execute.native.program import Program
from thalweg.graph.node import Node

__all__ = ["Machine", "kernels_of", "machine", "main_dtype", "seconds_of"]

#: Bytes that no cache holds, and the side of a product that is bound by arithmetic.
_COPY, _SIDE = 2**26, 768
#: Seconds that a measurement may take.
_BUDGET = 0.2


class Machine(NamedTuple):
    """Best rates.

    Attributes
    ----------
    bandwidth : float
        Bytes a second, read and written, of a copy by one thread.
    peak : dict
        dtype → floating-point operations a second of NumPy's matrix product.

    References
    ----------
    S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance model
    for multicore architectures", Communications of the ACM 52 (2009).
    """

    bandwidth: float
    peak: dict[np.dtype[Any], float]

    def bound(self, moved: int, flops: int, dtype: np.dtype[Any]) -> float:
        """The least seconds for so many bytes and operations."""
        peak = self.peak.get(dtype, self.peak[np.dtype(np.float64)])
        return max(moved / self.bandwidth, flops / peak)


@functools.cache
def machine() -> Machine:
    """The machine, measured at the first call (half a second)."""
    source, target = np.ones(_COPY // 8), np.zeros(_COPY // 8)
    copy = _best(lambda: np.copyto(target, source))
    peak = {}
    for dtype in map(np.dtype, (np.float32, np.float64)):
        a, out = np.ones((_SIDE, _SIDE), dtype), np.zeros((_SIDE, _SIDE), dtype)
        peak[dtype] = 2 * _SIDE**3 / _best(functools.partial(np.matmul, a, a, out=out))
    return Machine(2 * _COPY / copy, peak)


def _best(run: Callable[[], Any]) -> float:
    """The shortest time of a few runs."""
    run()
    times: list[float] = []
    while not times or (sum(times) < _BUDGET and len(times) < 100):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def kernels_of(record: Record) -> list[KernelReport]:
    """The record's kernels, each with its time on made-up values where it can be had."""
    executor = record.executor
    if isinstance(executor, Tiered):
        executor = executor.executor
    report = executor.report
    if isinstance(executor, Program):
        with contextlib.suppress(Exception):  # as in `seconds_of`
            report = executor.timed(_leaves(record))
    return [x for x in report if isinstance(x, KernelReport)]


def main_dtype(nodes: Iterable[Node]) -> np.dtype[Any]:
    """What a graph computes with, mostly."""
    found = Counter(x.dtype for x in nodes if not x.primitive.outputs and x.dtype.kind == "f")
    return found.most_common(1)[0][0] if found else np.dtype(np.float64)


def _leaves(record: Record) -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        _made_up(rng, node.shape, node.dtype, record.family.forms[i][0] == "array")
        for i, node in zip(record.positions, record.graph.inputs, strict=True)
    ]


def seconds_of(record: Record) -> float | None:
    """The shortest time of the executor on made-up values; None, where they take another branch."""
    leaves = _leaves(record)
    try:
        if isinstance(record.executor.run(leaves), GuardChanged):
            return None
        return _best(lambda: record.executor.run(leaves))
    except Exception:  # an index that is out of bounds, a matrix that has no inverse, …
        return None


def _made_up(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], array: bool
) -> Any:
    values = rng.uniform(0.25, 0.75, shape) if dtype.kind in "fc" else np.zeros(shape)
    made = np.asarray(values).astype(dtype)
    return made if array else made[()]
