"""Continuous targets with several branches: mixture of Gaussians, mixture density network."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from thalweg.array import Array
from thalweg.errors import ShapeError, UserError
from thalweg.heads._clusters import k_means
from thalweg.heads.distribution import Distribution, matching, not_negative, outside_of_traces
from thalweg.heads.gaussian import GaussianDistribution
from thalweg.heads.head import raw_of_scale, scale_of
from thalweg.heads.location_scale import LocationScaleHead
from thalweg.random import generator
from thalweg.scipy.special import log_softmax, logsumexp, softmax
from thalweg.tree import static

__all__ = ["MixtureDensity", "MixtureDistribution"]

#: Entropy: Gauss–Legendre nodes on pieces between breakpoints at whole scales of every component.
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(20)
_REACH = np.arange(-10.0, 10.5, 0.5)
_BLOCK = 1 << 20  # numbers worked on at once


@dataclass(frozen=True)
class MixtureDistribution(Distribution):
    """Σ wₖ N(locₖ, scaleₖ²): within a component the numbers of an event are independent.

    Parameters
    ----------
    logits : array
        Unnormalised log-weights, of shape batch + (K,).
    loc, scale : array
        Of the components, of shape batch + (K,) + event.
    """

    logits: Any
    loc: Any
    scale: Any

    def _check(self) -> None:
        logits, loc, scale = np.shape(self.logits), np.shape(self.loc), np.shape(self.scale)
        ends = len(loc) - self.event_ndim
        if loc != scale or loc[:ends] != logits or not logits:
            raise ShapeError(
                f"MixtureDistribution: logits {logits}, loc {loc}, scale {scale}; they are "
                f"batch + (K,), and batch + (K,) + event twice, with event_ndim={self.event_ndim}"
            )
        not_negative(self, scale=self.scale)
        super()._check()

    @property
    def _shape(self) -> tuple[int, ...]:
        loc, batch = np.shape(self.loc), np.shape(self.logits)[:-1]
        return batch + loc[len(batch) + 1 :]

    @property
    def n_components(self) -> int:
        """K."""
        return np.shape(self.logits)[-1]

    @property
    def weights(self) -> Any:
        """Probabilities of the components, of shape batch + (K,)."""
        return softmax(self.logits, axis=-1)

    @property
    def log_weights(self) -> Any:
        """Logarithms of the weights, of shape batch + (K,)."""
        return log_softmax(self.logits, axis=-1)

    @property
    def components(self) -> GaussianDistribution:
        """The components as Gaussian distributions of shape batch + (K,) + event."""
        return GaussianDistribution(self.loc, self.scale, event_ndim=self.event_ndim)

    @property
    def _axis(self) -> int:
        """Where the components are, counted from the end."""
        return -1 - self.event_ndim

    @property
    def _spread_weights(self) -> Any:
        w = self.weights
        return np.reshape(w, np.shape(w) + (1,) * self.event_ndim)

    def _each(self, x: Any, name: str) -> Any:
        """`x` with an axis for the components."""
        x = self._argument(x, name)
        return np.expand_dims(x, self._axis) if x.ndim else x

    def _joint(self, x: Any, name: str) -> Any:
        """log wₖ + log densityₖ, of shape … + (K,)."""
        t = (self._each(x, name) - self.loc) / self.scale
        single = self.components._log_density(t) - np.log(self.scale)
        return self._per_event(single) + self.log_weights

    def log_prob(self, x: Any) -> Any:
        """log Σ wₖ densityₖ, from the logarithms."""
        return logsumexp(self._joint(x, "log_prob"), axis=-1)

    def responsibilities(self, x: Any) -> Any:
        """Probability that each component made `x`, of shape … + (K,)."""
        return softmax(self._joint(x, "responsibilities"), axis=-1)

    @property
    def mean(self) -> Any:
        """Σ wₖ locₖ."""
        return np.sum(self._spread_weights * self.loc, axis=self._axis)

    @property
    def variance(self) -> Any:
        """Σ wₖ (scaleₖ² + (locₖ − mean)²)."""
        deviation = self.loc - np.expand_dims(self.mean, self._axis)
        square = self.scale * self.scale + deviation * deviation
        return np.sum(self._spread_weights * square, axis=self._axis)

    @property
    def mode(self) -> Any:
        """The highest of the modes to which mean-shift leads from the components' means.

        (Carreira-Perpiñán, Mode-finding for mixtures of Gaussian distributions, 2000.)

        Raises
        ------
        TracingError
            In a trace.
        """
        outside_of_traces(self, "mode")
        axis = self._axis
        starts = np.moveaxis(self.loc, axis, 0)
        inverse = 1 / self.scale  # no square: scales of 1e-150 have none
        inverse = inverse * np.min(self.scale, axis=axis, keepdims=True)
        x = starts
        for _ in range(1000):
            r = self.responsibilities(x)
            pull = np.reshape(r, r.shape + (1,) * self.event_ndim) * inverse * inverse
            moved = np.sum(pull * self.loc, axis=axis) / np.sum(pull, axis=axis)
            shift = np.abs(moved - x)
            x = moved
            if np.all(shift <= 1e-12 * np.min(self.scale, axis=axis) + 4 * np.spacing(np.abs(x))):
                break
        best = np.argmax(self.log_prob(x), axis=0)
        best = np.reshape(best, (1, *best.shape) + (1,) * self.event_ndim)
        return np.take_along_axis(x, best, axis=0)[0]

    def entropy(self) -> Any:
        """−∫ p log p by quadrature, for numbers; there is no closed form.

        Raises
        ------
        UserError
            For vectors: the mean of ``p.nll(p.sample(rng, n))`` estimates it.
        TracingError
            In a trace.
        """
        outside_of_traces(self, "entropy")
        if self.event_ndim:
            raise UserError(
                "MixtureDistribution.entropy: for numbers only, not for vectors.\n"
                "  Estimate it: np.mean(p.nll(p.sample(rng, n)), axis=0)."
            )
        k = self.n_components
        rows = [np.reshape(a, (-1, k)).astype(float) for a in (self.logits, self.loc, self.scale)]
        values = np.empty(len(rows[0]))
        step = max(1, _BLOCK // (k * k * _REACH.size * _NODES.size))
        for first in range(0, len(values), step):
            block = slice(first, first + step)
            values[block] = _quadrature(MixtureDistribution(*(a[block] for a in rows)))
        return np.reshape(values, self.batch_shape).astype(self.loc.dtype)[()]

    def cdf(self, x: Any) -> Any:
        """Σ wₖ Φ((x − locₖ)/scaleₖ)."""
        t = (self._each(x, "cdf") - self.loc) / self.scale
        found = np.sum(self._spread_weights * ndtr(t), axis=self._axis)
        return np.minimum(found, 1.0)  # rounding does not pass 1

    def _density(self, x: Any) -> Any:
        """Density of each number of the event by itself."""
        t = (np.expand_dims(x, self._axis) - self.loc) / self.scale
        single = np.exp(self.components._log_density(t)) / self.scale
        return np.sum(self._spread_weights * single, axis=self._axis)

    def _quantile(self, q: Any) -> Any:
        """Newton's method, held in a bracket that the components' quantiles give."""
        outside_of_traces(self, "quantile")
        q = np.broadcast_to(q, np.broadcast_shapes(q.shape, self._shape)).astype(float)
        each = self.components._quantile(np.expand_dims(q, self._axis))
        low, high = np.min(each, axis=self._axis), np.max(each, axis=self._axis)
        x = np.where(low == high, low, 0.5 * low + 0.5 * high)
        with np.errstate(all="ignore"):  # a density of 0: the bracket is halved; ends at ∓∞
            for _ in range(2200):  # enough halvings from the largest number to the smallest
                missing = self.cdf(x) - q
                low, high = np.where(missing < 0, x, low), np.where(missing >= 0, x, high)
                newton = x - missing / self._density(x)
                inside = (newton > low) & (newton < high)
                moved = np.where(inside, newton, 0.5 * low + 0.5 * high)
                moved = np.where(np.isfinite(x), moved, x)
                step, x = np.abs(moved - x), moved
                if not np.any(step > 2 * np.spacing(np.abs(x))):
                    break
        return x.astype(self.loc.dtype)

    def _sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        front = shape[: len(shape) - self.event_ndim]
        chosen = np.argmax(self.logits + rng.gumbel(size=(*front, self.n_components)), axis=-1)
        index = np.reshape(chosen, (*front, 1) + (1,) * self.event_ndim)
        spread = front + np.shape(self.loc)[len(np.shape(self.logits)) - 1 :]
        loc, scale = (
            np.take_along_axis(np.broadcast_to(a, spread), index, axis=self._axis)
            for a in (self.loc, self.scale)
        )
        draws = np.squeeze(loc, self._axis) + np.squeeze(scale, self._axis) * rng.standard_normal(
            shape
        )
        broken = np.isnan(np.sum(self._spread_weights, axis=self._axis))
        return np.where(broken, np.nan, draws).astype(self.loc.dtype)

    def dead_components(self, threshold: float = 1e-3) -> Any:
        """Which components have, on average over the batch, a weight below `threshold`.

        A component that no target needs gets no gradient either and stays dead: start the head
        with `MixtureDensity.start`, or take fewer.
        """
        weights = np.reshape(self.weights, (-1, self.n_components))
        return np.mean(weights, axis=0) < threshold


def _quadrature(p: MixtureDistribution) -> np.ndarray[Any, Any]:
    """Entropies of a vector of mixtures of numbers."""
    ends = p.loc[..., None] + p.scale[..., None] * _REACH
    ends = np.sort(ends.reshape(len(p.loc), -1), axis=1)
    half = 0.5 * np.diff(ends, axis=1)
    points = (0.5 * ends[:, 1:] + 0.5 * ends[:, :-1])[..., None] + half[..., None] * _NODES
    logs = p.log_prob(np.moveaxis(points.reshape(len(ends), -1), 1, 0))
    terms = np.moveaxis(-np.exp(logs) * logs, 0, 1).reshape(points.shape)
    terms = np.where(np.exp(logs).T.reshape(points.shape) > 0, terms, 0.0)
    return np.sum((terms @ _NODE_WEIGHTS) * half, axis=1)


@dataclass(frozen=True)
class MixtureDensity(LocationScaleHead):
    """Mixture density network (Bishop, Mixture Density Networks, 1994).

    Weights by softmax, means by a linear layer, scales by softplus within bounds; the cost is
    −log Σ wₖ densityₖ, computed from logarithms.

    Parameters
    ----------
    n_components : int
        K.
    min_scale, max_scale : float
        Bounds of the scales. Without a lower one the likelihood has none: a component that shrinks
        onto one target makes it as large as you like.
    event : tuple of int
        Shape of one target.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.heads import MixtureDensity
    >>> head = MixtureDensity(2)
    >>> y = np.array([-2.1, -2.0, -1.9, 0.9, 1.0, 1.1])
    >>> p = head(np.tile(head.start(y), (6, 1)))
    >>> np.sort(p.loc[0]).round(3), p.weights[0].round(3), p.scale[0].round(3)
    (array([-2.,  1.]), array([0.5, 0.5]), array([0.082, 0.082]))
    """

    n_components: int = static()
    _: KW_ONLY
    min_scale: float = static(default=1e-3)
    max_scale: float = static(default=math.inf)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.n_components, (int, np.integer)) or self.n_components < 1:
            raise UserError(
                f"MixtureDensity: n_components is an integer ≥ 1, got {self.n_components!r}"
            )
        object.__setattr__(self, "n_components", int(self.n_components))
        number = isinstance(self.max_scale, (int, float, np.number))
        if not number or not self.max_scale > self.min_scale:
            raise UserError(
                f"MixtureDensity: max_scale {self.max_scale!r} is not above min_scale "
                f"{self.min_scale!r}"
            )
        object.__setattr__(self, "max_scale", float(self.max_scale))

    @property
    def n_features(self) -> int:
        """A logit a component, and a mean and a raw scale for each of its numbers."""
        return self.n_components * (1 + 2 * self.size)

    def __call__(self, features: Any) -> MixtureDistribution:
        """The mixtures of raw logits, means and scales."""
        x, k, shape = self._features(features), self.n_components, (self.n_components, *self.event)
        return MixtureDistribution(
            self._part(x, 0, (k,)),
            self._part(x, k, shape),
            scale_of(self._part(x, k + k * self.size, shape), self.min_scale, self.max_scale),
            event_ndim=len(self.event),
        )

    def start(self, y: Any, rng: np.random.Generator | int = 0) -> np.ndarray[Any, Any]:
        """A bias for the last affine layer: the mixture of the targets' k-means clusters.

        With a bias of zeros all components are the same, and stay so.

        Parameters
        ----------
        y : array
            Targets, of shape (N,) + event.
        rng : numpy.random.Generator or int
            Of the first centres.

        Returns
        -------
        ndarray
            Of shape (n_features,).

        Raises
        ------
        UserError
            For fewer targets than components, or targets that are not finite.
        """
        if isinstance(y, Array):
            raise UserError("MixtureDensity.start: targets as NumPy arrays, outside of traces")
        y = matching(y, self.event, "MixtureDensity.start")
        if y.ndim != len(self.event) + 1:
            raise ShapeError(f"MixtureDensity.start: y has shape {y.shape}, expected (N,) + event")
        data = np.asarray(y, float).reshape(len(y), self.size)
        if len(data) < self.n_components or not np.isfinite(data).all():
            raise UserError(
                f"MixtureDensity.start: {self.n_components} components need as many targets, all "
                f"finite; got {len(data)}"
            )
        spread = np.std(data, axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        labels = k_means(data / spread, self.n_components, generator(rng))
        counts = np.bincount(labels, minlength=self.n_components)
        clusters = [data[labels == k] for k in range(self.n_components)]
        loc = np.stack([cluster.mean(axis=0) for cluster in clusters])
        scale = np.stack([cluster.std(axis=0) for cluster in clusters])
        # A cluster of one target has no spread: the smallest scale that is well within the bounds.
        top = self.min_scale + 0.9 * (self.max_scale - self.min_scale)
        scale = np.clip(scale, np.maximum(2 * self.min_scale, 1e-3 * spread), top)
        raw = raw_of_scale(scale, self.min_scale, self.max_scale)
        return np.concatenate([np.log(counts / len(data)), loc.ravel(), raw.ravel()])
