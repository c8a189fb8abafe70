"""What training a row gives; how its data are parted and scaled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.optim.base import Updating
from thalweg.rows.catalogue import Setting
from thalweg.training import Fitted, fit

__all__ = ["Outcome", "outcome", "parts", "standardised", "trained"]


@dataclass(frozen=True)
class Outcome:
    """A trained row.

    Attributes
    ----------
    history : dict of str to list of float
        Losses and metrics by epoch.
    metrics : dict
        Name → number, of data that were not trained on.
    draw, draw_curves : callable
        Matplotlib figures: of what the model says, and of the history.
    epochs : int
    best_epoch : int or None
        The one whose model is measured; None: the last.
    interrupted : bool
        Whether Ctrl-C ended the training.
    """

    history: Mapping[str, list[float]]
    metrics: dict[str, float]
    draw: Callable[[], Any]
    draw_curves: Callable[[], Any]
    epochs: int
    best_epoch: int | None = None
    interrupted: bool = False


def outcome(fitted: Fitted, metrics: dict[str, float], draw: Callable[[], Any]) -> Outcome:
    """Of what `thalweg.fit` gave, whose best model was measured."""
    return Outcome(
        fitted.history,
        metrics,
        draw,
        fitted.history.plot,
        fitted.epochs,
        fitted.best_epoch,
        fitted.interrupted,
    )


def trained(
    model: Any,
    loss: Callable[..., Any],
    data: tuple[Any, Any],
    setting: Setting,
    rule: Updating,
    *,
    patience: int,
    batch_size: int = 32,
) -> Fitted:
    """Train on the first of `data`, and stop where the loss on the second no longer falls."""
    return fit(
        model,
        loss,
        data[0],
        optimiser=rule,
        epochs=setting.epochs,
        batch_size=batch_size,
        seed=setting.seed,
        validation=data[1],
        patience=patience,
        progress=setting.progress,
    )


def parts(n: int, seed: int, *shares: float) -> list[np.ndarray[Any, Any]]:
    """Rows 0, …, n − 1 in random parts of these shares, the rest in the first part."""
    order = np.random.default_rng(seed).permutation(n)
    ends = np.cumsum([round(share * n) for share in shares])
    *others, first = np.split(order, ends)
    return [first, *others]


def standardised(x: Any, reference: Any) -> Any:
    """Mean 0 and standard deviation 1 over the reference's rows; constant columns are 0."""
    spread = np.std(reference, axis=0)
    return (x - np.mean(reference, axis=0)) / np.where(spread > 0, spread, 1.0)
