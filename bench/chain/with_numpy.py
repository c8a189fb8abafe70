"""The chain by hand in NumPy."""

from __future__ import annotations

from bench.chain import Chain, by_hand
from bench.workload import Prepared, Setting


def plain(problem: Chain, setting: Setting) -> Prepared:
    """Forward, then backward, an array an operation."""
    return Prepared(lambda: by_hand(problem), lambda: by_hand(problem))
