"""Layers that normalise: over the features of a row, over the rows of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.api import detach
from thalweg.errors import ShapeError, UserError
from thalweg.nn.layers import Layer, features, floating, size, vectors
from thalweg.tree import buffer, plain_numbers, static

__all__ = ["BatchNorm", "LayerNorm"]


def _positive(owner: str, epsilon: float) -> None:
    if not epsilon > 0:
        raise UserError(f"{owner}: epsilon={epsilon!r}, it must be a number > 0")


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """scale · (x − mean) / √(variance + ε) + shift, over the features of each row.

    Source: Ba, Kiros, Hinton, Layer normalization (2016).

    Parameters
    ----------
    scale, shift : array of shape (n,)
    epsilon : float

    Raises
    ------
    ShapeError
        If scale and shift, or inputs, do not fit.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> tw.nn.LayerNorm.create(2)(np.array([1.0, 3.0])).round(3)
    array([-1.,  1.])
    """

    scale: Any
    shift: Any
    epsilon: float = static(default=1e-5)

    def __post_init__(self) -> None:
        vectors("LayerNorm", scale=self.scale, shift=self.shift)
        _positive("LayerNorm", self.epsilon)
        plain_numbers(self)

    @classmethod
    def create(cls, n: int, *, epsilon: float = 1e-5, dtype: Any = np.float64) -> LayerNorm:
        """For `n` features; scale 1 and shift 0."""
        (n,), dtype = size("LayerNorm", n=n), floating("LayerNorm", dtype)
        return cls(np.ones(n, dtype), np.zeros(n, dtype), epsilon)

    def _form(self) -> str:
        return str(np.size(self.scale))

    def __call__(self, x: Any) -> Any:
        x = features(self, x, np.shape(self.scale)[0])
        centred = x - np.mean(x, axis=-1, keepdims=True)
        variance = np.mean(centred**2, axis=-1, keepdims=True)
        return self.scale * (centred / np.sqrt(variance + self.epsilon)) + self.shift


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """scale · (x − mean) / √(variance + ε) + shift, over all axes but the last.

    With ``train=True`` mean and variance are those of the batch; otherwise the running ones, which
    no gradient moves. `advance` gives the outputs in training and the layer with new running
    statistics: r ← m r + (1 − m) (those of the batch, the variance unbiased).

    Source: Ioffe, Szegedy, Batch normalization (2015).

    Parameters
    ----------
    scale, shift, mean, variance : array of shape (n,)
    momentum : float
        m, in [0, 1).
    epsilon : float

    Raises
    ------
    ShapeError
        If scale, shift, mean and variance, or inputs, do not fit; in training, with fewer than two
        rows.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> layer = tw.nn.BatchNorm.create(1, momentum=0.0)
    >>> out, layer = layer.advance(np.array([[1.0], [3.0]]))
    >>> out.ravel().round(3), layer.mean, layer.variance
    (array([-1.,  1.]), array([2.]), array([2.]))
    """

    scale: Any
    shift: Any
    mean: Any = buffer()
    variance: Any = buffer()
    momentum: float = static(default=0.9)
    epsilon: float = static(default=1e-5)
    has_modes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        vectors(
            "BatchNorm",
            scale=self.scale,
            shift=self.shift,
            mean=self.mean,
            variance=self.variance,
        )
        _positive("BatchNorm", self.epsilon)
        if not 0 <= self.momentum < 1:
            raise UserError(f"BatchNorm: momentum={self.momentum!r}, it must be in [0, 1)")
        plain_numbers(self)

    @classmethod
    def create(
        cls, n: int, *, momentum: float = 0.9, epsilon: float = 1e-5, dtype: Any = np.float64
    ) -> BatchNorm:
        """For `n` features; scale and variance 1, shift and mean 0."""
        (n,), dtype = size("BatchNorm", n=n), floating("BatchNorm", dtype)
        one, zero = np.ones(n, dtype), np.zeros(n, dtype)
        return cls(one, zero, zero.copy(), one.copy(), momentum, epsilon)

    def _form(self) -> str:
        return str(np.size(self.scale))

    def __call__(self, x: Any, *, train: bool = False, key: Any = None) -> Any:
        if train:
            return self.advance(x)[0]
        x = features(self, x, np.shape(self.scale)[0])
        return self._scaled(x - detach(self.mean), detach(self.variance))

    def advance(self, x: Any, *, key: Any = None) -> tuple[Any, Any]:
        x = features(self, x, np.shape(self.scale)[0])
        axes = tuple(range(x.ndim - 1))
        rows = int(np.prod(x.shape[:-1]))
        if not axes or rows < 2:
            raise ShapeError(f"{self!r}: x has shape {x.shape}; training needs two rows or more")
        mean = np.mean(x, axis=axes)
        variance = np.mean((x - mean) ** 2, axis=axes)
        moved = BatchNorm(
            self.scale,
            self.shift,
            self._running(self.mean, mean),
            self._running(self.variance, variance * (rows / (rows - 1))),
            self.momentum,
            self.epsilon,
        )
        return self._scaled(x - mean, variance), moved

    def _running(self, old: Any, new: Any) -> Any:
        return self.momentum * detach(old) + (1 - self.momentum) * detach(new)

    def _scaled(self, centred: Any, variance: Any) -> Any:
        return self.scale * (centred / np.sqrt(variance + self.epsilon)) + self.shift
