"""Rows of data: their scaling, their weights, and which of them are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

__all__ = ["Scaling", "evenly", "holdout", "weights_of"]

_EVENLY = 1000


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
        If they do not fit the rows, are negative, all 0, or too large to be added.
    """
    w = _check_sample_weight(sample_weight, x, dtype=np.float64)
    if np.any(w < 0):
        raise ValueError("sample_weight: weights must not be negative")
    if not np.any(w):
        raise ValueError("sample_weight: every weight is 0, so no sample is left")
    if np.max(w) > np.finfo(w.dtype).max / len(w):
        raise ValueError("sample_weight: the sum of the weights is beyond float64; scale them")
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


def evenly(rows: np.ndarray, w: np.ndarray) -> np.ndarray:
    """A thousand rows, each as often as its weight says, at equal steps of the sorted rows.

    Neither the rows' order nor whether a weight or a repetition says it makes a difference.
    """
    columns = rows.reshape(len(rows), -1)
    order = np.lexsort(columns.T[::-1])
    total = np.cumsum(w[order].astype(np.float64))
    steps = (np.arange(_EVENLY) + 0.5) / _EVENLY
    chosen = np.searchsorted(total, steps * total[-1])
    return rows[order[np.minimum(chosen, len(rows) - 1)]]
