"""Targets with outliers: Laplace distribution; the cost is the absolute error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.heads.location_scale import LocationScaleDistribution, LocationScaleHead

__all__ = ["Laplace", "LaplaceDistribution"]


@dataclass(frozen=True)
class LaplaceDistribution(LocationScaleDistribution):
    """Density e^(−|x − loc| / scale) / (2 scale)."""

    def _log_density(self, t: Any) -> Any:
        return -np.abs(t) - math.log(2)

    @property
    def variance(self) -> Any:
        """2 scale²."""
        return 2 * self.scale * self.scale

    def _standard_entropy(self) -> Any:
        return 1 + math.log(2)

    def _cumulative(self, t: Any) -> Any:
        # Each half by itself: |t| has no slope at 0, where the density is highest.
        below, above = np.where(t < 0, t, 0.0), np.where(t < 0, 0.0, t)
        return np.where(t < 0, 0.5 * np.exp(below), 1 - 0.5 * np.exp(-above))

    def _standard_quantile(self, q: Any) -> Any:
        with np.errstate(divide="ignore"):  # at the ends: ∓∞ is meant
            return np.where(q < 0.5, np.log(2 * q), -math.log(2) - np.log1p(-q))

    def _draws(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return rng.laplace(size=shape)


@dataclass(frozen=True)
class Laplace(LocationScaleHead):
    """Continuous targets with outliers: the location is a conditional median.

    The gradient of the cost at the location is ∓1/scale, however far off the target is.

    Parameters
    ----------
    min_scale : float
        The scale's floor.
    event : tuple of int
        Shape of one target.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import Laplace
    >>> Laplace()(np.zeros((1, 2))).nll(np.array([3.0])).round(3)
    array([3.693])
    """

    def __call__(self, features: Any) -> LaplaceDistribution:
        """The distributions of raw locations and scales."""
        loc, scale = self._loc_and_scale(self._features(features))
        return LaplaceDistribution(loc, scale, event_ndim=len(self.event))
