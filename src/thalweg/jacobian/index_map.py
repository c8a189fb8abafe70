"""Which column each entry of a term stands in: an array of column numbers, strided where it can be.

The columns of an operand are its entries in C order. Most of what programs do to arrays (slices,
transposes, broadcasting, reshapes) leaves them in equal steps along each axis, and then NumPy's own
views do the arithmetic: a view of an array of bytes, one byte a column, whose addresses are the
numbers. Its contents are never read. A gather by an index array makes the numbers explicit.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.ops._positions import distinct

__all__ = ["IndexMap", "columns_of"]

Array = np.ndarray[Any, Any]


class IndexMap(NamedTuple):
    """Column numbers of the entries of a term; −1 where there is no entry.

    Attributes
    ----------
    array : array
        The numbers, or a view of bytes whose addresses, counted from `base`, are the numbers.
    base : int or None
        The address of column 0; None where `array` holds the numbers.
    """

    array: Array
    base: int | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def has_holes(self) -> bool:
        """Whether there may be entries that are none (−1)."""
        return self.base is None and self.array.size > 0 and bool(self.array.min() < 0)

    def viewed(self, change: Callable[[Array], Array]) -> IndexMap:
        """`change` (transpose, broadcast, reshape, index) applied to the array of numbers."""
        changed = change(self.array)
        if self.base is None or np.may_share_memory(changed, self.array) or changed.size == 0:
            return IndexMap(changed, self.base)
        return IndexMap(change(self.numbers()), None)  # NumPy had to copy: no equal steps

    @property
    def offset(self) -> int:
        """The number of the first entry of a strided map."""
        assert self.base is not None
        return int(self.array.__array_interface__["data"][0]) - self.base

    def numbers(self) -> Array:
        """The column numbers as an array of integers."""
        if self.base is None:
            return self.array
        total: Any = np.intp(self.offset if self.array.size else 0)
        ndim = self.array.ndim
        for axis, (n, step) in enumerate(zip(self.shape, self.array.strides, strict=True)):
            if step and n > 1:
                steps = (np.arange(n) * step).reshape((n,) + (1,) * (ndim - axis - 1))
                total = total + steps
        return np.broadcast_to(total, self.shape)

    def varies(self, axis: int) -> bool:
        """Whether the numbers (may) differ along an axis."""
        return self.shape[axis] > 1 and self.array.strides[axis] != 0

    def equals(self, other: IndexMap) -> bool:
        """Whether both have the same numbers."""
        if self.shape != other.shape:
            return False
        if self.base is not None and other.base is not None:
            return self._steps() == other._steps()
        if self.array is other.array:
            return True
        mine, others = self.numbers(), other.numbers()
        some = tuple(slice(None, None, max(1, n // 8)) for n in self.shape)  # mostly they tell
        return np.array_equal(mine[some], others[some]) and np.array_equal(mine, others)

    def _steps(self) -> Any:
        if self.array.size == 0:
            return None
        steps = zip(self.shape, self.array.strides, strict=True)
        return self.offset, tuple(step if n > 1 else 0 for n, step in steps)

    def is_identity(self) -> bool:
        """Whether entry number i stands in column i."""
        if self.base is None:
            return bool(np.array_equal(self.array.reshape(-1), np.arange(self.array.size)))
        return self.array.flags.c_contiguous and (self.array.size == 0 or self.offset == 0)

    def distinct(self, axes: Sequence[int]) -> bool:
        """Whether no number occurs twice along these axes, so far as that is cheap to say."""
        if self.base is None:
            first = tuple(slice(None) if i in axes else 0 for i in range(self.array.ndim))
            numbers = self.array[first]
            return not self.has_holes and distinct(numbers)
        reach = 0
        pairs = [(abs(self.array.strides[i]), self.shape[i]) for i in axes]
        for step, n in sorted((step, n) for step, n in pairs if n > 1):
            if step <= reach:
                return False
            reach += step * (n - 1)
        return True


class _Room:
    """Addresses for the bytes of maps: one stretch of memory that nobody touches, so that it
    takes none."""

    def __init__(self) -> None:
        self._array = np.empty(0, np.int8)

    def bytes_for(self, count: int) -> Array:
        if self._array.size < count:
            size = max(2**16, 1 << (count - 1).bit_length())
            self._array = np.frombuffer(mmap.mmap(-1, size), np.int8)
        return self._array[:count]


_room = _Room()


def columns_of(shape: tuple[int, ...]) -> IndexMap:
    """The columns of an operand of this shape: 0, 1, 2, … in C order."""
    array = _room.bytes_for(math.prod(shape)).reshape(shape)
    return IndexMap(array, int(array.__array_interface__["data"][0]))
