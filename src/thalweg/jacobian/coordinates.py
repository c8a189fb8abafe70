"""Every kind as triplets (row, column, entry): where its non-zeros are.

Rows number the entries of the result and columns those of the operand, in C order.
`thalweg.transforms.linear` says independently how a kind acts; a test holds the two against each
other.

At complex ends the matrix J is the one with push(t) = J t and pull(c) = Jᵀ c, where a real end
keeps the real part. A map between complex ends that is linear over the reals only (conjugation)
has no such matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import DtypeError, SizeLimitError
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
    Transpose,
    Wirtinger,
    Zero,
)
from thalweg.transforms.linear import push

__all__ = ["Coordinates", "coordinates", "dtype_of", "flat", "size_of"]


class Coordinates(NamedTuple):
    """Triplets of a matrix, broadcastable against each other; repeated positions add up."""

    rows: Any
    columns: Any
    entries: Any


def size_of(end: Any) -> int:
    return sum(map(size_of, end)) if type(end) is tuple else math.prod(end.shape)


def dtype_of(end: Any) -> np.dtype[Any]:
    return np.result_type(*[p.dtype for p in end]) if type(end) is tuple else end.dtype


def _is_complex(end: Any) -> bool:
    return dtype_of(end).kind == "c"


def _places(shape: tuple[int, ...]) -> Any:
    """The number of each entry of an array of this shape, in C order."""
    return np.arange(math.prod(shape)).reshape(shape)


# ---- coordinates, one function a form -----------------------------------------------------


def _elementwise(entries: Any, x: Any, out: Any) -> Coordinates:
    """diag(entries) after broadcasting x to out (or before summing to it)."""
    return Coordinates(_places(out.shape), _places(x.shape), entries)


def _routed(entries: Any, rows: Any, columns: Any) -> Coordinates:
    """As given, without the structural zeros."""
    rows, columns, entries = np.broadcast_arrays(rows, columns, entries)
    taken = entries != 0
    return Coordinates(rows[taken], columns[taken], entries[taken])


def _wirtinger(kind: Wirtinger, x: Any, out: Any) -> Coordinates:
    # Re(l t + k t̄) = Re((l + k̄) t): between complex ends conjugation has no matrix.
    if not _is_complex(x):
        return _elementwise(np.add(kind.linear, kind.conjugate), x, out)
    if not _is_complex(out):
        return _elementwise(np.add(kind.linear, np.conj(kind.conjugate)), x, out)
    raise _real_linear("conjugation")


def _real_linear(what: str) -> DtypeError:
    return DtypeError(
        f"{what} between complex values is linear over the reals only: it has no complex matrix. "
        "Use .push(t) and .pull(c)."
    )


def _sum(kind: SumOver, x: Any, out: Any) -> Coordinates:
    kept = tuple(1 if i in kind.axes else n for i, n in enumerate(x.shape))
    rows, columns = _places(kept), _places(x.shape)
    if kind.weights is None:
        return Coordinates(rows, columns, 1.0)
    if kind.routed:
        return _routed(kind.weights, rows, columns)
    return Coordinates(rows, columns, kind.weights)


def _put(kind: Put, x: Any, out: Any) -> Coordinates:
    # Let NumPy assign the operand's places: then broadcasting and repeated indices are its own.
    owner = np.full(out.shape, -1)
    owner[kind.index] = _places(x.shape)
    owner = owner.reshape(-1)
    rows = np.flatnonzero(owner >= 0)
    return Coordinates(rows, owner[rows], 1.0)


def _matmul_places(matrix: Any, x: Any, out: Any, left: bool) -> tuple[Any, Any, Any]:
    """Rows (…, m, p), columns and matrix with the axes that NumPy drops for vectors put back."""
    matrix, columns = np.asarray(matrix), _places(x.shape)
    if matrix.ndim == 1:
        matrix = matrix[None, :] if left else matrix[:, None]
    if columns.ndim == 1:
        columns = columns[:, None] if left else columns[None, :]
    first, second = (matrix, columns) if left else (columns, matrix)
    batch = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    rows = _places((*batch, first.shape[-2], second.shape[-1]))
    return rows, columns, matrix


def _matmul_left(kind: MatMulLeft, x: Any, out: Any) -> Coordinates:
    # y[i, k] = Σ_j A[i, j] x[j, k]: axes i, j, k.
    rows, columns, a = _matmul_places(kind.matrix, x, out, True)
    return Coordinates(rows[..., :, None, :], columns[..., None, :, :], a[..., :, :, None])


def _matmul_right(kind: MatMulRight, x: Any, out: Any) -> Coordinates:
    # y[i, k] = Σ_j x[i, j] B[j, k]: axes i, j, k.
    rows, columns, b = _matmul_places(kind.matrix, x, out, False)
    return Coordinates(rows[..., :, None, :], columns[..., :, :, None], b[..., None, :, :])


def _contract(kind: Contract, x: Any, out: Any) -> Coordinates:
    # ∂y[output]/∂x[target] = Σ over letters in neither of Π others: one axis a letter of the two.
    target = kind.inputs[kind.position]
    letters = kind.output + "".join(s for s in target if s not in kind.output)
    rest = [s for i, s in enumerate(kind.inputs) if i != kind.position]
    entries: Any = 1.0
    if rest:
        kept = "".join(s for s in letters if any(s in r for r in rest))
        entries = np.einsum(f"{','.join(rest)}->{kept}", *kind.others)
        entries = _spread(entries, kept, letters)
    rows = _spread(_places(out.shape), kind.output, letters)
    return Coordinates(rows, _spread(_places(x.shape), target, letters), entries)


def _spread(array: Any, own: str, letters: str) -> Any:
    """`array` with axes `own`, put along the axes `letters` (size 1 where it has none)."""
    order = sorted(range(len(own)), key=lambda i: letters.index(own[i]))
    moved = np.transpose(array, order)
    sizes = iter(moved.shape)
    return moved.reshape([next(sizes) if s in own else 1 for s in letters])


def _dense(kind: BatchedDense, x: Any, out: Any) -> Coordinates:
    b = kind.batch
    batch = x.shape[:b]
    m, n = math.prod(out.shape[b:]), math.prod(x.shape[b:])
    rows = _places((*batch, m))[..., :, None]
    columns = _places((*batch, n))[..., None, :]
    return Coordinates(rows, columns, np.reshape(kind.entries, (*batch, m, n)))


def _rank1(kind: DiagMinusRank1, x: Any, out: Any) -> Coordinates:
    p = np.moveaxis(np.broadcast_to(kind.probabilities, out.shape), kind.axis, -1)
    places = np.moveaxis(_places(out.shape), kind.axis, -1)
    entries = np.eye(p.shape[-1]) * p[..., None] - p[..., :, None] * p[..., None, :]
    return Coordinates(places[..., :, None], places[..., None, :], entries)


def _chain(kind: Chain, x: Any, out: Any) -> Coordinates:
    if _is_complex(x) and _is_complex(out) and not _is_complex(kind.between):
        raise _real_linear("a map through real values")
    outer = flat(coordinates(kind.outer, kind.between, out))
    inner = flat(coordinates(kind.inner, x, kind.between))
    # Join on the middle index: every entry (r, m) meets all entries (m, c).
    order = np.argsort(inner.rows, kind="stable")
    middle = inner.rows[order]
    start = np.searchsorted(middle, outer.columns, "left")
    counts = np.searchsorted(middle, outer.columns, "right") - start
    _limit(int(counts.sum()))
    first = np.repeat(np.arange(len(counts)), counts)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    second = order[start[first] + offset]
    entries = outer.entries[first] * inner.entries[second]
    return Coordinates(outer.rows[first], inner.columns[second], entries)


def _custom(kind: Custom, x: Any, out: Any) -> Coordinates:
    """Push unit vectors: nothing else is known about a custom kind."""
    m, n = size_of(out), size_of(x)
    _limit(m * n)
    entries = np.zeros((m, n), np.result_type(dtype_of(x), dtype_of(out)))
    unit = np.zeros(n, x.dtype)
    for j in range(n):
        unit[j] = 1
        entries[:, j] = _joined(push(kind, unit.reshape(x.shape)[()], x, out))
        if _is_complex(x):
            turned = _joined(push(kind, (1j * unit).reshape(x.shape)[()], x, out))
            if not _is_complex(out):
                entries[:, j] -= 1j * turned  # Re(J·1) and Re(J·i) give Re J and −Im J
            elif not np.allclose(turned, 1j * entries[:, j], equal_nan=True):
                raise _real_linear(kind.name)
        unit[j] = 0
    return Coordinates(np.arange(m)[:, None], np.arange(n)[None, :], entries)


def _joined(value: Any) -> Any:
    parts = value if type(value) is tuple else (value,)
    return np.concatenate([np.reshape(p, -1) for p in parts])


_COORDINATES: dict[type, Callable[..., Coordinates]] = {
    Zero: lambda kind, x, out: Coordinates(np.zeros(0, int), np.zeros(0, int), np.zeros(0)),
    Identity: lambda kind, x, out: _elementwise(1.0, x, out),
    Broadcast: lambda kind, x, out: _elementwise(1.0, x, out),
    Scale: lambda kind, x, out: _elementwise(kind.factor, x, out),
    Diagonal: lambda kind, x, out: _elementwise(kind.entries, x, out),
    Router: lambda kind, x, out: _routed(kind.entries, _places(out.shape), _places(x.shape)),
    Wirtinger: _wirtinger,
    SumOver: _sum,
    Reshape: lambda kind, x, out: Coordinates(np.arange(size_of(out)), np.arange(size_of(x)), 1.0),
    Transpose: lambda kind, x, out: Coordinates(
        _places(out.shape), np.transpose(_places(x.shape), kind.axes), 1.0
    ),
    Take: lambda kind, x, out: Coordinates(_places(out.shape), _places(x.shape)[kind.index], 1.0),
    Put: _put,
    MatMulLeft: _matmul_left,
    MatMulRight: _matmul_right,
    Contract: _contract,
    BatchedDense: _dense,
    DiagMinusRank1: _rank1,
    Chain: _chain,
    Custom: _custom,
}


def coordinates(kind: Kind, x: Any, out: Any) -> Coordinates:
    """The structural non-zeros of ∂out/∂x as (rows, columns, entries)."""
    found = _COORDINATES[type(kind)](kind, x, out)
    if np.iscomplexobj(found.entries) and not (_is_complex(x) or _is_complex(out)):
        found = found._replace(entries=np.real(found.entries))
    return found


def flat(found: Coordinates) -> Coordinates:
    """The triplets one by one."""
    _limit(math.prod(np.broadcast_shapes(*map(np.shape, found))))
    return Coordinates(*[part.reshape(-1) for part in np.broadcast_arrays(*found)])


#: Triplets that are written out at most (about a second and a gigabyte).
_MOST = 20_000_000


def _limit(count: int) -> None:
    if count > _MOST:
        raise SizeLimitError(
            f"a local Jacobian that is a product or is given by functions would take {count:,} "
            f"entries to write out; the limit is {_MOST:,}. Use .push(t) and .pull(c)."
        )
