"""Indexing: reading (`getitem`), writing (`setitem`), and their transposes."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.kinds import IDENTITY, Kind, Put, Router, Take, Zero
from thalweg.graph.node import Node, apply
from thalweg.graph.primitive import Labels, Primitive, implements, register

__all__ = ["add_at", "getitem", "setitem"]


class Slot(NamedTuple):
    """A place in an index that is filled by the operand of this number (a traced index array)."""

    number: int


def _split(index: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """The index as a tuple with slots, and the nodes that fill them."""
    parts = index if type(index) is tuple else (index,)
    nodes: list[Any] = []
    template: list[Any] = []
    for part in parts:
        if type(part) is Node:
            template.append(Slot(len(nodes)))
            nodes.append(part)
        else:
            template.append(np.asarray(part) if isinstance(part, list) else part)
    return tuple(template), nodes


def _fill(template: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(arrays[part.number] if type(part) is Slot else part for part in template)


def _is_unique(template: tuple[Any, ...], arrays: tuple[Any, ...]) -> bool:
    """Whether no entry can be named twice: only integer arrays can do that."""
    for part in _fill(template, arrays):
        dtype = getattr(part, "dtype", None)
        if dtype is not None and dtype.kind != "b" and part.shape != ():
            return False
    return True


_NO_INDEX_GRADIENT = Zero("an index is an integer or boolean")


def _getitem_local(i: int, out: Any, x: Any, *arrays: Any, index: tuple[Any, ...]) -> Kind:
    if i > 0:
        return _NO_INDEX_GRADIENT
    return Take(_fill(index, arrays), _is_unique(index, arrays))


GETITEM = register(
    Primitive(
        name="getitem",
        value=lambda x, *arrays, index: x[_fill(index, arrays)],
        local=_getitem_local,
        labels=Labels("index", "{0}[{args}]"),
        batch="index arithmetic differs an example",
    )
)


@implements(operator.getitem)
def getitem(x: Any, index: Any) -> Any:
    """x[index], with traced index arrays where they occur."""
    template, nodes = _split(index)
    return apply(GETITEM, (x, *nodes), {"index": template})


def _setitem_value(x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    result = np.array(x)
    result[_fill(index, arrays)] = value
    return result


def _setitem_local(
    i: int, out: Any, x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]
) -> Kind:
    if i > 1:
        return _NO_INDEX_GRADIENT
    filled = _fill(index, arrays)
    if i == 1:
        return Put(filled)
    # What was overwritten has no influence, not even as NaN.
    return Router(setitem(np.ones(out.shape, bool), filled, False))


SETITEM = register(
    Primitive(
        name="setitem",
        value=_setitem_value,
        local=_setitem_local,
        labels=Labels("set", r"{0} \text{{ with entries }} {1}"),
        batch="index arithmetic differs an example",
    )
)


def setitem(x: Any, index: Any, value: Any) -> Any:
    """A copy of x with x[index] = value (its dtype stays, as NumPy's assignment has it)."""
    template, nodes = _split(index)
    return apply(SETITEM, (x, value, *nodes), {"index": template})


def _add_at_value(x: Any, value: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    result = np.array(x)
    np.add.at(result, _fill(index, arrays), value)
    return result


ADD_AT = register(
    Primitive(
        name="add_at",
        value=_add_at_value,
        local=lambda i, out, x, value, *arrays, index: (
            IDENTITY
            if i == 0
            else Take(_fill(index, arrays), True)
            if i == 1
            else _NO_INDEX_GRADIENT
        ),
        labels=Labels("add at", r"{0} \text{{ plus entries }} {1}"),
        batch="index arithmetic differs an example",
    )
)


def add_at(x: Any, index: Any, value: Any) -> Any:
    """A copy of x with value added at index, repeated entries adding up (np.add.at)."""
    template, nodes = _split(index)
    return apply(ADD_AT, (x, value, *nodes), {"index": template})
