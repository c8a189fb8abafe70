"""What Python asked of traced values on the way: one list a trace, apart in every thread."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any, NamedTuple

from thalweg.errors import TracingError
from thalweg.graph import constants
from thalweg.graph.graph import Guard
from thalweg.graph.node import Node, Origin, user_frame

__all__ = ["Guard", "Recording", "depth", "note_shown", "record_guard", "shown"]


class _Trace(NamedTuple):
    guards: list[Guard]
    apart: bool
    copying: bool  # this trace, or one around it, outlives the call
    frame: FrameType  # where it was begun: it is under way as long as this frame runs
    outside: bool  # no trace: what runs in it knows nothing of those around it


class _State(threading.local):
    def __init__(self) -> None:
        self.stack: list[_Trace] = []
        self.shown = 0


_state = _State()
#: Traces of examples that are under way, in all threads.
_examples: set[int] = set()


def _runs(frame: FrameType) -> bool:
    at: FrameType | None = sys._getframe(1)
    while at is not None:
        if at is frame:
            return True
        at = at.f_back
    return False


def _under_way() -> list[_Trace]:
    """The traces of this thread, the innermost last.

    An interruption (Ctrl-C) can come between any two instructions, also while a trace is entered
    or left. What it leaves behind is found here by its frame and dropped.
    """
    stack = _state.stack
    while stack and not _runs(stack[-1].frame):
        _drop(stack)
    return stack


def _drop(stack: list[_Trace]) -> None:
    constants.settle(len(stack) - 1, len(stack) > 1 and stack[-2].copying)
    _examples.discard(id(stack[-1].guards))
    stack.pop()  # last: interrupted before this, it is done again


def depth() -> int:
    """How many traces are under way in this thread."""
    if not _state.stack:
        return 0
    count = 0
    for trace in reversed(_under_way()):
        if trace.outside:
            break
        count += 1
    return count


def note_shown() -> None:
    """Note that a traced value was made into text, which no guard can hold."""
    _state.shown += 1


def shown() -> int:
    """How often traced values were made into text in this thread."""
    return _state.shown


def record_guard(node: Node, answer: Any, origin: Origin | None = None) -> Any:
    """Note that the trace depends on `answer` (asked at `origin`, or here); returns it.

    Raises
    ------
    TracingError
        If a thread without a trace asks while another one traces examples: `vmap` would never know.
    """
    stack = _state.stack
    if not stack:
        if _examples:
            raise TracingError(
                "Python asked for a traced value in a thread of its own while a vmap is under way: "
                "the answer would be taken for all examples.\n"
                "  Branch outside of the thread, or write the choice with np.where."
            )
        return answer
    if origin is None:
        frame = user_frame(2)
        origin = (frame.f_code, frame.f_lasti)
    guard = Guard(node, answer, origin)
    for trace in reversed(stack):
        trace.guards.append(guard)  # an outer trace depends on what an inner one was told
        if trace.apart or trace.outside:
            break
    return answer


class Recording:
    """A trace, as a context: guards go to the list that it gives; ended by any exception too.

    With `apart` outer traces are not told: what runs is an example, not what they are made of.
    With `copying` the graph outlives the call, so its constants are copied.
    With `outside` it is the opposite of a trace: code that is not traced, called while a trace is
    under way. Derivatives that it takes are numbers, its compiled functions run, and its arrays
    stay its own.
    """

    __slots__ = ("_apart", "_copying", "_outside")

    def __init__(self, apart: bool = False, copying: bool = False, outside: bool = False) -> None:
        self._apart = apart
        self._copying = copying or outside
        self._outside = outside

    def __enter__(self) -> list[Guard]:
        stack = _under_way()
        copying = self._copying or (bool(stack) and stack[-1].copying)
        guards: list[Guard] = []
        stack.append(_Trace(guards, self._apart, copying, sys._getframe(1), self._outside))
        if self._apart:
            _examples.add(id(guards))
        constants.settle(len(stack), copying)
        return guards

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> None:
        if isinstance(error, ValueError) and constants.locked() and "read-only" in str(error):
            error.add_note(
                "A large array that takes part in a traced operation stays read-only until the "
                "derivative is there, because the backward pass needs its value.\n"
                "Write into a new array instead: w = w.copy() before w[…] = …, or w = w + 1."
            )
        _drop(_state.stack)
