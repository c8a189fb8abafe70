"""A primitive of your own: value and local Jacobian; every order and both modes follow."""

import numpy as np

import thalweg as tw


@tw.primitive
def lambert_w(x):
    """W with W e^W = x, by Halley's iteration (values: no derivative is taken of this loop)."""
    w = np.log1p(x)
    for _ in range(20):
        residual = w * np.exp(w) - x
        slope = np.exp(w) * (w + 1)
        w = w - residual / (slope - (w + 2) * residual / (2 * w + 2))
    return w


@lambert_w.local
def _(out, x):
    return tw.kinds.Diagonal(1 / (np.exp(out) * (1 + out)))


x = np.array([0.5, 1.0, 2.0])
print(lambert_w(x))
print(tw.grad(lambda x: np.sum(lambert_w(x)))(x))
print(tw.check_primitive(lambert_w, x))
