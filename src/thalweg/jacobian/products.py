"""A kind times a term: the products of the structure algebra, one rule a kind.

Each rule says what `thalweg.transforms.linear.push` says for numbers. Elementwise kinds add a
factor, reindexing kinds change the view of the columns, reductions turn axes of the operand into
extra axes, matrix products do so and add the matrix as a factor. None makes new numbers, except
that factors varying along the same axes are multiplied at once, and gathers gather.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    Zero,
)
from thalweg.jacobian.index_map import IndexMap
from thalweg.jacobian.terms import (
    Factor,
    Term,
    UnstructuredError,
    check_static,
    gathered,
    reindexed,
    with_all_rows,
)
from thalweg.ops.index import getitem

__all__ = ["times"]


def times(kind: Kind, term: Term, x: Any, out: Any, support: Any = None) -> list[Term]:
    """The terms of kind · term: `kind` is ∂out/∂x, and the term a part of ∂x/∂(input).

    `support` says where the matrix of a matrix product may be other than zero (None: everywhere).

    Raises
    ------
    UnstructuredError
        For a kind that is given by functions, and where a pattern depends on traced values.
    """
    if type(kind) is Chain:
        inner = times(kind.inner, term, x, kind.between)
        return [made for part in inner for made in times(kind.outer, part, kind.between, out)]
    if term.rows is not None:
        kept = _with_rows(kind, term, x, out)
        if kept is not None:
            return [kept]
        term = with_all_rows(term, x.shape)
    if support is not None and isinstance(kind, (MatMulLeft, MatMulRight)):
        made: Any = _matmul(kind.matrix, term, x, out, isinstance(kind, MatMulLeft), support)
    else:
        made = _RULES[type(kind)](kind, term, x, out)
    terms: list[Term] = made if type(made) is list else [made]
    return [part for part in terms if math.prod(part.shape)]


# ---- axes ---------------------------------------------------------------------------------


def _rearranged(
    term: Term, contracted: Sequence[int], outs: Sequence[int | None], shape: tuple[int, ...]
) -> Term:
    """Axes of x into place: `contracted` become extra, `outs` says which each axis of out was.

    None stands for a new axis; `shape` is that of the result, to which axes of size 1 stretch.
    """
    e = term.extra
    used = [i for i in outs if i is not None]
    order = [*range(e), *(e + i for i in contracted), *(e + i for i in used)]

    def placed(a: Any) -> Any:
        if order != list(range(a.ndim if hasattr(a, "ndim") else len(a.shape))):
            a = np.transpose(a, order)
        if len(used) == len(outs):
            return a
        sizes = iter(a.shape[e + len(contracted) :])
        grown = [1 if i is None else next(sizes) for i in outs]
        return np.reshape(a, (*a.shape[: e + len(contracted)], *grown))

    front = tuple(term.shape[i] for i in order[: e + len(contracted)])
    full = (*front, *shape)
    columns = term.columns.viewed(lambda a: np.broadcast_to(placed(a), full))
    factors = tuple(Factor(placed(f.values), f.routed) for f in term.factors)
    supports = tuple(placed(there) for there in term.supports)
    return Term(columns, e + len(contracted), term.scale, factors, supports)


def _stretched(term: Term, shape: tuple[int, ...]) -> Term:
    """Broadcast to a result of this shape."""
    own = term.out_shape
    if own == shape:
        return term
    new = len(shape) - len(own)
    if new < 0 or any(n not in (1, m) for n, m in zip(own, shape[new:], strict=True)):
        raise UnstructuredError(f"an elementwise kind from shape {own} to {shape}")
    return _rearranged(term, (), [None] * new + list(range(len(own))), shape)


def _scaled(term: Term, values: Any, routed: bool = False) -> Term:
    """Times a factor that broadcasts against the last axes of the term."""
    shape = getattr(values, "shape", ())
    if math.prod(shape) == 1 and not routed:
        value = np.reshape(values, ()) if shape else values
        return term._replace(scale=term.scale * value)
    ndim = len(term.shape)
    full = (1,) * (ndim - len(shape)) + tuple(shape)
    if full != shape:
        values = np.reshape(values, full)
    factors = list(term.factors)
    for k, factor in enumerate(factors):
        if not routed and not factor.routed and factor.values.shape == full:
            factors[k] = Factor(factor.values * values)
            break
    else:
        factors.append(Factor(values, routed))
    return term._replace(factors=tuple(factors))


def _elementwise(values: Any, term: Term, out: Any, routed: bool = False) -> Term:
    return _scaled(_stretched(term, out.shape), values, routed)


# ---- reductions and products of matrices --------------------------------------------------


def _sum(kind: SumOver, term: Term, x: Any, out: Any) -> Term:
    if kind.weights is not None:
        term = _scaled(term, kind.weights, kind.routed)
    axes = [i % len(x.shape) for i in kind.axes]
    outs: list[int | None] = [i for i in range(len(x.shape)) if i not in axes]
    if kind.keepdims:
        outs = [None if i in axes else i for i in range(len(x.shape))]
    return _rearranged(term, axes, outs, out.shape)


def _aligned(matrix: Any, order: Sequence[int], shape: Sequence[int]) -> Any:
    """A matrix with its axes in order, and then axes of size 1 put in by reshaping."""
    if list(order) != list(range(len(order))):
        matrix = np.transpose(matrix, order)
    return np.reshape(matrix, shape)


def _matmul(matrix: Any, term: Term, x: Any, out: Any, left: bool, support: Any = None) -> Term:
    own, n_x = tuple(matrix.shape), len(x.shape)
    vector = len(own) == 1
    batch = own[:-2]
    inner = own[0] if vector else own[-1] if left else own[-2]
    free = () if vector else (own[-2] if left else own[-1],)
    last = len(own) - 1
    # The contracted axis in front: j, batch, i or k.
    front = last if left or vector else last - 1
    order = [front, *(i for i in range(last + 1) if i != front)]
    outs: list[int | None]
    if n_x == 1:
        outs = [None] * len(out.shape)
        made = _rearranged(term, [0], outs, out.shape)
        return _with_matrix(made, matrix, order, (inner, *batch, *free), support)
    n_batch = len(out.shape) - len(free) - 1
    outs = [i if i >= 0 else None for i in range(n_x - 2 - n_batch, n_x - 2)]
    ones = (1,) * (n_batch - len(batch))
    if left:
        outs += [None] * len(free) + [n_x - 1]
        shape = (inner, *ones, *batch, *free, 1)
        contracted = n_x - 2
    else:
        outs += [n_x - 2] + [None] * len(free)
        shape = (inner, *ones, *batch, 1, *free)
        contracted = n_x - 1
    made = _rearranged(term, [contracted], outs, out.shape)
    return _with_matrix(made, matrix, order, shape, support)


def _with_matrix(
    term: Term, matrix: Any, order: Sequence[int], shape: tuple[int, ...], support: Any
) -> Term:
    """Times a matrix along the last axes of the term."""
    made = _scaled(term, _aligned(matrix, order, shape))
    if support is None:
        return made
    ones = (1,) * (len(term.shape) - len(shape))
    there = _aligned(support, order, (*ones, *shape))
    return made._replace(supports=(*made.supports, there))


def _contraction(kind: Contract, term: Term, x: Any, out: Any) -> Term:
    target = kind.inputs[kind.position]
    rest = [s for i, s in enumerate(kind.inputs) if i != kind.position]
    if len(set(target)) < len(target) or any(len(set(s)) < len(s) for s in rest):
        raise UnstructuredError("an einsum with a letter twice in one operand")
    gone = [s for s in target if s not in kind.output]
    # Letters that only the others have, summed away: inner axes.
    own = dict.fromkeys("".join(rest))
    inner = [s for s in own if s not in target and s not in kind.output]
    outs = [target.index(s) if s in target else None for s in kind.output]
    made = _rearranged(term, [target.index(s) for s in gone], outs, out.shape)
    sizes = {
        s: max(v.shape[own.index(s)] for own, v in zip(rest, kind.others, strict=True) if s in own)
        for s in inner
    }
    made = _with_inner(made, [sizes[s] for s in inner], len(out.shape))
    letters = [*gone, *inner, *kind.output]
    for own_letters, value in zip(rest, kind.others, strict=True):
        order = sorted(range(len(own_letters)), key=lambda i: letters.index(own_letters[i]))
        sizes_here = dict(zip(own_letters, value.shape, strict=True))
        made = _scaled(made, _aligned(value, order, [sizes_here.get(s, 1) for s in letters]))
    return made


def _with_inner(term: Term, sizes: Sequence[int], n_out: int) -> Term:
    """Extra axes of these sizes put in front of the axes of the result."""
    if not sizes:
        return term
    e = term.extra
    ones = (1,) * len(sizes)
    full = (*term.shape[:e], *sizes, *term.shape[e:])
    columns = term.columns.viewed(
        lambda a: np.broadcast_to(a.reshape((*a.shape[:e], *ones, *a.shape[e:])), full)
    )

    def grown(a: Any) -> Any:
        return np.reshape(a, (*a.shape[:e], *ones, *a.shape[e:]))

    factors = tuple(Factor(grown(f.values), f.routed) for f in term.factors)
    supports = tuple(map(grown, term.supports))
    return Term(columns, e + len(sizes), term.scale, factors, supports)


def _dense(kind: BatchedDense, term: Term, x: Any, out: Any) -> Term:
    b, n_x, n_out = kind.batch, len(x.shape), len(out.shape)
    outs = [*range(b), *[None] * (n_out - b)]
    made = _rearranged(term, range(b, n_x), outs, out.shape)
    order = [*range(n_out, n_out + n_x - b), *range(n_out)]
    shape = (*x.shape[b:], *out.shape)
    values = np.reshape(kind.entries, (*x.shape[:b], *out.shape[b:], *x.shape[b:]))
    return _scaled(made, _aligned(values, order, shape))


def _rank1(kind: DiagMinusRank1, term: Term, x: Any, out: Any) -> list[Term]:
    # p (t − Σ p t): a diagonal, and a product of rank one along the axis.
    p, ndim = kind.probabilities, len(out.shape)
    axis = kind.axis % ndim
    weighted = _scaled(term, p)
    outs: list[int | None] = [None if i == axis else i for i in range(ndim)]
    return [weighted, _scaled(_rearranged(weighted, [axis], outs, out.shape), -p)]


# ---- reindexing ---------------------------------------------------------------------------


def _reshape(kind: Reshape, term: Term, x: Any, out: Any) -> Term:
    def change(a: Any, e: int) -> Any:
        return np.reshape(a, (*a.shape[:e], *out.shape))

    return reindexed(term, out.shape, change, lambda c: c.viewed(lambda a: change(a, term.extra)))


def _transpose(kind: Transpose, term: Term, x: Any, out: Any) -> Term:
    return _rearranged(term, (), list(kind.axes), out.shape)


def _is_basic(index: Any) -> bool:
    parts = index if type(index) is tuple else (index,)
    return all(
        part is None or part is Ellipsis or type(part) is slice or type(part) is int
        for part in parts
    )


def _places(shape: tuple[int, ...]) -> Any:
    return np.arange(math.prod(shape)).reshape(shape)


def _take(kind: Take, term: Term, x: Any, out: Any) -> Term:
    check_static(kind.index)
    index = kind.index if type(kind.index) is tuple else (kind.index,)
    if _is_basic(index):

        def select(a: Any, e: int) -> Any:
            return getitem(a, (*(slice(None),) * e, *index))

        return reindexed(
            term, out.shape, select, lambda c: c.viewed(lambda a: select(a, term.extra))
        )
    places = _places(x.shape)[index]
    return gathered(term, places, out.shape)


def _owner(kind: Put, x: Any, out: Any) -> Any:
    """Which entry of the operand each entry of the result is; −1 where it is none."""
    check_static(kind.index)
    owner = np.full(out.shape, -1)
    owner[kind.index] = _places(x.shape)
    return owner


def _inverse(owner: Any, size: int) -> Any:
    """Where each of the operand's entries is put; None if one is put twice or nowhere."""
    filled = np.flatnonzero(owner >= 0)
    if filled.size != size:
        return None
    rows = np.full(size, -1)
    rows[owner.reshape(-1)[filled]] = filled
    return rows if rows.min(initial=0) >= 0 else None


def _put(kind: Put, term: Term, x: Any, out: Any) -> Term:
    owner = _owner(kind, x, out)
    if term.extra and owner.size > math.prod(x.shape):
        rows = _inverse(owner, math.prod(x.shape))
        if rows is not None:  # a few rows of many columns: the others are not worth a number
            return term._replace(rows=rows.reshape(x.shape))
    margins = _margins(kind.index, out.shape)
    if margins is not None:
        inside = tuple(n - a - b for n, (a, b) in zip(out.shape, margins, strict=True))
        if [n for n in inside if n != 1] == [n for n in x.shape if n != 1]:
            return _padded(term, margins, inside, out.shape)
    return gathered(term, owner, out.shape)


def _margins(index: Any, shape: tuple[int, ...]) -> list[tuple[int, int]] | None:
    """How much of each axis is before and after what an index of slices names; None for others."""
    parts = list(index) if type(index) is tuple else [index]
    if Ellipsis in [part for part in parts if type(part) is type(Ellipsis)]:
        at = next(k for k, part in enumerate(parts) if part is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    if not all(type(part) in (slice, int) for part in parts):
        return None
    margins = []
    for part, n in zip(parts, shape, strict=True):
        first, stop, step = (part if type(part) is slice else slice(part, part + 1 or n)).indices(n)
        if step != 1 or stop <= first:
            return None
        margins.append((first, n - stop))
    return margins


def _padded(
    term: Term,
    margins: Sequence[tuple[int, int]],
    inside: tuple[int, ...],
    shape: tuple[int, ...],
) -> Term:
    """Zeros laid around the entries: no gather."""

    def pad(a: Any, e: int) -> Any:
        a = np.reshape(a, (*a.shape[:e], *inside))
        for axis, around in enumerate(margins, e):
            first, last = (
                np.zeros((*a.shape[:axis], n, *a.shape[axis + 1 :]), a.dtype) for n in around
            )
            parts = [part for part in (first, a, last) if part.size or part is a]
            a = np.concatenate(parts, axis=axis) if len(parts) > 1 else a
        return a

    e = term.extra
    places = term.columns.numbers().reshape(*term.shape[:e], *inside)
    numbers = np.pad(places, [(0, 0)] * e + list(margins), constant_values=-1)
    made = reindexed(term, shape, pad, lambda c: IndexMap(numbers, None))
    return made._replace(columns=IndexMap(numbers, None))


# ---- terms of some rows ---------------------------------------------------------------------


def _with_rows(kind: Kind, term: Term, x: Any, out: Any) -> Term | None:
    """kind · term for a term of some rows, where these stay so; else None."""
    rows, form = term.rows, type(kind)
    if x.shape == out.shape and form in _FACTORS:
        values = _FACTORS[form](kind)
        if math.prod(getattr(values, "shape", ())) != 1:
            whole = np.reshape(np.broadcast_to(values, out.shape), (math.prod(out.shape),))
            values = getitem(whole, (rows,))
        elif getattr(values, "shape", ()):
            values = np.reshape(values, ())
        return _scaled(term, values, form is Router)
    if form is Reshape:
        return term
    moved = None
    if type(kind) is Transpose:
        moved = _inverse(np.transpose(_places(x.shape), kind.axes), math.prod(x.shape))
    elif type(kind) is Put:
        moved = _inverse(_owner(kind, x, out), math.prod(x.shape))
    return None if moved is None else term._replace(rows=moved[rows])


# ---- the table ----------------------------------------------------------------------------

#: The factor that a kind between ends of one shape multiplies each entry by.
_FACTORS: dict[type, Callable[[Any], Any]] = {
    Identity: lambda kind: 1.0,
    Scale: lambda kind: kind.factor,
    Diagonal: lambda kind: kind.entries,
    Router: lambda kind: kind.entries,
}


def _no_rule(kind: Any, term: Term, x: Any, out: Any) -> Term:
    name = getattr(kind, "name", type(kind).__name__)
    raise UnstructuredError(f"'{name}' is given by functions")


_RULES: dict[type, Callable[..., Any]] = {
    Zero: lambda kind, term, x, out: [],
    Identity: lambda kind, term, x, out: _stretched(term, out.shape),
    Broadcast: lambda kind, term, x, out: _stretched(term, out.shape),
    Scale: lambda kind, term, x, out: _elementwise(kind.factor, term, out),
    Diagonal: lambda kind, term, x, out: _elementwise(kind.entries, term, out),
    Router: lambda kind, term, x, out: _elementwise(kind.entries, term, out, True),
    Wirtinger: lambda kind, term, x, out: _elementwise(
        np.add(kind.linear, kind.conjugate), term, out
    ),
    SumOver: _sum,
    Reshape: _reshape,
    Transpose: _transpose,
    Take: _take,
    Put: _put,
    MatMulLeft: lambda kind, term, x, out: _matmul(kind.matrix, term, x, out, True),
    MatMulRight: lambda kind, term, x, out: _matmul(kind.matrix, term, x, out, False),
    Contract: _contraction,
    BatchedDense: _dense,
    DiagMinusRank1: _rank1,
    Custom: _no_rule,
}
