"""A training step as one native call: gradients, Python control flow and memory in place."""

import numpy as np

import thalweg as tw

rng = np.random.default_rng(0)
x = rng.standard_normal((64, 3))
y = np.tanh(x @ np.array([1.0, -2.0, 0.5])) + 0.25


def loss(params, x, y):
    hidden = np.tanh(x @ params["W"] + params["b"])
    return np.mean((hidden @ params["v"] - y) ** 2)


@tw.compile(inplace=(0, 1))
def step(params, momentum, x, y, rate):
    value, gradient = tw.value_and_grad(loss)(params, x, y)
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
    if norm > 1:  # a branch: both ways are compiled, the first time that they are taken
        gradient = {k: g / norm for k, g in gradient.items()}
    momentum = {k: 0.9 * momentum[k] + gradient[k] for k in gradient}
    return {k: params[k] - rate * momentum[k] for k in params}, momentum, value


params = {"W": rng.standard_normal((3, 8)), "b": np.zeros(8), "v": rng.standard_normal(8)}
momentum = {k: np.zeros_like(p) for k, p in params.items()}
weights = params["W"]
for i in range(500):
    params, momentum, value = step(params, momentum, x, y, 0.05 if i < 400 else 0.01)
assert params["W"] is weights  # the same memory all the time
assert value < 0.01
assert len(step.records) == 2
print(step.explain())
