"""NumPy arrays that take part in a trace as constants: the backward pass needs them unchanged.

``y = x * w; w[:] = 0`` is ordinary NumPy, and the gradient of y needs the w of that moment. Small
arrays are copied when they are used. A copy of a large one would cost as much as the operation, so
it is made read-only until the outermost trace of the thread has ended: writing is then NumPy's
error at the user's line, never a wrong gradient.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

__all__ = ["begin", "end", "hold", "locked"]

#: Bytes up to which a copy is cheaper than thinking about it.
_SMALL = 2**18


class _State(threading.local):
    def __init__(self) -> None:
        self.depth = 0
        self.copying = 0
        self.locked: list[np.ndarray] = []


_state = _State()


def begin(copying: bool) -> None:
    """A trace begins; with `copying` its constants outlive it and are copied at any size."""
    _state.depth += 1
    _state.copying += copying


def end(copying: bool) -> None:
    """The trace ends; with the outermost one the arrays are the user's to write again."""
    _state.depth -= 1
    _state.copying -= copying
    if _state.depth or not _state.locked:
        return
    # Owners first: a view becomes writeable only over a writeable owner.
    for array in sorted(_state.locked, key=lambda array: array.base is not None):
        array.flags.writeable = True
    _state.locked = []


def locked() -> bool:
    """Whether arrays of the user's are read-only at present because of a trace."""
    return bool(_state.locked)


def hold(array: np.ndarray) -> np.ndarray:
    """`array`, or a copy of it, that will not change while the graph needs it."""
    if not _state.depth:
        return array
    if _state.copying or array.nbytes <= _SMALL:
        return np.array(array)
    owner: np.ndarray[Any, Any] | None = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            owner.flags.writeable = False
            _state.locked.append(owner)
        owner = owner.base
    return array
