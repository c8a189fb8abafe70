"""T1–T3 by hand in NumPy: backpropagation with every array allocated once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.training import BETA1, BETA2, EPSILON, MOMENTUM, RATES, Problem, Trainer, prepared
from bench.workload import Prepared, Setting


class _Network(Trainer):
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._weights = [(W.copy(), b.copy()) for W, b in problem.weights]
        self._flat = [p for layer in self._weights for p in layer]
        self._gradient = [np.empty_like(p) for p in self._flat]
        self._m, self._v, self._scratch, self._other = (
            [np.zeros_like(p) for p in self._flat] for _ in range(4)
        )
        self._t = 0
        batch = len(problem.x)
        self._outs = [np.empty((batch, len(b)), np.float32) for _, b in self._weights]
        self._deltas = [np.empty_like(out) for out in self._outs]
        self._masks = [np.empty(out.shape, bool) for out in self._outs]
        self._rows = np.arange(batch)

    def array(self, x: Any) -> Any:
        return x

    def reset(self) -> None:
        begun = [p for layer in self._problem.weights for p in layer]
        for p, first, m, v in zip(self._flat, begun, self._m, self._v, strict=True):
            p[...], m[...], v[...] = first, 0, 0
        self._t = 0

    def _forward(self, x: Any) -> None:
        last = len(self._weights) - 1
        for k, ((W, b), out) in enumerate(zip(self._weights, self._outs, strict=True)):
            np.matmul(x, W, out=out)
            out += b
            if k < last:
                if self._problem.activation == "relu":
                    np.maximum(out, 0, out=out)
                else:
                    np.tanh(out, out=out)
            x = out

    def _loss_and_upstream(self, y: Any) -> float:
        z, delta = self._outs[-1], self._deltas[-1]
        if self._problem.binary:
            loss = float(np.mean(np.logaddexp(np.float32(0), z) - y * z))
            np.exp(-z, out=delta)
            delta += 1
            np.divide(1, delta, out=delta)
            delta -= y
        else:
            z -= z.max(axis=1, keepdims=True)
            np.exp(z, out=delta)
            total = delta.sum(axis=1, keepdims=True)
            loss = float(np.mean(np.log(total)[:, 0] - z[self._rows, y]))
            delta /= total
            delta[self._rows, y] -= 1
        delta *= np.float32(1 / len(z))
        return loss

    def _backward(self, x: Any) -> None:
        for k in range(len(self._weights) - 1, -1, -1):
            delta = self._deltas[k]
            h = self._outs[k - 1] if k else x
            np.matmul(h.T, delta, out=self._gradient[2 * k])
            np.sum(delta, axis=0, out=self._gradient[2 * k + 1])
            if not k:
                return
            below = self._deltas[k - 1]
            np.matmul(delta, self._weights[k][0].T, out=below)
            if self._problem.activation == "relu":
                np.greater(h, 0, out=self._masks[k - 1])
                below *= self._masks[k - 1]
            else:
                h *= h  # tanh′ = 1 − tanh²; h is not needed again
                np.subtract(1, h, out=h)
                below *= h

    def _momentum(self) -> None:
        rate = np.float32(RATES["momentum"])
        for p, g, v, s in zip(self._flat, self._gradient, self._m, self._scratch, strict=True):
            v *= np.float32(MOMENTUM)
            v += g
            np.multiply(v, rate, out=s)
            p -= s

    def _adam(self) -> None:
        """p ← p − η m̂ / (√v̂ + ε), with the bias corrections moved into η and ε."""
        self._t += 1
        root = (1 - BETA2**self._t) ** 0.5
        rate = RATES["adam"] * root / (1 - BETA1**self._t)
        everything = zip(
            self._flat, self._gradient, self._m, self._v, self._scratch, self._other, strict=True
        )
        for p, g, m, v, s, o in everything:
            m *= np.float32(BETA1)
            np.multiply(g, np.float32(1 - BETA1), out=s)
            m += s
            v *= np.float32(BETA2)
            np.multiply(g, g, out=s)
            s *= np.float32(1 - BETA2)
            v += s
            np.sqrt(v, out=s)
            s += np.float32(EPSILON * root)
            np.divide(m, s, out=o)
            o *= np.float32(rate)
            p -= o

    def _step(self, x: Any, y: Any) -> float:
        self._forward(x)
        loss = self._loss_and_upstream(y)
        self._backward(x)
        if self._problem.optimiser == "adam":
            self._adam()
        else:
            self._momentum()
        return loss

    def caller(self, x: Any, y: Any) -> Callable[[], Any]:
        return functools.partial(self._step, x, y)

    def loss(self, result: Any) -> float:
        return result

    def finish(self) -> None:
        pass

    def parameters(self) -> Any:
        return self._weights

    def predict(self, x: Any) -> Any:
        for W, b in self._weights[:-1]:
            x = np.maximum(x @ W + b, 0)
        W, b = self._weights[-1]
        return np.argmax(x @ W + b, axis=1)


def trainer(problem: Problem, setting: Setting) -> Trainer:
    """For `bench.training.mnist`."""
    return _Network(problem)


def by_hand(problem: Problem, setting: Setting) -> Prepared:
    """Forward, backward and update, in place."""
    return prepared(_Network(problem), problem)
