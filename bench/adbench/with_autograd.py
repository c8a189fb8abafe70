"""A1 with autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as np
from autograd.scipy.special import logsumexp

from bench.adbench import Mixture, constant, placement
from bench.workload import Prepared, Setting


def _objective(problem: Mixture) -> Callable[..., Any]:
    x, gamma, m = problem.x, problem.gamma, problem.m
    n, d = problem.x.shape
    place, fixed = placement(d), constant(problem)

    def objective(alphas: Any, means: Any, icf: Any) -> Any:
        q = icf[:, :d]
        zeros = np.zeros((len(alphas), 1))
        entries = np.concatenate([np.exp(q), icf[:, d:], zeros], axis=1)
        Q = entries[:, place]
        z = (x - means[:, None, :]) @ np.swapaxes(Q, 1, 2)
        main = alphas[:, None] + np.sum(q, axis=1)[:, None] - 0.5 * np.sum(z**2, axis=2)
        prior = 0.5 * gamma**2 * np.sum(entries**2) - m * np.sum(q)
        return np.sum(logsumexp(main, axis=0)) - n * logsumexp(alphas, axis=0) + prior + fixed

    return objective


def eager(problem: Mixture, setting: Setting) -> Prepared:
    """`autograd.value_and_grad` of all three arguments as one tuple."""
    objective = _objective(problem)
    both = autograd.value_and_grad(lambda point: objective(*point))
    point = (problem.alphas, problem.means, problem.icf)

    def results() -> Any:
        value, gradient = both(point)
        return [value, *gradient]

    return Prepared(lambda: both(point), results)
