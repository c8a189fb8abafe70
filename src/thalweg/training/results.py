"""What a training gives, and what a callback sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Epoch", "Fitted"]


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
    history : dict of str to list of float
        One number an epoch: ``"loss"`` (mean over the rows while training), ``"validation"``, each
        metric of `metrics=`, and each that the loss returned: ``"accuracy"`` while training,
        ``"validation_accuracy"`` on the validation data.
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
    history: dict[str, list[float]] = field(default_factory=dict)
    epochs: int = 0
    steps: int = 0
    interrupted: bool = False
    stopped: bool = False


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
