"""E1–E6 with autograd."""

from __future__ import annotations

from typing import Any

import autograd
import autograd.numpy as np
from autograd.scipy.special import erf

from bench.elementwise import RATE, SIGMA, STRIKE, YEARS, Problem
from bench.workload import Prepared, Setting


def _sigmoid(x: Any) -> Any:
    return np.sum(1 / (1 + np.exp(-x)))


def _normal(d: Any) -> Any:
    return 0.5 * (1 + erf(d / 2**0.5))


def _black_scholes(spot: Any) -> Any:
    deviation = SIGMA * YEARS**0.5
    d1 = (np.log(spot / STRIKE) + (RATE + SIGMA**2 / 2) * YEARS) / deviation
    d2 = d1 - deviation
    discounted = STRIKE * float(np.exp(-RATE * YEARS))
    return np.sum(spot * _normal(d1) - discounted * _normal(d2))


def _tanh_softplus(x: Any) -> Any:
    return np.sum(np.tanh(x) * np.log1p(np.exp(x)))


_FUNCTIONS = {
    "sigmoid": _sigmoid,
    "black_scholes": _black_scholes,
    "tanh_softplus": _tanh_softplus,
}


def eager(problem: Problem, setting: Setting) -> Prepared:
    """`autograd.value_and_grad`."""
    both = autograd.value_and_grad(_FUNCTIONS[problem.function])
    return Prepared(lambda: both(problem.x), lambda: both(problem.x))
