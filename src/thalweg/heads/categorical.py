"""Discrete targets: categorical (Multinoulli) distribution, softmax, cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, ShapeError, UserError
from thalweg.heads.distribution import Distribution, in_shape, matching, within
from thalweg.heads.head import Head
from thalweg.scipy.special import log_softmax, softmax
from thalweg.tree import static

__all__ = ["Categorical", "CategoricalDistribution"]


@dataclass(frozen=True)
class CategoricalDistribution(Distribution):
    """A class number 0, …, K − 1 with probabilities softmax(logits).

    `mean`, `variance`, `cdf` and `quantile` are of the class number: they have a meaning where
    the classes have an order.

    Parameters
    ----------
    logits : array
        Unnormalised log-probabilities, of shape batch + event + (K,).
    """

    logits: Any
    discrete: ClassVar[bool] = True

    @property
    def _shape(self) -> tuple[int, ...]:
        return np.shape(self.logits)[:-1]

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return np.shape(self.logits)[-1]

    @property
    def log_probabilities(self) -> Any:
        """log p of every class, of shape batch + event + (K,)."""
        return log_softmax(self.logits, axis=-1)

    @property
    def probabilities(self) -> Any:
        """p of every class, of shape batch + event + (K,)."""
        return softmax(self.logits, axis=-1)

    def log_prob(self, x: Any) -> Any:
        """log p of classes, which are integers; for soft targets see `cross_entropy`.

        Raises
        ------
        DtypeError
            For floating numbers.
        UserError
            For numbers that are no class.
        """
        x = self._argument(x, "log_prob")
        if x.dtype.kind not in "iu":
            raise DtypeError(
                f"CategoricalDistribution.log_prob: class numbers are integers, got {x.dtype}.\n"
                "  Write y.astype(int); for one-hot or soft targets use cross_entropy(y)."
            )
        within(
            (x < 0) | (x >= self.n_classes),
            f"CategoricalDistribution.log_prob: classes are 0, …, {self.n_classes - 1}",
        )
        logs = self.log_probabilities
        if x.ndim == 0:
            return self._per_event(logs[..., x])
        if x.ndim > len(self._shape):
            logs = np.broadcast_to(logs, (*x.shape, self.n_classes))
        return self._per_event(np.take_along_axis(logs, x[..., None], axis=-1)[..., 0])

    def cross_entropy(self, targets: Any) -> Any:
        """−Σ t log p for one-hot or soft targets of shape batch + event + (K,).

        Raises
        ------
        ShapeError
            For any other shape.
        UserError
            For negative targets.
        """
        where, shape = "CategoricalDistribution.cross_entropy", (*self._shape, self.n_classes)
        t = matching(targets, shape, where)
        if t.ndim == 0:
            raise ShapeError(f"{where}: targets are one weight a class, of shape {shape}; got one")
        within(t < 0, f"{where}: targets are probabilities, not below 0")
        # A class with logit −inf costs nothing where its target is 0: 0 · inf is not asked for.
        logs = np.where(np.equal(t, 0), 0.0, self.log_probabilities)
        return self._per_event(-np.sum(t * logs, axis=-1))

    @property
    def _numbers(self) -> Any:
        return np.arange(self.n_classes, dtype=self.logits.dtype)

    @property
    def mean(self) -> Any:
        """Mean class number."""
        return np.sum(self.probabilities * self._numbers, axis=-1)

    @property
    def mode(self) -> Any:
        """The most probable class, an integer; the first of several."""
        return np.argmax(self.logits, axis=-1)

    @property
    def variance(self) -> Any:
        """Variance of the class number."""
        deviation = self._numbers - self.mean[..., None]
        return np.sum(self.probabilities * deviation * deviation, axis=-1)

    def entropy(self) -> Any:
        """−Σ p log p."""
        p, logs = self.probabilities, self.log_probabilities
        return self._per_event(-np.sum(p * np.where(p > 0, logs, 0.0), axis=-1))

    def cdf(self, x: Any) -> Any:
        """Probability of a class number ≤ `x`."""
        x = self._argument(x, "cdf")
        at = np.equal(np.floor(x)[..., None], self._numbers[:-1])
        inside = np.sum(np.where(at, self._cumulative, 0.0), axis=-1)
        found = np.where(x >= self.n_classes - 1, 1.0, inside)
        return np.where(np.isnan(x), np.nan, found)

    @property
    def _cumulative(self) -> Any:
        """Probabilities of a class number ≤ k, for all but the last; rounding does not pass 1."""
        return np.minimum(np.cumsum(self.probabilities, axis=-1)[..., :-1], 1.0)

    def _quantile(self, q: Any) -> Any:
        within(np.isnan(q), "CategoricalDistribution.quantile: a level is NaN, and no class")
        cumulative = self._cumulative
        within(np.isnan(cumulative), "CategoricalDistribution.quantile: a logit is NaN")
        return np.sum(cumulative < q[..., None], axis=-1)

    def _sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        # The largest of log p + Gumbel noise is at a class with its probability.
        noise = rng.gumbel(size=(*shape, self.n_classes))
        return np.argmax(in_shape(self.logits, noise.shape) + noise, axis=-1)


@dataclass(frozen=True)
class Categorical(Head):
    """Discrete targets, class numbers 0, …, K − 1: the features are logits, the layer softmax.

    The gradient of the summed cost at the logits is softmax(z) − onehot(y).

    Parameters
    ----------
    n_classes : int
        K ≥ 2.
    event : tuple of int
        Shape of one target: several independent class numbers.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.heads import Categorical
    >>> head = Categorical(3)
    >>> z = np.array([[1.0, 2.0, 3.0]])
    >>> head(z).probabilities.round(3)
    array([[0.09 , 0.245, 0.665]])
    >>> tw.grad(lambda z: np.sum(head(z).nll(np.array([2]))))(z).round(3)
    array([[ 0.09 ,  0.245, -0.335]])
    """

    n_classes: int = static()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.n_classes, (int, np.integer)) or self.n_classes < 2:
            raise UserError(f"Categorical: n_classes is an integer ≥ 2, got {self.n_classes!r}")
        object.__setattr__(self, "n_classes", int(self.n_classes))

    @property
    def n_features(self) -> int:
        """One logit a class (and number of the event)."""
        return self.size * self.n_classes

    def __call__(self, features: Any) -> CategoricalDistribution:
        """The distributions with these logits."""
        logits = self._part(self._features(features), 0, (*self.event, self.n_classes))
        return CategoricalDistribution(logits, event_ndim=len(self.event))

    def cost(self, features: Any, y: Any) -> Any:
        """Cross-entropy a row; `y` holds class numbers, or probabilities of every class."""
        y = y if isinstance(y, Array) else np.asarray(y)
        p = self(features)
        # One-hot targets may be integers; in a batch their shape tells them from class numbers.
        one_hot = p.batch_shape and y.shape == (*p.batch_shape, *self.event, self.n_classes)
        return p.cross_entropy(y) if one_hot or y.dtype.kind == "f" else p.nll(y)
