"""What the models take: data, widths of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, UserError
from thalweg.nn.layers import size

__all__ = ["real", "widths"]


def real(owner: Any, x: Any) -> Any:
    """x as an array, traced or not, of real numbers.

    Raises
    ------
    DtypeError
        If it holds anything else: a text is no number, a complex number is two.
    """
    x = x if isinstance(x, Array) else np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise DtypeError(f"{type(owner).__name__}: data are real numbers, got {x.dtype}")
    return x


def widths(owner: str, hidden: Any) -> tuple[int, ...]:
    """Widths of hidden layers, as a tuple.

    Raises
    ------
    UserError
        For anything but a sequence of positive integers.
    """
    if not isinstance(hidden, (tuple, list)):
        raise UserError(f"{owner}: hidden is a tuple of widths, such as (64,), got {hidden!r}")
    return tuple(size(owner, **{f"hidden[{i}]": n for i, n in enumerate(hidden)}))
