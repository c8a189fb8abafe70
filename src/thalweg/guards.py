"""What Python asked of traced values on the way: one list a trace, apart in every thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from thalweg.graph import constants
from thalweg.graph.graph import Guard
from thalweg.graph.node import Node, Origin, user_frame

__all__ = ["Guard", "depth", "record_guard", "recording"]


class _State(threading.local):
    def __init__(self) -> None:
        self.stack: list[tuple[list[Guard], bool]] = []


_state = _State()


def depth() -> int:
    """How many traces are under way in this thread."""
    return len(_state.stack)


def record_guard(node: Node, answer: Any, origin: Origin | None = None) -> Any:
    """Note that the trace depends on `answer` (asked at `origin`, or here); returns it."""
    stack = _state.stack
    if stack:
        if origin is None:
            frame = user_frame(2)
            origin = (frame.f_code, frame.f_lasti)
        guard = Guard(node, answer, origin)
        for guards, apart in reversed(stack):
            guards.append(guard)  # an outer trace depends on what an inner one was told
            if apart:
                break
    return answer


@contextmanager
def recording(apart: bool = False, copying: bool = False) -> Iterator[list[Guard]]:
    """A trace: guards go to the list that is given; ended by any exception too.

    With `apart` outer traces are not told: what runs is an example, not what they are made of.
    With `copying` the graph outlives the call, so its constants are copied.
    """
    stack = _state.stack
    guards: list[Guard] = []
    stack.append((guards, apart))
    constants.begin(copying)
    try:
        yield guards
    except ValueError as error:
        if constants.locked() and "read-only" in str(error):
            error.add_note(
                "A large array that takes part in a traced operation stays read-only until the "
                "derivative is there, because the backward pass needs its value.\n"
                "Write into a new array instead: w = w.copy() before w[…] = …, or w = w + 1."
            )
        raise
    finally:
        stack.pop()
        constants.end(copying)
