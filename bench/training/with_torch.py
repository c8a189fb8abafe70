"""T1–T3 with PyTorch: its layers, its losses, its fused optimisers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bench.training import BETA1, BETA2, EPSILON, MOMENTUM, RATES, Problem, Trainer, prepared
from bench.workload import Prepared, Setting


class _Network(Trainer):
    def __init__(self, problem: Problem, setting: Setting, compile_it: bool) -> None:
        torch.set_num_threads(setting.threads)
        self._problem = problem
        activation = nn.ReLU if problem.activation == "relu" else nn.Tanh
        self._linear = [nn.Linear(*W.shape) for W, _ in problem.weights]
        layers: list[nn.Module] = []
        for linear in self._linear:
            layers += [linear, activation()]
        self._model = nn.Sequential(*layers[:-1])
        self._criterion = (
            functional.binary_cross_entropy_with_logits
            if problem.binary
            else functional.cross_entropy
        )
        self._objective = torch.compile(self._forward) if compile_it else self._forward
        self.reset()

    def _forward(self, x: Any, y: Any) -> Any:
        return self._criterion(self._model(x), y)

    def array(self, x: Any) -> Any:
        return torch.tensor(x)

    def reset(self) -> None:
        with torch.no_grad():
            for linear, (W, b) in zip(self._linear, self._problem.weights, strict=True):
                linear.weight.copy_(torch.tensor(W.T))
                linear.bias.copy_(torch.tensor(b))
        parameters = self._model.parameters()
        rate = RATES[self._problem.optimiser]
        self._optimiser: torch.optim.Optimizer
        if self._problem.optimiser == "adam":
            self._optimiser = torch.optim.Adam(
                parameters, lr=rate, betas=(BETA1, BETA2), eps=EPSILON, fused=True
            )
        else:
            self._optimiser = torch.optim.SGD(parameters, lr=rate, momentum=MOMENTUM, fused=True)

    def _step(self, x: Any, y: Any) -> Any:
        self._optimiser.zero_grad()
        loss = self._objective(x, y)
        loss.backward()
        self._optimiser.step()
        return loss

    def caller(self, x: Any, y: Any) -> Callable[[], Any]:
        return functools.partial(self._step, x, y)

    def loss(self, result: Any) -> float:
        return result.item()

    def finish(self) -> None:
        pass

    def parameters(self) -> Any:
        return [(n.weight.detach().numpy().T, n.bias.detach().numpy()) for n in self._linear]

    def predict(self, x: Any) -> Any:
        with torch.no_grad():
            return self._model(torch.as_tensor(x)).argmax(dim=1).numpy()


def trainer(problem: Problem, setting: Setting) -> Trainer:
    """The eager one, for `bench.training.mnist`."""
    return _Network(problem, setting, False)


def eager(problem: Problem, setting: Setting) -> Prepared:
    """Operation by operation."""
    return prepared(_Network(problem, setting, False), problem)


def compiled(problem: Problem, setting: Setting) -> Prepared:
    """Network and loss compiled by Inductor, forward and backward."""
    return prepared(_Network(problem, setting, True), problem)
