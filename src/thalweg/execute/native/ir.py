"""The tensor language between graph and code: few operations, and views that cost nothing.

A `Tensor` is a value of known shape and kind. The operations are a closed set:

========== ===========================================================================
input      argument `data` of the program
const      a number in all entries (`data`: the number), or an array (`data`: its place)
map        the scalar function `data` of the arguments, broadcast as NumPy does
iota       the position along axis `data`
reduce     `data` = (how, axes): add, mul, max, min, or, and over the axes, which vanish
view       `data` = (strides, offset), in entries, into the argument laid out in C order
matmul     matrices in the last two axes, batches before them
gather     the argument's entries (laid out flat) at the positions given by the second
scatter    `data` = "add" or "set": the first argument with the third put at flat positions
assemble   `data`: (strides, offset) of each part's place in the result; the first is the base
opaque     a node that runs in NumPy
part       result `data` of an opaque node with several
========== ===========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "KINDS",
    "NoLowering",
    "Tensor",
    "bytes_of",
    "c_strides",
    "dtype_of",
    "kind_of",
    "reshaped_strides",
    "storage_kind",
]

Shape = tuple[int, ...]

#: NumPy's dtypes that native code computes with, by dtype.char's canonical form.
KINDS = {
    np.dtype(np.float32): "f32",
    np.dtype(np.float64): "f64",
    np.dtype(np.bool_): "i1",
    np.dtype(np.int8): "i8",
    np.dtype(np.int16): "i16",
    np.dtype(np.int32): "i32",
    np.dtype(np.int64): "i64",
    np.dtype(np.uint8): "u8",
    np.dtype(np.uint16): "u16",
    np.dtype(np.uint32): "u32",
    np.dtype(np.uint64): "u64",
}
_DTYPES: dict[str, Any] = dict(zip(KINDS.values(), KINDS, strict=True))


class NoLowering(Exception):  # noqa: N818 - not an error: the node then runs in NumPy
    """This node has no native code, for the stated reason."""


def kind_of(dtype: Any) -> str:
    """The kind of number of a dtype.

    Raises
    ------
    NoLowering
        For dtypes that native code does not compute with.
    """
    kind = KINDS.get(np.dtype(dtype))
    if kind is None:
        raise NoLowering(f"{dtype} runs in NumPy")
    return kind


def storage_kind(dtype: Any) -> str:
    """The kind of a dtype; ``raw:…`` where only NumPy computes with it (opaque nodes)."""
    dtype = np.dtype(dtype)
    return KINDS.get(dtype) or f"raw:{dtype.str}"


def dtype_of(kind: str) -> np.dtype[Any]:
    """NumPy's dtype of a kind of number."""
    known = _DTYPES.get(kind)
    return np.dtype(kind.removeprefix("raw:")) if known is None else known


class Tensor:
    """A value in the lowered program; `serial` grows, so it is a topological order."""

    __slots__ = ("args", "data", "kind", "op", "serial", "shape")

    def __init__(
        self, op: str, args: tuple[Tensor, ...], data: Any, shape: Shape, kind: str, serial: int
    ) -> None:
        self.op = op
        self.args = args
        self.data = data
        self.shape = shape
        self.kind = kind
        self.serial = serial

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype."""
        return dtype_of(self.kind)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __repr__(self) -> str:
        args = ", ".join(f"%{x.serial}" for x in self.args)
        return f"%{self.serial} = {self.op}[{self.data}]({args}) : {self.kind}{list(self.shape)}"


def bytes_of(shape: Sequence[int], kind: str) -> int:
    """Bytes of an array; several arrays of a NumPy step count as none."""
    return 0 if kind == "several" else math.prod(shape) * dtype_of(kind).itemsize


def c_strides(shape: Sequence[int]) -> Shape:
    """Strides in entries of an array in C order."""
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def reshaped_strides(shape: Shape, strides: Shape, target: Shape) -> Shape | None:
    """Strides that show the same entries in the shape `target`, or None where a copy is needed."""
    if 0 in target:
        return c_strides(target)
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    result: list[int] = [0] * len(target)
    i = j = 0
    while i < len(old) or j < len(target):
        # The shortest run of old axes and the shortest run of new ones with the same product.
        first_old, first_new = i, j
        have = old[i][0] if i < len(old) else 1
        want = target[j] if j < len(target) else 1
        i, j = i + 1, j + 1
        while have != want:
            if have < want:
                have *= old[i][0]
                i += 1
            else:
                want *= target[j]
                j += 1
        for k in range(first_old, min(i, len(old)) - 1):
            if old[k][1] != old[k + 1][0] * old[k + 1][1]:
                return None
        step = old[min(i, len(old)) - 1][1] if old else 0
        for k in range(min(j, len(target)) - 1, first_new - 1, -1):
            result[k] = step
            step *= target[k]
    return tuple(result)
