"""Compression as a way to compute sparse forms: patterns, colourings, products; against dense."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import thalweg as tw
from thalweg.errors import ShapeError
from thalweg.jacobian.patterns import pattern_of
from thalweg.tracing import run
from thalweg.transforms.reverse import live_nodes

RNG = np.random.default_rng(5)
N = 60
EDGES = np.stack([np.arange(N), (np.arange(N) + 1) % N, (np.arange(N) + 5) % N])
BAND = np.abs(np.subtract.outer(np.arange(N), np.arange(N))) < 2
ARROW = np.eye(N, dtype=bool)
ARROW[0] = ARROW[:, 0] = True
GROUPS = np.kron(np.eye(N // 3), np.ones((1, 3))) > 0
MATRICES = RNG.standard_normal((N // 3, 3, 3)) + 4 * np.eye(3)


def through(pattern):
    """A primitive x ↦ A x² with a pattern, given by functions."""
    A = np.where(pattern, RNG.standard_normal(pattern.shape), 0)

    @tw.primitive
    def product(x):
        return A @ (x * x)

    @product.local
    def _(out, x):
        given = sparse.csr_array(pattern)
        return tw.kinds.Custom(
            lambda t: A @ (2 * x * t), lambda c: 2 * x * (A.T @ c), pattern=given
        )

    return product


def springs(x):
    """The energy of a closed chain of points in the plane: gathers with repeated indices."""
    points = x.reshape(-1, 2)
    along = points[EDGES[0]] - points[EDGES[1]]
    across = points[EDGES[0]] - points[EDGES[2]]
    lengths = np.sum(along**2, axis=1)
    return np.sum((lengths - 1) ** 2) + np.sum(np.sum(across**2, axis=1) ** 1.5)


def banded_energy(x):
    return np.sum(np.convolve(np.sin(x), np.array([1.0, -2.0, 1.0])) ** 3)


CASES = {
    "declared band": (through(BAND), 1, "columns"),
    "declared arrow": (through(ARROW), 1, "bidirectional"),
    "declared groups": (through(GROUPS), 1, "rows"),
    "convolution": (lambda x: np.convolve(x**2, np.array([1.0, 2.0, -1.0])), 1, "columns"),
    "valid": (lambda x: np.sin(np.convolve(x, np.arange(4.0), "valid")), 1, "columns"),
    "cumulative sums": (lambda x: np.cumsum(np.sin(x.reshape(-1, 3)), axis=1), 1, "columns"),
    "cumulative products": (lambda x: np.cumprod(x.reshape(3, -1), axis=0).T, 1, "columns"),
    "solve": (lambda x: np.linalg.solve(MATRICES, x.reshape(-1, 3, 1) ** 2), 1, "columns"),
    "spectra": (lambda x: np.abs(np.fft.rfft(x.reshape(-1, 4))) ** 2, 1, "columns"),
    "banded energy": (banded_energy, 2, "star|acyclic"),
}


@pytest.mark.parametrize("name", CASES)
def test_compressed_is_dense(name):
    f, order, method = CASES[name]
    make = tw.jacobian if order == 1 else tw.hessian
    operator, eager = make(f, form="operator"), make(f, form="sparse")
    compiled = make(tw.compile(f), form="sparse")
    for x in RNG.uniform(0.5, 2, (2, N)):
        J = operator(x)
        full = np.reshape(make(f)(x), J.shape)
        assert "by compression" in J.explain()
        assert any(f"({each})" in J.explain() for each in method.split("|"))
        for found in (J.todense(), eager(x).toarray(), compiled(x).toarray()):
            np.testing.assert_allclose(found, full, rtol=1e-9, atol=1e-9)
        assert J.kind in ("sparse", "banded", "tridiagonal", "pentadiagonal")
        assert J.nnz < full.size / 2
        np.testing.assert_allclose(J @ x, full @ x, rtol=1e-9)
        np.testing.assert_allclose(J.T @ full[:, 0], full.T @ full[:, 0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(J.diagonal(), np.diagonal(full), rtol=1e-9, atol=1e-9)
        if order == 2:
            assert J.structure.text.startswith("symmetric")
            assert not (J.todense() != J.todense().T).any()


def test_a_mesh_has_a_sparse_hessian():
    x = RNG.standard_normal(2 * N)
    full = tw.hessian(springs)(x)
    J = tw.hessian(springs, form="operator")(x)
    assert J.symmetric
    assert "batched blocks" in J.explain()
    assert not (J.todense() != J.todense().T).any()  # one half is computed, the other its mirror
    assert J.nnz <= 2 * N * 10
    compiled = tw.hessian(tw.compile(springs), form="sparse")
    for found in (J.todense(), compiled(x).toarray()):
        np.testing.assert_allclose(found, full, rtol=1e-9, atol=1e-9)
    assert compiled(x + 1).nnz == J.nnz


def test_trees_of_blocks():
    def f(p):
        y = np.convolve(p["a"] ** 2, np.array([1.0, 3.0]))
        return {"y": y[1:] * p["b"], "z": np.cumsum(p["b"].reshape(-1, 2), axis=1), "c": 1.0}

    p = {"a": RNG.standard_normal(N), "b": RNG.standard_normal(N)}
    full = tw.jacobian(f)(p)
    for form in (tw.jacobian(f, form="sparse")(p), tw.jacobian(tw.compile(f), form="sparse")(p)):
        for k in ("y", "z", "c"):
            for i in ("a", "b"):
                block = np.reshape(full[k][i], form[k][i].shape)
                np.testing.assert_allclose(form[k][i].toarray(), block, atol=1e-12)


def test_a_new_pattern_gets_a_new_plan():
    """A plain function may use what has changed: another index, another pattern."""
    who = np.arange(N)

    def f(x):
        return np.convolve(x[who] ** 2, np.array([1.0, 1.0]))

    jacobian = tw.jacobian(f, form="sparse")
    for _ in range(3):
        x = RNG.standard_normal(N)
        np.testing.assert_allclose(jacobian(x).toarray(), tw.jacobian(f)(x), atol=1e-12)
        who = RNG.integers(0, N, N)


def test_patterns_do_not_depend_on_values():
    def f(x):
        return np.where(x > 0, np.convolve(x, np.array([1.0, 1.0]))[1:], x[::-1])

    traced = run(f, (np.ones(N),), {}, (0,))
    order, _ = live_nodes(traced.outputs, traced.inputs, {}, False)
    pattern = pattern_of(traced.inputs, traced.outputs, order, False).toarray()
    reverse = np.arange(N)[::-1]
    assert pattern[np.arange(N), reverse].all()
    assert pattern.sum() > 2 * N


def test_zeros_of_constant_matrices_stay_out():
    A = np.kron(np.eye(N // 3), np.tril(np.ones((3, 3))))

    def f(x):
        return np.convolve(A @ x, np.array([1.0, -1.0]))

    x = RNG.standard_normal(N)
    J = tw.jacobian(f, form="operator")(x)
    assert "by compression" in J.explain()
    assert J.nnz <= 7 * (N + 1)
    np.testing.assert_allclose(J.todense(), tw.jacobian(f)(x), atol=1e-12)


def test_many_steps_on_a_grid():
    def steps(u):
        for _ in range(5):
            around = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
            u = u + 0.05 * (around - 4 * u) + 0.01 * u**3
        return u

    u = RNG.standard_normal((14, 14))
    full = np.reshape(tw.jacobian(steps)(u), (196, 196))
    found = tw.jacobian(tw.compile(steps), form="sparse")(u)
    np.testing.assert_allclose(found.toarray(), full, rtol=1e-10, atol=1e-12)


def test_a_pattern_that_does_not_fit_is_refused():
    @tw.primitive
    def double(x):
        return 2 * x

    @double.local
    def _(out, x):
        return tw.kinds.Custom(lambda t: 2 * t, lambda c: 2 * c, pattern=np.eye(3, dtype=bool))

    with pytest.raises(ShapeError, match="its pattern has shape"):
        tw.jacobian(double, form="sparse")(np.ones(4))

    @tw.primitive
    def triple(x):
        return 3 * x

    @triple.local
    def _(out, x):
        places = np.arange(N) + 1
        return tw.kinds.Custom(
            lambda t: 3 * t, lambda c: 3 * c, "triple", pattern=lambda: (places - 1, places)
        )

    with pytest.raises(ShapeError, match=r"'triple' names columns 1 to 60; .* 60 × 60"):
        tw.jacobian(triple, form="sparse")(np.ones(N))


def test_the_compiled_form_runs_as_its_function_does():
    f = tw.compile(lambda x: np.sin(x) * x, backend="numpy", threads=1)
    assert (f.backend, f.threads) == ("numpy", 1)
    jacobian = tw.jacobian(f, form="sparse")
    x = RNG.standard_normal(N)
    np.testing.assert_allclose(jacobian(x).diagonal(), np.cos(x) * x + np.sin(x))


@pytest.mark.parametrize("n", [3, 4, 50])
def test_bands_side_by_side(n):
    """The compiled forms of banded matrices: corners, zeros of this point, values that are not
    finite."""

    def rosenbrock(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def ahead(x):
        return np.concatenate([x[1:] * x[:-1] ** 2, x[-1:]])

    x = RNG.standard_normal(n)
    x[1] = 0
    for make, f in ((tw.hessian, rosenbrock), (tw.jacobian, ahead)):
        for pattern in ("global", "local"):
            found = make(tw.compile(f), form="sparse", pattern=pattern)(x)
            np.testing.assert_allclose(found.toarray(), make(f)(x), rtol=1e-12)
            assert found.has_sorted_indices
            found.data[:] = 0  # what is given away shares nothing
        compiled = make(tw.compile(f), form="sparse")
        for bad in (np.inf, np.nan):
            y = np.where(np.arange(n) == n - 1, bad, x)
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(compiled(y).toarray(), make(f)(y))
