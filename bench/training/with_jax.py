"""T1–T3 with JAX: the whole step under `jax.jit`, parameters and state donated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.training import BETA1, BETA2, EPSILON, MOMENTUM, RATES, Problem, Trainer, prepared
from bench.workload import Prepared, Setting


def _logits(parameters: Any, x: Any, activation: Callable[[Any], Any]) -> Any:
    for W, b in parameters[:-1]:
        x = activation(x @ W + b)
    W, b = parameters[-1]
    return x @ W + b


def _loss(problem: Problem) -> Callable[[Any, Any, Any], Any]:
    activation = jax.nn.relu if problem.activation == "relu" else jnp.tanh

    def cross_entropy(parameters: Any, x: Any, y: Any) -> Any:
        log_p = jax.nn.log_softmax(_logits(parameters, x, activation))
        return -jnp.mean(log_p[jnp.arange(len(y)), y])

    def binary_cross_entropy(parameters: Any, x: Any, y: Any) -> Any:
        z = _logits(parameters, x, activation)
        return jnp.mean(jnp.logaddexp(0, z) - y * z)

    return binary_cross_entropy if problem.binary else cross_entropy


def _momentum_step(problem: Problem) -> Callable[..., Any]:
    gradient = jax.value_and_grad(_loss(problem))
    rate = RATES["momentum"]

    def step(parameters: Any, velocity: Any, x: Any, y: Any) -> Any:
        loss, g = gradient(parameters, x, y)
        velocity = jax.tree.map(lambda v, d: MOMENTUM * v + d, velocity, g)
        parameters = jax.tree.map(lambda p, v: p - rate * v, parameters, velocity)
        return parameters, velocity, loss

    return step


def _adam_step(problem: Problem) -> Callable[..., Any]:
    gradient = jax.value_and_grad(_loss(problem))
    rate = RATES["adam"]

    def step(parameters: Any, state: Any, x: Any, y: Any) -> Any:
        loss, g = gradient(parameters, x, y)
        first, second, t = state
        t = t + 1
        first = jax.tree.map(lambda m, d: BETA1 * m + (1 - BETA1) * d, first, g)
        second = jax.tree.map(lambda v, d: BETA2 * v + (1 - BETA2) * d * d, second, g)

        def moved(p: Any, m: Any, v: Any) -> Any:
            return p - rate * (m / (1 - BETA1**t)) / (jnp.sqrt(v / (1 - BETA2**t)) + EPSILON)

        return jax.tree.map(moved, parameters, first, second), (first, second, t), loss

    return step


class _Network(Trainer):
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._adam = problem.optimiser == "adam"
        step = (_adam_step if self._adam else _momentum_step)(problem)
        self._step = jax.jit(step, donate_argnums=(0, 1))
        activation = jax.nn.relu if problem.activation == "relu" else jnp.tanh
        self._predict = jax.jit(lambda p, x: jnp.argmax(_logits(p, x, activation), axis=1))
        self.reset()

    def array(self, x: Any) -> Any:
        return jnp.asarray(x)

    def reset(self) -> None:
        self._weights = [(jnp.array(W), jnp.array(b)) for W, b in self._problem.weights]
        zeros = [jax.tree.map(jnp.zeros_like, self._weights) for _ in range(2)]
        self._state: Any = (*zeros, jnp.float32(0)) if self._adam else zeros[0]

    def caller(self, x: Any, y: Any) -> Callable[[], Any]:
        def call() -> Any:
            self._weights, self._state, loss = self._step(self._weights, self._state, x, y)
            return loss

        return call

    def loss(self, result: Any) -> float:
        return float(result)

    def finish(self) -> None:
        jax.block_until_ready(self._weights)

    def parameters(self) -> Any:
        return self._weights

    def predict(self, x: Any) -> Any:
        return np.asarray(self._predict(self._weights, x))


def trainer(problem: Problem, setting: Setting) -> Trainer:
    """For `bench.training.mnist`."""
    return _Network(problem)


def jit(problem: Problem, setting: Setting) -> Prepared:
    """Steps follow one another without waiting, as in a training loop; the last is waited for."""
    return prepared(_Network(problem), problem)
