"""Masked networks: all conditionals of a fully visible belief network in one pass.

MADE: Germain, Gregor, Murray, Larochelle, Masked Autoencoder for Distribution Estimation (ICML
2015). Without hidden layers the conditionals are logistic regressions: the fully visible sigmoid
belief network (FVSBN) of Frey, Hinton, Dayan, Does the wake-sleep algorithm produce good density
estimators? (NIPS 1996).
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import DtypeError, UserError
from thalweg.generative.data import widths
from thalweg.generative.fvbn import FVBN, Orders, as_orders
from thalweg.heads.bernoulli import Bernoulli
from thalweg.heads.categorical import Categorical
from thalweg.heads.head import Head
from thalweg.nn.layers import floating, size
from thalweg.random import generator
from thalweg.tree import static

__all__ = ["MADE", "fvsbn"]


def _masks(
    position: Any, hidden: tuple[int, ...], inputs: int, outputs: int
) -> tuple[tuple[Any, ...], Any]:
    """Which weights an order allows, layer by layer, and from inputs to outputs directly.

    A unit of degree m sees the first m variables. The degrees of a layer go up evenly from 1 to
    D − 1, so that narrow layers see all variables too.
    """
    d = np.shape(position)[0]
    degrees = [np.repeat(position, inputs) + 1]
    degrees += [1 + np.arange(width) * max(1, d - 1) // width for width in hidden]
    last = np.repeat(position, outputs) + 1
    masks = [after >= before[:, None] for before, after in itertools.pairwise(degrees)]
    return (*masks, last > degrees[-1][:, None]), last > degrees[0][:, None]


@functools.lru_cache(maxsize=64)
def _masks_of(order: tuple[int, ...], *sizes: Any) -> tuple[tuple[Any, ...], Any]:
    return _masks(np.argsort(order), *sizes)


@dataclass(frozen=True, repr=False)
class MADE(FVBN):
    """Masked autoencoder for distribution estimation: a tree of its weights.

    The weights are masked so that the features of a variable depend on the variables before it in
    the order, on no other. With several orders it is the mixture of their models, which share the
    weights. Make one with `MADE.create`.

    Parameters
    ----------
    weights : tuple of array
        Of shape (D·I, H₁), (H₁, H₂), …, (Hₙ, D·F): a variable is I inputs (one, or one a class)
        and F = ``head.n_features`` outputs.
    biases : tuple of array
    direct : array of shape (D·I, D·F), or None
        From inputs to outputs beside the hidden layers.
    orders : tuple of tuple of int
        Each a permutation of 0, …, D − 1: the variables in the order in which they are drawn.
    conditional : Head
        Of one variable: event ().

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
    >>> model
    MADE(3 variables, hidden (8,), Bernoulli(event=()), 1 order, 59 parameters)

    Numbers instead of bits, each a mixture of two normal distributions:

    >>> from thalweg.heads import MixtureDensity
    >>> model = MADE.create(0, 3, (8,), head=MixtureDensity(2))
    >>> model.sample(0, 4).shape, model.log_prob(np.zeros(3)).shape
    ((4, 3), ())
    """

    weights: tuple[Any, ...]
    biases: tuple[Any, ...]
    orders: Orders = static()
    direct: Any = None
    conditional: Head = static(default=Bernoulli())

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        n_variables: int,
        hidden: tuple[int, ...] = (),
        orders: int | Orders = 1,
        *,
        head: Head | None = None,
        direct: bool = False,
        dtype: Any = np.float64,
    ) -> MADE:
        """A model to train: random weights of hidden layers; direct ones are 0.

        A weight of an input that is seldom other than zero is seldom trained: from a random one
        it would disturb for long. Without hidden layers the cost is convex, and 0 a good start.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        n_variables : int
            D.
        hidden : tuple of int
            Widths of the hidden layers.
        orders : int or tuple
            The orders, or how many: the first is 0, …, D − 1, the others are drawn.
        head : Head, optional
            The conditional distribution of one variable: ``Bernoulli()`` by default,
            ``Categorical(k)`` for class numbers, ``MixtureDensity(k)``, ``Gaussian()``, … for
            numbers. Numbers should have a mean near 0 and a spread near 1.
        direct : bool
            Whether inputs and outputs are also connected directly, beside the hidden layers.
        dtype : dtype
            Of the weights.

        Raises
        ------
        UserError
            For sizes that are not positive, an order that is no permutation, a head of vectors,
            or `direct` without hidden layers.
        """
        rng = generator(rng)
        hidden = widths("MADE", hidden)
        (d,) = size("MADE", n_variables=n_variables)
        head = Bernoulli() if head is None else head
        if not isinstance(head, Head) or head.event != ():
            raise UserError(f"MADE: head is a Head of one number, with event=(), got {head!r}")
        if direct and not hidden:
            raise UserError("MADE: without hidden layers all connections are direct already")
        orders = as_orders("MADE", rng, d, orders)
        sizes = (d * _inputs(head), *hidden, d * head.n_features)
        dtype = floating("MADE", dtype)

        def weight(a: int, b: int) -> Any:
            return (rng.standard_normal((a, b)) * math.sqrt(2 / (a + b))).astype(dtype)

        pairs = list(itertools.pairwise(sizes))
        weights = tuple(weight(a, b) if hidden else np.zeros((a, b), dtype) for a, b in pairs)
        biases = tuple(np.zeros(n, dtype) for n in sizes[1:])
        beside = np.zeros((sizes[0], sizes[-1]), dtype) if direct else None
        return cls(weights, biases, orders, beside, head)

    @property
    def head(self) -> Head:
        """What makes the distribution of one variable of its features."""
        return self.conditional

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.result_type(*self.weights)

    @property
    def _n_hidden(self) -> tuple[int, ...]:
        return tuple(np.shape(w)[1] for w in self.weights[:-1])

    def _all_masks(self, order: Any) -> tuple[tuple[Any, ...], Any]:
        sizes = (self._n_hidden, _inputs(self.head), self.head.n_features)
        order = self._order(order)
        if isinstance(order, tuple):
            return _masks_of(order, *sizes)
        return _masks(np.argsort(order), *sizes)

    def masks(self, order: Any = 0) -> tuple[Any, ...]:
        """Which weights count in an order, layer by layer."""
        return self._all_masks(order)[0]

    def dependencies(self, order: Any = 0) -> np.ndarray[Any, Any]:
        """Entry (i, j): whether variable i may depend on variable j, whatever the weights.

        Rows and columns in the order, it is strictly lower triangular: that is what makes the
        product of the conditionals a distribution.
        """
        masks, beside = self._all_masks(order)
        paths = functools.reduce(lambda a, b: a @ b, (m.astype(int) for m in masks)) > 0
        if self.direct is not None:
            paths = paths | beside
        d = self.n_variables
        return paths.reshape(d, _inputs(self.head), d, -1).any(axis=(1, 3)).T

    def features(self, x: Any, order: Any = 0) -> Any:
        """Raw outputs for every variable, of shape (…, D, n_features).

        Parameters
        ----------
        x : array of shape (…, D)
        order : int or array of shape (D,)
            Which of `orders`; or an order itself, any permutation of 0, …, D − 1. A traced one
            makes one compiled function serve all orders (order-agnostic training).
        """
        given = x = self._encoded(self._states(x))
        masks, beside = self._all_masks(order)
        for w, b, mask in zip(self.weights[:-1], self.biases[:-1], masks[:-1], strict=True):
            x = np.maximum(x @ (w * mask) + b, 0)
        x = x @ (self.weights[-1] * masks[-1]) + self.biases[-1]
        if self.direct is not None:
            x = x + given @ (self.direct * beside)
        return np.reshape(x, (*x.shape[:-1], self.n_variables, self.head.n_features))

    def _encoded(self, x: Any) -> Any:
        """The inputs of the network: class numbers one-hot, all else as it is."""
        if not isinstance(self.head, Categorical):
            return x
        if x.dtype.kind not in "iu":
            raise DtypeError(f"MADE: class numbers are integers, got {x.dtype}")
        k = self.head.n_classes
        one_hot = np.equal(x[..., None], np.arange(k)).astype(self._dtype)
        return np.reshape(one_hot, (*x.shape[:-1], self.n_variables * k))


def _inputs(head: Head) -> int:
    """How many inputs of the network one variable is."""
    return head.n_classes if isinstance(head, Categorical) else 1


def fvsbn(
    rng: np.random.Generator | int,
    n_bits: int,
    orders: int | Orders = 1,
    *,
    dtype: Any = np.float64,
) -> MADE:
    """A fully visible sigmoid belief network: each conditional is a logistic regression.

    `rng` draws orders; the weights start at 0.

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
    return MADE.create(rng, n_bits, orders=orders, dtype=dtype)
