"""T1–T3 with PyTensor: shared variables and updates, its default compiler (Numba)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from bench.training import BETA1, BETA2, EPSILON, MOMENTUM, RATES, Problem, Trainer, prepared
from bench.workload import Prepared, Setting


def _loss(problem: Problem, weights: Any, x: Any, y: Any) -> Any:
    for W, b in weights[:-1]:
        x = x @ W + b
        x = pt.maximum(x, 0) if problem.activation == "relu" else pt.tanh(x)
    W, b = weights[-1]
    z = x @ W + b
    if problem.binary:
        return pt.mean(pt.softplus(z) - y * z)
    log_p = pt.special.log_softmax(z, axis=1)
    return -pt.mean(log_p[pt.arange(y.shape[0]), y])


def _zeros(p: Any) -> Any:
    return pytensor.shared(np.zeros_like(p.get_value()))


def _momentum(flat: Any, gradient: Any) -> tuple[Any, Any]:
    rate = np.float32(RATES["momentum"])
    state, updates = [], []
    for p, g in zip(flat, gradient, strict=True):
        v = _zeros(p)
        moved = np.float32(MOMENTUM) * v + g
        state.append(v)
        updates += [(v, moved), (p, p - rate * moved)]
    return state, updates


def _adam(flat: Any, gradient: Any) -> tuple[Any, Any]:
    b1, b2 = np.float32(BETA1), np.float32(BETA2)
    one, rate = np.float32(1), np.float32(RATES["adam"])
    t = pytensor.shared(np.float32(0))
    now = t + one
    state, updates = [t], [(t, now)]
    for p, g in zip(flat, gradient, strict=True):
        m, v = _zeros(p), _zeros(p)
        first, second = b1 * m + (one - b1) * g, b2 * v + (one - b2) * g * g
        corrected = first / (one - b1**now)
        step = corrected / (pt.sqrt(second / (one - b2**now)) + np.float32(EPSILON))
        state += [m, v]
        updates += [(m, first), (v, second), (p, p - rate * step)]
    return state, updates


class _Network(Trainer):
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._weights = [(pytensor.shared(W), pytensor.shared(b)) for W, b in problem.weights]
        self._flat = [p for layer in self._weights for p in layer]
        x, y = pt.fmatrix("x"), pt.fmatrix("y") if problem.binary else pt.lvector("y")
        loss = _loss(problem, self._weights, x, y)
        rule = _adam if problem.optimiser == "adam" else _momentum
        self._state, updates = rule(self._flat, pytensor.grad(loss, self._flat))
        self._step = pytensor.function([x, y], loss, updates=updates, trust_input=True)

    def array(self, x: Any) -> Any:
        return x

    def reset(self) -> None:
        begun = [p for layer in self._problem.weights for p in layer]
        for p, first in zip(self._flat, begun, strict=True):
            p.set_value(first)
        for s in self._state:
            s.set_value(np.zeros_like(s.get_value()))

    def caller(self, x: Any, y: Any) -> Callable[[], Any]:
        return functools.partial(self._step, x, y)

    def loss(self, result: Any) -> float:
        return float(result)

    def finish(self) -> None:
        pass

    def parameters(self) -> Any:
        return [(W.get_value(), b.get_value()) for W, b in self._weights]

    def predict(self, x: Any) -> Any:
        raise NotImplementedError


def function(problem: Problem, setting: Setting) -> Prepared:
    """One compiled function a step, inputs trusted."""
    return prepared(_Network(problem), problem)
