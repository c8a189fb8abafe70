"""A two-layer network learns to tell two interleaved half circles apart."""

import numpy as np

import thalweg as tw

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 200)
y = np.arange(200) % 2
X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
X[y == 1] = np.array([1.0, 0.5]) - X[y == 1]
X += 0.1 * rng.normal(size=X.shape)


def loss(params):
    hidden = np.tanh(X @ params["W1"] + params["b1"])
    scores = hidden @ params["W2"] + params["b2"]
    return np.mean(np.logaddexp(0, scores) - y * scores)  # Bernoulli, with the sigmoid in it


params = {
    "W1": rng.normal(size=(2, 16)),
    "b1": np.zeros(16),
    "W2": rng.normal(size=16) / 4,
    "b2": 0.0,
}
for step in range(401):
    value, gradient = tw.value_and_grad(loss)(params)
    params = {name: params[name] - gradient[name] for name in params}
    if step % 100 == 0:
        print(f"step {step:3}: loss {value:.4f}")
hidden = np.tanh(X @ params["W1"] + params["b1"])
found = (hidden @ params["W2"] + params["b2"] > 0) == y
print(f"accuracy {np.mean(found):.3f}")
assert np.mean(found) > 0.97
