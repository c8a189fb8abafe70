"""k-means, for a mixture's start."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["k_means"]


def k_means(
    data: np.ndarray[Any, Any], k: int, rng: np.random.Generator, iterations: int = 100
) -> np.ndarray[Any, Any]:
    """Labels 0, …, k − 1 of rows, none of them unused (Lloyd's iterations from k-means++).

    Parameters
    ----------
    data : ndarray
        Of shape (n, d), n ≥ k.
    k : int
    rng : numpy.random.Generator
    iterations : int
        At most.
    """
    centres = _plus_plus(data, k, rng)
    labels = np.full(len(data), -1)
    for _ in range(iterations):
        distance = _distances(data, centres)
        found = np.argmin(distance, axis=1)
        nearest = np.take_along_axis(distance, found[:, None], axis=1)[:, 0]
        for unused in np.setdiff1d(np.arange(k), found):
            # It takes the worst placed row of a cluster that has others.
            shared = np.bincount(found, minlength=k)[found] > 1
            row = np.argmax(np.where(shared, nearest, -1.0))
            found[row], nearest[row] = unused, 0.0
        if np.array_equal(found, labels):
            break
        labels = found
        centres = np.stack([data[labels == c].mean(axis=0) for c in range(k)])
    return labels


def _distances(data: np.ndarray[Any, Any], centres: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.stack([np.sum((data - centre) ** 2, axis=1) for centre in centres], axis=1)


def _plus_plus(
    data: np.ndarray[Any, Any], k: int, rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    """Centres drawn by their squared distance from the ones before (Arthur, Vassilvitskii 2007)."""
    centres = [data[rng.integers(len(data))]]
    for _ in range(1, k):
        distance = np.min(_distances(data, np.stack(centres)), axis=1)
        total = np.sum(distance)
        share = distance / total if total > 0 else np.full(len(data), 1 / len(data))
        centres.append(data[rng.choice(len(data), p=share)])
    return np.stack(centres)
