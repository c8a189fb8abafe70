"""E1–E6 with derivatives by hand in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

from bench.elementwise import RATE, SIGMA, STRIKE, YEARS, Problem
from bench.workload import Prepared, Setting

_BLOCK = 1 << 14  # bytes of a block's array: a handful of them stay in the first-level cache


def _sigmoid(x: Any) -> tuple[Any, Any]:
    s = 1 / (1 + np.exp(-x))
    return np.sum(s), s * (1 - s)


def _black_scholes(x: Any) -> tuple[Any, Any]:
    deviation = SIGMA * YEARS**0.5
    d1 = (np.log(x / STRIKE) + (RATE + SIGMA**2 / 2) * YEARS) / deviation
    d2 = d1 - deviation
    delta = 0.5 * (1 + erf(d1 / 2**0.5))
    inner = 0.5 * (1 + erf(d2 / 2**0.5))
    return np.sum(x * delta - STRIKE * float(np.exp(-RATE * YEARS)) * inner), delta


def _tanh_softplus(x: Any) -> tuple[Any, Any]:
    t, e = np.tanh(x), np.exp(x)
    p = np.log1p(e)
    return np.sum(t * p), (1 - t * t) * p + t * (e / (1 + e))


_FUNCTIONS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "sigmoid": _sigmoid,
    "black_scholes": _black_scholes,
    "tanh_softplus": _tanh_softplus,
}


def plain(problem: Problem, setting: Setting) -> Prepared:
    """Whole arrays, one NumPy function after another."""
    function = _FUNCTIONS[problem.function]
    return Prepared(lambda: function(problem.x), lambda: function(problem.x))


def blocked(problem: Problem, setting: Setting) -> Prepared:
    """Block by block, so that what lies between stays in the cache; the gradient is reused."""
    function = _FUNCTIONS[problem.function]
    x = problem.x.ravel()
    gradient = np.empty_like(x)
    step = _BLOCK // x.itemsize

    def both() -> tuple[Any, Any]:
        total = 0.0
        for start in range(0, x.size, step):
            value, gradient[start : start + step] = function(x[start : start + step])
            total += float(value)
        return total, gradient

    return Prepared(both, lambda: (both()[0], gradient.reshape(problem.x.shape)))
