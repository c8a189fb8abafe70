"""What a training gives, and what a callback sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thalweg.plots import curves, panels, save
from thalweg.training.step import TRAIN, VALIDATION

__all__ = ["Epoch", "Fitted", "History"]


class History(dict[str, list[float]]):
    """Names of losses and metrics → one number an epoch."""

    def plot(self, path: str | Path | None = None) -> Any:
        """The losses in one panel, the metrics in another, by epoch.

        Parameters
        ----------
        path : path, optional
            A PNG file to write.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        DataError
            Where matplotlib is not installed, or the file cannot be written.

        Examples
        --------
        >>> from thalweg.training import History
        >>> figure = History(loss=[2.0, 1.0, 0.5], accuracy=[0.4, 0.8, 0.9]).plot()
        >>> [panel.get_title() for panel in figure.axes]
        ['loss', 'metrics']
        """
        losses = {name: line for name, line in self.items() if name in (TRAIN, VALIDATION)}
        others = {name: line for name, line in self.items() if name not in losses}
        figure, places = panels(1 + bool(others))
        curves(places[0], losses, TRAIN)
        if others:
            curves(places[1], others, "metrics")
        if path is not None:
            save(figure, path)
        return figure


@dataclass
class Fitted:
    """What a training gave.

    Attributes
    ----------
    model : tree
        After the last step.
    best : tree
        Of the epoch with the lowest validation loss (training loss, without validation).
    best_epoch : int
        Its number, from 1; 0 before the first epoch has ended.
    history : History
        A dict of str to list of float, with a method `plot`. One number an epoch: ``"loss"``
        (mean over the rows while training), ``"validation"``, each metric of `metrics=`, and each
        that the loss returned: ``"accuracy"`` while training, ``"validation_accuracy"`` on the
        validation data.
    epochs, steps : int
        That were made, those before a resume included.
    interrupted : bool
        Whether Ctrl-C ended it.
    stopped : bool
        Whether `patience` or a callback ended it.
    """

    model: Any
    best: Any
    best_epoch: int = 0
    history: History = field(default_factory=History)
    epochs: int = 0
    steps: int = 0
    interrupted: bool = False
    stopped: bool = False

    def __repr__(self) -> str:
        """What came of it in a line: models and histories would fill pages."""
        parts = [f"{self.epochs} epochs", f"{self.steps} steps"]
        parts += [f"{name} {line[-1]:.4g}" for name, line in self.history.items() if line]
        parts.append(f"best epoch {self.best_epoch}")
        ended = ("interrupted", self.interrupted), ("stopped", self.stopped)
        return f"<Fitted: {', '.join([*parts, *(name for name, is_so in ended if is_so)])}>"


@dataclass(frozen=True)
class Epoch:
    """What a callback sees after an epoch; ``model`` may be written to by later steps.

    Attributes
    ----------
    number : int
        From 1.
    steps : int
        Steps so far.
    model : tree
        The parameters now. Copy what is to be kept.
    history : dict of str to list of float
        As in `Fitted`, so far.
    """

    number: int
    steps: int
    model: Any
    history: Mapping[str, list[float]]
