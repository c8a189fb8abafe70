"""What the estimators share: parameters of the training, and the way to `tw.fit`."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from thalweg.api_compile import compile
from thalweg.errors import NonFiniteError
from thalweg.nn.regularise import l2
from thalweg.optim import Adam, Cosine, Nesterov, minimize_lbfgs
from thalweg.optim.base import Updating
from thalweg.sklearn.rows import Scaling, holdout, weights_of
from thalweg.sklearn.settings import at_least, fraction
from thalweg.training.batches import Source
from thalweg.training.loop import fit
from thalweg.training.results import Epoch
from thalweg.training.step import Options, step

__all__ = ["DTYPES", "Trained", "all_or_nothing"]

DTYPES = (np.float64, np.float32)
_P = ParamSpec("_P")
_R = TypeVar("_R")
_SOLVERS = ("adam", "sgd", "lbfgs")
_MOMENTUM = 0.9
_BATCH = 64  # of batch_size="auto"


def _penalised(cost: Callable[..., Any], alpha: float) -> Callable[..., Any]:
    """The loss of a batch: the weighted mean of ``cost(net, …)`` a row, and ½ α Σ W².

    The weights of the rows are the last array of the batch. A cost with a parameter ``key`` draws.
    """

    def loss(net: Any, *batch: Any, **options: Any) -> Any:
        *data, w = batch
        value = np.mean(w * cost(net, *data, **options))
        return value + l2(net, alpha) if alpha else value

    def drawing(net: Any, *batch: Any, key: Any) -> Any:
        return loss(net, *batch, key=key)

    return drawing if "key" in inspect.signature(cost).parameters else loss


@functools.lru_cache(maxsize=64)
def _step(cost: Callable[..., Any], rule: Updating, alpha: float) -> Any:
    """One compiled step of `partial_fit`; `cost` and `rule` are equal for equal settings."""
    return compile(step(_penalised(cost, alpha), rule))


def all_or_nothing(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """A method that leaves its estimator as it was where it fails or is interrupted.

    Else classes or scaling of the new data would stand beside the net of the old.
    """

    @functools.wraps(method)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        attributes = vars(args[0])
        before = dict(attributes)
        try:
            return method(*args, **kwargs)
        except BaseException:
            attributes.clear()
            attributes.update(before)
            raise

    return guarded


class _NoProgress:
    """A callback that ends training where the watched loss has stopped falling by `tol`."""

    def __init__(self, watched: str, owner: Trained) -> None:
        self._watched = watched
        self._tol, self._patience = owner.tol, owner.n_iter_no_change
        self._best, self._waited = math.inf, 0
        self.stopped = False

    def __call__(self, now: Epoch) -> bool:
        loss = now.history[self._watched][-1]
        self._waited = 0 if loss < self._best - self._tol else self._waited + 1
        self._best = min(self._best, loss)
        self.stopped = self._waited >= self._patience
        return self.stopped


class Trained(BaseEstimator):
    """An estimator that is trained: by mini-batches, or by L-BFGS on all rows.

    Its parameters are those of the subclasses that say so; training sets ``loss_``, ``n_iter_``,
    by epochs ``loss_curve_`` and, with early stopping, ``validation_curve_``.
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
    standardise: bool
    warm_start: bool
    random_state: Any
    verbose: Any
    net_: Any
    scaling_: Scaling
    n_iter_: int
    loss_: float
    loss_curve_: list[float]

    # ---- what a subclass says ---------------------------------------------------------------

    @abstractmethod
    def _columns(self, X: np.ndarray, y: Any, w: np.ndarray, first: bool) -> tuple[np.ndarray, ...]:
        """What the cost takes besides the net, row by row; `first`: of a new net."""

    @abstractmethod
    def _create(self, columns: tuple[np.ndarray, ...], w: np.ndarray, seed: int) -> Any:
        """A net to begin with."""

    @abstractmethod
    def _cost(self) -> Callable[..., Any]:
        """``cost(net, *columns)``: a number a row; equal for equal settings."""

    @abstractmethod
    def _form(self) -> dict[str, Any]:
        """Parameters that say what net it is: a net that is there cannot follow other ones."""

    def _weighted(self, y: Any, w: np.ndarray) -> np.ndarray:
        """The weights of the rows with those of their targets."""
        return w

    def _labels(self, columns: tuple[np.ndarray, ...]) -> np.ndarray | None:
        """What a holdout is balanced by."""
        return None

    # ---- training ---------------------------------------------------------------------------

    def _fit(self, X: np.ndarray, y: Any, sample_weight: Any) -> tuple[np.ndarray, ...]:
        """Train on all rows, from scratch or, with a warm start, from where it is.

        Returns the columns and weights that the noise can be estimated from: those held out, or
        else those trained on.
        """
        self._check()
        warm = bool(self.warm_start) and hasattr(self, "net_")
        form = self._checked_form(not warm)
        w = self._weighted(y, weights_of(sample_weight, X))
        kept = np.flatnonzero(w)  # a row of weight 0 is as good as not there
        X, y, w = X[kept], None if y is None else y[kept], w[kept]
        w = (w / np.mean(w)).astype(X.dtype)
        if warm and X.shape[1:] != self.scaling_.mean.shape:
            raise ValueError(
                f"warm_start: X has {X.shape[1]} features, the earlier fit had "
                f"{len(self.scaling_.mean)}"
            )
        if not warm:
            self.scaling_ = Scaling.of(X, w, self.standardise)
        columns = self._columns(X, y, w, not warm)
        seed = self._seed()
        net = self.net_ if warm else self._create(columns, w, seed)
        self._forget("loss_curve_", "validation_curve_")
        data, held = (*columns, w), None
        if self.early_stopping:
            rng = np.random.default_rng(seed)
            parts = holdout(len(w), self.validation_fraction, rng, self._labels(columns))
            data, held = (tuple(column[part] for column in data) for part in parts)
        self.net_, self._net_form = self._train(net, data, held, seed), form
        self._state: tuple[Any, int] | None = None  # of partial_fit: the optimiser's, and its steps
        return data if held is None else held

    def _partial(
        self, X: np.ndarray, y: Any, sample_weight: Any, first: bool
    ) -> tuple[np.ndarray, ...]:
        """One pass over these rows; the first one fixes the scaling."""
        self._check()
        if self.solver == "lbfgs":
            raise ValueError("partial_fit goes by mini-batches: solver='lbfgs' takes all rows")
        form = self._checked_form(first)
        w = self._weighted(y, weights_of(sample_weight, X)).astype(X.dtype)
        if first:
            self.scaling_ = Scaling.of(X, w, self.standardise)
        columns = self._columns(X, y, w, first)
        seed = self._seed()
        net = self._create(columns, w, seed) if first else self.net_
        self._forget("validation_curve_")
        self._pass(net, None if first else self._state, (*columns, w), seed)
        self._net_form = form
        return (*columns, w)

    def _forget(self, *names: str) -> None:
        """Drop what an earlier fit has set and this one may not."""
        for name in names:
            if hasattr(self, name):
                delattr(self, name)

    def _checked_form(self, new: bool) -> dict[str, Any]:
        """`_form`, which must be that of the net that is there unless a new one is made."""
        form = self._form()
        if not new:
            for name, value in form.items():
                if value != self._net_form[name]:
                    raise ValueError(
                        f"{name}={getattr(self, name)!r}: the earlier fit had "
                        f"{self._net_form[name]!r}; only a new net (warm_start=False) can differ"
                    )
        return form

    def _check(self) -> None:
        at_least(self, 0, "alpha", "tol")
        at_least(self, 1, "n_iter_no_change")
        at_least(self, 1, "max_iter", whole=True)
        at_least(self, 0, "learning_rate_init", strict=True)
        fraction("validation_fraction", self.validation_fraction)
        if self.batch_size != "auto":
            at_least(self, 1, "batch_size", whole=True)
        if self.solver not in _SOLVERS and not isinstance(self.solver, Updating):
            raise ValueError(
                f"solver={self.solver!r}: it is one of {', '.join(_SOLVERS)}, or an optimiser of "
                "thalweg.optim"
            )
        if self.learning_rate not in ("constant", "cosine"):
            raise ValueError(f"learning_rate={self.learning_rate!r}: it is constant or cosine")
        if self.early_stopping and self.solver == "lbfgs":
            raise ValueError("early_stopping goes by epochs: solver='lbfgs' has none")

    def _seed(self, random_state: Any = None) -> int:
        chosen = self.random_state if random_state is None else random_state
        return int(check_random_state(chosen).randint(np.iinfo(np.int32).max))

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
        self, net: Any, data: tuple[np.ndarray, ...], held: tuple[np.ndarray, ...] | None, seed: int
    ) -> Any:
        """The trained net; `data` and `held` end with the weights of the rows."""
        loss = _penalised(self._cost(), float(self.alpha))
        if self.solver == "lbfgs":
            return self._minimise(net, loss, data)
        n = len(data[0])
        size = self._rows_a_batch(n)
        stop = _NoProgress("loss" if held is None else "validation", self)
        found = fit(
            net,
            loss,
            data,
            optimiser=self._rule(self.max_iter * -(-n // size)),
            epochs=int(self.max_iter),
            batch_size=size,
            shuffle=bool(self.shuffle),
            seed=seed,
            validation=held,
            validation_loss=None if held is None else _penalised(self._cost(), 0.0),
            # A rate that falls to 0 gains most at its end: there all epochs are made.
            callbacks=[stop] if held is not None or self.learning_rate == "constant" else [],
            progress=bool(self.verbose),
        )
        if not found.epochs:
            raise KeyboardInterrupt
        self.n_iter_ = found.epochs
        self.loss_curve_ = found.history["loss"]
        self.loss_ = self.loss_curve_[-1]
        if held is not None:
            self.validation_curve_ = found.history["validation"]
        if found.interrupted:
            warnings.warn(
                f"training was interrupted after {found.epochs} epochs; what was learned is kept",
                stacklevel=5,
            )
        elif not stop.stopped and self.learning_rate == "constant":
            self._unfinished(f"the loss still fell after max_iter={self.max_iter} epochs", 6)
        return found.model if held is None else found.best

    def _minimise(self, net: Any, loss: Callable[..., Any], data: tuple[np.ndarray, ...]) -> Any:
        tolerance = max(float(self.tol), float(np.finfo(float).tiny))
        found = minimize_lbfgs(
            loss, net, *data, tolerance=tolerance, max_iterations=int(self.max_iter)
        )
        self.n_iter_, self.loss_ = max(1, found.iterations), found.value
        if not found.converged:
            self._unfinished(
                f"the gradient is {found.gradient_norm:.2g} after {self.n_iter_} iterations", 7
            )
        return found.params

    def _unfinished(self, what: str, level: int) -> None:
        warnings.warn(
            f"{type(self).__name__}: {what}; raise max_iter, the rate, or tol",
            ConvergenceWarning,
            stacklevel=level,
        )

    def _pass(self, net: Any, state: Any, data: tuple[np.ndarray, ...], seed: int) -> None:
        """Steps of `partial_fit` over the rows.

        Raises
        ------
        NonFiniteError
            If a loss or a gradient is.
        """
        rule, cost, alpha = self._rule(), self._cost(), float(self.alpha)
        move = _step(cost, rule, alpha)
        options = Options(_penalised(cost, alpha), seed)
        state, made = (rule.init(net), 0) if state is None else state
        begun = hasattr(self, "net_")
        done = self.n_iter_ if begun else 0
        curve = getattr(self, "loss_curve_", []) if begun else []
        size = self._rows_a_batch(len(data[0]))
        source = Source(data, size, seed if self.shuffle else None, "X")
        total, rows = 0.0, 0
        for count, batch in source.epoch(done):
            given = options(made)
            state, net, value, _, fine = move(state, net, given, *batch)
            if not fine:
                raise NonFiniteError(
                    f"partial_fit: the loss ({float(value)}) or a gradient is not finite; lower "
                    "the rate, or scale the data"
                )
            total, rows, made = total + float(value) * count, rows + count, made + 1
        self._state, self.net_ = (state, made), net
        self.loss_ = total / rows
        self.loss_curve_ = [*curve, self.loss_]
        self.n_iter_ = done + 1
