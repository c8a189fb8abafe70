"""A1 with Thalweg: the objective in plain NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from bench.adbench import Mixture, constant, placement
from bench.workload import Prepared, Setting
from thalweg.scipy.special import logsumexp


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


def _prepared(problem: Mixture, both: Any) -> Prepared:
    point = (problem.alphas, problem.means, problem.icf)

    def results() -> Any:
        value, gradient = both(*point)
        return [value, *gradient]

    return Prepared(functools.partial(both, *point), results)


def compiled(problem: Mixture, setting: Setting) -> Prepared:
    """Value and gradient in one compiled function."""
    both = tw.value_and_grad(_objective(problem), argnums=(0, 1, 2))
    return _prepared(problem, tw.compile(both, backend=setting.backend, threads=setting.threads))


def eager(problem: Mixture, setting: Setting) -> Prepared:
    """The same without `tw.compile`."""
    return _prepared(problem, tw.value_and_grad(_objective(problem), argnums=(0, 1, 2)))
