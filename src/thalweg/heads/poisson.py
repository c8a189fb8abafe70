"""Counts: Poisson distribution, exponential layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtri, pdtr, pdtrik

from thalweg.heads.distribution import Distribution, in_shape, outside_of_traces, within
from thalweg.heads.head import Head
from thalweg.scipy.special import gammaincc, gammaln

__all__ = ["Poisson", "PoissonDistribution"]

#: From this rate on the entropy's expansion is exact to rounding.
_LARGE = 1000.0
_LARGEST = 9.2e18  # that NumPy draws with


@dataclass(frozen=True)
class PoissonDistribution(Distribution):
    """A count 0, 1, 2, … with mean e^log_rate.

    Parameters
    ----------
    log_rate : array
        Of shape batch + event.
    """

    log_rate: Any
    discrete: ClassVar[bool] = True

    @property
    def _shape(self) -> tuple[int, ...]:
        return np.shape(self.log_rate)

    @property
    def rate(self) -> Any:
        """Mean and variance."""
        return np.exp(self.log_rate)

    def log_prob(self, x: Any) -> Any:
        """x log λ − λ − log x!.

        Raises
        ------
        UserError
            For negative or broken numbers, which are no counts.
        """
        x = self._argument(x, "log_prob")
        x = x if x.dtype.kind == "f" else x.astype(self.log_rate.dtype)
        broken = (x < 0) | (x > np.floor(x)) | np.isinf(x)
        within(broken, "PoissonDistribution: targets are counts 0, 1, 2, …")
        log = np.where(np.equal(x, 0), 0.0, self.log_rate)  # a rate of 0: 0 · inf is not asked for
        return self._per_event(x * log - self.rate - gammaln(x + 1))

    @property
    def mean(self) -> Any:
        """The rate."""
        return self.rate

    @property
    def mode(self) -> Any:
        """The rate, rounded down."""
        return np.floor(self.rate)

    @property
    def variance(self) -> Any:
        """The rate."""
        return self.rate

    def entropy(self) -> Any:
        """−Σ p log p: summed up to a rate of 1000, then by its asymptotic expansion.

        Raises
        ------
        TracingError
            In a trace.
        """
        outside_of_traces(self, "entropy")
        rate, log = (np.asarray(x, np.float64) for x in (self.rate, self.log_rate))
        values = np.full(rate.shape, np.nan)
        large, small = rate > _LARGE, rate <= _LARGE
        inverse = 1 / rate[large]
        values[large] = 0.5 * np.log(2 * np.pi * np.e * rate[large]) - inverse * (
            1 / 12 + inverse * (1 / 24 + inverse * 19 / 360)
        )
        values[small] = _summed_entropy(rate[small], log[small])
        return self._per_event(values.astype(self.log_rate.dtype)[()])

    def cdf(self, x: Any) -> Any:
        """Probability of a count ≤ `x`."""
        x = np.floor(self._argument(x, "cdf"))
        below = x < 0
        rate = self.rate
        count = np.where(below, 0.0, x).astype(rate.dtype)
        return np.where(below, 0.0, gammaincc(count + 1, rate))

    def _quantile(self, q: Any) -> Any:
        outside_of_traces(self, "quantile")
        rate = self.rate
        inside = (q > 0) & (q < 1)  # at the ends older SciPy gives nan
        level = np.where(inside, q, 0.5)
        count = np.ceil(_inverse(level, rate))
        count = np.where(inside, count, np.where(q > 0, np.inf, 0.0 * q))
        less = np.maximum(count - 1, 0)  # the inverse may end just beside the whole number
        more = np.where(inside & (pdtr(count, rate) < q), count + 1, count)
        return np.where(pdtr(less, rate) >= q, less, more).astype(rate.dtype)

    def _sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        within(self.rate > _LARGEST, "PoissonDistribution.sample: a rate above 9.2e18, no int64")
        return rng.poisson(in_shape(self.rate, shape))


def _inverse(q: Any, rate: Any) -> Any:
    """The number at which the distribution function, made continuous, is q."""
    count = pdtrik(q, rate)
    # From rates of about 2e10 on SciPy's is NaN; there Cornish and Fisher's expansion is exact to
    # 1e-4 of a count.
    z = ndtri(q)
    expanded = rate + z * np.sqrt(rate) + (z * z - 1) / 6 - 0.5
    return np.where(np.isnan(count) & (rate > 1), expanded, count)


def _summed_entropy(rate: np.ndarray[Any, Any], log: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """−Σ p log p of a vector of rates, over the counts whose probability is above rounding."""
    if rate.size == 0:
        return rate
    highest = float(np.max(rate))
    total = np.zeros_like(rate)
    for count in range(int(highest + 12 * np.sqrt(highest)) + 40):
        logs = (count * log if count else 0.0) - rate - gammaln(count + 1.0)
        total -= np.exp(logs) * np.maximum(logs, -800.0)  # of probability 0: 0 · inf is 0
    return total


@dataclass(frozen=True)
class Poisson(Head):
    """Counts: the features are log-rates, the layer is the exponential.

    The gradient of the summed cost at the log-rates is λ − y. A log-rate above 709 (88 in
    float32) overflows: scale the features, or clip them.

    Parameters
    ----------
    event : tuple of int
        Shape of one target: several independent counts.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.heads import Poisson
    >>> head = Poisson()
    >>> tw.grad(lambda z: np.sum(head(z).nll(np.array([3]))))(np.array([[np.log(2.0)]]))
    array([[-1.]])
    """

    @property
    def n_features(self) -> int:
        """One log-rate a count."""
        return self.size

    def __call__(self, features: Any) -> PoissonDistribution:
        """The distributions with these log-rates."""
        x = self._features(features)
        return PoissonDistribution(self._part(x, 0, self.event), event_ndim=len(self.event))
