"""E1–E6 with PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from bench.elementwise import RATE, SIGMA, STRIKE, YEARS, Problem
from bench.workload import Prepared, Setting


def _sigmoid(x: Any) -> Any:
    return (1 / (1 + torch.exp(-x))).sum()


def _normal(d: Any) -> Any:
    return 0.5 * (1 + torch.erf(d / 2**0.5))


_DISCOUNTED = STRIKE * float(torch.exp(torch.tensor(-RATE * YEARS, dtype=torch.float64)))


def _black_scholes(spot: Any) -> Any:
    deviation = SIGMA * YEARS**0.5
    d1 = (torch.log(spot / STRIKE) + (RATE + SIGMA**2 / 2) * YEARS) / deviation
    d2 = d1 - deviation
    return (spot * _normal(d1) - _DISCOUNTED * _normal(d2)).sum()


def _tanh_softplus(x: Any) -> Any:
    return (torch.tanh(x) * torch.log1p(torch.exp(x))).sum()


_FUNCTIONS = {
    "sigmoid": _sigmoid,
    "black_scholes": _black_scholes,
    "tanh_softplus": _tanh_softplus,
}


def _prepared(function: Any, problem: Problem, setting: Setting) -> Prepared:
    torch.set_num_threads(setting.threads)
    x = torch.tensor(problem.x, requires_grad=True)

    def both() -> Any:
        value = function(x)
        (gradient,) = torch.autograd.grad(value, x)
        return value, gradient

    def results() -> Any:
        value, gradient = both()
        return value.item(), gradient.numpy()

    return Prepared(both, results)


def eager(problem: Problem, setting: Setting) -> Prepared:
    """Operation by operation."""
    return _prepared(_FUNCTIONS[problem.function], problem, setting)


def compiled(problem: Problem, setting: Setting) -> Prepared:
    """Forward and backward compiled by Inductor."""
    return _prepared(torch.compile(_FUNCTIONS[problem.function]), problem, setting)
