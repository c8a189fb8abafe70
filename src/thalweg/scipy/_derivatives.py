"""What SciPy's solvers are handed: gradients, products, and Jacobians in the form that suits."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse.linalg

from thalweg.api import hvp, value_and_grad
from thalweg.api_compile import compile
from thalweg.api_dense import hessian, jacobian
from thalweg.errors import SizeLimitError, TreeError

__all__ = [
    "Matrix",
    "Preconditioner",
    "compiled",
    "like",
    "products",
    "scalar",
    "value_and_gradient",
    "vector",
]

Function = Callable[..., Any]

#: Unknowns up to which a matrix is dense whatever its pattern.
_DENSE = 64
#: Share of entries that can be other than zero, up to which a matrix is given as a sparse one.
_SPARSE = 0.1


def like(original: Function) -> Callable[[Callable[[dict[str, Any]], None]], Function]:
    """Decorator: a function with SciPy's signature, that fills in arguments which were not given.

    The function below gets the arguments by name, and changes them.
    """
    signature = inspect.signature(original)

    def decorate(fill: Callable[[dict[str, Any]], None]) -> Function:
        @functools.wraps(fill)
        def called(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            fill(bound.arguments)
            return original(*bound.args, **bound.kwargs)

        called.__signature__ = signature  # type: ignore[attr-defined]
        return called

    return decorate


def scalar(fun: Function) -> Function:
    """`fun`, where a result of one entry counts as a number, as it does for SciPy."""

    @functools.wraps(fun)
    def called(*args: Any) -> Any:
        value = fun(*args)
        shape = getattr(value, "shape", ())
        return np.reshape(value, ()) if len(shape) and set(shape) == {1} else value

    return called


def vector(fun: Function) -> Function:
    """`fun`, where lists of numbers count as arrays, as they do for SciPy."""

    @functools.wraps(fun)
    def called(*args: Any, **kwargs: Any) -> Any:
        value = _array(fun(*args, **kwargs))
        return value if len(np.shape(value)) else np.reshape(value, (1,))

    return called


def _array(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return np.stack([_array(item) for item in value]) if value else np.zeros(0)
    return value


def compiled(function: Function) -> Function:
    """`function` compiled; as it is for arguments of kinds that only SciPy takes."""
    fast = compile(function)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(TreeError):
            return fast(*args, **kwargs)
        return function(*args, **kwargs)

    return called


def value_and_gradient(fun: Function) -> Function:
    """``(value, gradient)`` of a scalar function by its first argument, compiled."""
    return compiled(value_and_grad(scalar(fun)))


def products(fun: Function) -> Function:
    """``(x, p, *args)`` → Hessian times p, compiled."""
    one = scalar(fun)

    @functools.wraps(fun)
    def product(x: Any, p: Any, *args: Any) -> Any:
        return hvp(lambda x: one(x, *args), (x,), (p,))

    return compiled(product)


class Matrix:
    """A Jacobian, or the Hessian of a scalar function, as a function of the point.

    The first call chooses: a dense array for few unknowns or a full pattern, else a
    ``csr_array``, filled up where a sparse matrix is of no use. `full` is what takes the place of
    a large matrix with a full pattern.

    Parameters
    ----------
    fun : callable
        It takes what the matrix is asked for.
    order : {1, 2}
        Jacobian or Hessian.
    argnum : int
        What is differentiated: a vector.
    sparse : bool
        Whether a sparse matrix is of use.
    full : callable, optional
    """

    def __init__(
        self,
        fun: Function,
        order: int = 1,
        argnum: int = 0,
        sparse: bool = True,
        full: Function | None = None,
    ) -> None:
        self._make = hessian if order == 2 else jacobian
        self._fun, self._argnum, self._may_be_sparse = fun, argnum, sparse
        self._full = full
        self._evaluate: Function | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        at = np.asarray(args[self._argnum])
        if at.dtype.kind in "iub":  # SciPy hands on [1, 1] as it is given
            args = (*args[: self._argnum], at.astype(float), *args[self._argnum + 1 :])
        if self._evaluate is None:
            return self._choose(args, kwargs)
        return self._evaluate(*args, **kwargs)

    def _choose(self, args: Any, kwargs: Any) -> Any:
        if np.size(args[self._argnum]) > _DENSE:
            # Not compiled: there arguments vary, and with them zeros of matrices and indices.
            evaluate = self._make(self._fun, self._argnum, form="sparse")
            with contextlib.suppress(SizeLimitError):  # as full as one whose entries are counted
                found = evaluate(*args, **kwargs)
                if found.nnz <= _SPARSE * found.shape[0] * found.shape[1]:
                    if self._may_be_sparse:
                        self._evaluate = evaluate
                        return found
                    # Two orders less work than a dense one.
                    self._evaluate = lambda *args, **kwargs: evaluate(*args, **kwargs).toarray()
                    return found.toarray()
            if self._full is not None:
                self._evaluate = self._full
                return self._full(*args, **kwargs)
        self._evaluate = compiled(self._make(self._fun, self._argnum))
        return self._evaluate(*args, **kwargs)


class Preconditioner(scipy.sparse.linalg.LinearOperator):
    """An approximate inverse of the Jacobian of ``fun`` at the iterate: incomplete LU factors.

    `scipy.optimize.newton_krylov` calls `setup` once, and `update` at each iterate.
    """

    def __init__(self, fun: Function, x0: Any) -> None:
        shape = np.shape(x0)
        n = np.size(x0)
        one = vector(fun)
        self._jacobian = Matrix(lambda x: np.reshape(one(np.reshape(x, shape)), (-1,)))
        self._solve: Callable[[Any], Any] = np.array
        super().__init__(np.dtype(float), (n, n))

    def setup(self, x: Any, f: Any, func: Any) -> None:
        """Factor at the first iterate."""
        self.update(x, f)

    def update(self, x: Any, f: Any) -> None:
        """Factor at a new iterate."""
        matrix = scipy.sparse.csc_array(self._jacobian(np.reshape(x, (-1,))))
        try:
            self._solve = scipy.sparse.linalg.spilu(matrix, drop_tol=1e-4, fill_factor=10).solve
        except RuntimeError:  # singular there: the Krylov method works without, only slower
            self._solve = np.array

    def _matvec(self, v: Any) -> Any:
        return self._solve(np.reshape(v, (-1,)))
