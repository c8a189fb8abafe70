"""A perceptron under a head: what classifier and regressor share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from thalweg.heads import Head
from thalweg.nn import MLP
from thalweg.sklearn.compat import validate_data
from thalweg.sklearn.training import (
    Scaling,
    Trained,
    activation_of,
    holdout,
    weights_of,
    widths,
)

__all__ = ["Network"]

_DTYPES = (np.float64, np.float32)


@dataclass(frozen=True)
class _Cost:
    """The head's cost of a row; equal for equal heads."""

    head: Head

    def __call__(self, net: Any, x: Any, y: Any) -> Any:
        return self.head.cost(net(x), y)


class Network(Trained):
    """Fitting, partial fitting and raw outputs of a perceptron whose outputs a head reads."""

    _numeric = False  # whether targets must be numbers
    hidden_layer_sizes: Any
    activation: Any
    standardise: bool
    head_: Head
    warm_start: bool

    @abstractmethod
    def _targets(self, y: np.ndarray, w: np.ndarray, first: bool) -> np.ndarray:
        """What the head takes for `y`; where it is the first of a fit, it sets `head_` too."""

    @abstractmethod
    def _weighted(self, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        """The weights of the rows with those of their targets."""

    @abstractmethod
    def _labels(self, y: np.ndarray) -> np.ndarray | None:
        """What a holdout is balanced by."""

    @abstractmethod
    def _bias(self, y: np.ndarray, seed: int) -> np.ndarray | None:
        """Where the last layer's bias starts; None: at 0."""

    def _read(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Checked arrays; the targets as they are given."""
        if y is None:
            raise ValueError(
                f"requires y to be passed, but the target y is None: {type(self).__name__}"
            )
        X, y = validate_data(
            self, X, y, dtype=_DTYPES, multi_output=True, y_numeric=self._numeric, reset=reset
        )
        return X, y.toarray() if issparse(y) else np.asarray(y)

    def _fit(self, X: np.ndarray, y: np.ndarray, sample_weight: Any) -> Any:
        """Train on all rows, from scratch or, with a warm start, from where it is."""
        self._check()
        warm = bool(self.warm_start) and hasattr(self, "net_")
        w = self._weighted(y, weights_of(sample_weight, X))
        kept = np.flatnonzero(w)  # a row of weight 0 is as good as not there
        rows, w = X[kept], w[kept]
        w = (w / np.mean(w)).astype(X.dtype)
        if not warm:
            self.scaling_ = Scaling.of(rows, w, self.standardise)
        targets = self._targets(y[kept], w, not warm)
        seed = self._seed()
        if not warm:
            self.net_ = self._create(rows, targets, seed)
            self._state = None
        rows = self.scaling_(rows)
        data: tuple[np.ndarray, ...] = (rows, targets, w)
        rest = None
        if self.early_stopping:
            inside, outside = holdout(
                len(rows),
                self.validation_fraction,
                np.random.default_rng(seed),
                self._labels(targets),
            )
            rest = tuple(np.ascontiguousarray(a[outside]) for a in data)
            data = tuple(np.ascontiguousarray(a[inside]) for a in data)
        self.net_ = self._train(self.net_, _Cost(self.head_), data, rest, seed)
        return data if rest is None else rest

    def _partial(self, X: np.ndarray, y: np.ndarray, sample_weight: Any, first: bool) -> Any:
        """One pass over these rows; the first one fixes the scaling."""
        self._check()
        if self.solver == "lbfgs":
            raise ValueError("partial_fit goes by mini-batches: solver='lbfgs' takes all rows")
        w = self._weighted(y, weights_of(sample_weight, X)).astype(X.dtype)
        if first:
            self.scaling_ = Scaling.of(X, w, self.standardise)
        targets = self._targets(y, w, first)
        if first:
            self.net_ = self._create(X, targets, self._seed())
            self._state = None
            self.n_iter_, self.loss_curve_ = 0, []
        data = (self.scaling_(X), targets, w)
        self._state, self.net_ = self._pass(self.net_, self._state, _Cost(self.head_), data)
        return data

    def _create(self, X: np.ndarray, y: np.ndarray, seed: int) -> MLP:
        sizes = (X.shape[1], *widths(self.hidden_layer_sizes), self.head_.n_features)
        net = MLP.create(seed, sizes, activation=activation_of(self.activation), dtype=X.dtype)
        bias = self._bias(y, seed)
        if bias is not None:
            net.layers[-1].b[:] = bias
        return net

    def _raw(self, X: Any) -> np.ndarray:
        """The outputs that the head reads."""
        check_is_fitted(self, "net_")
        return self._outputs(validate_data(self, X, dtype=_DTYPES, reset=False))

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.net_(self.scaling_(X)))
