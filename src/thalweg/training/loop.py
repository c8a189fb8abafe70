"""`fit`: the training loop around one compiled step."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.api_compile import compile
from thalweg.errors import DataError, NonFiniteError
from thalweg.optim.base import Updating, fresh
from thalweg.optim.rules import Adam
from thalweg.report.trace import Trace, trace
from thalweg.training.bar import Bar
from thalweg.training.batches import Source
from thalweg.training.results import Epoch, Fitted, History
from thalweg.training.snapshots import Snapshots
from thalweg.training.step import (
    TRAIN,
    VALIDATION,
    Options,
    answer,
    check,
    fits,
    measures_of,
    on_leaves,
    step,
    valuation,
)
from thalweg.training.store import Checkpoints
from thalweg.tree import flatten, tree_map, unflatten

__all__ = ["fit", "interrupts"]

#: Bytes of parameters up to which a step writes into them. A larger model is written beside the old
#: one, which stays whole where something is not finite, with no pass over it before the writing.
_SMALL = 2**16


def fit(
    model: Any,
    loss: Callable[..., Any],
    data: Any,
    *,
    optimiser: Updating | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int = 0,
    validation: Any = None,
    validation_loss: Callable[..., Any] | None = None,
    metrics: Mapping[str, Callable[..., Any]] | None = None,
    patience: int | None = None,
    callbacks: Iterable[Callable[[Epoch], Any]] = (),
    checkpoint: str | Path | Checkpoints | None = None,
    resume: bool | str = False,
    explore: str | Path | Snapshots | None = None,
    progress: bool | None = None,
) -> Fitted:
    """Train a model by mini-batches: gradients and update are one compiled step, in place.

    Parameters
    ----------
    model : tree of floating arrays
        The parameters to start from. It is copied, never written to.
    loss : callable
        ``loss(model, *batch)``: one real number, the mean over the batch's rows; or a pair of it
        and a dict of metrics, numbers too. Under ``"model"`` the dict may have the model with its
        running statistics moved on (see `thalweg.nn.BatchNorm`). What `loss` has as keyword-only
        parameters of these names it gets: ``key``, a `thalweg.random` key of this step (in
        validation: of this batch); ``step``, how many were made (an int64 array); ``train``,
        whether this is a step or validation.
    data : array, tuple of arrays, or iterable of batches
        Arrays (memory maps too) share their first axis. Anything else is iterated once an epoch
        and gives batches: arrays or tuples of arrays.
    optimiser : optional
        Of `thalweg.optim`; ``Adam(0.001)`` by default.
    epochs : int
        Passes over the data, those before a resume included.
    batch_size : int
        Rows of a batch of arrays. The last batch of an epoch has what is left.
    shuffle : bool
        Whether arrays are taken in a new order each epoch, given by `seed` and the epoch's number.
    seed : int
        Of the order and the keys.
    validation : optional
        Like `data`; its mean loss is computed after each epoch.
    validation_loss : callable, optional
        Where it is not `loss`: without dropout or penalties, say.
    metrics : dict of str to callable, optional
        ``metric(model, *batch)``: one number, averaged over the rows of `validation`; it may take
        the same keywords as `loss`.
    patience : int, optional
        Stop after so many epochs without a lower validation loss.
    callbacks : iterable of callables
        Each is called with an `Epoch` after every epoch; True ends the training.
    checkpoint : path or Checkpoints, optional
        The folder for checkpoints: after every epoch, and when Ctrl-C ends it.
    resume : bool or "changed"
        Go on from the newest checkpoint in the folder, if there is one. The result is the same to
        the last bit as without the interruption, so settings that differ (rate, batch size, seed,
        …) are an error; with "changed" the run goes on with the new ones.
    explore : path or Snapshots, optional
        The folder for pages of the explorer, of steps 0, 1, 2, 5, 10, 20, …; its ``index.html``
        runs through them.
    progress : bool, optional
        A progress bar on stderr; by default where that is a terminal.

    Returns
    -------
    Fitted

    Raises
    ------
    NonFiniteError
        If the loss, a gradient, or what the update makes of them is NaN or Inf. The message names
        the operation that made it; its ``result`` has everything up to the step before.
    DataError, ShapeError
        If data, settings or a checkpoint cannot be used.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> x = np.linspace(-1, 1, 50)
    >>> line = lambda p, x, y: np.mean((p["a"] * x + p["b"] - y) ** 2)
    >>> start = {"a": 0.0, "b": 0.0}
    >>> found = tw.fit(start, line, (x, 2 * x + 1), optimiser=tw.optim.Adam(0.1), epochs=100)
    >>> {name: round(float(p), 2) for name, p in found.model.items()}
    {'a': 2.0, 'b': 1.0}
    """
    rule = Adam(0.001) if optimiser is None else optimiser
    waiting = {} if patience is None else {"patience": patience}
    check(rule, seed, epochs=epochs, batch_size=batch_size, **waiting)
    if validation is None and (patience is not None or metrics or validation_loss is not None):
        raise DataError("patience, metrics and validation_loss need validation=…")
    if not isinstance(resume, bool) and resume != "changed":
        raise DataError(f"resume must be True, False or 'changed', got {resume!r}")
    if resume and checkpoint is None:
        raise DataError("resume=True needs checkpoint=…, the folder to go on from")
    measures = {VALIDATION: loss if validation_loss is None else validation_loss}
    measures |= measures_of(metrics, TRAIN, VALIDATION)
    called = tuple(callbacks) if isinstance(callbacks, Iterable) else ()
    if not (isinstance(callbacks, Iterable) and all(map(callable, called))):
        raise DataError(f"callbacks must be a list of functions, got {callbacks!r}")
    source = Source(data, batch_size, seed if shuffle else None, "data")
    held = None if validation is None else Source(validation, batch_size, None, "validation")
    fits(loss, source, "loss")
    if held is not None:
        for name, measure in measures.items():
            what = "the validation loss" if name == VALIDATION else f"the metric {name!r}"
            fits(measure, held, what)
    run = _Run(model, loss, rule, source, held, measures if held else {}, patience, seed)
    run.settings = {
        "batch_size": int(batch_size),  # plain numbers, which JSON knows
        "seed": int(seed),
        "shuffle": bool(shuffle),
        "rows": source.rows,
        "optimiser": _described(rule),
    }
    if checkpoint is not None:
        run.open(
            checkpoint if isinstance(checkpoint, Checkpoints) else Checkpoints(checkpoint), resume
        )
    if explore is not None:
        run.snapshots = explore if isinstance(explore, Snapshots) else Snapshots(explore)
    done = (run.result.epochs, run.result.steps)
    with Bar(progress, epochs, source.steps, done) as bar, interrupts() as asked:
        run.train(epochs, called, bar, asked)
    return run.result


class _Run:
    """A training under way."""

    def __init__(
        self,
        model: Any,
        loss: Callable[..., Any],
        rule: Updating,
        source: Source,
        held: Source | None,
        measures: Mapping[str, Callable[..., Any]],
        patience: int | None,
        seed: int,
    ) -> None:
        leaves, structure = fresh(model)
        self.result = Fitted(unflatten(structure, leaves), None)
        self.result.best = tree_map(np.copy, self.result.model)
        self.result.history = History({name: [] for name in (TRAIN, *measures)})
        self.settings: dict[str, Any] = {}
        self._state = rule.init(self.result.model)
        self._forms = tuple(flatten(tree)[1] for tree in (self._state, self.result.model))
        self._loss, self._source, self._held = loss, source, held
        self._patience = patience
        self._store: Checkpoints | None = None
        self.snapshots: Snapshots | None = None
        self._batch = 0  # of the epoch under way
        self._sums: dict[str, float] = {TRAIN: 0.0}
        self._rows = 0
        self._options = Options(loss, seed)
        small = sum(leaf.nbytes for leaf in leaves) <= _SMALL
        made = on_leaves(step(loss, rule), *self._forms)
        self._step = compile(made, inplace=(0, 1) if small else ())
        self._measures = {
            name: (compile(valuation(measure)), Options(measure, seed))
            for name, measure in measures.items()
        }

    def open(self, store: Checkpoints, resume: bool | str) -> None:
        """Use a folder of checkpoints, and go on from the newest one if asked to."""
        self._store = store
        store.prepare(self._tree())
        if store.files() and not resume:
            raise DataError(
                f"{store.folder} has checkpoints of an earlier run.\n"
                "  Go on with resume=True, or choose another folder."
            )
        found = store.newest(self._tree())
        if found is None:
            return
        tree, about = found
        theirs, ours = about["settings"], self.settings
        odd = [name for name in ours if theirs.get(name) != ours[name]]
        if odd and resume != "changed":
            told = "".join(
                f"\n  {name}: {theirs.get(name)} there, {ours[name]} here" for name in odd
            )
            raise DataError(
                f"the checkpoints in {store.folder} are of a run with other settings:{told}\n"
                "  Go on with these settings by resume='changed', or choose another folder."
            )
        there, here = about["history"].keys(), self.result.history.keys()
        if missing := here - there:
            raise DataError(
                f"the checkpoints in {store.folder} have no {min(missing)!r} in their "
                f"history: they have {sorted(there)}"
            )
        if VALIDATION in there - here:
            raise DataError(
                f"the checkpoints in {store.folder} are of a run with validation=…, which this "
                "one has not"
            )
        self.result.model, self.result.best, self._state = (
            tree_map(np.array, tree[name]) for name in ("model", "best", "state")
        )
        self.result.history = History({name: list(line) for name, line in about["history"].items()})
        for name in ("best_epoch", "epochs", "steps", "stopped"):
            setattr(self.result, name, about[name])
        if resume == "changed":  # what ended it may be what was changed
            self.result.stopped = self._is_flat()
        if set(odd) <= {"optimiser"}:  # other batches: the epoch under way begins anew
            self._batch, self._sums, self._rows = about["batch"], about["sums"], about["rows"]

    def train(
        self,
        epochs: int,
        callbacks: tuple[Callable[[Epoch], Any], ...],
        bar: Bar,
        asked: threading.Event,
    ) -> None:
        """Epochs until it ends, for whatever reason."""
        result = self.result
        while result.epochs < epochs and not result.stopped:
            if not self._pass(bar, asked):
                result.interrupted = True
                self._save()
                return
            self._end_of_epoch()
            now = Epoch(result.epochs, result.steps, result.model, result.history)
            answers = [callback(now) for callback in callbacks]
            result.stopped = self._is_flat() or any(map(_is_true, answers))
            self._save()

    def _pass(self, bar: Bar, asked: threading.Event) -> bool:
        """The rest of an epoch; False where Ctrl-C came."""
        result, step, options, sums = self.result, self._step, self._options, self._sums
        every = self._store.every if self._store else None
        given: dict[str, Any] = {}
        shown, snapshots = bar.shown, self.snapshots
        # What each step changes is in local names: attributes and trees take longer than a small
        # step does, and are looked at more rarely.
        state, params = (tuple(flatten(tree)[0]) for tree in (self._state, result.model))
        steps, batches, seen, total = result.steps, self._batch, self._rows, sums[TRAIN]

        def settle() -> None:
            self._state, result.model = map(unflatten, self._forms, (state, params))
            result.steps, self._batch, self._rows, sums[TRAIN] = steps, batches, seen, total

        try:
            for rows, batch in self._source.epoch(result.epochs, batches):
                if asked.is_set():
                    return False
                if options.names:
                    given = options(steps)
                if snapshots is not None and snapshots.wants(steps):
                    settle()
                    snapshots.save(steps, self._traced(batch, given))
                state, params, value, metrics, fine = step(state, params, given, *batch)
                loss = float(value)
                if not fine:
                    settle()
                    raise self._failed(loss, batch, given)
                total += loss * rows
                if metrics:
                    for name, metric in metrics.items():
                        sums[name] = sums.get(name, 0.0) + float(metric) * rows
                seen += rows
                batches += 1
                steps += 1
                if shown:
                    bar.step(result.epochs, batches, steps, {TRAIN: loss, **metrics})
                if every and steps % every == 0:
                    settle()
                    self._save()
        finally:
            settle()
        return True

    def _end_of_epoch(self) -> None:
        result = self.result
        if not self._rows:
            raise DataError("an epoch of data gave no batch")
        means = {name: total / self._rows for name, total in self._sums.items()}
        self._batch, self._sums, self._rows = 0, {TRAIN: 0.0}, 0
        result.epochs += 1
        if self._held is not None:
            means |= self._evaluate(self._held, means)
        for name, mean in means.items():
            result.history.setdefault(name, []).append(mean)
        lengths = {name: len(line) for name, line in result.history.items()}
        if odd := [name for name, length in lengths.items() if length != result.epochs]:
            raise DataError(
                "every epoch must have the same metrics, those before a resume too: there are "
                f"{lengths[odd[0]]} numbers of {odd[0]!r} after {result.epochs} epochs"
            )
        watched = self._watched()
        now, best = watched[-1], watched[max(0, result.best_epoch - 1)]
        better = now < best or (math.isnan(best) and not math.isnan(now))
        if result.best_epoch == 0 or better:
            result.best_epoch = result.epochs
            result.best = tree_map(np.copy, result.model)

    def _evaluate(self, held: Source, trained: Mapping[str, float]) -> dict[str, float]:
        """Means over the rows of the validation data."""
        sums: dict[str, float] = {}
        total = 0
        for position, (rows, batch) in enumerate(held.epoch(0)):
            total += rows
            for name, (measure, options) in self._measures.items():
                given = options(self.result.steps, position)
                value, metrics = measure(self.result.model, given, *batch)
                found = {name: value, **{f"{VALIDATION}_{key}": metrics[key] for key in metrics}}
                for key, number in found.items():
                    sums[key] = sums.get(key, 0.0) + float(number) * rows
        if twice := sorted(sums.keys() & trained.keys()):
            raise DataError(f"{twice[0]!r} is a metric of the loss and one of metrics=: rename one")
        return {name: value / total for name, value in sums.items()}

    def _watched(self) -> list[float]:
        return self.result.history[TRAIN if self._held is None else VALIDATION]

    def _is_flat(self) -> bool:
        waited = self.result.epochs - self.result.best_epoch
        return self._patience is not None and waited >= self._patience

    def _tree(self) -> dict[str, Any]:
        return {"model": self.result.model, "best": self.result.best, "state": self._state}

    def _save(self) -> None:
        if self._store is None:
            return
        result = self.result
        names = ("best_epoch", "epochs", "steps", "stopped", "history")
        about = {name: getattr(result, name) for name in names}
        about |= {"batch": self._batch, "sums": self._sums, "rows": self._rows}
        self._store.save(result.steps, self._tree(), {**about, "settings": self.settings})

    def _traced(self, batch: tuple[Any, ...], given: dict[str, Any]) -> Trace:
        """The loss of the next step, node by node."""

        def loss(model: Any, *batch: Any) -> Any:
            return answer(self._loss(model, *batch, **given))[0]

        return trace(loss, self.result.model, *batch)

    def _failed(
        self, value: float, batch: tuple[Any, ...], given: dict[str, Any]
    ) -> NonFiniteError:
        with np.errstate(all="ignore"):
            found = self._traced(batch, given).first_nonfinite()
        if not np.isfinite(value):
            what = f"the loss ({value})"
        elif found is not None:
            what = "a gradient"
        else:
            what = "what the optimiser makes of the gradient (a parameter or a moment overflows)"
        told = [str(found)] if found is not None else []
        if found is not None and found.phase == "input":
            told += self._source.not_finite()  # a batch's rows have another order
        error = NonFiniteError(
            f"{what} is not finite in epoch {self.result.epochs + 1}, batch {self._batch + 1} "
            f"(step {self.result.steps + 1}); the model is as it was before that step, in this "
            "error's `result`.\n" + "\n".join(told)
        )
        error.result = self.result
        return error


def _described(rule: Any) -> str:
    """An optimiser or a schedule with all its settings, the same in every process."""
    if dataclasses.is_dataclass(rule):
        fields = [(f.name, getattr(rule, f.name)) for f in dataclasses.fields(rule)]
        return f"{type(rule).__name__}({', '.join(f'{k}={_described(v)}' for k, v in fields)})"
    if isinstance(rule, tuple):
        return f"({', '.join(map(_described, rule))})"
    if callable(rule):  # its repr has an address
        return str(getattr(rule, "__qualname__", type(rule).__name__))
    return repr(rule)


def _is_true(answer: Any) -> bool:
    """Whether a callback said True: Python's or NumPy's."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


@contextlib.contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that a step is made whole; a second Ctrl-C is an error.

    Signals reach the main thread only: elsewhere the event is never set. Where the process ignores
    Ctrl-C (a background job), or a handler that is not Python's has it, it stays so.
    """
    asked = threading.Event()
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        yield asked
        return

    def note(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
