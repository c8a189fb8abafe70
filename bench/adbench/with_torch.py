"""A1 with PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bench.adbench import Mixture, constant, placement
from bench.workload import Prepared, Setting


def _objective(problem: Mixture) -> Callable[..., Any]:
    x, gamma, m = torch.tensor(problem.x), problem.gamma, problem.m
    n, d = problem.x.shape
    place, fixed = torch.tensor(placement(d)), constant(problem)

    def objective(alphas: Any, means: Any, icf: Any) -> Any:
        q = icf[:, :d]
        zeros = torch.zeros((len(alphas), 1), dtype=torch.float64)
        entries = torch.concatenate([torch.exp(q), icf[:, d:], zeros], dim=1)
        Q = entries[:, place]
        z = (x - means[:, None, :]) @ torch.swapaxes(Q, 1, 2)
        main = alphas[:, None] + torch.sum(q, dim=1)[:, None] - 0.5 * torch.sum(z**2, dim=2)
        prior = 0.5 * gamma**2 * torch.sum(entries**2) - m * torch.sum(q)
        return (
            torch.sum(torch.logsumexp(main, dim=0))
            - n * torch.logsumexp(alphas, dim=0)
            + prior
            + fixed
        )

    return objective


def eager(problem: Mixture, setting: Setting) -> Prepared:
    """Operation by operation."""
    torch.set_num_threads(setting.threads)
    objective = _objective(problem)
    parts = (problem.alphas, problem.means, problem.icf)
    point = [torch.tensor(part, requires_grad=True) for part in parts]

    def both() -> Any:
        value = objective(*point)
        return value, torch.autograd.grad(value, point)

    def results() -> Any:
        value, gradient = both()
        return [value.item(), *(part.numpy() for part in gradient)]

    return Prepared(both, results)
