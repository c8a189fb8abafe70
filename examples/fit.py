"""Training that can be stopped and started again: the result has the same bits."""

import tempfile

import numpy as np

import thalweg as tw

rng = np.random.default_rng(0)
x = rng.uniform(-2, 2, size=(400, 1))
y = np.sin(2 * x[:, 0]) + 0.05 * rng.normal(size=400)
start = {"W": rng.normal(size=(1, 32)), "b": rng.normal(size=32), "v": np.zeros(32)}


def loss(params, x, y):
    hidden = np.tanh(x @ params["W"] + params["b"])
    return np.mean((hidden @ params["v"] - y) ** 2)


def train(epochs, **options):
    return tw.fit(
        start,
        loss,
        (x[:300], y[:300]),
        optimiser=tw.optim.Adam(0.02),
        epochs=epochs,
        batch_size=50,
        validation=(x[300:], y[300:]),
        **options,
    )


whole = train(150)
with tempfile.TemporaryDirectory() as folder:
    train(70, checkpoint=folder, resume=True)  # as if it had been killed here
    resumed = train(150, checkpoint=folder, resume=True)
assert resumed.history == whole.history
assert all(np.array_equal(resumed.model[name], whole.model[name]) for name in start)
best = whole.history["validation"][whole.best_epoch - 1]
assert best < 0.01
print(f"validation {best:.4f} in epoch {whole.best_epoch} of {whole.epochs}")
