"""What the estimators of densities share."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from thalweg.sklearn.compat import validate_data
from thalweg.sklearn.trained import DTYPES, Trained

__all__ = ["Generative"]


class Generative(Trained):
    """An estimator whose net is a generative model of scaled rows."""

    def _scaled(self, X: Any) -> np.ndarray:
        """Rows as the net takes them."""
        check_is_fitted(self, "net_")
        return self.scaling_(validate_data(self, X, dtype=DTYPES, reset=False))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draws of rows, of shape (n_samples, features).

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState or None
            None: as the estimator's.
        """
        check_is_fitted(self, "net_")
        if not isinstance(n_samples, numbers.Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r}: it must be an integer ≥ 1")
        rows = self.net_.sample(self._seed(random_state), int(n_samples))
        return np.asarray(self.scaling_.undo(rows))
