"""`scipy.optimize` fed with derivatives: SciPy's signatures, arguments and results.

Each function takes a plain NumPy function and gives SciPy what its method can use and the call
leaves out: gradients, Hessians or their products, Jacobians, dense or sparse. What a call does give
(``jac=…``) stays as it is. Functions are compiled where SciPy asks for value and gradient at once.

Examples
--------
>>> import numpy as np
>>> from thalweg.scipy import optimize
>>> def rosenbrock(x):
...     return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
>>> found = optimize.minimize(rosenbrock, np.zeros(50), method="trust-ncg", tol=1e-10)
>>> found.x.round(12).tolist() == [1.0] * 50
True
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse.linalg
from scipy.optimize import NonlinearConstraint

from thalweg.api import grad
from thalweg.scipy._derivatives import (
    Matrix,
    Preconditioner,
    compiled,
    like,
    products,
    scalar,
    value_and_gradient,
    vector,
)

__all__ = [
    "curve_fit",
    "fsolve",
    "least_squares",
    "minimize",
    "newton_krylov",
    "root",
    "root_scalar",
]

#: Methods of `minimize` that use no derivative.
_FREE = frozenset(["nelder-mead", "powell", "cobyla", "cobyqa"])
#: What methods of `minimize` take of the second derivatives.
_SECOND = {
    "newton-cg": "products",
    "trust-ncg": "products",
    "trust-krylov": "products",
    "dogleg": "dense",
    "trust-exact": "dense",
    "trust-constr": "any",
}


@like(scipy.optimize.minimize)
def minimize(given: dict[str, Any]) -> None:
    """Minimise a scalar function, as `scipy.optimize.minimize`, with exact derivatives.

    Where they are left out: `jac` is the compiled gradient for every method that uses one; `hessp`
    the compiled product for Newton-CG, trust-ncg and trust-krylov; `hess` the dense Hessian for
    dogleg and trust-exact; for trust-constr a dense or sparse Hessian, or products where it is
    large and full. Constraints get their Jacobians and Hessians.

    Raises
    ------
    NonScalarOutputError
        If the function does not give one real number.
    """
    fun = given["fun"]
    method = given.get("method")
    name = _lower(method)
    if name in _FREE or callable(method):
        return
    second = _SECOND.get(name)
    jac = given.get("jac")
    known = given.get("hess") is not None or given.get("hessp") is not None
    if second and not known and jac is not True:
        _give_second(given, fun, second)
    if jac is None or jac is False:
        given["fun"], given["jac"] = value_and_gradient(fun), True
    given["constraints"] = _constraints(given.get("constraints", ()), second == "any")


def _give_second(given: dict[str, Any], fun: Any, form: str) -> None:
    n = np.size(given["x0"])
    if form == "products":
        given["hessp"] = products(fun)
    elif form == "dense":
        given["hess"] = Matrix(scalar(fun), order=2, sparse=False)
    else:
        given["hess"] = Matrix(scalar(fun), order=2, full=_operator(fun, n))


def _operator(fun: Any, n: int) -> Any:
    """A large full Hessian as a LinearOperator."""
    product = products(fun)

    def at(x: Any, *args: Any) -> Any:
        x = np.array(x)  # SciPy may move on in its memory
        return scipy.sparse.linalg.LinearOperator(
            (n, n), matvec=lambda p: product(x, np.reshape(p, n), *args), dtype=x.dtype
        )

    return at


def _constraints(given: Any, second: bool) -> Any:
    """Constraints with the derivatives that they lack; second ones only for trust-constr."""
    if isinstance(given, (dict, NonlinearConstraint)):
        return _constraint(given, second)
    if isinstance(given, (list, tuple)):
        return type(given)(_constraint(one, second) for one in given)
    return given


def _constraint(one: Any, second: bool) -> Any:
    if isinstance(one, dict) and callable(one.get("fun")) and not callable(one.get("jac")):
        return {**one, "jac": Matrix(vector(one["fun"]), sparse=False)}
    if isinstance(one, NonlinearConstraint) and isinstance(one.jac, str):
        fun = vector(one.fun)
        more = {"hess": Matrix(lambda x, v: np.sum(v * fun(x)), order=2)} if second else {}
        return NonlinearConstraint(
            one.fun,
            one.lb,
            one.ub,
            jac=Matrix(fun, sparse=second),
            keep_feasible=one.keep_feasible,
            **more,
        )
    return one


@like(scipy.optimize.least_squares)
def least_squares(given: dict[str, Any]) -> None:
    """Minimise a sum of squares, as `scipy.optimize.least_squares`, with an exact Jacobian.

    For trf and dogbox it is sparse where it has few non-zeros, and SciPy then takes lsmr.
    """
    if "jac" in given or given.get("jac_sparsity") is not None:
        return
    sparse = given.get("method", "trf") != "lm" and given.get("tr_solver") != "exact"
    given["jac"] = Matrix(vector(given["fun"]), sparse=sparse)


@like(scipy.optimize.root)
def root(given: dict[str, Any]) -> None:
    """Find a zero of a vector function, as `scipy.optimize.root`, with an exact Jacobian.

    For hybr and lm. For krylov incomplete LU factors of the Jacobian precondition the inner
    iteration.
    """
    method = _lower(given.get("method", "hybr"))
    if method in ("hybr", "lm") and given.get("jac") in (None, False):
        given["jac"] = Matrix(vector(given["fun"]), sparse=False)
    elif method == "krylov":
        options = dict(given.get("options") or {})
        inner = dict(options.get("jac_options") or {})
        if inner.get("inner_M") is None:
            args = _arguments(given)
            inner["inner_M"] = Preconditioner(lambda x: given["fun"](x, *args), given["x0"])
            given["options"] = {**options, "jac_options": inner}


@like(scipy.optimize.fsolve)
def fsolve(given: dict[str, Any]) -> None:
    """Find a zero of a vector function, as `scipy.optimize.fsolve`, with an exact Jacobian."""
    if given.get("fprime") is None:
        turned = given.get("col_deriv")
        fprime = Matrix(vector(given["func"]), sparse=False)
        given["fprime"] = (lambda x, *args: fprime(x, *args).T) if turned else fprime


@like(scipy.optimize.newton_krylov)
def newton_krylov(given: dict[str, Any]) -> None:
    """Find a zero of a large system, as `scipy.optimize.newton_krylov`, preconditioned.

    `inner_M` is made of incomplete LU factors of the sparse Jacobian, anew at every iterate.
    """
    if given.get("inner_M") is None:
        given["inner_M"] = Preconditioner(given["F"], given["xin"])


@like(scipy.optimize.root_scalar)
def root_scalar(given: dict[str, Any]) -> None:
    """Find a zero of a scalar function, as `scipy.optimize.root_scalar`.

    Newton's and Halley's methods get exact derivatives; they are taken where no bracket and no
    second point is given.
    """
    method = given.get("method")
    plain = given.get("bracket") is None and given.get("x1") is None
    if method is None and plain and not given.get("fprime"):
        method = given["method"] = "newton"
    method = _lower(method)
    if method not in ("newton", "halley"):
        return
    fun = scalar(given["f"])
    if not given.get("fprime"):
        given["fprime"] = compiled(grad(fun))
    if method == "halley" and not given.get("fprime2"):
        given["fprime2"] = compiled(grad(grad(fun)))


@like(scipy.optimize.curve_fit)
def curve_fit(given: dict[str, Any]) -> None:
    """Fit a model to data, as `scipy.optimize.curve_fit`, with the model's exact Jacobian."""
    if given.get("jac") is None:
        model = given["f"]

        @functools.wraps(model)
        def by_parameters(p: Any, x: Any) -> Any:
            return model(x, *p)

        matrix = Matrix(by_parameters, sparse=False)
        given["jac"] = lambda x, *p: matrix(np.array(p), x)


def _lower(method: Any) -> str:
    """SciPy's names of methods are the same in capitals; empty for what is no name."""
    return method.lower() if isinstance(method, str) else ""


def _arguments(given: dict[str, Any]) -> tuple[Any, ...]:
    args = given.get("args", ())
    return args if isinstance(args, tuple) else (args,)
