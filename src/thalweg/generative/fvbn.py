"""Fully visible belief networks of bits: p(x) = Π p(xᵢ | the bits before it), exactly.

Logistic conditionals (FVSBN: Frey, Hinton, Dayan, 1996), or those of a masked network (MADE:
Germain, Gregor, Murray, Larochelle, 2015).
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from thalweg.array import Array
from thalweg.errors import ShapeError, TracingError, UserError
from thalweg.heads.bernoulli import BernoulliDistribution
from thalweg.random import generator
from thalweg.scipy.special import logsumexp
from thalweg.tree import flatten, static

__all__ = ["MADE", "fvsbn"]


@functools.lru_cache(maxsize=64)
def _masks(order: tuple[int, ...], hidden: tuple[int, ...]) -> tuple[np.ndarray[Any, Any], ...]:
    """Which weights an order allows: a unit of degree m sees the first m bits only."""
    d = len(order)
    degrees = [np.empty(d, int)]
    degrees[0][list(order)] = np.arange(1, d + 1)
    degrees += [1 + np.arange(width) % max(1, d - 1) for width in hidden]
    masks = [after >= before[:, None] for before, after in itertools.pairwise(degrees)]
    return (*masks, degrees[0] > degrees[-1][:, None])


@dataclass(frozen=True)
class MADE:
    """Masked autoencoder for distribution estimation, of bits: a tree of its weights.

    The weights are masked so that the logit of a bit depends on the bits before it in the order,
    on no other. With several orders it is the mixture of their models, which share the weights.
    Make one with `MADE.create`; without hidden layers it is `fvsbn`.

    Parameters
    ----------
    weights : tuple of array
        Of shape (D, H₁), (H₁, H₂), …, (Hₙ, D).
    biases : tuple of array
    orders : tuple of tuple of int
        Each a permutation of 0, …, D − 1: the bits in the order in which they are drawn.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.generative import MADE
    >>> model = MADE.create(0, 3, (8,))
    >>> states = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(float)
    >>> round(float(np.sum(np.exp(model.log_prob(states)))), 12)
    1.0
    >>> tw.grad(lambda m: -np.mean(m.log_prob(states)))(model).biases[1].shape
    (3,)
    """

    weights: tuple[Any, ...]
    biases: tuple[Any, ...]
    orders: tuple[tuple[int, ...], ...] = static()

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        n_bits: int,
        hidden: tuple[int, ...] = (),
        orders: int | tuple[tuple[int, ...], ...] = 1,
    ) -> MADE:
        """A model with random weights.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        n_bits : int
            D.
        hidden : tuple of int
            Widths of the hidden layers.
        orders : int or tuple
            The orders, or how many: the first is 0, …, D − 1, the others are drawn.

        Raises
        ------
        UserError
            For sizes that are not positive, or an order that is no permutation.
        """
        rng = generator(rng)
        hidden = tuple(hidden)
        if any(not isinstance(n, (int, np.integer)) or n < 1 for n in (n_bits, *hidden)):
            raise UserError(f"MADE: sizes are positive integers, got {n_bits!r}, {hidden!r}")
        if isinstance(orders, (int, np.integer)):
            drawn = [rng.permutation(n_bits).tolist() for _ in range(orders - 1)]
            orders = (tuple(range(n_bits)), *map(tuple, drawn))
        orders = tuple(tuple(int(i) for i in order) for order in orders)
        if not orders or any(sorted(order) != list(range(n_bits)) for order in orders):
            raise UserError(f"MADE: an order is a permutation of 0, …, {n_bits - 1}")
        sizes = (n_bits, *hidden, n_bits)
        weights = tuple(
            rng.standard_normal((a, b)) * math.sqrt(2 / (a + b))
            for a, b in itertools.pairwise(sizes)
        )
        return cls(weights, tuple(np.zeros(n) for n in sizes[1:]), orders)

    @property
    def n_bits(self) -> int:
        """D."""
        return len(self.orders[0])

    @property
    def _hidden(self) -> tuple[int, ...]:
        return tuple(np.shape(w)[1] for w in self.weights[:-1])

    def masks(self, order: int = 0) -> tuple[np.ndarray[Any, Any], ...]:
        """Which weights count in one of the orders, layer by layer."""
        return _masks(self.orders[order], self._hidden)

    def dependencies(self, order: int = 0) -> np.ndarray[Any, Any]:
        """Entry (i, j): whether logit i may depend on bit j, whatever the weights.

        Rows and columns in the order, it is strictly lower triangular: that is what makes the
        product of the conditionals a distribution.
        """
        paths = functools.reduce(lambda a, b: a @ b, (m.astype(int) for m in self.masks(order)))
        return paths.T > 0

    def logits(self, x: Any, order: int = 0) -> Any:
        """Logits of every bit given the bits of `x` before it, of the shape of `x`."""
        x = self._bits(x)
        masks = self.masks(order)
        for w, b, mask in zip(self.weights[:-1], self.biases[:-1], masks[:-1], strict=True):
            x = np.maximum(x @ (w * mask) + b, 0)
        return x @ (self.weights[-1] * masks[-1]) + self.biases[-1]

    def log_prob(self, x: Any) -> Any:
        """Exact log-probability of states of shape (…, D); of several orders, of their mixture."""
        each = [
            BernoulliDistribution(self.logits(x, k), event_ndim=1).log_prob(x)
            for k in range(len(self.orders))
        ]
        if len(each) == 1:
            return each[0]
        return logsumexp(np.stack(each), axis=0) - math.log(len(each))

    def sample(self, rng: np.random.Generator | int, n: int) -> np.ndarray[Any, Any]:
        """Ancestral sampling: n states, bit after bit, each state in one of the orders.

        Raises
        ------
        TracingError
            In a trace: the generator would be asked once.
        """
        if any(isinstance(leaf, Array) for leaf in flatten(self)[0]):
            raise TracingError("MADE.sample draws with NumPy, outside of traces only")
        rng = generator(rng)
        x = np.zeros((n, self.n_bits), np.result_type(*self.weights))
        chosen = rng.integers(len(self.orders), size=n)
        for k, order in enumerate(self.orders):
            rows = np.flatnonzero(chosen == k)
            part = x[rows]
            for i in order:
                part[:, i] = rng.random(len(rows)) < expit(self.logits(part, k)[:, i])
            x[rows] = part
        return x

    def _bits(self, x: Any) -> Any:
        x = x if isinstance(x, Array) else np.asarray(x)
        if x.ndim == 0 or x.shape[-1] != self.n_bits:
            raise ShapeError(f"MADE: states have shape (…, {self.n_bits}), got {x.shape}")
        return x if x.dtype.kind == "f" else x.astype(np.float64)


def fvsbn(rng: np.random.Generator | int, n_bits: int) -> MADE:
    """A fully visible sigmoid belief network: each conditional is a logistic regression.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.generative import fvsbn
    >>> fvsbn(0, 4).dependencies().astype(int)
    array([[0, 0, 0, 0],
           [1, 0, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 1, 0]])
    """
    return MADE.create(rng, n_bits)
