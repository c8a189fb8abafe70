"""A small convolutional net on digits: BatchNorm, Dropout and accuracy in `tw.fit`."""

import numpy as np
from sklearn.datasets import load_digits

import thalweg as tw
from thalweg.nn import Affine, BatchNorm, Conv2D, Dropout, MaxPool2D, Sequential
from thalweg.nn.activations import relu
from thalweg.nn.losses import cross_entropy

x, y = load_digits(return_X_y=True)
x = (x / 16).astype(np.float32).reshape(-1, 8, 8, 1)
order = np.random.default_rng(0).permutation(len(y))
train, held, test = np.split(order, [1200, 1400])


def flat(x):
    return np.reshape(x, (x.shape[0], -1))


def block(seed, n_in, n_out):
    convolution = Conv2D.create(seed, n_in, n_out, 3, padding="same", bias=False, dtype=np.float32)
    return Sequential([convolution, BatchNorm.create(n_out, dtype=np.float32), relu, MaxPool2D(2)])


net = Sequential(
    [block(0, 1, 16), block(1, 16, 32), flat, Dropout(0.3), Affine.create(2, 128, 10, dtype="f4")]
)


def loss(net, x, y, *, key, train):
    logits, net = net.advance(x, key=key) if train else (net(x), net)
    return cross_entropy(logits, y), {"model": net, "accuracy": np.mean(logits.argmax(1) == y)}


found = tw.fit(
    net,
    loss,
    (x[train], y[train]),
    optimiser=tw.optim.AdamW(tw.optim.OneCycle(0.01, steps=15 * 19)),
    epochs=15,
    batch_size=64,
    validation=(x[held], y[held]),
)
accuracy = np.mean(found.model(x[test]).argmax(1) == y[test])
print(net)
print(f"{found.steps} steps, accuracy on digits that it has not seen: {accuracy:.3f}")
assert accuracy > 0.97
