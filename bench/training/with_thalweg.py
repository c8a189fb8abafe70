"""T1–T3 with Thalweg: a training step in plain NumPy, compiled as a whole."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from bench.training import BETA1, BETA2, EPSILON, MOMENTUM, RATES, Problem, Trainer, prepared
from bench.workload import Prepared, Setting
from thalweg.scipy.special import log_softmax


def _logits(parameters: Any, x: Any, activation: Callable[[Any], Any]) -> Any:
    for W, b in parameters[:-1]:
        x = activation(x @ W + b)
    W, b = parameters[-1]
    return x @ W + b


def _relu(z: Any) -> Any:
    return np.maximum(z, 0)


def loss_of(problem: Problem) -> Callable[[Any, Any, Any], Any]:
    """``loss(parameters, x, y)`` of the problem's network."""
    activation = _relu if problem.activation == "relu" else np.tanh

    def cross_entropy(parameters: Any, x: Any, y: Any) -> Any:
        log_p = log_softmax(_logits(parameters, x, activation), axis=1)
        return -np.mean(log_p[np.arange(len(y)), y])

    def binary_cross_entropy(parameters: Any, x: Any, y: Any) -> Any:
        z = _logits(parameters, x, activation)
        return np.mean(np.logaddexp(0, z) - y * z)

    return binary_cross_entropy if problem.binary else cross_entropy


def _momentum_step(problem: Problem) -> Callable[..., Any]:
    gradient = tw.value_and_grad(loss_of(problem))
    rate = RATES["momentum"]

    def step(parameters: Any, velocity: Any, x: Any, y: Any) -> Any:
        loss, g = gradient(parameters, x, y)
        velocity = [
            (MOMENTUM * vW + gW, MOMENTUM * vb + gb)
            for (vW, vb), (gW, gb) in zip(velocity, g, strict=True)
        ]
        parameters = [
            (W - rate * vW, b - rate * vb)
            for (W, b), (vW, vb) in zip(parameters, velocity, strict=True)
        ]
        return parameters, velocity, loss

    return step


def _adam_step(problem: Problem) -> Callable[..., Any]:
    gradient = tw.value_and_grad(loss_of(problem))
    rate = RATES["adam"]

    def moved(p: Any, m: Any, v: Any, t: Any) -> Any:
        return p - rate * (m / (1 - BETA1**t)) / (np.sqrt(v / (1 - BETA2**t)) + EPSILON)

    def step(parameters: Any, state: Any, x: Any, y: Any) -> Any:
        loss, g = gradient(parameters, x, y)
        first, second, t = state
        t = t + 1
        first = [
            tuple(BETA1 * m + (1 - BETA1) * d for m, d in zip(ms, ds, strict=True))
            for ms, ds in zip(first, g, strict=True)
        ]
        second = [
            tuple(BETA2 * v + (1 - BETA2) * d * d for v, d in zip(vs, ds, strict=True))
            for vs, ds in zip(second, g, strict=True)
        ]
        parameters = [
            tuple(moved(p, m, v, t) for p, m, v in zip(*layer, strict=True))
            for layer in zip(parameters, first, second, strict=True)
        ]
        return parameters, (first, second, t), loss

    return step


class _Eager(Trainer):
    """A step gives new arrays."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._adam = problem.optimiser == "adam"
        self._step = (_adam_step if self._adam else _momentum_step)(problem)
        self._fresh()

    def array(self, x: Any) -> Any:
        return x

    def reset(self) -> None:
        self._fresh()

    def _fresh(self) -> None:
        self._weights = [(W.copy(), b.copy()) for W, b in self._problem.weights]
        zeros = [[(W * 0, b * 0) for W, b in self._weights] for _ in range(2)]
        self._state: Any = (*zeros, np.array(0, np.float32)) if self._adam else zeros[0]

    def caller(self, x: Any, y: Any) -> Callable[[], Any]:
        def step() -> Any:
            self._weights, self._state, loss = self._step(self._weights, self._state, x, y)
            return loss

        return step

    def loss(self, result: Any) -> float:
        return float(result)

    def finish(self) -> None:
        pass

    def parameters(self) -> Any:
        return self._weights

    def predict(self, x: Any) -> Any:
        activation = _relu if self._problem.activation == "relu" else np.tanh
        return np.argmax(_logits(self._weights, x, activation), axis=1)


class _Compiled(_Eager):
    """The arrays stay the same; a step writes into them."""

    def __init__(self, problem: Problem, setting: Setting) -> None:
        super().__init__(problem)
        self._begun = [p.copy() for p in self._written()]
        self._step = tw.compile(
            self._step, inplace=(0, 1), backend=setting.backend, threads=setting.threads
        )

    def _written(self) -> list[Any]:
        state = self._state if self._adam else (self._state,)
        layers = [self._weights, *state[:2]]
        flat = [p for part in layers for layer in part for p in layer]
        return [*flat, *state[2:]]

    def reset(self) -> None:
        for p, begun in zip(self._written(), self._begun, strict=True):
            p[...] = begun

    def caller(self, x: Any, y: Any) -> Callable[[], Any]:
        return functools.partial(self._step, self._weights, self._state, x, y)

    def loss(self, result: Any) -> float:
        return float(result[2])


def trainer(problem: Problem, setting: Setting) -> Trainer:
    """The compiled step, for `bench.training.mnist`."""
    return _Compiled(problem, setting)


def compiled(problem: Problem, setting: Setting) -> Prepared:
    """The whole step in one native call that writes into parameters and state."""
    return prepared(_Compiled(problem, setting), problem)


def eager(problem: Problem, setting: Setting) -> Prepared:
    """The same step without `tw.compile`."""
    return prepared(_Eager(problem), problem)
