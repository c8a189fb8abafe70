"""`compile`: a function recorded once for each signature and branch, and run from its graph."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import threading
import time
import types
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, overload

import numpy as np

from thalweg.compiled.backends import BACKENDS, Tiered, executor_of
from thalweg.compiled.causes import cause_of, often
from thalweg.compiled.collector import paused
from thalweg.compiled.entry import chain
from thalweg.compiled.inplace import check_positions, match_results, targets
from thalweg.compiled.record import Cause, Family, Record
from thalweg.compiled.recording import Traced, as_operand, fits_for_floats, fits_for_int, trace
from thalweg.compiled.report import explain
from thalweg.compiled.signature import Call, read
from thalweg.errors import TracingError
from thalweg.execute.executor import GuardChanged
from thalweg.execute.native.program import Program
from thalweg.graph.graph import Guard
from thalweg.graph.node import Node
from thalweg.guards import depth
from thalweg.tracing import check_function

__all__ = ["Compiled", "compile"]

#: Records that a function keeps; the least recently used goes first.
_MOST = 64


class Compiled:
    """A function that runs from recorded graphs; made by `compile`.

    Attributes
    ----------
    records : tuple
        What has been recorded so far, in the order it was made; see `explain`.
    """

    # A call takes what stands in this slot, without a frame of Python's: native entries of records,
    # which hand on what is not theirs, and `_call` behind them.
    __slots__ = ("__call__", "__dict__", "__weakref__")
    __call__: Callable[..., Any]

    def __init__(
        self, f: Callable[..., Any], backend: str, inplace: Any, threads: int | None
    ) -> None:
        functools.update_wrapper(self, f)
        self._function = f
        self._options = (backend, check_positions(inplace), threads)
        #: The names of the parameters that are given by position, as far as they are known.
        self.parameters = _parameters(f)
        self._lock = threading.RLock()
        _all.add(self)
        self._families: dict[Any, Family] = {}
        self._causes: list[Cause] = []
        self._calls = 0
        self._times: deque[tuple[float, float]] = deque(maxlen=8)
        self._warned = False
        self.__call__ = self._call

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> Any:
        """As a function: by its name where that leads here, else by what it was made of."""
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(getattr(self, "__module__", ""))
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else (Compiled, (self._function, *self._options))

    def __repr__(self) -> str:
        backend, inplace, threads = self._options
        options = f"backend={backend!r}"
        options += f", inplace={inplace}" if inplace else ""
        options += "" if threads is None else f", threads={threads}"
        n = len(self.records)
        return f"<compiled {self.name}({options}): {n} record{'' if n == 1 else 's'}>"

    @property
    def name(self) -> str:
        """The function's."""
        return str(getattr(self, "__qualname__", None) or type(self._function).__name__)

    @property
    def backend(self) -> str:
        """What runs the graphs: as asked for."""
        return self._options[0]

    @property
    def threads(self) -> int | None:
        """How many threads a call may use; None: as many as there are processors."""
        return self._options[2]

    @property
    def records(self) -> tuple[Record, ...]:
        """What has been recorded, in the order it was made."""
        return tuple(sorted(_kept(self._families), key=lambda record: record.number))

    def clear(self) -> None:
        """Forget all records: the next call traces again."""
        with self._lock:
            self.__call__ = self._call
            self._families = {}
            self._causes = []
            self._calls = 0
            self._times.clear()
            self._warned = False

    def explain(self, measure: bool = False) -> str:
        """What was recorded and why, what was fused, and what runs where, as text.

        Parameters
        ----------
        measure : bool
            Measure the machine (once, half a second) and each record on made-up values, and say
            what share of the machine's speed it has.
        """
        return explain(repr(self), self.records, self.parameters, measure)

    def serving(self, *args: Any, **kwargs: Any) -> tuple[Record, list[Any]]:
        """The record that runs such a call, made where there is none; nothing is written to.

        Returns
        -------
        record : Record
        leaves : list
            Copies of the values of the inputs of its graph.
        """
        call = read(args, kwargs)
        for _ in range(2):
            family = self._families.get(_place(call))
            for record in () if family is None else family.grouping.find(call):
                leaves = [_copied(as_operand(call.leaves[i])) for i in record.positions]
                given = list(map(_copied, leaves))
                if not isinstance(record.executor.run(given), GuardChanged):
                    return record, leaves
            given, named = call.rebuilt(list(map(_copied, call.leaves)))
            self._call(*given, **named)
        raise TracingError(
            f"{self.name}: no graph was recorded for these arguments.\n"
            "  Call it with arrays and numbers, outside of other traces."
        )

    # ---- a call that no record has taken by itself -----------------------------------------

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        if depth():  # a derivative, or another trace, is to see the operations
            return self._function(*args, **kwargs)
        call = read(args, kwargs)
        if call.traced:
            return self._function(*args, **kwargs)
        self._calls += 1
        inplace = self._options[1]
        places = targets(inplace, call, args) if inplace else ()
        family = self._families.get(_place(call))
        tried: set[Record] = set()
        changed: list[Guard] = []
        if family is not None:
            found = _try(family, call, tried, changed)
            if found is not _NONE:
                return found
        with self._lock:
            family = self._families.get(_place(call))
            if family is not None:  # another thread may have been faster
                found = _try(family, call, tried, changed)
                if found is not _NONE:
                    return found
            begin = time.perf_counter()
            with paused():
                record, results = self._record(call, places, changed)
            self._times.append((begin, time.perf_counter()))
            warning = (
                None if self._warned else often(self.name, self._causes, self._calls, self._times)
            )
            self._warned = self._warned or warning is not None
        given = record.give(call, results)
        if warning is not None:
            warnings.warn(warning, stacklevel=2)
        return given

    def _record(
        self, call: Call, places: Any, changed: Sequence[Guard]
    ) -> tuple[Record, tuple[Any, ...]]:
        """Trace a call: the new record, and its results for this call."""
        backend, _, threads = self._options
        where = _place(call)
        family = self._families.get(where)
        if family is None:
            family = Family(call.forms, call.paths())
        cause = cause_of(self.records, family, call, changed, self.parameters)
        traced = _trace(self._function, family, call)
        values = [x.value if type(x) is Node else x for x in traced.leaves]
        into = match_results(places, call, values, traced.structure)
        inputs = {i: number for number, i in enumerate(traced.positions)}
        varying = [k for k, x in enumerate(traced.leaves) if type(x) is Node]
        inplace = {o: inputs[into[k]] for o, k in enumerate(varying) if k in into}
        executor = executor_of(traced.graph, inplace, backend, threads)
        record = Record(family, call, cause, traced, into, executor)
        if isinstance(executor, Program):
            # What later calls give to the last bit, rather than what the trace has computed.
            given = [as_operand(call.leaves[i]) for i in traced.positions]
            native: Any = None
            with contextlib.suppress(Exception):  # then the trace has the results
                native = executor.run(given)
            if native is not None and not isinstance(native, GuardChanged):
                self._keep(where, record)
                return record, native
        # From here on nothing fails: interrupted before, nothing has changed.
        results = []
        for k in varying:
            value = values[k]
            if k in into:
                np.copyto(call.leaves[into[k]], value)
                value = call.leaves[into[k]]
            elif isinstance(value, np.ndarray):
                value = np.array(value)
            results.append(value)
        self._keep(where, record)
        return record, tuple(results)

    def _keep(self, where: Any, record: Record) -> None:
        """Keep a record, and let the least recently used go where there are too many."""
        self._causes = [*self._causes[-_MOST:], record.cause]
        self._families[where] = record.family
        record.grouping.add(record)
        kept = _kept(self._families)
        for oldest in sorted(kept, key=lambda x: x.used)[: max(0, len(kept) - _MOST)]:
            oldest.grouping.drop(oldest)
        self._families = {w: f for w, f in self._families.items() if f.grouping.records}
        self.__call__ = chain(_kept(self._families), self._call)
        if isinstance(record.executor, Tiered):
            record.executor.when_ready(self._link)

    def _link(self) -> None:
        """Put the native entries of the records in front of Python's way."""
        with self._lock:
            self.__call__ = chain(_kept(self._families), self._call)


def _kept(families: Mapping[Any, Family]) -> list[Record]:
    return [
        record
        for family in list(families.values())
        for records in list(family.grouping.records.values())
        for record in records
    ]


def _copied(value: Any) -> Any:
    return np.array(value) if isinstance(value, np.ndarray) else value


_NONE = object()
_all: weakref.WeakSet[Compiled] = weakref.WeakSet()


def _unlock() -> None:
    """In a forked child: whoever held a lock is not there."""
    for compiled in _all:
        compiled._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _place(call: Call) -> Hashable:
    """What the calls of a family have in common."""
    return call.arguments, call.keywords, call.forms


def _parameters(f: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters that are given by position, as far as they are known."""
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple([parameter.name for parameter in found if parameter.kind in kinds])


def _try(family: Family, call: Call, tried: set[Record], changed: list[Guard]) -> Any:
    """The result of the first record whose guards answer as they did, the last used one first."""
    for record in family.grouping.find(call):
        if record in tried:
            continue
        tried.add(record)
        try:
            found = record.run(call)
        except Exception:  # what fails is done again by the function, at the user's line
            continue
        if not isinstance(found, GuardChanged):
            return found
        changed.append(found.guard)
    return _NONE


def _trace(function: Callable[..., Any], family: Family, call: Call) -> Traced:
    """Trace a call with as many Python numbers varying as can be without being noticed."""
    ints = [*family.grouping.ints, *family.changing_ints(call)]
    traced = None
    if family.has_floats and family.grouping.floats:
        try:
            traced = trace(function, call, family.positions(True, ()))
        except Exception:  # float(x) of a traced one, say: the static trace tells
            traced = None
    floats = traced is not None and fits_for_floats(traced.graph)
    if traced is None or not floats:
        traced = trace(function, call, family.positions(False, ()))
    accepted: list[int] = []
    for i in ints:
        try:
            dynamic = trace(function, call, family.positions(floats, (*accepted, i)))
        except Exception:  # range(n): a static value is what it needs
            continue
        if fits_for_int(traced, dynamic, i):
            accepted.append(i)
            traced = dynamic
    family.regroup(floats or not family.has_floats, frozenset(accepted))
    return traced


@overload
def compile(
    f: Callable[..., Any],
    *,
    backend: str = "native",
    inplace: int | Sequence[int] = (),
    threads: int | None = None,
) -> Compiled: ...
@overload
def compile(
    f: None = None,
    *,
    backend: str = "native",
    inplace: int | Sequence[int] = (),
    threads: int | None = None,
) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(
    f: Callable[..., Any] | None = None,
    *,
    backend: str = "native",
    inplace: int | Sequence[int] = (),
    threads: int | None = None,
) -> Any:
    """Make a function that runs from its recorded graph: native code, with the same results.

    The function is called once on traced arguments for each signature (trees, shapes, dtypes,
    values of what is no number) and each way that Python's control flow takes; later calls run the
    graph. Gradients are compiled with it: ``compile(value_and_grad(loss))``, a whole training step.

    What is no argument is a constant of the record: arrays that the function closes over, random
    numbers that it draws, what it prints.

    Parameters
    ----------
    f : callable
        A NumPy function of arrays, numbers and trees of them. Without it: a decorator.
    backend : {"native", "numpy"}
        What runs the graph. Where native code is not to be had, NumPy does, with one warning.
    inplace : int or sequence of int
        Positions of arguments whose memory the results take: the first items of the result belong
        to them in this order, have the same tree, shapes and dtypes, and are the same arrays.
    threads : int, optional
        How many threads a call may use; by default as many as there are processors
        (``THALWEG_NUM_THREADS``).

    Returns
    -------
    Compiled
        Takes what `f` takes. ``explain()`` tells what was recorded and why.

    Raises
    ------
    TreeError
        If an argument is neither an array of numbers, a tree of them, nor hashable.

    Warns
    -----
    RecompilationWarning
        Once, when the function is traced again and again; the message names the cause.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> @tw.compile
    ... def step(w, x, y, rate):
    ...     loss, gradient = tw.value_and_grad(lambda w: np.mean((x @ w - y) ** 2))(w)
    ...     return w - rate * gradient, loss
    >>> w, loss = step(np.zeros(2), np.eye(2), np.array([1.0, -1.0]), 0.5)
    >>> w
    array([ 0.5, -0.5])
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r}: it must be one of {', '.join(BACKENDS)}")
    if threads is not None and not (type(threads) is int and threads > 0):
        raise ValueError(f"threads={threads!r}: it must be a positive int, or None")
    if f is None:
        return functools.partial(compile, backend=backend, inplace=inplace, threads=threads)
    check_function(f, "compile(f)(x)")
    return Compiled(f, backend, inplace, threads)
