"""What training a row gives; how its data are parted and scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.training.results import Fitted, History

__all__ = ["Outcome", "parts", "standardised"]


@dataclass(frozen=True)
class Outcome:
    """A trained row.

    Attributes
    ----------
    fitted : Fitted
    metrics : dict
        Name → number, of data that were not trained on.
    draw : callable
        ``draw()``: a matplotlib figure of what the model says.
    """

    fitted: Fitted
    metrics: dict[str, float]
    draw: Callable[[], Any]

    @property
    def history(self) -> History:
        """Losses and metrics by epoch."""
        return self.fitted.history


def parts(n: int, seed: int, *shares: float) -> list[np.ndarray[Any, Any]]:
    """Rows 0, …, n − 1 in random parts of these shares, the rest in the first part."""
    order = np.random.default_rng(seed).permutation(n)
    ends = np.cumsum([round(share * n) for share in shares])
    *others, first = np.split(order, ends)
    return [first, *others]


def standardised(x: Any, reference: Any) -> Any:
    """Mean 0 and standard deviation 1 over the reference's rows; constant columns are 0."""
    spread = np.std(reference, axis=0)
    return (x - np.mean(reference, axis=0)) / np.where(spread > 0, spread, 1.0)
