"""Sparse forms of compiled functions: what is traced and planned again, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw

RNG = np.random.default_rng(3)
X = RNG.standard_normal(5)


@pytest.mark.parametrize("order", [1, 2])
def test_of_a_compiled_function_only_numbers_are_computed_again(order):
    ran = []

    def f(x, k):
        ran.append(k)
        y = np.where(x > 0, x**2, 0.0) if k > 0 else x**3
        return np.sum(y[1:] * y[:-1]) if order == 2 else y[1:] * y[:-1]

    make = tw.jacobian if order == 1 else tw.hessian
    found = make(tw.compile(f), form="sparse")
    for again in (False, True):
        for k in (1.0, 2.0, -1.0, 1.0):  # Python branches on k
            for size in (5, 6):
                x = RNG.standard_normal(size)
                full = make(f)(x, k)
                before = len(ran)
                np.testing.assert_allclose(found(x, k).toarray(), full, rtol=1e-12, atol=1e-14)
                assert not again or len(ran) == before


def test_a_compiled_function_without_structure_or_with_nan():
    found = tw.jacobian(tw.compile(lambda x: np.cumsum(x**2)), form="sparse")
    np.testing.assert_allclose(found(X).toarray(), np.tril(np.tile(2 * X, (5, 1))))
    square = tw.jacobian(tw.compile(lambda x: x**2), form="sparse")
    assert np.isnan(square(np.array([1.0, np.nan])).toarray()).sum() == 1


def test_one_signature_without_structure_leaves_the_others_compiled():
    ran = []

    @tw.compile
    def f(x):
        ran.append(len(x))
        return np.cumsum(x**2) if len(x) == 5 else x**2

    found = tw.jacobian(f, form="sparse")
    np.testing.assert_allclose(found(X).toarray(), np.tril(np.tile(2 * X, (5, 1))))
    for x in (X[:3], X[1:4]):
        np.testing.assert_allclose(found(x).toarray(), np.diag(2 * x))
    np.testing.assert_allclose(found(X[::-1]).toarray(), np.tril(np.tile(2 * X[::-1], (5, 1))))
    assert ran.count(3) == 1


def test_an_int_that_changes_only_numbers_is_compiled_once():
    ran = []

    @tw.compile
    def f(x, k):
        ran.append(k)
        return k * x**2

    found = tw.jacobian(f, form="sparse")
    for k in range(2, 6):
        np.testing.assert_allclose(found(X, k).toarray(), np.diag(2 * k * X))
    seen = len(ran)
    for k in range(6, 20):
        np.testing.assert_allclose(found(X, k).toarray(), np.diag(2 * k * X))
    assert len(ran) == seen


def test_an_int_that_changes_the_pattern_is_not_taken_for_a_number():
    W = np.tri(5)
    found = tw.jacobian(tw.compile(lambda x, k: (W * k) @ np.sin(x)), form="sparse")
    moved = tw.jacobian(tw.compile(lambda x, k: x[k:] * x[: len(x) - k]), form="sparse")
    for k in (0, 1, 2, 3, 0):
        np.testing.assert_allclose(found(X, k).toarray(), W * k * np.cos(X))
        full = tw.jacobian(lambda x, k=k: x[k:] * x[: len(x) - k])(X)
        np.testing.assert_allclose(moved(X, k).toarray(), full)
