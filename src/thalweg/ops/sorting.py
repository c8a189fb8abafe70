"""Sorting is a permutation that depends on the values: `Take` along an axis. And searching."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Kind, Take, Zero
from thalweg.graph.node import Node
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._checks import settled_shape
from thalweg.ops._families import discrete, static
from thalweg.ops._reasons import OPEN_SHAPE, SEARCH, SORTING
from thalweg.ops.index import getitem

__all__ = ["along_axis", "places_of_ranks"]


def along_axis(order: Any, axis: int) -> tuple[Any, ...]:
    """The index that takes `order` along `axis`, and every other axis as it is."""
    shape = order.shape
    return tuple(
        order
        if i == axis
        else np.reshape(np.arange(n), tuple(n if k == i else 1 for k in range(len(shape))))
        for i, n in enumerate(shape)
    )


def _order(x: Any, ranked: Any, axis: int) -> Any:
    """np.argsort(x, axis, kind="stable"), where `ranked` is x sorted.

    Without ties there is only one order, and the default kind finds it several times as fast.
    """
    if type(x) is not Node:
        lower = ranked[(*(slice(None),) * axis, slice(0, -1))]
        upper = ranked[(*(slice(None),) * axis, slice(1, None))]
        if np.less(lower, upper).all():  # False for NaN too
            return np.argsort(x, axis=axis)
    return np.argsort(x, axis=axis, kind="stable")


def _sort_local(i: int, out: Any, x: Any, axis: int) -> Kind:
    return Take(along_axis(_order(x, out, axis), axis), True)


SORT: Primitive = register(
    Primitive(
        name="sort",
        value=lambda x, axis: np.sort(x, axis=axis),
        local=_sort_local,
        labels=Labels("sort", r"\operatorname{{sort}}({0})"),
        batch=lambda operands, batched, params: SORT(*operands, axis=params["axis"] + 1),
        lower=SORTING,
    )
)


def places_of_ranks(x: Any, low: int, high: int) -> Any:
    """np.argsort(x, kind="stable")[..., [low, high]]: where along the last axis these ranks are."""
    pair = np.array([low, high])
    if type(x) is not Node:
        found = np.argpartition(x, pair)[..., pair]
        for k in (0, 1):
            entry = np.take_along_axis(x, found[..., k : k + 1], -1)
            if not np.equal(np.count_nonzero(x == entry, axis=-1), 1).all():
                break  # one of several that are equal, or NaN: it depends on their order in x
        else:
            return found
    return np.argsort(x, axis=-1, kind="stable")[..., pair]


def _partition_local(i: int, out: Any, x: Any, kth: Any, axis: int) -> Kind:
    # NumPy does not say how it moved the entries. Those of equal rank belong together: the
    # result's entry of rank r is the operand's entry of rank r.
    ranks = np.argsort(np.argsort(out, axis=axis, kind="stable"), axis=axis, kind="stable")
    order = np.argsort(x, axis=axis, kind="stable")
    return Take(along_axis(order[along_axis(ranks, axis)], axis), True)


PARTITION: Primitive = register(
    Primitive(
        name="partition",
        value=lambda x, kth, axis: np.partition(x, kth, axis=axis),
        local=_partition_local,
        labels=Labels("partition", r"\operatorname{{partition}}({0})"),
        batch=lambda operands, batched, params: PARTITION(
            *operands, kth=params["kth"], axis=params["axis"] + 1
        ),
        lower=SORTING,
    )
)


@implements(np.sort)
def sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None
) -> Any:
    # Every kind of sorting gives the same values; NumPy checks how it is asked for.
    np.sort(np.empty(0), kind=kind, order=order, stable=stable)
    if axis is None:
        a, axis = np.ravel(a), 0
    return SORT(a, axis=normalize_axis_index(axis, a.ndim))


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    wide = (
        np.complex64
        if a.dtype.char in "bhBHF"
        else np.complex256
        if a.dtype.char == "g"
        else (a.dtype if a.dtype.kind == "c" else np.complex128)
    )
    return np.sort(np.multiply(a, np.ones((), wide)), axis=-1)


@implements(np.partition)
def partition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    static("np.partition", kth=kth)
    np.partition(np.empty(1), 0, kind=kind, order=order)  # type: ignore[call-overload]
    if axis is None:
        a, axis = np.ravel(a), 0
    return PARTITION(a, kth=kth, axis=normalize_axis_index(axis, a.ndim))


_INDEX = "an index does not vary with what was sorted or searched"

for _function, _operands, _reason in (
    (np.argsort, ("a",), SORTING),
    (np.argpartition, ("a",), SORTING),
    (np.searchsorted, ("a", "v", "sorter"), SEARCH),
    (np.digitize, ("x", "bins"), SEARCH),
):
    discrete(_function, _operands, reason=_INDEX, lower=_reason)
for _positions in (np.argwhere, np.flatnonzero):
    discrete(_positions, ("a",), reason=_INDEX, lower=OPEN_SHAPE, open_shape=True)


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Any, ...]:
    if a.ndim == 0:
        raise ValueError("Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(x) first.")
    places = np.argwhere(a)
    return tuple(places[:, axis] for axis in range(a.ndim))


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    # By the last key first in importance: stable sorts, from the least important key on.
    keys = list(keys)
    order: Any = None
    for key in keys:
        if order is None:
            order = np.argsort(key, axis=axis, kind="stable")
        else:
            at = normalize_axis_index(axis, np.ndim(key))
            again = np.argsort(getitem(key, along_axis(order, at)), axis=at, kind="stable")
            order = getitem(order, along_axis(again, at))
    return order


# ---- unique -----------------------------------------------------------------------------------


def _unique_value(x: Any, part: int, **options: Any) -> Any:
    return np.unique(x, return_index=True, return_inverse=True, return_counts=True, **options)[part]


UNIQUE_INDEX: Primitive = register(
    Primitive(
        name="unique_index",
        value=_unique_value,
        local=lambda i, out, x, **options: Zero(_INDEX),
        labels=Labels("unique", r"\operatorname{{unique}}({0})"),
        batch="the number of different values differs an example",
        lower=SORTING,
    )
)


@implements(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    **newer: Any,
) -> Any:
    """The different values, sorted: each is taken from its first occurrence."""
    if not newer.get("sorted", True):
        raise NoRuleError("np.unique: no rule for sorted=False")
    options = {"axis": axis, "equal_nan": equal_nan}
    first = settled_shape(UNIQUE_INDEX(ar, part=1, **options))
    if axis is None:
        values = np.ravel(ar)[first]
    else:
        values = ar[(*(slice(None),) * normalize_axis_index(axis, ar.ndim), first)]
    wanted = enumerate((return_index, return_inverse, return_counts), start=1)
    more = [UNIQUE_INDEX(ar, part=part, **options) for part, asked in wanted if asked]
    return (values, *more) if more else values
