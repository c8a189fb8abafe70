"""Functions whose traces the tests of the explorer look at."""

from __future__ import annotations

import numpy as np

import thalweg as tw
from thalweg import heads
from thalweg.scipy import linalg


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


def density_network(params, x, y):
    """A mixture density network: a hidden layer, and a mixture of three Gaussians a row."""
    hidden = np.tanh(x @ params["W"] + params["b"])
    return np.mean(heads.MixtureDensity(3)(hidden @ params["V"]).nll(y))


def gated(cell, xs, y):
    """A GRU over the steps of a sequence."""
    h = np.zeros((xs.shape[1], 4))
    for x in xs:
        h = cell(h, x)
    return np.mean((h - y) ** 2)


def process(log_length, log_noise, x, y):
    """The log-likelihood of a Gaussian process, by way of a Cholesky factor."""
    apart = (x[:, None] - x[None, :]) / np.exp(log_length)
    covariance = np.exp(-0.5 * apart**2) + np.exp(log_noise) * np.eye(len(x))
    factor = np.linalg.cholesky(covariance)
    white = linalg.solve_triangular(factor, y, lower=True)
    return -0.5 * np.sum(white**2) - np.sum(np.log(np.diag(factor)))


def many(x, w):
    """Ten thousand numbers: a hundred in a column, each from two of the column before."""
    rng = np.random.default_rng(0)
    column = [x + k / 100 for k in range(100)]
    for _ in range(98):
        others = [column[i] for i in rng.permutation(100)]
        pairs = zip(column, others, strict=True)
        column = [[a - b, np.sin(a), a * w, a + b][k % 4] for k, (a, b) in enumerate(pairs)]
    return sum(column)


def gallery():
    """Name → what makes the trace: graphs from three nodes to ten thousand."""
    rng = np.random.default_rng(0)
    weights = {"W": rng.normal(size=(1, 8)), "b": rng.normal(size=8), "V": rng.normal(size=(8, 9))}
    x = rng.uniform(-1, 1, size=(20, 1))
    steps = rng.normal(size=(20, 2, 3))
    places = np.linspace(0, 3, 12)
    return {
        "circuit": lambda: tw.trace(circuit, -2, 5, -4),
        "neuron": lambda: tw.trace(neuron, 2.0, -1.0, -3.0, -2.0, -3.0),
        "classifier": lambda: traces()["classifier"],
        "density network": lambda: tw.trace(density_network, weights, x, np.sin(3 * x[:, 0])),
        "GRU, 20 steps": lambda: tw.trace(
            gated, tw.nn.GRUCell.create(0, 3, 4), steps, np.ones((2, 4))
        ),
        "Cholesky": lambda: tw.trace(process, -0.5, -3.0, places, np.sin(places)),
        "ten thousand": lambda: tw.trace(many, 0.5, 0.9),
    }


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
