"""A perceptron under a head: what classifier and regressor share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from thalweg.heads import Head
from thalweg.nn import MLP
from thalweg.sklearn.compat import validate_data
from thalweg.sklearn.settings import activation_of, widths
from thalweg.sklearn.trained import DTYPES, Trained

__all__ = ["Network"]


@dataclass(frozen=True)
class _Cost:
    """The head's cost of a row."""

    head: Head

    def __call__(self, net: Any, x: Any, y: Any) -> Any:
        return self.head.cost(net(x), y)


class Network(Trained):
    """A perceptron, and a head that reads its outputs."""

    _numeric = False  # whether targets must be numbers
    hidden_layer_sizes: Any
    activation: Any
    head_: Head

    @abstractmethod
    def _targets(self, y: np.ndarray, w: np.ndarray, first: bool) -> np.ndarray:
        """What the head takes for `y`; where it is the first of a fit, it sets `head_` too."""

    def _bias(self, y: np.ndarray, w: np.ndarray, seed: int) -> np.ndarray | None:
        """Where the last layer's bias starts; None: at 0."""
        return None

    def _read(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Checked arrays; the targets as they are given."""
        if y is None:
            raise ValueError(
                f"requires y to be passed, but the target y is None: {type(self).__name__}"
            )
        X, y = validate_data(
            self, X, y, dtype=DTYPES, multi_output=True, y_numeric=self._numeric, reset=reset
        )
        return X, y.toarray() if issparse(y) else np.asarray(y)

    def _columns(self, X: np.ndarray, y: Any, w: np.ndarray, first: bool) -> tuple[np.ndarray, ...]:
        return self.scaling_(X), self._targets(y, w, first)

    def _create(self, columns: tuple[np.ndarray, ...], w: np.ndarray, seed: int) -> MLP:
        X, y = columns
        sizes = (X.shape[1], *widths(self.hidden_layer_sizes), self.head_.n_features)
        net = MLP.create(seed, sizes, activation=activation_of(self.activation), dtype=X.dtype)
        bias = self._bias(y, w, seed)
        if bias is not None:
            net.layers[-1].b[:] = bias
        return net

    def _form(self) -> dict[str, Any]:
        return {
            "hidden_layer_sizes": widths(self.hidden_layer_sizes),
            "activation": activation_of(self.activation),
        }

    def _cost(self) -> Callable[..., Any]:
        return _Cost(self.head_)

    def _raw(self, X: Any) -> np.ndarray:
        """The outputs that the head reads."""
        check_is_fitted(self, "net_")
        return self._outputs(validate_data(self, X, dtype=DTYPES, reset=False))

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.net_(self.scaling_(X)))
