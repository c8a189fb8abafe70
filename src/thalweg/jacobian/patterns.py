"""Where the entries of a Jacobian can be: patterns multiplied and summed along the graph.

The pattern of a node is a sparse matrix of its entries by those of all inputs. Values play no part:
both branches of a `where` count, and a kind that is given by functions has entries where it says
(`Custom.pattern`), or anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from thalweg.errors import ShapeError, SizeLimitError
from thalweg.graph.kinds import (
    BatchedDense,
    Broadcast,
    Chain,
    Contract,
    Custom,
    DiagMinusRank1,
    Diagonal,
    Identity,
    Kind,
    MatMulLeft,
    MatMulRight,
    Put,
    Reshape,
    Router,
    Scale,
    SumOver,
    Take,
    Wirtinger,
    Zero,
)
from thalweg.graph.node import Node
from thalweg.jacobian.coordinates import Coordinates, coordinates, size_of
from thalweg.jacobian.terms import UnstructuredError, check_static
from thalweg.jacobian.zeros import support
from thalweg.ops.structural import ITEM

__all__ = ["pattern_of"]

#: Entries of one local Jacobian, and of the pattern of one node.
_MOST_ENTRIES = 5_000_000

_BY_ENTRY = frozenset((Identity, Broadcast, Scale, Diagonal, Router, Wirtinger))


def pattern_of(
    inputs: Sequence[Node], outputs: Sequence[Any], order: Sequence[Node], as_graph: bool
) -> Any:
    """The pattern of all outputs' entries by all inputs' as a ``scipy.sparse.csr_array`` of bool.

    Parameters
    ----------
    inputs : sequence of Node
    outputs : sequence
        Nodes, or values that depend on nothing.
    order : sequence of Node
        What stands between, in topological order.
    as_graph : bool
        For all values: then an index that depends on values has no pattern.

    Raises
    ------
    UnstructuredError
        Where it has none, or too many entries.
    ShapeError
        Where a user's kind names rows or columns that are none.
    """
    n = sum(x.size for x in inputs)
    known: dict[Node, Any] = {}
    start = 0
    for x in inputs:
        columns = np.arange(start, start + x.size)
        known[x] = _matrix(np.arange(x.size), columns, (x.size, n))
        start += x.size
    with np.errstate(all="ignore"):
        for node in order:
            if node not in known:
                found = _of_node(node, known, as_graph)
                if found is not None:
                    known[node] = found
    blocks = [
        known[out] if type(out) is Node and out in known else sparse.csr_array((out.size, n))
        for out in outputs
    ]
    made = sparse.vstack([block.astype(bool) for block in blocks], format="csr")
    made.sort_indices()
    return made


def _of_node(node: Node, known: dict[Node, Any], as_graph: bool) -> Any:
    """The pattern of a node; None where nothing varies."""
    if node.primitive is ITEM:
        (whole,), index = node.operands, node.params["index"]
        if whole not in known:
            return None
        first = sum(part.size for part in whole.value[:index])
        return known[whole][first : first + node.size]
    out: Any = node.value
    values = [x.value if type(x) is Node else x for x in node.operands]
    given: Any = (node, *node.operands) if as_graph else (out, *values)
    total: Any = None
    for i, operand in enumerate(node.operands):
        if type(operand) is not Node or operand not in known:
            continue
        kind = node.primitive.local(i, *given, **node.params)
        if type(kind) is Zero:
            continue
        there = None
        if type(kind) in (MatMulLeft, MatMulRight):
            there = support(node.operands[1 - i])
        local = _local(kind, values[i], out, there)
        inner = known[operand]
        made = inner if local is None else local @ inner
        total = made if total is None else total + made
        if total.nnz > _MOST_ENTRIES:
            raise UnstructuredError(f"a pattern of {total.nnz:,} entries")
    return total


def _matrix(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    made = sparse.csr_array((np.ones(len(rows), bool), (rows, columns)), shape=shape)
    made.sum_duplicates()
    return made


def _ones(value: Any) -> Any:
    """Ones of a value's or node's shape, which take no memory."""
    return np.broadcast_to(np.int8(1), value.shape)


def _local(kind: Kind, x: Any, out: Any, there: Any = None) -> Any:
    """The pattern of a kind; None for the identity's. `there` says where its matrix is not zero."""
    shape = (size_of(out), size_of(x))
    if type(kind) is Chain:
        inner, outer = _local(kind.inner, x, kind.between), _local(kind.outer, kind.between, out)
        return inner if outer is None else outer if inner is None else outer @ inner
    if type(kind) is Reshape or (type(kind) in _BY_ENTRY and x.shape == out.shape):
        return None
    rows, columns = _places(kind, x, out)
    if math.prod(np.broadcast_shapes(np.shape(rows), np.shape(columns))) > _MOST_ENTRIES:
        raise UnstructuredError(f"a local Jacobian of more than {_MOST_ENTRIES:,} entries")
    rows, columns = np.broadcast_arrays(rows, columns)
    if there is not None:
        product = MatMulLeft(there) if type(kind) is MatMulLeft else MatMulRight(there)
        kept = np.broadcast_to(coordinates(product, x, out).entries, rows.shape)
        rows, columns = rows[kept], columns[kept]
    return _matrix(rows.reshape(-1), columns.reshape(-1), shape)


def _places(kind: Kind, x: Any, out: Any) -> tuple[Any, Any]:
    """Rows and columns of a kind's entries, which broadcast against each other."""
    match kind:
        case Custom():
            return _declared(kind, x, out)
        case Take() | Put():
            check_static(kind.index)
        case SumOver():
            kind = kind._replace(weights=None, routed=False)
        case MatMulLeft() | MatMulRight():
            kind = kind._replace(matrix=_ones(kind.matrix))
        case Contract():
            kind = Contract((kind.inputs[kind.position],), kind.output, 0, ())
        case BatchedDense():
            kind = kind._replace(entries=_ones(kind.entries))
        case DiagMinusRank1():
            kind = kind._replace(probabilities=_ones(kind.probabilities))
        case Zero() | Chain():
            return np.zeros(0, int), np.zeros(0, int)
        case _ if type(kind) in _BY_ENTRY:
            kind = Identity()
    try:
        found: Coordinates = coordinates(kind, x, out)
    except SizeLimitError as error:
        raise UnstructuredError(str(error)) from None
    return found.rows, found.columns


def _declared(kind: Custom, x: Any, out: Any) -> tuple[Any, Any]:
    """Where a kind that is given by functions says that its entries can be, or anywhere."""
    if callable(kind.pattern):
        rows, columns = kind.pattern()
        for what, numbers, size in (("rows", rows, size_of(out)), ("columns", columns, size_of(x))):
            if np.size(numbers) and (np.min(numbers) < 0 or np.max(numbers) >= size):
                raise ShapeError(
                    f"the pattern of '{kind.name}' names {what} {np.min(numbers)} to "
                    f"{np.max(numbers)}; the flattened sizes are {size_of(out)} × {size_of(x)}"
                )
        return rows, columns
    if type(kind.pattern) is tuple:
        found = _along(kind.pattern, x, out)
        if found is not None:
            return found
    elif kind.pattern is not None:
        entries = sparse.coo_array(kind.pattern)
        return entries.row, entries.col
    return np.arange(size_of(out))[:, None], np.arange(size_of(x))[None, :]


def _along(axes: tuple[int, ...], x: Any, out: Any) -> tuple[Any, Any] | None:
    """All entries along these axes; None where the others are not the same ones."""
    ndim = len(x.shape) if type(out) is not tuple and type(x) is not tuple else -1
    if ndim != len(getattr(out, "shape", ())):
        return None
    mixed = {axis % ndim for axis in axes}
    if any(x.shape[i] != out.shape[i] for i in range(ndim) if i not in mixed):
        return None
    rows = np.arange(size_of(out)).reshape(out.shape)
    columns = np.arange(size_of(x)).reshape(x.shape)
    # Each mixed axis becomes two: entries of the result, entries of the operand.
    for axis in sorted(mixed, reverse=True):
        rows, columns = np.expand_dims(rows, axis + 1), np.expand_dims(columns, axis)
    return rows, columns
