"""`Jacobian`: a structured Jacobian as one of SciPy's linear operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from thalweg.config import config
from thalweg.errors import SizeLimitError
from thalweg.jacobian.bands import band_of_matrix
from thalweg.jacobian.describe import Structure, describe
from thalweg.jacobian.layout import Layout, cut, data_of, layout_of
from thalweg.jacobian.structure import bytes_text
from thalweg.jacobian.terms import Term, UnstructuredError, flat_entries, network, product

__all__ = ["Jacobian", "Lazy", "csr_of"]


class Lazy(NamedTuple):
    """A Jacobian that is only known by its products with vectors."""

    push: Callable[[Any], Any]
    pull: Callable[[Any], Any]


def csr_of(layout: Layout, data: Any, shape: tuple[int, int], local: bool) -> Any:
    """A CSR array that shares nothing with the layout; `local`: without entries that are zero."""
    made = sparse.csr_array((data, layout.indices.copy(), layout.indptr.copy()), shape=shape)
    if local:
        made.eliminate_zeros()
    made.has_canonical_format = True
    return made


class Jacobian(LinearOperator):
    """A Jacobian or Hessian block in the form of its structure.

    It is a ``scipy.sparse.linalg.LinearOperator``: ``J @ v``, ``J.T @ u`` and SciPy's iterative
    solvers take it as it is. Made by ``thalweg.jacobian(f, form="operator")``.

    Attributes
    ----------
    shape : tuple of int
        (entries of the output, entries of the input).
    dtype : dtype

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> J = tw.jacobian(np.tanh, form="operator")(np.zeros((100, 4096)))
    >>> J
    <Jacobian 409600×409600, diagonal: 3.3 MB instead of 1.3 TB>
    >>> float((J @ np.ones(409600)).sum())
    409600.0
    """

    def __init__(
        self,
        terms: Sequence[Term],
        shape: tuple[int, int],
        dtype: Any,
        *,
        symmetric: bool = False,
        local: bool = False,
        lazy: Lazy | None = None,
        matrix: Any = None,
        way: str = "",
    ) -> None:
        super().__init__(np.dtype(dtype), shape)
        self._terms = tuple(terms)
        self._symmetric = symmetric
        self._local = local
        self._lazy = lazy
        self._matrix = matrix
        self._way = way
        self._found: Layout | None = None

    # ---- what it is -----------------------------------------------------------------------

    @property
    def structure(self) -> Structure:
        """The kind, a sentence, and the parts of a sum; ``print(J.structure)``."""
        m, n = self.shape
        if self._lazy is not None:
            return Structure("lazy", f"lazy product, {m:,} × {n:,}: {self._way}")
        if self._matrix is not None:
            band = band_of_matrix(self._matrix)
            kind = "sparse" if band is None else band.kind
            text = f"{kind} {m:,} × {n:,}: {self.nnz:,} entries"
            if band is not None:
                text += f", {band.text}"
            return Structure(kind, f"symmetric: {text}" if self._symmetric else text)
        return describe(self._terms, m, n, self._symmetric)

    @property
    def kind(self) -> str:
        """Name of the form: ``"diagonal"``, ``"kronecker"``, ``"low rank"``, ``"dense"``, …"""
        return self.structure.kind

    @property
    def is_lazy(self) -> bool:
        """Whether it is known by its products only."""
        return self._lazy is not None

    @property
    def symmetric(self) -> bool:
        """Whether it is a symmetric block by its making: one on the diagonal of a Hessian."""
        return self._symmetric

    @property
    def nnz(self) -> int:
        """How many entries can be other than zero."""
        if self._lazy is not None:
            return self.shape[0] * self.shape[1]
        if self._matrix is not None:
            return int(self._matrix.nnz)
        term = self._terms[0] if len(self._terms) == 1 and not self._local else None
        if (
            term is not None
            and not term.columns.has_holes
            and not term.supports
            and term.columns.distinct([i for i in range(term.extra) if i not in term.inner])
        ):
            return math.prod(n for i, n in enumerate(term.shape) if i not in term.inner)
        return int(self.tosparse().nnz) if self._local else self._layout().nnz

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers and index arrays that are held."""
        if self._matrix is not None:
            parts = (self._matrix.data, self._matrix.indices, self._matrix.indptr)
            return sum(part.nbytes for part in parts)
        held = {
            id(array): array.nbytes
            for term in self._terms
            for array in (
                *(f.values for f in term.factors),
                *((term.columns.array,) if term.columns.base is None else ()),
                *(() if term.rows is None else (term.rows,)),
            )
        }
        return sum(held.values())

    @property
    def pattern(self) -> Any:
        """A CSR array of ones where entries can be other than zero."""
        if self._lazy is None and self._matrix is None and not self._local:
            layout = self._layout()
            return csr_of(layout, np.ones(layout.nnz, bool), self.shape, False)
        made = self.tosparse()
        made.data = np.ones_like(made.data, dtype=bool)
        return made

    def explain(self) -> str:
        """The structure, its size beside the dense form's, and how products are computed."""
        m, n = self.shape
        full = bytes_text(m * n * self.dtype.itemsize)
        lines = [str(self.structure), f"held in {bytes_text(self.nbytes)}; dense would be {full}"]
        if self._lazy is not None:
            lines.append("products: one forward (J @ v) or backward (J.T @ u) pass each")
        else:
            lines.append(self._way)
        return "\n".join(lines)

    def __repr__(self) -> str:
        m, n = self.shape
        full = bytes_text(m * n * self.dtype.itemsize)
        return f"<Jacobian {m}×{n}, {self.kind}: {bytes_text(self.nbytes)} instead of {full}>"

    # ---- its numbers ----------------------------------------------------------------------

    def _layout(self) -> Layout:
        if self._found is None:
            try:
                self._found = layout_of(self._terms, *self.shape)
            except UnstructuredError as error:
                raise self._too_big("sparse", str(error)) from None
        return self._found

    def without_numbers(self) -> Jacobian:
        """The pattern alone, for `plan_like`."""
        terms = [term._replace(scale=1.0, factors=()) for term in self._terms]
        made = Jacobian(terms, self.shape, self.dtype)
        made._found = self._found
        return made

    def plan_like(self, other: Jacobian) -> None:
        """Take over the sparse layout of another one whose entries stand in the same places."""
        if self.shape == other.shape and len(self._terms) == len(other._terms):
            pairs = zip(self._terms, other._terms, strict=True)
            if all(_same_places(a, b) for a, b in pairs):
                self._found = other._found

    def _too_big(self, form: str, why: str) -> SizeLimitError:
        return SizeLimitError(
            f"the {form} form of this Jacobian ({self.kind}, {self.shape[0]:,} × "
            f"{self.shape[1]:,}) would be too big: {why}.\n  Products need no such form: "
            'J @ v and J.T @ u of what form="operator" gives.'
        )

    def tosparse(self) -> Any:
        """The entries as ``scipy.sparse.csr_array``.

        Raises
        ------
        SizeLimitError
            If there are too many, and for a lazy product.
        """
        if self._lazy is not None:
            raise self._too_big("sparse", self._way)
        if self._matrix is not None:
            return self._matrix.copy()
        layout = self._layout()
        try:
            with np.errstate(all="ignore"):
                data = data_of(self._terms, layout, self.dtype)
        except UnstructuredError as error:
            raise self._too_big("sparse", str(error)) from None
        return csr_of(layout, cut(np.array(data), layout), self.shape, self._local)

    def todense(self) -> np.ndarray[Any, Any]:
        """The matrix as a NumPy array of two axes.

        Raises
        ------
        SizeLimitError
            If it would take more than ``thalweg.config.dense_limit`` bytes.
        """
        needed = self.shape[0] * self.shape[1] * self.dtype.itemsize
        if needed > config.dense_limit:
            raise self._too_big(
                "dense",
                f"{bytes_text(needed)}, and thalweg.config.dense_limit is "
                f"{bytes_text(config.dense_limit)}",
            )
        if self._lazy is not None:
            return np.asarray(self._matmat(np.eye(self.shape[1], dtype=self.dtype)))
        return np.asarray(self.tosparse().toarray())

    def diagonal(self) -> np.ndarray[Any, Any]:
        """The entries (i, i).

        Raises
        ------
        SizeLimitError
            For a lazy product.
        """
        if self._lazy is not None:
            raise self._too_big("diagonal", self._way)
        if self._matrix is not None:
            return np.array(self._matrix.diagonal())
        size = min(self.shape)
        total = np.zeros(size, self.dtype)
        for term in self._terms:
            if term.extra == 0 and term.columns.base is not None and term.columns.is_identity():
                total += np.broadcast_to(product(term), term.shape).reshape(-1)[:size]
                continue
            try:
                rows, columns, values = flat_entries(term)
            except UnstructuredError as error:
                raise self._too_big("diagonal", str(error)) from None
            on = rows == columns
            np.add.at(total, rows[on], values[on])
        return total

    # ---- products -------------------------------------------------------------------------

    def _matmat(self, v: Any) -> Any:
        v = np.asarray(v)
        if self._lazy is not None:
            columns = [self._lazy.push(v[:, k]) for k in range(v.shape[1])]
            return np.stack(columns, 1) if columns else np.zeros((self.shape[0], 0), self.dtype)
        if self._matrix is not None:
            return self._matrix @ v
        total = np.zeros((self.shape[0], v.shape[1]), np.result_type(self.dtype, v.dtype))
        with np.errstate(all="ignore"):
            for term in self._terms:
                pushed = _push(term, v)
                if term.rows is None:
                    total += pushed
                else:
                    total[term.rows.reshape(-1)] += pushed
        return total

    def _matvec(self, v: Any) -> Any:
        return self._matmat(np.reshape(v, (-1, 1)))[:, 0]

    def _rmatmat(self, u: Any) -> Any:
        u = np.conj(np.asarray(u))
        if self._lazy is not None:
            columns = [self._lazy.pull(u[:, k]) for k in range(u.shape[1])]
            made = np.stack(columns, 1) if columns else np.zeros((self.shape[1], 0), self.dtype)
            return np.conj(made)
        if self._matrix is not None:
            return np.conj(self._matrix.T @ u)
        total = np.zeros((self.shape[1], u.shape[1]), np.result_type(self.dtype, u.dtype))
        with np.errstate(all="ignore"):
            for term in self._terms:
                _pull(term, u, total)
        return np.conj(total)

    def _rmatvec(self, u: Any) -> Any:
        return self._rmatmat(np.reshape(u, (-1, 1)))[:, 0]


def _same_places(a: Term, b: Term) -> bool:
    """Whether the entries of both stand in the same places."""
    if a.extra != b.extra or not a.columns.equals(b.columns):
        return False
    if len(a.supports) != len(b.supports):
        return False
    if not all(map(np.array_equal, a.supports, b.supports)):
        return False
    return a.rows is b.rows or (
        a.rows is not None and b.rows is not None and np.array_equal(a.rows, b.rows)
    )


def _followed(term: Term) -> tuple[list[int], Any]:
    """The axes along which the columns vary, and the column numbers along those."""
    axes = [i for i in range(len(term.shape)) if term.columns.varies(i)]
    first = tuple(slice(None) if i in axes else 0 for i in range(len(term.shape)))
    return axes, term.columns.viewed(lambda a: a[first])


def _push(term: Term, v: Any) -> Any:
    """term @ v for an array of columns."""
    axes, columns = _followed(term)
    width = v.shape[1]
    if columns.base is not None and columns.array.size == v.shape[0] and columns.is_identity():
        gathered = np.reshape(v, (*columns.shape, width))
    else:
        numbers = columns.numbers()
        gathered = v[np.maximum(numbers, 0)]
        if columns.has_holes:
            gathered = np.where(numbers[..., None] >= 0, gathered, 0)
    ndim = len(term.shape)
    kept = [*range(term.extra, ndim), ndim]  # the last: columns of v
    made = network(term, kept, [(gathered, [*axes, ndim])])
    sizes = _sizes(term, axes)
    made = np.reshape(made, [*(sizes[i] for i in range(term.extra, ndim)), width])
    return np.broadcast_to(made, (*term.out_shape, width)).reshape(-1, width)


def _sizes(term: Term, axes: Sequence[int]) -> list[int]:
    """The size of each axis in a result of `network`: 1 where nothing varies along it."""
    return [
        term.shape[i] if i in axes or any(f.values.shape[i] != 1 for f in term.factors) else 1
        for i in range(len(term.shape))
    ]


def _pull(term: Term, u: Any, total: Any) -> None:
    """total += termᵀ @ u for an array of columns."""
    axes, columns = _followed(term)
    width, ndim = u.shape[1], len(term.shape)
    given = u if term.rows is None else u[term.rows]
    given = np.reshape(given, (*term.out_shape, width))
    rows = [i for i in range(term.extra, ndim) if term.shape[i] != 1]
    given = np.reshape(given, [*(term.shape[i] for i in rows), width])
    made = network(term, [*axes, ndim], [(given, [*rows, ndim])])
    present = [i in rows or any(f.values.shape[i] != 1 for f in term.factors) for i in axes]
    sizes = [term.shape[i] if there else 1 for i, there in zip(axes, present, strict=True)]
    made = np.broadcast_to(np.reshape(made, [*sizes, width]), (*columns.shape, width))
    if columns.base is not None and columns.array.size == len(total) and columns.is_identity():
        total += made.reshape(len(total), width)
        return
    numbers = columns.numbers()
    if columns.has_holes:
        there = numbers >= 0
        numbers, made = numbers[there], made[there]
    np.add.at(total, numbers.reshape(-1), made.reshape(-1, width))
