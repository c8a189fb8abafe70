"""Cells of recurrent nets: one step in time, the state an argument and a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from thalweg.array import Array
from thalweg.errors import ShapeError, UserError
from thalweg.nn.activations import sigmoid
from thalweg.nn.initialisers import glorot_uniform, orthogonal
from thalweg.nn.layers import drawn, floating, size
from thalweg.random import generator

__all__ = ["GRUCell", "LSTMCell"]


@dataclass(frozen=True)
class _Cell:
    """What both cells have: weights of inputs and of the state, gate beside gate.

    Parameters
    ----------
    W : array of shape (n_in, gates · n)
    U : array of shape (n, gates · n)
    b : array of shape (gates · n,)
    """

    W: Any
    U: Any
    b: Any
    gates: ClassVar[int]

    def __post_init__(self) -> None:
        W, U, b = np.shape(self.W), np.shape(self.U), np.shape(self.b)
        wide = self.gates * (U[0] if U else 0)
        if len(W) != 2 or W[1:] != (wide,) or U[1:] != (wide,) or b != (wide,):
            n = f"{self.gates} · n"
            raise ShapeError(f"{self!r}; expected (n_in, {n}), (n, {n}), ({n},)")

    @classmethod
    def create(
        cls, rng: np.random.Generator | int, n_in: int, n: int, *, dtype: Any = np.float64
    ) -> Self:
        """`n_in` inputs, a state of `n`: Glorot for inputs, orthogonal for the state, b = 0."""
        name = cls.__name__
        n_in, n = size(name, n_in=n_in, n=n)
        rng, dtype = generator(rng), floating(name, dtype)
        W = [drawn(name, glorot_uniform, rng, (n_in, n), dtype) for _ in range(cls.gates)]
        U = [drawn(name, orthogonal, rng, (n, n), dtype) for _ in range(cls.gates)]
        return cls(
            np.concatenate(W, axis=1), np.concatenate(U, axis=1), np.zeros(cls.gates * n, dtype)
        )

    def __repr__(self) -> str:
        sizes = f"{np.shape(self.W)}, {np.shape(self.U)}, {np.shape(self.b)}"
        return f"{type(self).__name__}(W, U, b of shapes {sizes})"

    def _parts(self, x: Any) -> list[Any]:
        return np.split(x, self.gates, axis=-1)

    def _fitting(self, x: Any, h: Any) -> tuple[Any, Any]:
        """Inputs and state as arrays of one batch, or one of them a vector for all of it."""
        x, h = (a if isinstance(a, Array) else np.asarray(a) for a in (x, h))
        (n_in, _), (n, _) = np.shape(self.W), np.shape(self.U)
        if x.shape[-1:] != (n_in,) or h.shape[-1:] != (n,):
            raise ShapeError(
                f"{self!r}: x has shape {x.shape}, the state {h.shape}; expected (…, {n_in}) and "
                f"(…, {n})"
            )
        axes = zip(x.shape[:-1], h.shape[:-1], strict=False)
        same = x.ndim == h.ndim and all(n == m or 1 in (n, m) for n, m in axes)
        if not same and 1 not in (x.ndim, h.ndim):
            raise ShapeError(
                f"{self!r}: x has shape {x.shape}, the state {h.shape}: a cell takes one step, so "
                "both have the axes of one batch. Go through a sequence in a loop."
            )
        return x, h


@dataclass(frozen=True, repr=False)
class GRUCell(_Cell):
    """h ← z h + (1 − z) tanh(x W₃ + (r h) U₃ + b₃), with gates r and z: σ(x W + h U + b).

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder (2014). Made by
    ``GRUCell.create(rng, n_in, n)``, called as ``h = cell(h, x)``.

    Raises
    ------
    ShapeError
        If W, U and b do not fit, for inputs or a state with another number of features or axes.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> cell, h = tw.nn.GRUCell.create(0, 3, 4), np.zeros((5, 4))
    >>> for x in np.ones((7, 5, 3)):
    ...     h = cell(h, x)
    >>> h.shape
    (5, 4)
    """

    gates: ClassVar[int] = 3

    def __call__(self, h: Any, x: Any) -> Any:
        x, h = self._fitting(x, h)
        xr, xz, xn = self._parts(x @ self.W + self.b)
        Ur, Uz, Un = self._parts(self.U)
        r, z = sigmoid(xr + h @ Ur), sigmoid(xz + h @ Uz)
        return z * h + (1 - z) * np.tanh(xn + (r * h) @ Un)


@dataclass(frozen=True, repr=False)
class LSTMCell(_Cell):
    """c ← f c + i tanh(…), h ← o tanh(c), with gates i, f, o: σ(x W + h U + b).

    Gates stand in the order i, f, candidate, o. Source: Hochreiter, Schmidhuber, Long short-term
    memory (1997); forget gate: Gers, Schmidhuber, Cummins (2000), whose bias starts at 0 here.
    Made by ``LSTMCell.create(rng, n_in, n)``, called as ``h, c = cell((h, c), x)``.

    Raises
    ------
    ShapeError
        If W, U and b do not fit, for inputs or a state with another number of features or axes.
    UserError
        For a state that is no pair.
    """

    gates: ClassVar[int] = 4

    def __call__(self, state: tuple[Any, Any], x: Any) -> tuple[Any, Any]:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise UserError(f"{self!r}: the state is a pair (h, c), got {type(state).__name__}")
        h, c = state
        x, h = self._fitting(x, h)
        _, c = self._fitting(x, c)
        i, f, candidate, o = self._parts(x @ self.W + h @ self.U + self.b)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        return sigmoid(o) * np.tanh(c), c
