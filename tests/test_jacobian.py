"""jacobian and hessian: shapes, trees, modes, dtypes, complex numbers, limits, nesting."""

from __future__ import annotations

import re
from collections import namedtuple

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DtypeError, NonScalarOutputError, SizeLimitError

RNG = np.random.default_rng(1)
X = RNG.standard_normal(4)
A = RNG.standard_normal((3, 4))
Z = RNG.standard_normal(3) + 1j * RNG.standard_normal(3)

Pair = namedtuple("Pair", "a b")


def differences(f, x, h=1e-6):
    """Columns of central differences, of shape out + in."""
    x = np.asarray(x)
    columns = []
    for k in range(x.size):
        step = np.zeros(x.size)
        step[k] = h
        step = step.reshape(x.shape)
        columns.append((np.asarray(f(x + step)) - np.asarray(f(x - step))) / (2 * h))
    shape = np.shape(f(x))
    return np.moveaxis(np.reshape(columns, (x.size, *shape)), 0, -1).reshape((*shape, *x.shape))


# ---- shapes and modes ---------------------------------------------------------------------

FUNCTIONS = {
    "wide": (lambda x: np.tanh(A @ x), X),
    "tall": (lambda x: np.sin(A.T @ x), X[:3]),
    "scalar in": (lambda s: np.exp(s * X), 0.3),
    "scalar out": (lambda x: np.sum(x**3), X),
    "scalar both": (np.sin, 0.7),
    "matrices": (lambda m: np.sin(m @ A), A.T),
    "not everything used": (lambda x: x[1:3] ** 2, X),
    "constant rows": (lambda x: np.zeros(2, like=x), X),
    "identity": (lambda x: x, X),
    "broadcast": (lambda x: x[:, None] * np.ones((4, 2)), X),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_differences(name):
    f, x = FUNCTIONS[name]
    got = tw.jacobian(f)(x)
    assert np.shape(got) == np.shape(f(np.asarray(x))) + np.shape(x)
    np.testing.assert_allclose(got, differences(f, x), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_and_columns_agree(name, monkeypatch):
    """Both modes give the same numbers, also when the basis is cut into pieces."""
    f, x = FUNCTIONS[name]
    expected = tw.jacobian(f)(x)
    monkeypatch.setattr("thalweg.transforms.batch._CHUNK_BYTES", 1)
    np.testing.assert_array_equal(tw.jacobian(f)(x), expected)
    forward = tw.jvp
    x = np.asarray(x)
    for k in range(x.size):
        t = np.zeros(x.size)
        t[k] = 1.0
        column = forward(f, (x,), (t.reshape(x.shape),))[1]
        got = expected.reshape(*np.shape(column), x.size)[..., k]
        np.testing.assert_allclose(got, column, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    "f", [lambda x: np.sin(x) * 2, lambda x: np.sum(np.sin(x), axis=0), lambda x: np.sin(x)[:0]]
)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3,)])
def test_empty_compiled(f, shape):
    jacobian, x = tw.jacobian(f), np.ones(shape)
    np.testing.assert_array_equal(tw.compile(jacobian)(x), jacobian(x))


def test_empty():
    assert tw.jacobian(lambda x: x[:0])(X).shape == (0, 4)
    assert tw.jacobian(lambda x: np.sum(x) * X)(X[:0]).shape == (4, 0)
    assert tw.hessian(np.sum)(X[:0]).shape == (0, 0)


def test_it_is_vectorised():
    """The function runs once, however many rows there are."""
    calls = []

    def f(x):
        calls.append(1)
        return np.tanh(A @ x)

    tw.jacobian(f)(X)
    assert len(calls) == 1


# ---- trees --------------------------------------------------------------------------------


def test_trees_of_blocks():
    def f(p, s):
        return {"y": p["w"] @ X * s, "z": Pair(p["b"], s)}

    out = tw.jacobian(f)({"w": A, "b": 2.0}, 3.0)
    assert out["y"]["w"].shape == (3, 3, 4)
    np.testing.assert_allclose(out["y"]["w"], 3.0 * np.einsum("ij,k->ijk", np.eye(3), X))
    assert out["y"]["b"].tolist() == [0.0] * 3
    assert type(out["z"]) is Pair
    assert out["z"].a["b"] == 1.0
    assert out["z"].b["w"].shape == (3, 4)


def test_several_arguments():
    jx, jy = tw.jacobian(lambda x, k, y: k * x * y[:4], argnums=(0, -1))(X, 2, np.arange(5.0))
    np.testing.assert_allclose(jx, np.diag(2 * np.arange(4.0)))
    np.testing.assert_allclose(jy, np.eye(4, 5) * (2 * X[:, None]))


def test_blocks_do_not_share_memory():
    a, b = tw.jacobian(lambda x, y: x + y, (0, 1))(X, X)
    a += 1.0
    np.testing.assert_array_equal(b, np.eye(4))


# ---- dtypes and complex numbers -----------------------------------------------------------


def test_dtypes():
    x = X.astype(np.float32)
    assert tw.jacobian(np.sin)(x).dtype == np.float32
    assert tw.jacobian(lambda x: x.astype(np.float64))(x).dtype == np.float64
    assert tw.jacobian(lambda x: (x > 0, x))(x)[0].dtype == np.float32
    assert tw.hessian(lambda x: np.sum(x**3))(x).dtype == np.float32
    assert type(tw.jacobian(np.sin)(0.5)) is np.float64


def test_holomorphic():
    np.testing.assert_allclose(tw.jacobian(lambda z: z**3)(Z), np.diag(3 * Z**2), rtol=1e-14)
    tall = tw.jacobian(lambda z: np.exp(A.T[:, :3] @ z))(Z)
    np.testing.assert_allclose(tall, np.exp(A.T @ Z)[:, None] * A.T, rtol=1e-13)


def test_real_function_of_complex_variables():
    got = tw.jacobian(lambda z: np.abs(z) ** 2)(Z)
    np.testing.assert_allclose(got, np.diag(2 * np.conj(Z)), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("x", [X, X[:1]])
def test_complex_function_of_real_variables(x):
    got = tw.jacobian(lambda x: np.exp(1j * x * Z[0]))(x)
    np.testing.assert_allclose(got, np.diag(1j * Z[0] * np.exp(1j * x * Z[0])), rtol=1e-13)
    wide = tw.jacobian(lambda x: np.sum(np.exp(1j * x)))(x)
    np.testing.assert_allclose(wide, 1j * np.exp(1j * x), rtol=1e-13)


def test_not_holomorphic():
    with pytest.raises(DtypeError, match="not holomorphic"):
        tw.jacobian(lambda z: z * np.conj(z))(Z)


# ---- limits and errors --------------------------------------------------------------------


def test_size_limit(monkeypatch):
    with pytest.raises(SizeLimitError, match=re.escape("100,000 x 100,000")) as caught:
        tw.jacobian(np.sin)(np.zeros(100_000))
    for name in ("80 GB", "thalweg.vjp", "thalweg.jvp", "thalweg.hvp"):
        assert name in str(caught.value)
    with pytest.raises(SizeLimitError):
        tw.hessian(lambda x: np.sum(x**2))(np.zeros(100_000))
    monkeypatch.setattr(tw.config, "dense_limit", 15 * 8)
    with pytest.raises(SizeLimitError):
        tw.jacobian(np.sin)(X)


def test_errors():
    with pytest.raises(DtypeError, match="integers"):
        tw.jacobian(np.sin)(3)
    with pytest.raises(NonScalarOutputError):
        tw.hessian(np.sin)(X)
    with pytest.raises(TypeError, match="argnums"):
        tw.jacobian(np.sin, argnums=1)(X)


# ---- hessian and nesting ------------------------------------------------------------------


def test_hessian_blocks():
    def f(p):
        return np.sum(p["a"] ** 2) * p["b"] ** 3

    h = tw.hessian(f)({"a": X, "b": 2.0})
    np.testing.assert_allclose(h["a"]["a"], 16.0 * np.eye(4))
    np.testing.assert_allclose(h["a"]["b"], 24.0 * X)
    np.testing.assert_allclose(h["b"]["a"], 24.0 * X)
    np.testing.assert_allclose(h["b"]["b"], 12.0 * np.sum(X**2))


def test_hessian_times_vector():
    def f(x):
        return np.sum(np.tanh(A @ x) ** 3)

    v = RNG.standard_normal(4)
    np.testing.assert_allclose(tw.hvp(f, (X,), (v,)), tw.hessian(f)(X) @ v, rtol=1e-12)


def test_jacobian_of_jacobian():
    third = tw.jacobian(tw.jacobian(lambda x: np.sum(x**3) * x))(X)
    expected = differences(tw.jacobian(lambda x: np.sum(x**3) * x), X)
    np.testing.assert_allclose(third, expected, rtol=1e-6, atol=1e-6)


def test_gradient_through_a_jacobian():
    def logdet_like(x):
        j = tw.jacobian(lambda y: np.sin(y) * x)(x)
        return np.sum(j * j)

    expected = np.sum((np.cos(X) * X) ** 2)
    np.testing.assert_allclose(logdet_like(X), expected)
    got = tw.grad(logdet_like)(X)
    closed = tw.grad(lambda x: np.sum((np.cos(x) * x) ** 2))(X)
    np.testing.assert_allclose(got, closed, rtol=1e-12)


def test_gradient_through_a_hessian_trace():
    got = tw.grad(lambda x: np.sum(np.diagonal(tw.hessian(lambda y: np.sum(y**4))(x))))(X)
    np.testing.assert_allclose(got, 24 * X, rtol=1e-12)


def test_inside_another_trace_without_its_variables():
    got = tw.grad(lambda s: s * np.sum(tw.jacobian(np.sin)(X)))(2.0)
    np.testing.assert_allclose(got, np.sum(np.cos(X)))


def test_structural_zeros_beside_infinite_slopes():
    """The derivative of one root does not spoil the rows of the others."""
    x = np.array([0.0, 4.0, 0.0])
    expected = [[np.inf, 0, 0], [0, 0.25, 0], [0, 0, np.inf]]
    np.testing.assert_array_equal(tw.jacobian(np.sqrt)(x), expected)
    twice = tw.jacobian(lambda x: np.concatenate([np.sqrt(x), 2.0 * np.sqrt(x)]))(x)
    np.testing.assert_array_equal(twice, np.concatenate([expected, np.multiply(2, expected)]))
    assert np.isnan(tw.jacobian(lambda x: np.log(x) * np.nan)(np.ones(1)))
