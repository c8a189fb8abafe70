"""The progress bar of `fit`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Bar"]

_PAUSE = 0.1  # seconds between two updates: they cost more than a small step


class Bar:
    """Epoch, loss, metrics, steps a second and remaining time, on stderr.

    Parameters
    ----------
    show : bool or None
        None: where stderr is a terminal.
    epochs : int
        Planned epochs.
    steps : int or None
        Steps of an epoch, where known.
    done : tuple of int
        Epochs and steps that an earlier run made.
    """

    def __init__(
        self, show: bool | None, epochs: int, steps: int | None, done: tuple[int, int]
    ) -> None:
        console = Console(stderr=True)
        self.shown = console.is_terminal if show is None else show
        self._steps = steps
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TextColumn("{task.fields[numbers]}  {task.fields[rate]:.0f} steps/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not self.shown,
        )
        self._task = self._progress.add_task(
            "",
            total=float(epochs),
            completed=done[0],
            epoch=done[0],
            epochs=epochs,
            numbers="loss –",
            rate=0.0,
        )
        self._next = 0.0
        self._start = self._last = (time.monotonic(), done[1])
        self._unseen: tuple[int, int, int, Mapping[str, Any]] | None = None

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._unseen is not None:
            self._last = self._start  # the last rate is that of the whole
            self._update(time.monotonic(), *self._unseen)
        self._progress.stop()

    def step(self, epoch: int, batch: int, total: int, numbers: Mapping[str, Any]) -> None:
        """After a step: `batch` of this epoch, `total` of all."""
        now = time.monotonic()
        if now < self._next:
            self._unseen = (epoch, batch, total, numbers)
            return
        self._next = now + _PAUSE
        self._update(now, epoch, batch, total, numbers)

    def _update(
        self, now: float, epoch: int, batch: int, total: int, numbers: Mapping[str, Any]
    ) -> None:
        self._unseen = None
        before, steps = self._last
        self._last = (now, total)
        part = batch / self._steps if self._steps else 0.0
        self._progress.update(
            self._task,
            completed=epoch + part,
            epoch=epoch + 1,
            numbers="  ".join(f"{name} {float(x):.4g}" for name, x in numbers.items()),
            rate=(total - steps) / max(now - before, 1e-9),
        )
