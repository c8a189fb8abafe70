"""Hessians three ways, and third derivatives, on ten functions from practice."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw

RNG = np.random.default_rng(4)
A = RNG.standard_normal((6, 4))
B = RNG.standard_normal(6)
INPUTS = RNG.standard_normal((7, 3))
TARGETS = np.sin(INPUTS.sum(axis=1))
SIGNS = np.sign(TARGETS)
LABELS = np.array([0, 2, 1, 1, 0, 2, 2])
SPD = A.T @ A + np.eye(4)


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def log_sum_exp_affine(x):
    return np.log(np.sum(np.exp(A @ x + B)))


def two_layer_net(p):
    w1, b1, w2 = p[:12].reshape(3, 4), p[12:16], p[16:20]
    hidden = np.tanh(INPUTS @ w1 + b1)
    return np.mean((hidden @ w2 - TARGETS) ** 2)


def gaussian_process_likelihood(p):
    """Log marginal likelihood over the logs of length scale, amplitude and noise."""
    length, amplitude, noise = np.exp(p[0]), np.exp(p[1]), np.exp(p[2])
    apart = INPUTS[:, None, :] - INPUTS[None, :, :]
    k = amplitude**2 * np.exp(-0.5 * np.sum(apart**2, axis=-1) / length**2)
    factor = np.linalg.cholesky(k + noise**2 * np.eye(len(INPUTS)))
    half = np.linalg.solve(factor, TARGETS)
    logdet = 2.0 * np.sum(np.log(np.diagonal(factor)))
    return -0.5 * (np.dot(half, half) + logdet + len(INPUTS) * np.log(2 * np.pi))


def logistic_regression(w):
    return np.sum(np.logaddexp(0.0, -SIGNS * (INPUTS @ w))) + 0.05 * np.dot(w, w)


def himmelblau(p):
    x, y = p
    return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2


def ackley(x):
    root = np.sqrt(np.mean(x**2))
    waves = np.exp(np.mean(np.cos(2 * np.pi * x)))
    return -20.0 * np.exp(-0.2 * root) - waves + 20.0 + np.e


def softmax_cross_entropy(p):
    scores = INPUTS @ p[:9].reshape(3, 3) + p[9:]
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.mean(log_p[np.arange(len(LABELS)), LABELS])


def products_with_zeros(x):
    return np.prod(x) + np.sum(np.prod(np.stack([x, x[::-1], x**2]), axis=0)) + x[0] ** 2 * x[1]


def quadratic_forms(x):
    inverse_form = np.dot(x, np.linalg.solve(SPD + np.einsum("i,j->ij", x, x), x))
    return np.einsum("i,ij,j->", x, SPD, x) * 0.5 + inverse_form


FUNCTIONS = {
    rosenbrock: RNG.uniform(-1, 1, 5),
    log_sum_exp_affine: RNG.standard_normal(4),
    two_layer_net: RNG.standard_normal(20),
    gaussian_process_likelihood: np.array([0.3, -0.2, -1.0]),
    logistic_regression: RNG.standard_normal(3),
    himmelblau: np.array([1.3, -0.4]),
    ackley: RNG.standard_normal(4),
    softmax_cross_entropy: RNG.standard_normal(12),
    products_with_zeros: np.array([0.7, 0.0, -1.2, 0.0]),
    quadratic_forms: RNG.standard_normal(4),
}
ALL = pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)


def basis(x):
    return list(np.eye(x.size))


def forward_over_reverse(f, x):
    return np.stack([tw.jvp(tw.grad(f), (x,), (e,))[1] for e in basis(x)])


def reverse_over_reverse(f, x):
    return np.stack([tw.grad(lambda y, e=e: np.sum(tw.grad(f)(y) * e))(x) for e in basis(x)])


def reverse_over_forward(f, x):
    return np.stack([tw.grad(lambda y, e=e: tw.jvp(f, (y,), (e,))[1])(x) for e in basis(x)])


def assert_close(a, b, tolerance=1e-12):
    """Equal to `tolerance` of the largest entry."""
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.max(np.abs(b)))


@ALL
def test_three_ways(f):
    x = FUNCTIONS[f]
    first = forward_over_reverse(f, x)
    assert np.all(np.isfinite(first))
    assert_close(reverse_over_reverse(f, x), first)
    assert_close(reverse_over_forward(f, x), first)
    assert_close(first.T, first)
    assert_close(tw.hessian(f)(x), first)
    v = RNG.standard_normal(x.size)
    assert_close(tw.hvp(f, (x,), (v,)), first @ v)


@ALL
def test_against_differences(f):
    x, h = FUNCTIONS[f], 1e-5
    gradient = tw.grad(f)
    rows = [(gradient(x + h * e) - gradient(x - h * e)) / (2 * h) for e in basis(x)]
    assert_close(np.stack(rows), tw.hessian(f)(x), 1e-7)
    slopes = [(f(x + h * e) - f(x - h * e)) / (2 * h) for e in basis(x)]
    assert_close(np.stack(slopes), gradient(x), 1e-7)


@ALL
def test_third_derivatives(f):
    """d³f(u, v, w) along directions, with the modes in five orders."""
    x = FUNCTIONS[f]
    rng = np.random.default_rng(5)
    u, v, w = (rng.standard_normal(x.size) for _ in range(3))

    def forward(g, t):
        return lambda y: tw.jvp(g, (y,), (t,))[1]

    def reverse(g, t):
        return lambda y: np.sum(tw.grad(g)(y) * t)

    expected = forward(forward(forward(f, u), v), w)(x)
    scale = abs(expected) + np.max(np.abs(tw.hessian(f)(x)))
    for modes in ("rrr", "rfr", "frr", "rrf", "ffr"):
        g = f
        for mode, t in zip(modes, (u, v, w), strict=True):
            g = (forward if mode == "f" else reverse)(g, t)
        assert abs(g(x) - expected) <= 1e-11 * scale, modes
    if x.size <= 5:
        tensor = tw.jacobian(tw.hessian(f))(x)
        assert abs(np.einsum("ijk,i,j,k->", tensor, u, v, w) - expected) <= 1e-11 * scale
        np.testing.assert_allclose(tensor, np.transpose(tensor, (2, 0, 1)), atol=1e-10 * scale)


def test_closed_forms():
    x, y = FUNCTIONS[himmelblau]
    mixed = 4 * x + 4 * y
    expected = [[12 * x**2 + 4 * y - 42, mixed], [mixed, 12 * y**2 + 4 * x - 26]]
    assert_close(tw.hessian(himmelblau)(np.array([x, y])), np.array(expected))
    z = FUNCTIONS[log_sum_exp_affine]
    p = np.exp(A @ z + B)
    p /= p.sum()
    covariance = A.T @ (np.diag(p) - np.outer(p, p)) @ A
    assert_close(tw.hessian(log_sum_exp_affine)(z), covariance)
