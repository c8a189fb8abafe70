"""T1–T3 with scikit-learn: the step inside `MLPClassifier`, without its checks around it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from bench.training import BETA1, BETA2, EPSILON, MOMENTUM, RATES, Problem, Trainer, prepared
from bench.workload import Prepared, Setting


class _Network(Trainer):
    """`_backprop` and the optimiser, as `MLPClassifier._fit_stochastic` calls them for a batch."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._adam = problem.optimiser == "adam"
        labels = [0, 1] if problem.binary else np.arange(len(problem.weights[-1][1]))
        self._model = MLPClassifier(
            hidden_layer_sizes=[len(b) for _, b in problem.weights[:-1]],
            activation=problem.activation,
            alpha=0.0,
            max_iter=1,
        )
        # One call of the public method makes all that a step needs.
        y = problem.y[:, 0].astype(int) if problem.binary else problem.y
        self._model.partial_fit(problem.x, y, classes=labels)
        self._classes = len(labels)
        self.reset()

    def array(self, x: Any) -> Any:
        if x.dtype == np.int64:
            return np.eye(self._classes, dtype=np.float32)[x]
        return x

    def reset(self) -> None:
        model, weights = self._model, self._problem.weights
        model.coefs_ = [W.copy() for W, _ in weights]
        model.intercepts_ = [b.copy() for _, b in weights]
        self._parameters = model.coefs_ + model.intercepts_
        rate = RATES[self._problem.optimiser]
        self._optimiser = (
            AdamOptimizer(self._parameters, rate, BETA1, BETA2, EPSILON)
            if self._adam
            else SGDOptimizer(self._parameters, rate, "constant", MOMENTUM, nesterov=False)
        )

    def caller(self, x: Any, y: Any) -> Callable[[], Any]:
        n = len(self._problem.weights)
        activations = [x, *[None] * n]
        deltas, coefs, intercepts = [None] * n, [None] * n, [None] * n
        return functools.partial(self._step, x, y, activations, deltas, coefs, intercepts)

    def _step(
        self, x: Any, y: Any, activations: Any, deltas: Any, coefs: Any, intercepts: Any
    ) -> Any:
        activations[0] = x
        loss, coefs, intercepts = self._model._backprop(
            x, y, None, activations, deltas, coefs, intercepts
        )
        if self._adam:  # its ε stands inside the bias correction; everybody else's outside
            self._optimiser.epsilon = EPSILON * (1 - BETA2 ** (self._optimiser.t + 1)) ** 0.5
        self._optimiser.update_params(self._parameters, coefs + intercepts)
        return loss

    def loss(self, result: Any) -> float:
        return float(result)

    def finish(self) -> None:
        pass

    def parameters(self) -> Any:
        return list(zip(self._model.coefs_, self._model.intercepts_, strict=True))

    def predict(self, x: Any) -> Any:
        return self._model.predict(x)


def internals(problem: Problem, setting: Setting) -> Prepared:
    """A version of scikit-learn with other internals makes this fail, and it is left out."""
    return prepared(_Network(problem), problem)
