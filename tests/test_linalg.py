"""Linear algebra beyond the laws: degenerate points, known results, SciPy's values, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import thalweg as tw
from thalweg.scipy import linalg as sl

RNG = np.random.default_rng(5)
A = RNG.standard_normal((4, 4)) + 3 * np.eye(4)
B = RNG.standard_normal((4, 2))
SPD = A @ A.T
SYMMETRIC = A + A.T


# ---- degenerate points ----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("defect", [1, 2])
def test_gradient_of_det_at_a_singular_matrix_is_the_cofactors(n, defect):
    a = np.random.default_rng(n).standard_normal((n, n))
    a[: min(defect, n)] = 0.0
    minors = [
        [np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)
    ]
    signs = (-1.0) ** np.add.outer(np.arange(n), np.arange(n))
    np.testing.assert_allclose(tw.grad(np.linalg.det)(a), signs * minors, atol=1e-12)


def test_gradient_of_det_of_a_stack_with_one_singular_matrix():
    stack = np.stack((A, np.ones((4, 4))))
    gradient = tw.grad(lambda a: np.sum(np.linalg.det(a)))(stack)
    np.testing.assert_allclose(gradient[0], np.linalg.det(A) * np.linalg.inv(A).T, rtol=1e-10)
    np.testing.assert_allclose(gradient[1], 0.0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hessian_of_det_of_zero_is_finite(n):
    hessian = tw.hessian(np.linalg.det)(np.zeros((n, n)))
    expected = np.zeros((n, n, n, n))
    if n == 2:
        expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1.0
        expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1.0
    np.testing.assert_array_equal(hessian, expected)


@pytest.mark.parametrize("ord", [None, 1, 2, 3, 1.5, 0.5, 0, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [float, complex])
def test_derivatives_of_a_norm_at_zero_are_zero(ord, dtype):
    x = np.zeros(3, dtype)
    gradient = tw.grad(lambda x: np.linalg.norm(x, ord))
    np.testing.assert_array_equal(gradient(x), 0.0)
    _, slope = tw.jvp(gradient, (x,), (np.ones(3, dtype),))
    np.testing.assert_array_equal(slope, 0.0)


def test_zero_entries_do_not_spoil_a_norm():
    x = np.array([0.0, 3.0, 4.0])
    np.testing.assert_allclose(tw.grad(lambda x: np.linalg.norm(x, 3))(x)[0], 0.0)
    np.testing.assert_allclose(tw.grad(lambda x: np.linalg.norm(x, 1.5))(x)[0], 0.0)
    np.testing.assert_array_equal(tw.grad(lambda x: np.linalg.norm(x, 1))(x), [0.0, 1.0, 1.0])


def test_ties_of_a_norm_share():
    x = np.array([2.0, -2.0, 1.0])
    np.testing.assert_array_equal(tw.grad(lambda x: np.linalg.norm(x, np.inf))(x), [0.5, -0.5, 0.0])


def test_repeated_eigenvalues_alone_are_differentiable():
    eye = np.eye(3)
    for values in (
        np.linalg.eigvalsh,
        lambda a: np.linalg.eigh(a).eigenvalues,
        np.linalg.svdvals,
        lambda a: np.linalg.svd(a).S,
        lambda a: np.linalg.svd(a, compute_uv=False),
    ):
        np.testing.assert_allclose(tw.grad(lambda a, f=values: np.sum(f(a)))(eye), eye, atol=1e-12)


def test_vectors_of_repeated_eigenvalues_have_no_derivative():
    gradient = tw.grad(lambda a: np.linalg.eigh(a).eigenvectors[0, 1])(np.eye(2))
    assert not np.isfinite(gradient).all()


def test_the_gradient_stands_in_the_triangle_that_numpy_reads():
    for f, is_lower in (
        (lambda a: np.sum(np.linalg.cholesky(a)), True),
        (lambda a: np.sum(np.linalg.cholesky(a, upper=True)), False),
        (lambda a: np.linalg.eigvalsh(a)[0], True),
        (lambda a: np.linalg.eigh(a, "U").eigenvectors[0, 0] ** 2, False),
        (lambda a: np.sum(np.linalg.pinv(a, hermitian=True)), True),
        (lambda a: np.linalg.svd(a, hermitian=True).S[0], True),
    ):
        g = tw.grad(f)(SPD)
        assert np.all((np.triu(g, 1) if is_lower else np.tril(g, -1)) == 0)
        tw.check_grads(f, (SPD,), order=2)  # in any direction, not only symmetric ones


# ---- known results --------------------------------------------------------------------------


def test_log_determinant_to_third_order():
    def f(t):
        return np.linalg.slogdet(A + t * np.eye(4)).logabsdet

    inverse = np.linalg.inv(A)
    third = tw.grad(tw.grad(tw.grad(f)))(0.0)
    np.testing.assert_allclose(third, 2 * np.trace(inverse @ inverse @ inverse), rtol=1e-12)


def test_gaussian_process_likelihood_three_ways():
    x = np.linspace(0.0, 1.0, 6)
    y = np.sin(3 * x)

    def loss(p):
        k = np.exp(p[0]) * np.exp(-0.5 * (x[:, None] - x) ** 2 * np.exp(-2 * p[1]))
        factor = np.linalg.cholesky(k + np.exp(p[2]) * np.eye(6))
        z = sl.solve_triangular(factor, y, lower=True)
        return 0.5 * z @ z + np.sum(np.log(np.diagonal(factor)))

    p = np.array([0.1, -1.0, -2.0])
    hessian = tw.hessian(loss)(p)
    again = np.stack([tw.grad(lambda p, i=i: tw.grad(loss)(p)[i])(p) for i in range(3)])
    third = np.stack([tw.grad(lambda p, e=e: tw.jvp(loss, (p,), (e,))[1])(p) for e in np.eye(3)])
    np.testing.assert_allclose(hessian, again, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(hessian, third, rtol=1e-10, atol=1e-12)


def test_results_keep_their_names():
    seen = []

    def f(a):
        w, v = np.linalg.eigh(a)
        seen.append(type(np.linalg.eigh(a)).__name__)
        seen.append(type(np.linalg.svd(a)).__name__)
        seen.append(type(np.linalg.qr(a)).__name__)
        seen.append(type(np.linalg.slogdet(a)).__name__)
        return np.sum(w) + np.sum(v)

    tw.grad(f)(SYMMETRIC)
    assert seen == ["EighResult", "SVDResult", "QRResult", "SlogdetResult"]


def test_cut_off_of_its_own_for_each_matrix():
    stack, cutoffs = np.stack((A, 2 * A)), np.array([1e-8, 1e-9])
    gradient = tw.grad(lambda a: np.sum(np.linalg.pinv(a, cutoffs)))(stack)
    expected = tw.grad(lambda a: np.sum(np.linalg.inv(a)))(stack)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9)


def test_eigenvalues_of_real_matrices_that_turn_complex():
    turn = np.array([[1.0, -2.0], [2.0, 1.0]])
    gradient = tw.grad(lambda a: np.sum(np.imag(np.linalg.eigvals(a)) ** 2))(turn)
    np.testing.assert_allclose(gradient, [[0.0, -4.0], [4.0, 0.0]], atol=1e-12)


# ---- SciPy ----------------------------------------------------------------------------------

UPPER = np.triu(A)
SCIPY: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "solve": ((A, B), {}),
    "solve_triangular": ((UPPER, B), {"trans": "T"}),
    "cholesky": ((SPD,), {}),
    "inv": ((A,), {}),
    "det": ((A,), {}),
    "lu": ((A[::-1],), {}),
    "lu_factor": ((A[::-1],), {}),
    "expm": ((A,), {}),
    "expm_frechet": ((A, A.T), {}),
    "logm": ((SPD,), {}),
    "sqrtm": ((SPD,), {}),
    "cosm": ((A,), {}),
    "sinm": ((A,), {}),
    "coshm": ((A,), {}),
    "sinhm": ((A,), {}),
    "solve_sylvester": ((A, B.T @ B, B), {}),
    "solve_continuous_lyapunov": ((A, SPD), {}),
    "toeplitz": (([1.0, 2.0, 3.0], [9.0, 5.0]), {}),
    "block_diag": (([1, 2], [[3.0], [4.0]], 5), {}),
    "norm": ((A, "fro"), {}),
    "eigvalsh": ((SYMMETRIC, SPD), {}),
    "svdvals": ((A,), {}),
    "pinv": ((B,), {}),
    "polar": ((A,), {}),
    "eigvals": ((A,), {}),
    "lstsq": ((A[:, :2], B), {}),
}


@pytest.mark.parametrize("name", SCIPY)
def test_plain_arrays_give_what_scipy_gives(name):
    args, kwargs = SCIPY[name]
    expected = getattr(scipy.linalg, name)(*args, **kwargs)
    found = getattr(sl, name)(*args, **kwargs)
    if not isinstance(expected, tuple):
        expected, found = (expected,), (found,)
    assert len(expected) == len(found)
    for want, got in zip(expected, found, strict=True):
        if np.asarray(want).dtype.kind in "fc":
            assert np.asarray(want).dtype == np.asarray(got).dtype
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("trans", [0, 1, 2])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("columns", [1, 70])
def test_triangular_systems_of_several_blocks(trans, lower, unit, columns):
    rng = np.random.default_rng(1)
    n = 150
    a = rng.standard_normal((n, n)) / n + 1j * rng.standard_normal((n, n)) / n + 2 * np.eye(n)
    b = rng.standard_normal((n, columns))
    expected = scipy.linalg.solve_triangular(a, b, trans=trans, lower=lower, unit_diagonal=unit)
    found = sl.solve_triangular(a, b, trans=trans, lower=lower, unit_diagonal=unit)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_log_determinant_through_cholesky_of_several_blocks():
    rng = np.random.default_rng(2)
    a = rng.standard_normal((150, 150))
    a = a @ a.T + 150 * np.eye(150)

    def f(a):
        return 2 * np.sum(np.log(np.diagonal(np.linalg.cholesky(a))))

    def among_symmetric(a):
        return f((a + a.T) / 2)

    inverse = np.linalg.inv(a)
    np.testing.assert_allclose(tw.grad(among_symmetric)(a), inverse, rtol=1e-9, atol=1e-14)
    read = 2 * np.tril(inverse) - np.diag(np.diag(inverse))
    np.testing.assert_allclose(tw.grad(f)(a), read, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    "form", ["gen", "sym", "her", "pos", "upper triangular", "lower triangular", "diagonal"]
)
@pytest.mark.parametrize("turned", [False, True])
def test_solve_with_a_structure_gives_what_scipy_gives(form, turned):
    a = {"sym": SYMMETRIC, "her": SYMMETRIC, "pos": SPD, "gen": A}.get(form)
    if a is None:
        a = UPPER if form[0] == "u" else UPPER.T if form[0] == "l" else np.diag(np.diag(A))
    expected = np.linalg.solve(a.T if turned else a, B)
    np.testing.assert_allclose(sl.solve(a, B, assume_a=form, transposed=turned), expected)


def test_sylvester_of_real_and_complex_matrices_solves_the_equation():
    a = np.array([[0.0, -1.0], [1.0, 0.5]])
    q = a + 1j * a[::-1]
    for left, right in ((a, a), (a, a + 0j), (a + 0j, a)):
        x = sl.solve_sylvester(left, right, q)
        np.testing.assert_allclose(left @ x + x @ right, q, rtol=1e-13)


def test_covariance_of_no_variables():
    for f in (np.cov, np.corrcoef):
        out, pull = tw.vjp(f, np.zeros((0, 3)))
        assert out.shape == (0, 0)
        assert pull(out)[0].shape == (0, 3)


def test_lu_indices_and_permuted_factor():
    p, low, up = sl.lu(A[::-1], p_indices=True)
    np.testing.assert_allclose(low[p] @ up, A[::-1], atol=1e-12)
    low, up = sl.lu(A[::-1], permute_l=True)
    np.testing.assert_allclose(low @ up, A[::-1], atol=1e-12)


@pytest.mark.parametrize("lower", [False, True])
def test_pencil(lower):
    w, v = sl.eigh(SYMMETRIC, SPD, lower=lower)
    np.testing.assert_allclose(SYMMETRIC @ v, SPD @ v * w, atol=1e-9)
    np.testing.assert_allclose(v.T @ SPD @ v, np.eye(4), atol=1e-9)


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: np.linalg.qr(a, "raw"), "mode='raw'"),
        (lambda a: sl.qr(a, pivoting=True), "pivoting=True"),
        (lambda a: sl.polar(a[:2]), "singular p"),
        (lambda a: sl.solve(a, a, assume_a="banded"), "banded"),
        (lambda a: sl.eigh(a, subset_by_index=[0, 1]), "subset_by_index"),
        (lambda a: sl.eig(a, left=True), "left=True"),
        (lambda a: sl.pinv(a, atol=0.1), "atol=0.1"),
        (lambda a: np.fft.fft(a, out=np.empty((4, 4), complex)), "NumPy array"),
    ],
)
def test_what_has_no_rule_is_named(call, message):
    with pytest.raises((tw.errors.NoRuleError, tw.errors.TracingError), match=message):
        tw.vjp(call, A)


@pytest.mark.parametrize("f", [np.linalg.inv, lambda a: np.linalg.solve(a, B)])
def test_a_singular_matrix_is_numpys_error(f):
    with pytest.raises(np.linalg.LinAlgError):
        tw.vjp(f, np.zeros((4, 4)))


def test_infinite_entries_are_scipys_error():
    with pytest.raises(ValueError, match="infs or NaNs"):
        tw.vjp(sl.inv, np.full((2, 2), np.nan))


@pytest.mark.parametrize("order", ["nuc", 2, "fro", 1, np.inf, None])
def test_every_matrix_norm_has_slope_zero_at_zero(order):
    def norm(x):
        return np.linalg.norm(x, order, axis=(0, 1))

    zero = np.zeros((2, 3))
    np.testing.assert_array_equal(tw.grad(norm)(zero), zero)
    assert tw.jvp(norm, (zero,), (np.ones((2, 3)),))[1] == 0


def test_lu_keeps_float32():
    a = np.array([[0.1, 2.0], [3.0, 1.0]], np.float32)

    def solution(a):
        return sl.lu_solve(sl.lu_factor(a), a[0])

    for f in (solution, lambda a: sl.lu_factor(a)[0], lambda a: sl.lu(a)[1]):
        out, tangent = tw.jvp(f, (a,), (np.ones_like(a),))
        assert out.dtype == tangent.dtype == np.float32
