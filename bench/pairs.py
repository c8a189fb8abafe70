"""Measuring in pairs: every round runs each contender once, so that drifts hit all alike."""

from __future__ import annotations

import importlib
import random
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, NamedTuple

__all__ = ["Figure", "in_pairs", "peer", "ratio", "summary", "version"]


class Figure(NamedTuple):
    """Median and quartiles of a sample."""

    median: float
    low: float
    high: float


def summary(sample: list[float]) -> Figure:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(sample, n=4, method="inclusive")
    return Figure(median, low, high)


def in_pairs(
    contenders: Mapping[str, Callable[[], Any]], rounds: int, inner: int = 1
) -> dict[str, list[float]]:
    """Seconds a call, one entry a round; the order within a round is drawn anew."""
    for call in contenders.values():  # warm: caches, lazy imports
        call()
    order = list(contenders)
    rng = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            call = contenders[name]
            start = time.perf_counter()
            for _ in range(inner):
                call()
            seconds[name].append((time.perf_counter() - start) / inner)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> Figure:
    """Theirs over ours, round by round: above 1 we are faster."""
    return summary([b / a for a, b in zip(ours, theirs, strict=True)])


def peer(name: str) -> Any:
    """The peer's module, or None (with a word about it) where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed and left out: pip install -r bench/requirements.txt\n")
        return None


def version(name: str) -> str:
    """The installed version."""
    return metadata.version(name)
