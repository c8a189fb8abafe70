"""Ten sparse problems: form="sparse" against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import thalweg as tw
from tests.problems.sparse import PROBLEMS


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_sparse_form_against_the_closed_form(problem, seed):
    x = problem.point(seed)
    make = tw.hessian if problem.order == 2 else tw.jacobian
    found = make(problem.function, form="sparse")(x)
    wanted = problem.matrix(x)
    assert sparse.issparse(found)
    assert found.shape == wanted.shape == (problem.size, problem.size)
    scale = abs(wanted).max()
    assert abs(found - wanted).max() <= 1e-12 * scale
    wanted.eliminate_zeros()
    wanted.sort_indices()
    np.testing.assert_array_equal(found.indptr, wanted.indptr)  # the structure, exactly
    np.testing.assert_array_equal(found.indices, wanted.indices)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_closed_forms_against_differences(problem):
    """The oracle itself: its matrix times a direction, by central differences."""
    x = problem.point(3)
    t = np.random.default_rng(5).standard_normal(problem.size)
    slope = tw.grad(problem.function) if problem.order == 2 else problem.function
    h = 1e-6
    wanted = (slope(x + h * t) - slope(x - h * t)) / (2 * h)
    product = problem.matrix(x) @ t
    assert np.abs(product - wanted).max() <= 1e-7 * np.abs(product).max()
