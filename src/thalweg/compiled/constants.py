"""What a trace would freeze without a word: random numbers, and text made from traced values."""

from __future__ import annotations

import random
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from thalweg.errors import TracingError
from thalweg.guards import shown

__all__ = ["Frozen"]

#: How deep functions that the function names are looked through.
_DEPTH = 3


class Frozen:
    """The state before a trace, to be compared after it.

    Generators are found where the function, and functions of the user's that it names, can reach
    them: as globals, in closures, as defaults, as attributes of the object that a method belongs
    to. Those that live elsewhere are not seen.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._shown = shown()
        self._states = [(source, name, _state(source)) for name, source in _sources(function)]

    def check(self, leaves: list[Any]) -> None:
        """Refuse a trace with the results `leaves` that would be wrong for the next call.

        Raises
        ------
        TracingError
        """
        for source, name, before in self._states:
            if _state(source) != before:
                raise TracingError(
                    f"the compiled function draws random numbers ({name}): they would be drawn "
                    "once, and be the same in every call.\n"
                    "  Draw outside of it, and pass the numbers as an argument."
                )
        if shown() != self._shown and any(isinstance(leaf, (str, bytes)) for leaf in leaves):
            raise TracingError(
                "the compiled function returns text, and makes traced values into text: it would "
                "be the same in every call.\n"
                "  Return the values, and make the text outside."
            )


def _state(source: Any) -> str:
    if isinstance(source, random.Random):
        return repr(hash(source.getstate()))
    if isinstance(source, np.random.Generator):
        return repr(source.bit_generator.state)
    return repr([np.asarray(x).tobytes() for x in source.get_state()])


def _sources(function: Any) -> Iterator[tuple[str, Any]]:
    """Random generators within reach, and how they are called."""
    seen: set[int] = set()
    waiting = [("the function", function, 0)]
    names: set[str] = set()
    while waiting:
        name, thing, depth = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, (np.random.Generator, np.random.RandomState, random.Random)):
            yield name, thing
        elif depth <= _DEPTH:
            waiting += [(n, x, depth + 1) for n, x in _reached(thing, names)]
    if "random" in names:
        # The generators behind np.random.normal and random.gauss: those that the methods belong to.
        yield "np.random", np.random.get_state.__self__  # type: ignore[attr-defined]
        yield "random", random.getstate.__self__  # type: ignore[attr-defined]


def _reached(thing: Any, names: set[str]) -> Iterator[tuple[str, Any]]:
    """What a function, a method or a wrapper of one can get at."""
    if isinstance(thing, types.MethodType):
        yield "the method", thing.__func__
        yield from getattr(thing.__self__, "__dict__", {}).items()
    elif isinstance(thing, types.FunctionType):
        module = thing.__module__ or ""  # of code that was run outside of any
        if not module.startswith(__package__.partition(".")[0] + "."):
            used = set(_names(thing.__code__))
            names |= used
            yield from ((n, thing.__globals__[n]) for n in used if n in thing.__globals__)
        for n, cell in zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True):
            try:
                yield n, cell.cell_contents
            except ValueError:  # not bound yet
                continue
        yield from (("a default", x) for x in thing.__defaults__ or ())
        yield from (thing.__kwdefaults__ or {}).items()
    elif hasattr(thing, "__wrapped__"):
        yield "the function", thing.__wrapped__


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
