"""The arguments of NumPy functions that mean the same for all of them, however they are given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["served"]

_NO_VALUE = np._NoValue


@functools.cache
def _position_of_out(function: Callable[..., Any]) -> int | None:
    """Where `out` stands among the positional arguments of a NumPy function."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # in older NumPy, functions written in C have none
        return _WRITTEN_IN_C.get(function)
    for position, parameter in enumerate(parameters):
        if parameter.name == "out" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            return position
    return None


_WRITTEN_IN_C: dict[Any, int] = {np.dot: 2, np.concatenate: 2}


def _without_missing(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call without the arguments that are given as ``np._NoValue``: NumPy's "not given"."""
    kwargs = {key: value for key, value in kwargs.items() if value is not _NO_VALUE}
    first = next((k for k, value in enumerate(args) if value is _NO_VALUE), len(args))
    if first < len(args):  # what comes after it is given by name
        names = list(inspect.signature(function).parameters)
        for name, value in zip(names[first:], args[first:], strict=False):
            if value is not _NO_VALUE:
                kwargs[name] = value
    return args[:first], kwargs


def served(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """The call without `out` and without what is not given, and `out` (None: none)."""
    missing = False
    for value in args:
        if value is _NO_VALUE:
            missing = True
    for value in kwargs.values():
        if value is _NO_VALUE:
            missing = True
    if missing:
        args, kwargs = _without_missing(function, args, kwargs)
    out = None
    if "out" in kwargs:
        out = kwargs["out"]
        kwargs = {key: value for key, value in kwargs.items() if key != "out"}
    elif len(args) > 1:
        position = _position_of_out(function)
        if position is not None and len(args) > position:
            out = args[position]
            args = (*args[:position], None, *args[position + 1 :])
    return args, kwargs, out
