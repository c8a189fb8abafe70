"""Zeros of constant matrices and masks stay out of the patterns of Jacobians."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.test_sparse_forms import agrees

RNG = np.random.default_rng(5)
MASKS = [RNG.random(shape) < 0.4 for shape in ((6, 7), (7, 5), (5, 4))]
WEIGHTS = [RNG.normal(size=mask.shape) * mask for mask in MASKS]


def paths(*masks):
    """Where a product of matrices with these masks has entries, transposed."""
    found = np.eye(len(masks[0]), dtype=bool)
    for mask in masks:
        found = found @ mask
    return found.T


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_layers_of_masked_matrices(depth):
    def network(x):
        for W in WEIGHTS[:depth]:
            x = np.tanh(x @ W + 0.1)
        return x

    J = agrees(network, RNG.normal(size=6))
    assert np.array_equal(J.pattern.toarray(), paths(*MASKS[:depth]))
    assert J.structure.text.endswith(", less its constant zeros")
    left = agrees(lambda x: WEIGHTS[1].T @ np.exp(WEIGHTS[0].T @ x), RNG.normal(size=6))
    assert np.array_equal(left.pattern.toarray(), paths(*MASKS[:2]))


def test_with_batches_relu_slices_and_reshapes():
    def network(x):
        h = np.maximum(x @ WEIGHTS[0], 0)[:, ::-1]
        return np.reshape(h[:, ::-1] @ WEIGHTS[1], (-1,))[::-1] * 2

    J = agrees(network, RNG.normal(size=(3, 6)))
    expected = np.kron(np.eye(3, dtype=bool), paths(*MASKS[:2]))[::-1]
    assert np.array_equal(J.pattern.toarray(), expected)


def test_a_stack_of_matrices():
    stack = RNG.normal(size=(2, 4, 6)) * (RNG.random((2, 4, 6)) < 0.5)
    J = agrees(lambda x: stack @ x, RNG.normal(size=(2, 6, 3)))
    blocks = [np.kron(a != 0, np.eye(3, dtype=bool)) for a in stack]
    expected = np.zeros((24, 36), bool)
    expected[:12, :18], expected[12:, 18:] = blocks
    assert np.array_equal(J.pattern.toarray(), expected)


def test_sums_of_masked_products():
    def both(x):
        return x @ WEIGHTS[0] @ WEIGHTS[1] + np.sin(x) @ C

    C = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])[:, :5]
    J = agrees(both, RNG.normal(size=6))
    assert np.array_equal(J.pattern.toarray(), paths(*MASKS[:2]) | (C != 0).T)


def test_a_mask_on_weights_that_are_arguments():
    """The weights may be anything, zero now and not later: the mask says where they count."""
    mask = np.tri(6, k=-1, dtype=bool)

    def layer(x, W):
        return (W * mask) @ x

    x, W = RNG.normal(size=6), np.zeros((6, 6))
    f = tw.compile(layer)
    for weights in (W, W + 1):
        assert tw.jacobian(f, form="sparse")(x, weights).nnz == 15
    J = tw.jacobian(tw.compile(lambda x, W: W @ x), form="sparse")
    assert J(x, W).nnz == 36  # an argument of a compiled function: its zeros are of this call


def test_triangular_written_entry_by_entry():
    """More terms than are kept apart are written out, and zeros that nobody wrote stay out."""

    def running(x):
        total, found = 0.0 * x[:0].sum(), []
        for i in range(30):
            found.append(total)
            total = total + np.sin(x[i])
        return np.stack(found)

    J = agrees(running, RNG.normal(size=30))
    assert np.array_equal(J.pattern.toarray(), np.tri(30, k=-1, dtype=bool))


def test_hessians_and_second_calls():
    A = np.diag(np.arange(1.0, 6.0)) + np.diag(np.ones(4), 1)
    H = tw.hessian(lambda x: np.sum(np.exp(A @ x)), form="sparse")
    for _ in range(2):
        x = RNG.normal(size=5) * 0.1
        dense = tw.hessian(lambda x: np.sum(np.exp(A @ x)))(x)
        found = H(x)
        np.testing.assert_allclose(found.toarray(), dense, rtol=1e-12)
        assert found.nnz == 13  # tridiagonal


def test_plan_is_made_anew_where_a_constant_changes():
    A = np.eye(3)
    make = tw.jacobian(lambda x: A @ x, form="sparse")
    assert make(np.ones(3)).nnz == 3
    A[0, 2] = 1.0
    assert make(np.ones(3)).toarray()[0, 2] == 1.0
