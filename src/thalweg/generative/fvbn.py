"""Fully visible belief networks: p(x) = Π p(xᵢ | the variables before it in an order), exactly.

What all of them share; the networks that compute the conditionals are `MADE`, `fvsbn`, `NADE`.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.errors import ShapeError, UserError
from thalweg.generative.data import real
from thalweg.heads.bernoulli import Bernoulli
from thalweg.heads.categorical import Categorical
from thalweg.heads.distribution import Distribution, draws, outside_of_traces, within
from thalweg.heads.head import Head
from thalweg.random import generator
from thalweg.scipy.special import logsumexp
from thalweg.tree import flatten

__all__ = ["FVBN", "Orders", "as_orders"]

Orders = tuple[tuple[int, ...], ...]


class FVBN(ABC):
    """A fully visible belief network: a tree of its weights.

    The chain rule makes a distribution of any network whose outputs for a variable depend on the
    variables before it in the order, on no other: the Jacobian of its conditionals is strictly
    triangular. Several orders make a mixture of as many models that share the weights.

    Source: Frey, Graphical Models for Machine Learning and Digital Communication (1998).
    """

    orders: Orders

    @property
    @abstractmethod
    def head(self) -> Head:
        """What makes the distribution of one variable of its features."""

    @property
    @abstractmethod
    def _dtype(self) -> np.dtype[Any]:
        """Of the weights."""

    @abstractmethod
    def features(self, x: Any, order: Any = 0) -> Any:
        """Raw outputs for every variable, of shape (…, D, n_features).

        Parameters
        ----------
        x : array of shape (…, D)
        order : int or array of shape (D,)
            Which of `orders`; or an order itself, any permutation of 0, …, D − 1. A traced one
            makes one compiled function serve all orders.
        """

    @property
    @abstractmethod
    def _n_hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""

    @property
    def n_variables(self) -> int:
        """D."""
        return len(self.orders[0])

    def __repr__(self) -> str:
        d, orders = self.n_variables, len(self.orders)
        count = sum(int(np.size(leaf)) for leaf in flatten(self)[0])
        return (
            f"{type(self).__name__}({d} variables, hidden {self._n_hidden}, {self.head!r}, "
            f"{orders} order{'s' * (orders > 1)}, {count} parameters)"
        )

    def conditionals(self, x: Any, order: Any = 0) -> Distribution:
        """The distribution of every variable, given the variables of `x` before it.

        Parameters
        ----------
        x : array of shape (…, D)
        order : int or array of shape (D,)
            As of `features`.

        Returns
        -------
        Distribution
            Of batch shape (…, D) and event shape ().
        """
        return self.head(self.features(x, order))

    def log_prob(self, x: Any, order: Any = None) -> Any:
        """Exact log-probability (log-density) of each row.

        Parameters
        ----------
        x : array of shape (…, D)
            What the conditionals are of: bits, class numbers, counts, numbers.
        order : int or array of shape (D,), optional
            As of `features`; by default the mixture over all of `orders`.

        Returns
        -------
        array of shape (…)

        Raises
        ------
        ShapeError
            For rows of another length.
        UserError
            For what has no probability, such as numbers between 0 and 1 in the place of bits: those
            before a variable go into its conditional too, and no mean over bits is left of it.
        """
        x = self._states(x)
        if isinstance(self.head, Bernoulli):
            within(
                (x > 0) & (x < 1),
                f"{type(self).__name__}.log_prob: states are bits, 0 or 1, not between them.\n"
                "  Grey values are probabilities of bits: draw these, rng.random(x.shape) < x.",
            )
        chosen = range(len(self.orders)) if order is None else (order,)
        each = [np.sum(self.conditionals(x, k).log_prob(x), axis=-1) for k in chosen]
        if len(each) == 1:
            return each[0]
        return logsumexp(np.stack(each), axis=0) - math.log(len(each))

    def nll(self, x: Any, order: Any = None) -> Any:
        """Negative log-likelihood of each row: the cost. Its mean is what training lowers."""
        return -self.log_prob(x, order)

    def sample(self, rng: np.random.Generator | int, n: int) -> np.ndarray[Any, Any]:
        """Ancestral sampling: variable after variable, each row in one of the orders.

        Parameters
        ----------
        rng : numpy.random.Generator or int
            The generator, or the seed of one.
        n : int
            How many rows.

        Returns
        -------
        ndarray of shape (n, D)

        Raises
        ------
        TracingError
            In a trace: the generator would be asked once.
        """
        outside_of_traces(self, "sample")
        n, rng = draws(self, n), generator(rng)
        whole = isinstance(self.head, Categorical)
        x = np.zeros((n, self.n_variables), np.int64 if whole else self._dtype)
        chosen = rng.integers(len(self.orders), size=n)
        for k in range(len(self.orders)):
            rows = np.flatnonzero(chosen == k)
            part = x[rows]
            if len(rows):
                self._draw(rng, part, k)
            x[rows] = part
        return x

    def _order(self, order: Any) -> Any:
        """One of `orders`, as a tuple; or the order that is given, as an array.

        Raises
        ------
        UserError
            If it is neither: it would make no distribution. Of a traced one the shape is asked.
        """
        d, n = self.n_variables, len(self.orders)
        if isinstance(order, (int, np.integer)):
            if not 0 <= order < n:
                raise UserError(f"{type(self).__name__}: order {order} of orders 0, …, {n - 1}")
            return self.orders[order]
        order = order if isinstance(order, Array) else np.asarray(order)
        fits = order.shape == (d,) and order.dtype.kind in "iu"
        if not fits or not (isinstance(order, Array) or np.all(np.sort(order) == np.arange(d))):
            raise UserError(
                f"{type(self).__name__}: an order is a permutation of 0, …, {d - 1}, got {order!r}"
            )
        return order

    def _draw(self, rng: np.random.Generator, x: np.ndarray[Any, Any], order: int) -> None:
        """Fill rows in place, in one of the orders."""
        for i in self.orders[order]:
            x[:, i] = self.head(self.features(x, order)[:, i]).sample(rng)

    def _states(self, x: Any) -> Any:
        """Rows as an array; bits and counts as numbers of the weights' dtype."""
        x = real(self, x)
        if x.ndim == 0 or x.shape[-1] != self.n_variables:
            raise ShapeError(
                f"{type(self).__name__}: states have shape (…, {self.n_variables}), got {x.shape}"
            )
        if x.dtype.kind == "f" or isinstance(self.head, Categorical):
            return x
        return x.astype(self._dtype)


def as_orders(owner: str, rng: np.random.Generator, n: int, orders: int | Orders) -> Orders:
    """Orders as tuples: those given, or so many: 0, …, n − 1 and others drawn.

    Raises
    ------
    UserError
        For one that is no permutation of 0, …, n − 1, or none at all.
    """
    if isinstance(orders, (int, np.integer)):
        drawn = [rng.permutation(n).tolist() for _ in range(orders - 1)]
        orders = (tuple(range(n)), *map(tuple, drawn))[: max(orders, 0)]
    try:
        found = tuple(tuple(operator.index(i) for i in order) for order in orders)
    except TypeError:  # not orders: one of them, a number; or no integers
        found = ()
    if not found or any(sorted(order) != list(range(n)) for order in found):
        raise UserError(
            f"{owner}: orders are permutations of 0, …, {n - 1}, or how many; one at least: "
            f"{orders!r}"
        )
    return found
