"""Positions in an array: what their numbers say."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["distinct"]


def distinct(positions: Any) -> bool:
    """Whether no integer occurs twice.

    Marks in a table rather than a sort, where the numbers lie close together: positions in an
    array do.
    """
    size = positions.size
    if size < 2:
        return True
    low = int(positions.min())
    span = int(positions.max()) - low + 1
    if span < size:
        return False
    if span > 16 * size + 1024:
        return bool(np.unique(positions).size == size)
    seen = np.zeros(span, bool)
    seen[positions - low] = True
    return bool(np.count_nonzero(seen) == size)
