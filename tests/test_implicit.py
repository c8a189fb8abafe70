"""`implicit`: against closed forms, differences and derivatives through an explicit solution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg

import thalweg as tw
from thalweg.errors import ConvergenceError, DtypeError, ShapeError, SingularError, TreeError

RNG = np.random.default_rng(4)
X, Y = RNG.standard_normal((20, 4)), RNG.standard_normal(20)


def difference(f, x, h=1e-4):
    """Fourth-order central difference of a function of one number."""
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


# ---- a root ---------------------------------------------------------------------------------


def bisect(a):
    return scipy.optimize.brentq(lambda x: x**3 + x - a, -10.0, 10.0, xtol=1e-15, rtol=1e-14)


root = tw.implicit(bisect, lambda x, a: x**3 + x - a)


def test_root_against_the_closed_form_and_differences():
    a = 2.5
    x = bisect(a)
    slope = 3 * x**2 + 1
    first, second = 1 / slope, -6 * x / slope**3
    third = (108 * x**2 - 6 * slope) / slope**5
    gradient = tw.grad(root)
    assert gradient(a) == pytest.approx(first, rel=1e-13)
    assert tw.grad(gradient)(a) == pytest.approx(second, rel=1e-12)
    assert tw.grad(tw.grad(gradient))(a) == pytest.approx(third, rel=1e-11)
    assert tw.jvp(root, (a,), (2.0,))[1] == pytest.approx(2 * first, rel=1e-13)
    assert tw.hvp(root, (a,), (1.0,)) == pytest.approx(second, rel=1e-12)
    assert gradient(a) == pytest.approx(difference(root, a), rel=1e-9)
    assert tw.grad(gradient)(a) == pytest.approx(difference(gradient, a), rel=1e-9)


def test_many_roots_and_compiled():
    a = np.array([0.5, 2.5, 7.0])
    slopes = np.array([tw.grad(root)(x) for x in a])
    np.testing.assert_allclose(tw.vmap(tw.grad(root))(a), slopes, rtol=1e-13)
    compiled = tw.compile(tw.value_and_grad(root))
    for x, slope in zip(a, slopes, strict=True):  # the record of the first serves the others
        value, found = compiled(x)
        assert (value, found) == (pytest.approx(bisect(x)), pytest.approx(slope, rel=1e-13))
    assert len(compiled.records) == 1


def test_residual_that_branches_under_compile():
    """|x| x = a, written with an if: the derivative takes the branch of the value at hand."""
    signed = tw.implicit(
        lambda a: np.sign(a) * np.sqrt(abs(a)), lambda x, a: x * x - a if x > 0 else -x * x - a
    )
    compiled = tw.compile(tw.grad(signed))
    for a in (4.0, -9.0, 16.0, -1.0):
        assert compiled(a) == pytest.approx(0.5 / np.sqrt(abs(a)), rel=1e-12)


# ---- an argmin ------------------------------------------------------------------------------


def ridge_closed(penalty, x=X, y=Y):
    return np.linalg.solve(x.T @ x + penalty * np.eye(4), x.T @ y)


def ridge_objective(w, penalty, x=X, y=Y):
    return 0.5 * np.sum((x @ w - y) ** 2) + 0.5 * penalty * np.sum(w**2)


def minimise(penalty, x=X, y=Y):
    found = scipy.optimize.minimize(
        ridge_objective, np.zeros(4), (penalty, x, y), "BFGS", options={"gtol": 1e-6}
    )
    # The quasi-Newton result to the last digit: one Newton step.
    step = x.T @ (x @ found.x - y) + penalty * found.x
    return found.x - np.linalg.solve(x.T @ x + penalty * np.eye(4), step)


ridge = tw.implicit(minimise, tw.grad(ridge_objective))


def validation(w):
    return np.sum((X[::-1] @ w - 1.3 * Y) ** 4)


@pytest.mark.parametrize("linear", ["auto", "dense", "sparse", "cg", "gmres"])
def test_ridge_regression_by_its_penalty(linear):
    solved = tw.implicit(minimise, tw.grad(ridge_objective), linear=linear)

    def loss(penalty):
        return validation(solved(penalty))

    def closed(penalty):
        return validation(ridge_closed(penalty))

    rel = 1e-9 if linear in ("cg", "gmres") else 1e-11
    assert tw.grad(loss)(0.7) == pytest.approx(tw.grad(closed)(0.7), rel=rel)
    assert tw.hessian(loss)(0.7) == pytest.approx(tw.hessian(closed)(0.7), rel=10 * rel)
    assert tw.grad(loss)(0.7) == pytest.approx(difference(closed, 0.7), rel=1e-8)


@pytest.mark.parametrize("argnum", [0, 1, 2])
def test_ridge_regression_by_everything_to_second_order(argnum):
    args = (0.7, X[:6], Y[:6])
    for f in (lambda g: tw.jacobian(g, argnum), lambda g: tw.jacobian(tw.jacobian(g, argnum), 0)):
        np.testing.assert_allclose(f(ridge)(*args), f(ridge_closed)(*args), rtol=0, atol=1e-12)


# ---- a fixed point --------------------------------------------------------------------------


def iterate(p):
    x = np.zeros(3)
    for _ in range(200):
        x = contraction(x, p)
    return x


def contraction(x, p):
    return 0.5 * np.tanh(p["a"] @ x + p["b"])


fixed = tw.implicit(iterate, lambda x, p: x - contraction(x, p))
P = {"a": 0.8 * RNG.standard_normal((3, 3)), "b": RNG.standard_normal(3)}


def test_fixed_point_against_the_unrolled_iteration():
    def through(p):
        x = np.zeros(3)
        for _ in range(60):
            x = contraction(x, p)
        return np.sum(np.exp(x))

    found, wanted = tw.grad(lambda p: np.sum(np.exp(fixed(p))))(P), tw.grad(through)(P)
    np.testing.assert_allclose(found["a"], wanted["a"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["b"], wanted["b"], rtol=0, atol=1e-13)
    direction = {"a": np.ones((3, 3)), "b": np.arange(3.0)}
    second = tw.hvp(lambda p: np.sum(np.exp(fixed(p))), (P,), (direction,))
    wanted = tw.hvp(through, (P,), (direction,))
    np.testing.assert_allclose(second["a"], wanted["a"], rtol=0, atol=1e-12)
    tw.check_grads(lambda p: np.sum(np.exp(fixed(p))), (P,), order=2)


# ---- trees, dtypes, complex numbers ---------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    x: Any
    y: Any


def test_trees_of_arguments_and_unknowns():
    """x + y = s, x y = q, with x > y: closed forms."""

    def solve(given):
        s, q = given["s"], given["q"]
        root = np.sqrt(s * s - 4 * q)
        return Pair((s + root) / 2, (s - root) / 2)

    pair = tw.implicit(solve, lambda z, given: Pair(z.x + z.y - given["s"], z.x * z.y - given["q"]))
    given = {"s": np.array([5.0, 7.0]), "q": np.array([6.0, 10.0])}
    jac = tw.jacobian(pair)(given)
    for name in ("s", "q"):
        wanted = tw.jacobian(solve)(given)
        np.testing.assert_allclose(jac.x[name], wanted.x[name], rtol=0, atol=1e-13)
        np.testing.assert_allclose(jac.y[name], wanted.y[name], rtol=0, atol=1e-13)


def test_static_and_integer_arguments():
    power = tw.implicit(lambda a, n, how: a ** (1 / n), lambda x, a, n, how: x**n - a)
    assert tw.grad(power)(8.0, 3, "any") == pytest.approx(1 / 12, rel=1e-13)
    compiled = tw.compile(tw.grad(power))
    assert compiled(8.0, np.int64(3), "any") == pytest.approx(1 / 12, rel=1e-13)
    assert compiled(16.0, np.int64(2), "any") == pytest.approx(1 / 8, rel=1e-13)


def test_a_residual_that_is_not_holomorphic():
    """x + conj(x) / 2 = a: linear over the reals only; x = (4 a − 2 ā) / 3."""
    f = tw.implicit(lambda a: (4 * a - 2 * np.conj(a)) / 3, lambda x, a: x + np.conj(x) / 2 - a)
    a, t = np.array([1.0 + 2j, -0.5j]), np.array([0.3 - 1j, 2.0 + 1j])
    out, tangent = tw.jvp(f, (a,), (t,))
    np.testing.assert_allclose(tangent, (4 * t - 2 * np.conj(t)) / 3, rtol=1e-14)
    c = np.array([1.0 - 1j, 0.25 + 2j])
    pulled = tw.vjp(f, a)[1](c)[0]
    assert np.sum(pulled * t).real == pytest.approx(np.sum(c * tangent).real, rel=1e-14)
    assert out.dtype == np.complex128


def test_float32_stays():
    g = tw.grad(tw.implicit(np.sqrt, lambda x, a: x * x - a))(np.float32(4.0))
    assert g.dtype == np.float32
    assert g == np.float32(0.25)


def test_outside_of_a_derivative_it_is_the_solver():
    calls = []

    def solver(a):
        calls.append(type(a))
        return [1, 2]

    assert tw.implicit(solver, lambda x, a: 0 / 0)(3) == [1, 2]
    assert calls == [int]
    seen = []
    f = tw.implicit(lambda a: seen.append(type(a)) or a, lambda x, a: x - a)
    assert tw.grad(lambda a: f(a).sum())(np.ones(2)).tolist() == [1, 1]
    assert seen == [np.ndarray]


def test_the_solver_may_write_to_its_arguments():
    def solver(a):
        a *= 2
        return a

    x = np.arange(3.0)
    np.testing.assert_array_equal(
        tw.grad(lambda a: np.sum(a * tw.implicit(solver, lambda x, a: x - 2 * a)(a)))(x), 4 * x
    )
    np.testing.assert_array_equal(x, np.arange(3.0))


def test_the_solver_knows_of_no_trace():
    """Derivatives in it are numbers, compiled functions run, large arrays stay its own."""
    n = 300_000
    kinds = set()

    def objective(x, a):
        return np.sum((x - a) ** 2)

    compiled = tw.compile(tw.grad(objective))

    def solver(a):
        x = np.zeros(n)
        for slope in (tw.grad(objective), compiled):
            step = slope(x, a)
            kinds.add(type(step))
            x -= 0.5 * step
        return x

    f = tw.implicit(solver, tw.grad(objective), linear="cg")
    assert tw.grad(lambda a: np.sum(f(a * np.ones(n))))(2.0) == pytest.approx(n, rel=1e-9)
    assert kinds == {np.ndarray}
    assert len(compiled.records) == 1


def test_one_factorisation_serves_a_point(monkeypatch):
    made = []
    original = scipy.sparse.linalg.splu
    monkeypatch.setattr(scipy.sparse.linalg, "splu", lambda m: made.append(m.shape) or original(m))
    n = 400

    def laplace(x, b):
        return 3 * x - np.concatenate([x[1:], x[:1]]) - np.concatenate([x[-1:], x[:-1]]) + x**3 - b

    def newton(b):
        x = np.zeros(n)
        for _ in range(30):
            x = x - original(jac(x, b).tocsc()).solve(laplace(x, b))
        return x

    jac = tw.jacobian(laplace, form="sparse")
    f = tw.implicit(newton, laplace)
    b = np.linspace(0.5, 2.0, n)
    tangent = tw.hvp(lambda b: np.sum(f(b) ** 3), (b,), (np.ones(n),))
    assert made == [(n, n)]
    h = 1e-5
    gradient = tw.grad(lambda b: np.sum(f(b) ** 3))
    np.testing.assert_allclose(tangent, (gradient(b + h) - gradient(b - h)) / (2 * h), rtol=1e-7)


def test_a_linear_solver_of_ones_own():
    asked = []

    def linear(A, b):
        asked.append(type(A).__name__)
        return np.linalg.solve(A @ np.eye(A.shape[0]), b)

    a = np.array([4.0, 9.0])
    f = tw.implicit(np.sqrt, lambda x, a: x * x - a, linear=linear)
    np.testing.assert_allclose(tw.jacobian(f)(a), np.diag(0.5 / np.sqrt(a)), atol=1e-15)
    assert asked
    wrong = tw.implicit(np.sqrt, lambda x, a: x * x - a, linear=lambda A, b: b[:1])
    with pytest.raises(ShapeError, match=r"linear\(A, b\) gave shape \(1,\)"):
        tw.jacobian(wrong)(a)


# ---- errors ---------------------------------------------------------------------------------


def test_a_solver_that_has_not_converged():
    f = tw.implicit(lambda a: np.sqrt(a) + 0.01, lambda x, a: x * x - a)
    with pytest.raises(ConvergenceError, match="not a zero of the residual"):
        tw.grad(f)(4.0)
    rough = tw.implicit(lambda a: np.sqrt(a) + 0.01, lambda x, a: x * x - a, tolerance=0.1)
    assert tw.grad(rough)(4.0) == pytest.approx(0.25, rel=0.01)
    lost = tw.implicit(lambda a: np.nan, lambda x, a: x * x - a)
    with pytest.raises((ConvergenceError, SingularError)):
        tw.grad(lost)(4.0)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_units_of_the_equations_do_not_matter(scale):
    def residual(x, a):
        return np.stack([scale * (x[0] - a), x[1] + x[0] / scale])

    f = tw.implicit(lambda a: np.array([a, -a / scale]), residual)
    np.testing.assert_allclose(tw.jacobian(f)(2.0), [1.0, -1 / scale], rtol=1e-12)


@pytest.mark.parametrize("linear", ["auto", "sparse"])
@pytest.mark.parametrize(
    "residual",
    [
        lambda x, a: np.stack([x[0] + x[1] - a, 2 * (x[0] + x[1] - a)]),
        lambda x, a: np.stack([(x[0] - a / 2) ** 2, x[1] - a / 2]),
        lambda x, a: np.stack([np.sqrt(np.abs(x[0] - a / 2)), x[1] - a / 2]),
    ],
    ids=["dependent", "double root", "infinite"],
)
def test_a_singular_system(linear, residual):
    f = tw.implicit(lambda a: np.array([a / 2, a / 2]), residual, linear=linear)
    with pytest.raises(SingularError, match="singular"):
        tw.jacobian(f)(2.0)


def test_forms_that_do_not_fit():
    with pytest.raises(ShapeError, match="as many equations as unknowns"):
        tw.grad(tw.implicit(lambda a: a, lambda x, a: np.stack([x, x])))(1.0)
    with pytest.raises(TreeError, match="form of the solution"):
        tw.grad(tw.implicit(lambda a: a, lambda x, a: {"x": x - a}))(1.0)
    with pytest.raises(DtypeError, match="complex where the solution is real"):
        tw.grad(tw.implicit(lambda a: a, lambda x, a: 1j * (x - a)))(1.0)
    with pytest.raises(DtypeError, match=r"take \.x"):
        tw.grad(tw.implicit(lambda a: "text", lambda x, a: x - a))(1.0)


def test_what_is_closed_over_is_refused():
    def by_residual(a):
        return tw.implicit(lambda b: b, lambda x, b: x - b * a / tw.detach(a))(2.0 * a)

    def by_solver(a):
        return tw.implicit(lambda b: a * b, lambda x, b: x - b)(a)

    def by_residual_alone(a):
        """No argument is traced: the gradient was 0, without a word."""
        return tw.implicit(lambda b: np.sqrt(b), lambda x, b: x**2 - a * b)(2.0)

    def by_solver_alone(a):
        return tw.implicit(lambda b: np.sqrt(a * b), lambda x, b: x**2 - b)(2.0)

    residuals, solvers = (by_residual, by_residual_alone), (by_solver, by_solver_alone)
    for f, who in [(f, "residual") for f in residuals] + [(f, "solver") for f in solvers]:
        with pytest.raises(tw.errors.TracingError, match=f"the {who} use[sd] a traced array"):
            tw.grad(f)(1.0)


def test_bad_options():
    with pytest.raises(TypeError, match="residual must be a function"):
        tw.implicit(np.sqrt, 3)
    with pytest.raises(ValueError, match="linear='qr'"):
        tw.implicit(np.sqrt, np.sqrt, linear="qr")
    with pytest.raises(ValueError, match="tolerance=-1"):
        tw.implicit(np.sqrt, np.sqrt, tolerance=-1)


def test_an_iteration_that_stalls_says_what_to_do():
    n = 60
    stiff = 10.0 ** np.linspace(-12, 0, n)

    def residual(x, a):
        return np.cumsum(stiff * (x - a))[::-1] + stiff * x

    f = tw.implicit(
        lambda a: scipy.optimize.root(lambda x: residual(x, a), a / 2).x,
        residual,
        linear="cg",
        tolerance=1e9,
    )
    with pytest.raises(ConvergenceError, match="CG did not solve"):
        tw.grad(lambda a: np.sum(f(a)))(np.ones(n))
