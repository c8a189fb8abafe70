"""`implicit`: derivatives of what a solver found, by the implicit function theorem.

With r(x, p) = 0: ∂x/∂p = −A⁻¹ ∂r/∂p, A = ∂r/∂x. A pull solves Aᵀ w = c and pulls −w through the
residual; a push pushes through the residual and solves with A. That solve is a primitive as well,
w(x, p, c) with A(x, p) w = c, whose derivative is the same theorem once more: so any order follows.

Unknowns and arguments go as one real vector each (a complex number as its two parts, so residuals
need not be holomorphic).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.api import jvp, vjp
from thalweg.api_batch import vmap
from thalweg.api_systems import LINEAR, Solve, solver_of
from thalweg.array import Array, unwrap, wrap
from thalweg.errors import ConvergenceError, DtypeError, ShapeError, TracingError, TreeError
from thalweg.graph.kinds import Custom, Kind, Zero
from thalweg.graph.primitive import Labels, Primitive, register
from thalweg.guards import Recording, depth
from thalweg.tree import Structure, flatten, unflatten

__all__ = ["implicit"]


def implicit(
    solver: Callable[..., Any],
    residual: Callable[..., Any],
    *,
    linear: str | Callable[[Any, Any], Any] = "auto",
    tolerance: float | None = None,
) -> Callable[..., Any]:
    """Make a function that calls `solver`, with derivatives from the equation that it solves.

    The solver is never traced: it may be SciPy, compiled code, a loop until convergence. Its
    derivatives come from the linearised `residual` at its result: forward and reverse, of any
    order, under `jacobian`, `vmap` and `compile` as well.

    Parameters
    ----------
    solver : callable
        ``solver(*args)`` gives the solution x, an array or a tree of arrays, from NumPy arguments.
    residual : callable
        ``residual(x, *args)``: NumPy code that is zero at the solution, in the form of x. For a
        minimum the gradient of the objective, for a fixed point ``x - g(x, *args)``.
    linear : {"auto", "dense", "sparse", "cg", "gmres"} or callable
        How linearised systems are solved. ``"auto"``: a dense factorisation up to 200 unknowns,
        above it a sparse one where the Jacobian is sparse. ``"cg"`` is for symmetric positive
        definite Jacobians (a minimum). A callable ``linear(A, b)`` gets a
        ``scipy.sparse.linalg.LinearOperator`` (the transposed one in reverse mode).
    tolerance : float, optional
        How far x may be from a solution where it is differentiated: the largest entry of one
        Newton step, relative to the largest of x (or to 1). Default 1e-4; 1e-2 in float32.

    Returns
    -------
    callable
        Takes what `solver` takes, and gives what it gives.

    Raises
    ------
    ConvergenceError
        If x is no solution, or an iterative linear method does not converge.
    SingularError
        If the linearised residual is singular: no derivative exists.
    ShapeError, TreeError
        If the residual does not have the form of x.

    References
    ----------
    A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 15.
    B. Christianson, *Reverse accumulation and attractive fixed points*, Optimization Methods and
    Software 3 (1994).

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from scipy.optimize import brentq
    >>> root = tw.implicit(
    ...     lambda a: brentq(lambda x: x**3 + x - a, 0.0, 10.0),
    ...     lambda x, a: x**3 + x - a,
    ... )
    >>> x = root(10.0)
    >>> round(float(tw.grad(root)(10.0) * (3 * x**2 + 1)), 12)
    1.0
    """
    for name, function in (("solver", solver), ("residual", residual)):
        if not callable(function):
            raise TypeError(f"implicit: {name} must be a function, not {type(function).__name__}")
    if not callable(linear) and linear not in LINEAR:
        raise ValueError(f"linear={linear!r}: it must be a function or one of {', '.join(LINEAR)}")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance={tolerance!r}: it must be above 0")

    @functools.wraps(solver)
    def solved(*args: Any) -> Any:
        leaves, structure = flatten(args)
        traced = [leaf for leaf in leaves if type(leaf) is Array]
        if not traced:
            found = solver(*args)
            if depth() > 0:  # what is closed over may be traced where no argument is
                _refuse_arrays(found, _OF_SOLVER)
                _refuse_arrays(residual(found, *args), _OF_RESIDUAL)
            return found
        problem = _Problem(solver, residual, linear, tolerance, leaves, structure)
        varying = [x for x in traced if x.dtype.kind in "fc"]
        others = [x for x in traced if x.dtype.kind not in "fc"]
        operands = unwrap((problem.arguments.pack(varying), *others))
        x = wrap(SOLUTION(*operands, problem=problem))
        problem.check_residual(x, operands)
        return problem.unknowns.unpack(x)

    return solved


_OF_SOLVER = (
    "implicit: the solver used a traced array that is not among its arguments; pass it as an "
    "argument (of the residual too)"
)
_OF_RESIDUAL = (
    "implicit: the residual uses a traced array that is not among its arguments, whose derivative "
    "would be missed; pass it as an argument (of the solver too)"
)


def _refuse_arrays(tree: Any, message: str) -> None:
    if any(type(leaf) is Array for leaf in flatten(tree)[0]):
        raise TracingError(message)


class _Form(NamedTuple):
    """A tree of numbers as one real vector: complex ones as their real, then imaginary parts."""

    structure: Structure
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[Any], ...]

    @classmethod
    def of(cls, leaves: Sequence[Any], structure: Structure) -> _Form:
        return cls(structure, tuple(x.shape for x in leaves), tuple(x.dtype for x in leaves))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the vector."""
        return np.result_type(*(_real(d) for d in self.dtypes)) if self.dtypes else np.dtype(float)

    def pack(self, leaves: Sequence[Any]) -> Any:
        parts = []
        for leaf, dtype in zip(leaves, self.dtypes, strict=True):
            halves = (np.real(leaf), np.imag(leaf)) if dtype.kind == "c" else (leaf,)
            parts += [np.reshape(half, (-1,)) for half in halves]
        whole = np.concatenate(parts) if len(parts) != 1 else parts[0]
        return whole if whole.dtype == self.dtype else whole.astype(self.dtype)

    def leaves(self, vector: Any) -> list[Any]:
        leaves, at = [], 0
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            size = math.prod(shape)
            halves = []
            for start in (at, at + size)[: 2 if dtype.kind == "c" else 1]:
                half = np.reshape(vector[start : start + size], shape) if shape else vector[start]
                halves.append(half)
                at += size
            leaf = halves[0] + 1j * halves[1] if len(halves) == 2 else halves[0]
            leaves.append(leaf if leaf.dtype == dtype else leaf.astype(dtype))
        return leaves

    def unpack(self, vector: Any) -> Any:
        return unflatten(self.structure, self.leaves(vector))


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.zeros((), dtype).real.dtype


class _Problem:
    """One call: what is static in its arguments, and how to solve with its linearised residual.

    `arguments` and `unknowns` are the forms of p and x. Linear solves at one point share their
    factorisation; it is found by the values of the point, as memory may be used again.
    """

    def __init__(
        self,
        solver: Callable[..., Any],
        residual: Callable[..., Any],
        linear: Any,
        tolerance: float | None,
        leaves: Sequence[Any],
        structure: Structure,
    ) -> None:
        self.solver, self.function = solver, residual
        self.linear, self.tolerance = linear, tolerance
        floats = [type(x) is Array and x.dtype.kind in "fc" for x in leaves]
        self.places = [i for i, float_ in enumerate(floats) if float_]
        self.other_places = [i for i, x in enumerate(leaves) if type(x) is Array and not floats[i]]
        self.static = [None if type(x) is Array else x for x in leaves]
        self.structure = structure
        self.arguments = _Form.of([leaves[i] for i in self.places], structure)
        self.unknowns: Any = None
        self._last: tuple[list[Any], Solve] | None = None

    def call(self, p: Any, others: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments of the user's functions."""
        leaves = list(self.static)
        for i, value in zip(self.places, self.arguments.leaves(p), strict=True):
            leaves[i] = value
        for i, value in zip(self.other_places, others, strict=True):
            leaves[i] = value
        return unflatten(self.structure, leaves)

    def solve(self, p: Any, others: Sequence[Any]) -> Any:
        """The solver's result as a vector."""
        with Recording(outside=True):
            leaves, structure = flatten(self.solver(*self.call(np.array(p), others)))
        _refuse_arrays(leaves, _OF_SOLVER)
        values = [np.asarray(x) for x in leaves]
        for value in values:
            if value.dtype.kind not in "fciub":
                raise DtypeError(
                    f"implicit: the solver returned dtype {value.dtype}, not numbers. From SciPy's "
                    "result objects take .x (or .root)."
                )
        values = [x if x.dtype.kind in "fc" else x.astype(float) for x in values]
        form = _Form.of(values, structure)
        if self.unknowns is None:
            self.unknowns = form
        elif form != self.unknowns:
            raise ShapeError(
                f"implicit: the solver gave shapes {form.shapes} ({_names(form)}), and before "
                f"{self.unknowns.shapes} ({_names(self.unknowns)}) for arguments of the same form"
            )
        return np.array(form.pack(values))

    def residual(self, x: Any, p: Any, others: Sequence[Any]) -> Any:
        """The residual as a vector, of vectors."""
        form = self.unknowns
        result = self.function(form.unpack(x), *self.call(p, others))
        leaves, structure = flatten(result)
        if structure != form.structure:
            raise TreeError(
                f"implicit: the residual must have the form of the solution, {form.structure!r}; "
                f"it is {structure!r}"
            )
        values = [r if type(r) is Array else np.asarray(r) for r in leaves]
        for value, shape, dtype in zip(values, form.shapes, form.dtypes, strict=True):
            if value.shape != shape:
                raise ShapeError(
                    f"implicit: the residual has shape {value.shape} where the solution has "
                    f"{shape}: there must be as many equations as unknowns"
                )
            if value.dtype.kind == "c" and dtype.kind != "c":
                raise DtypeError("implicit: the residual is complex where the solution is real")
        return form.pack(values)

    def check_residual(self, x: Any, operands: tuple[Any, ...]) -> None:
        """The residual's form is asked for at the call, where the user's line is."""
        p, *others = [getattr(o, "value", o) for o in operands]
        _refuse_arrays(self.residual(x._node.value, p, others), _OF_RESIDUAL)

    def system(self, x: Any, p: Any, others: Sequence[Any]) -> Solve:
        """How systems with A = ∂r/∂x at x, p are solved; x is a solution, or an error says so."""
        point = [x, p, *others]
        last = self._last
        if last is not None and all(map(np.array_equal, last[0], point)):
            return last[1]

        def at_p(x: Any) -> Any:
            return self.residual(x, p, others)

        with Recording(outside=True):
            solve = solver_of(at_p, x, self.linear)
            self._check_solution(x, at_p(x), solve)
        self._last = ([np.array(value) for value in point], solve)
        return solve

    def _check_solution(self, x: Any, r: Any, solve: Solve) -> None:
        small = x.dtype.itemsize < 8
        tolerance = self.tolerance or (1e-2 if small else 1e-4)
        largest = np.max(np.abs(r), initial=0.0)
        step = np.max(np.abs(solve(r, False)), initial=0.0) if np.isfinite(largest) else largest
        if not step <= tolerance * max(1.0, np.max(np.abs(x), initial=0.0)):
            raise ConvergenceError(
                "implicit: what the solver gave is not a zero of the residual, whose derivative "
                f"would be a wrong number. The largest residual is {largest:.3g}; one Newton step "
                f"from there is {step:.3g}, allowed is {tolerance:g} relative to x.\n"
                "  Let the solver run to a tighter tolerance, or mend the residual; "
                "implicit(…, tolerance=…) allows more."
            )


def _names(form: _Form) -> str:
    return ", ".join(map(str, form.dtypes))


# ---- derivatives on nodes and values --------------------------------------------------------


def _push(function: Callable[[Any], Any], x: Any, t: Any) -> Any:
    """J t of a function of one operand. Where a node takes part, the result is a node."""
    with Recording():
        return unwrap(jvp(function, (wrap(x),), (wrap(t),))[1])


def _pull(function: Callable[[Any], Any], x: Any, c: Any) -> Any:
    """Jᵀ c of a function of one operand."""
    with Recording():
        return unwrap(vjp(function, wrap(x))[1](wrap(c))[0])


# ---- x(p) -----------------------------------------------------------------------------------


def _solution_local(i: int, out: Any, p: Any, *others: Any, problem: _Problem) -> Kind:
    if i:
        return Zero("an integer does not vary")

    def of_p(p: Any) -> Any:
        return problem.residual(wrap(out), p, wrap(others))

    def push(t: Any) -> Any:
        return -LINEAR_SOLVE(out, p, _push(of_p, p, t), *others, problem=problem, transposed=False)

    def pull(c: Any) -> Any:
        w = LINEAR_SOLVE(out, p, c, *others, problem=problem, transposed=True)
        return _pull(of_p, p, -w)

    return Custom(push, pull, "implicit")


SOLUTION: Primitive = register(
    Primitive(
        name="implicit",
        value=lambda p, *others, problem: problem.solve(p, others),
        local=_solution_local,
        labels=Labels("implicit", r"\operatorname{{solve}}({args})"),
        batch="the user's solver takes one problem at a time",
        lower="it is the user's solver",
    )
)

# ---- w(x, p, c): A w = c, or Aᵀ w = c -------------------------------------------------------


def _linear_value(x: Any, p: Any, c: Any, *others: Any, problem: _Problem, transposed: bool) -> Any:
    solve = problem.system(x, p, others)
    return np.ascontiguousarray(solve(c.T, transposed).T, x.dtype)


def _linear_local(
    i: int,
    out: Any,
    x: Any,
    p: Any,
    c: Any,
    *others: Any,
    problem: _Problem,
    transposed: bool,
) -> Kind:
    if i > 2:
        return Zero("an integer does not vary")

    def solve(c: Any, turned: bool) -> Any:
        turned = turned != transposed
        return LINEAR_SOLVE(x, p, c, *others, problem=problem, transposed=turned)

    if i == 2:
        return Custom(lambda t: solve(t, False), lambda g: solve(g, True), "implicit_solve")

    def product(moved: Any) -> Any:
        """A w at the solution w, as a function of x or p."""
        at = wrap((moved, p) if i == 0 else (x, moved))
        return _product(problem, at[0], at[1], wrap(others), wrap(out), transposed)

    operand = (x, p)[i]
    return Custom(
        lambda t: -solve(_push(product, operand, t), False),
        lambda g: _pull(product, operand, -solve(g, True)),
        "implicit_solve",
    )


def _product(problem: _Problem, x: Any, p: Any, others: Any, w: Any, transposed: bool) -> Any:
    """A w, or Aᵀ w, at x and p; of each row, where w has rows."""

    def of_x(x: Any) -> Any:
        return problem.residual(x, p, others)

    def one(w: Any) -> Any:
        return vjp(of_x, x)[1](w)[0] if transposed else jvp(of_x, (x,), (w,))[1]

    return one(w) if w.ndim == 1 else vmap(one)(w)


def _linear_batch(operands: Any, batched: Any, params: dict[str, Any]) -> Any:
    """One factorisation for many right-hand sides; at different points there is none to share."""
    if batched != tuple(i == 2 for i in range(len(operands))) or operands[2].ndim != 2:
        return NotImplemented
    return LINEAR_SOLVE(*operands, **params)


LINEAR_SOLVE: Primitive = register(
    Primitive(
        name="implicit_solve",
        value=_linear_value,
        local=_linear_local,
        labels=Labels("implicit_solve", r"A({0}, {1})^{{-1}}\,{2}"),
        batch=_linear_batch,
        lower="it factors the linearised residual with LAPACK, SuperLU or by products",
    )
)
