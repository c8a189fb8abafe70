"""`tw.compile`: results of programs that once were silently wrong, against NumPy's."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import thalweg as tw
from tests.test_compile import assert_same


@pytest.fixture(params=["numpy", "native"])
def compiling(request):
    """`tw.compile` for each backend."""
    return functools.partial(tw.compile, backend=request.param)


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [0, 2, 4, 1, 3, 5]])
def test_writes_into_reversed_and_transposed_arrays(order):
    """The base of a write, and its positions, may be views in another order than memory's."""
    a, where = np.linspace(0.1, 1.0, 6), np.array([2, 4, 2, 0])

    def reversed_base(a):
        y = a[np.array(order)] * 1.0
        y[where] = np.sin(a[:4])
        return y

    def transposed_base(a):
        y = np.reshape(a, (2, 3)).T * 1.0
        y[np.array([2, 0])] = np.sin(np.reshape(a[:4], (2, 2)))
        return y

    def added(a):
        y = a[::-1] * 1.0
        np.add.at(y, where, a[2:])
        return y

    for f in (reversed_base, transposed_base, added):
        g = tw.grad(lambda x, f=f: np.sum(f(x) ** 2))
        np.testing.assert_allclose(tw.compile(f)(a), f(a), rtol=1e-14)
        np.testing.assert_allclose(tw.compile(g)(a), g(a), rtol=1e-13)

    def positions(a, where):
        y = a * 1.0
        y[where[::-1]] = a[:4]
        return y

    np.testing.assert_array_equal(tw.compile(positions)(a, where), positions(a, where))


def _added(x, index, value):
    y = x.copy()
    np.add.at(y, index, value)
    return y


def _of_one_number(x):
    y = x.copy()
    y[:] = 3
    return np.take_along_axis(y, np.array([[0, 1, 2], [2, 1, 0]]), axis=1), y[[1, 0], [2, 2]]


@pytest.mark.parametrize(
    ("f", "arguments"),
    [
        (lambda b: np.vdot(b, b), (np.array([True, True]),)),
        (lambda b: np.einsum("ij->i", b), (np.ones((3, 4), bool),)),
        (lambda b: np.einsum("ij,ij->i", b, b), (np.ones((3, 4), bool),)),
        (lambda b: (np.square(b), np.square(b) * 2.0), (np.array([True, False]),)),
        (lambda b, c: _added(b, [1, 1, 2], c), (np.zeros(3, bool), np.array([True, True, True]))),
        (_of_one_number, (np.ones((2, 3)),)),
        (lambda a, b: np.einsum("ij,ij->j", a, b), (np.full((1, 3), np.inf), np.ones((0, 3)))),
        (lambda x: np.clip(0.5, x, 2), (np.zeros(3, "f4"),)),
        (lambda x: np.take_along_axis(x, np.array([[1], [0]]), 1), (np.ones((2, 3), "f2"),)),
    ],
)
def test_booleans_and_arrays_of_one_number(f, arguments, compiling):
    compiled = compiling(f)
    for _ in range(2):
        assert_same(compiled(*arguments), f(*arguments))


@pytest.mark.parametrize("shape", [(0, 3), (0, 1), (1, 3), (2, 3)])
def test_the_diagonal_of_unequal_axes_reads_nothing_wild(shape):
    with pytest.raises(ValueError, match=r"'ii' wants equal axes, not those of \(\d, \d\)"):
        tw.compile(lambda x: np.einsum("ii->i", x))(np.ones(shape))
