"""Families made of one standard density by a location and a scale."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from thalweg.errors import ShapeError, UserError
from thalweg.heads.distribution import Distribution, not_negative
from thalweg.heads.head import Head, scale_of
from thalweg.tree import static

__all__ = ["LocationScaleDistribution", "LocationScaleHead", "positive"]


@dataclass(frozen=True)
class LocationScaleDistribution(Distribution):
    """loc + scale · t, with t of the family's standard density: symmetric, one mode.

    Parameters
    ----------
    loc, scale : array
        Of shape batch + event both.
    """

    loc: Any
    scale: Any

    def _check(self) -> None:
        if np.shape(self.loc) != np.shape(self.scale):
            raise ShapeError(
                f"{type(self).__name__}: loc has shape {np.shape(self.loc)}, scale "
                f"{np.shape(self.scale)}; both are batch + event.\n"
                "  For one scale for all write np.full_like(loc, scale)."
            )
        not_negative(self, scale=self.scale)
        super()._check()

    @property
    def _shape(self) -> tuple[int, ...]:
        return np.shape(self.loc)

    def _standard(self, x: Any, name: str) -> Any:
        return (self._argument(x, name) - self.loc) / self.scale

    @abstractmethod
    def _log_density(self, t: Any) -> Any:
        """Logarithm of the standard density."""

    @abstractmethod
    def _cumulative(self, t: Any) -> Any:
        """Cumulative probability of the standard density."""

    @abstractmethod
    def _standard_quantile(self, q: Any) -> Any:
        """Quantiles of the standard density."""

    @abstractmethod
    def _standard_entropy(self) -> Any:
        """Entropy of the standard density."""

    @abstractmethod
    def _draws(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Draws from the standard density."""

    def log_prob(self, x: Any) -> Any:
        """Logarithm of the density."""
        t = self._standard(x, "log_prob")
        return self._per_event(self._log_density(t) - np.log(self.scale))

    @property
    def mean(self) -> Any:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Any:
        """loc."""
        return self.loc

    def entropy(self) -> Any:
        """That of the standard density + log scale."""
        return self._per_event(self._standard_entropy() + np.log(self.scale))

    def cdf(self, x: Any) -> Any:
        """Probability of a value ≤ `x`."""
        return self._cumulative(self._standard(x, "cdf"))

    def _quantile(self, q: Any) -> Any:
        # In float64: a level near 1 has few digits in float32, and would become 1.
        t = self._standard_quantile(q.astype(np.float64))
        return self.loc + self.scale * t.astype(self.scale.dtype)

    def _sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        draws = self.loc + self.scale * self._draws(rng, shape)
        return draws.astype(np.result_type(self.loc, self.scale))


@dataclass(frozen=True)
class LocationScaleHead(Head):
    """Locations by a linear layer, scales by softplus of as many further features.

    Parameters
    ----------
    min_scale : float
        The scale's floor: without one, a row that is hit exactly has an unbounded likelihood.
    event : tuple of int
        Shape of one target.
    """

    _: KW_ONLY
    min_scale: float = static(default=1e-6)

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "min_scale", zero=True)

    @property
    def n_features(self) -> int:
        """A location and a raw scale a number of the event."""
        return 2 * self.size

    def _loc_and_scale(self, x: Any) -> tuple[Any, Any]:
        raw = self._part(x, self.size, self.event)
        return self._part(x, 0, self.event), scale_of(raw, self.min_scale)


def positive(head: Head, name: str, zero: bool = False) -> None:
    """Make a setting of a head a float, and refuse what is not positive (or 0).

    Raises
    ------
    UserError
        With the name and the value.
    """
    value = getattr(head, name)
    number = isinstance(value, (int, float, np.number)) and math.isfinite(value)
    if number and (value > 0 or (zero and value == 0)):
        object.__setattr__(head, name, float(value))
        return
    bound = "≥ 0" if zero else "> 0"
    raise UserError(f"{type(head).__name__}: {name} is a finite number {bound}, got {value!r}")
