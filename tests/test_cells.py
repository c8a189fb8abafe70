"""Recurrent cells against loops over single numbers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.special

import thalweg as tw
from thalweg.errors import ShapeError, UserError
from thalweg.nn import GRUCell, LSTMCell

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))
close = np.testing.assert_allclose


def loop_gates(cell, h, x, k):
    """Gate k before its function, one number at a time."""
    n = len(h)
    return [
        cell.b[k * n + j]
        + sum(x[i] * cell.W[i, k * n + j] for i in range(len(x)))
        + sum(h[i] * cell.U[i, k * n + j] for i in range(n))
        for j in range(n)
    ]


@pytest.mark.parametrize("kind", [GRUCell, LSTMCell])
def test_cells(kind):
    cell = kind.create(0, 3, 2)
    cell = kind(cell.W, cell.U, RNG.normal(size=cell.b.shape))
    h, c = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 2))
    expected = []
    for x, h0, c0 in zip(X, h, c, strict=True):
        gate = [scipy.special.expit(loop_gates(cell, h0, x, k)) for k in range(cell.gates)]
        if kind is GRUCell:
            new = np.tanh(loop_gates(cell, gate[0] * h0, x, 2))
            expected.append(gate[1] * h0 + (1 - gate[1]) * new)
        else:
            c1 = gate[1] * c0 + gate[0] * np.tanh(loop_gates(cell, h0, x, 2))
            expected.append((gate[3] * np.tanh(c1), c1))

    def step(cell, h, c, x):
        return np.stack(cell((h, c), x), axis=1) if kind is LSTMCell else cell(h, x)

    close(step(cell, h, c, X), expected, rtol=1e-12)
    tw.check_grads(lambda *args: np.sum(np.sin(step(*args))), (cell, h, c, X))
    slope = tw.grad(lambda *args: np.sum(step(*args)))
    close(tw.compile(slope)(cell, h, c, X).U, slope(cell, h, c, X).U, rtol=1e-10)
    with pytest.raises(ShapeError, match=r"x has shape \(5, 2\), the state \(5, 2\)"):
        step(cell, h, c, X[:, :2])
    assert np.shape(step(cell, np.zeros(2), np.zeros(2), X)) == np.shape(step(cell, h, c, X))
    for x in (np.stack([X] * 7), X[:4], X[:, None]):  # a sequence, another batch
        with pytest.raises(ShapeError, match="a cell takes one step"):
            step(cell, h, c, x)
    for W, U, b in (
        (cell.W, cell.U, cell.b[:1]),
        (cell.W, cell.U[:, :-1], cell.b),
        (cell.W[0], cell.U, cell.b),
    ):
        with pytest.raises(ShapeError, match=r"expected \(n_in, [34] · n\)"):
            kind(W, U, b)
    assert repr(pickle.loads(pickle.dumps(cell))) == repr(cell)


@pytest.mark.parametrize("kind", [GRUCell, LSTMCell])
def test_cells_start_with_a_rotation_a_gate(kind):
    cell = kind.create(0, 100, 50)
    for U, W in zip(
        np.split(cell.U, kind.gates, axis=1), np.split(cell.W, kind.gates, axis=1), strict=True
    ):
        close(U.T @ U, np.eye(50), atol=1e-12)
        assert abs(np.var(W) / (2 / 150) - 1) < 5 * np.sqrt(2 / W.size)
    assert not cell.b.any()


def test_the_state_of_an_lstm_is_a_pair():
    cell = LSTMCell.create(0, 3, 2)
    for state in (np.zeros((2, 2)), (np.zeros(2),)):  # the first would fall into its rows
        with pytest.raises(UserError, match=r"a pair \(h, c\)"):
            cell(state, X)
