"""The lecture's linear classifier: scores, a loss, a penalty, and descent along the gradient.

Score vector s = W x + b, one number a class; the loss says how far the scores are from the truth;
the penalty ½ λ₂ ‖W‖² + λ₁ ‖W‖₁ holds overfitting back; gradient descent with momentum makes the sum
small. Gradients come from `thalweg.value_and_grad` of the NumPy code below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thalweg.api import value_and_grad
from thalweg.dataset import Dataset
from thalweg.errors import DataError
from thalweg.files import write_npz

__all__ = ["LOSSES", "Epoch", "LinearClassifier", "Settings", "Training", "accuracy"]


def softmax_loss(scores: Any, y: Any) -> Any:
    """Mean cross-entropy of softmax(scores): log Σ exp s − s_y, an example."""
    return np.mean(np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(y)), y])


def hinge_loss(scores: Any, y: Any) -> Any:
    """Mean multi-class hinge: Σ max(0, s_j − s_y + 1) over the other classes j, an example."""
    rows = np.arange(len(y))
    margins = np.maximum(0.0, scores - scores[rows, y][:, None] + 1.0)
    return np.mean(np.sum(margins, axis=1)) - 1.0  # j = y adds exactly 1 an example


LOSSES = {"softmax": softmax_loss, "hinge": hinge_loss}


class Epoch(NamedTuple):
    """What one pass over the training rows gave: mean loss (with penalty) and accuracy."""

    number: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Settings:
    """How to train."""

    loss: str = "softmax"
    l2: float = 1e-4
    l1: float = 0.0
    epochs: int = 60
    lr: float = 0.1
    momentum: float = 0.9
    batch: int = 64
    seed: int = 0


@dataclass(frozen=True)
class LinearClassifier:
    """Weights with all that is needed to use them.

    Attributes
    ----------
    W : array (classes, features)
    b : array (classes,)
    mean, scale : arrays (features,)
        Features enter as (x − mean) / scale.
    features, classes : tuple of str
    """

    W: np.ndarray[Any, Any]
    b: np.ndarray[Any, Any]
    mean: np.ndarray[Any, Any]
    scale: np.ndarray[Any, Any]
    features: tuple[str, ...]
    classes: tuple[str, ...]

    def scores(self, X: Any) -> Any:
        """One score a class for every row of X."""
        return (X - self.mean) / self.scale @ self.W.T + self.b

    def predict(self, X: Any) -> Any:
        """Positions in `classes` of the largest scores."""
        return np.argmax(self.scores(X), axis=1)

    def save(self, path: str | Path) -> None:
        """Write all of it as ``.npz``: the old file stays until the new one is whole."""
        write_npz(path, {**vars(self)})

    @classmethod
    def load(cls, path: str | Path) -> LinearClassifier:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            If it is not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in cls.__dataclass_fields__}
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise DataError(f"{path} does not hold a linear classifier: {error}") from error
        names = {key: tuple(map(str, arrays[key])) for key in ("features", "classes")}
        return cls(**(arrays | names))


def accuracy(model: LinearClassifier, X: Any, y: Any) -> float:
    """The part of the rows whose class is found."""
    return float(np.mean(model.predict(X) == y))


class Training:
    """Gradient descent with momentum; the weights so far can be had at any time.

    Parameters
    ----------
    data : Dataset
    rows : integer array
        The rows to train on; scaling is learnt from them alone.
    settings : Settings

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.dataset import Dataset
    >>> from thalweg.linear_classifier import Settings, Training, accuracy
    >>> X = np.array([[0.0], [1.0], [3.0], [4.0]])
    >>> data = Dataset(X, np.array([0, 0, 1, 1]), ("length",), ("short", "long"), "example")
    >>> training = Training(data, np.arange(4), Settings(epochs=20))
    >>> last = list(training.epochs())[-1]
    >>> accuracy(training.model, data.X, data.y)
    1.0
    """

    def __init__(self, data: Dataset, rows: Any, settings: Settings) -> None:
        self._settings = settings
        self._y = data.y[rows]
        chosen = data.X[rows]
        mean = chosen.mean(axis=0)
        spread = chosen.std(axis=0)
        # A constant column (up to rounding) carries nothing; dividing by its spread would blow up.
        constant = spread <= 1e-12 * np.maximum(1.0, np.abs(mean))
        scale = np.where(constant, 1.0, spread)
        self._X = (chosen - mean) / scale
        shape = len(data.classes), len(data.features)
        self.model = LinearClassifier(
            np.zeros(shape), np.zeros(shape[0]), mean, scale, data.features, data.classes
        )

    def objective(self, W: Any, b: Any, X: Any, y: Any) -> Any:
        """Loss of these rows plus the penalty: what is made small."""
        s = self._settings
        loss = LOSSES[s.loss](X @ W.T + b, y)
        return loss + 0.5 * s.l2 * np.sum(W * W) + s.l1 * np.sum(np.abs(W))

    def epochs(self) -> Iterator[Epoch]:
        """Train, one pass over the rows at a time.

        Raises
        ------
        DataError
            If the loss is no longer finite (the rate is too high).
        """
        s = self._settings
        rng = np.random.default_rng(s.seed)
        gradient = value_and_grad(self.objective, argnums=(0, 1))
        W, b = self.model.W, self.model.b
        step_W, step_b = np.zeros_like(W), np.zeros_like(b)
        for number in range(1, s.epochs + 1):
            order = rng.permutation(len(self._y))
            total = 0.0
            for start in range(0, len(order), s.batch):
                rows = order[start : start + s.batch]
                with np.errstate(over="ignore", invalid="ignore"):
                    value, (g_W, g_b) = gradient(W, b, self._X[rows], self._y[rows])
                if not np.isfinite(value):
                    raise DataError(
                        f"the loss is {value} in epoch {number}: the learning rate {s.lr:g} is "
                        "too high for these data; try a tenth of it"
                    )
                step_W = s.momentum * step_W - s.lr * g_W
                step_b = s.momentum * step_b - s.lr * g_b
                W, b = W + step_W, b + step_b
                # One assignment: an interrupt between two statements finds a model that fits.
                self.model = self._with(W, b)
                total += float(value) * len(rows)
            found = np.argmax(self._X @ W.T + b, axis=1) == self._y
            yield Epoch(number, total / len(order), float(np.mean(found)))

    def _with(self, W: Any, b: Any) -> LinearClassifier:
        m = self.model
        return LinearClassifier(W, b, m.mean, m.scale, m.features, m.classes)
