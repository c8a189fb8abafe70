"""Mini-batches from arrays, memory maps, or whatever can be iterated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from thalweg.errors import DataError, ShapeError

__all__ = ["Source"]

Batch = tuple[Any, ...]

#: Small batches are gathered many at once, while they fit into a core's cache.
_BYTES, _BATCHES = 2**18, 64


class Source:
    """Data as batches, epoch by epoch.

    The order of an epoch depends on the seed and the epoch's number alone, so an epoch can be
    taken up again in its middle.

    Parameters
    ----------
    data : array, tuple of arrays, or iterable of batches
        Arrays share their first axis: the rows. Anything else is iterated once an epoch and gives
        a batch at a time: an array or a tuple of arrays.
    batch_size : int
        Rows of a batch of arrays. The last batch of an epoch has what is left.
    seed : int or None
        Of the order of the rows; None: as they are.
    what : str
        The argument's name, for messages.

    Raises
    ------
    DataError
        If there is nothing, or what is there is neither.
    ShapeError
        If the arrays' lengths differ.
    """

    def __init__(self, data: Any, batch_size: int, seed: int | None, what: str) -> None:
        self.what = what
        self._size = batch_size
        self._seed = seed
        self._arrays: list[np.ndarray] | None = None
        if isinstance(data, (np.ndarray, tuple)):
            self._arrays = _arrays(data if isinstance(data, tuple) else (data,), what)
        elif not isinstance(data, Iterable):
            raise DataError(
                f"{what} must be an array, a tuple of arrays, or an iterable of batches; "
                f"got {type(data).__name__}"
            )
        elif isinstance(data, Iterator):
            raise DataError(
                f"{what} is an iterator: it is used up after one epoch.\n"
                "  Give something that can be iterated again: a list of batches, or an object "
                "whose __iter__ starts anew."
            )
        self._data = data

    @property
    def rows(self) -> int | None:
        """The number of rows, where it is known."""
        return None if self._arrays is None else len(self._arrays[0])

    def not_finite(self) -> list[str]:
        """Which rows of the arrays have NaN or infinities, in words."""
        told = []
        for i, array in enumerate(self._arrays or ()):
            fine = np.isfinite(array) if array.dtype.kind in "fc" else np.ones(1, bool)
            rows = np.flatnonzero(~fine.reshape(len(fine), -1).all(axis=1))
            if rows.size:
                shown = ", ".join(map(str, rows[:5])) + (", …" if rows.size > 5 else "")
                told.append(
                    f"{self.what}[{i}] is not finite in {rows.size} of {len(array)} rows: {shown}"
                )
        return told

    @property
    def arrays(self) -> int | None:
        """Arrays of a batch, where that is known beforehand."""
        if self._arrays is not None:
            return len(self._arrays)
        if isinstance(self._data, list) and self._data:
            first = self._data[0]
            return len(first) if isinstance(first, tuple) else 1
        return None

    @property
    def steps(self) -> int | None:
        """Batches of an epoch, where that is known."""
        return None if self.rows is None else -(-self.rows // self._size)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[int, Batch]]:
        """(rows, batch) of an epoch, from its `start`-th batch on.

        The arrays of a batch are used again for the next one.
        """
        if self._arrays is None:
            yield from self._iterated(start)
            return
        rows = len(self._arrays[0])
        order = np.arange(rows)
        if self._seed is not None:
            order = np.random.default_rng([self._seed, number]).permutation(rows)
        size = min(self._size, rows)
        width = size * sum(a.nbytes // rows for a in self._arrays)
        at_once = size * min(max(1, _BYTES // max(width, 1)), _BATCHES)
        places = [np.empty((min(at_once, rows), *a.shape[1:]), a.dtype) for a in self._arrays]
        for begin in range(start * size, rows, at_once):
            chosen = order[begin : begin + at_once]
            for array, place in zip(self._arrays, places, strict=True):
                # mode="clip": NumPy writes to `place` directly; the indices are in range.
                array.take(chosen, axis=0, out=place[: len(chosen)], mode="clip")
            whole, rest = divmod(len(chosen), size)
            batches = [p[: whole * size].reshape(whole, size, *p.shape[1:]) for p in places]
            for batch in zip(*batches, strict=True):
                yield size, batch
            if rest:
                yield rest, tuple(p[whole * size : len(chosen)] for p in places)

    def _iterated(self, start: int) -> Iterator[tuple[int, Batch]]:
        found = False
        for position, item in enumerate(self._data):
            found = True
            if position >= start:
                batch = item if isinstance(item, tuple) else (item,)
                arrays = _arrays(batch, f"batch {position} of {self.what}")
                yield len(arrays[0]), tuple(arrays)
        if not found:
            raise DataError(f"{self.what} gave no batch")


def _arrays(data: Batch, what: str) -> list[np.ndarray]:
    """Plain arrays that share their first axis (a memory map stays on disk)."""
    if not data:
        raise DataError(f"{what} is an empty tuple: there is nothing to train on")
    for position, array in enumerate(data):
        if not isinstance(array, np.ndarray):
            raise DataError(f"{what}[{position}] must be a NumPy array, got {type(array).__name__}")
        if isinstance(array, np.ma.MaskedArray):
            raise DataError(
                f"{what}[{position}] is a masked array, whose masked entries would be trained on; "
                "fill them, or leave their rows out"
            )
    lengths = [a.shape[0] if a.ndim else None for a in data]
    if None in lengths or len(set(lengths)) > 1:
        shapes = ", ".join(str(a.shape) for a in data)
        raise ShapeError(f"the arrays of {what} must share their first axis, got {shapes}")
    if lengths[0] == 0:
        raise DataError(f"{what} has no rows")
    return [a.view(np.ndarray) for a in data]
