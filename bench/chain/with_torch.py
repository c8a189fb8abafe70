"""The chain with PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from bench.chain import Chain, program
from bench.workload import Prepared, Setting


def _prepared(function: Any, problem: Chain, setting: Setting) -> Prepared:
    torch.set_num_threads(setting.threads)
    x = torch.tensor(problem.x, requires_grad=True)

    def both() -> Any:
        value = function(x)
        return value, torch.autograd.grad(value, x)[0]

    def results() -> Any:
        value, gradient = both()
        return value.item(), gradient.numpy()

    return Prepared(both, results)


def _function(problem: Chain) -> Any:
    return lambda x: program(x, problem.operations, torch.sin, torch.tanh).sum()


def eager(problem: Chain, setting: Setting) -> Prepared:
    """Operation by operation."""
    return _prepared(_function(problem), problem, setting)


def compiled(problem: Chain, setting: Setting) -> Prepared:
    """Compiled by Inductor."""
    return _prepared(torch.compile(_function(problem)), problem, setting)


def warm(setting: Setting) -> None:
    """Another function, so that all is loaded that is loaded late."""
    x = torch.ones(3, requires_grad=True)
    torch.autograd.grad(torch.compile(lambda x: (x * x).sum())(x), x)
