"""What a benchmark is made of: a workload, its contenders, and what a contender hands over."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Prepared", "Setting", "Skip", "Workload", "byte_code", "deviation", "named", "nothing"]


class Skip(Exception):  # noqa: N818 - says why a contender does not take part; no error
    """A contender cannot take part here (no compiler, no data, …): its words say why."""


@dataclass(frozen=True)
class Setting:
    """What holds for all contenders of a run."""

    threads: int
    backend: str  # of tw.compile


def byte_code(folder: str) -> dict[str, str]:
    """The environment of a process that keeps Python's byte code in a folder.

    pip compiles what it installs, but not what it installs editable: new processes of the two would
    not be alike.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def nothing() -> dict[str, Any]:
    """No facts to add."""
    return {}


@dataclass(frozen=True)
class Prepared:
    """A contender that is ready to run.

    Attributes
    ----------
    call
        Runs the workload once; this is what is timed.
    results
        The arrays that are held against the reference, in its order.
    reset
        Puts the contender back to its beginning (training); called before each turn, not timed.
    finish
        Waits for work under way; timed, once a turn.
    seconds
        Where a contender measures itself (a new process that reports how long its first gradient
        took), this stands for ``call``.
    facts
        More to report (accuracy, megabytes); asked for at the end.
    """

    call: Callable[[], Any]
    results: Callable[[], Sequence[Any]]
    reset: Callable[[], Any] | None = None
    finish: Callable[[], Any] | None = None
    seconds: Callable[[], float] | None = None
    facts: Callable[[], dict[str, Any]] = nothing


@dataclass(frozen=True)
class Workload:
    """One line of the benchmark.

    Attributes
    ----------
    contenders
        Name → ``module:function``. The module imports the peer and is loaded only in the
        contender's own process; ``function(problem, setting)`` gives a `Prepared`.
    problem
        Makes the input; each contender's process makes its own, from the same seed.
    reference
        The results in float64 by NumPy, given the problem; None where nothing is computed.
    tolerance
        The largest `deviation` from the reference with which a contender is timed.
    bar
        What Thalweg means to reach.
    scale, unit
        Figures are shown as seconds × scale.
    peer_rounds
        After so many rounds the others stop, and Thalweg goes on alone (a long training).
    once
        A turn is one call, without a warm-up (epochs of a training).
    """

    name: str
    title: str
    group: str
    problem: Callable[[], Any]
    contenders: Mapping[str, str]
    reference: Callable[[Any], Sequence[Any]] | None
    tolerance: float = 0.0
    bar: str = ""
    threads: tuple[int, ...] = (1, 2)
    scale: float = 1e6
    unit: str = "µs"
    rounds: int | None = None
    peer_rounds: int | None = None
    once: bool = False
    growth: tuple[str, float] | None = field(default=None)  # (curve, size) for the plot


def deviation(results: Sequence[Any], reference: Sequence[Any]) -> float:
    """Largest ‖result − reference‖₂ / ‖reference‖₂ over the arrays; inf where a shape differs."""
    if len(results) != len(reference):
        return float("inf")
    worst = 0.0
    for ours, true in zip(results, reference, strict=True):
        a, b = np.asarray(ours, np.float64), np.asarray(true, np.float64)
        if a.shape != b.shape:
            return float("inf")
        size = float(np.linalg.norm(b.ravel()))
        error = float(np.linalg.norm((a - b).ravel())) / (size or 1.0)
        worst = max(worst, error if np.isfinite(error) else float("inf"))
    return worst


def named(workloads: Sequence[Workload], names: Sequence[str]) -> list[Workload]:
    """Those that the names choose: a group, a workload, or the part of a name before a dash.

    Raises
    ------
    KeyError
        With a name that chooses nothing.
    """
    chosen = []
    for name in names:
        wanted = name.lower()
        found = [
            w
            for w in workloads
            if wanted in (w.group.lower(), w.name.lower())
            or w.name.lower().startswith(wanted + "-")
        ]
        if not found:
            raise KeyError(name)
        chosen += [w for w in found if w not in chosen]
    return chosen
