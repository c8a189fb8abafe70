"""Binary targets: Bernoulli distribution, sigmoid, binary cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.heads.distribution import Distribution, in_shape, within
from thalweg.heads.head import Head
from thalweg.scipy.special import expit, log_expit

__all__ = ["Bernoulli", "BernoulliDistribution"]


@dataclass(frozen=True)
class BernoulliDistribution(Distribution):
    """0 or 1, with probability σ(logits) of a 1.

    Parameters
    ----------
    logits : array
        log p − log(1 − p), of shape batch + event.
    """

    logits: Any
    discrete: ClassVar[bool] = True

    @property
    def _shape(self) -> tuple[int, ...]:
        return np.shape(self.logits)

    @property
    def probability(self) -> Any:
        """Probability of a 1."""
        return expit(self.logits)

    def log_prob(self, x: Any) -> Any:
        """x log p + (1 − x) log(1 − p), also where p is 0 or 1.

        Targets between 0 and 1 are probabilities themselves: it is then the mean over bits that
        are 1 with them, minus a cross-entropy.

        Raises
        ------
        UserError
            For targets outside [0, 1], as −1.
        """
        x = self._argument(x, "log_prob")
        within((x < 0) | (x > 1), "BernoulliDistribution: targets are in [0, 1], not −1 or 2")
        x = x if x.dtype.kind == "f" else x.astype(self.logits.dtype)
        z = self.logits
        # An infinite logit costs nothing where its target agrees: 0 · inf is not asked for.
        one = np.where(np.equal(x, 0), 0.0, log_expit(z))
        zero = np.where(np.equal(x, 1), 0.0, log_expit(-z))
        return self._per_event(x * one + (1 - x) * zero)

    @property
    def mean(self) -> Any:
        """Probability of a 1."""
        return self.probability

    @property
    def mode(self) -> Any:
        """1 where it is more probable than 0."""
        z = self.logits
        return np.where(np.isnan(z), z, (z > 0).astype(z.dtype))

    @property
    def variance(self) -> Any:
        """p (1 − p)."""
        return expit(self.logits) * expit(-self.logits)

    def entropy(self) -> Any:
        """−p log p − (1 − p) log(1 − p)."""
        z, p, rest = self.logits, self.probability, expit(-self.logits)
        one = np.where(np.equal(p, 0), 0.0, log_expit(z))
        zero = np.where(np.equal(rest, 0), 0.0, log_expit(-z))
        return self._per_event(-p * one - rest * zero)

    def cdf(self, x: Any) -> Any:
        """0 below 0, 1 − p below 1, then 1."""
        x = self._argument(x, "cdf")
        found = np.where(x < 0, 0.0, np.where(x < 1, expit(-self.logits), 1.0))
        return np.where(np.isnan(x), np.nan, found)

    def _quantile(self, q: Any) -> Any:
        rest = expit(-self.logits)
        found = (q > rest).astype(rest.dtype)
        return np.where(np.isnan(q) | np.isnan(rest), np.nan, found)

    def _sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return (rng.random(shape) < in_shape(self.probability, shape)).astype(self.logits.dtype)


@dataclass(frozen=True)
class Bernoulli(Head):
    """Binary targets: the features are logits, the layer is the sigmoid.

    The gradient of the summed cost at the logits is σ(z) − y: the cost undoes the layer's
    saturation (Goodfellow et al., Deep Learning, 2016, §6.2.2.2).

    Parameters
    ----------
    event : tuple of int
        Shape of one target: several independent bits.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.heads import Bernoulli
    >>> head = Bernoulli()
    >>> y = np.array([1.0, 0.0])
    >>> tw.grad(lambda z: np.sum(head(z).nll(y)))(np.array([[0.0], [2.0]])).round(4)
    array([[-0.5   ],
           [ 0.8808]])
    """

    @property
    def n_features(self) -> int:
        """One logit a bit."""
        return self.size

    def __call__(self, features: Any) -> BernoulliDistribution:
        """The distributions with these logits."""
        x = self._features(features)
        return BernoulliDistribution(self._part(x, 0, self.event), event_ndim=len(self.event))
