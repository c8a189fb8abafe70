"""Checks of derivatives against differences, for users too.

A check compares both modes, order by order, with the derivative that values alone give. Where they
disagree it asks every gate by itself, and names the first whose own local Jacobian is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.api import jvp, vjp
from thalweg.array import unwrap, wrap
from thalweg.checks.culprit import find_culprit, locate_kink
from thalweg.checks.survey import (
    MODES,
    CheckRow,
    Leaves,
    Survey,
    directions_from,
    vector,
    weights_like,
)
from thalweg.errors import GradientCheckError, UserError
from thalweg.graph.node import apply
from thalweg.graph.primitive import Primitive
from thalweg.ops.structural import items
from thalweg.primitives import UserPrimitive
from thalweg.tracing import check_function
from thalweg.tree import flatten

__all__ = ["CheckRow", "GradientReport", "check_gradient", "check_grads", "check_primitive"]


@dataclass(frozen=True)
class GradientReport:
    """What a check found; true where every comparison passed.

    Attributes
    ----------
    rows : tuple of CheckRow
    tolerance : float
    kinks : tuple of str
        Places where one-sided differences disagree: no derivative exists there to compare with.
    """

    rows: tuple[CheckRow, ...]
    tolerance: float
    kinks: tuple[str, ...] = field(default=())

    @property
    def errors(self) -> dict[tuple[str, ...], float]:
        """The largest relative error for each path of modes."""
        return {row.path: row.error for row in self.rows}

    @property
    def passed(self) -> bool:
        """Whether every comparison is within the tolerance."""
        return all(row.passed for row in self.rows)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        head = "gradient check: " + ("passed" if self.passed else "FAILED")
        lines = [f"{head} (relative error allowed: {self.tolerance:g})"]
        for row in self.rows:
            note = f", {row.kinks} entries at a kink left out" if row.kinks else ""
            mark = "ok  " if row.passed else "FAIL"
            lines.append(
                f"  {mark} order {row.order}  {' over '.join(row.path):<32} "
                f"error {row.error:8.1e}  against {row.method}{note}"
            )
        lines += [f"  kink: {kink}" for kink in self.kinks]
        return "\n".join(lines)

    __repr__ = __str__


def check_grads(
    f: Callable[..., Any],
    args: Any,
    order: int = 2,
    modes: Sequence[str] = MODES,
    *,
    tolerance: float = 1e-6,
    directions: int = 2,
    seed: int = 0,
) -> GradientReport:
    """Compare the derivatives of `f` with differences, in every mode and up to an order.

    The differences are a complex step where `f` is real-analytic and takes complex numbers, else
    extrapolated central ones, in double precision (float32 arguments are widened), along random
    directions. Output entries where the one-sided differences disagree are reported as kinks and
    left out.

    Parameters
    ----------
    f : callable
        Any function of trees of arrays, real or complex.
    args : tuple
        Its arguments; integer leaves are held fixed. (Something that is no tuple is the argument.)
    order : int
        Highest order; order 2 means forward over reverse and the three other combinations too.
    modes : sequence of {"forward", "reverse"}
    tolerance : float
        Relative error allowed.
    directions : int
        How many random directions are tried at each point.
    seed : int
        Of the random directions.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientCheckError
        If a derivative disagrees; the message names the gate whose own local Jacobian is wrong.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> report = tw.check_grads(lambda x: np.sum(np.sin(x) ** 2), (np.array([0.3, 1.0]),))
    >>> report.passed, max(report.errors.values()) < 1e-9
    (True, True)
    """
    check_function(f, "check_grads(f, (x,))")
    args = args if type(args) is tuple else (args,)
    wrong = [mode for mode in modes if mode not in MODES]
    if wrong or not modes or order < 1:
        raise UserError(f"check_grads: modes are {MODES} and order ≥ 1, got {modes!r}, {order}")
    call = Leaves(f, args)
    name = getattr(f, "__name__", type(f).__name__)
    with np.errstate(all="ignore"):
        _must_be_checkable(call, name)
        survey = Survey(modes, tolerance, directions, seed)
        survey.measure(call, call.point, order, ())
        kinks = tuple(
            dict.fromkeys(locate_kink(inner, call.point, target) for inner, target in survey.kinked)
        )
        # A kink leaves entries out: then every gate is asked by itself, so that nothing hides.
        asked = kinks or not survey.passed
        culprit = find_culprit(call, order, modes, tolerance, seed) if asked else None
    report = GradientReport(tuple(survey.rows), tolerance, kinks)
    if survey.passed and culprit is None:
        return report
    failed = [row for row in report.rows if not row.passed]
    where = (
        f"{' over '.join(failed[0].path)}, order {failed[0].order}: relative error "
        f"{failed[0].error:.2g}, allowed {tolerance:g}"
        if failed
        else "a gate by itself"
    )
    raise GradientCheckError(
        f"a derivative of {name} disagrees with differences ({where})\n"
        f"{culprit or _NO_CULPRIT}\n{report}"
    )


_NO_CULPRIT = (
    "  No gate is wrong by itself. Look for what differences see and the graph does not: values\n"
    "  taken out of the graph, or a function whose result depends on more than its arguments\n"
    "  (thalweg.audit(f, *args) lists cut edges)."
)


def _must_be_checkable(call: Leaves, name: str) -> None:
    first, second = vector(call)(call.point), vector(call)(call.point)
    if not np.array_equal(first, second, equal_nan=True):
        raise UserError(
            f"{name} gives different values for the same arguments (random numbers? state?): "
            "differences of it mean nothing. Pass the random numbers as an argument."
        )
    if not np.all(np.isfinite(first)):
        raise UserError(
            f"{name} is not finite at these arguments, so there is nothing to compare; "
            "thalweg.trace(f, *args).first_nonfinite() says where it begins."
        )


def check_gradient(f: Callable[..., Any], *args: Any, **options: Any) -> GradientReport:
    """`check_grads` of a function at ``*args``, first order in reverse mode unless asked otherwise.

    Parameters
    ----------
    f : callable
    *args
        Arrays, numbers or trees of them, at which to check.
    **options
        As for `check_grads`: ``order``, ``modes``, ``tolerance``, ``seed``.

    Returns
    -------
    GradientReport
        True; `print` shows every comparison.

    Raises
    ------
    GradientCheckError
        Names the first gate whose own derivative is wrong.

    Examples
    --------
    >>> import thalweg as tw
    >>> bool(tw.check_gradient(lambda x, y: x * y**2, 2.0, 3.0))
    True
    """
    return check_grads(f, args, **{"order": 1, "modes": ("reverse",), **options})


def check_primitive(
    primitive: UserPrimitive | Primitive | Callable[..., Any],
    *args: Any,
    order: int = 2,
    tolerance: float = 1e-6,
    seed: int = 0,
    **static: Any,
) -> GradientReport:
    """Check a primitive of your own: value, push, pull, higher orders.

    Compares both modes with differences up to `order`, holds push against pull
    (⟨c, J t⟩ = ⟨Jᵀ c, t⟩ to rounding), and looks whether the value changed its operands.

    Raises
    ------
    GradientCheckError
        With what is wrong.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> cube = tw.primitive(lambda x: x**3, local=lambda out, x: tw.kinds.Diagonal(3 * x * x))
    >>> bool(tw.check_primitive(cube, np.array([1.0, -2.0])))
    True
    """
    name = getattr(primitive, "name", None) or getattr(primitive, "__name__", repr(primitive))

    def f(*operands: Any) -> Any:
        if isinstance(primitive, Primitive):
            result = apply(primitive, unwrap(operands), static)
            return wrap(items(result)) if primitive.outputs else wrap(result)
        return primitive(*operands, **static)

    f.__name__ = str(name)
    before = [np.array(leaf) for leaf in flatten(args)[0]]
    report = check_grads(f, args, order, tolerance=tolerance, seed=seed)
    for i, (was, leaf) in enumerate(zip(before, flatten(args)[0], strict=True)):
        if not np.array_equal(was, np.asarray(leaf), equal_nan=was.dtype.kind in "fc"):
            raise GradientCheckError(f"{name} changed its operand {i} in place; work on a copy")
    _hold_adjoint(f, args, str(name), seed)
    return report


def _hold_adjoint(f: Callable[..., Any], args: tuple[Any, ...], name: str, seed: int) -> None:
    """⟨c, J t⟩ = ⟨Jᵀ c, t⟩ to rounding: pull is the transpose of push."""
    call = Leaves(f, args)
    rng = np.random.default_rng(seed)
    (t,) = directions_from(call.point, rng, 1)
    out, pushed = jvp(call, tuple(call.point), tuple(t))
    c = weights_like(out, rng)
    pulled = vjp(call, *call.point)[1](c)
    left = [np.ravel(a * b) for a, b in zip(c, pushed, strict=True)]
    right = [np.ravel(a * b) for a, b in zip(pulled, t, strict=True)]
    gap = abs(sum(np.real(np.sum(p)) for p in left) - sum(np.real(np.sum(p)) for p in right))
    size = max(sum(float(np.sum(np.abs(p))) for p in side) for side in (left, right))
    if not gap <= 1e-11 * size:
        raise GradientCheckError(
            f"{name}: pull is not the transpose of push: ⟨c, J t⟩ and ⟨Jᵀ c, t⟩ differ by "
            f"{gap:.2g} (size {size:.2g})"
        )
