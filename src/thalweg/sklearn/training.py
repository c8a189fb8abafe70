"""What the estimators share: parameters, scaling, and the way to `tw.fit`."""

from __future__ import annotations

import functools
import math
import numbers
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from thalweg.api import value_and_grad
from thalweg.api_compile import compile
from thalweg.errors import NonFiniteError
from thalweg.nn import activations
from thalweg.nn.regularise import l2
from thalweg.optim import Adam, Cosine, Nesterov, minimize_lbfgs
from thalweg.optim.base import Updating
from thalweg.training.batches import Source
from thalweg.training.loop import fit
from thalweg.training.results import Epoch

__all__ = ["Scaling", "Trained", "activation_of", "holdout", "penalised", "weights_of", "widths"]

_MOMENTUM = 0.9
_BATCH = 64  # of batch_size="auto"


def identity(x: Any) -> Any:
    """x: no activation."""
    return x


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "elu": activations.elu,
    "gelu": activations.gelu,
    "identity": identity,
    "leaky_relu": activations.leaky_relu,
    "logistic": activations.sigmoid,
    "relu": activations.relu,
    "silu": activations.silu,
    "softplus": activations.softplus,
    "tanh": activations.tanh,
}
_SOLVERS = ("adam", "sgd", "lbfgs")


def activation_of(choice: Any) -> Callable[[Any], Any]:
    """The function of an activation's name; a function is itself.

    Raises
    ------
    ValueError
        For any other name.
    """
    if callable(choice):
        return choice
    if choice not in _ACTIVATIONS:
        raise ValueError(
            f"activation={choice!r}: it is a function or one of {', '.join(sorted(_ACTIVATIONS))}"
        )
    return _ACTIVATIONS[choice]


def widths(sizes: Any) -> tuple[int, ...]:
    """Hidden layer sizes: a sequence, or one number for one layer.

    Raises
    ------
    ValueError
        For sizes that are no positive integers.
    """
    listed = (sizes,) if isinstance(sizes, numbers.Integral) else tuple(sizes)
    if any(not isinstance(n, numbers.Integral) or n < 1 for n in listed):
        raise ValueError(f"hidden_layer_sizes={sizes!r}: sizes are positive integers")
    return tuple(int(n) for n in listed)


def at_least(owner: Any, lowest: float, *names: str, strict: bool = False) -> None:
    """Refuse numeric parameters that are below a bound (or on it).

    Raises
    ------
    ValueError
        With the name and the value.
    """
    for name in names:
        value = getattr(owner, name)
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not number or not (value > lowest if strict else value >= lowest):
            sign = ">" if strict else "≥"
            raise ValueError(f"{name}={value!r}: it must be a number {sign} {lowest}")


def fraction(name: str, value: Any, zero: bool = False) -> None:
    """Refuse what is not in (0, 1), or [0, 1).

    Raises
    ------
    ValueError
        With the name and the value.
    """
    number = float(value) if isinstance(value, numbers.Real) else math.nan
    if not (0 < number < 1 or (zero and number == 0)):
        raise ValueError(f"{name}={value!r}: it must be a number in {'[' if zero else '('}0, 1)")


@dataclass(frozen=True)
class Scaling:
    """(x − mean)/std, column by column.

    Parameters
    ----------
    mean, std : ndarray
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, w: np.ndarray | None = None, active: bool = True) -> Scaling:
        """That of an array's first axis, with weights; inactive: of mean 0 and std 1."""
        if not active:
            return cls(np.zeros(x.shape[1:], x.dtype), np.ones(x.shape[1:], x.dtype))
        wide = x.astype(np.float64)
        mean = np.average(wide, axis=0, weights=w)
        apart = np.abs(wide - mean)
        widest = np.max(apart, axis=0)
        # What rounding leaves of a constant column is no spread.
        flat = widest <= 10 * np.finfo(x.dtype).eps * np.abs(mean)
        widest = np.where(flat, 1.0, widest)
        std = widest * np.sqrt(np.average((apart / widest) ** 2, axis=0, weights=w))
        std = np.where(flat, 1.0, std)
        return cls(np.asarray(mean, x.dtype), np.asarray(std, x.dtype))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x - self.mean) / self.std

    def undo(self, x: np.ndarray) -> np.ndarray:
        """Back to the units before."""
        return x * self.std + self.mean


def weights_of(sample_weight: Any, x: np.ndarray) -> np.ndarray:
    """Weights of the rows in float64, none of them negative.

    Raises
    ------
    ValueError
        If they do not fit the rows, are negative, or all 0.
    """
    w = _check_sample_weight(sample_weight, x, dtype=np.float64)
    if np.any(w < 0):
        raise ValueError("sample_weight: weights must not be negative")
    if not np.any(w):
        raise ValueError("sample_weight: every weight is 0, so no sample is left")
    return w


def holdout(
    n: int, part: float, rng: np.random.Generator, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows held out; of each label alike, where labels are given.

    Raises
    ------
    ValueError
        If a side would be empty.
    """
    order = rng.permutation(n)
    if labels is not None:
        # Spread evenly: the rows of each label at equal distances in [0, 1).
        _, inverse, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
        grouped = np.argsort(inverse, kind="stable")
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        place = np.empty(n)
        place[grouped] = (np.arange(n) - starts + rng.random(len(counts))[inverse[grouped]]) / (
            np.repeat(counts, counts)
        )
        order = order[np.argsort(place, kind="stable")]
    size = round(part * n)
    if not 0 < size < n:
        raise ValueError(
            f"n_samples = {n}: holding out {part} of them leaves nothing on one side; "
            "there are too few samples"
        )
    return np.sort(order[size:]), np.sort(order[:size])


def penalised(cost: Callable[..., Any], alpha: float) -> Callable[..., Any]:
    """The loss of a batch: the weighted mean of ``cost(net, …)`` a row, and ½ α Σ W²."""

    def loss(net: Any, *batch: Any) -> Any:
        *data, w = batch
        value = np.mean(w * cost(net, *data))
        return value + l2(net, alpha) if alpha else value

    return loss


@functools.lru_cache(maxsize=64)
def _step(cost: Callable[..., Any], rule: Updating, alpha: float) -> Any:
    """One compiled step of `partial_fit`; `cost` and `rule` are equal for equal settings."""
    loss = penalised(cost, alpha)

    def step(state: Any, net: Any, *batch: Any) -> tuple[Any, Any, Any]:
        value, slope = value_and_grad(loss)(net, *batch)
        state, net = rule.update(state, slope, net)
        return state, net, value

    return compile(step)


class _NoProgress:
    """A callback that ends training where the watched loss has stopped falling by `tol`."""

    def __init__(self, watched: str, tol: float, patience: int) -> None:
        self._watched, self._tol, self._patience = watched, tol, patience
        self._best, self._waited = math.inf, 0
        self.stopped = False

    def __call__(self, now: Epoch) -> bool:
        loss = now.history[self._watched][-1]
        self._waited = 0 if loss < self._best - self._tol else self._waited + 1
        self._best = min(self._best, loss)
        self.stopped = self._waited >= self._patience
        return self.stopped


class Trained(BaseEstimator):  # type: ignore[misc]
    """An estimator that is trained: by mini-batches, or by L-BFGS on all rows.

    Its parameters are those of the subclasses that say so; `_train` sets ``loss_``, ``n_iter_``,
    ``loss_curve_`` and, with early stopping, ``validation_curve_``.
    """

    solver: Any
    learning_rate_init: Any
    learning_rate: str
    alpha: float
    batch_size: Any
    max_iter: int
    shuffle: bool
    tol: float
    n_iter_no_change: int
    early_stopping: bool
    validation_fraction: float
    random_state: Any
    verbose: Any

    def _check(self) -> None:
        at_least(self, 0, "alpha", "tol")
        at_least(self, 1, "max_iter", "n_iter_no_change")
        at_least(self, 0, "learning_rate_init", strict=True)
        fraction("validation_fraction", self.validation_fraction)
        if self.batch_size != "auto":
            at_least(self, 1, "batch_size")
        if self.solver not in _SOLVERS and not isinstance(self.solver, Updating):
            raise ValueError(
                f"solver={self.solver!r}: it is one of {', '.join(_SOLVERS)}, or an optimiser of "
                "thalweg.optim"
            )
        if self.learning_rate not in ("constant", "cosine"):
            raise ValueError(f"learning_rate={self.learning_rate!r}: it is constant or cosine")
        if self.early_stopping and self.solver == "lbfgs":
            raise ValueError("early_stopping goes by epochs: solver='lbfgs' has none")

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _rows_a_batch(self, n: int) -> int:
        return min(_BATCH, n) if self.batch_size == "auto" else min(int(self.batch_size), n)

    def _rule(self, steps: int | None = None) -> Updating:
        """The optimiser; `steps` is how long a decaying rate lasts."""
        if isinstance(self.solver, Updating):
            return self.solver
        rate: Any = float(self.learning_rate_init)
        if self.learning_rate == "cosine" and steps is not None:
            rate = Cosine(rate, steps)
        return Adam(rate) if self.solver == "adam" else Nesterov(rate, _MOMENTUM)

    def _train(
        self, net: Any, cost: Callable[..., Any], data: tuple[Any, ...], held: Any, seed: int
    ) -> Any:
        """The trained net; `data` and `held` end with the weights of the rows."""
        loss = penalised(cost, float(self.alpha))
        if self.solver == "lbfgs":
            tolerance = max(float(self.tol), float(np.finfo(float).tiny))
            least = minimize_lbfgs(
                loss, net, *data, tolerance=tolerance, max_iterations=int(self.max_iter)
            )
            self.n_iter_, self.loss_ = max(1, least.iterations), least.value
            if not least.converged:
                self._unfinished(
                    f"the gradient is {least.gradient_norm:.2g} after {self.n_iter_} iterations"
                )
            return least.params
        n = len(data[0])
        size = self._rows_a_batch(n)
        watched = "loss" if held is None else "validation"
        stop = _NoProgress(watched, self.tol, self.n_iter_no_change)
        options: dict[str, Any] = {}
        if held is not None:
            options = {"validation": held, "validation_loss": penalised(cost, 0.0)}
        found = fit(
            net,
            loss,
            data,
            optimiser=self._rule(self.max_iter * -(-n // size)),
            epochs=int(self.max_iter),
            batch_size=size,
            shuffle=bool(self.shuffle),
            seed=seed,
            callbacks=[stop],
            progress=bool(self.verbose),
            **options,
        )
        self.loss_curve_ = found.history["loss"]
        self.n_iter_ = found.epochs
        if held is not None:
            self.validation_curve_ = found.history["validation"]
        if not found.epochs:
            raise KeyboardInterrupt
        self.loss_ = self.loss_curve_[-1]
        if found.interrupted:
            warnings.warn(
                f"training was interrupted after {found.epochs} epochs; what was learned is kept",
                stacklevel=4,
            )
        elif not stop.stopped and self.learning_rate == "constant":
            self._unfinished(f"the loss still fell after max_iter={self.max_iter} epochs")
        return found.model if held is None else found.best

    def _unfinished(self, what: str) -> None:
        warnings.warn(
            f"{type(self).__name__}: {what}; raise max_iter, the rate, or tol",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _pass(self, net: Any, state: Any, cost: Callable[..., Any], data: tuple[Any, ...]) -> Any:
        """One pass of `partial_fit` over the rows: the next state and the net.

        Raises
        ------
        NonFiniteError
            If the loss is; the estimator is as it was.
        """
        rule = self._rule()
        state = rule.init(net) if state is None else state
        step = _step(cost, rule, float(self.alpha))
        done = getattr(self, "n_iter_", 0)
        source = Source(data, self._rows_a_batch(len(data[0])), self._order(), "X")
        total, rows = 0.0, 0
        for count, batch in source.epoch(done):
            state, net, value = step(state, net, *batch)
            total, rows = total + float(value) * count, rows + count
        if not math.isfinite(total):
            raise NonFiniteError(
                f"partial_fit: the loss is {total}; lower the rate, scale the data"
            )
        self.loss_ = total / rows
        self.loss_curve_ = [*getattr(self, "loss_curve_", []), self.loss_]
        self.n_iter_ = done + 1
        return state, net

    def _order(self) -> int | None:
        """The seed of the rows' order in `partial_fit`."""
        return self._seed() if self.shuffle else None
