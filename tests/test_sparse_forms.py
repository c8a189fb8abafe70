"""form="sparse" and "operator" of jacobian and hessian against the dense form."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

import thalweg as tw
from thalweg.errors import DtypeError, SizeLimitError, TracingError

RNG = np.random.default_rng(3)
X = RNG.standard_normal(5)
A = RNG.standard_normal((3, 4))
B = RNG.standard_normal((4, 2))


def agrees(f, *args, argnums=0, order=1):
    """The forms of one block say the same; gives the operator."""
    make = tw.jacobian if order == 1 else tw.hessian
    J = make(f, argnums, form="operator")(*args)
    full = np.reshape(make(f, argnums)(*args), J.shape)
    np.testing.assert_allclose(J.todense(), full, rtol=1e-10, atol=1e-12)
    stored = make(f, argnums, form="sparse")(*args)
    np.testing.assert_allclose(stored.toarray(), full, rtol=1e-10, atol=1e-12)
    assert J.nnz == stored.nnz
    assert not np.any(full[~J.pattern.toarray()])
    v, u = RNG.standard_normal((J.shape[1], 2)), RNG.standard_normal(J.shape[0])
    np.testing.assert_allclose(J @ v, full @ v, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(J.T @ u, full.T @ u, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(J.diagonal(), np.diagonal(full), rtol=1e-10, atol=1e-12)
    return J


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def laplacian(u):
    return sum(np.roll(u, step, axis) for step in (1, -1) for axis in (0, 1)) - 4 * u + u**3


# ---- kinds --------------------------------------------------------------------------------

KINDS = {
    "identity": (lambda x: x + 1.0, X),
    "scale": (lambda x: 3.0 * x, X),
    "diagonal": (np.tanh, A),
    "permutation": (lambda x: x.T, A),
    "selection": (lambda x: x[1:, ::2], A),
    "gather": (lambda x: np.sin(x[np.array([3, 0, 0])]), X),
    "low rank": (lambda x: np.outer(np.ones(3), np.sum(x**2) * np.ones(2)), X),
    "dense": (lambda x: np.tanh(A @ x), B[:, 0]),
    "block diagonal": (lambda x: np.einsum("bi,bij->bj", x, np.stack([A.T] * 2)), B.T),
    "kronecker": (lambda x: A @ x, B),
    "diagonal + low rank": (softmax, X),
    "zero": (lambda x: np.floor(x), X),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    f, x = KINDS[kind]
    assert agrees(f, x).kind == kind


BANDS = {
    "tridiagonal": lambda x: np.gradient(x**2),
    "pentadiagonal": lambda x: sum(np.pad(x, 2)[k : k + 9] ** 2 for k in range(5)),
    "banded": lambda x: x[1:] * x[:-1],
    "Toeplitz": lambda x: np.diff(x, n=2),
    "circulant": lambda x: np.roll(x, 1) - 2 * x + np.roll(x, -1),
    "sum of 2 index maps": lambda x: x[::-1] + x,  # no band
}


@pytest.mark.parametrize("kind", BANDS)
def test_bands(kind):
    J = agrees(BANDS[kind], np.linspace(0.5, 1.5, 9))
    assert J.kind == kind
    assert J.structure.text.startswith(kind)


def test_widths_of_bands():
    J = agrees(lambda x: np.lib.stride_tricks.sliding_window_view(x, 3) @ X[:3], X)
    assert J.structure.text == "Toeplitz 3 × 5: 2 above, one number for each diagonal"


def test_the_lecture_elementwise_function_is_diagonal():
    x = RNG.standard_normal((100, 4096))
    J = tw.jacobian(np.tanh, form="operator")(x)
    entries = 1 - np.tanh(x).ravel() ** 2
    v = RNG.standard_normal(x.size)
    tracemalloc.start()
    tw.jacobian(np.tanh, form="operator")(x)
    extra = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert extra < 10e6
    assert (J.kind, J.nnz, J.nbytes) == ("diagonal", 409_600, 409_600 * 8)
    np.testing.assert_allclose(J @ v, entries * v, rtol=1e-12)
    np.testing.assert_allclose(J.T @ v, entries * v, rtol=1e-12)
    np.testing.assert_allclose(J.diagonal(), entries, rtol=1e-12)
    with pytest.raises(SizeLimitError, match="J @ v"):
        J.todense()
    with pytest.raises(SizeLimitError, match='form="operator"'):
        tw.jacobian(np.tanh)(x)


def test_the_lecture_affine_layer():
    W, x = np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4])
    J = agrees(lambda W: W @ x, W)
    assert J.kind == "kronecker"
    assert "one copy of a row of 2 numbers for each of 2 rows" in J.structure.text
    batch = RNG.standard_normal((7, 4))
    by_weights = agrees(lambda X, W: X @ W, batch, B, argnums=1)
    by_inputs = agrees(lambda X, W: X @ W, batch, B, argnums=0)
    assert by_weights.structure.text.endswith("block of 7 × 4 ⊗ I(2)")
    assert by_inputs.structure.text.endswith("I(7) ⊗ block of 2 × 4")


# ---- products and sums --------------------------------------------------------------------

PARTS = {
    "scale": lambda x: -2.0 * x,
    "diagonal": lambda x: x**3,
    "shift": lambda x: np.roll(x, 1, 0),
    "reverse": lambda x: x[::-1],
    "columns": lambda x: x[:, np.arange(x.shape[1]) // 2 * 1],
    "padded": lambda x: np.concatenate([x[1:] ** 2, x[:1]]),
    "centred": lambda x: x - np.sum(x, axis=0, keepdims=True) / 3,
    "weights": lambda x: x @ np.cos(np.arange(x.shape[1] ** 2.0)).reshape((x.shape[1],) * 2),
    "left": lambda x: np.sin(np.arange(x.shape[0] ** 2.0)).reshape((x.shape[0],) * 2) @ x,
    "router": lambda x: np.where(x > 0, np.exp(x), 0.0),
    "softmax": lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True),
    "opaque": lambda x: np.cumsum(x, axis=0) ** 2,
}
SHAPES = [(3, 4), (1, 1), (5, 2), (0, 3)]


@pytest.mark.parametrize("first", PARTS)
@pytest.mark.parametrize("second", PARTS)
def test_products_and_sums(first, second):
    f, g = PARTS[first], PARTS[second]
    for shape in SHAPES:
        x = RNG.standard_normal(shape)
        agrees(lambda x: g(f(x)), x)
        agrees(lambda x: f(x) + g(x)[::-1], x)
        agrees(lambda x: np.sum(f(x) * g(x), axis=1), x)


def test_many_terms_are_written_out_once():
    def steps(u):
        for _ in range(4):
            u = u + 0.1 * laplacian(u)
        return u

    J = agrees(steps, RNG.standard_normal((12, 12)))
    assert J.nnz == 144 * 41  # all within four steps of the grid


def placed(x, at):
    """A matrix that is zero but for the sum of squares and a product in one row."""
    y = np.zeros((3, 4)) * x[0]
    y[at] = np.stack([np.sum(x**2), np.sum(A @ x[:4]), x[0], 0.0 * x[1]])
    return y


ROWS = {
    "alone": lambda y: y,
    "factor": lambda y: 2.0 * (np.arange(12.0).reshape(3, 4) * y),
    "one factor": lambda y: y * np.array([[3.0]]),
    "reshape": lambda y: np.reshape(y, (2, 6)).T,
    "put": lambda y: np.concatenate([np.ones((1, 4)), y]),
    "router": lambda y: np.where(np.arange(4) > 1, y, 0.0),
    "sum": lambda y: np.sum(y, axis=0),
    "broadcast": lambda y: y[:, None] + np.zeros((3, 2, 4)),
    "take": lambda y: y[1:, ::-1],
    "matrix": lambda y: y @ A.T,
    "twice": lambda y: y + y[::-1],
}


@pytest.mark.parametrize("name", ROWS)
def test_a_few_rows_of_many_columns(name):
    for at in (0, 1):
        agrees(lambda x, at=at: ROWS[name](placed(x, at)), X)


@pytest.mark.parametrize("order", [1, 2])
def test_an_arrow_takes_what_it_has(order):
    def f(x):
        return np.sum((x[:-1] ** 2 + x[-1] ** 2) ** 2)

    n = 50_000
    make, g = (tw.hessian, f) if order == 2 else (tw.jacobian, tw.grad(f))
    found = make(g, form="sparse")(RNG.standard_normal(n))
    assert found.nnz == 3 * n - 2
    J = make(g, form="operator")(np.ones(n))
    assert J.nbytes < 100 * n
    row = J.T @ np.eye(1, n, n - 1)[0]
    np.testing.assert_allclose(row[:-1], 8.0)
    np.testing.assert_allclose((J @ np.ones(n))[-1], row.sum())


def test_lazy_where_nothing_else_fits(monkeypatch):
    monkeypatch.setattr(tw.config, "dense_limit", 1000)
    x = RNG.standard_normal(40)
    J = tw.jacobian(lambda x: np.cumsum(x) ** 2, form="operator")(x)
    monkeypatch.undo()
    full = tw.jacobian(lambda x: np.cumsum(x) ** 2)(x)
    assert J.kind == "lazy"
    np.testing.assert_allclose(J @ x, full @ x)
    np.testing.assert_allclose(J.T @ x, full.T @ x)
    with pytest.raises(SizeLimitError, match=r"functions.*dense_limit\.\n.*J @ v"):
        J.tosparse()


# ---- complex values -----------------------------------------------------------------------

COMPLEX = {
    "diagonal": lambda z: np.sin(z) * 2j,
    "gather": lambda z: (z**2)[np.array([3, 0, 0])],
    "kronecker": lambda z: np.outer(z, [1.0, 1j]),
    "tridiagonal": lambda z: np.gradient(z**2),
    "diagonal + low rank": lambda z: z / np.sum(z),
}
#: Through real numbers, or conjugates, to a map that is linear over the complex numbers again.
THROUGH = {
    "diagonal": lambda z: np.real(z) ** 2 + np.imag(z) ** 2,
    "tridiagonal": lambda z: np.gradient(np.abs(z)),
    "dense": lambda z: np.abs(np.conj(z) @ np.cos(np.arange(25.0)).reshape(5, 5)) ** 2,
}


@pytest.mark.parametrize("kind", COMPLEX)
def test_holomorphic_functions(kind):
    assert agrees(COMPLEX[kind], X + 0.3j).kind == kind


@pytest.mark.parametrize("kind", THROUGH)
def test_real_functions_of_complex_numbers(kind):
    assert agrees(THROUGH[kind], X + 0.3j).kind == kind


def test_complex_numbers_on_the_way():
    """Real inputs and outputs: the Jacobian is real."""
    phase = np.exp(1j * np.arange(5.0))
    for f in (
        lambda x: np.real(x * phase) * x,
        lambda x: np.abs(x * phase + x[::-1]),
        lambda x: np.imag(np.real(x * phase) * phase),
        lambda x: np.real(np.conj(x * phase) * phase[::-1]),
    ):
        J = agrees(f, X)
        assert J.dtype == float
        assert J.nnz <= 10


def test_what_is_linear_over_the_reals_only_has_no_matrix():
    with pytest.raises(DtypeError):
        tw.jacobian(lambda z: np.conj(z) * z, form="sparse")(X + 1j)


# ---- Hessians -----------------------------------------------------------------------------

M = RNG.standard_normal((5, 5))
HESSIANS = {
    "quadratic": lambda x: 0.5 * x @ (M + M.T) @ x,
    "sum of cubes": lambda x: np.sum(x**3),
    "rosenbrock": rosenbrock,
    "log-sum-exp": lambda x: np.log(np.sum(np.exp(x))),
    "norm": np.linalg.norm,
    "product": np.prod,
    "neighbours": lambda x: np.sum(np.cos(np.diff(x))),
    "entropy": lambda x: np.sum(x**2 * np.log(x**2)),
    "network": lambda x: np.sum(np.tanh(M @ np.tanh(M @ x))),
    "hinge": lambda x: np.sum(np.maximum(x, 0.0) ** 2),
    "arrow": lambda x: np.sum(x[0] * x[1:] ** 2),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_hessians(name):
    H = agrees(HESSIANS[name], X, order=2)
    assert H.symmetric
    assert str(H.structure).startswith(("symmetric", "zero"))


def test_hessian_of_rosenbrock_is_tridiagonal():
    H = tw.hessian(rosenbrock, form="sparse")(RNG.standard_normal(1000))
    assert H.nnz == 3 * 1000 - 2
    assert H.has_sorted_indices


# ---- the form of the answer ---------------------------------------------------------------


def test_sparse_is_a_csr_array_of_the_flattened_sizes():
    found = tw.jacobian(lambda x: np.outer(x, x[:2]) ** 2, form="sparse")(X)
    assert isinstance(found, sparse.csr_array)
    assert found.shape == (10, 5)
    assert tw.jacobian(np.sin, form="sparse")(X.astype(np.float32)).dtype == np.float32


def test_trees_give_trees_of_blocks():
    def f(p):
        return np.sum(p["a"] ** 3) * p["b"]

    point = {"a": X, "b": 2.0}
    found = tw.hessian(f, form="sparse")(point)
    dense = tw.hessian(f)(point)
    for i, m in (("a", 5), ("b", 1)):
        for j, n in (("a", 5), ("b", 1)):
            np.testing.assert_allclose(found[i][j].toarray(), dense[i][j].reshape(m, n))


def test_what_is_overwritten_has_no_entry():
    def f(x):
        y = np.sin(x)
        y[1] = 0.0
        y[2:4] = x[0] ** 2
        return y

    J = agrees(f, X)
    assert J.nnz == 4
    assert agrees(lambda x: f(x) @ np.eye(5)[:, :3], X).nnz == 2


def test_patterns_hold_for_all_values_or_for_this_point():
    def f(x):
        return np.where(x > 0, x**2, 0.0)

    x = np.array([1.0, -1.0, 2.0])
    assert tw.jacobian(f, form="sparse")(x).nnz == 3
    assert tw.jacobian(f, form="sparse", pattern="local")(x).nnz == 2
    assert tw.jacobian(f, form="operator", pattern="local")(x).nnz == 2


def test_zeros_of_branches_not_taken_stay_zeros():
    def f(x):
        return np.sqrt(np.where(x > 0, x, 0.0))

    x = np.array([4.0, -1.0])
    np.testing.assert_array_equal(tw.jacobian(f, form="sparse")(x).toarray(), [[0.25, 0], [0, 0]])
    J = tw.jacobian(f, form="operator")(x)
    np.testing.assert_array_equal(J @ np.ones(2), [0.25, 0.0])
    np.testing.assert_array_equal(J.T @ np.ones(2), [0.25, 0.0])


def masked_root(x):
    return np.where(x > 0, np.sqrt(x), 0.0)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "f",
    [lambda x: x**2, masked_root, lambda x: x[1:] * np.sin(x[:-1]), tw.grad(rosenbrock)],
    ids=["diagonal", "mask", "two diagonals", "tridiagonal"],
)
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_the_pattern_at_nan_is_that_of_every_point(f, number, compiled):
    """Each of n² entries was stored, where one number was NaN."""
    x = np.linspace(0.1, 1.0, 12)
    jacobian = tw.jacobian(tw.compile(f) if compiled else f, form="sparse")
    usual = jacobian(x)
    x[3] = number
    with np.errstate(all="ignore"):
        found, dense = jacobian(x), tw.jacobian(f)(x)
    np.testing.assert_array_equal(found.indices, usual.indices)
    np.testing.assert_array_equal(found.indptr, usual.indptr)
    np.testing.assert_array_equal(found.toarray(), dense)


def test_nan_is_where_it_belongs():
    x = np.array([1.0, np.nan, 2.0])
    found = tw.jacobian(lambda x: x**2, form="sparse")(x).toarray()
    assert np.isnan(found[1, 1])
    assert np.isnan(found).sum() == 1


def test_an_operator_does_not_follow_later_writes():
    x, w = X.copy(), X.copy()
    J = tw.jacobian(lambda x: x * x * w, form="operator")(x)
    before = J.todense()
    x[:] = 0
    w[:] = 0
    np.testing.assert_array_equal(J.todense(), before)


def test_complex_blocks():
    z = X + 1j
    J = tw.jacobian(lambda z: z**2 * z[0], form="operator")(z)
    full = tw.jacobian(lambda z: z**2 * z[0])(z)
    np.testing.assert_allclose(J.todense(), full)
    np.testing.assert_allclose(J @ z, full @ z)
    np.testing.assert_allclose(J.T @ z, full.T @ z)
    np.testing.assert_allclose(J.H @ z, full.conj().T @ z)


def test_unknown_forms_and_patterns_are_named():
    with pytest.raises(ValueError, match="dense, sparse, operator"):
        tw.jacobian(np.sin, form="banded")
    with pytest.raises(ValueError, match="global, local"):
        tw.hessian(np.sin, pattern="here")


def test_sparse_inside_of_another_trace_is_refused():
    with pytest.raises(TracingError, match="dense"):
        tw.grad(lambda x: np.sum(tw.jacobian(np.sin, form="sparse")(x) @ x))(X)


# ---- plans --------------------------------------------------------------------------------


def test_of_a_plain_function_changes_of_what_it_uses_are_seen():
    w = np.ones(5)
    places = np.arange(5)
    found = tw.jacobian(lambda x: w * x[places], form="sparse")
    np.testing.assert_array_equal(found(X).toarray(), np.eye(5))
    w[:] = 2.0
    places[:] = [1, 0, 2, 3, 4]
    np.testing.assert_array_equal(found(X).toarray(), 2 * np.eye(5)[places])


def _first_written(x):
    y = SQUARE @ x
    y[0] = np.sin(x[-1])
    return SQUARE.T @ y


def _row_scaled(x):
    y = np.outer(x, SQUARE @ x)
    y[0] *= 2.0
    return y.T


def _written_twice(x):
    y = x[:, None] * (SQUARE @ x)[None, :]
    y[0] = 0.0 * x
    y[:, 0] = x * x
    return np.sum(y, axis=0)


SQUARE = np.random.default_rng(3).standard_normal((5, 5))


@pytest.mark.parametrize("f", [_first_written, _row_scaled, _written_twice])
@pytest.mark.parametrize("compiled", [False, True])
def test_written_in_place_between_products(f, compiled):
    x = np.linspace(-1, 1, 5)
    dense = tw.jacobian(f)(x).reshape(-1, 5)
    g = tw.compile(f) if compiled else f
    found = tw.jacobian(g, form="sparse")(x)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-12, atol=1e-14)
