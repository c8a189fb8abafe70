"""Averages of the parameters over the steps of training: flatter minima, less noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import TreeError
from thalweg.optim.base import cast, check_fraction, check_whole, fresh, match
from thalweg.tree import flatten, static, unflatten

__all__ = ["EMA", "Averaged", "Polyak"]


@dataclass(frozen=True)
class Averaged:
    """The average so far: a tree.

    Attributes
    ----------
    count : int64 array of shape ()
        Steps seen.
    params : tree
        The average, in the form of the parameters; what to predict with.
    """

    count: Any
    params: Any


class _Average(ABC):
    """average ← average + weight(t) · (params − average)."""

    def init(self, params: Any) -> Averaged:
        """Before the first step: a copy of the parameters, which the first update replaces."""
        leaves, structure = fresh(params)
        return Averaged(np.zeros((), np.int64), unflatten(structure, leaves))

    def update(self, averaged: Averaged, params: Any) -> Averaged:
        """The average with the parameters after one more step. Nothing is written to.

        Raises
        ------
        TreeError, ShapeError
            If they do not have the form of the average.
        """
        if not isinstance(averaged, Averaged):
            raise TreeError(
                f"{type(self).__name__}: the average comes from its init, and first in "
                f"update(averaged, params); got {type(averaged).__name__}"
            )
        leaves, structure = flatten(averaged.params)
        count = averaged.count + 1
        weight = self._weight(count)
        new = [
            a + cast(weight, a) * (p - a)
            for a, p in zip(leaves, match(params, structure, leaves, "the parameters"), strict=True)
        ]
        return Averaged(count, unflatten(structure, new))

    @abstractmethod
    def _weight(self, count: Any) -> Any:
        """The weight of the newest parameters; `count` is 1 at the first."""


@dataclass(frozen=True)
class EMA(_Average):
    """The exponential moving average, corrected for its start: weights decay^age, summing to 1.

    Parameters
    ----------
    decay : float
        In [0, 1); about 1 / (1 − decay) steps count.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> ema = tw.optim.EMA(0.5)
    >>> averaged = ema.init(np.array(0.0))
    >>> for w in (np.array(1.0), np.array(4.0)):
    ...     averaged = ema.update(averaged, w)
    >>> round(float(averaged.params), 12)  # (4 + 0.5 · 1) / 1.5
    3.0
    """

    decay: float = static(default=0.999)

    def __post_init__(self) -> None:
        check_fraction("decay", self.decay)

    def _weight(self, count: Any) -> Any:
        return (1 - self.decay) / (1 - self.decay**count)


@dataclass(frozen=True)
class Polyak(_Average):
    """The plain mean of the parameters of every so-many-th step after the first `start` ones.

    With every step: Polyak, Juditsky, Acceleration of stochastic approximation by averaging (1992);
    with one an epoch: stochastic weight averaging, Izmailov et al. (UAI 2018).

    Parameters
    ----------
    start : int
        Steps that are not averaged; up to there the average is the newest parameters.
    every : int
        Which of the steps after them count: each, every second, …
    """

    start: int = static(default=0)
    every: int = static(default=1)

    def __post_init__(self) -> None:
        check_whole("start", self.start, zero=True)
        check_whole("every", self.every)

    def _weight(self, count: Any) -> Any:
        taken = (count - self.start) / self.every
        whole = np.equal(taken, np.floor(taken))
        later = np.where(whole, 1 / np.maximum(taken, 1.0), 0.0)
        return np.where(taken < 1, 1.0, later)
