"""What the functions of `thalweg.scipy.linalg` share: handles, checks, triangular systems."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.array import unwrap, wrap
from thalweg.errors import NoRuleError
from thalweg.ops._checks import holds
from thalweg.ops._matrices import conj, transposed
from thalweg.ops.index import as_array
from thalweg.ops.shape import astype
from thalweg.ops.triangular import SOLVE_TRIANGULAR

__all__ = ["as_columns", "checked", "on_nodes", "triangular", "unsupported"]


def on_nodes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Traced arrays in, traced arrays out: the body works on nodes and on plain values."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return wrap(function(*unwrap(args), **unwrap(kwargs)))

    return called


def checked(x: Any, check_finite: bool) -> Any:
    """x as a node or a floating array, its entries finite where that is asked for.

    Raises
    ------
    ValueError
        For inf or nan, as SciPy.
    """
    x = as_array(x)
    if x.dtype.kind not in "fc":
        x = astype(x, float)
    if check_finite and not holds(np.all(np.isfinite(x))):
        raise ValueError("array must not contain infs or NaNs")
    return x


def unsupported(name: str, **given: Any) -> None:
    """Raise for arguments (other than None and False) that have no derivative rule."""
    for argument, value in given.items():
        if value is not None and value is not False:
            raise NoRuleError(
                f"thalweg.scipy.linalg.{name}: {argument}={value!r} has no derivative rule; "
                f"for plain arrays use scipy.linalg.{name}"
            )


def as_columns(solver: Callable[[Any], Any], b: Any) -> Any:
    """solver(b) of a matrix b, or of a vector as its one column."""
    return solver(np.expand_dims(b, -1))[..., 0] if b.ndim == 1 else solver(b)


def triangular(a: Any, b: Any, lower: bool, unit: bool, trans: Any) -> Any:
    """op(a)⁻¹ b for a triangular a; op is the identity, ᵀ (trans 1, 'T') or ᴴ (2, 'C')."""
    if trans in (2, "C"):
        a = conj(a)
    elif trans not in (0, 1, "N", "T"):
        raise ValueError(f"trans={trans!r}: must be 0, 1, 2, 'N', 'T' or 'C'")
    if trans not in (0, "N"):
        a, lower = transposed(a), not lower
    return as_columns(lambda b: SOLVE_TRIANGULAR(a, b, lower=bool(lower), unit=bool(unit)), b)
