"""Where the operands of a loop lie in memory, seen from its index space."""

from __future__ import annotations

from typing import NamedTuple

from thalweg.execute.native.ir import Shape, Tensor, c_strides

__all__ = [
    "Access",
    "aligned_axes",
    "covers",
    "is_array_const",
    "is_scalar_const",
    "locate",
    "operand_access",
    "same_entries",
    "space_of",
    "through",
]


class Access(NamedTuple):
    """Where an operand of a loop lies: entries of `base` at offset + Σ index · stride."""

    base: Tensor
    strides: Shape
    offset: int


def space_of(shape: Shape) -> Shape:
    """The index space of a shape: its axes longer than 1."""
    return tuple([n for n in shape if n != 1])


def locate(x: Tensor) -> Access:
    """A stored tensor or a view of one: its base, strides over all its axes, offset."""
    if x.op == "view":
        strides, offset = x.data
        return Access(x.args[0], strides, offset)
    return Access(x, c_strides(x.shape), 0)


def is_scalar_const(x: Tensor) -> bool:
    """Whether all entries are one known number."""
    return x.op == "const" and not isinstance(x.data, tuple)


def is_array_const(x: Tensor) -> bool:
    return x.op == "const" and isinstance(x.data, tuple)


def same_entries(x: Tensor) -> Tensor | None:
    """What a view shows entry by entry in the same order (only axes of size 1 differ), or None."""
    strides, offset = x.data
    base = x.args[0]
    if offset or space_of(base.shape) != space_of(x.shape):
        return None
    own = [s for n, s in zip(x.shape, strides, strict=True) if n != 1]
    natural = [s for n, s in zip(base.shape, c_strides(base.shape), strict=True) if n != 1]
    return base if own == natural else None


def aligned_axes(x: Tensor, full: Shape) -> list[int | None]:
    """For each axis of the space of `full`, the axis of x (broadcast to it), or None: repeated."""
    missing = len(full) - x.ndim
    axes: list[int | None] = []
    for i, n in enumerate(full):
        if n != 1:
            j = i - missing
            axes.append(j if j >= 0 and x.shape[j] != 1 else None)
    return axes


def through(x: Tensor) -> Tensor:
    """x, or what it shows unchanged."""
    while x.op == "view":
        base = same_entries(x)
        if base is None:
            return x
        x = base
    return x


def covers(x: Tensor, full: Shape) -> bool:
    """Whether x has an entry for each of the space of `full`."""
    return space_of(x.shape) == space_of(full)


def operand_access(x: Tensor, full: Shape) -> Access:
    """Where operand x of a map of shape `full` lies, with strides over the space of `full`."""
    found = locate(x)
    axes = aligned_axes(x, full)
    strides = tuple([0 if a is None else found.strides[a] for a in axes])
    return Access(found.base, strides, found.offset)
