"""Numbers and arrays as short text: six significant digits, large arrays as a summary."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["SMALL", "Summary", "number_text", "summarise", "summary_text", "value_text"]

#: Arrays up to this many entries are written out.
SMALL = 6


def number_text(value: Any) -> str:
    """One number with six significant digits."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (complex, np.complexfloating)):
        return f"{value.real:.6g}{value.imag:+.6g}j"
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    return str(value)


class Summary(NamedTuple):
    """What is said about a large array; minimum, mean and maximum are of the finite entries."""

    minimum: float | None
    mean: float | None
    maximum: float | None
    nan: int
    inf: int


def summarise(array: np.ndarray[Any, Any]) -> Summary:
    """The range of an array; of a complex one, of its modulus."""
    numbers = np.abs(array) if array.dtype.kind == "c" else array
    if numbers.dtype.kind not in "fiub":
        return Summary(None, None, None, 0, 0)
    finite = np.isfinite(numbers)
    nan = int(np.count_nonzero(np.isnan(numbers)))
    inf = int(numbers.size - np.count_nonzero(finite) - nan)
    if nan or inf:
        numbers = numbers[finite]
    if numbers.size == 0:
        return Summary(None, None, None, nan, inf)
    with np.errstate(all="ignore"):
        mean = float(np.mean(numbers, dtype=np.float64))
    return Summary(float(numbers.min()), mean, float(numbers.max()), nan, inf)


def summary_text(array: np.ndarray[Any, Any]) -> str:
    """Shape and range: ``(100, 4096) in [-3.1, 3.2], mean 0.01``."""
    summary = summarise(array)
    text = str(array.shape)
    if summary.minimum is not None:
        modulus = "|·| " if array.dtype.kind == "c" else ""
        low, high, mean = (f"{v:.3g}" for v in (summary.minimum, summary.maximum, summary.mean))
        text += f" {modulus}in [{low}, {high}], mean {mean}"
    if summary.nan:
        text += f", {summary.nan} nan"
    if summary.inf:
        text += f", {summary.inf} inf"
    return text


def value_text(value: Any, small: int = SMALL) -> str:
    """A value on one line: written out up to `small` entries, summarised above."""
    if type(value) is tuple:
        return f"({', '.join(value_text(part, small) for part in value)})"
    if isinstance(value, (bool, int, float, complex, str)):
        return number_text(value)
    array = np.asarray(value)
    if array.size > small or (array.size == 0 and array.ndim > 1):
        return summary_text(array)
    return _nested(array)


def _nested(array: Any) -> str:
    if array.ndim == 0:
        return number_text(array[()])
    return f"[{', '.join(_nested(part) for part in array)}]"
