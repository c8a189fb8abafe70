"""Every kind's dense form is what pushing unit vectors gives, and its count is exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.op_cases import CASES
from thalweg.graph import kinds as k
from thalweg.jacobian.structure import LocalJacobian, bytes_text
from thalweg.ops.structural import items
from thalweg.transforms.linear import push


class End:
    """An end of an edge: a shape and a dtype."""

    def __init__(self, shape, dtype=np.float64):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.size = math.prod(self.shape)


def draw(shape, complex_=False, seed=0):
    rng = np.random.default_rng(seed)
    value = rng.uniform(0.5, 2.0, shape)
    return value + 1j * rng.uniform(0.5, 2.0, shape) if complex_ else value


def unit(end, j, factor=1.0):
    t = np.zeros(end.size, end.dtype)
    t[j] = factor
    return t.reshape(end.shape)[()]


def check(kind, x, out, generic=True):
    """Dense form = pushed unit vectors = pulled unit vectors; nnz = number of non-zeros."""
    local = LocalJacobian(kind, x, out)
    dense = local.todense()
    assert dense.shape == local.shape == (out.size, x.size)
    factors = (1.0, 1j) if x.dtype.kind == "c" else (1.0,)
    for j in range(x.size):
        for factor in factors:
            column = dense[:, j] * factor
            expected = column if out.dtype.kind == "c" else column.real
            pushed = np.reshape(local.push(unit(x, j, factor)), -1)
            np.testing.assert_allclose(pushed, expected, rtol=1e-12, atol=1e-12)
    for i in range(out.size):
        row = dense[i] if x.dtype.kind == "c" else dense[i].real
        pulled = np.reshape(local.pull(unit(out, i)), -1)
        np.testing.assert_allclose(pulled, row, rtol=1e-12, atol=1e-12)
    if generic:
        assert local.nnz == np.count_nonzero(dense)
    assert local.nbytes >= 0
    assert f"{out.size}×{x.size}" in repr(local)


SHAPES = [((), ()), ((3,), (3,)), ((3,), (2, 3)), ((2, 1), (2, 4)), ((), (2, 3)), ((0,), (4, 0))]


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("shapes", SHAPES)
def test_elementwise(shapes, complex_):
    dtype = complex if complex_ else float
    x, out = End(shapes[0], dtype), End(shapes[1], dtype)
    mask = np.arange(out.size).reshape(out.shape) % 2 == 0
    entries = draw(out.shape, complex_)
    for kind in (
        k.IDENTITY,
        k.Broadcast(),
        k.Scale(2.0),
        k.Diagonal(entries),
        k.Diagonal(np.float64(0.5)),
        k.Router(mask),
        k.Router(np.where(mask, entries, 0.0)),
    ):
        check(kind, x, out)
    check(k.Zero("constant"), x, out)


def test_one_end_is_complex():
    real, cplx = End((3,)), End((3,), complex)
    entries = draw((3,), True)
    for x, out in ((real, cplx), (cplx, real), (real, real)):
        check(k.Diagonal(entries), x, out)
        check(k.Wirtinger(entries, draw((3,), True, 1)), x, out)
        check(k.IDENTITY, x, out)
        check(k.Chain(k.Diagonal(entries), k.IDENTITY, cplx), x, out)
    check(k.Custom(lambda t: entries * t, lambda c: entries * c), cplx, real, False)
    with pytest.raises(tw.errors.DtypeError, match="linear over the reals only"):
        LocalJacobian(k.Wirtinger(0.0, 1.0), cplx, cplx).todense()
    with pytest.raises(tw.errors.DtypeError, match="linear over the reals only"):
        LocalJacobian(k.Chain(k.IDENTITY, k.IDENTITY, real), cplx, cplx).todense()
    with pytest.raises(tw.errors.DtypeError, match="linear over the reals only"):
        LocalJacobian(k.Custom(np.conj, np.conj), cplx, cplx).todense()


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 0, 3), (1, 1, 1)])
def test_sum(shape, keepdims):
    x = End(shape)
    for axes in ((), (0,), (1, 2), (0, 1, 2)):
        out = End(np.zeros(shape).sum(axis=axes, keepdims=keepdims).shape)
        check(k.SumOver(axes, keepdims), x, out)
        check(k.SumOver(axes, keepdims, draw(shape)), x, out)
        check(k.SumOver(axes, keepdims, draw((1, 1, shape[2]))), x, out)
        mask = np.arange(x.size).reshape(shape) % 3 == 0
        check(k.SumOver(axes, keepdims, mask, routed=True), x, out)


def test_reindexing():
    x = End((2, 3))
    check(k.Reshape(), x, End((3, 2)))
    check(k.Transpose((1, 0)), x, End((3, 2)))
    check(k.Transpose((2, 0, 1)), End((2, 3, 4)), End((4, 2, 3)))
    check(k.Reshape(), End((0, 3)), End((3, 0, 2)))
    places = np.zeros((2, 3))
    for index, unique in (
        ((0,), True),
        ((slice(None), slice(1, None)), True),
        ((Ellipsis, None, -1), True),
        ((np.array([0, 1, 1]),), False),
        ((np.array([[True, False, True], [False, False, True]]),), True),
        ((slice(0, 0),), True),
    ):
        taken = End(places[index].shape)
        check(k.Take(index, unique), x, taken)
        if unique:
            check(k.Put(index), taken, x)
    check(k.Put((slice(None), 0)), End(()), x)  # one number written to many places
    check(k.Put((slice(None),)), End((1, 3)), x)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3), (3, 4)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((3,), (3,)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 2)),
        ((0, 3), (3, 2)),
    ],
)
def test_matmul(a, b, complex_):
    dtype = complex if complex_ else float
    out = End((np.zeros(a) @ np.zeros(b)).shape, dtype)
    check(k.MatMulRight(draw(b, complex_)), End(a, dtype), out)
    check(k.MatMulLeft(draw(a, complex_)), End(b, dtype), out)


@pytest.mark.parametrize(
    ("inputs", "output", "sizes"),
    [
        (("ij", "jk"), "ik", "i2j3k4"),
        (("ij", "j"), "", "i2j3"),
        (("i", "j"), "ji", "i2j3"),
        (("bij", "bjk", "k"), "bi", "b2i3j2k2"),
        (("ij",), "j", "i2j3"),
        (("ij", "ij"), "", "i2j3"),
        (("ij", "kl"), "ikl", "i2j3k2l2"),
        (("ij", "jk"), "ik", "i2j0k4"),
    ],
)
def test_contract(inputs, output, sizes):
    size = {s: int(n) for s, n in zip(sizes[::2], sizes[1::2], strict=True)}
    operands = [draw([size[s] for s in letters], seed=i) for i, letters in enumerate(inputs)]
    out = End([size[s] for s in output])
    for position in range(len(inputs)):
        others = tuple(v for i, v in enumerate(operands) if i != position)
        kind = k.Contract(inputs, output, position, others)
        check(kind, End(operands[position].shape), out)


def test_dense_and_rank1():
    check(k.BatchedDense(draw((2, 3, 4)), 0), End((3, 4)), End((2,)))
    check(k.BatchedDense(draw((5, 2, 3)), 1), End((5, 3)), End((5, 2)))
    check(k.BatchedDense(draw((2, 3)), 2), End((2, 3)), End((2, 3)))
    for axis in (0, 1, -1):
        check(k.DiagMinusRank1(draw((2, 3)), axis), End((2, 3)), End((2, 3)))
    check(k.DiagMinusRank1(draw((0, 3)), 1), End((0, 3)), End((0, 3)))


def test_chain_and_custom():
    x, between, out = End((2, 3)), End((3, 2)), End((3,))
    chain = k.Chain(k.SumOver((1,), False, draw((3, 2))), k.Transpose((1, 0)), between)
    check(chain, x, out)
    check(k.Chain(k.Take((np.array([0, 0, 2]),), False), k.Reshape(), End((6,))), x, End((3,)))
    matmuls = k.Chain(k.MatMulLeft(draw((2, 3))), k.MatMulLeft(draw((3, 4))), End((3,)))
    check(matmuls, End((4,)), End((2,)))
    nested = k.Chain(k.Diagonal(draw((3,))), chain, out)
    check(nested, x, out)
    matrix = draw((2, 3))
    custom = k.Custom(lambda t: matrix @ t, lambda c: c @ matrix, "sorting")
    check(custom, End((3,)), End((2,)))
    assert LocalJacobian(custom, End((3,)), End((2,))).kind == "sorting"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_edges(data):
    """Random shapes and kinds, sizes 0 and 1 among them."""
    shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=3)))
    complex_ = data.draw(st.booleans())
    dtype = complex if complex_ else float
    out = End(shape, dtype)
    small = tuple(1 if data.draw(st.booleans()) else n for n in shape)
    small = small[data.draw(st.integers(0, len(small))) :]
    if np.broadcast_shapes(small, shape) == shape:
        entries = data.draw(st.sampled_from([small, shape, ()]))
        check(k.Diagonal(draw(entries, complex_)), End(small, dtype), out)
    axes = tuple(i for i in range(len(shape)) if data.draw(st.booleans()))
    keep = data.draw(st.booleans())
    result = End(np.zeros(shape).sum(axis=axes, keepdims=keep).shape, dtype)
    check(k.SumOver(axes, keep, draw(shape, complex_)), out, result)
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    check(k.Transpose(order), out, End(np.zeros(shape).transpose(order).shape, dtype))


def leaves(value):
    return value if type(value) is tuple else (value,)


def random_like(rng, end):
    """A direction of the form of an end, and the same as one long vector."""
    parts = []
    for part in leaves(end):
        t = rng.standard_normal(np.shape(part))
        if np.iscomplexobj(part):
            t = t + 1j * rng.standard_normal(np.shape(part))
        parts.append(np.asarray(t, part.dtype)[()])
    flat = np.concatenate([np.reshape(part, -1) for part in parts])
    return (tuple(parts) if type(end) is tuple else parts[0]), flat


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_edge_of_every_operation(case):
    """The matrix says what push and pull say, and its non-zeros lie within the structure."""
    edges_hold(tw.trace(lambda *args: case.call(*args), *case.operands()))
    if case.complex:
        edges_hold(tw.trace(lambda *args: case.call(*args), *case.operands(complex_=True)))


def edges_hold(trace):
    rng = np.random.default_rng(5)
    for node in trace:
        for edge in node.inputs:
            if edge.local is None or edge.local.shape[0] * edge.local.shape[1] > 200:
                continue
            try:
                dense = edge.local.todense()
            except tw.errors.DtypeError:  # linear over the reals only: push and pull serve
                ends = (*leaves(node.value), *leaves(edge.value))
                assert any(map(np.iscomplexobj, ends))
                continue
            assert edge.local.nnz >= np.count_nonzero(dense), (node, edge)
            t, t_flat = random_like(rng, edge.value)
            c, c_flat = random_like(rng, node.value)
            pushed = np.concatenate([np.reshape(v, -1) for v in leaves(edge.local.push(t))])
            pulled = np.concatenate([np.reshape(v, -1) for v in leaves(edge.local.pull(c))])
            for found, expected in ((pushed, dense @ t_flat), (pulled, c_flat @ dense)):
                if not np.iscomplexobj(found):
                    expected = expected.real
                scale = 1 + np.max(np.abs(expected), initial=0.0)
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * scale)


def test_names():
    x, wide = End((3,)), End((2, 3))
    named = {
        "identity": (k.IDENTITY, x, x),
        "broadcast": (k.Broadcast(), x, wide),
        "diagonal": (k.Diagonal(draw((3,))), x, x),
        "diagonal broadcast": (k.Diagonal(draw((2, 3))), x, wide),
        "scale": (k.Scale(2.0), x, x),
        "router": (k.Router(draw((3,))), x, x),
        "zero": (k.Zero("integer"), x, x),
        "sum": (k.SumOver((0,), False), wide, x),
        "weighted sum": (k.SumOver((0,), False, draw((2, 3))), wide, x),
        "permutation": (k.Reshape(), x, x),
        "selection": (k.Take((0,), True), wide, x),
        "gather": (k.Take((np.array([0]),), False), wide, x),
        "placement": (k.Put((0,)), x, wide),
        "matmul left": (k.MatMulLeft(draw((2, 3))), x, End((2,))),
        "matmul right": (k.MatMulRight(draw((3, 2))), x, End((2,))),
        "contraction": (k.Contract(("i", "i"), "", 0, (draw((3,)),)), x, End(())),
        "dense": (k.BatchedDense(draw((3, 3)), 0), x, x),
        "block diagonal": (k.BatchedDense(draw((2, 3, 3)), 1), wide, wide),
        "diag - rank 1": (k.DiagMinusRank1(draw((3,)), 0), x, x),
        "diagonal after identity": (k.Chain(k.Diagonal(draw((3,))), k.IDENTITY, x), x, x),
    }
    for name, edge in named.items():
        assert LocalJacobian(*edge).kind == name
    entries = draw((3,))
    assert LocalJacobian(k.Diagonal(entries), x, x).entries is entries
    assert LocalJacobian(k.IDENTITY, x, x).entries is None


def test_a_large_diagonal_is_never_filled():
    x = End((100, 4096))
    local = LocalJacobian(k.Diagonal(np.ones((100, 4096))), x, x)
    assert local.nnz == 409600
    assert local.nbytes == 409600 * 8
    assert repr(local) == "diagonal 409600×409600, nnz 409600, 3.3 MB instead of 1.3 TB"
    with pytest.raises(tw.errors.SizeLimitError, match=r"409600 × 409600 would take 1\.3 TB") as e:
        local.todense()
    assert ".push(tangent)" in str(e.value)


def test_a_large_product_is_not_written_out():
    x = End((400, 400))
    product = k.Chain(k.MatMulLeft(draw((400, 400))), k.MatMulRight(draw((400, 400))), x)
    local = LocalJacobian(product, x, x)
    with pytest.raises(tw.errors.SizeLimitError):
        local.nnz  # noqa: B018
    assert "nnz not counted" in repr(local)
    opaque = LocalJacobian(k.Chain(k.MatMulLeft(draw((400, 400))), k.Custom(abs, abs), x), x, x)
    assert opaque.nnz == 160_000**2
    with pytest.raises(tw.errors.SizeLimitError):
        opaque.todense()


def test_wrong_shape_is_an_error():
    local = LocalJacobian(k.IDENTITY, End((3,)), End((3,)))
    with pytest.raises(tw.errors.ShapeError, match="the tangent has shape"):
        local.push(np.ones(2))
    with pytest.raises(tw.errors.ShapeError, match="the cotangent has shape"):
        local.pull(np.ones(2))


def test_several_arrays_at_an_end():
    """Edges of an operation with several results: counted as one long vector."""
    assert items((1.0, 2.0)) == (1.0, 2.0)
    ends = (End((2,)), End((3,)))
    local = LocalJacobian(k.IDENTITY, ends, ends[1], part=1)
    assert local.kind == "selection"
    assert local.shape == (3, 5)
    assert local.nnz == 3
    np.testing.assert_array_equal(local.todense(), np.eye(5)[2:])
    np.testing.assert_array_equal(local.push((np.ones(2), np.arange(3.0))), np.arange(3.0))
    np.testing.assert_array_equal(local.pull(np.ones(3))[0], np.zeros(2))
    custom = k.Custom(lambda t: (t[:2], 2 * t), lambda c: c[1], "split")
    split = LocalJacobian(custom, End((3,)), ends)
    assert split.kind == "split"
    np.testing.assert_array_equal(split.todense(), np.vstack([np.eye(3)[:2], 2 * np.eye(3)]))


def test_number_of_a_one_by_one():
    one, cplx = End(()), End((), complex)
    assert LocalJacobian(k.Scale(3.0), one, one).number == 3.0
    assert LocalJacobian(k.Zero("integer"), one, one).number == 0.0
    assert LocalJacobian(k.IDENTITY, End((2,)), End((2,))).number is None
    assert LocalJacobian(k.Wirtinger(0.0, 1.0), cplx, cplx).number is None
    assert LocalJacobian(k.Custom(abs, abs), one, one).number is None


def test_bytes_text():
    assert [bytes_text(n) for n in (0, 999, 1000, 3276800, 1342177280000)] == [
        "0 B", "999 B", "1 kB", "3.3 MB", "1.3 TB"
    ]  # fmt: skip


def test_push_agrees_with_linear():
    x = End((3,))
    kind = k.Diagonal(draw((3,)))
    np.testing.assert_array_equal(
        LocalJacobian(kind, x, x).push(np.ones(3)), push(kind, np.ones(3), x, x)
    )
