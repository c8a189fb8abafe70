"""Values from the command line: ``x=-2``, ``W=[[1, 2], [3, 4]]``, ``y=data.npy``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.errors import DataError, ExpressionError
from thalweg.expression import parse
from thalweg.expression.grammar import FUNCTIONS, LIMITS, MAX_FILE_BYTES, MAX_LENGTH, Limits

__all__ = ["parse_assignments"]


def parse_assignments(
    texts: Sequence[str], *, files: bool = True, limits: Limits = LIMITS
) -> dict[str, Any]:
    """``["x=-2", "W=[[1, 2], [3, 4]]", "y=data.npy"]`` as names and floating NumPy values.

    Without `files` no file is read; `limits` are those of `Expression.evaluate`.

    Raises
    ------
    ExpressionError
        If one is not of the form name=value.
    DataError
        If a file cannot be read or does not hold numbers.

    Examples
    --------
    >>> from thalweg.expression.values import parse_assignments
    >>> parse_assignments(["x=-2", "v=[1, 2]"])
    {'x': np.float64(-2.0), 'v': array([1., 2.])}
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise ExpressionError(f"{text!r} is not of the form name=value, such as x=-2")
        if not (name.isascii() and name.isidentifier()) or name.startswith("_"):
            raise ExpressionError(f"{name!r} is not a name for a variable")
        if name in FUNCTIONS or name in ("np", "numpy"):
            raise ExpressionError(f"{name!r} is the name of a function; choose another one")
        if name in values:
            raise ExpressionError(f"{name} has two values")
        is_file = files and value.endswith(".npy")
        values[name] = _load(value) if is_file else _number(name, value, limits)
    return values


def _number(name: str, text: str, limits: Limits) -> Any:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the value of {name} has {len(text):,} characters; at most {MAX_LENGTH:,} are "
            f"allowed: put it into a .npy file, {name}=data.npy"
        )
    expression = parse(text)
    if expression.variables:
        raise ExpressionError(
            f"the value of {name} must be a number, a list of numbers or a .npy file, not {text!r}"
        )
    return _floating(expression.evaluate({}, limits), f"the value of {name}", ExpressionError)


def _load(name: str) -> Any:
    path = Path(name)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{name} has more than {MAX_FILE_BYTES:,} bytes")
        value = np.load(path, allow_pickle=False)
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        why = "" if "pickle" in str(error) else f": {error}"  # no advice to load it
        raise DataError(f"{name} is not a .npy file of numbers{why}") from error
    return _floating(value, name, DataError)


def _floating(value: Any, what: str, error: type[ExpressionError] | type[DataError]) -> Any:
    """Numbers as floating NumPy values: float32 and float64 stay, integers become float64."""
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise error(f"{what} does not consist of real numbers (dtype {array.dtype})")
    return array[()]
