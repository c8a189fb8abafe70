"""A1 derived by hand in NumPy."""

from __future__ import annotations

from bench.adbench import Mixture, by_hand
from bench.workload import Prepared, Setting


def derived(problem: Mixture, setting: Setting) -> Prepared:
    """Value and gradient."""
    return Prepared(lambda: by_hand(problem), lambda: by_hand(problem))
