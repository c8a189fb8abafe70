"""What the models take as data."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError

__all__ = ["real"]


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
