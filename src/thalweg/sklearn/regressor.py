"""A perceptron that predicts a distribution of numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from thalweg.heads import (
    Categorical,
    Distribution,
    Gaussian,
    Head,
    Laplace,
    MixtureDensity,
    MultivariateGaussianDistribution,
    Poisson,
    StudentT,
)
from thalweg.heads.location_scale import LocationScaleHead
from thalweg.sklearn.network import Network
from thalweg.sklearn.rows import Scaling, evenly, holdout, weights_of
from thalweg.sklearn.settings import fraction
from thalweg.sklearn.trained import all_or_nothing

__all__ = ["NetRegressor"]

_HEADS: dict[str, Callable[[tuple[int, ...]], Head]] = {
    "gaussian": lambda event: Gaussian(event=event),
    "laplace": lambda event: Laplace(event=event),
    "mixture": lambda event: MixtureDensity(5, event=event),
    "multivariate": lambda event: Gaussian("full", event=event),
    "poisson": lambda event: Poisson(event=event),
    "squared_error": lambda event: Gaussian("fixed", event=event),
    "student": lambda event: StudentT(event=event),
}


class NetRegressor(RegressorMixin, Network):
    """Multilayer perceptron with an output unit of `thalweg.heads`: a distribution a row.

    The parameters have the names and meanings of scikit-learn's `MLPRegressor` where it has them.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer; ``()``: linear regression.
    head : str or Head
        ``"gaussian"`` (mean and standard deviation learned), ``"squared_error"`` (Gaussian, one
        standard deviation: that of the residuals), ``"laplace"``, ``"student"``, ``"mixture"``
        (five components), ``"multivariate"`` (Gaussian with a covariance, for several outputs),
        ``"poisson"`` for counts; or a head as ``MixtureDensity(20, min_scale=0.01)``. Its `event`
        follows `y`.
    activation, solver, learning_rate_init, learning_rate, alpha, batch_size, max_iter, shuffle
        As of `NetClassifier`.
    tol, n_iter_no_change, early_stopping, validation_fraction
        As of `NetClassifier`.
    calibration_fraction : float
        In [0, 1). Hold out so many rows, and widen or narrow `predict_interval` by what they say:
        split conformal prediction. Rows that are like them are then covered with at least the
        stated probability, whatever the distribution. 0: the head's own intervals.
    standardise : bool
        Inputs and targets (not counts) to mean 0 and standard deviation 1 first; the predictions
        are in the units of `y`. A head's `min_scale` is in standardised units.
    warm_start, random_state, verbose
        As of `NetClassifier`.

    Attributes
    ----------
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.
    net_ : thalweg.nn.MLP
        The network: a tree of its weights.
    head_ : thalweg.heads.Head
    noise_ : float or None
        The standard deviation of ``head="squared_error"``, in standardised units.
    n_iter_ : int
        Epochs (iterations) of the last fit.
    loss_ : float
    loss_curve_ : list of float
        One number an epoch, in standardised units; L-BFGS has none.
    validation_curve_ : list of float
        The same of the rows that `early_stopping` holds out; without it there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.sklearn import NetRegressor
    >>> X = np.linspace(0, 1, 200)[:, None]
    >>> y = np.where(np.arange(200) % 2, 1.0, -1.0) + 0.05 * np.sin(20 * X[:, 0])
    >>> net = NetRegressor((16,), "mixture", learning_rate="cosine", random_state=0).fit(X, y)
    >>> p = net.predict_dist(X[:1])
    >>> bool(p.log_prob(1.0)[0] > p.log_prob(0.0)[0] + 10)
    True
    """

    _numeric = True
    head_: Head
    noise_: float | None

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        head: Any = "gaussian",
        activation: Any = "relu",
        *,
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
        calibration_fraction: float = 0.0,
        standardise: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.head = head
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
        self.calibration_fraction = calibration_fraction
        self.standardise = standardise
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetRegressor:
        """Train.

        Parameters
        ----------
        X : array of shape (n, features)
        y : array of shape (n,) or (n, outputs)
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
        fraction("calibration_fraction", self.calibration_fraction, zero=True)
        X, y = self._read(X, y, reset=True)
        self._calibration: Any = None
        if not self.calibration_fraction:
            self._finish(*self._fit(X, y, sample_weight))
            return self
        w = weights_of(sample_weight, X)
        kept = np.flatnonzero(w)  # a row of weight 0 calibrates nothing either
        X, y, w = X[kept], y[kept], w[kept]
        rng = np.random.default_rng(self._seed())
        inside, outside = holdout(len(X), self.calibration_fraction, rng)
        self._finish(*self._fit(X[inside], y[inside], w[inside]))
        self._calibration = self._dist(self._outputs(X[outside])), y[outside]
        return self

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetRegressor:
        """One pass over these rows; the optimiser's state is kept between calls.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`. The first call's rows fix the standardisation.

        Returns
        -------
        self
        """
        if self.calibration_fraction:
            raise ValueError("partial_fit holds no rows out: calibration_fraction must be 0")
        first = not hasattr(self, "net_")
        X, y = self._read(X, y, reset=first)
        self._calibration = None
        self._finish(*self._partial(X, y, sample_weight, first))
        return self

    def _finish(self, X: np.ndarray, y: np.ndarray, w: np.ndarray) -> None:
        """The one standard deviation of a head that does not learn it."""
        if self.head != "squared_error":
            self.noise_ = None
            return
        residuals = y - np.asarray(self.net_(X)).reshape(y.shape)
        squares = np.mean(residuals.reshape(len(y), -1) ** 2, axis=1)
        spread = math.sqrt(np.average(squares, weights=w))
        self.noise_ = max(spread, float(np.finfo(X.dtype).eps))

    def encode(self, y: Any) -> np.ndarray:
        """Targets as the predicted distributions take them: as they are."""
        return np.asarray(y)

    def _targets(self, y: np.ndarray, w: np.ndarray, first: bool) -> np.ndarray:
        if first:
            self.head_ = self._head(y.shape[1:])
            scaled = self.standardise and isinstance(self.head_, LocationScaleHead)
            self.target_scaling_ = Scaling.of(y.astype(w.dtype), w, scaled)
        if y.shape[1:] != self.head_.event:
            raise ValueError(
                f"y has shape {y.shape}; the earlier fit had targets of shape {self.head_.event}"
            )
        if not first and repr(self._head(y.shape[1:])) != repr(self.head_):
            raise ValueError(f"head={self.head!r}: the earlier fit had {self.head_!r}")
        return self.target_scaling_(y.astype(w.dtype))

    def _head(self, event: tuple[int, ...]) -> Head:
        if isinstance(self.head, str) and self.head in _HEADS:
            return _HEADS[self.head](event)
        if not isinstance(self.head, Head):
            raise ValueError(
                f"head={self.head!r}: it is one of {', '.join(_HEADS)}, or a head of thalweg.heads"
            )
        if isinstance(self.head, Categorical):
            raise ValueError(
                f"head={self.head!r}: targets are numbers; NetClassifier is for classes"
            )
        if self.head.event not in ((), event):
            raise ValueError(f"head={self.head!r}: its event does not fit targets of shape {event}")
        return dataclasses.replace(self.head, event=event)

    def _bias(self, y: np.ndarray, w: np.ndarray, seed: int) -> np.ndarray | None:
        head = self.head_
        return head.start(evenly(y, w), seed) if isinstance(head, MixtureDensity) else None

    def predict_dist(self, X: Any) -> Distribution:
        """The predicted distributions, one a row: ask them for what you want to know."""
        return self._dist(self._raw(X))

    def _dist(self, raw: np.ndarray) -> Distribution:
        """The distributions of raw outputs, in the units of `y`."""
        head: Any = self.head_
        if self.noise_ is not None:
            head = dataclasses.replace(head, scale=self.noise_)
        p: Any = head(raw)
        if not isinstance(head, LocationScaleHead):
            return p
        scaling = self.target_scaling_
        moved = {"loc": scaling.undo(p.loc)}
        if isinstance(p, MultivariateGaussianDistribution):
            moved["cholesky"] = p.cholesky * scaling.std[:, None]
        else:
            moved["scale"] = p.scale * scaling.std
        return dataclasses.replace(p, **moved)

    def predict(self, X: Any) -> np.ndarray:
        """The means of the predicted distributions."""
        return np.asarray(self.predict_dist(X).mean)

    def predict_interval(self, X: Any, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of intervals that hold a target with probability `level`.

        The central interval of the predicted distribution. With `calibration_fraction` both ends
        are moved by a multiple of its width, such that it holds ⌈(n + 1) level⌉ of the n held-out
        rows (Sesia, Candès, A comparison of some conformal quantile regression methods, 2020:
        CQR-r). It is the same multiple for all rows, and one an output.

        Parameters
        ----------
        X : array of shape (n, features)
        level : float

        Returns
        -------
        tuple of ndarray
            Of shape (n,) or (n, outputs) each.

        Raises
        ------
        ValueError
            For a level outside (0, 1), or one that the held-out rows are too few for.
        """
        fraction("level", level)
        p = self.predict_dist(X)
        low, high = (np.asarray(end) for end in p.interval(level))
        if self._calibration is None:
            return low, high
        move = self._excess(level) * _width(p, low, high)
        return low - move, high + move

    def _excess(self, level: float) -> np.ndarray:
        """By what part of their widths held-out intervals must grow to hold enough targets."""
        p, y = self._calibration
        needed = math.ceil((len(y) + 1) * level)
        if needed > len(y):
            raise ValueError(
                f"level={level}: the {len(y)} held-out rows are too few to calibrate it; "
                f"{math.ceil(level / (1 - level))} are needed. Raise calibration_fraction."
            )
        low, high = (np.asarray(end) for end in p.interval(level))
        outside = np.maximum(low - y, y - high) / _width(p, low, high)
        return np.sort(outside, axis=0)[needed - 1]

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn 1.5
        return {"multioutput": True}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _width(p: Distribution, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Widths of intervals; of counts, how many there are in them."""
    return high - low + p.discrete
