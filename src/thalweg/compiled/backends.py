"""Which executor runs a graph: the one place where it is chosen."""

from __future__ import annotations

import atexit
import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thalweg.config import config
from thalweg.errors import NativeUnavailableWarning
from thalweg.execute.executor import Executor, GuardChanged, Interpreter, Report
from thalweg.execute.native import jit, program
from thalweg.execute.native.threads import default_threads
from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.optimise.pipeline import optimise

__all__ = ["BACKENDS", "Tiered", "executor_of"]

BACKENDS = ("native", "numpy")

#: Seconds that the end of the process waits for a compilation under way.
_PATIENCE = 10.0


def executor_of(
    graph: Graph, inplace: Mapping[int, int], backend: str, threads: int | None
) -> Executor:
    """What runs `graph` (with values), whose outputs `inplace` maps to inputs: memory they take."""
    if backend == "numpy":
        return Interpreter(optimise(graph).without_values(), inplace, 'backend="numpy"')
    reason = jit.available()
    slim = optimise(graph).without_values()
    if reason:
        _tell(f"compiled functions run in NumPy: {reason}")
        return Interpreter(slim, inplace, reason)
    workers = default_threads() if threads is None else threads

    def build() -> Executor:
        return program.build(slim, inplace=inplace, threads=workers)

    if config.compile == "background":
        return Tiered(slim, inplace, build)
    try:
        return build()
    except Exception as error:
        return _without(slim, inplace, error)


def _without(graph: Graph, inplace: Mapping[int, int], error: Exception) -> Executor:
    """NumPy, where native code could not be made."""
    reason = f"native code could not be made ({type(error).__name__}: {error})"
    _tell(f"a compiled function runs in NumPy: {reason}.\n  This is a bug: please report it.")
    return Interpreter(graph, inplace, reason)


_told: set[str] = set()


def _tell(text: str) -> None:
    """Say it once in a process."""
    if text not in _told:
        _told.add(text)
        warnings.warn(NativeUnavailableWarning(text), stacklevel=2)


class Tiered:
    """The interpreter, until a thread has compiled the graph.

    Attributes
    ----------
    ready : bool
        Whether the compilation has ended.
    """

    def __init__(
        self, graph: Graph, inplace: Mapping[int, int], build: Callable[[], Executor]
    ) -> None:
        self._executor: Executor = Interpreter(
            graph, inplace, "native code is being compiled in the background"
        )
        self._otherwise = lambda error: _without(graph, inplace, error)
        self._error: Exception | None = None
        self._then: Callable[[], None] | None = None
        self.ready = False
        thread = threading.Thread(target=self._work, args=(build,), daemon=True)
        _working.add(thread)
        thread.start()

    def _work(self, build: Callable[[], Executor]) -> None:
        try:
            with _one_at_a_time:
                if not _ended.is_set():
                    self._executor = build()
        except Exception as error:
            self._error = error  # told by the next call, in its own thread
        finally:
            self.ready = True
            _working.discard(threading.current_thread())
        then = self._then
        if then is not None:
            then()

    def when_ready(self, then: Callable[[], None]) -> None:
        """Call `then` in the thread that has compiled; not at all, if it has ended already."""
        self._then = then

    @property
    def executor(self) -> Executor:
        """What runs now."""
        return self._executor

    @property
    def report(self) -> Report:
        """What runs where, now."""
        return self._executor.report

    @property
    def graph(self) -> Graph:
        """What is run."""
        return self._executor.graph

    def gates(self) -> list[list[Node]]:
        """For each entry of the report the nodes that it computes, now."""
        return self._executor.gates()

    def run(self, leaves: Sequence[Any]) -> tuple[Any, ...] | GuardChanged:
        """The outputs, or the guard that answers otherwise."""
        error, self._error = self._error, None
        if error is not None:
            self._executor = self._otherwise(error)
        return self._executor.run(leaves)


_working: set[threading.Thread] = set()
_one_at_a_time = threading.Lock()
_ended = threading.Event()


def _forget() -> None:
    """In a forked child there is no such thread: what was waiting for it stays in NumPy."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    _working.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _end() -> None:
    """At the end of the process: begin nothing new, and leave no thread in the compiler."""
    _ended.set()
    for thread in tuple(_working):
        thread.join(_PATIENCE)


atexit.register(_end)
