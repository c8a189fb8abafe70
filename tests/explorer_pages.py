"""Functions whose traces the tests of the explorer look at."""

from __future__ import annotations

import numpy as np

import thalweg as tw


def circuit(x, y, z):
    q = x + y
    return q * z


def neuron(w0, x0, w1, x1, w2):
    s = w0 * x0 + w1 * x1 + w2
    return 1 / (1 + np.exp(-s))


def affine(X, W, b):
    q = X @ W + b
    return np.sum(np.maximum(q, 0) ** 2)


def fan_out(x, y):
    a = x * y
    return a * a + np.sin(a) + a


def classifier(params, X, labels):
    h = np.tanh(X @ params["W1"] + params["b1"])
    h = np.tanh(h @ params["W2"] + params["b2"])
    scores = h @ params["W3"] + params["b3"]
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    logp = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(len(labels)), labels])


def chain(x, w, steps):
    y = x
    for _ in range(steps):
        y = np.tanh(y * w)
    return y


def recurrent(x, h, u, steps):
    for _ in range(steps):
        z = 1 / (1 + np.exp(-(u * h + x)))
        r = 1 / (1 + np.exp(-(u * h - x)))
        n = np.tanh(x + r * h)
        h = z * h + (1 - z) * n
    return h


def traces():
    """Name → trace, from three nodes to a classifier."""
    rng = np.random.default_rng(0)
    shapes = [(64, 64), (64, 64), (64, 10)]
    params = {f"W{i}": rng.normal(size=s) / 8 for i, s in enumerate(shapes, 1)}
    params |= {f"b{i}": rng.normal(size=s[1]) for i, s in enumerate(shapes, 1)}
    return {
        "circuit": tw.trace(circuit, -2, 5, -4),
        "neuron": tw.trace(neuron, 2.0, -1.0, -3.0, -2.0, -3.0),
        "affine": tw.trace(
            affine, rng.normal(size=(3, 2)), rng.normal(size=(2, 4)), rng.normal(size=4)
        ),
        "fan_out": tw.trace(fan_out, 1.5, -0.25),
        "classifier": tw.trace(
            classifier, params, rng.normal(size=(32, 64)), rng.integers(0, 10, 32)
        ),
    }
