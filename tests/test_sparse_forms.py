"""form="sparse" of jacobian and hessian against the dense form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import thalweg as tw
from thalweg.errors import TracingError

X = np.random.default_rng(3).standard_normal(5)


def test_sparse_is_a_csr_array_of_the_flattened_sizes():
    def f(x):
        return np.outer(x, x[:2]) ** 2

    found = tw.jacobian(f, form="sparse")(X)
    assert isinstance(found, sparse.csr_array)
    np.testing.assert_allclose(found.toarray(), tw.jacobian(f)(X).reshape(10, 5))


def test_sparse_hessian_and_trees():
    def f(p):
        return np.sum(p["a"] ** 3) * p["b"]

    point = {"a": X, "b": 2.0}
    found = tw.hessian(f, form="sparse")(point)
    dense = tw.hessian(f)(point)
    for i, m in (("a", 5), ("b", 1)):
        for j, n in (("a", 5), ("b", 1)):
            np.testing.assert_allclose(found[i][j].toarray(), dense[i][j].reshape(m, n))


def test_unknown_forms_and_patterns_are_named():
    with pytest.raises(ValueError, match="dense, sparse"):
        tw.jacobian(np.sin, form="banded")
    with pytest.raises(ValueError, match="global, local"):
        tw.hessian(np.sin, pattern="here")


def test_sparse_inside_of_another_trace_is_refused():
    with pytest.raises(TracingError, match="dense"):
        tw.grad(lambda x: np.sum(tw.jacobian(np.sin, form="sparse")(x) @ x))(X)
