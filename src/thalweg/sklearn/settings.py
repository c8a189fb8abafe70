"""Parameters of the estimators: what they may be, and what their names stand for."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any

from thalweg.nn import activations

__all__ = ["activation_of", "at_least", "fraction", "widths"]


def identity(x: Any) -> Any:
    """x: no activation."""
    return x


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "elu": activations.elu,
    "gelu": activations.gelu,
    "identity": identity,
    "leaky_relu": activations.leaky_relu,
    "logistic": activations.sigmoid,
    "relu": activations.relu,
    "silu": activations.silu,
    "softplus": activations.softplus,
    "tanh": activations.tanh,
}


def activation_of(choice: Any) -> Callable[[Any], Any]:
    """The function of an activation's name; a function is itself.

    Raises
    ------
    ValueError
        For any other name.
    """
    if callable(choice):
        return choice
    if not isinstance(choice, str) or choice not in _ACTIVATIONS:
        raise ValueError(
            f"activation={choice!r}: it is a function or one of {', '.join(sorted(_ACTIVATIONS))}"
        )
    return _ACTIVATIONS[choice]


def widths(sizes: Any) -> tuple[int, ...]:
    """Hidden layer sizes: a sequence, or one number for one layer.

    Raises
    ------
    ValueError
        For sizes that are no positive integers.
    """
    listed = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
    if any(not isinstance(n, numbers.Integral) or n < 1 for n in listed):
        raise ValueError(f"hidden_layer_sizes={sizes!r}: sizes are positive integers")
    return tuple(int(n) for n in listed)


def at_least(
    owner: Any, lowest: float, *names: str, strict: bool = False, whole: bool = False
) -> None:
    """Refuse numeric parameters that are below a bound (or on it), or not whole.

    Raises
    ------
    ValueError
        With the name and the value.
    """
    for name in names:
        value = getattr(owner, name)
        kind = numbers.Integral if whole else numbers.Real
        number = isinstance(value, kind) and not isinstance(value, bool)
        if not number or not (value > lowest if strict else value >= lowest):
            what, sign = "an integer" if whole else "a number", ">" if strict else "≥"
            raise ValueError(f"{name}={value!r}: it must be {what} {sign} {lowest}")


def fraction(name: str, value: Any, zero: bool = False) -> None:
    """Refuse what is not in (0, 1), or [0, 1).

    Raises
    ------
    ValueError
        With the name and the value.
    """
    number = float(value) if isinstance(value, numbers.Real) else math.nan
    if not (0 < number < 1 or (zero and number == 0)):
        raise ValueError(f"{name}={value!r}: it must be a number in {'[' if zero else '('}0, 1)")
