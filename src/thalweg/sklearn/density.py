"""A masked autoencoder as a density estimator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import DensityMixin

from thalweg.generative import MADE
from thalweg.heads import Bernoulli, Categorical, Gaussian, Head, Laplace, MixtureDensity
from thalweg.heads.location_scale import LocationScaleHead
from thalweg.sklearn.compat import validate_data
from thalweg.sklearn.generative import Generative
from thalweg.sklearn.rows import Scaling, evenly, weights_of
from thalweg.sklearn.settings import at_least, widths
from thalweg.sklearn.trained import DTYPES, all_or_nothing

__all__ = ["MADEDensity"]


def _cost(model: MADE, x: Any) -> Any:
    """The negative log-likelihood of a row."""
    return -model.log_prob(x)


class MADEDensity(DensityMixin, Generative):
    """Density of rows, exact: p(x) = Π p(xᵢ | the features before it), by a masked network.

    Used like `sklearn.mixture.GaussianMixture`. See `thalweg.generative.MADE`.

    Parameters
    ----------
    head : {"mixture", "gaussian", "laplace", "bernoulli"} or Head
        The distribution of a feature given those before it: a mixture of five Gaussians, …, bits
        (0 and 1, not standardised); or a head of one number as ``MixtureDensity(10)``, whose
        `min_scale` is in standardised units.
    hidden_layer_sizes : int or sequence of int
        ``()``: the conditionals' parameters are linear in the features before.
    orders : int
        How many orders of the features; the density is the mean of theirs. The first is that of
        the columns.
    solver, learning_rate_init, learning_rate, alpha, batch_size, max_iter, shuffle
        As of `NetClassifier`.
    tol, n_iter_no_change, early_stopping, validation_fraction
        As of `NetClassifier`.
    standardise, warm_start, random_state, verbose
        As of `NetClassifier`.

    Attributes
    ----------
    net_ : thalweg.generative.MADE
        A tree of its weights.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.
    n_iter_ : int
        Epochs (iterations) of the last fit.
    loss_ : float
    loss_curve_ : list of float
        One number an epoch, in standardised units; L-BFGS has none.
    validation_curve_ : list of float
        The same of the rows that `early_stopping` holds out; without it there is none.

    Examples
    --------
    Two moons are no mixture of two Gaussians:

    >>> from sklearn.datasets import make_moons
    >>> from sklearn.mixture import GaussianMixture
    >>> from thalweg.sklearn import MADEDensity
    >>> X, _ = make_moons(2000, noise=0.05, random_state=0)
    >>> made = MADEDensity(learning_rate="cosine", max_iter=50, random_state=0).fit(X[:1000])
    >>> other = GaussianMixture(2, random_state=0).fit(X[:1000])
    >>> bool(made.score(X[1000:]) > other.score(X[1000:]) + 0.5)
    True
    >>> made.sample(3).shape
    (3, 2)
    """

    def __init__(
        self,
        head: Any = "mixture",
        *,
        hidden_layer_sizes: Any = (100,),
        orders: int = 1,
        solver: Any = "adam",
        learning_rate_init: float = 0.003,
        learning_rate: str = "constant",
        alpha: float = 1e-4,
        batch_size: Any = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        standardise: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.head = head
        self.hidden_layer_sizes = hidden_layer_sizes
        self.orders = orders
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.standardise = standardise
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> MADEDensity:
        """Train.

        Parameters
        ----------
        X : array of shape (n, features)
        y : ignored
        sample_weight : array of shape (n,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For data or parameters that will not do.
        NonFiniteError
            If the loss becomes NaN or Inf; it names the operation.
        """
        self._fit(validate_data(self, X, dtype=DTYPES), None, sample_weight)
        return self

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> MADEDensity:
        """One pass over these rows; the first call's rows fix the standardisation.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.

        Returns
        -------
        self
        """
        first = not hasattr(self, "net_")
        X = validate_data(self, X, dtype=DTYPES, reset=first)
        self._partial(X, None, sample_weight, first)
        return self

    def _check(self) -> None:
        super()._check()
        at_least(self, 1, "orders", whole=True)
        self._head()

    def _head(self) -> Head:
        heads = {
            "bernoulli": Bernoulli(),
            "gaussian": Gaussian(),
            "laplace": Laplace(),
            "mixture": MixtureDensity(5),
        }
        head = heads.get(self.head) if isinstance(self.head, str) else self.head
        if not isinstance(head, Head) or head.event != ():
            raise ValueError(
                f"head={self.head!r}: it is one of {', '.join(heads)}, or a head of one number"
            )
        if isinstance(head, Categorical):
            raise ValueError(
                f"head={head!r}: features are numbers here; of class numbers use "
                "thalweg.generative.MADE"
            )
        return head

    def _columns(self, X: np.ndarray, y: Any, w: np.ndarray, first: bool) -> tuple[np.ndarray, ...]:
        head = self._head()
        if not isinstance(head, LocationScaleHead):
            if isinstance(head, Bernoulli) and np.any((X != 0) & (X != 1)):
                raise ValueError("head='bernoulli': the features are bits, 0 or 1")
            self.scaling_ = Scaling.of(X, active=False)
        return (self.scaling_(X),)

    def _create(self, columns: tuple[np.ndarray, ...], w: np.ndarray, seed: int) -> MADE:
        (X,) = columns
        head, d = self._head(), X.shape[1]
        hidden = widths(self.hidden_layer_sizes)
        model = MADE.create(seed, d, hidden, int(self.orders), head=head, dtype=X.dtype)
        if not isinstance(head, MixtureDensity):
            return model
        starts = np.concatenate([head.start(evenly(X[:, i], w), seed) for i in range(d)])
        biases = (*model.biases[:-1], starts.astype(X.dtype))
        return dataclasses.replace(model, biases=biases)

    def _form(self) -> dict[str, Any]:
        return {
            "head": repr(self._head()),
            "hidden_layer_sizes": widths(self.hidden_layer_sizes),
            "orders": int(self.orders),
        }

    def _cost(self) -> Callable[..., Any]:
        return _cost

    def score_samples(self, X: Any) -> np.ndarray:
        """Logarithm of the density of each row (of bits: of the probability), exactly."""
        logs = np.asarray(self.net_.log_prob(self._scaled(X)))
        return logs - np.sum(np.log(self.scaling_.std))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean of `score_samples`: log-likelihood in nats a row.

        Parameters
        ----------
        X : array of shape (n, features)
        y : ignored
        sample_weight : array of shape (n,), optional
        """
        logs = self.score_samples(X)
        return float(np.average(logs, weights=weights_of(sample_weight, logs)))
