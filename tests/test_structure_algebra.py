"""The algebra of structures: each product and each sum of kinds against dense matrices.

The oracle is `LocalJacobian`, whose matrices `tests/test_structure.py` holds against pushed and
pulled unit vectors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from thalweg.graph import kinds as k
from thalweg.jacobian.operator import Jacobian
from thalweg.jacobian.products import times
from thalweg.jacobian.structure import LocalJacobian
from thalweg.jacobian.terms import compact, start, summed, with_holes

RNG = np.random.default_rng(11)


class End:
    """An end of an edge: a shape and a dtype."""

    def __init__(self, shape):
        self.shape, self.dtype = tuple(shape), np.dtype(float)
        self.size = math.prod(self.shape)


def draw(*shape):
    return RNG.uniform(0.5, 2.0, shape)


def mask(*shape):
    return np.arange(math.prod(shape)).reshape(shape) % 3 > 0


def square(n):
    """Kinds from an operand of shape (2, n) to a result of shape (2, n)."""
    order = RNG.permutation(n)
    return {
        "zero": k.Zero("constant"),
        "identity": k.IDENTITY,
        "scale": k.Scale(-1.5),
        "diagonal": k.Diagonal(draw(2, n)),
        "diagonal of a row": k.Diagonal(draw(n)),
        "router": k.Router(mask(2, n) * draw(2, n)),
        "permutation": k.Take((slice(None), order), True),
        "gather": k.Take((slice(None), order // 2), False),
        "shift": k.Take((slice(None, None, -1),), True),
        "put": k.Put((slice(None), order)),
        "matmul left": k.MatMulLeft(draw(2, 2)),
        "matmul right": k.MatMulRight(draw(n, n)),
        "contraction": k.Contract(("ij", "jk"), "ik", 0, (draw(n, n),)),
        "blocks": k.BatchedDense(draw(2, n, n), 1),
        "softmax": k.DiagMinusRank1(draw(2, n), -1),
        "softmax of columns": k.DiagMinusRank1(draw(2, n), 0),
        "dense": k.BatchedDense(draw(2, n, 2, n), 0),
        "reshape": k.Reshape(),
        "chain": k.Chain(k.Diagonal(draw(2, n)), k.Transpose((1, 0)), End((n, 2)))
        if n == 2
        else k.Chain(k.Reshape(), k.Transpose((1, 0)), End((n, 2))),
    }


def changing(n):
    """Kinds from (2, n) to results of other shapes, non-square matrices."""
    return {
        "sum": (k.SumOver((1,), False), (2,)),
        "sum of all": (k.SumOver((0, 1), False), ()),
        "kept sum": (k.SumOver((0,), True), (1, n)),
        "weighted sum": (k.SumOver((1,), False, draw(2, n)), (2,)),
        "routed sum": (k.SumOver((1,), False, mask(2, n), True), (2,)),
        "broadcast": (k.Broadcast(), (3, 2, n)),
        "diagonal broadcast": (k.Diagonal(draw(3, 2, n)), (3, 2, n)),
        "part": (k.Take((slice(None), slice(n // 2)), True), (2, n // 2)),
        "gather": (k.Take((np.array([1, 0, 1]),), False), (3, n)),
        "put": (k.Put((slice(1, 3),)), (4, n)),
        "transpose": (k.Transpose((1, 0)), (n, 2)),
        "flat": (k.Reshape(), (2 * n,)),
        "wider": (k.MatMulRight(draw(n, 5)), (2, 5)),
        "vector": (k.MatMulRight(draw(n)), (2,)),
        "taller": (k.MatMulLeft(draw(4, 2)), (4, n)),
        "batch": (k.MatMulLeft(draw(3, 4, 2)), (3, 4, n)),
        "dense": (k.BatchedDense(draw(3, 2, n), 0), (3,)),
        "blocks": (k.BatchedDense(draw(2, 4, n), 1), (2, 4)),
    }


def matrix(kind, x, out):
    return LocalJacobian(kind, x, out).todense()


def holds(terms, full):
    """The terms are this matrix: dense, sparse, forward, reverse; and no entry is missed."""
    J = Jacobian(tuple(terms), full.shape, float)
    np.testing.assert_allclose(J.todense(), full, rtol=1e-12, atol=1e-13)
    v, u = RNG.standard_normal(full.shape[1]), RNG.standard_normal((full.shape[0], 2))
    np.testing.assert_allclose(J @ v, full @ v, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(J.T @ u, full.T @ u, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(J.diagonal(), np.diagonal(full), rtol=1e-12, atol=1e-13)
    pattern = J.pattern
    assert pattern.nnz == J.nnz
    assert not np.any(full[~pattern.toarray()])
    assert str(J.structure)


SIZES = [3, 2, 1, 0]


@pytest.mark.parametrize("n", SIZES)
def test_every_product_of_kinds(n):
    x = End((2, n))
    for inner_name, inner in square(n).items():
        first = times(inner, start(x.shape), x, x) if x.size else []
        below = matrix(inner, x, x)
        others = {name: (kind, x.shape) for name, kind in square(n).items()}
        for outer, shape in [*others.values(), *changing(n).values()]:
            out = End(shape)
            terms = [made for term in first for made in times(outer, term, x, out)]
            try:
                holds(terms, matrix(outer, x, out) @ below)
            except AssertionError as error:
                raise AssertionError(f"{outer} after {inner_name}") from error


@pytest.mark.parametrize("n", SIZES)
def test_every_sum_of_kinds(n):
    x = End((2, n))
    kinds = square(n)
    made = {
        name: times(kind, start(x.shape), x, x) if x.size else [] for name, kind in kinds.items()
    }
    full = {name: matrix(kind, x, x) for name, kind in kinds.items()}
    for first in kinds:
        for second in kinds:
            terms = [*made[first], *made[second]]
            try:
                holds(summed(terms) if len(terms) > 1 else terms, full[first] + full[second])
            except AssertionError as error:
                raise AssertionError(f"{first} + {second}") from error


@pytest.mark.parametrize("n", SIZES)
def test_products_of_three(n):
    """Of a kind that changes the shape, with elementwise and mixing ones around it."""
    x = End((2, n))
    for before in ("diagonal", "matmul right", "softmax", "gather"):
        inner = square(n)[before]
        first = times(inner, start(x.shape), x, x) if x.size else []
        for name, (middle, shape) in changing(n).items():
            between = End(shape)
            for outer in (k.Diagonal(draw(*shape)), k.Router(mask(*shape)), k.Reshape()):
                terms = [
                    made
                    for one in first
                    for two in times(middle, one, x, between)
                    for made in times(outer, two, between, between)
                ]
                product = matrix(outer, between, between) @ matrix(middle, x, between)
                try:
                    holds(terms, product @ matrix(inner, x, x))
                except AssertionError as error:
                    raise AssertionError(f"{outer} after {name} after {before}") from error


def test_rows_left_out_of_a_term_with_extra_axes():
    """What an in-place write leaves out, before and after other steps, and written out densely."""
    matrix, end = draw(3, 3), End((3,))
    first, second = np.array([False, True, True]), np.array([True, True, False])

    def product(term):
        return times(k.MatMulLeft(matrix), term, end, end)[0]

    def kept(term, there):
        return with_holes(times(k.Router(there), term, end, end)[0], there)

    made = kept(product(kept(product(start((3,))), first)), second)
    expected = matrix @ (matrix * first[:, None]) * second[:, None]
    np.testing.assert_allclose(Jacobian([made], (3, 3), float).todense(), expected, rtol=1e-14)

    both = kept(kept(product(start((3,))), first), second)
    both = both._replace(supports=(*both.supports, np.ones((3, 3), bool)))
    (dense,) = compact([both], (3,), 3)
    np.testing.assert_allclose(
        dense.factors[0].values.T, matrix * (first & second)[:, None], rtol=1e-14
    )
