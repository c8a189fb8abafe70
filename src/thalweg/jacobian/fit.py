"""Does a kind fit its edge? Shapes of a local Jacobian against those of its two ends.

The library's own rules are held by the laws; a user's rule is checked here at every use, since
`conform` would otherwise broadcast or sum a wrong shape into a plausible gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

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
)
from thalweg.ops._positions import distinct

__all__ = ["misfit"]

Shape = tuple[int, ...]


def _shape(entries: Any) -> Shape:
    """Shape of an array, node, handle or number."""
    shape = getattr(entries, "shape", None)
    return np.shape(entries) if shape is None else shape


def _stretches(shape: Shape, target: Shape) -> bool:
    """Whether `shape` broadcasts to `target`."""
    tail = target[len(target) - len(shape) :]
    return len(shape) <= len(target) and all(n in (1, m) for n, m in zip(shape, tail, strict=True))


def _elementwise(x: Shape, out: Shape, *entries: Any) -> str:
    if not _stretches(x, out):
        return f"an elementwise kind needs an operand that broadcasts to the output, {x} to {out}"
    for entry in entries:
        if not _stretches(_shape(entry), out):
            return f"its entries have shape {_shape(entry)}, which does not broadcast to {out}"
    return ""


def _expect(found: Shape, wanted: Shape, what: str) -> str:
    return "" if found == wanted else f"{what} has shape {found}, expected {wanted}"


def _reduced(kind: SumOver, x: Shape, out: Shape) -> str:
    if not all(0 <= a < len(x) for a in kind.axes):
        return f"its axes {kind.axes} are not all in range({len(x)})"
    if kind.weights is not None and not _stretches(_shape(kind.weights), x):
        return f"its weights have shape {_shape(kind.weights)}, which does not broadcast to {x}"
    kept = ((i, n) for i, n in enumerate(x) if kind.keepdims or i not in kind.axes)
    return _expect(out, tuple(1 if i in kind.axes else n for i, n in kept), "the output")


def _indexed(whole: Shape, index: Any, part: Shape, unique: bool, what: str) -> str:
    """Indexing an array of no memory, so that the check costs nothing but for integer arrays."""
    parts = index if type(index) is tuple else (index,)
    repeats = unique and any(np.ndim(i) and np.asarray(i).dtype.kind in "iu" for i in parts)
    places = np.arange(math.prod(whole)) if repeats else np.broadcast_to(0, math.prod(whole))
    try:
        taken = np.reshape(places, whole)[index]
    except IndexError as error:
        return str(error)
    if repeats and not distinct(taken):
        return "the index names an entry twice, so the kind is Take(index, unique=False)"
    return _expect(taken.shape, part, what)


def _product(a: Shape, b: Shape, out: Shape) -> str:
    """`matmul`'s shape rule, with 1-d operands as a row on the left and a column on the right."""
    if not a or not b:
        return f"a product of shapes {a} and {b} is not defined"
    left = a if len(a) > 1 else (1, *a)
    right = b if len(b) > 1 else (*b, 1)
    if left[-1] != right[-2]:
        return f"the matrix product of {a} and {b} is not defined"
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        return f"the batch axes of {a} and {b} do not broadcast"
    rows = (left[-2],) if len(a) > 1 else ()
    columns = (right[-1],) if len(b) > 1 else ()
    return _expect((*batch, *rows, *columns), out, "the product")


def _contracted(kind: Contract, x: Shape, out: Shape) -> str:
    shapes = [_shape(other) for other in kind.others]
    shapes.insert(kind.position, x)
    if len(shapes) != len(kind.inputs):
        return f"{len(kind.inputs)} subscripts for {len(shapes)} operands"
    sizes: dict[str, int] = {}
    for letters, shape in (*zip(kind.inputs, shapes, strict=True), (kind.output, out)):
        if len(letters) != len(shape):
            return f"the subscripts {letters!r} do not name the axes of shape {shape}"
        for letter, n in zip(letters, shape, strict=True):
            if sizes.setdefault(letter, n) != n:
                return f"the letter {letter!r} stands for both {sizes[letter]} and {n}"
    return ""


def _dense(kind: BatchedDense, x: Shape, out: Shape) -> str:
    b = kind.batch
    if x[:b] != out[:b]:
        return f"the first {b} axes of {x} and {out} are not one batch"
    return _expect(_shape(kind.entries), (*out, *x[b:]), "its array")


def _rank1(kind: DiagMinusRank1, x: Shape, out: Shape) -> str:
    if not -len(x) <= kind.axis < len(x):
        return f"axis {kind.axis} of an operand of shape {x}"
    return _expect(out, x, "the output") or _expect(_shape(kind.probabilities), x, "its array")


def _permuted(kind: Transpose, x: Shape, out: Shape) -> str:
    if sorted(kind.axes) != list(range(len(x))):
        return f"{kind.axes} is no permutation of {len(x)} axes"
    return _expect(out, tuple(x[a] for a in kind.axes), "the output")


def _pattern(pattern: Any, x: Any, out: Any) -> str:
    """Of a kind that is given by functions; what makes its pattern when asked is not asked here."""
    if pattern is None or callable(pattern):
        return ""
    if type(pattern) is tuple:
        ndim = len(_shape(x))
        if all(type(axis) is int and -ndim <= axis < ndim for axis in pattern):
            return ""
        return f"its pattern {pattern} does not name axes of an operand of shape {_shape(x)}"
    size = sum(map(_size, out)) if type(out) is tuple else _size(out)
    return _expect(_shape(pattern), (size, _size(x)), "its pattern")


def _size(x: Any) -> int:
    return math.prod(_shape(x))


_CHECKS: dict[type, Callable[[Any, Shape, Shape], str]] = {
    Identity: lambda kind, x, out: _elementwise(x, out),
    Broadcast: lambda kind, x, out: _elementwise(x, out),
    Scale: lambda kind, x, out: (
        _elementwise(x, out) or _expect(_shape(kind.factor), (), "its factor")
    ),
    Diagonal: lambda kind, x, out: _elementwise(x, out, kind.entries),
    Router: lambda kind, x, out: _elementwise(x, out, kind.entries),
    Wirtinger: lambda kind, x, out: _elementwise(x, out, kind.linear, kind.conjugate),
    SumOver: _reduced,
    Reshape: lambda kind, x, out: (
        "" if math.prod(x) == math.prod(out) else f"{x} cannot be reshaped to {out}"
    ),
    Transpose: _permuted,
    Take: lambda kind, x, out: _indexed(x, kind.index, out, kind.unique, "what the index takes"),
    Put: lambda kind, x, out: _indexed(out, kind.index, x, True, "the place that the index names"),
    MatMulLeft: lambda kind, x, out: _product(_shape(kind.matrix), x, out),
    MatMulRight: lambda kind, x, out: _product(x, _shape(kind.matrix), out),
    Contract: _contracted,
    BatchedDense: _dense,
    DiagMinusRank1: _rank1,
}


def misfit(kind: Kind, x: Any, out: Any) -> str:
    """What is wrong with `kind` between operand `x` and output `out`; empty where it fits.

    `Zero` fits everywhere; of `Custom` a pattern that is at hand is checked, the rest at each call.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.graph.kinds import Diagonal
    >>> misfit(Diagonal(np.ones(3)), np.ones(4), np.ones(4))
    'its entries have shape (3,), which does not broadcast to (4,)'
    """
    if type(kind) is Chain:
        return misfit(kind.inner, x, kind.between) or misfit(kind.outer, kind.between, out)
    if type(kind) is Custom:
        return _pattern(kind.pattern, x, out)
    check = _CHECKS.get(type(kind))
    return check(kind, _shape(x), _shape(out)) if check else ""
