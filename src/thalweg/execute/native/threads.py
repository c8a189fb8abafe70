"""The thread pool that compiled code calls: a small runtime library, itself written as LLVM IR.

``i64 @tw_parallel(ptr fn, ptr frame, i64 count, i64 threads)`` calls
``void fn(ptr frame, i64 chunk)`` for chunk = 0 … count − 1 on at most `threads` threads and
returns when all calls have returned; its value is the number of chunks that other threads than
the caller's took. Who runs a chunk and when is open: what it computes must not depend on it.

Workers are made when a call first wants them, and stay. A call announces its job in one word, the
ticket: how many workers may help, and how many chunks nobody has claimed. Whoever decrements it
(the caller, too) owns a chunk, and only then reads what the job is: as long as an owned chunk is
not finished, the job cannot change. So a worker that slept through a job does no harm, and nobody
waits for it: the caller claims what is left and waits for claimed chunks alone. Idle workers
watch the ticket for some microseconds (giving way to others), then sleep.

One job is under way at a time. A call that finds the pool at work (another Python thread's, or
the chunk it is called from) runs all its chunks itself: nothing can deadlock.

Before a fork idle workers end, so that the child starts with one thread; parent and child make new
ones when they want them. Signals are left to Python's own threads: Ctrl-C is seen after the call.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from thalweg.errors import InternalError, UserError
from thalweg.execute.native import jit, threads_ir

__all__ = ["default_threads", "is_pooled", "runtime"]

#: Seconds that an idle worker watches the ticket, and a caller the last chunks of others, before
#: they sleep: about what waking them costs.
_WATCH = 50e-6


class _Runtime:
    """The loaded library; this process keeps the first one made."""

    def __init__(self) -> None:
        self.reset: Callable[[], None] = _nothing
        self.stop: Callable[[], None] = _nothing
        try:
            self.library = jit.load(threads_ir.pool_text(), level=jit.QUICK)
        except InternalError:  # a system without pthread
            self.library = jit.load(threads_ir.SERIAL, level=jit.QUICK)
            self.pooled = False
        else:
            self.pooled = True
            with_count = ctypes.CFUNCTYPE(None, ctypes.c_int64)
            reset = with_count(self.library.address("tw_reset"))
            patience = _patience(with_count(self.library.address("tw_look")))
            self.reset = lambda: reset(patience)
            self.stop = ctypes.CFUNCTYPE(None)(self.library.address("tw_stop"))
            self.reset()
        self.symbols = MappingProxyType({"tw_parallel": self.library.address("tw_parallel")})


def _patience(look: Callable[[int], None]) -> int:
    """How many looks last as long as an idle thread shall watch: a pause takes 5 to 60 ns."""
    count = 200
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        look(count)
        times.append(time.perf_counter() - begin)
    return int(_WATCH * count / min(times)) + 1


def _nothing() -> None:
    """Where there are no workers, there is nothing to do about them."""


_LOADED: dict[str, _Runtime] = {}


def _runtime() -> _Runtime:
    found = _LOADED.get("")
    # Two threads may come here at once: one library becomes the process's, the other goes unused.
    return _LOADED.setdefault("", _Runtime()) if found is None else found


def _stop_workers() -> None:
    for found in _LOADED.values():
        found.stop()


def _forget_workers() -> None:
    for found in _LOADED.values():
        found.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_stop_workers, after_in_child=_forget_workers)


def runtime() -> Mapping[str, int]:
    """What compiled code may call, name → address: for ``jit.load(symbols=…)``.

    The library stays in memory as long as the process: a worker may be anywhere in it.
    """
    return _runtime().symbols


def is_pooled() -> bool:
    """Whether there are threads at all; without pthread the caller does all the work."""
    return _runtime().pooled


def default_threads() -> int:
    """How many threads a call takes if nobody says: ``THALWEG_NUM_THREADS``, else the CPUs.

    CPUs are those that this process may use, where the system tells.
    """
    text = os.environ.get("THALWEG_NUM_THREADS", "").strip()
    if not text:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"THALWEG_NUM_THREADS={text!r}: a whole number from 1 on is needed")
    return int(text)
