"""Measuring in pairs: every round gives each contender one turn, so that drifts hit all alike."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["Figure", "in_pairs", "ratio", "summary"]

_LEAST_ROUNDS = 3


class Figure(NamedTuple):
    """Median and quartiles of a sample."""

    median: float
    low: float
    high: float


def summary(sample: list[float]) -> Figure:
    """Median and quartiles."""
    if len(sample) == 1:
        return Figure(*sample * 3)
    low, median, high = statistics.quantiles(sample, n=4, method="inclusive")
    return Figure(median, low, high)


def in_pairs(
    turns: Mapping[str, Callable[[], float]],
    rounds: int,
    budget: float = float("inf"),
    progress: Callable[[int], None] = lambda done: None,
    limits: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, list[float]]:
    """Seconds a call, one entry a round; the order within a round is drawn anew.

    Parameters
    ----------
    turns
        Name → what gives the contender a turn and returns the seconds of one call. A turn that
        raises ``RuntimeError`` ends the contender's part.
    budget
        Seconds of turns after which a slow contender is left in peace, its first rounds done.
    limits
        Name → rounds after which the contender stops.
    """
    order = list(turns)
    rng = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for done in range(rounds):
        rng.shuffle(order)
        for name in list(order):
            if done >= limits.get(name, rounds):
                continue
            if len(seconds[name]) >= _LEAST_ROUNDS and sum(seconds[name]) > budget:
                continue
            try:
                seconds[name].append(turns[name]())
            except RuntimeError:
                order.remove(name)
                seconds[name].clear()
        progress(done + 1)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> Figure:
    """Theirs over ours, round by round: above 1 we are faster."""
    return summary([b / a for a, b in zip(ours, theirs, strict=False)])
