"""Layers inside others: dropout, embedding, residual block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, ShapeError, UserError
from thalweg.nn.initialisers import Initialiser, normal
from thalweg.nn.layers import Layer, as_layer, drawn, floating, run, size, standing
from thalweg.random import bernoulli, generator
from thalweg.tree import plain_numbers, static

__all__ = ["Dropout", "Embedding", "Residual"]


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training each number becomes 0 with probability `rate`, the others x / (1 − rate).

    The mean stays, so nothing is done outside of training.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, Dropout: a simple way to
    prevent neural networks from overfitting (2014).

    Parameters
    ----------
    rate : float
        In [0, 1).

    Raises
    ------
    UserError
        For another rate, or in training without a key.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> layer = tw.nn.Dropout(0.5)
    >>> out = layer(np.ones(1000), train=True, key=tw.random.key(0))
    >>> np.unique(out).tolist(), layer(np.ones(2)).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    rate: float = static()
    has_modes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise UserError(f"Dropout: rate={self.rate!r}, it must be in [0, 1)")
        plain_numbers(self)

    def _form(self) -> str:
        return str(self.rate)

    def __repr__(self) -> str:
        return f"Dropout({self._form()})"

    def __call__(self, x: Any, *, train: bool = False, key: Any = None) -> Any:
        x = x if isinstance(x, Array) else np.asarray(x)
        if not train or self.rate == 0:
            return x
        if key is None:
            raise UserError(f"{self!r}: training needs key=, a new thalweg.random key each step")
        kept = 1 - self.rate
        return np.where(bernoulli(key, kept, x.shape), x / kept, 0)


@dataclass(frozen=True, repr=False)
class Embedding(Layer):
    """A vector for each of n indices: row i of W. Make one with `Embedding.create`.

    Parameters
    ----------
    W : array of shape (n, n_features)

    Raises
    ------
    ShapeError
        If W has not two axes.
    DtypeError, UserError
        When called with what are no integers in [0, n).

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> words = tw.nn.Embedding.create(0, 1000, 16)
    >>> words(np.array([[3, 999, 3]])).shape
    (1, 3, 16)
    """

    W: Any

    def __post_init__(self) -> None:
        if np.ndim(self.W) != 2:
            raise ShapeError(f"Embedding: W has shape {np.shape(self.W)}, it is (n, n_features)")

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        n: int,
        n_features: int,
        *,
        init: Initialiser | None = None,
        dtype: Any = np.float64,
    ) -> Embedding:
        """Random vectors; by default standard normal.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        n, n_features : int
        init : callable, optional
        dtype : {float64, float32}
        """
        n, n_features = size("Embedding", n=n, n_features=n_features)
        dtype = floating("Embedding", dtype)
        shape = (n, n_features)
        return cls(drawn("Embedding", init or normal(1.0), generator(rng), shape, dtype))

    def _form(self) -> str:
        return " → ".join(map(str, np.shape(self.W)))

    def __call__(self, indices: Any) -> Any:
        indices = indices if isinstance(indices, Array) else np.asarray(indices)
        if indices.dtype.kind not in "iu":
            raise DtypeError(f"{self!r}: indices are integers, not {indices.dtype}")
        n = np.shape(self.W)[0]
        # A negative index would count from the end.
        if indices.size and not (np.min(indices) >= 0 and np.max(indices) < n):
            raise UserError(f"{self!r}: indices must be in [0, {n})")
        # NumPy would ask a traced index for its number, and compiled code be good for that alone.
        W = np.asarray(self.W, like=indices) if isinstance(indices, Array) else self.W
        return np.take(W, indices, axis=0)


@dataclass(frozen=True, repr=False)
class Residual(Layer):
    """x + inner(x).

    Source: He, Zhang, Ren, Sun, Deep residual learning for image recognition (2016).

    Parameters
    ----------
    inner : layer or function

    Raises
    ------
    ShapeError
        If, when called, it does not keep the shape.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.nn import Affine, LayerNorm, Residual, Sequential
    >>> Residual(Sequential([LayerNorm.create(8), Affine.create(0, 8, 8), np.tanh]))
    Residual(88 parameters)
      Sequential(3 layers, 88 parameters)
        0: LayerNorm(8, 16 parameters)
        1: Affine(8 → 8, 72 parameters)
        2: tanh
    """

    inner: Layer | Callable[[Any], Any]
    has_modes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "inner", as_layer(self.inner))

    def _form(self) -> str:
        return f"{self.n_parameters} parameters"

    def __repr__(self) -> str:
        return f"Residual({self._form()})\n  " + repr(self.inner).replace("\n", "\n  ")

    def __call__(self, x: Any, *, train: bool = False, key: Any = None) -> Any:
        with standing("inside Residual"):
            return self._sum(x, run(self._layer, x, train=train, key=key))

    def advance(self, x: Any, *, key: Any = None) -> tuple[Any, Any]:
        with standing("inside Residual"):
            y, moved = self._layer.advance(x, key=key)
            return self._sum(x, y), Residual(moved)

    @property
    def _layer(self) -> Layer:
        return as_layer(self.inner)

    def _sum(self, x: Any, y: Any) -> Any:
        if np.shape(x) != np.shape(y):
            raise ShapeError(
                f"{self.inner!r} makes shape {np.shape(y)} of {np.shape(x)}; both must be the same"
            )
        return x + y
