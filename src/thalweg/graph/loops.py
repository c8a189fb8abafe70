"""Which of a ufunc's loops NumPy would take for dtype=, signature= and casting=."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import NoRuleError

__all__ = ["loop_dtypes"]


def _weak(value: Any) -> Any:
    """What stands for an operand in the choice: Python numbers are weak in promotion."""
    form = type(value)
    return form if form in (int, float, complex) else np.asarray(value).dtype


def loop_dtypes(
    ufunc: np.ufunc, values: tuple[Any, ...], dtype: Any, signature: Any, casting: Any
) -> tuple[np.dtype[Any], ...]:
    """The dtypes that the operands are cast to, then those of the results.

    Raises
    ------
    TypeError
        As NumPy, where `casting` does not allow a cast.
    NoRuleError
        For a signature that is not a tuple with one dtype (or None) an operand and result.
    """
    if dtype is not None:
        signature = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    elif signature is not None:
        if not isinstance(signature, tuple) or len(signature) != ufunc.nargs:
            raise NoRuleError(
                f"np.{ufunc.__name__}: signature={signature!r} has no rule; give dtype=, or a "
                f"tuple of {ufunc.nargs} dtypes"
            )
        signature = tuple(None if part is None else np.dtype(part) for part in signature)
    else:
        signature = (None,) * ufunc.nargs
    kinds = (*map(_weak, values), *(None,) * ufunc.nout)
    return ufunc.resolve_dtypes(kinds, signature=signature, casting=casting)
