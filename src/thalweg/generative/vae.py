"""Variational autoencoders: a latent code behind each example, and bounds on the likelihood.

p(x) = ∫ p(x|z) N(z; 0, 1) dz with a network in p(x|z); a second network gives q(z|x), and both are
trained on a lower bound of log p(x) (Kingma, Welling, Auto-encoding variational Bayes, 2014;
Rezende, Mohamed, Wierstra, 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.api_batch import vmap
from thalweg.api_compile import compile
from thalweg.errors import ShapeError, UserError
from thalweg.generative.data import real, widths
from thalweg.heads.categorical import Categorical
from thalweg.heads.distribution import Distribution, draws, outside_of_traces
from thalweg.heads.gaussian import Gaussian, GaussianDistribution
from thalweg.heads.head import Head
from thalweg.nn.activations import relu
from thalweg.nn.layers import MLP, size
from thalweg.random import generator, normal, split
from thalweg.random import key as key_of
from thalweg.scipy.special import logsumexp
from thalweg.tree import flatten, static

__all__ = ["VAE"]


@dataclass(frozen=True)
class VAE:
    """A variational autoencoder: a tree of the weights of its two networks.

    Make one with `VAE.create`, or give it networks of your own. Where randomness is needed in what
    is differentiated or compiled, a `key` of `thalweg.random` is an argument.

    Parameters
    ----------
    encoder : callable tree
        x of shape batch + event → raw mean and scale of q(z|x), of shape batch + (2 n_latent,).
    decoder : callable tree
        z of shape (n, n_latent) → features of the head, of shape (n, head.n_features).
    head : Head
        What p(x|z) is: `Bernoulli` of bits, `Gaussian` of numbers; its `event` is the shape of x.
        The encoder is given numbers whatever it is, class numbers and counts as well.
    n_latent : int
        Numbers in a code.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg import heads
    >>> from thalweg.generative import VAE
    >>> vae = VAE.create(0, heads.Bernoulli(event=(6,)), 2, (16,))
    >>> x = np.array([[1.0, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 1]])
    >>> vae.elbo(x, key=tw.random.key(0)).shape
    (2,)
    >>> bool(np.all(vae.bound(x, 1000) > vae.elbo(x, key=tw.random.key(0), samples=1000)))
    True
    >>> slope = tw.grad(lambda vae: vae.loss(x, key=tw.random.key(0)))(vae)
    >>> slope.decoder.layers[0].W.shape
    (2, 16)
    """

    encoder: Any
    decoder: Any
    head: Head
    n_latent: int = static()

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_latent", size("VAE", n_latent=self.n_latent)[0])

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        head: Head,
        n_latent: int,
        hidden: Sequence[int] = (200,),
        *,
        activation: Callable[[Any], Any] = relu,
        dtype: Any = np.float64,
    ) -> VAE:
        """Two perceptrons with random weights.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        head : Head
            With vectors as events, as ``Bernoulli(event=(784,))``.
        n_latent : int
        hidden : sequence of int
            Hidden units of the encoder; the decoder has them in reverse.
        activation : callable
        dtype : {float64, float32}

        Raises
        ------
        UserError
            For sizes that are not positive integers, or a head of anything but vectors.
        """
        rng = generator(rng)
        (n_latent,) = size("VAE", n_latent=n_latent)
        hidden = widths("VAE", hidden)
        if not isinstance(head, Head) or len(head.event) != 1:
            raise UserError(f"VAE: head is one of vectors, such as Bernoulli(event=(D,)): {head!r}")
        sizes = (head.size, *hidden, 2 * n_latent), (n_latent, *hidden[::-1], head.n_features)
        encoder, decoder = (MLP.create(rng, s, activation=activation, dtype=dtype) for s in sizes)
        return cls(encoder, decoder, head, n_latent)

    def encode(self, x: Any) -> GaussianDistribution:
        """q(z|x): normal distributions of codes, one a row of `x` of shape batch + event.

        Raises
        ------
        ShapeError
            If `x` ends in another shape than the head's event.
        """
        x = self._data(x)
        x = x if x.dtype.kind == "f" else x.astype(self._dtype)
        q = Gaussian(event=(self.n_latent,))(self.encoder(x))
        assert isinstance(q, GaussianDistribution)
        return q

    def decode(self, z: Any) -> Distribution:
        """p(x|z): the head's distributions for codes of shape (n, n_latent)."""
        return self.head(self.decoder(z))

    def kl(self, x: Any) -> Any:
        """KL(q(z|x) ‖ N(0, 1)) in nats of each row and each number of its code, in closed form."""
        return _kl(self.encode(x))

    def elbo(self, x: Any, *, key: Any, samples: int = 1, beta: Any = 1.0) -> Any:
        """The evidence lower bound of each row: E log p(x|z) − β KL(q(z|x) ‖ N(0, 1)) ≤ log p(x).

        The expectation is a mean over reparameterised draws, z = mean + std · noise; the divergence
        is exact.

        Parameters
        ----------
        x : array of shape batch + event
            Of bits, or of numbers between them: then it bounds the mean log p of bits that are 1
            with these probabilities.
        key : key of `thalweg.random`
        samples : int
            Draws a row.
        beta : float
            Weight of the divergence (Higgins et al., β-VAE, ICLR 2017). A bound for β ≥ 1.

        Returns
        -------
        array of shape batch
        """
        likelihood, divergence = self._terms(x, key, samples)
        return likelihood - _scalar(beta, divergence) * np.sum(divergence, axis=-1)

    def loss(
        self, x: Any, *, key: Any, samples: int = 1, beta: Any = 1.0, free_bits: float = 0.0
    ) -> Any:
        """What training lowers: minus the mean `elbo` of a batch.

        Parameters
        ----------
        x : array of shape batch + event
        key : key of `thalweg.random`
            A new one each step.
        samples : int
            Draws a row.
        beta : float or array of shape ()
            Weight of the divergence; an argument that rises from 0 to 1 in the first steps anneals
            it, so that codes are used before they are paid for.
        free_bits : float
            Nats that each number of the code has for nothing, in the batch's mean: below them no
            gradient pushes it to the prior (Kingma et al., Inverse autoregressive flow, 2016).

        Returns
        -------
        array of shape ()
        """
        likelihood, divergence = self._terms(x, key, samples)
        n_axes = divergence.ndim - 1
        each = np.mean(divergence, axis=tuple(range(n_axes)))
        if not free_bits >= 0:
            raise UserError(f"VAE.loss: free_bits is a number ≥ 0, got {free_bits!r}")
        if free_bits:
            each = np.maximum(each, _scalar(free_bits, each))
        return _scalar(beta, each) * np.sum(each) - np.mean(likelihood)

    def log_weights(self, x: Any, samples: int, *, key: Any) -> Any:
        """log p(x, z) − log q(z|x) of draws z ~ q(z|x), of shape (samples,) + batch.

        The mean of their exponentials estimates p(x) without bias. Minus the mean of
        ``logsumexp(…, axis=0)`` is the loss of an importance-weighted autoencoder (Burda, Grosse,
        Salakhutdinov, ICLR 2016).
        """
        (samples,) = size("VAE", samples=samples)
        q = self.encode(x)
        return self._log_weights(x, q, normal(key, (samples, *q.loc.shape), dtype=q.loc.dtype))

    def bound(
        self, x: Any, k: int = 500, *, key: Any = None, memory: float = 256.0
    ) -> np.ndarray[Any, Any]:
        """The importance-weighted bound of each row, E log 1/k Σ p(x, zᵢ)/q(zᵢ|x) ≤ log p(x).

        It is at least as tight as `elbo` and rises with k (Burda et al. 2016). Rows and draws are
        taken in chunks, compiled; the result does not depend on them.

        Parameters
        ----------
        x : array of shape (n,) + event
        k : int
            Draws a row.
        key : key of `thalweg.random`, optional
            That of the seed 0 by default.
        memory : float
            About how many megabytes a chunk may take.

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        TracingError
            In a trace: `log_weights` is for that.
        """
        outside_of_traces(self, "bound")
        if not isinstance(k, (int, np.integer)) or k < 1 or not memory > 0:
            raise UserError(f"VAE.bound: k is a positive integer, memory > 0: {k!r}, {memory!r}")
        x = self._data(x)
        if x.ndim != 1 + len(self.head.event):
            raise ShapeError(
                f"VAE.bound: x has shape {x.shape}, expected (n, {_listed(self.head.event)})"
            )
        keys = split(key_of(0) if key is None else key, len(x))
        pairs = max(1, int(memory * 2**20 / self._bytes_a_draw()))
        rows = max(1, min(len(x), pairs // k))
        given = x.dtype if x.dtype.kind == "f" else self._dtype
        found = np.empty(len(x), np.result_type(given, np.float32))
        for start in range(0, len(x), rows):
            part = slice(start, start + rows)
            noise = _noise(keys[part], k, self.n_latent, self._dtype)
            pieces = [
                _compiled_log_weights(self, x[part], noise[first : first + pairs])
                for first in range(0, k, pairs)
            ]
            found[part] = logsumexp(np.concatenate(pieces), axis=0) - math.log(k)
        return found

    def sample(self, rng: np.random.Generator | int, n: int) -> np.ndarray[Any, Any]:
        """n draws of x, of shape (n,) + event: codes from the prior, then from p(x|z).

        ``decode(z).mean`` of codes is their picture without the last draw.

        Raises
        ------
        TracingError
            In a trace: the generator would be asked once.
        """
        outside_of_traces(self, "sample")
        n, rng = draws(self, n), generator(rng)
        z = rng.standard_normal((n, self.n_latent)).astype(self._dtype)
        return self.decode(z).sample(rng)

    def active_units(self, x: Any, threshold: float = 0.01) -> Any:
        """Which numbers of the code depend on x: the variance of their mean is above `threshold`.

        The others have collapsed to the prior: the decoder does without them (Burda et al. 2016).

        Parameters
        ----------
        x : array of shape (n,) + event
        threshold : float

        Returns
        -------
        bool array of shape (n_latent,)

        Raises
        ------
        ShapeError
            For fewer than two rows, which do not vary.
        """
        means = self.encode(x).loc
        if means.ndim != 2 or len(means) < 2:
            raise ShapeError(
                f"VAE.active_units: x has shape {np.shape(x)}, expected (n, "
                f"{_listed(self.head.event)}), two rows at least"
            )
        return np.var(means, axis=0) > threshold

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.result_type(*(leaf.dtype for leaf in flatten(self)[0]))

    def _data(self, x: Any) -> Any:
        """x as floating numbers, or class numbers as they are; its last axes checked."""
        x = real(self, x)
        event = self.head.event
        if x.shape[max(0, x.ndim - len(event)) :] != event:
            raise ShapeError(
                f"VAE: x has shape {x.shape}, expected (…, {_listed(event)}): the head is "
                f"{self.head!r}"
            )
        if x.dtype.kind == "f" or isinstance(self.head, Categorical):
            return x
        return x.astype(self._dtype)

    def _terms(self, x: Any, key: Any, samples: int) -> tuple[Any, Any]:
        """Mean log p(x|z) of each row, and its divergence by numbers of the code."""
        (samples,) = size("VAE", samples=samples)
        q = self.encode(x)
        noise = normal(key, (samples, *q.loc.shape), dtype=q.loc.dtype)
        likelihood = self._log_likelihood(x, q.loc + q.scale * noise)
        return np.mean(likelihood, axis=0), _kl(q)

    def _log_weights(self, x: Any, q: GaussianDistribution, noise: Any) -> Any:
        """The constants of log p(z) and log q(z|x) cancel."""
        z = q.loc + q.scale * noise
        ratio = np.sum(0.5 * (noise * noise - z * z) + np.log(q.scale), axis=-1)
        return self._log_likelihood(x, z) + ratio

    def _log_likelihood(self, x: Any, z: Any) -> Any:
        """log p(x|z) of codes of shape (samples,) + batch + (n_latent,); the decoder sees rows."""
        x = self._data(x)
        repeated = np.broadcast_to(x, (z.shape[0], *x.shape))
        p = self.decode(np.reshape(z, (-1, self.n_latent)))
        each = p.log_prob(np.reshape(repeated, (-1, *self.head.event)))
        return np.reshape(each, z.shape[:-1])

    def _bytes_a_draw(self) -> int:
        """Of all activations of the decoder, about: every leaf has one a column."""
        columns = sum(leaf.shape[-1] for leaf in flatten(self.decoder)[0] if leaf.ndim)
        return (columns + 2 * self.head.size + 4 * self.n_latent) * self._dtype.itemsize


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _kl(q: GaussianDistribution) -> Any:
    return 0.5 * (q.scale * q.scale + q.loc * q.loc - 1) - np.log(q.scale)


def _scalar(x: Any, like: Any) -> Any:
    """A setting in the precision of the bound, so that float32 stays float32."""
    return x.astype(like.dtype) if hasattr(x, "astype") else x


def _noise(keys: Any, k: int, n_latent: int, dtype: Any) -> Any:
    """k draws for each row, by a key of its own: they do not depend on the rows beside it."""
    each = vmap(lambda key: normal(key, (k, n_latent), dtype=dtype))(keys)
    return np.ascontiguousarray(np.swapaxes(each, 0, 1))


def _log_weights(vae: VAE, x: Any, noise: Any) -> Any:
    return vae._log_weights(x, vae.encode(x), noise)


_compiled_log_weights = compile(_log_weights)
