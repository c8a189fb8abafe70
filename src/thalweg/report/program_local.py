"""What the page shows of a local Jacobian, as nodes that it can compute again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import DtypeError, SizeLimitError
from thalweg.graph.kinds import (
    BatchedDense,
    Chain,
    Custom,
    Diagonal,
    Kind,
    MatMulLeft,
    MatMulRight,
    Router,
    Scale,
    SumOver,
    Zero,
)
from thalweg.graph.node import Node
from thalweg.jacobian.coordinates import coordinates, flat, size_of
from thalweg.jacobian.structure import LocalJacobian
from thalweg.report.page_local import MOST_ENTRIES
from thalweg.transforms.linear import push

__all__ = ["UNKNOWN", "Again", "again"]

#: It varies with the inputs, and the page cannot compute it again.
UNKNOWN = "unknown"
#: Columns up to which a matrix is asked for, one by one.
_ASKED = 32
#: The field that holds the entries of a kind which only puts them into places.
_HELD = {
    Scale: "factor",
    Diagonal: "entries",
    Router: "entries",
    SumOver: "weights",
    MatMulLeft: "matrix",
    MatMulRight: "matrix",
    BatchedDense: "entries",
}


class Again(NamedTuple):
    """A node (or None: as it was, or `UNKNOWN`) for each thing that is shown.

    `places` are the rows and columns of `matrix` where its zeros are left out: they vary.
    """

    number: Any = None
    entries: Any = None
    count: Any = None
    matrix: Any = None
    places: tuple[Any, Any] | None = None


def again(kind: Kind, local: LocalJacobian, x: Node, out: Node) -> Again:
    """The number, entries, count of non-zeros and matrix of ∂out/∂x, whose kind is `kind`."""
    if type(kind) is Zero or not _varies(kind):
        return Again()
    if local.number is not None:
        return Again(np.reshape(push(kind, np.ones(x.shape, x.dtype), x, out), ()))
    entries = LocalJacobian(kind, x, out).entries
    count: Any = None
    if type(kind) is Router:
        count = np.count_nonzero(np.broadcast_to(kind.entries, out.shape))
    elif type(kind) is SumOver and kind.routed:
        count = np.count_nonzero(np.broadcast_to(kind.weights, x.shape))
    elif _routes(kind):
        count = UNKNOWN
    found, rows, columns = _matrix(kind, local, x, out)
    places = None if count is None or rows is None else (rows, columns)
    return Again(None, entries if type(entries) is Node else None, count, found, places)


def _varies(kind: Any) -> bool:
    """Whether there is a node in it; what is given by functions may hide one."""
    if type(kind) is Node or type(kind) is Custom:
        return True
    return isinstance(kind, tuple) and any(map(_varies, kind))


def _routes(kind: Any) -> bool:
    """Whether its non-zeros can change places with the inputs."""
    if type(kind) is Chain:
        return _routes(kind.outer) or _routes(kind.inner)
    routed = type(kind) is Router or (type(kind) is SumOver and kind.routed)
    return routed and _varies(kind)


def _matrix(kind: Kind, local: LocalJacobian, x: Node, out: Node) -> tuple[Any, Any, Any]:
    """(entries, rows, columns) of the triplets, structural zeros of a router among them."""
    if not size_of(out) * size_of(x):
        return None, None, None
    field = _HELD.get(type(kind))
    held = getattr(kind, field) if field else None
    unknown = UNKNOWN, None, None
    if field and type(held) is Node:
        if size_of(out) * size_of(x) > MOST_ENTRIES**2:
            return unknown
        numbers = np.arange(float(held.size)).reshape(held.shape)
        if type(kind) is Router:
            plain: Kind = Diagonal(numbers)
        elif type(kind) is SumOver:
            plain = kind._replace(weights=numbers, routed=False)
        else:
            plain = kind._replace(**{field: numbers})  # type: ignore[arg-type]
        found = flat(coordinates(plain, x.value, out.value))
        if len(found.rows) > 2 * MOST_ENTRIES:
            return unknown
        entries = np.reshape(held, (held.size,))[found.entries.astype(int)]
        return entries, found.rows, found.columns
    if _routes(kind) or size_of(x) > _ASKED or size_of(x) * size_of(out) > MOST_ENTRIES:
        return unknown
    try:
        found = local.triplets()
    except (DtypeError, SizeLimitError):
        return unknown
    if len(np.unique(found.rows * size_of(x) + found.columns)) < len(found.rows):
        return unknown
    units = np.eye(size_of(x), dtype=x.dtype)
    columns = [np.reshape(push(kind, unit.reshape(x.shape), x, out), (-1,)) for unit in units]
    return np.stack(columns, axis=1)[found.rows, found.columns], found.rows, found.columns
