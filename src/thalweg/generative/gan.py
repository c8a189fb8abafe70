"""Generative adversarial networks: a generator of samples against a discriminator of them.

Goodfellow et al., Generative adversarial nets (2014). The losses and the model are here, training
with two optimisers is `fit_gan`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.api import grad
from thalweg.errors import ShapeError, UserError
from thalweg.generative.data import real, widths
from thalweg.heads.distribution import draws, outside_of_traces
from thalweg.nn.activations import leaky_relu, relu
from thalweg.nn.layers import MLP, size
from thalweg.random import generator, normal, split, uniform
from thalweg.scipy.special import softplus
from thalweg.tree import flatten, static

__all__ = ["GAN", "Coverage", "mode_coverage", "ring_of_gaussians"]

_OBJECTIVES = ("non-saturating", "least-squares", "wasserstein")


@dataclass(frozen=True)
class GAN:
    """Two networks with opposite aims: a tree of their weights.

    The discriminator's score is high for data and low for what the generator makes of noise; the
    generator is trained to raise it. Make one with `GAN.create`, or give it networks of your own,
    and train it with `fit_gan`.

    Parameters
    ----------
    generator : callable tree
        Noise of shape (n, n_latent) → samples of shape (n, …).
    discriminator : callable tree
        Samples → scores of shape (n, 1): logits of "this is data", or of `"wasserstein"` a critic's
        values.
    n_latent : int
        Numbers of noise a sample.
    objective : {"non-saturating", "least-squares", "wasserstein"}
        The game, see `discriminator_loss`.
    penalty : float
        Weight of the gradient penalty.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.generative import GAN
    >>> gan = GAN.create(0, 2, 4, (16,), objective="wasserstein")
    >>> gan.sample(0, 5).shape
    (5, 2)
    >>> x, key = np.ones((8, 2)), tw.random.key(0)
    >>> slope = tw.grad(lambda gan: gan.discriminator_loss(x, key=key))(gan)
    >>> slope.discriminator.layers[0].W.shape
    (2, 16)
    """

    generator: Any
    discriminator: Any
    n_latent: int = static()
    objective: str = static(default="non-saturating")
    penalty: float = static(default=0.0)

    def __post_init__(self) -> None:
        if self.objective not in _OBJECTIVES:
            raise UserError(f"GAN: objective is one of {_OBJECTIVES}, not {self.objective!r}")
        object.__setattr__(self, "n_latent", size("GAN", n_latent=self.n_latent)[0])
        number = isinstance(self.penalty, (int, float, np.number))
        if not number or not 0 <= self.penalty < math.inf:
            raise UserError(f"GAN: penalty is a number ≥ 0, got {self.penalty!r}")

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        n_features: int,
        n_latent: int,
        hidden: Sequence[int] = (128, 128),
        *,
        objective: str = "non-saturating",
        penalty: float | None = None,
        activation: Callable[[Any], Any] = relu,
        dtype: Any = np.float64,
    ) -> GAN:
        """Two perceptrons with random weights.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        n_features : int
            Numbers of a sample.
        n_latent : int
        hidden : sequence of int
            Hidden units of the generator; the discriminator has them in reverse.
        objective : {"non-saturating", "least-squares", "wasserstein"}
        penalty : float, optional
            By default 10 of ``"wasserstein"``, 0 of the others.
        activation : callable
            Of the generator; the discriminator's is `leaky_relu`.
        dtype : {float64, float32}

        Raises
        ------
        UserError
            For sizes or an objective that will not do.
        """
        rng = generator(rng)
        n_features, n_latent = size("GAN", n_features=n_features, n_latent=n_latent)
        hidden = widths("GAN", hidden)
        if penalty is None:
            penalty = 10.0 if objective == "wasserstein" else 0.0
        sizes = (n_latent, *hidden, n_features), (n_features, *hidden[::-1], 1)
        made = MLP.create(rng, sizes[0], activation=activation, dtype=dtype)
        judge = MLP.create(rng, sizes[1], activation=leaky_relu, dtype=dtype)
        return cls(made, judge, n_latent, objective, penalty)

    def generate(self, z: Any) -> Any:
        """Samples for noise of shape (n, n_latent)."""
        return self.generator(z)

    def score(self, x: Any) -> Any:
        """The discriminator's score of each row, of shape (n,).

        Raises
        ------
        ShapeError
            If the discriminator gives anything but one number a row.
        """
        scores = self.discriminator(x)
        if np.shape(scores) != (np.shape(x)[0], 1):
            raise ShapeError(
                f"GAN: the discriminator gives one score a row, of shape ({np.shape(x)[0]}, 1); "
                f"got {np.shape(scores)}"
            )
        return scores[:, 0]

    def discriminator_loss(self, x: Any, *, key: Any, noise: Any = 0.0) -> Any:
        """What the discriminator lowers, for a batch of data and as many samples of the generator.

        With D the scores of data and F those of samples:

        - ``"non-saturating"``: E softplus(−D) + E softplus(F), cross-entropy. Where nothing can be
          told apart, all scores are 0 and it is 2 ln 2 (Goodfellow et al. 2014).
        - ``"least-squares"``: ½ E (D − 1)² + ½ E F² (Mao et al., ICCV 2017); there ¼.
        - ``"wasserstein"``: E F − E D, minus an estimate of the earth mover's distance if the
          critic has slopes of at most 1 (Arjovsky et al. 2017).

        With a penalty λ, the critic's gradient at points between data and samples is held near
        norm 1, λ E (‖∇D‖ − 1)² (Gulrajani et al., Improved training of Wasserstein GANs, 2017); in
        the other games that at the data is held near 0, ½ λ E ‖∇D‖² (Mescheder et al., R₁, 2018).
        Its own gradient is one of second order.

        Parameters
        ----------
        x : array of shape (n, …)
        key : key of `thalweg.random`
        noise : float or array of shape ()
            Standard deviation of noise that is added to data and samples alike: it gives them
            common ground at first (instance noise, Sønderby et al. 2017).

        Returns
        -------
        array of shape ()
        """
        x = self._data(x)
        of_z, of_x, of_fake, between = split(key, 4)
        fake = self._fake(of_z, x.shape[0])
        if fake.shape != x.shape:
            raise ShapeError(f"GAN: data have shape {x.shape}, the generator's are {fake.shape}")
        x, fake = _blurred(x, of_x, noise), _blurred(fake, of_fake, noise)
        real, made = self.score(x), self.score(fake)
        if self.objective == "wasserstein":
            loss = np.mean(made) - np.mean(real)
        elif self.objective == "least-squares":
            loss = 0.5 * (np.mean((real - 1) ** 2) + np.mean(made * made))
        else:
            loss = np.mean(softplus(-real)) + np.mean(softplus(made))
        if not self.penalty:
            return loss
        if self.objective == "wasserstein":
            shape = (x.shape[0],) + (1,) * (x.ndim - 1)
            share = uniform(between, shape, dtype=x.dtype)
            slopes = self._slopes(share * x + (1 - share) * fake)
            return loss + self.penalty * np.mean((np.linalg.norm(slopes, axis=1) - 1) ** 2)
        slopes = self._slopes(x)
        return loss + 0.5 * self.penalty * np.mean(np.sum(slopes * slopes, axis=1))

    def generator_loss(self, n: int, *, key: Any, noise: Any = 0.0) -> Any:
        """What the generator lowers, for n samples with scores F.

        ``"non-saturating"``: E softplus(−F), whose gradient stays where the discriminator is sure,
        unlike that of −E softplus(F); ``"least-squares"``: ½ E (F − 1)²; ``"wasserstein"``: −E F.
        """
        (n,) = size("GAN", n=n)
        of_z, of_fake = split(key)
        made = self.score(_blurred(self._fake(of_z, n), of_fake, noise))
        if self.objective == "wasserstein":
            return -np.mean(made)
        if self.objective == "least-squares":
            return 0.5 * np.mean((made - 1) ** 2)
        return np.mean(softplus(-made))

    def sample(self, rng: np.random.Generator | int, n: int) -> np.ndarray[Any, Any]:
        """n samples of the generator.

        Raises
        ------
        TracingError
            In a trace: the generator of random numbers would be asked once.
        """
        outside_of_traces(self, "sample")
        z = generator(rng).standard_normal((draws(self, n), self.n_latent))
        return np.asarray(self.generate(z.astype(self.dtype)))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the weights."""
        return np.result_type(*(leaf.dtype for leaf in flatten(self)[0]))

    def _fake(self, key: Any, n: int) -> Any:
        return self.generate(normal(key, (n, self.n_latent), dtype=self.dtype))

    def _data(self, x: Any) -> Any:
        x = real(self, x)
        if x.ndim == 0:
            raise ShapeError("GAN: data are rows, of shape (n, …), got shape ()")
        return x if x.dtype.kind == "f" else x.astype(self.dtype)

    def _slopes(self, x: Any) -> Any:
        """∂ score / ∂ x of each row, in one row."""
        return np.reshape(grad(lambda x: np.sum(self.score(x)))(x), (x.shape[0], -1))


def _blurred(x: Any, key: Any, noise: Any) -> Any:
    if isinstance(noise, (int, float)) and noise == 0:
        return x
    std = noise.astype(x.dtype) if hasattr(noise, "astype") else noise
    return x + std * normal(key, x.shape, dtype=x.dtype)


@dataclass(frozen=True)
class Coverage:
    """What `mode_coverage` found.

    Attributes
    ----------
    modes : int
        Modes that are hit.
    good : float
        Share of samples near a mode.
    counts : ndarray of int
        Good samples of each mode.
    """

    modes: int
    good: float
    counts: np.ndarray[Any, Any]


def mode_coverage(
    samples: Any, centres: Any, std: float, *, within: float = 3.0, least: float = 0.0
) -> Coverage:
    """How many modes of a mixture samples hit, and how many of them lie near one.

    A sample is good if its distance to the nearest centre is at most `within` standard deviations
    (of a true two-dimensional Gaussian that holds for 98.9 % at 3). The measure of Metz et al.
    (Unrolled GAN, 2017) and Lin et al. (PacGAN, 2018).

    Parameters
    ----------
    samples : array of shape (n, d)
    centres : array of shape (k, d)
    std : float
        Standard deviation of each mode.
    within : float
    least : float
        Share of all samples that must be good samples of a mode for it to be hit; one must at
        least.

    Returns
    -------
    Coverage

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.generative import mode_coverage
    >>> found = mode_coverage([[0.1, 0.0], [0.0, 0.2], [5.0, 5.0]], [[0, 0], [1, 1]], std=0.1)
    >>> found.modes, round(found.good, 3), found.counts
    (1, 0.667, array([2, 0]))
    """
    samples, centres = np.asarray(samples, float), np.asarray(centres, float)
    if samples.ndim != 2 or centres.ndim != 2 or samples.shape[1] != centres.shape[1]:
        raise ShapeError(
            f"mode_coverage: samples are (n, d) and centres (k, d); got {samples.shape} and "
            f"{centres.shape}"
        )
    if len(samples) == 0 or len(centres) == 0:
        raise UserError("mode_coverage: there must be samples and centres")
    if not std > 0 or not within > 0:
        raise UserError(f"mode_coverage: std and within are positive, got {std!r}, {within!r}")
    distances = np.linalg.norm(samples[:, None] - centres, axis=2)
    nearest = np.argmin(distances, axis=1)
    good = np.min(distances, axis=1) <= within * std
    counts = np.bincount(nearest[good], minlength=len(centres))
    hit = counts >= max(1, least * len(samples))
    return Coverage(int(hit.sum()), float(good.mean()), counts)


def ring_of_gaussians(
    rng: np.random.Generator | int,
    n: int,
    *,
    modes: int = 8,
    radius: float = 2.0,
    std: float = 0.02,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The usual test of a GAN in the plane: Gaussians on a circle (Metz et al. 2017).

    Parameters
    ----------
    rng : numpy.random.Generator or int
    n : int
        Draws.
    modes : int
    radius, std : float

    Returns
    -------
    draws : ndarray of shape (n, 2)
    centres : ndarray of shape (modes, 2)

    Examples
    --------
    >>> from thalweg.generative import ring_of_gaussians
    >>> draws, centres = ring_of_gaussians(0, 1000)
    >>> draws.shape, centres.shape
    ((1000, 2), (8, 2))
    """
    (modes,) = size("ring_of_gaussians", modes=modes)
    rng = generator(rng)
    angle = 2 * np.pi * np.arange(modes) / modes
    centres = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return centres[rng.integers(modes, size=n)] + std * rng.standard_normal((n, 2)), centres
