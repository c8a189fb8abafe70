"""The neural autoregressive distribution estimator, of bits.

Larochelle, Murray, The Neural Autoregressive Distribution Estimator (AISTATS 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.api_remat import remat
from thalweg.generative.fvbn import FVBN, Orders, as_orders
from thalweg.heads.bernoulli import Bernoulli, BernoulliDistribution
from thalweg.heads.head import Head
from thalweg.nn.layers import floating, size
from thalweg.random import generator
from thalweg.scipy.special import expit
from thalweg.tree import static

__all__ = ["NADE"]


def _block(a: Any, x: Any, W: Any, V: Any, b: Any) -> tuple[Any, Any]:
    """Logits of some bits in a row, and what the hidden units have summed up after them."""
    logits = []
    for i in range(x.shape[1]):
        logits.append(expit(a) @ V[i] + b[i])
        a = a + x[:, i : i + 1] * W[i]
    return np.stack(logits, axis=1), a


@dataclass(frozen=True, repr=False)
class NADE(FVBN):
    """Neural autoregressive distribution estimator, of bits: a tree of its weights.

    Bit i has hidden units of its own, which share their weights with those of the others:
    h = σ(c + Σ xⱼ Wⱼ) over the bits j before it, and the logit bᵢ + Vᵢ · h. The sums grow by one
    row of W from bit to bit, so a state costs O(D H). Make one with `NADE.create`.

    The D bits are taken in about √D blocks. Under `grad` only the sums between blocks are kept,
    and a block's hidden units are computed again on the way back: memory for O(N √D H) numbers,
    where all of them would be N D H.

    Parameters
    ----------
    W : array of shape (D, H)
        Into the hidden units.
    V : array of shape (D, H)
        Out of them.
    b : array of shape (D,)
    c : array of shape (H,)
    orders : tuple of tuple of int
        Each a permutation of 0, …, D − 1: the bits in the order in which they are drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.generative import NADE
    >>> model = NADE.create(0, 3, 8)
    >>> states = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(float)
    >>> round(float(np.sum(np.exp(model.log_prob(states)))), 12)
    1.0
    >>> model.sample(0, 5).shape
    (5, 3)
    """

    W: Any
    V: Any
    b: Any
    c: Any
    orders: Orders = static()

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        n_bits: int,
        n_hidden: int,
        orders: int | Orders = 1,
        *,
        dtype: Any = np.float64,
    ) -> NADE:
        """A model with random weights.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        n_bits : int
            D.
        n_hidden : int
            H.
        orders : int or tuple
            The orders, or how many: the first is 0, …, D − 1, the others are drawn.
        dtype : dtype
            Of the weights.

        Raises
        ------
        UserError
            For sizes that are not positive, or an order that is no permutation.
        """
        rng = generator(rng)
        d, h = size("NADE", n_bits=n_bits, n_hidden=n_hidden)
        dtype = floating("NADE", dtype)
        orders = as_orders("NADE", rng, d, orders)
        W, V = (rng.standard_normal((2, d, h)) * math.sqrt(2 / (d + h))).astype(dtype)
        return cls(W, V, np.zeros(d, dtype), np.zeros(h, dtype), orders)

    @property
    def head(self) -> Head:
        """Bits."""
        return Bernoulli()

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.result_type(self.W, self.V, self.b, self.c)

    @property
    def _n_hidden(self) -> tuple[int, ...]:
        return np.shape(self.c)

    def features(self, x: Any, order: Any = 0) -> Any:
        """Logits of every bit, of shape (…, D, 1).

        Parameters
        ----------
        x : array of shape (…, D)
        order : int or array of shape (D,)
            Which of `orders`; or an order itself, any permutation of 0, …, D − 1.
        """
        x = self._states(x)
        batch, d = x.shape[:-1], self.n_variables
        order = self._order(order)
        if isinstance(order, tuple):
            order = np.array(order)
        x = np.reshape(x, (math.prod(batch), d))
        x = np.take(x, order, axis=1)
        W, V, b = self.W[order], self.V[order], self.b[order]
        a = np.broadcast_to(self.c, (x.shape[0], np.shape(self.c)[0]))
        width = math.isqrt(d) if d > 32 else d
        # A single row has little to keep; without, the structure of its Jacobian is seen.
        block = _block if width == d or x.shape[0] == 1 else remat(_block)
        found = []
        for begin in range(0, d, width):
            part = slice(begin, begin + width)
            logits, a = block(a, x[:, part], W[part], V[part], b[part])
            found.append(logits)
        logits = np.take(np.concatenate(found, axis=1), np.argsort(order), axis=1)
        return np.reshape(logits, (*batch, d, 1))

    def _draw(self, rng: np.random.Generator, x: np.ndarray[Any, Any], order: int) -> None:
        """Fill rows in place: the sums are kept from bit to bit."""
        a = np.tile(self.c, (len(x), 1))
        for i in self.orders[order]:
            logits = expit(a) @ self.V[i] + self.b[i]
            x[:, i] = BernoulliDistribution(logits).sample(rng)
            a += x[:, i : i + 1] * self.W[i]
