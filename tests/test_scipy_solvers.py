"""SciPy's solvers fed with derivatives: the same answers from fewer evaluations."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.sparse.linalg
from scipy import sparse

import thalweg as tw
from tests.problems import brusselator
from tests.problems.sparse import (
    arrowhead,
    bratu,
    broyden_tridiagonal,
    chained_wood,
    minimal_surface,
    obstacle,
)
from thalweg.errors import NonScalarOutputError, TracingError
from thalweg.scipy import integrate, optimize


class Counted:
    """A NumPy function that counts its calls with plain arrays: those that SciPy makes."""

    def __init__(self, function):
        self.function, self.calls = function, 0
        self.__name__ = function.__name__

    def __call__(self, *args, **kwargs):
        self.calls += all(type(x).__name__ != "Array" for x in args)
        return self.function(*args, **kwargs)


def test_signatures_and_names_are_scipys():
    for name in optimize.__all__:
        ours, theirs = getattr(optimize, name), getattr(scipy.optimize, name)
        assert inspect.signature(ours) == inspect.signature(theirs)
        assert ours.__name__ == name
        assert ours.__doc__
        assert getattr(tw.scipy, name) is ours
    ours, theirs = integrate.solve_ivp, scipy.integrate.solve_ivp
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert tw.scipy.solve_ivp is ours


# ---- minimize -------------------------------------------------------------------------------

SIDE = 10
SURFACE = minimal_surface(SIDE)


@pytest.fixture(scope="module")
def least_area():
    """The minimal surface by Newton's method with a dense Hessian."""
    x = np.zeros(SIDE**2)
    for _ in range(12):
        x = x - np.linalg.solve(tw.hessian(SURFACE)(x), tw.grad(SURFACE)(x))
    return x


@pytest.mark.parametrize(
    ("method", "tolerance"),
    [("BFGS", 1e-4), ("L-BFGS-B", 1e-3), ("CG", 1e-4), ("TNC", 1e-2), ("SLSQP", 1e-2)],
)
def test_first_order_methods(method, tolerance, least_area):
    fun = Counted(SURFACE)
    options = {"tol": 1e-9, "method": method}
    if method == "TNC":  # with differences it asks for 85,000 values
        options["options"] = {"maxfun": 2500}
    found = tw.scipy.minimize(fun, np.zeros(SIDE**2), **options)
    assert fun.calls == 0  # SciPy has called compiled code
    plain = scipy.optimize.minimize(SURFACE, np.zeros(SIDE**2), **options)
    assert np.abs(found.x - least_area).max() < tolerance
    assert found.fun <= plain.fun + 1e-6
    assert 20 * found.nfev < plain.nfev


@pytest.mark.parametrize(
    "method", ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "dogleg", "trust-constr"]
)
def test_second_order_methods(method, least_area):
    found = tw.scipy.minimize(SURFACE, np.zeros(SIDE**2), method=method, tol=1e-10)
    assert np.abs(found.x - least_area).max() < 1e-6
    assert found.nfev <= 30
    if method in ("Newton-CG", "trust-constr"):  # the others have no default differences
        plain = scipy.optimize.minimize(
            SURFACE, np.zeros(SIDE**2), method=method, tol=1e-10,
            jac="2-point" if method == "trust-constr" else tw.grad(SURFACE),
            options={"maxiter": 40},
        )  # fmt: skip
        assert found.nfev + found.njev < plain.nfev + plain.njev


def test_trust_constr_gets_the_hessian_in_its_form(monkeypatch):
    """Sparse, dense, or as products, by size and pattern."""
    forms = []
    values = scipy.optimize._differentiable_functions.ScalarFunction
    original = values.__init__

    def watched(self, *args, **kwargs):
        original(self, *args, **kwargs)
        forms.append(self.H)

    monkeypatch.setattr(values, "__init__", watched)

    def spread(x):
        return np.sum(x**2) + np.sum(x) ** 2 / 100

    for fun, n in ((chained_wood, 100), (arrowhead, 40), (spread, 100), (spread, 10_000)):
        found = tw.scipy.minimize(fun, np.full(n, 0.5), method="trust-constr", tol=1e-9)
        gradient = tw.grad(fun)(found.x)
        assert np.abs(gradient).max() < 1e-6
    assert sparse.issparse(forms[0])
    assert isinstance(forms[1], np.ndarray)
    assert all(isinstance(form, scipy.sparse.linalg.LinearOperator) for form in forms[2:])


def test_bounds_and_arguments():
    """The obstacle problem with the obstacle as a bound."""
    side = 8
    fun = obstacle(side, stiffness=0.0)
    line = np.sin(np.pi * np.linspace(0, 1, side + 2)[1:-1])
    bump = np.outer(line, line).ravel() - 0.5
    found = tw.scipy.minimize(
        lambda x, load: fun(x) + load * np.sum(x), bump + 1.0, (0.01,),
        bounds=[(low, None) for low in bump], tol=1e-12,
    )  # fmt: skip
    assert found.success
    slope = tw.grad(fun)(found.x) + 0.01
    touching = found.x < bump + 1e-6
    assert touching.any()
    assert not touching.all()
    assert np.abs(slope[~touching]).max() < 1e-4
    assert slope[touching].min() > -1e-4


@pytest.mark.filterwarnings("ignore:delta_grad == 0.0")  # SciPy's own BFGS, without us
@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_constraints_get_derivatives(method):
    """The closest point of the unit sphere, above a paraboloid."""
    calls = Counted(lambda x: np.sum(x**2) - 1)
    old = [{"type": "eq", "fun": calls}, {"type": "ineq", "fun": lambda x: [x[0] - x[1] ** 2]}]
    new = [
        scipy.optimize.NonlinearConstraint(calls, 0, 0),
        scipy.optimize.NonlinearConstraint(lambda x: x[0] - x[1] ** 2, 0, np.inf),
    ]
    target = np.array([-0.5, 1.0, 1.0])

    def distance(x):
        return np.sum((x - target) ** 2)

    results, counts = [], []
    for minimize in (tw.scipy.minimize, scipy.optimize.minimize):
        for constraints in (old, new):
            calls.calls = 0
            options = {"method": method, "constraints": constraints, "tol": 1e-10}
            results.append(minimize(distance, np.array([0.6, 0.6, 0.6]), **options).x)
            counts.append(calls.calls)
    for x in results:
        np.testing.assert_allclose(x, results[-1], atol=2e-4)
    assert max(counts[:2]) < min(counts[2:])


def test_what_is_given_stays():
    def fun(x):
        return np.sum((x - 1) ** 4)

    asked = []

    def jac(x):
        asked.append(x)
        return 4 * (x - 1) ** 3

    tw.scipy.minimize(fun, np.zeros(3), jac=jac, method="BFGS")
    assert asked
    both = tw.scipy.minimize(lambda x: (fun(x), jac(x)), np.zeros(3), jac=True, method="Newton-CG")
    np.testing.assert_allclose(both.x, 1, atol=0.1)
    numeric = tw.scipy.minimize(fun, np.zeros(3), jac="3-point")
    assert numeric.nfev > 5 * numeric.njev

    def untraceable(x):
        return float(np.sum(x**2))

    free = tw.scipy.minimize(untraceable, np.ones(2), method="Nelder-Mead")
    np.testing.assert_allclose(free.x, 0, atol=1e-3)
    with pytest.raises(TracingError, match="float"):
        tw.scipy.minimize(untraceable, np.ones(2))


def test_an_objective_that_is_no_number():
    with pytest.raises(NonScalarOutputError, match=r"shape \(3,\)"):
        tw.scipy.minimize(lambda x: x**2, np.ones(3))
    one = tw.scipy.minimize(lambda x: x**2 + x, np.array([3]))  # a result of one entry is a number
    np.testing.assert_allclose(one.x, -0.5, atol=1e-8)
    with pytest.raises(TypeError, match="x0"):
        tw.scipy.minimize(lambda x: x**2)


# ---- systems and least squares --------------------------------------------------------------


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root(method):
    n = 30
    plain = scipy.optimize.root(broyden_tridiagonal, -np.ones(n), method=method, tol=1e-12)
    found = tw.scipy.root(broyden_tridiagonal, -np.ones(n), method=method, tol=1e-12)
    np.testing.assert_allclose(found.x, plain.x, rtol=1e-8)
    assert np.abs(broyden_tridiagonal(found.x)).max() < 1e-8
    assert found.nfev < plain.nfev


def test_fsolve_and_lists():
    def fun(x, a):
        return [x[0] * np.cos(x[1]) - a, x[1] * x[0] - x[1] - 5]

    for turned in (False, True):
        options = {"args": 4.0, "full_output": True}
        x, info, *_ = tw.scipy.fsolve(fun, [1, 1], col_deriv=turned, **options)
        np.testing.assert_allclose(x, [6.50409711, 0.90841421], rtol=1e-7)
        assert info["nfev"] < scipy.optimize.fsolve(fun, [1, 1], **options)[1]["nfev"]


@pytest.mark.parametrize("way", ["newton_krylov", "root"])
def test_newton_krylov_is_preconditioned(way):
    residual = bratu(12, 2)
    shape = (12, 12)

    def grid(u):
        return residual(np.ravel(u)).reshape(shape) if type(u) is np.ndarray else np.reshape(
            residual(np.reshape(u, (-1,))), shape
        )  # fmt: skip

    counts, results = [], []
    for ours in (True, False):
        fun = Counted(grid)
        if way == "root":
            solve = tw.scipy.root if ours else scipy.optimize.root
            found = solve(fun, np.zeros(shape), method="krylov", options={"fatol": 1e-9}).x
        else:
            solve = tw.scipy.newton_krylov if ours else scipy.optimize.newton_krylov
            found = solve(fun, np.zeros(shape), f_tol=1e-9)
        counts.append(fun.calls)
        results.append(found)
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    assert 2 * counts[0] < counts[1]


def test_root_scalar():
    def cubic(x, a):
        return x**3 - a

    for method in (None, "newton", "halley"):
        found = tw.scipy.root_scalar(cubic, args=(8.0,), x0=3.0, method=method)
        assert found.root == pytest.approx(2.0, rel=1e-12)
    assert tw.scipy.root_scalar(cubic, (8.0,), bracket=(0, 5)).root == pytest.approx(2.0)


def test_names_of_methods_are_read_as_scipy_reads_them():
    """In capitals too; what is no method is told in SciPy's words."""
    small, large = (
        tw.scipy.root(broyden_tridiagonal, -np.ones(30), method=name) for name in ("hybr", "Hybr")
    )
    assert large.nfev == small.nfev
    found = [
        tw.scipy.root_scalar(lambda x: x**3 - 8, x0=3.0, method=name)
        for name in ("newton", "NEWTON")
    ]
    assert found[0].function_calls == found[1].function_calls
    with pytest.raises(ValueError, match="method"):
        tw.scipy.solve_ivp(lambda t, y: -y, (0, 1), [1.0], None)


@pytest.mark.parametrize("options", [{"method": "lm"}, {"method": "trf"}, {"method": "dogbox"}])
def test_least_squares(options):
    """An exponential decay (three parameters) with an outlier."""
    t = np.linspace(0, 4, 40)
    data = 2 * np.exp(-1.5 * t) + 0.5 + 0.01 * np.sin(37 * t)
    data[7] += 0.5

    def residuals(p, t, data=None):
        return p[0] * np.exp(-p[1] * t) + p[2] - data

    fun = Counted(residuals)
    robust = {} if options["method"] == "lm" else {"loss": "soft_l1", "f_scale": 0.05}
    call = {"args": (t,), "kwargs": {"data": data}, **options, **robust}
    found = tw.scipy.least_squares(fun, np.ones(3), **call)
    ours, fun.calls = fun.calls, 0
    plain = scipy.optimize.least_squares(fun, np.ones(3), **call)
    np.testing.assert_allclose(found.x, plain.x, rtol=1e-5)
    assert 2 * ours < fun.calls


def test_least_squares_is_sparse_where_the_problem_is():
    n = 300
    fun = Counted(broyden_tridiagonal)
    found = tw.scipy.least_squares(fun, -np.ones(n), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    assert sparse.issparse(found.jac)
    assert found.jac.nnz == 3 * n - 2
    assert np.abs(found.fun).max() < 1e-8
    assert fun.calls < 25  # differences take 300 for each Jacobian
    exact = tw.scipy.least_squares(broyden_tridiagonal, -np.ones(n), tr_solver="exact")
    assert isinstance(exact.jac, np.ndarray)
    np.testing.assert_allclose(found.x, exact.x, atol=1e-6)


def test_sparse_where_arguments_say_so():
    """Zeros of a matrix, places and objects of any kind among the arguments."""
    n = 80
    A = np.diag(np.arange(1.0, n + 1))
    arguments = {
        "matrix": (lambda x, A: A @ x - 1, A),
        "object": (lambda x, A: A.diagonal() * x - 1, sparse.csr_array(A)),
        "places": (lambda x, who: x[who] ** 2 - 1, np.arange(n)[::-1]),
        "size": (lambda x, k: np.ravel(np.reshape(x, (k, -1)).T) - 1, np.int64(8)),
    }
    for fun, given in arguments.values():
        found = tw.scipy.least_squares(fun, np.full(n, 0.5), args=(given,))
        assert sparse.issparse(found.jac)
        assert found.jac.nnz == n


def test_arguments_of_any_kind():
    """SciPy hands on what it is given; compiled functions take arrays and what is hashable."""
    A = sparse.diags_array([1.0, 2.0, 4.0])
    residuals = {"args": (A,), "method": "lm"}
    found = [
        tw.scipy.least_squares(lambda x, A: A.diagonal() * x - 1, np.ones(3), **residuals).x,
        tw.scipy.root(lambda x, A: A.diagonal() * x - 1, np.ones(3), args=(A,)).x,
    ]
    for method in ("BFGS", "trust-ncg"):
        found.append(
            tw.scipy.minimize(
                lambda x, A: np.sum((A.diagonal() * x - 1) ** 2), np.ones(3), (A,), method
            ).x
        )
    flow = tw.scipy.solve_ivp(
        lambda t, y, A: 1 - A.diagonal() * y, (0, 30), np.ones(3), "BDF", args=(A,), atol=1e-9
    )
    for x in (*found, flow.y[:, -1]):
        np.testing.assert_allclose(x, [1, 0.5, 0.25], atol=1e-5)


def test_curve_fit():
    def model(x, a, b):
        return a * np.exp(-b * x)

    x = np.linspace(0, 3, 30)
    y = model(x, 2.0, 1.3) + 0.01 * np.cos(20 * x)
    fun = Counted(model)
    found, covariance = tw.scipy.curve_fit(fun, x, y, [1.0, 1.0])
    ours, fun.calls = fun.calls, 0
    plain, wanted = scipy.optimize.curve_fit(fun, x, y, [1.0, 1.0])
    np.testing.assert_allclose(found, plain, rtol=1e-6)
    np.testing.assert_allclose(covariance, wanted, rtol=1e-4)
    assert ours < fun.calls


# ---- differential equations -----------------------------------------------------------------


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_stiff_brusselator(method):
    n = 40
    call = {"t_span": (0, 2.0), "y0": brusselator.start(n), "rtol": 1e-6, "atol": 1e-8}
    fun = Counted(brusselator.rate)
    plain = scipy.integrate.solve_ivp(fun, method=method, **call)
    found = tw.scipy.solve_ivp(brusselator.rate, method=method, **call)
    assert found.success
    np.testing.assert_allclose(found.y[:, -1], plain.y[:, -1], rtol=1e-4)
    assert found.nfev < fun.calls  # nfev leaves the differences out


def test_sparse_jacobian_reaches_the_integrator(monkeypatch):
    forms = []
    original = scipy.integrate.Radau.__init__

    def watched(self, *args, jac=None, **kwargs):
        original(self, *args, jac=jac, **kwargs)
        forms.append(type(self.J))

    monkeypatch.setattr(scipy.integrate.Radau, "__init__", watched)
    tw.scipy.solve_ivp(brusselator.rate, (0, 0.01), brusselator.start(40), "Radau")
    tw.scipy.solve_ivp(brusselator.rate, (0, 0.01), brusselator.start(4), "Radau")
    assert [issubclass(form, np.ndarray) for form in forms] == [False, True]


def test_solve_ivp_with_arguments_lists_and_dense_output():
    def pendulum(t, y, g):
        return [y[1], -g * np.sin(y[0])]

    call = {"args": (9.81,), "rtol": 1e-9, "atol": 1e-9, "dense_output": True}
    for method in ("Radau", "RK45"):
        found = tw.scipy.solve_ivp(pendulum, (0, 2), [1.0, 0.0], method, **call)
        energy = found.y[1] ** 2 / 2 - 9.81 * np.cos(found.y[0])
        np.testing.assert_allclose(energy, energy[0], atol=1e-6)
        assert found.sol(1.0).shape == (2,)
