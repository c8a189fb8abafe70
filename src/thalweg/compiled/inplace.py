"""`inplace=`: results that take the memory of arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiled.signature import Call
from thalweg.errors import DtypeError, ShapeError, TreeError
from thalweg.tracing import path_text
from thalweg.tree import Structure, flatten_with_paths

__all__ = ["Targets", "check_positions", "match_results", "targets"]

#: For each in-place argument: its position, its tree, and the leaves of the call that are in it.
Targets = tuple[tuple[int, Structure, range], ...]

#: How long NumPy may think about whether two arrays overlap before they count as overlapping.
_MAX_WORK = 10_000


def check_positions(inplace: Any) -> tuple[int, ...]:
    """``inplace=`` as a tuple of positions.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if isinstance(inplace, (int, np.integer)) and not isinstance(inplace, bool):
        inplace = (inplace,)
    positions = tuple(inplace) if isinstance(inplace, (tuple, list, range)) else None
    if positions is None or not all(type(p) is int and p >= 0 for p in positions):
        raise TypeError(
            f"inplace must be positions of arguments, such as (0, 1), counted from 0; got "
            f"{inplace!r}"
        )
    if len(set(positions)) != len(positions):
        raise TypeError(f"inplace={inplace!r} names an argument twice")
    return positions


def targets(inplace: tuple[int, ...], call: Call, args: tuple[Any, ...]) -> Targets:
    """Where the results of a call go.

    Raises
    ------
    TypeError, DtypeError, ValueError
        If an argument's memory cannot be taken.
    """
    starts = [0]
    for structure in call.arguments:
        starts.append(starts[-1] + structure.n_leaves)
    found = []
    for position in inplace:
        if position >= len(args):
            raise TypeError(
                f"inplace={inplace!r}, but the call has {len(args)} positional arguments; pass "
                "what is updated in place by position"
            )
        found.append((position, call.arguments[position], range(*starts[position : position + 2])))
    for position, _, leaves in found:
        for i in leaves:
            _check_array(call.leaves[i], args, position, i - leaves.start)
    _check_overlaps(found, call, args)
    return tuple(found)


def _check_array(leaf: Any, args: tuple[Any, ...], position: int, k: int) -> None:
    """Only plain memory can be taken: writeable, in C order, native, NumPy's own class."""
    if type(leaf) is not np.ndarray:
        raise DtypeError(
            f"inplace: {_name(args, position, k)} is a {type(leaf).__name__}, which has no memory "
            "to write to; pass an array (np.array(0.0) for a number)"
        )
    if not leaf.flags.writeable:
        raise ValueError(f"inplace: {_name(args, position, k)} is read-only; pass a copy")
    if not (leaf.flags.c_contiguous and leaf.flags.aligned and leaf.dtype.isnative):
        raise ValueError(
            f"inplace: {_name(args, position, k)} does not lie in memory in C order, aligned, in "
            "the machine's byte order; pass np.ascontiguousarray(x)"
        )


def _name(args: tuple[Any, ...], position: int, k: int) -> str:
    path = flatten_with_paths(args[position])[0][k][0]
    return path_text(f"argument {position}", path)


def _check_overlaps(found: Sequence[tuple[int, Structure, range]], call: Call, args: Any) -> None:
    """No array that is written may share memory with any other argument."""
    written = {i for _, _, leaves in found for i in leaves}
    arrays = [
        (*np.lib.array_utils.byte_bounds(leaf), i)
        for i, leaf in enumerate(call.leaves)
        if isinstance(leaf, np.ndarray) and leaf.size
    ]
    arrays.sort()
    for k, (_, end, i) in enumerate(arrays):
        for start, _, j in arrays[k + 1 :]:
            if start >= end:
                break
            if (i in written or j in written) and _overlap(call.leaves[i], call.leaves[j]):
                both = " and ".join(_name_of_leaf(call, args, x) for x in sorted((i, j)))
                raise ValueError(
                    f"inplace: {both} share memory, and one of them would be written while the "
                    "other is read; pass a copy of one"
                )


def _overlap(a: Any, b: Any) -> bool:
    try:
        return np.shares_memory(a, b, max_work=_MAX_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _name_of_leaf(call: Call, args: tuple[Any, ...], i: int) -> str:
    """As `_name`, of the i-th leaf of the whole call."""
    for position, structure in enumerate(call.arguments[: len(args)]):
        if i < structure.n_leaves:
            return _name(args, position, i)
        i -= structure.n_leaves
    return "a keyword argument"


def match_results(
    places: Targets, call: Call, leaves: Sequence[Any], structure: Structure
) -> dict[int, int]:
    """Leaf of the result → leaf of the call whose memory it takes.

    The first items of the result belong to the in-place arguments, in their order; with a single
    one the whole result may.

    Raises
    ------
    TreeError, ShapeError, DtypeError
        If a result does not have the form of its argument.
    """
    if not places:
        return {}
    if len(places) == 1 and (
        structure == places[0][1] or structure.kind is None or not _is_sequence(structure)
    ):
        items: tuple[Structure, ...] = (structure,)
    elif _is_sequence(structure):
        items = structure.children
    else:
        items = ()
    if len(items) < len(places):
        raise TreeError(
            f"inplace: {len(places)} arguments are updated in place, so the function must return "
            f"a tuple that begins with their new values; it returned {structure!r}"
        )
    found: dict[int, int] = {}
    start = 0
    for item, (position, wanted, into) in zip(items, places, strict=False):
        if item != wanted:
            raise TreeError(
                f"inplace: the result for argument {position} has another form\n"
                f"  argument: {wanted!r}\n  result:   {item!r}"
            )
        for k, i in enumerate(into):
            _check_leaf(leaves[start + k], call.leaves[i], position, k)
            found[start + k] = i
        start += item.n_leaves
    return found


def _is_sequence(structure: Structure) -> bool:
    return structure.kind is not None and issubclass(structure.kind, (tuple, list))


def _check_leaf(result: Any, argument: Any, position: int, k: int) -> None:
    shape, dtype = np.shape(result), getattr(result, "dtype", np.asarray(argument).dtype)
    if shape == argument.shape and dtype == argument.dtype:
        return
    kind = ShapeError if shape != argument.shape else DtypeError
    raise kind(
        f"inplace: the result for argument {position} (leaf {k}) does not fit its memory\n"
        f"  argument: {argument.dtype}{list(argument.shape)}\n  result:   {dtype}{list(shape)}"
    )
