"""Terms: what structured Jacobians are sums of.

A term is a list of entries over *axes*. Its last axes are those of the result, so that they say
the row; in front stand extra axes. `columns` says the column of each entry, and the values are a
product of factors, each varying along some of the axes only:

    J[row, columns[extra, row]] += scale · Π factors[extra, row],    for all extra, row

Every form is one of these. No extra axes and columns 0, 1, 2, …: diagonal. Other columns: a
gather, a shift, one diagonal of a stencil. An extra axis that the columns follow, and along which
they do not vary with the row: dense. Factors that do not vary along an axis common to rows and
columns: a Kronecker product with the identity. No factor that varies with row and column both: low
rank. An extra axis along which the columns do not vary is the inner index of a product that has not
been carried out: a lazy product. Where only a few rows have entries, and many (an arrow's head),
`rows` says which they are. So products and sums of forms are views, and numbers are only
made where they are asked for.
"""

from __future__ import annotations

import functools
import math
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import UserError
from thalweg.graph.node import Node
from thalweg.jacobian.index_map import IndexMap, columns_of
from thalweg.ops.einsum import contract
from thalweg.ops.index import add_at, getitem

__all__ = [
    "MOST_ENTRIES",
    "Factor",
    "ManyTermsError",
    "Term",
    "UnstructuredError",
    "check_static",
    "compact",
    "entries",
    "flat_entries",
    "gathered",
    "product",
    "reindexed",
    "start",
    "summed",
    "with_all_rows",
    "with_holes",
    "without_inner",
]

#: Entries that are written out at most on the way.
MOST_ENTRIES = 50_000_000


class UnstructuredError(UserError):
    """The structure is not known, or costs more than it saves; never leaves the package."""


class ManyTermsError(UnstructuredError):
    """Sums would have to be written out on the way."""


def check_static(index: Any) -> None:
    """Raise for an index that has another place for other values."""
    parts = index if type(index) is tuple else (index,)
    if any(type(part) is Node for part in parts):
        raise UnstructuredError("an index depends on a traced value")


class Factor(NamedTuple):
    """Values over the axes of a term, of size 1 along those where they do not vary.

    `routed`: zeros are structural, and whatever the other factors have there is no entry.
    """

    values: Any
    routed: bool = False


class Term(NamedTuple):
    """A sum of entries; see the module.

    Attributes
    ----------
    columns : IndexMap
        Of shape extra axes + axes of the result.
    extra : int
        How many axes are extra.
    scale : number or 0-d value or node
    factors : tuple of Factor
    supports : tuple of bool arrays
        Like factors: an entry is there where all of them are true; a sum over inner axes where one
        of its entries is.
    rows : array or None
        Of the shape of the last axes: the entries of the result, in C order, that these are; the
        others are zero. None: the last axes are the result's.
    """

    columns: IndexMap
    extra: int
    scale: Any = 1.0
    factors: tuple[Factor, ...] = ()
    supports: tuple[Any, ...] = ()
    rows: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.columns.shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.shape[self.extra :]

    @property
    def inner(self) -> list[int]:
        """Extra axes along which the columns do not vary: sums not yet carried out."""
        return [i for i in range(self.extra) if not self.columns.varies(i)]


def start(shape: tuple[int, ...]) -> Term:
    """The identity of an operand of this shape."""
    return Term(columns_of(shape), 0)


# ---- numbers ------------------------------------------------------------------------------


def product(term: Term) -> Any:
    """The values, broadcastable to the term's shape: all factors multiplied."""
    value = term.scale
    for factor in term.factors:
        if not factor.routed:
            value = value * factor.values
    for factor in term.factors:
        if factor.routed:
            value = np.where(np.not_equal(factor.values, 0), value * factor.values, 0.0)
    missing = len(term.shape) - len(np.shape(_plain(value)))
    if missing:
        value = np.reshape(value, (1,) * missing + np.shape(_plain(value)))
    return value


def _plain(value: Any) -> Any:
    """A stand-in of the value's shape."""
    return np.broadcast_to(np.int8(0), getattr(value, "shape", ()))


def gathered(term: Term, places: Any, shape: tuple[int, ...]) -> Term:
    """Entry i of the result is entry places[i] of the operand; none where it is negative."""
    holes = bool((places < 0).any())
    safe = np.maximum(places, 0) if holes else places

    def gather(a: Any, e: int) -> Any:
        flat = np.reshape(a, (*a.shape[:e], math.prod(a.shape[e:])))
        return getitem(flat, (*(slice(None),) * e, safe))

    made = reindexed(term, shape, gather, lambda c: IndexMap(gather(c.numbers(), term.extra), None))
    if holes:
        numbers = np.where(places < 0, -1, made.columns.numbers())
        made = made._replace(columns=IndexMap(numbers, None))
    return made


def reindexed(term: Term, shape: tuple[int, ...], change: Any, columns: Any) -> Term:
    """`change` for values with all axes of x, `columns` for the column numbers."""
    e = term.extra

    def changed(values: Any) -> Any:
        front = values.shape[:e]
        if any(n != 1 for n in values.shape[e:]):
            return change(np.broadcast_to(values, (*front, *term.out_shape)), e)
        return np.reshape(values, front + (1,) * len(shape))

    factors = tuple(Factor(changed(values), routed) for values, routed in term.factors)
    supports = tuple(map(changed, term.supports))
    if term.columns.array.size and not any(
        term.columns.varies(i) for i in range(e, len(term.shape))
    ):
        one: Any = (..., *[slice(0, 1)] * (len(term.shape) - e))
        front, ones = term.shape[:e], (1,) * len(shape)
        made = term.columns.viewed(
            lambda a: np.broadcast_to(a[one].reshape((*front, *ones)), (*front, *shape))
        )
    else:
        made = columns(term.columns)
    return Term(made, e, term.scale, factors, supports)


def with_all_rows(term: Term, shape: tuple[int, ...]) -> Term:
    """The same term with the axes of the result."""
    if term.rows is None:
        return term
    if math.prod(shape) * math.prod(term.shape[: term.extra]) > MOST_ENTRIES:
        raise UnstructuredError(f"{term.rows.size:,} rows of {math.prod(shape):,}")
    places = np.full(math.prod(shape), -1)
    places[term.rows.reshape(-1)] = np.arange(term.rows.size)
    return gathered(term._replace(rows=None), places.reshape(shape), shape)


def with_holes(term: Term, there: Any) -> Term:
    """The same term without the entries of rows where `there`, of the result's shape, is false."""
    if term.rows is not None:
        there = there.reshape(-1)[term.rows]
    if term.rows is not None or term.extra:
        there = there.reshape((1,) * term.extra + there.shape)
        return term._replace(supports=(*term.supports, there))
    return term._replace(columns=IndexMap(np.where(there, term.columns.numbers(), -1), None))


def entries(term: Term) -> int:
    """How many entries it would have written out, inner axes summed."""
    return math.prod(n for i, n in enumerate(term.shape) if i not in set(term.inner))


def without_inner(term: Term) -> Term:
    """The same term with its sums over inner axes carried out (in the cheapest order)."""
    inner = set(term.inner)
    if not inner:
        return term
    kept = [i for i in range(len(term.shape)) if i not in inner]
    first = tuple(0 if i in inner else slice(None) for i in range(len(term.shape)))
    columns = term.columns.viewed(lambda a: a[first])
    value = network(term, kept, ())
    factor = Factor(np.reshape(value, [_size_along(term, i) for i in kept]))
    there = _contracted_supports(term, kept) if term.supports else ()
    return Term(columns, term.extra - len(inner), 1.0, (factor,), there, term.rows)


def _contracted_supports(term: Term, kept: Sequence[int]) -> tuple[Any, ...]:
    """Where a sum over the axes not in `kept` has an entry."""
    counts = tuple(Factor(there.astype(np.float64)) for there in term.supports)
    counted = term._replace(scale=1.0, factors=counts)
    shape = [max(there.shape[i] for there in term.supports) for i in kept]
    return (np.reshape(network(counted, kept, ()), shape) > 0,)


def _size_along(term: Term, axis: int) -> int:
    """The size of an axis of the term's values: 1 where no factor varies along it."""
    return max([1, *(f.values.shape[axis] for f in term.factors)])


def network(term: Term, kept: Sequence[int], besides: Sequence[tuple[Any, Sequence[int]]]) -> Any:
    """The product of all factors, and of (array, its axes) besides, summed over axes not in `kept`.

    The result has those of the kept axes, in order, that any of them varies along.
    """
    factors = term.factors
    if any(f.routed for f in factors):
        factors = (Factor(product(term)),)
        scale: Any = 1.0
    else:
        scale = term.scale
    operands, letters = [], []
    for factor in factors:
        axes = [i for i, n in enumerate(factor.values.shape) if n != 1]
        operands.append(np.reshape(factor.values, [factor.values.shape[i] for i in axes]))
        letters.append(axes)
    for array, its in besides:
        operands.append(array)
        letters.append(list(its))
    covered = {i for axes in letters for i in axes}
    repeats = math.prod(
        n for i, n in enumerate(term.shape) if i not in covered and i not in set(kept)
    )
    scale = scale * repeats if repeats != 1 else scale
    if not operands:
        return np.reshape(scale, ())
    names = ["".join(string.ascii_letters[i] for i in axes) for axes in letters]
    output = "".join(string.ascii_letters[i] for i in kept if i in covered)
    if len(operands) == 1 and names[0] == output:
        value = operands[0]
    else:
        value = contract(tuple(names), output, tuple(operands))
    return value if type(scale) is float and scale == 1.0 else value * scale


def flat_entries(term: Term) -> tuple[Any, Any, Any]:
    """Rows, columns (arrays of integers) and values, all of the term's shape, inner axes summed."""
    term = without_inner(term)
    if math.prod(term.shape) > MOST_ENTRIES:
        raise UnstructuredError(f"{math.prod(term.shape):,} entries would have to be written out")
    out = term.out_shape
    own = np.arange(math.prod(out)).reshape(out) if term.rows is None else term.rows
    rows = np.broadcast_to(own, term.shape)
    columns = term.columns.numbers()
    for there in term.supports:
        columns = np.where(there, columns, -1)
    return rows, columns, np.broadcast_to(product(term), term.shape)


def _dense_values(term: Term, n: int) -> tuple[Any, Any]:
    """The values as an array of shape (columns, *out), and where in it entries are (None: all)."""
    term = without_inner(term)
    out = term.out_shape
    if n * math.prod(out) > MOST_ENTRIES:
        raise UnstructuredError(f"a dense block of {math.prod(out):,} × {n:,}")
    if term.extra and not any(term.columns.varies(i) for i in range(term.extra, len(term.shape))):
        one: Any = (..., *[slice(0, 1)] * len(out))
        first = term.columns.viewed(lambda a: a[one])
        if math.prod(first.shape) == n and first.is_identity():
            values = np.reshape(np.broadcast_to(product(term), term.shape), (n, *out))
            if not term.supports:
                return values, None
            there = functools.reduce(np.logical_and, term.supports)
            return values, np.flatnonzero(np.broadcast_to(there, term.shape))
    rows, columns, values = flat_entries(term)
    places = (columns * math.prod(out) + rows).reshape(-1)
    values = np.reshape(values, (places.size,))
    if term.columns.has_holes or term.supports:
        there = np.flatnonzero(columns.reshape(-1) >= 0)
        places, values = places[there], getitem(values, (there,))
    zeros = np.zeros(n * math.prod(out), values.dtype)
    return np.reshape(add_at(zeros, (places,), values), (n, *out)), places


def _dense(terms: Sequence[Term], shape: tuple[int, ...], n: int) -> Term:
    """One dense term: the extra axis runs over all columns."""
    total, there = None, np.zeros((n, *shape), bool)
    for term in terms:
        values, places = _dense_values(term, n)
        total = values if total is None else total + values
        if places is None:
            there[...] = True
        else:
            there.reshape(-1)[places] = True
    columns = columns_of((n,)).viewed(
        lambda a: np.broadcast_to(a.reshape((n,) + (1,) * len(shape)), (n, *shape))
    )
    return Term(columns, 1, 1.0, (Factor(total),), () if there.all() else (there,))


# ---- sums ---------------------------------------------------------------------------------


def summed(terms: list[Term]) -> list[Term]:
    """The sum of terms; those with the same columns become one."""
    made: list[Term] = []
    for term in terms:
        for k, other in enumerate(made):
            both = _together(other, term)
            if both is not None:
                made[k] = both
                break
        else:
            made.append(term)
    return made


def _together(a: Term, b: Term) -> Term | None:
    """a + b as one term, if their columns agree and it makes no more numbers than they have."""
    if a.extra or b.extra or a.supports or b.supports or a.shape != b.shape:
        return None
    if a.rows is not None or b.rows is not None:
        return None
    if a.columns.equals(b.columns):
        if not a.factors and not b.factors:
            return a._replace(scale=a.scale + b.scale)
        return Term(a.columns, 0, 1.0, (Factor(product(a) + product(b)),))
    if not (a.columns.has_holes or b.columns.has_holes):
        return None
    # Entries that only one of them has: the other adds nothing there.
    first, second = a.columns.numbers(), b.columns.numbers()
    if np.any((first != second) & (first >= 0) & (second >= 0)):
        return None
    columns = IndexMap(np.maximum(first, second), None)
    one = type(a.scale) is float and type(b.scale) is float and a.scale == b.scale
    if one and not a.factors and not b.factors and not np.any((first >= 0) & (second >= 0)):
        return Term(columns, 0, a.scale)
    total = _filled(a, first) + _filled(b, second)
    return Term(columns, 0, 1.0, (Factor(total),))


def _filled(term: Term, numbers: Any) -> Any:
    """The values of the term with 0 in its holes."""
    if not np.any(numbers < 0):
        return product(term)
    return np.where(numbers >= 0, product(term), 0.0)


def compact(terms: list[Term], shape: tuple[int, ...], n: int) -> list[Term]:
    """The same sum as one term whose rows have each column once, or as a dense one."""
    size = math.prod(shape)
    terms = [with_all_rows(term, shape) for term in terms]
    total = sum(entries(term) for term in terms)
    if total > MOST_ENTRIES:
        raise UnstructuredError(f"{total:,} entries in {len(terms)} terms")
    if total >= n * size:
        return [_dense(terms, shape, n)]
    columns, values = [], []
    for term in terms:
        _, numbers, value = flat_entries(term)
        columns.append(np.reshape(numbers, (-1, size)))
        values.append(np.reshape(value, (-1, size)))
    listed, place, width = _unique_in_columns(np.concatenate(columns))
    if 2 * width >= n:
        return [_dense(terms, shape, n)]
    value = np.concatenate(values)
    there = np.flatnonzero(place.reshape(-1) >= 0)
    positions = (place * size + np.arange(size)).reshape(-1)[there]
    zeros = np.zeros(width * size, value.dtype)
    added = add_at(zeros, (positions,), getitem(np.reshape(value, (-1,)), (there,)))
    full = (width, *shape)
    return [Term(IndexMap(listed.reshape(full), None), 1, 1.0, (Factor(np.reshape(added, full)),))]


def _unique_in_columns(numbers: Any) -> tuple[Any, Any, int]:
    """The distinct numbers of each column (−1 below them), the place of each, and their most."""
    depth, size = numbers.shape
    order = np.argsort(numbers, axis=0, kind="stable")
    ordered = np.take_along_axis(numbers, order, 0)
    new = np.ones((depth, size), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    new &= ordered >= 0
    rank = np.cumsum(new, axis=0) - 1
    rank[ordered < 0] = -1
    width = int(rank.max(initial=-1)) + 1
    listed = np.full((width, size), -1)
    across = np.broadcast_to(np.arange(size), (depth, size))
    listed[rank[new], across[new]] = ordered[new]
    place = np.empty_like(rank)
    np.put_along_axis(place, order, rank, 0)
    return listed, place, width
