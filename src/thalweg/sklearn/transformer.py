"""A variational autoencoder as a transformer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from thalweg.generative import VAE
from thalweg.heads import Bernoulli, Gaussian
from thalweg.random import key as key_of
from thalweg.sklearn.compat import validate_data
from thalweg.sklearn.generative import Generative
from thalweg.sklearn.rows import Scaling
from thalweg.sklearn.settings import activation_of, at_least, widths
from thalweg.sklearn.trained import DTYPES, all_or_nothing

__all__ = ["VAETransformer"]

_MIN_SCALE = 0.05


@dataclass(frozen=True)
class _Cost:
    """Minus the lower bound of a row, with one draw."""

    beta: float

    def __call__(self, vae: VAE, x: Any, *, key: Any) -> Any:
        return -vae.elbo(x, key=key, beta=self.beta)


class VAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Generative):
    """Rows to codes of a few numbers and back, by a variational autoencoder.

    A code is the mean of q(z|x); `inverse_transform` gives the mean of p(x|z). `score` and
    `sample` see it as a density. See `thalweg.generative.VAE`.

    Parameters
    ----------
    n_components : int
        Numbers in a code.
    head : {"gaussian", "bernoulli"}
        What p(x|z) is: numbers with a learned standard deviation each (at least 0.05 in
        standardised units), or bits (values in [0, 1]; they are not standardised).
    hidden_layer_sizes : int or sequence of int
        Hidden units of the encoder; the decoder has them in reverse.
    beta : float
        Weight of the divergence from the prior. Below 1 codes are used more, and the loss is no
        bound any more.
    activation, learning_rate_init, learning_rate, alpha, batch_size, max_iter, shuffle
        As of `NetClassifier`.
    solver : {"adam", "sgd"} or an optimiser of `thalweg.optim`
    tol, n_iter_no_change, early_stopping, validation_fraction
        As of `NetClassifier`. One draw a row makes the loss noisy: the rate falls by default.
    standardise, warm_start, random_state, verbose
        As of `NetClassifier`.

    Attributes
    ----------
    net_ : thalweg.generative.VAE
        The two networks: a tree of their weights.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.
    n_iter_ : int
        Epochs of the last fit.
    loss_ : float
    loss_curve_ : list of float
        One number an epoch, in standardised units.
    validation_curve_ : list of float
        The same of the rows that `early_stopping` holds out; without it there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from thalweg.sklearn import VAETransformer
    >>> X = load_iris().data
    >>> vae = VAETransformer(2, hidden_layer_sizes=(32,), max_iter=500, random_state=0).fit(X)
    >>> Z = vae.transform(X)
    >>> Z.shape, bool(np.mean((vae.inverse_transform(Z) - X) ** 2) < 0.3 * np.mean(np.var(X, 0)))
    ((150, 2), True)
    >>> vae.get_feature_names_out().tolist()
    ['vaetransformer0', 'vaetransformer1']
    """

    def __init__(
        self,
        n_components: int = 2,
        head: str = "gaussian",
        *,
        hidden_layer_sizes: Any = (100,),
        beta: float = 1.0,
        activation: Any = "relu",
        solver: Any = "adam",
        learning_rate_init: float = 0.01,
        learning_rate: str = "cosine",
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
        self.n_components = n_components
        self.head = head
        self.hidden_layer_sizes = hidden_layer_sizes
        self.beta = beta
        self.activation = activation
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
    def fit(self, X: Any, y: Any = None) -> VAETransformer:
        """Train.

        Parameters
        ----------
        X : array of shape (n, features)
        y : ignored

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
        self._fit(validate_data(self, X, dtype=DTYPES), None, None)
        return self

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any = None) -> VAETransformer:
        """One pass over these rows; the first call's rows fix the standardisation.

        Parameters
        ----------
        X : array of shape (n, features)
        y : ignored

        Returns
        -------
        self
        """
        first = not hasattr(self, "net_")
        self._partial(validate_data(self, X, dtype=DTYPES, reset=first), None, None, first)
        return self

    def _check(self) -> None:
        super()._check()
        at_least(self, 1, "n_components", whole=True)
        at_least(self, 0, "beta")
        if self.head not in ("gaussian", "bernoulli"):
            raise ValueError(f"head={self.head!r}: it is gaussian or bernoulli")
        if self.solver == "lbfgs":
            raise ValueError("solver='lbfgs' needs a loss without noise; this one draws codes")

    def _columns(self, X: np.ndarray, y: Any, w: np.ndarray, first: bool) -> tuple[np.ndarray, ...]:
        if self.head == "bernoulli":
            if np.any((X < 0) | (X > 1)):
                raise ValueError("head='bernoulli': the numbers are in [0, 1]; scale them first")
            self.scaling_ = Scaling.of(X, active=False)
        return (self.scaling_(X),)

    def _create(self, columns: tuple[np.ndarray, ...], w: np.ndarray, seed: int) -> VAE:
        (X,) = columns
        event = X.shape[1:]
        bits = self.head == "bernoulli"
        return VAE.create(
            seed,
            Bernoulli(event=event) if bits else Gaussian(event=event, min_scale=_MIN_SCALE),
            self.n_components,
            widths(self.hidden_layer_sizes),
            activation=activation_of(self.activation),
            dtype=X.dtype,
        )

    def _form(self) -> dict[str, Any]:
        return {
            "n_components": int(self.n_components),
            "head": self.head,
            "hidden_layer_sizes": widths(self.hidden_layer_sizes),
            "activation": activation_of(self.activation),
        }

    def _cost(self) -> Callable[..., Any]:
        return _Cost(float(self.beta))

    def transform(self, X: Any) -> np.ndarray:
        """Codes of the rows, of shape (n, n_components): the means of q(z|x)."""
        return np.asarray(self.net_.encode(self._scaled(X)).mean)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Rows of codes, of shape (n, features): the means of p(x|z)."""
        check_is_fitted(self, "net_")
        Z = check_array(X, dtype=DTYPES)
        if Z.shape[1] != self.net_.n_latent:
            raise ValueError(
                f"X has {Z.shape[1]} features; a code has {self.net_.n_latent}, n_components"
            )
        return np.asarray(self.scaling_.undo(np.asarray(self.net_.decode(Z).mean)))

    def score(self, X: Any, y: Any = None, draws: int = 100) -> float:
        """Mean lower bound of the log-likelihood, in nats a row, importance-weighted.

        Parameters
        ----------
        X : array of shape (n, features)
        y : ignored
        draws : int
            Of the code of each row: with more of them the bound is tighter.
        """
        bound = self.net_.bound(self._scaled(X), draws, key=key_of(0))
        return float(np.mean(bound) - np.sum(np.log(self.scaling_.std)))

    @property
    def _n_features_out(self) -> int:
        return int(self.net_.n_latent)

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn 1.5
        return {"preserves_dtype": [np.float64, np.float32]}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
