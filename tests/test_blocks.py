"""Batched blocks: graphs that act along a batch, differentiated number by number, against dense."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import thalweg as tw
from thalweg.jacobian.blocks import entries_of
from thalweg.jacobian.terms import UnstructuredError
from thalweg.optimise.stabilise import stable_forms
from thalweg.tracing import run
from thalweg.transforms.reverse import live_nodes

RNG = np.random.default_rng(11)
P = 40
WHO = RNG.integers(0, 7, P)
MATRIX = RNG.standard_normal((3, 4))
EACH = RNG.standard_normal((P, 3, 3))
SEEN = RNG.standard_normal((P, 2))


def rotated(x):
    """Turn points by rotation vectors: cross products, norms, roots."""
    r, X = x[:21].reshape(7, 3)[WHO], x[21:].reshape(P, 3)
    angle = np.sqrt(np.sum(r * r, axis=1, keepdims=True))
    along = np.sum(r * X, axis=1, keepdims=True)
    turned = np.cos(angle) * X + np.sin(angle) / angle * np.cross(r, X) + along * r
    return (turned[:, :2] / (3 + turned[:, 2:] ** 2) - SEEN).ravel()


def written(x):
    y = np.zeros((P, 2), like=x)
    y[:, 0] = x[:P] * np.sin(x[P:])
    y[:, 1] = np.where(x[:P] > 0, x[:P] ** 2, x[P:])
    return y


def rows_last(x):
    a = x.reshape(3, P)
    return np.stack([np.linalg.norm(a[:2], axis=0), a[0] * a[2] - a[1], np.exp(-a[2])])


FUNCTIONS = {
    "rotation": (rotated, 21 + 3 * P),
    "written": (written, 2 * P),
    "batch last": (rows_last, 3 * P),
    "matrix": (lambda x: np.tanh(x.reshape(P, 3) @ MATRIX) ** 2, 3 * P),
    "a matrix each": (lambda x: np.einsum("pij,pj->pi", EACH, np.sin(x.reshape(P, 3))), 3 * P),
    "matmul of both": (lambda x: (EACH @ x.reshape(P, 3, 1)) * x.reshape(P, 3, 1), 3 * P),
    "shared": (lambda x: x[:P] * np.exp(x[P] * x[:P] + x[P + 1]), P + 2),
    "laid together": (lambda x: np.concatenate([np.sin(x), x[:P] * x[P:], x[3:5]]), 2 * P),
    "picked": (lambda x: (x.reshape(P, 2)[:, :1] * x.reshape(P, 2))[::2].T, 2 * P),
    "selected only": (lambda x: x[::3], 3 * P),
    "twice the same": (lambda x: x[WHO] * x[WHO] * x[WHO[::-1]], 7),
}


def blockwise(f, x):
    """The Jacobian from the entries of the block way."""
    traced = run(f, (x,), {}, (0,))
    order, live = live_nodes(traced.outputs, traced.inputs, {}, False)
    stable = stable_forms(order, live)
    found = entries_of(traced.inputs, traced.outputs, order, as_graph=False, replacements=stable)
    total = np.zeros((traced.outputs[0].size, x.size))
    for part in found[0, 0]:
        there = part.columns >= 0
        np.add.at(total, (part.rows[there], part.columns[there]), part.values[there])
    return total


@pytest.mark.parametrize("name", FUNCTIONS)
def test_blocks_are_the_dense_jacobian(name):
    f, n = FUNCTIONS[name]
    x = RNG.standard_normal(n)
    dense = tw.jacobian(f)(x).reshape(-1, n)
    np.testing.assert_allclose(blockwise(f, x), dense, rtol=1e-12, atol=1e-14)
    compiled = tw.jacobian(tw.compile(f), form="sparse")
    for point in (x, x + 0.1):
        dense = tw.jacobian(f)(point).reshape(-1, n)
        np.testing.assert_allclose(compiled(point).toarray(), dense, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x - np.mean(x),  # along the batch
        lambda x: np.cumsum(x),
        lambda x: x[1:] * x[:-1] + np.roll(x, 2)[1:] ** 2 @ np.ones(3 * P - 1),
        lambda x: np.sin(x)[::-1] * x,  # moves along it
        lambda x: np.sort(x) ** 2,
        lambda x: np.outer(x, x),  # twice the batch
        lambda x: np.tanh(x.reshape(P, 3)).T @ x.reshape(P, 3),
        lambda x: np.log(np.sum(np.exp(x.reshape(P, 3)), axis=1)),  # stable as a whole only
        lambda x: np.einsum("i,j->j", np.sin(x), x),  # one letter along the batch, one across
        lambda x: np.einsum("pi,qj->jpi", np.sin(x.reshape(P, 3)), x.reshape(P, 3)),
        lambda x: np.linalg.inv(EACH + x.reshape(P, 3)[:, None, :]),
    ],
)
def test_other_graphs_are_refused(f):
    with pytest.raises(UnstructuredError):
        blockwise(f, RNG.standard_normal(3 * P))


def test_the_compiled_form_takes_blocks_where_terms_would_be_many():
    f, n = FUNCTIONS["rotation"]
    jacobian = tw.jacobian(tw.compile(f), form="sparse")
    x = RNG.standard_normal(n)
    found = jacobian(x)
    dense = tw.jacobian(f)(x)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-10, atol=1e-12)
    assert found.nnz == 2 * P * 6
    assert found.has_canonical_format
    assert not sparse.csr_array(np.where(found.toarray() == 0, dense, 0)).nnz


def test_an_einsum_with_two_letters_of_the_batch_size():
    def f(x):
        a = x.reshape(6, 30)
        y = sum(np.sin(a[:, k] * a[:, k + 1]) for k in range(28))
        return np.einsum("i,j->j", y, a[:, 0])

    x = RNG.standard_normal(180)
    dense = tw.jacobian(f)(x)
    for g in (f, tw.compile(f)):
        found = tw.jacobian(g, form="sparse")(x)
        np.testing.assert_allclose(found.toarray(), dense, rtol=1e-10, atol=1e-12)


def test_at_a_kink_of_a_norm():
    """Where the rotation vectors vanish: ‖0‖ has derivative 0, in blocks as in the dense form."""

    def f(x):
        a = x.reshape(P, 3)
        return np.linalg.norm(a, axis=1) + np.sqrt(np.sum(a * a, axis=1)) * a[:, 0]

    x = RNG.standard_normal(3 * P)
    x[:9] = 0
    np.testing.assert_allclose(blockwise(f, x), tw.jacobian(f)(x), rtol=1e-12, atol=1e-14)


def test_other_arguments_and_dtypes():
    def f(x, scale, steps):
        a = x.reshape(P, 2)
        for _ in range(steps):
            a = np.stack([a[:, 0] * scale[:, 0] - a[:, 1], a[:, 1] + a[:, 0] ** 2], axis=1)
        return (a[:, :1] * a + scale[0, 0]).ravel()

    x = RNG.standard_normal(2 * P).astype(np.float32)
    scale = RNG.uniform(0.5, 1, (P, 1)).astype(np.float32)
    found = tw.jacobian(tw.compile(f), form="sparse")(x, scale, 3)
    assert found.dtype == np.float32
    dense = tw.jacobian(f)(x.astype(float), scale.astype(float), 3)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-4, atol=1e-3)


def test_results_added_at_repeated_places():
    def f(x):
        y = np.zeros(9, like=x)
        np.add.at(y, WHO, np.sin(x[:P]) * x[P:])
        np.add.at(y, slice(2, 4), x[:2] * x[1:3])
        return y + np.concatenate([x[:9] ** 2])

    x = RNG.standard_normal(2 * P)
    np.testing.assert_allclose(blockwise(f, x), tw.jacobian(f)(x), rtol=1e-12, atol=1e-14)


def test_symmetric_blocks_of_several_arguments():
    """Springs between two sets of points: blocks on the diagonal are symmetric, others are not."""

    def energy(x, y):
        d = x.reshape(-1, 2)[WHO] - y.reshape(-1, 2)
        return np.sum(np.sum(d * d, axis=1) ** 1.5) + np.sum(np.sin(x[:6]) * x[6:12])

    x, y = RNG.standard_normal(14), RNG.standard_normal(2 * P)
    full = tw.hessian(energy, (0, 1))(x, y)
    for f in (energy, tw.compile(energy)):
        found = tw.hessian(f, (0, 1), form="sparse")(x, y)
        for k in range(2):
            for i in range(2):
                np.testing.assert_allclose(found[k][i].toarray(), full[k][i], atol=1e-12)
