"""Cases of `ops/index.py`: every form of index that NumPy knows, read, written and added to."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases.case import Case

MASK = np.array([[True, False, True, True], [False] * 4, [True, False, False, True]])
INDICES: dict[str, tuple[tuple[int, ...], Any]] = {
    "int": ((3, 4), 1),
    "negative": ((3, 4), -1),
    "scalar": ((4,), 2),
    "numpy-int": ((3, 4), np.int32(1)),
    "pair": ((3, 4), (1, 2)),
    "slice": ((6,), slice(1, 5, 2)),
    "backwards": ((6,), slice(None, None, -2)),
    "empty-slice": ((6,), slice(4, 2)),
    "ellipsis": ((2, 3, 4), (..., 1)),
    "ellipsis-middle": ((2, 3, 4), (0, ..., slice(1, 3))),
    "newaxis": ((3, 4), (slice(None), None, 1)),
    "none-of-0d": ((), None),
    "empty-tuple": ((3,), ()),
    "0d": ((), ()),
    "0d-ellipsis": ((), ...),
    "array": ((5,), np.array([3, 0, 2])),
    "array-repeated": ((5,), np.array([3, 0, 3, -2, 3])),
    "array-2d": ((5, 2), np.array([[3, 0], [0, 4]])),
    "array-empty": ((5, 2), []),
    "list": ((5,), [0, 0, 1]),
    "range": ((5,), range(2)),
    "array-0d": ((5, 2), np.array(3)),
    "mask": ((3, 4), MASK),
    "mask-rows": ((3, 4), np.array([True, False, True])),
    "mask-list": ((3,), [True, False, True]),
    "mask-none": ((3,), np.zeros(3, bool)),
    "mask-0d": ((3,), np.True_),
    "mask-and-int": ((3, 4), (np.array([True, False, True]), 1)),
    "two-arrays": ((3, 4), (np.array([0, 2, 0]), np.array([1, 1, 1]))),
    "two-arrays-broadcast": ((3, 4), (np.array([[0], [2]]), np.array([1, 3, 1]))),
    "ix": ((3, 4), np.ix_([0, 2], [1, 3])),
    "array-last": ((3, 4), (slice(1), np.array([0, 0, 3]))),
    "array-and-new": ((3, 4), (None, np.array([0, 1]), None)),
    "separated": ((2, 3, 4), (np.array([0, 1, 0]), slice(None), np.array([1, 1, 0]))),
    "separated-int": ((2, 3, 4), (1, slice(None), np.array([1, 1, 0]))),
    "separated-new": ((2, 3), (np.array([0, 1]), None, np.array([1, 2]))),
    "adjacent": ((2, 3, 4), (slice(None), np.array([0, 1, 0]), np.array([1, 1, 0]))),
    "size-0": ((0, 3), (slice(None), np.array([0, 2]))),
}


def _read(index: Any) -> Any:
    return lambda x: x[index]


def _values(shape: tuple[int, ...], index: Any) -> list[tuple[int, ...]]:
    """Shapes of values that broadcast to x[index]: itself, 0-d, and axes of size 1."""
    target = np.zeros(shape)[index].shape
    if not target:
        return [()]
    whole = not any(
        np.asarray(part).dtype == bool for part in (index if isinstance(index, tuple) else (index,))
    )
    return sorted({target, (), (*target[:-1], 1), *([(1, 1, *target)] if whole else [])})


READS = [
    Case("getitem", _read(index), (shape,), complex=True, label=name)
    for name, (shape, index) in INDICES.items()
]
_WRITABLE = {name: entry for name, entry in INDICES.items() if entry[0] != ()}
WRITES = [
    Case(
        "setitem",
        lambda x, v, index=index: _set(x, index, v),
        (shape, value),
        complex=name in ("slice", "array-repeated", "separated"),
        label=f"{name}-{value}",
    )
    for name, (shape, index) in _WRITABLE.items()
    for value in _values(shape, index)
]


def _set(x: Any, index: Any, value: Any) -> Any:
    y = x * 1.0
    y[index] = value
    return y


def _add(x: Any, index: Any, value: Any) -> Any:
    y = x * 1.0
    np.add.at(y, index, value)
    return y


ADDS = [
    Case(
        "add_at",
        lambda x, v, index=index: _add(x, index, v),
        (shape, value),
        complex=name in ("slice", "array-repeated", "separated"),
        label=f"{name}-{value}",
    )
    for name, (shape, index) in _WRITABLE.items()
    for value in {np.zeros(shape)[index].shape, ()}
]


TRACED = [
    Case("getitem", lambda x: x[x > 0.3], ((3, 4),), label="own-mask", batched=False),
    Case("getitem", lambda x: x[x[:, 0] > 0], ((5, 2),), label="own-mask-rows", batched=False),
    Case("getitem", lambda x: x[(4 * np.abs(x[0])).astype(int) % 5], ((5, 2),), label="own-array"),
    Case("getitem", lambda x: x[(4 * abs(x[0, 0])).astype(int) % 5], ((5, 2),), label="own-int"),
    Case("setitem", lambda x, v: _set(x, x > 0.3, v), ((3, 4), ()), label="own-mask"),
    Case(
        "setitem",
        lambda x, v: _set(x, (4 * np.abs(v)).astype(int) % 5, v),
        ((5,), (3,)),
        label="own-array",
    ),
]
CASES = READS + WRITES + ADDS + TRACED
