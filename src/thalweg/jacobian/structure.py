"""The structure of a local Jacobian: its shape, its non-zeros, what it holds, its dense form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.config import config
from thalweg.errors import DtypeError, ShapeError, SizeLimitError
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
from thalweg.jacobian.coordinates import Coordinates, coordinates, dtype_of, flat, size_of
from thalweg.transforms.linear import pull, push

__all__ = ["LocalJacobian", "bytes_text"]


def _shape(end: Any) -> tuple[int, ...]:
    """The shape of an end of the edge; several arrays count as one long vector."""
    return (size_of(end),) if type(end) is tuple else end.shape


# ---- counts -------------------------------------------------------------------------------


def _contract_nnz(kind: Contract, x: Any, out: Any) -> int:
    target = kind.inputs[kind.position]
    return size_of(out) * math.prod(
        n for s, n in zip(target, x.shape, strict=True) if s not in kind.output
    )


def _is_opaque(kind: Kind) -> bool:
    """Whether nothing is known of it but what it does."""
    if type(kind) is Chain:
        return _is_opaque(kind.outer) or _is_opaque(kind.inner)
    return type(kind) is Custom


def _chain_nnz(kind: Chain, x: Any, out: Any) -> int:
    if _is_opaque(kind):
        return size_of(out) * size_of(x)
    if _is_bijection(kind.outer, kind.between, out):
        return _nnz(kind.inner, x, kind.between)
    if _is_bijection(kind.inner, x, kind.between):
        return _nnz(kind.outer, kind.between, out)
    found = flat(coordinates(kind, x, out))
    return np.unique(found.rows * size_of(x) + found.columns).size


def _is_bijection(kind: Kind, x: Any, out: Any) -> bool:
    """Whether each entry of the result depends on one entry of the operand, and the reverse."""
    form = type(kind)
    if form in (Identity, Scale, Diagonal, Wirtinger):
        return bool(x.shape == out.shape)
    return form in (Reshape, Transpose)


def _nnz(kind: Kind, x: Any, out: Any) -> int:
    match kind:
        case Zero():
            return 0
        case Router():
            return int(np.count_nonzero(np.broadcast_to(kind.entries, out.shape)))
        case SumOver(routed=True, weights=weights) if weights is not None:
            return int(np.count_nonzero(np.broadcast_to(weights, x.shape)))
        case SumOver() | Reshape() | Transpose():
            return size_of(x)
        case Put():
            return int(coordinates(kind, x, out).rows.size)
        case MatMulLeft():
            return size_of(out) * int(x.shape[0] if len(x.shape) == 1 else x.shape[-2])
        case MatMulRight():
            return size_of(out) * int(x.shape[-1])
        case Contract():
            return _contract_nnz(kind, x, out)
        case BatchedDense():
            return size_of(out) * math.prod(x.shape[kind.batch :])
        case DiagMinusRank1():
            return size_of(out) * int(out.shape[kind.axis])
        case Chain():
            return _chain_nnz(kind, x, out)
        case Custom():
            return size_of(out) * size_of(x)
        case Take():
            return size_of(out)
        case _:  # the elementwise ones
            return math.prod(np.broadcast_shapes(x.shape, out.shape))


def _changed(value: Any, change: Callable[[np.ndarray[Any, Any]], Any]) -> Any:
    """A kind or a part of one with `change` applied to its arrays; itself where nothing changes."""
    if isinstance(value, np.ndarray):
        return change(value)
    if not isinstance(value, tuple):
        return value
    parts = [_changed(part, change) for part in value]
    if all(new is old for new, old in zip(parts, value, strict=True)):
        return value
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def _held(value: Any) -> int:
    """Bytes of the numbers in the fields of a kind."""
    if isinstance(value, (np.ndarray, np.generic)):
        return int(value.nbytes)
    if isinstance(value, Chain):
        return _held(value.outer) + _held(value.inner)
    if isinstance(value, tuple):
        return sum(map(_held, value))
    return 8 if type(value) is float else 16 if type(value) is complex else 0


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def bytes_text(count: int) -> str:
    """A number of bytes in decimal units: ``3.3 MB``."""
    size = float(count)
    for unit in _UNITS:
        if size < 999.5 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.2g} {unit}"


# ---- names --------------------------------------------------------------------------------

_NAMES: dict[type, str] = {
    Zero: "zero",
    Identity: "identity",
    Broadcast: "identity",
    Scale: "scale",
    Diagonal: "diagonal",
    Router: "router",
    Wirtinger: "wirtinger",
    Reshape: "permutation",
    Transpose: "permutation",
    Put: "placement",
    MatMulLeft: "matmul left",
    MatMulRight: "matmul right",
    Contract: "contraction",
    DiagMinusRank1: "diag - rank 1",
}
_STRETCHING = (Identity, Broadcast, Scale, Diagonal, Router, Wirtinger)


def _name(kind: Kind, x: Any, out: Any) -> str:
    form = type(kind)
    if form in _STRETCHING and size_of(x) != size_of(out):
        return "broadcast" if form in (Identity, Broadcast) else f"{_NAMES[form]} broadcast"
    match kind:
        case SumOver():
            plain = "sum" if kind.weights is None else "weighted sum"
            return "router sum" if kind.routed else plain
        case Take():
            return "selection" if kind.unique else "gather"
        case BatchedDense():
            return "block diagonal" if kind.batch else "dense"
        case Chain():
            outer = _name(kind.outer, kind.between, out)
            return f"{outer} after {_name(kind.inner, x, kind.between)}"
        case Custom():
            return kind.name
    return _NAMES[form]


#: Kinds whose 1×1 form is their only entry, and those in which it is 1.
_ONES = (Identity, Broadcast, Reshape)
_OF_ONE = (*_ONES, Scale, Diagonal, Router)

_NUMBERS: dict[type, Callable[[Any], Any]] = {
    Scale: lambda kind: kind.factor,
    Diagonal: lambda kind: kind.entries,
    Router: lambda kind: kind.entries,
    Wirtinger: lambda kind: (kind.linear, kind.conjugate),
    SumOver: lambda kind: kind.weights,
    MatMulLeft: lambda kind: kind.matrix,
    MatMulRight: lambda kind: kind.matrix,
    Contract: lambda kind: kind.others,
    BatchedDense: lambda kind: kind.entries,
    DiagMinusRank1: lambda kind: kind.probabilities,
    Take: lambda kind: kind.index,
    Put: lambda kind: kind.index,
    Transpose: lambda kind: kind.axes,
    Chain: lambda kind: (LocalJacobian._numbers(kind.outer), LocalJacobian._numbers(kind.inner)),
}


class LocalJacobian:
    """∂out/∂x on one edge of the graph, held in the form that its structure allows.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.graph.kinds import Diagonal
    >>> x = np.zeros((100, 4096))
    >>> LocalJacobian(Diagonal(np.ones((100, 4096))), x, x)
    diagonal 409600×409600, nnz 409600, 3.3 MB instead of 1.3 TB
    """

    __slots__ = ("_out", "_part", "_x", "structure")

    def __init__(self, structure: Kind, x: Any, out: Any, part: int | None = None) -> None:
        #: The kind itself (`thalweg.kinds`).
        self.structure = structure
        self._x = x
        self._out = out
        self._part = part  # out is this one of several arrays x

    @staticmethod
    def _numbers(kind: Kind) -> Any:
        take = _NUMBERS.get(type(kind))
        return None if take is None else take(kind)

    def replace(self, change: Callable[[np.ndarray[Any, Any]], Any]) -> LocalJacobian:
        """The same Jacobian with `change` applied to each array that it holds."""
        changed = _changed(self.structure, change)
        if changed is self.structure:
            return self
        return LocalJacobian(changed, self._x, self._out, self._part)

    @property
    def kind(self) -> str:
        """Name of the form: ``"diagonal"``, ``"matmul left"``, ``"router"``, …"""
        if self._part is not None:
            return "selection"
        if type(self._out) is tuple or type(self._x) is tuple:
            return getattr(self.structure, "name", _NAMES.get(type(self.structure), "custom"))
        return _name(self.structure, self._x, self._out)

    @property
    def shape(self) -> tuple[int, int]:
        """(entries of the result, entries of the operand)."""
        return size_of(self._out), size_of(self._x)

    @property
    def nnz(self) -> int:
        """How many entries can be other than zero, by structure.

        A custom kind is opaque: all its entries count, also where it is part of a product.

        Raises
        ------
        SizeLimitError
            For a product of two large structures, whose non-zeros would have to be written out.
        """
        return self.shape[0] if self._part is not None else _nnz(self.structure, self._x, self._out)

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers that are held."""
        return _held(self.structure)

    @property
    def dense_nbytes(self) -> int:
        """Bytes of the matrix with all its zeros."""
        m, n = self.shape
        return m * n * int(np.result_type(dtype_of(self._x), dtype_of(self._out)).itemsize)

    @property
    def entries(self) -> Any:
        """The numbers that are held (the diagonal, the matrix, the index, …), or None."""
        return self._numbers(self.structure)

    @property
    def number(self) -> Any:
        """The entry of a 1×1 Jacobian; None for others, and where it is not known as a matrix."""
        if self.shape != (1, 1) or _is_opaque(self.structure):
            return None
        form = type(self.structure)
        if form in _OF_ONE and self._part is None:  # the most of a graph of numbers
            entry = 1.0 if form in _ONES else self.entries
            dtype = np.result_type(dtype_of(self._x), dtype_of(self._out))
            if dtype.kind == "f" and not np.iscomplexobj(entry):
                return np.asarray(entry, dtype).reshape(-1)[0]
        try:
            return self.todense()[0, 0]
        except (DtypeError, SizeLimitError):  # linear over the reals only; a long product
            return None

    @property
    def opaque(self) -> bool:
        """Whether it is given by functions alone, so that its entries must be asked for."""
        return self._part is None and _is_opaque(self.structure)

    def triplets(self) -> Coordinates:
        """(rows, columns, entries) of what can be other than zero; repeated positions add up.

        Raises
        ------
        SizeLimitError
            Of a product, or of what is opaque, with too many of them.
        DtypeError
            Between complex ends, for maps that are linear over the reals only.
        """
        if self._part is not None:
            offset = sum(size_of(end) for end in self._x[: self._part])
            rows = np.arange(self.shape[0])
            return Coordinates(rows, rows + offset, np.ones(len(rows)))
        with np.errstate(all="ignore"):
            return flat(coordinates(self.structure, self._x, self._out))

    def todense(self) -> np.ndarray[Any, Any]:
        """The matrix of shape `shape`.

        Raises
        ------
        SizeLimitError
            Where it would take more than `thalweg.config.dense_limit` bytes.
        DtypeError
            Between complex ends, for maps that are linear over the reals only.
        """
        m, n = self.shape
        dtype = np.result_type(dtype_of(self._x), dtype_of(self._out))
        needed = self.dense_nbytes
        if needed > config.dense_limit:
            raise SizeLimitError(
                f"the dense form of a local Jacobian of shape {m} × {n} would take "
                f"{bytes_text(needed)}; the limit is {bytes_text(config.dense_limit)} "
                "(thalweg.config.dense_limit).\n"
                f"  It is held as {self.kind} in {bytes_text(self.nbytes)}: use .push(tangent) or "
                ".pull(cotangent) for products, .entries for its numbers, .nnz for its count."
            )
        dense = np.zeros((m, n), dtype)
        rows, columns, entries = self.triplets()
        np.add.at(dense, (rows, columns), entries.astype(dtype, copy=False))
        return dense

    def push(self, tangent: Any) -> Any:
        """J · tangent: the tangent of the result."""
        tangent = _fit(tangent, self._x, "tangent", "operand")
        if self._part is not None:
            return tangent[self._part]
        if type(self.structure) is Zero:
            return np.zeros(_shape(self._out), dtype_of(self._out))[()]
        with np.errstate(all="ignore"):
            return push(self.structure, tangent, self._x, self._out)

    def pull(self, cotangent: Any) -> Any:
        """Jᵀ · cotangent: the downstream gradient."""
        cotangent = _fit(cotangent, self._out, "cotangent", "result")
        if self._part is not None:
            return tuple(
                cotangent if k == self._part else np.zeros(end.shape, end.dtype)
                for k, end in enumerate(self._x)
            )
        if type(self.structure) is Zero:
            return np.zeros(_shape(self._x), dtype_of(self._x))[()]
        with np.errstate(all="ignore"):
            return pull(self.structure, cotangent, self._x, self._out)

    def __repr__(self) -> str:
        m, n = self.shape
        try:
            nnz = str(self.nnz)
        except SizeLimitError:
            nnz = "not counted"
        text = f"{self.kind} {m}×{n}, nnz {nnz}"
        return f"{text}, {bytes_text(self.nbytes)} instead of {bytes_text(self.dense_nbytes)}"


def _fit(value: Any, end: Any, what: str, whose: str) -> Any:
    """A tangent or cotangent of the form of `end`."""
    if type(end) is tuple:
        return tuple(_fit(v, e, what, whose) for v, e in zip(value, end, strict=True))
    value = np.asarray(value)
    if value.shape != end.shape:
        raise ShapeError(f"the {what} has shape {value.shape}; the {whose} has {end.shape}")
    if value.dtype.kind in "iub":
        value = value.astype(end.dtype)
    return value[()]
