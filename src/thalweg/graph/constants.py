"""NumPy arrays that take part in a trace as constants: the backward pass needs them unchanged.

``y = x * w; w[:] = 0`` is ordinary NumPy, and the gradient of y needs the w of that moment. Small
arrays are copied when they are used. A copy of a large one would cost as much as the operation, so
it is made read-only until the outermost trace of the thread has ended: writing is then NumPy's
error at the user's line, never a wrong gradient.

A part of a larger array (a batch of the data) is copied up to 16 MiB: to lock it is to lock the
rest, where another thread may be filling in the next batch. So is an array whose memory is not
NumPy's own, because NumPy would not let us make it writeable again. What cannot be seen: a write
through a view of a locked array that was made before the trace.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np

from thalweg.errors import DtypeError

__all__ = ["as_numbers", "beside", "copied", "hold", "locked", "settle"]

#: Bytes up to which a copy is cheaper than thinking about it.
_SMALL = 2**18
#: Bytes up to which a part of an array is copied, and the whole not locked.
_PART = 2**24


class _Lock:
    """An owner of memory that is read-only at present, with its views, the owner first."""

    __slots__ = ("arrays", "threads")

    def __init__(self) -> None:
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.threads: set[int] = set()


#: By the id of the owner. Several threads may use one array: the last one makes it writeable.
_locks: dict[int, _Lock] = {}
_mutex = threading.RLock()


class _State(threading.local):
    def __init__(self) -> None:
        self.depth = 0
        self.copying = False
        self.locks: dict[int, _Lock] = {}


_state = _State()


def settle(depth: int, copying: bool) -> None:
    """Say how many traces are under way in this thread, and whether one outlives its call.

    With `copying` constants are copied at any size. When no trace is left, the arrays are the
    user's to write again.
    """
    _state.depth = depth
    _state.copying = copying
    if depth or not _state.locks:
        return
    with _mutex:  # and no loop in it: see _lock
        _unlock()


def _unlock() -> None:
    """Give back what this thread has locked, unless another thread needs it."""
    for key, lock in list(_state.locks.items()):
        lock.threads.discard(threading.get_ident())
        if not lock.threads:
            for array in lock.arrays:
                # It stays read-only if the user has made its owner so in the meantime.
                with contextlib.suppress(ValueError):
                    array.flags.writeable = True
            _locks.pop(key, None)
        del _state.locks[key]  # last: interrupted before this, it is done again


def locked() -> bool:
    """Whether arrays of the user's are read-only at present because of a trace."""
    return bool(_locks)


def hold(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`array`, or a copy of it, that will not change while the graph needs it.

    Raises
    ------
    DtypeError
        For arrays that mean something else than their entries.
    """
    if type(array) is not np.ndarray or array.dtype.kind not in "fciub":
        _refuse_foreign(array)
    if not _state.depth:
        return array
    if array.nbytes <= _SMALL:  # the common case: no need to know whose memory it is
        return array.copy() if array.flags.c_contiguous else copied(array)
    owners = [array]
    while isinstance(owners[-1].base, np.ndarray):
        owners.append(owners[-1].base)
    root = owners[-1]
    if id(root) not in _locks and not any(owner.flags.writeable for owner in owners):
        return array
    if _state.copying or (array.nbytes <= _PART and array.nbytes < root.nbytes):
        return copied(array)
    with _mutex:
        lock = _locks.get(id(root))
        if lock is None:
            if not (root.flags.writeable and _returnable(root)):
                return copied(array)
            lock = _locks[id(root)] = _Lock()
        _state.locks[id(root)] = lock
        lock.threads.add(threading.get_ident())
        _lock(lock, owners)
    return array


def _lock(lock: _Lock, owners: list[np.ndarray[Any, Any]]) -> None:
    """Make these arrays read-only.

    Python 3.13.0 does not leave a `with` whose body is interrupted where a loop begins again
    behind an `if`: the mutex would stay locked for all other threads.
    """
    for owner in reversed(owners):
        if owner.flags.writeable:
            lock.arrays.append(owner)
            owner.flags.writeable = False


def as_numbers(value: Any) -> np.ndarray[Any, Any]:
    """`value` as a plain array; as in `hold`, no mask is lost on the way."""
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        _refuse_foreign(value)
    return np.asarray(value)


def beside(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`array` for the caller, while a graph goes on needing it: a copy, or read-only if large."""
    if array.nbytes <= _SMALL:
        return np.array(array)
    view = array.view()
    view.flags.writeable = False
    return view


def copied(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy whose axes lie in memory as the array's do: reshape(order="A") and ravel("K") ask."""
    if array.flags.forc or not array.size:
        return np.array(array)
    # The axes from the outermost to the innermost; a gap keeps it as little contiguous as it was.
    axes = np.argsort([-abs(step) for step in array.strides], kind="stable")
    shape = [array.shape[axis] for axis in axes]
    room = np.empty((*shape[:-1], 2 * shape[-1]), array.dtype)[..., ::2]
    backward = tuple(slice(None, None, -1 if array.strides[axis] < 0 else 1) for axis in axes)
    copy = np.transpose(room[backward], np.argsort(axes))
    copy[...] = array
    return copy


def _returnable(root: np.ndarray[Any, Any]) -> bool:
    """Whether NumPy will make `root` writeable again: its own memory, or a writeable buffer."""
    if root.base is None:
        return root.flags.owndata
    try:
        with memoryview(root.base) as buffer:  # type: ignore[arg-type]
            return not buffer.readonly
    except TypeError:
        return False


def _refuse_foreign(array: np.ndarray[Any, Any]) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise DtypeError(
            "a masked array meets a traced one: its mask would be lost.\n"
            "  Use np.where(np.ma.getmaskarray(m), 0.0, m.filled(0.0)), or another value for 0."
        )
    if isinstance(array, np.matrix):
        raise DtypeError(
            "an np.matrix meets a traced array, which has no such operators (m * x is a matrix "
            "product).\n  Use np.asarray(m) and m @ x."
        )
    if type(array).__array_ufunc__ is not np.ndarray.__array_ufunc__:
        raise DtypeError(
            f"an array of class {type(array).__name__}, which has its own meaning of NumPy's "
            "functions (units, for example), would be taken for its plain entries.\n"
            "  Say so: np.asarray(a)."
        )
    if array.dtype.kind not in "fciub":
        raise DtypeError(
            f"an array of dtype {array.dtype} meets a traced one: no derivative passes through it"
            ".\n  Use arrays of numbers: a.astype(float)."
        )
