"""Convolution and pooling against plain loops and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

import thalweg as tw
from tests.layer_laws import check_layer
from thalweg.errors import ShapeError, UserError
from thalweg.nn import Affine, AvgPool2D, Conv2D, MaxPool2D, Sequential, activations

RNG = np.random.default_rng(0)
close = np.testing.assert_allclose


def loop_conv(x, W, b, stride):
    n, height, width, _ = x.shape
    rows, columns, _, out = W.shape
    shape = ((height - rows) // stride[0] + 1, (width - columns) // stride[1] + 1)
    y = np.zeros((n, *shape, out))
    for k, i, j, o in np.ndindex(*y.shape):
        top, left = i * stride[0], j * stride[1]
        y[k, i, j, o] = b[o] + np.sum(x[k, top : top + rows, left : left + columns] * W[..., o])
    return y


IMAGES = RNG.normal(size=(2, 5, 6, 2))


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 3)])
def test_conv(stride):
    W, b = RNG.normal(size=(3, 2, 2, 4)), RNG.normal(size=4)
    layer = Conv2D(W, b, stride)
    close(layer(IMAGES), loop_conv(IMAGES, W, b, stride), rtol=1e-11)
    check_layer(layer, IMAGES)
    same = Conv2D(W, b, stride, "same")
    # For ⌈5 / s⌉ places of windows of 3, and ⌈6 / s⌉ of windows of 2; the odd zero at the end.
    columns = {1: (0, 1), 2: (0, 0), 3: (0, 0)}[stride[1]]
    padded = np.pad(IMAGES, ((0, 0), (1, 1), columns, (0, 0)))
    out = same(IMAGES)
    assert out.shape == (2, -(-5 // stride[0]), -(-6 // stride[1]), 4)
    close(out, loop_conv(padded, W, b, stride), rtol=1e-11)
    check_layer(same, IMAGES)


def test_conv_starts_as_he():
    layer = Conv2D.create(0, 20, 30, (3, 5))
    assert abs(np.var(layer.W) / (2 / (3 * 5 * 20)) - 1) < 5 * np.sqrt(2 / layer.W.size)
    assert not layer.b.any()


def test_conv_same_against_scipy():
    W = RNG.normal(size=(3, 3, 1, 1))
    image = RNG.normal(size=(7, 6))
    expected = scipy.signal.correlate2d(image, W[..., 0, 0], mode="same")
    close(Conv2D(W, None, 1, "same")(image[None, ..., None])[0, ..., 0], expected, rtol=1e-11)


@pytest.mark.parametrize(("kind", "reduce"), [(MaxPool2D, np.max), (AvgPool2D, np.mean)])
@pytest.mark.parametrize(("window", "stride"), [(2, None), ((3, 2), (1, 2))])
def test_pooling(kind, reduce, window, stride):
    layer = kind(window, stride)
    (rows, columns), (down, right) = layer.window, layer.stride
    out = layer(IMAGES)
    assert out.shape == (2, (5 - rows) // down + 1, (6 - columns) // right + 1, 2)
    for k, i, j, c in np.ndindex(*out.shape):
        top, left = i * down, j * right
        close(out[k, i, j, c], reduce(IMAGES[k, top : top + rows, left : left + columns, c]))
    check_layer(layer, IMAGES)
    tw.check_grads(lambda x: np.sum(np.sin(layer(x))), (IMAGES,))


def test_a_small_convolutional_net():
    net = Sequential(
        [
            Conv2D.create(0, 2, 3, 3, padding="same", dtype=np.float32),
            activations.relu,
            MaxPool2D(2),
            lambda x: np.reshape(x, (len(x), -1)),
            Affine.create(1, 2 * 3 * 3, 2, dtype=np.float32),
        ]
    )
    x = IMAGES.astype(np.float32)
    assert net(x).shape == (2, 2)
    slope = tw.compile(tw.grad(lambda net: np.sum(net(x) ** 2)))(net)
    assert slope.layers[0].W.dtype == np.float32
    assert slope.layers[0].W.any()
    with pytest.raises(ShapeError, match=r"layer 0 of Sequential: Conv2D.*channels last"):
        net(x[..., :1])
    with pytest.raises(ShapeError, match="larger than the image"):
        Conv2D.create(0, 2, 3, 7)(x)
    for call in (
        lambda: Conv2D.create(0, 2, 3, 3, padding="full"),
        lambda: Conv2D.create(0, 2, 3, 3, stride=0),
        lambda: Conv2D.create(0, 2, 3, (3, 3, 3)),
        lambda: MaxPool2D(0),
    ):
        with pytest.raises(UserError):
            call()
