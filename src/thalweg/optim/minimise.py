"""Whole minimisations on trees through SciPy: L-BFGS, and Newton in a trust region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize

from thalweg.api import hvp, value_and_grad
from thalweg.api_compile import compile
from thalweg.errors import DataError
from thalweg.optim.base import check_positive, check_whole, fresh
from thalweg.tree import Structure, flatten, learned, unflatten

__all__ = ["Minimum", "minimize_lbfgs", "minimize_newton"]


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended.

    Attributes
    ----------
    params : tree
        The parameters found, with the shapes and dtypes of those it began with.
    value : float
        The loss there.
    gradient_norm : float
        The largest entry of the gradient there, by size.
    converged : bool
        Whether `gradient_norm` is within the tolerance.
    iterations, evaluations, products : int
        Steps; values with their gradients; products of the Hessian with a vector.
    message : str
        Why it ended, in SciPy's words.
    """

    params: Any
    value: float
    gradient_norm: float
    converged: bool
    iterations: int
    evaluations: int
    products: int
    message: str


class _Flat:
    """A loss on a tree as a function of one float64 vector, with counts of what was computed."""

    def __init__(self, loss: Callable[..., Any], params: Any, args: tuple[Any, ...]) -> None:
        leaves, structure = fresh(params)
        if any(leaf.dtype.kind == "c" for leaf in leaves):
            raise TypeError("minimising takes real parameters: pass real and imaginary parts")
        self._structure: Structure = structure
        self._leaves = leaves
        self._args = args
        self._ends = np.cumsum([leaf.size for leaf in leaves])
        self._moves = np.repeat(np.array(learned(structure), bool), [leaf.size for leaf in leaves])
        self._slope = compile(value_and_grad(loss))
        self._curve = compile(lambda p, t, *args: hvp(lambda inner: loss(inner, *args), (p,), (t,)))
        self.evaluations = self.products = 0
        self.start = self.join(unflatten(structure, leaves))
        self._last: tuple[np.ndarray, float, np.ndarray] | None = None

    def join(self, tree: Any) -> np.ndarray:
        """A tree as a vector."""
        pieces = [np.ravel(np.asarray(leaf, np.float64)) for leaf in flatten(tree)[0]]
        return np.concatenate(pieces) if pieces else np.zeros(0)

    def split(self, x: np.ndarray) -> Any:
        """A vector as a tree, with the shapes and dtypes of the parameters."""
        pieces = np.split(x, self._ends[:-1]) if self._leaves else []
        shaped = [
            piece.reshape(leaf.shape).astype(leaf.dtype)
            for piece, leaf in zip(pieces, self._leaves, strict=True)
        ]
        return unflatten(self._structure, shaped)

    def slope(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; those of the last place are known."""
        if self._last is not None and np.array_equal(x, self._last[0]):
            return self._last[1:]
        self.evaluations += 1
        value, tree = self._slope(self.split(x), *self._args)
        value, gradient = float(value), self._without_buffers(tree)
        if np.isfinite(value) and np.all(np.isfinite(gradient)):
            self._last = np.array(x), value, gradient
        elif self._last is not None:
            # Beyond where the loss is defined: a value above and a slope back shorten the step,
            # where nan would end the search.
            before, value, gradient = self._last
            return value + (abs(gradient @ (x - before)) or 1.0), -gradient
        return value, gradient

    def curve(self, x: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The Hessian at x times t."""
        self.products += 1
        return self._without_buffers(self._curve(self.split(x), self.split(t), *self._args))

    def _without_buffers(self, tree: Any) -> np.ndarray:
        """A gradient as a vector: 0 where no parameter is."""
        vector = self.join(tree)
        vector[~self._moves] = 0
        return vector

    def minimise(
        self, method: str, tolerance: float, *, hessp: Any = None, **options: Any
    ) -> Minimum:
        """Run SciPy's `method`, and look at what came out."""
        value, gradient = self.slope(self.start)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            raise DataError(
                f"the loss is {value} at the start, its gradient "
                f"{'finite' if np.all(np.isfinite(gradient)) else 'not'}: there is no way down "
                "from there. `thalweg.trace` names the node where it begins."
            )
        if not self.start.size:
            return Minimum(self.split(self.start), value, 0.0, True, 0, 1, 0, "no parameters")
        # A step that is too long is taken back.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            found = scipy.optimize.minimize(
                self.slope, self.start, jac=True, hessp=hessp, method=method, options=options
            )
        # After a search in vain SciPy has the value of its last attempt, not of found.x.
        value, gradient = self.slope(found.x)
        largest = float(np.max(np.abs(gradient), initial=0.0))
        return Minimum(
            params=self.split(found.x),
            value=value,
            gradient_norm=largest,
            converged=largest <= tolerance,
            iterations=int(found.nit),
            evaluations=self.evaluations,
            products=self.products,
            message=str(found.message),
        )


def minimize_lbfgs(
    loss: Callable[..., Any],
    params: Any,
    *args: Any,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
    memory: int = 30,
) -> Minimum:
    """Minimise a smooth loss over all data by L-BFGS: SciPy's, with compiled exact gradients.

    Sources: Liu, Nocedal, On the limited memory BFGS method (1989); Byrd, Lu, Nocedal, Zhu (1995).

    Parameters
    ----------
    loss : callable
        ``loss(params, *args)`` gives one real number, without noise.
    params : tree
        Where to begin; floating arrays.
    *args : trees
        What else the loss takes: data.
    tolerance : float
        It has converged where no entry of the gradient is larger.
    max_iterations : int
        How many steps at most.
    memory : int
        How many pairs of steps stand for the Hessian.

    Returns
    -------
    Minimum
        The parameters in the form they were given, the value, what it cost.

    Raises
    ------
    DataError
        If value or gradient are not finite at the start.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> def rosenbrock(p):
    ...     return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2
    >>> found = tw.optim.minimize_lbfgs(rosenbrock, {"x": -1.2, "y": 1.0})
    >>> found.converged, round(float(found.params["x"]), 6), found.evaluations < 60
    (True, 1.0, True)
    """
    check_positive("tolerance", tolerance)
    check_whole("max_iterations", max_iterations)
    check_whole("memory", memory)
    # ftol = 0: only the gradient says that it is done, not a step that gained little.
    options = {"gtol": tolerance, "ftol": 0.0, "maxcor": memory, "maxiter": max_iterations}
    options["maxfun"] = 20 * max_iterations
    return _Flat(loss, params, args).minimise("L-BFGS-B", tolerance, **options)


def minimize_newton(
    loss: Callable[..., Any],
    params: Any,
    *args: Any,
    tolerance: float = 1e-8,
    max_iterations: int = 200,
) -> Minimum:
    """Minimise by Newton steps in a trust region: few steps, far in the digits, no matrix.

    Each step solves by conjugate gradients with compiled products of the Hessian and a vector
    (Steihaug 1983; Nocedal, Wright, Numerical optimization, 2nd ed., algorithm 7.2): SciPy's
    ``trust-ncg``. Directions of negative curvature are followed to the edge of the region.

    Parameters
    ----------
    loss, params, *args, tolerance, max_iterations
        As of `minimize_lbfgs`; the loss twice differentiable.

    Returns
    -------
    Minimum
        The parameters in the form they were given, the value, what it cost.

    Raises
    ------
    DataError
        If value or gradient are not finite at the start.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> found = tw.optim.minimize_newton(lambda w: np.sum(np.cosh(w - 1.0)), np.zeros(3))
    >>> found.params, found.iterations
    (array([1., 1., 1.]), 4)
    """
    check_positive("tolerance", tolerance)
    check_whole("max_iterations", max_iterations)
    flat = _Flat(loss, params, args)
    options = {"gtol": tolerance, "maxiter": max_iterations}
    return flat.minimise("trust-ncg", tolerance, hessp=flat.curve, **options)
