"""Schedules: the learning rate as a function of the number of steps made so far.

Any function ``step -> rate`` is one. These are frozen dataclasses, and work on plain and traced
numbers: under `compile` the rate changes and the record stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.optim.base import check_fraction, check_positive, check_rate

__all__ = ["Constant", "Cosine", "Exponential", "OneCycle", "Steps", "WarmUp"]


@dataclass(frozen=True)
class Constant:
    """The same rate always."""

    rate: float

    def __post_init__(self) -> None:
        check_rate(self.rate)

    def __call__(self, step: Any) -> Any:
        return self.rate


@dataclass(frozen=True)
class Steps:
    """rate · factor^⌊step / every⌋.

    Examples
    --------
    >>> import thalweg as tw
    >>> rate = tw.optim.Steps(0.1, every=10, factor=0.5)
    >>> float(rate(9)), float(rate(10)), float(rate(25))
    (0.1, 0.05, 0.025)
    """

    rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check_positive("every", self.every)
        check_positive("factor", self.factor)

    def __call__(self, step: Any) -> Any:
        return self.rate * self.factor ** np.floor(step / self.every)


@dataclass(frozen=True)
class Exponential:
    """rate · factor^(step / every).

    Examples
    --------
    >>> import thalweg as tw
    >>> rate = tw.optim.Exponential(0.1, 0.5, every=10)
    >>> [round(float(rate(i)), 4) for i in (0, 5, 10, 20)]
    [0.1, 0.0707, 0.05, 0.025]
    """

    rate: float
    factor: float
    every: int = 1

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check_positive("every", self.every)
        check_positive("factor", self.factor)

    def __call__(self, step: Any) -> Any:
        return self.rate * self.factor ** (step / self.every)


def _cosine(begin: float, end: float, part: Any) -> Any:
    """From `begin` at part ≤ 0 to `end` at part ≥ 1, along half a cosine."""
    part = np.clip(part, 0.0, 1.0)
    return end + (begin - end) * (0.5 + 0.5 * np.cos(np.pi * part))


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from rate down to final in so many steps, then final.

    Source: Loshchilov, Hutter, SGDR: stochastic gradient descent with warm restarts (ICLR 2017),
    without the restarts.

    Examples
    --------
    >>> import thalweg as tw
    >>> rate = tw.optim.Cosine(0.1, 100)
    >>> [round(float(rate(i)), 4) for i in (0, 50, 100, 200)]
    [0.1, 0.05, 0.0, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check_positive("steps", self.steps)
        check_positive("final", self.final, zero=True)

    def __call__(self, step: Any) -> Any:
        return _cosine(self.rate, self.final, step / self.steps)


@dataclass(frozen=True)
class OneCycle:
    """Up from rate / begin to rate in the first part of the steps, then down to rate / end.

    Source: Smith, Topin, Super-convergence (2019); both ways along half a cosine.

    Parameters
    ----------
    rate : float
        The highest.
    steps : int
        Length of the cycle; after it the rate stays at rate / end.
    up : float
        The part of the steps in which it rises, in (0, 1).
    begin, end : float
        By how much the first and the last rate are smaller.

    Examples
    --------
    >>> import thalweg as tw
    >>> rate = tw.optim.OneCycle(0.1, 100)
    >>> [round(float(rate(i)), 4) for i in (0, 15, 30, 65, 100)]
    [0.004, 0.052, 0.1, 0.05, 0.0]
    """

    rate: float
    steps: int
    up: float = 0.3
    begin: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check_positive("steps", self.steps)
        check_positive("up", self.up)
        check_fraction("up", self.up)
        check_positive("begin", self.begin)
        check_positive("end", self.end)

    def __call__(self, step: Any) -> Any:
        part = step / self.steps
        rise = _cosine(self.rate / self.begin, self.rate, part / self.up)
        fall = _cosine(self.rate, self.rate / self.end, (part - self.up) / (1 - self.up))
        return np.where(part < self.up, rise, fall)


@dataclass(frozen=True)
class WarmUp:
    """A straight rise over the first steps, then another schedule, counted from its own 0.

    Parameters
    ----------
    rate : float or callable
        What follows. The rise goes from rate(0) / steps up to rate(0), at step `steps` − 1.
    steps : int
        Length of the rise.

    Examples
    --------
    >>> import thalweg as tw
    >>> rate = tw.optim.WarmUp(tw.optim.Cosine(0.1, 100), 4)
    >>> [round(float(rate(i)), 4) for i in (0, 1, 3, 4, 54, 104)]
    [0.025, 0.05, 0.1, 0.1, 0.05, 0.0]
    """

    rate: Any
    steps: int

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check_positive("steps", self.steps)

    def __call__(self, step: Any) -> Any:
        after = np.maximum(step - self.steps, 0)
        rate = self.rate(after) if callable(self.rate) else self.rate
        return rate * np.minimum((step + 1) / self.steps, 1.0)
