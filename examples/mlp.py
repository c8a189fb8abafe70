"""A multilayer perceptron, trained by `fit`, tells two moons apart that it has not seen."""

import numpy as np

import thalweg as tw
from thalweg.nn import MLP
from thalweg.nn.losses import binary_cross_entropy

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 600)
y = np.arange(600) % 2
x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
x[y == 1] = np.array([1.0, 0.5]) - x[y == 1]
x += 0.1 * rng.normal(size=x.shape)


def loss(net, x, y):
    return binary_cross_entropy(net(x)[:, 0], y)


def accuracy(net, x, y):
    return np.mean((net(x)[:, 0] > 0) == y)


net = MLP.create(rng, (2, 16, 16, 1))
print(net)
found = tw.fit(
    net,
    loss,
    (x[:400], y[:400]),
    optimiser=tw.optim.Adam(0.01),
    epochs=60,
    validation=(x[400:], y[400:]),
    metrics={"accuracy": accuracy},
)
reached = found.history["accuracy"][found.best_epoch - 1]
print(f"validation: loss {min(found.history['validation']):.4f}, accuracy {reached:.3f}")
assert reached > 0.97
