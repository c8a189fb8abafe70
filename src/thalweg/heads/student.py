"""Targets with heavy tails: Student's t distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from thalweg.array import Array
from thalweg.errors import ShapeError
from thalweg.heads.distribution import in_shape, outside_of_traces, within
from thalweg.heads.head import scale_of
from thalweg.heads.location_scale import LocationScaleDistribution, LocationScaleHead, positive
from thalweg.scipy.special import betaln, psi, stdtr
from thalweg.tree import static

__all__ = ["StudentT", "StudentTDistribution", "log_norm"]

#: Above, differences of log Γ and ψ cancel; below, their expansions are not exact to rounding.
_LARGE_DF = 100.0
#: From here on log1p(u²) is 2 log u to the last digit, and u² is not far from overflow.
_FAR = 1e9
_LOWEST_DF = 1.0
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class StudentTDistribution(LocationScaleDistribution):
    """Density ∝ (1 + t²/df)^(−(df + 1)/2) with t = (x − loc)/scale.

    Parameters
    ----------
    loc, scale : array
        Of shape batch + event.
    df : float or array
        Degrees of freedom, > 0. Mean and variance are nan or inf where they do not exist.
    """

    df: Any = 5.0

    def __post_init__(self) -> None:
        if isinstance(self.df, (int, float)):
            loc = self.loc if hasattr(self.loc, "dtype") else np.asarray(self.loc)
            dtype = loc.dtype if loc.dtype.kind == "f" else np.float64
            object.__setattr__(self, "df", np.asarray(self.df, dtype))
        super().__post_init__()

    def _check(self) -> None:
        super()._check()
        df, shape = np.shape(self.df), np.shape(self.loc)
        if df and df != shape:
            raise ShapeError(f"StudentTDistribution: df has shape {df}; it is () or {shape}")
        if not isinstance(self.df, Array):
            within(self.df <= 0, "StudentTDistribution: df must be positive")

    def _log_density(self, t: Any) -> Any:
        df = self.df
        u = t / np.sqrt(df)
        far = np.abs(u) > _FAR
        near = np.where(far, 0.0, u)  # with its sign: |u| would take the curvature away at 0
        log = np.where(far, 2 * np.log(np.where(far, np.abs(u), 1.0)), np.log1p(near * near))
        return -0.5 * (df + 1) * log - log_norm(df).astype(t.dtype)

    @property
    def mean(self) -> Any:
        """loc; nan for df ≤ 1."""
        return np.where(np.asarray(self.df > 1), self.loc, np.nan)

    @property
    def variance(self) -> Any:
        """scale² df/(df − 2); inf for df ≤ 2, nan for df ≤ 1."""
        heavy = self.df <= 2
        ratio = self.df / np.where(heavy, 1.0, self.df - 2)
        ratio = np.where(heavy, np.where(self.df <= 1, np.nan, np.inf), ratio)
        return (self.scale * self.scale * ratio).astype(self.scale.dtype)

    def _standard_entropy(self) -> Any:
        small, large = _parted(self.df)
        half = 0.5 * (small + 1)
        exact = half * (psi(half) - psi(0.5 * small))
        a = 0.5 * large
        v = (1 / a) ** 2
        slope = 0.5 / a + v * (1 / 8 - v * (1 / 64 - v / 128))
        entropy = np.where(self.df > _LARGE_DF, (a + 0.5) * slope, exact) + log_norm(self.df)
        return entropy.astype(self.scale.dtype)

    def _cumulative(self, t: Any) -> Any:
        return stdtr(self.df, t)

    def _standard_quantile(self, q: Any) -> Any:
        outside_of_traces(self, "quantile")
        inside = (q > 0) & (q < 1)  # at the ends older SciPy gives nan
        ends = np.where(np.isnan(q), np.nan, np.where(q > 0, np.inf, -np.inf))
        return np.where(inside, stdtrit(self.df, np.where(inside, q, 0.5)), ends)

    def _draws(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return rng.standard_t(in_shape(self.df, shape))


def _parted(df: Any) -> tuple[Any, Any]:
    """df where it is small and where it is large; elsewhere the bound."""
    return np.minimum(df, _LARGE_DF), np.maximum(df, _LARGE_DF)


def log_norm(df: Any) -> Any:
    """log B(df/2, ½) + ½ log df; for many degrees of freedom by Stirling's expansion."""
    small, large = _parted(df)
    exact = betaln(0.5 * small, 0.5) + 0.5 * np.log(small)
    a = 0.5 * large
    v = (1 / a) ** 2
    expanded = _HALF_LOG_2PI + (1 / 8 - v * (1 / 192 - v / 640)) / a
    return np.where(df > _LARGE_DF, expanded, exact)


@dataclass(frozen=True)
class StudentT(LocationScaleHead):
    """Continuous targets with heavy tails; the gradient of a far target falls off again.

    Parameters
    ----------
    df : float or "learned"
        Degrees of freedom; learned ones are further features, 1 + softplus of each.
    min_scale : float
        The scale's floor.
    event : tuple of int
        Shape of one target.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import StudentT
    >>> p = StudentT(4.0)(np.zeros((1, 2)))
    >>> p.nll(np.array([10.0])).round(3), p.variance.round(3)
    (array([9.126]), array([2.]))
    """

    df: float | str = static(default=5.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.df != "learned":
            positive(self, "df")

    @property
    def n_features(self) -> int:
        """A location and a raw scale a number of the event, and raw degrees of freedom."""
        return (3 if self.df == "learned" else 2) * self.size

    def __call__(self, features: Any) -> StudentTDistribution:
        """The distributions of raw locations, scales and, if learned, degrees of freedom."""
        x = self._features(features)
        loc, scale = self._loc_and_scale(x)
        if self.df == "learned":
            df = scale_of(self._part(x, 2 * self.size, self.event), _LOWEST_DF)
        else:
            df = np.asarray(self.df, loc.dtype)
        return StudentTDistribution(loc, scale, df, event_ndim=len(self.event))
