"""Continuous targets: Gaussian distribution, linear layer, Gaussian cross-entropy (MSE)."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from thalweg.api import detach
from thalweg.array import Array
from thalweg.errors import ShapeError, UserError
from thalweg.heads.distribution import Distribution
from thalweg.heads.head import scale_of
from thalweg.heads.location_scale import LocationScaleDistribution, LocationScaleHead, positive
from thalweg.scipy.linalg import solve_triangular
from thalweg.tree import static

__all__ = ["Gaussian", "GaussianDistribution", "MultivariateGaussianDistribution"]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_COVARIANCES = ("fixed", "isotropic", "diagonal", "full")


@dataclass(frozen=True)
class GaussianDistribution(LocationScaleDistribution):
    """Normal distributions, independent in the numbers of an event."""

    def _log_density(self, t: Any) -> Any:
        return -0.5 * (t * t) - _HALF_LOG_2PI

    @property
    def variance(self) -> Any:
        """scale²."""
        return self.scale * self.scale

    @property
    def std(self) -> Any:
        """scale."""
        return self.scale

    def _standard_entropy(self) -> Any:
        return 0.5 + _HALF_LOG_2PI

    def _cumulative(self, t: Any) -> Any:
        return ndtr(t)

    def _standard_quantile(self, q: Any) -> Any:
        return ndtri(q)

    def _draws(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return rng.standard_normal(shape)


@dataclass(frozen=True)
class MultivariateGaussianDistribution(Distribution):
    """Normal distribution of vectors with covariance L Lᵀ.

    Parameters
    ----------
    loc : array
        Means, of shape batch + (D,).
    cholesky : array
        L, lower triangular with a positive diagonal, of shape batch + (D, D).
    """

    loc: Any
    cholesky: Any
    _: KW_ONLY
    event_ndim: int = static(default=1)

    def _check(self) -> None:
        expected = (*np.shape(self.loc), *np.shape(self.loc)[-1:])
        if np.shape(self.cholesky) != expected:
            raise ShapeError(
                f"MultivariateGaussianDistribution: loc has shape {np.shape(self.loc)}, so "
                f"cholesky has {expected}, got {np.shape(self.cholesky)}"
            )
        if not isinstance(self.cholesky, Array):
            above = np.triu(self.cholesky, 1)
            below = np.diagonal(self.cholesky, axis1=-2, axis2=-1) < 0
            if np.any(above) or np.any(below):
                raise UserError(
                    "MultivariateGaussianDistribution: cholesky is lower triangular, its diagonal "
                    "positive.\n  Of a covariance it is np.linalg.cholesky(covariance)."
                )
        super()._check()

    @property
    def _shape(self) -> tuple[int, ...]:
        return np.shape(self.loc)

    @property
    def _log_det(self) -> Any:
        return np.sum(np.log(np.diagonal(self.cholesky, axis1=-2, axis2=-1)), axis=-1)

    def log_prob(self, x: Any) -> Any:
        """Logarithm of the density of vectors."""
        deviation = self._argument(x, "log_prob") - self.loc
        t = solve_triangular(self.cholesky, deviation[..., None], lower=True, check_finite=False)
        t = t[..., 0]
        return -0.5 * np.sum(t * t, axis=-1) - self._log_det - self.event_shape[0] * _HALF_LOG_2PI

    @property
    def mean(self) -> Any:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Any:
        """loc."""
        return self.loc

    @property
    def covariance(self) -> Any:
        """L Lᵀ, of shape batch + (D, D)."""
        return self.cholesky @ np.swapaxes(self.cholesky, -1, -2)

    @property
    def variance(self) -> Any:
        """The diagonal of L Lᵀ."""
        return np.sum(self.cholesky * self.cholesky, axis=-1)

    def entropy(self) -> Any:
        """D (1 + log 2π) / 2 + log det L."""
        return self.event_shape[0] * (0.5 + _HALF_LOG_2PI) + self._log_det

    @property
    def marginals(self) -> GaussianDistribution:
        """The distributions of the single numbers, taken as independent."""
        return GaussianDistribution(self.loc, self.std, event_ndim=1)

    def cdf(self, x: Any) -> Any:
        """Probability that each single number is ≤ that of `x`."""
        return self.marginals.cdf(x)

    def _quantile(self, q: Any) -> Any:
        return self.marginals._quantile(q)

    def _sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        draws = self.loc + (self.cholesky @ rng.standard_normal(shape)[..., None])[..., 0]
        return draws.astype(np.result_type(self.loc, self.cholesky))


@dataclass(frozen=True)
class Gaussian(LocationScaleHead):
    """Continuous targets: the mean is linear in the features.

    Parameters
    ----------
    covariance : {"diagonal", "isotropic", "full", "fixed"}
        Learned scales, one a number of the event (for an event of one number: its scale), or one
        for all of them; a full covariance by its Cholesky factor; or `scale` for all, with which
        the cost is the squared error, up to a constant and a factor.
    scale : float
        Of ``covariance="fixed"``.
    beta : float
        β-NLL: the cost of a number is weighted with its variance^β, held constant, so that rows
        with a large variance are not given up (Seitzer et al., On the Pitfalls of Heteroscedastic
        Uncertainty Estimation, ICLR 2022; they advise 0.5). At 1 the gradient at the mean is that
        of the squared error. It changes `cost` only: `nll` stays the likelihood.
    min_scale : float
        The scale's floor: variances stay above its square.
    event : tuple of int
        Shape of one target.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import Gaussian
    >>> head = Gaussian()
    >>> head.n_features
    2
    >>> p = head(np.array([[1.0, 0.0]]))
    >>> p.mean, p.std.round(4)
    (array([1.]), array([1.]))
    >>> np.round(p.interval(0.9), 3)
    array([[-0.645],
           [ 2.645]])
    >>> Gaussian(covariance="full", event=(3,)).n_features
    9
    """

    covariance: str = static(default="diagonal")
    _: KW_ONLY
    scale: float = static(default=1.0)
    beta: float = static(default=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "scale")
        positive(self, "beta", zero=True)
        if self.covariance not in _COVARIANCES:
            raise UserError(
                f"Gaussian: covariance is one of {_COVARIANCES}, not {self.covariance!r}"
            )
        if self.covariance == "full" and len(self.event) != 1:
            raise UserError("Gaussian: a full covariance needs vectors, event=(D,)")
        if self.beta and self.covariance in ("full", "fixed"):
            raise UserError(f"Gaussian: beta weights learned scales; {self.covariance} has none")

    @property
    def n_features(self) -> int:
        """Means, and raw scales (or raw entries of the Cholesky factor, row by row)."""
        d = self.size
        return d + {"fixed": 0, "isotropic": 1, "diagonal": d, "full": d * (d + 1) // 2}[
            self.covariance
        ]  # fmt: skip

    def __call__(self, features: Any) -> GaussianDistribution | MultivariateGaussianDistribution:
        """The distributions of raw means and scales."""
        x = self._features(features)
        loc = self._part(x, 0, self.event)
        if self.covariance == "full":
            return MultivariateGaussianDistribution(loc, self._factor(x))
        if self.covariance == "fixed":
            scale = np.full(loc.shape, self.scale, loc.dtype)
        elif self.covariance == "isotropic":
            one = scale_of(self._part(x, self.size, (1,) * len(self.event)), self.min_scale)
            scale = np.broadcast_to(one, loc.shape)
        else:
            loc, scale = self._loc_and_scale(x)
        return GaussianDistribution(loc, scale, event_ndim=len(self.event))

    def _factor(self, x: Any) -> Any:
        """The lower triangle from its packed rows; scales on the diagonal."""
        (d,) = self.event
        raw = self._part(x, d, (d * (d + 1) // 2,))
        row, column = np.tril_indices(d)
        place = np.zeros((d, d), int)
        place[row, column] = np.arange(len(row))
        entries = raw[..., place]
        scales = scale_of(raw[..., np.diagonal(place)], self.min_scale)
        diagonal = scales[..., None] * np.eye(d, dtype=x.dtype)
        return np.tril(entries, -1) + diagonal

    def cost(self, features: Any, y: Any) -> Any:
        """Negative log-likelihood a row; with `beta`, weighted."""
        p = self(features)
        if not self.beta or not isinstance(p, GaussianDistribution):
            return p.nll(y)
        single = GaussianDistribution(p.loc, p.scale)
        return p._per_event(detach(p.scale ** (2 * self.beta)) * single.nll(y))
