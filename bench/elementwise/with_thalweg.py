"""E1–E6 with Thalweg: plain NumPy functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erf

import thalweg as tw
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
    return np.sum(spot * _normal(d1) - STRIKE * float(np.exp(-RATE * YEARS)) * _normal(d2))


def _tanh_softplus(x: Any) -> Any:
    return np.sum(np.tanh(x) * np.log1p(np.exp(x)))


FUNCTIONS = {
    "sigmoid": _sigmoid,
    "black_scholes": _black_scholes,
    "tanh_softplus": _tanh_softplus,
}


def compiled(problem: Problem, setting: Setting) -> Prepared:
    """Value and gradient in one native call."""
    both = tw.compile(
        tw.value_and_grad(FUNCTIONS[problem.function]),
        backend=setting.backend,
        threads=setting.threads,
    )
    return Prepared(lambda: both(problem.x), lambda: both(problem.x))


def eager(problem: Problem, setting: Setting) -> Prepared:
    """The same without `tw.compile`."""
    both = tw.value_and_grad(FUNCTIONS[problem.function])
    return Prepared(lambda: both(problem.x), lambda: both(problem.x))
