"""Functions that decide by values note it: no example is done by another's answer."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import TracingError
from thalweg.scipy import linalg
from thalweg.tracing import run

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("f", "batch"),
    [
        (lambda i: np.choose(i, [X[0], X[1], X[0]]), np.array([[0, 1, 2], [0, 1, 3]])),
        (lambda i: np.unravel_index(i, (2, 2))[0], np.array([[0, 3], [0, 4]])),
        (lambda i: np.ravel_multi_index((i, i), (2, 2)), np.array([[0, 1], [0, 2]])),
        (lambda w: np.average(X[0], weights=w), np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0]])),
        (lambda w: np.cov(X, aweights=w), np.array([[1.0, 2.0, 1.0], [1.0, -1.0, 2.0]])),
        (lambda a: linalg.det(a), np.stack([np.eye(2), np.full((2, 2), np.inf)])),
    ],
)
def test_every_example_is_checked(f, batch):
    f(batch[0])
    with pytest.raises((ValueError, ZeroDivisionError)):
        f(batch[1])
    with pytest.raises(TracingError, match="examples do not agree"):
        tw.vmap(f)(batch)
    with pytest.raises(TracingError, match="examples do not agree"):
        tw.vmap(lambda x: tw.grad(lambda s: np.sum(s * f(x)))(2.0))(batch)


@pytest.mark.parametrize("function", [np.putmask, np.place])
def test_a_mask_of_numbers_is_noted(function):
    def f(x, mask):
        y = x.copy()
        function(y, mask, np.array([7.0]))
        return y

    with pytest.raises(TracingError, match="examples do not agree"):
        tw.vmap(f)(X, np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]))


def test_guards_of_checks_are_in_the_graph():
    traced = run(lambda w: np.average(X[0], weights=w), (np.ones(3),), {}, [0])
    assert [guard.answer for guard in traced.guards] == [False]
