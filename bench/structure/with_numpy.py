"""J1–J3 and A2 derived by hand in NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.structure import by_hand, prepared
from bench.workload import Prepared, Setting


def _derived(make: Callable[[Any], Callable[[], Any]], problem: Any, setting: Setting) -> Prepared:
    return prepared(lambda: make(problem), lambda matrix: matrix)


brusselator = functools.partial(_derived, by_hand.brusselator)
rosenbrock = functools.partial(_derived, by_hand.rosenbrock)
sigmoid = functools.partial(_derived, by_hand.sigmoid)
adjustment = functools.partial(_derived, by_hand.adjustment)
