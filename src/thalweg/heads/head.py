"""What every head has: how many features it takes, and how they are taken apart."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from thalweg.errors import ShapeError, UserError
from thalweg.heads.distribution import Distribution, real
from thalweg.scipy.special import softplus
from thalweg.tree import static

__all__ = ["Head", "raw_of_scale", "scale_of"]

#: softplus of it is 1: a raw output of 0 is a scale of 1.
_UNIT = math.log(math.e - 1)


@dataclass(frozen=True)
class Head(ABC):
    """An output unit: distribution, output layer and cost together.

    A head is configuration only, a frozen dataclass without leaves. Called with the raw outputs
    of the last affine layer, of shape batch + (n_features,), it gives one distribution a row.

    Parameters
    ----------
    event : tuple of int or int
        Shape of one target: ``()`` (a number) by default, ``(D,)`` for vectors.
    """

    _: KW_ONLY
    event: tuple[int, ...] = static(default=())

    def __post_init__(self) -> None:
        event = (self.event,) if isinstance(self.event, (int, np.integer)) else self.event
        fits = isinstance(event, (tuple, list)) and all(
            isinstance(n, (int, np.integer)) and n > 0 for n in event
        )
        if not fits:
            raise UserError(f"event: a tuple of positive integers, got {self.event!r}")
        object.__setattr__(self, "event", tuple(int(n) for n in event))

    @property
    def size(self) -> int:
        """How many numbers one target has."""
        return math.prod(self.event)

    @property
    @abstractmethod
    def n_features(self) -> int:
        """How many raw outputs the last affine layer must have."""

    @abstractmethod
    def __call__(self, features: Any) -> Distribution:
        """The distributions that raw outputs of shape batch + (n_features,) stand for."""

    def cost(self, features: Any, y: Any) -> Any:
        """What training lowers: one number a row; the negative log-likelihood of `y`."""
        return self(features).nll(y)

    def _features(self, features: Any) -> Any:
        """The raw outputs as floating numbers, their last axis checked."""
        x = real(features, type(self).__name__)
        if x.dtype.kind != "f":
            x = x.astype(np.float64)
        if x.ndim == 0 or x.shape[-1] != self.n_features:
            raise ShapeError(
                f"{type(self).__name__}: features of shape {x.shape}, expected "
                f"(…, {self.n_features}): the last affine layer has n_features outputs.\n"
                f"  head = {self!r}"
            )
        return x

    def _part(self, x: Any, first: int, shape: tuple[int, ...]) -> Any:
        """The features from `first` on that fill `shape`."""
        part = x[..., first : first + math.prod(shape)]
        return np.reshape(part, part.shape[:-1] + shape)


def scale_of(raw: Any, lowest: float, highest: float = math.inf) -> Any:
    """Raw output → scale in (lowest, highest); 0 stands for about 1.

    softplus, which neither overflows nor loses its gradient for large inputs; an upper bound is
    approached as t/(1 + t/width).
    """
    scale = softplus(raw + _UNIT)
    if highest != math.inf:
        scale = scale / (1 + scale / (highest - lowest))
    return lowest + scale if lowest else scale


def raw_of_scale(scale: Any, lowest: float, highest: float = math.inf) -> Any:
    """The raw output that stands for a scale: the inverse of `scale_of`."""
    scale = np.asarray(scale, float) - lowest
    if highest != math.inf:
        scale = scale / (1 - scale / (highest - lowest))
    return scale + np.log(-np.expm1(-scale)) - _UNIT
