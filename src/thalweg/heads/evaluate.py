"""How good predictive distributions are: scores, calibration.

Examples
--------
>>> import numpy as np
>>> from thalweg.heads import GaussianDistribution, evaluate
>>> rng = np.random.default_rng(0)
>>> p = GaussianDistribution(np.zeros(1000), np.ones(1000))
>>> y = rng.standard_normal(1000)
>>> round(evaluate.coverage(p, y, 0.9), 2), np.mean(evaluate.crps(p, y)).round(2)
(0.91, np.float64(0.55))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from thalweg.errors import ShapeError, UserError
from thalweg.heads.bernoulli import BernoulliDistribution
from thalweg.heads.distribution import Distribution, within
from thalweg.heads.gaussian import GaussianDistribution, MultivariateGaussianDistribution
from thalweg.heads.laplace import LaplaceDistribution
from thalweg.heads.mixture import MixtureDistribution
from thalweg.heads.student import StudentTDistribution, log_norm
from thalweg.random import generator

__all__ = ["ReliabilityCurve", "brier", "coverage", "crps", "msll", "nll", "pit", "reliability"]

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2PI = math.sqrt(2 * math.pi)


def nll(p: Distribution, y: Any) -> float:
    """Mean negative log-likelihood, in nats an event.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import GaussianDistribution, evaluate
    >>> p = GaussianDistribution(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    >>> round(evaluate.nll(p, np.array([0.5, -1.0])), 4)
    1.578
    """
    return float(np.mean(p.nll(y)))


def _gaussian_distance(m: Any, s: Any) -> Any:
    """E|X| for X ~ N(m, s²)."""
    t = m / s
    return 2 * s * np.exp(-0.5 * (t * t)) / _ROOT_2PI + m * (2 * ndtr(t) - 1)


def _crps_gaussian(p: GaussianDistribution, y: Any) -> Any:
    return _gaussian_distance(y - p.loc, p.scale) - p.scale / _ROOT_PI


def _crps_mixture(p: MixtureDistribution, y: Any) -> Any:
    axis = p._axis
    w = p._spread_weights
    first = np.sum(w * _gaussian_distance(p._each(y, "crps") - p.loc, p.scale), axis=axis)

    def pairs(a: Any) -> tuple[Any, Any]:
        return np.expand_dims(a, axis - 1), np.expand_dims(a, axis)

    (loc, other), (scale, other_scale), (weight, other_weight) = map(pairs, (p.loc, p.scale, w))
    apart = _gaussian_distance(loc - other, np.hypot(scale, other_scale))
    return first - 0.5 * np.sum(weight * other_weight * apart, axis=(axis - 1, axis))


def _crps_laplace(p: LaplaceDistribution, y: Any) -> Any:
    t = np.abs(y - p.loc) / p.scale
    return p.scale * (t + np.exp(-t) - 0.75)


def _crps_student(p: StudentTDistribution, y: Any) -> Any:
    within(np.asarray(p.df <= 1), "crps: a t distribution with df ≤ 1 has no mean, so no CRPS")
    t, df = (y - p.loc) / p.scale, p.df
    density = np.exp(p._log_density(t))
    # B(½, df − ½) / B(½, df/2)²
    constant = np.exp(log_norm(2 * df - 1) - 2 * log_norm(df)) * df / np.sqrt(2 * df - 1)
    spread = 2 * density * (df + t * t) / (df - 1) - 2 * np.sqrt(df) / (df - 1) * constant
    return p.scale * (t * (2 * p._cumulative(t) - 1) + spread)


def _crps_bernoulli(p: BernoulliDistribution, y: Any) -> Any:
    within((y < 0) | (y > 1) | ((y > 0) & (y < 1)), "crps: targets are bits, 0 or 1")
    return (p.probability - y) ** 2


def _crps_full(p: MultivariateGaussianDistribution, y: Any) -> Any:
    return _crps_gaussian(p.marginals, y)


_CRPS: dict[type[Distribution], Callable[[Any, Any], Any]] = {
    BernoulliDistribution: _crps_bernoulli,
    GaussianDistribution: _crps_gaussian,
    LaplaceDistribution: _crps_laplace,
    MixtureDistribution: _crps_mixture,
    MultivariateGaussianDistribution: _crps_full,
    StudentTDistribution: _crps_student,
}


def crps(p: Distribution, y: Any) -> Any:
    """Continuous ranked probability score ∫ (F(x) − [y ≤ x])² dx, in the units of `y`.

    A proper score; the absolute error of a prediction without spread. Closed forms (Gneiting and
    Raftery, 2007; mixtures: Grimit et al., 2006; t and Laplace: Jordan et al., 2019).

    Parameters
    ----------
    p : Distribution
        Gaussian, mixture of Gaussians, Laplace, Student's t or Bernoulli.
    y : array
        Of shape batch + event.

    Returns
    -------
    array
        One score a number of each event. It can be differentiated: a cost.

    Raises
    ------
    UserError
        For a distribution without a closed form here.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import GaussianDistribution, evaluate
    >>> p = GaussianDistribution(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    >>> evaluate.crps(p, np.array([0.5, -1.0])).round(4)
    array([0.3314, 1.2049])
    """
    score = _CRPS.get(type(p))
    if score is None:
        known = ", ".join(sorted(kind.__name__ for kind in _CRPS))
        raise UserError(f"crps: no closed form for {type(p).__name__}; there is one for {known}")
    return score(p, p._argument(y, "crps"))


def pit(p: Distribution, y: Any, rng: np.random.Generator | int | None = None) -> Any:
    """Probability integral transform F(y): uniform on [0, 1] where the distributions are right.

    For discrete distributions it is drawn between F(y − 1) and F(y), which needs `rng` (Czado et
    al., 2009).

    Raises
    ------
    UserError
        For a discrete distribution without `rng`.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import GaussianDistribution, evaluate
    >>> p = GaussianDistribution(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    >>> evaluate.pit(p, np.array([0.0, 3.0])).round(4)
    array([0.5   , 0.8413])
    """
    if not p.discrete:
        return p.cdf(y)
    if rng is None:
        raise UserError(f"pit: {type(p).__name__} is discrete, its PIT is randomised; give rng=")
    y = p._argument(y, "pit")
    low, high = p.cdf(y - 1.0), p.cdf(y)  # 0 − 1 of unsigned integers is not −1
    return low + generator(rng).random(np.shape(high)) * (high - low)


def coverage(p: Distribution, y: Any, level: float = 0.9) -> float:
    """Share of targets inside of the central interval of this level, ends included; nan for NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import GaussianDistribution, evaluate
    >>> p = GaussianDistribution(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    >>> evaluate.coverage(p, np.array([0.5, 9.0]), level=0.9)
    0.5
    """
    y = p._argument(y, "coverage")
    low, high = p.interval(level)
    broken = np.isnan(low) | np.isnan(high) | np.isnan(y)
    return float(np.mean(np.where(broken, np.nan, (low <= y) & (y <= high))))


def msll(p: Distribution, y: Any, train: Any) -> float:
    """Mean standardised log loss: the NLL less that of one Gaussian fitted to the training targets.

    Below 0 is better than that (Rasmussen and Williams, Gaussian Processes for Machine Learning,
    2006, §2.5).

    Raises
    ------
    UserError
        If the training targets do not vary.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import GaussianDistribution, evaluate
    >>> p = GaussianDistribution(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    >>> evaluate.msll(p, np.array([0.0, 1.0]), train=np.array([-3.0, 3.0])) < 0
    True
    """
    train = np.asarray(train, float)
    mean, std = np.mean(train, axis=0), np.std(train, axis=0)
    within(~(std > 0), "msll: the training targets do not vary, or are not finite")
    y = np.asarray(p._argument(y, "msll"), float)
    loc = np.broadcast_to(mean, y.shape)
    trivial = GaussianDistribution(loc, np.broadcast_to(std, y.shape), event_ndim=p.event_ndim)
    return float(np.mean(p.nll(y)) - np.mean(trivial.nll(y)))


def _classes(probabilities: Any, y: Any, where: str) -> tuple[Any, Any]:
    """Probabilities, (N,) or (N, K), and the N classes."""
    probabilities, y = np.asarray(probabilities), np.asarray(y)
    if probabilities.ndim not in (1, 2) or y.shape != probabilities.shape[:1] or not y.size:
        raise ShapeError(
            f"{where}: probabilities of shape (N,) or (N, K) and N classes, got "
            f"{probabilities.shape} and {y.shape}"
        )
    highest = 1 if probabilities.ndim == 1 else probabilities.shape[1] - 1
    within(~np.isin(y, np.arange(highest + 1)), f"{where}: classes are 0, …, {highest}")
    within(
        ~((probabilities >= 0) & (probabilities <= 1 + 1e-6)),
        f"{where}: probabilities are in [0, 1]; take .probabilities, not logits",
    )
    return probabilities, y.astype(int)


def brier(probabilities: Any, y: Any) -> float:
    """Brier score: mean squared distance between probabilities and outcomes.

    Parameters
    ----------
    probabilities : array
        Of class 1, (N,), or of every class, (N, K); then the squares are summed over the classes
        (Brier, 1950).
    y : array
        N classes.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import evaluate
    >>> round(evaluate.brier(np.array([0.9, 0.2]), np.array([1, 0])), 4)
    0.025
    """
    probabilities, y = _classes(probabilities, y, "brier")
    if probabilities.ndim == 1:
        return float(np.mean((probabilities - y) ** 2))
    onehot = np.eye(probabilities.shape[1])[y]
    return float(np.mean(np.sum((probabilities - onehot) ** 2, axis=1)))


@dataclass(frozen=True)
class ReliabilityCurve:
    """How often what was said to be probable came true, bin by bin.

    Attributes
    ----------
    confidence : ndarray
        Mean probability in each bin; nan where it is empty.
    frequency : ndarray
        Share that came true; nan where it is empty.
    count : ndarray
        How many there are.
    """

    confidence: np.ndarray[Any, Any]
    frequency: np.ndarray[Any, Any]
    count: np.ndarray[Any, Any]

    @property
    def ece(self) -> float:
        """Expected calibration error: |frequency − confidence|, weighted by count."""
        gaps = np.abs(self.frequency - self.confidence)[self.count > 0]
        return float(np.average(gaps, weights=self.count[self.count > 0]))


def reliability(probabilities: Any, y: Any, bins: int = 10) -> ReliabilityCurve:
    """Reliability curve, of bins of equal width (Guo et al., 2017).

    Parameters
    ----------
    probabilities : array
        Of class 1, (N,); or of every class, (N, K): then it is that of the most probable class,
        and true where it is the right one.
    y : array
        N classes.
    bins : int

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads.evaluate import reliability
    >>> curve = reliability(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 0]), bins=2)
    >>> curve.frequency, round(curve.ece, 3)
    (array([0. , 0.5]), 0.25)
    """
    if not isinstance(bins, (int, np.integer)) or bins < 1:
        raise UserError(f"reliability: bins is an integer ≥ 1, got {bins!r}")
    said, y = _classes(probabilities, y, "reliability")
    true = y
    if said.ndim == 2:
        true = np.argmax(said, axis=1) == y
        said = np.max(said, axis=1)
    place = np.minimum((said * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # an empty bin: nan is meant
        confidence = np.bincount(place, said, minlength=bins) / count
        frequency = np.bincount(place, true, minlength=bins) / count
    return ReliabilityCurve(confidence, frequency, count)
