"""Lowering: indices, special values, guards and steps of NumPy, against NumPy's results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.native_reference import agree, evaluate, reasons, record, run
from thalweg.execute.native.ir import Tensor
from thalweg.execute.native.lower import lower

# Compared to the last digit and the sign of zero: older NumPy sums to -0.0, and SciPy's logit
# and rel_entr had other last digits.
pytestmark = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.3.0", reason="compared with newer NumPy and SciPy"
)

# ---- indices ----------------------------------------------------------------------------------

X = np.linspace(-1.0, 2.0, 24).reshape(4, 6)
DEEP = np.arange(24.0).reshape(2, 3, 4)
ROWS = np.array([3, 0, -2, 0])


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (lambda x, i: x[i], (X, ROWS)),
        (lambda x, i: x[i], (X, np.array([[1, -1], [0, 2]]))),
        (lambda x, i: x[:, i], (X, ROWS)),
        (lambda x, i: x[i, 1:5:2], (X, ROWS)),
        (lambda x, i: x[i[0]], (X, ROWS)),
        (lambda x, i: x[1, i], (X, ROWS)),
        (lambda x, i: x[i[1], i], (X, ROWS)),
        (lambda x, i, j: x[i, :, j], (DEEP, np.array([0, 1, 0]), np.array([3, -1, 1]))),
        (lambda x, i: x[1, :, i], (DEEP, np.array([0, 1, -1]))),
        (lambda x, i: x[:, i, [1, 0]], (DEEP, np.array([0, 2]))),
        (lambda x, i: x[..., None, i], (DEEP, np.array([0, 2]))),
        (lambda x, i: x[::-1].T[i], (X, ROWS)),
        (lambda x, i: x[i], (X, np.array([], int))),
        (lambda x, i: np.take(x, i, axis=1), (X, ROWS.astype(np.uint8) % 4)),
        (lambda x, i: np.take(x, i, mode="wrap"), (X, np.array([-30, 0, 99]))),
        (lambda x, i: np.take(x, i, mode="clip"), (X, np.array([-30, 0, 99]))),
        (
            lambda x, i: np.take_along_axis(x, i, 1),
            (X, np.array([[0, -1], [2, 2], [1, 0], [5, 5]])),
        ),
        (lambda x: x[[0, 2, 3]][:, [5, 1]], (X,)),
        (lambda x: x[np.ix_([0, 2], [1, 3, 5])], (X,)),
        (lambda x: x[X > 0.3], (X,)),
        (lambda x: x[:, X[0] > -0.5], (X,)),
        (lambda x: x[np.True_], (X,)),
    ],
)
def test_indices_that_are_traced(function, arguments):
    agree(function, *arguments)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_])
def test_one_entry_of_each_row_is_chosen_without_a_gather(dtype):
    n, m = 5, 7
    x = np.random.default_rng(0).standard_normal((n, m)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        x[:, :4] = [-0.0, np.nan, -np.inf, np.inf]
    y = np.array([0, 1, 2, -4, -1])
    graph = record(lambda x, y: x[np.arange(n), y], (x, y))
    ops = {tensor.op for tensor in _reached(lower(graph).outputs)}
    assert "gather" not in ops
    agree(lambda x, y: x[np.arange(n), y], x, y)
    agree(lambda x, y: x[y % n, np.arange(n)], x, y)
    deep = np.repeat(x[:, :, None], 3, axis=2)
    agree(lambda x, y: x[np.arange(n), y], deep, y)
    agree(lambda x, y: x[np.arange(n), :, y % 3], deep, y)


def _reached(ends: Any) -> list[Tensor]:
    stack, seen = [x for x in ends if isinstance(x, Tensor)], {}
    while stack:
        x = stack.pop()
        if x.serial not in seen:
            seen[x.serial] = x
            stack.extend(x.args)
    return list(seen.values())


def _set(x: Any, index: Any, value: Any) -> Any:
    y = x * 1
    y[index] = value
    return y


def _add(x: Any, index: Any, value: Any) -> Any:
    y = x * 1
    np.add.at(y, index, value)
    return y


@pytest.mark.parametrize("write", [_set, _add])
@pytest.mark.parametrize(
    ("index", "traced", "value"),
    [
        (lambda i: i, ROWS, X + 1),
        (lambda i: i, ROWS, np.float64(2.5)),
        (lambda i: (slice(None), i), ROWS, X[0, :4]),
        (lambda i: (np.arange(4), i), np.array([0, -1, 3, 3]), np.arange(4.0)),
        (lambda i: (i % 4, np.arange(6)), np.arange(6) * 3, np.arange(6.0)),
        (lambda i: ([1, 1, 1], [2, 2, 3]), ROWS, np.array([1.0, 10.0, 100.0])),
        (lambda i: ([0, 0], slice(None)), ROWS, X[:2]),
        (lambda i: (i[0], slice(1, 4)), ROWS, X[0, 1:4]),
        (lambda i: X > 0.5, ROWS, np.float64(-7.0)),
        (lambda i: X > 0.5, ROWS, np.arange(float((X > 0.5).sum()))),
        (lambda i: i > 0, ROWS, X[0]),
        (lambda i: (slice(None), X[0] > -0.5), ROWS, np.float64(-7.0)),
        (lambda i: (Ellipsis, slice(None, None, -2)), ROWS, X[:1, ::2]),
        (lambda i: Ellipsis, ROWS, X[:1, :1]),
    ],
)
def test_writing_at_indices(write, index, traced, value):
    agree(lambda x, i, v: write(x, index(i), v), X, traced, value)


def test_a_mask_that_is_traced():
    agree(lambda x, v: _set(x, x > 0.3, v), X, np.float64(3.0))
    agree(lambda x, v: _set(x, x[:, 0] > 0.3, v), X, X[0] * 2)
    assert reasons(lambda x: x[x > 0.3], X)
    assert reasons(lambda x: _set(x, x > 0.3, np.arange(float((X > 0.3).sum()))), X)


def test_an_index_out_of_range_fails_a_check_and_reads_nothing_wild():
    graph = record(lambda x, i: x[i], (X, ROWS))
    lowered = lower(graph)
    for wrong in (4, -5, 2**62, -(2**63)):
        i = np.array([0, wrong, 1, 0])
        found = evaluate(
            [*lowered.builder.checks, lowered.outputs[0]], [X, i], lowered.builder.arrays
        )
        assert not all(found[:-1])


def test_values_that_do_not_fit_the_array_are_cast_or_left_to_numpy():
    agree(lambda x, v: _set(x, 0, v), X.astype(np.float32), np.float64(0.1))
    agree(lambda x, v: _set(x, 0, v), np.arange(4), np.float64(2.7))
    assert reasons(lambda x, v: _add(x, 0, v), X.astype(np.float32), np.float64(0.1))


# ---- values -----------------------------------------------------------------------------------

ONE = frozenset("entr logit exprel cosm1 expit log_expit sinc".split())
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, np.inf, -np.inf, np.nan, 5e-324, 1e-310, 1e300, -1e300]
)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5, 1.5, -0.5, np.float64(0.5), 7])
def test_constant_powers(exponent, dtype):
    with np.errstate(all="ignore"):
        x = SPECIAL.astype(dtype)
    graph = record(lambda v: v**exponent, (x,))
    (got,) = run(graph, (x,))
    expected = graph.outputs[0].value
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(expected)[number])


def test_powers_of_numbers_and_integers():
    for x in (0.0, -0.0, 4.0, np.inf, -np.inf, np.nan):
        agree(lambda v: v**0.5, np.float64(x))
        agree(lambda v: v**-0.5, np.float64(x))
        agree(lambda v: v**1.5, np.float64(x))
    agree(lambda v: v**5, np.array([-3, 0, 7, 2**40]))
    agree(lambda v: v**0, np.array([-3, 0]))
    agree(lambda v: 2.0**v, np.array([1.0, -np.inf, np.nan, 0.5]))
    assert reasons(lambda v, w: v**w, np.array([2, 3]), np.array([3, 2]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.clip(x, 0.0, 1.0),
        lambda x: np.clip(x, -0.0, np.inf),
        lambda x: np.clip(x, np.nan, 1.0),
        lambda x: np.clip(x, np.zeros_like(SPECIAL), np.full_like(SPECIAL, 2.0)),
        lambda x: np.round(x, 2),
        lambda x: np.round(x, -1),
        lambda x: np.modf(x)[0],
        lambda x: np.isposinf(x),
        lambda x: np.isclose(x, x[::-1], equal_nan=True),
        lambda x: np.allclose(x, x),
        lambda x: np.array_equal(x, x, equal_nan=True),
        lambda x: np.sign(x),
        lambda x: np.where(x > 0, x, 0.0),
        lambda x: np.logical_and(x, x > 0),
        lambda x: np.nan_to_num(x),
        lambda x: np.argmax(x),
        lambda x: np.argmin(x.reshape(2, 7), axis=1, keepdims=True),
        lambda x: np.nanmax(x.reshape(2, 7), axis=0),
        lambda x: np.fmin.reduce(x),
        lambda x: np.any(x.reshape(2, 7), axis=0),
        lambda x: np.all(x, where=x > 0),
        lambda x: np.count_nonzero(x.reshape(7, 2), axis=1),
        lambda x: np.max(x, initial=0.0, where=x < 5),
        lambda x: x.astype(np.int64),
        lambda x: x.astype(np.int32),
        lambda x: x.astype(bool),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_special_values(function, dtype):
    with np.errstate(all="ignore"):
        agree(function, SPECIAL.astype(dtype))


def test_a_sum_of_negative_zeros_is_zero():
    for shape, axis in (((1,), 0), ((3,), 0), ((2, 1), 1), ((), None), ((2,), ())):
        agree(lambda x, a=axis: np.sum(x, axis=a), np.full(shape, -0.0)[()])
    for dtype in (np.float32, np.float64):
        for x in (np.full(3, -0.0, dtype), np.full((130, 17), -0.0, dtype)):
            for axis in (None, 0, -1):
                for f in (np.sum, np.nansum, np.mean):
                    found = tw.compile(lambda x, f=f, a=axis: f(x, axis=a))(x)
                    assert not np.signbit(found).any()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0), (1, 1)])
def test_sizes_0_and_1(shape):
    x = np.full(shape, 0.7)[()]
    for function in (
        np.sum, np.prod, np.mean, np.var, np.linalg.norm, np.any, np.nansum, np.transpose,
        lambda v: np.exp(v) * 2, lambda v: v[..., None], lambda v: np.concatenate([v.ravel()] * 2),
        lambda v: np.ravel(v) @ np.ravel(v), lambda v: np.logaddexp.reduce(np.ravel(v)),
    ):  # fmt: skip
        if x.size == 0 and function in (np.mean, np.var):
            continue  # NumPy warns
        graph = record(function, (x,))
        for got, node in zip(run(graph, (x,)), graph.outputs, strict=True):
            np.testing.assert_allclose(got, node.value, rtol=1e-15)
            assert got.dtype == node.dtype


def test_integers_and_booleans():
    i, b = np.array([3, -4, 0, 7]), np.array([True, False, True, True])
    agree(lambda i: np.sum(i.astype(np.int8)), i)
    agree(lambda b: np.sum(b), b)
    agree(lambda b: np.max(b) | np.min(b), b)
    agree(lambda b: ~b ^ (b & True), b)
    agree(lambda i: ~i, i)
    agree(lambda i: i @ i, i)
    agree(lambda i: np.multiply.outer(i, i) @ np.arange(8).reshape(4, 2), i)
    assert reasons(lambda i: i @ i, np.ones((40, 40), int))
    agree(lambda i: i % 3 + i // 2, i)
    agree(lambda i, b: np.where(b, i, 1.5), i, b)
    agree(lambda i: np.mean(i), i)
    assert reasons(lambda i: i << 2, i)
    assert reasons(lambda i, j: i < j, i, i.astype(np.uint64))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_integers_compared_with_numbers_beyond_their_range(dtype):
    x = np.array([0, 1, 127, 200, -1, -128]).astype(dtype)
    compares = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
    beyond = (-(2**70), 2**63, 2**64) if dtype != "bool" else ()
    for number in (-(2**63), -129, -1, 127, 128, 255, 256, 2**31, 2**32 - 1, *beyond):
        for compare in compares:
            agree(lambda x, c=compare, n=number: c(x, n), x)
            agree(lambda x, c=compare, n=number: c(n, x), x)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("low", [None, -(2**70), -200, 0, 3])
@pytest.mark.parametrize("high", [None, 2**70, 127, 300, 2])
def test_bounds_beyond_the_range_of_an_integer_bound_nothing(low, high, dtype):
    x = np.array([0, 1, 3, 100, -1, -128]).astype(dtype)
    try:
        np.clip(x, low, high)
    except OverflowError:
        with pytest.raises(OverflowError):
            record(lambda x: np.clip(x, low, high), (x,))
    else:
        agree(lambda x: np.clip(x, low, high), x)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_beside_a_sequence_there_is_nothing(mode):
    a, v = np.array([1.0, np.inf, 2.0, -0.0]), np.array([2.0, np.nan, np.inf])
    with np.errstate(all="ignore"):
        for x, y in ((a, v), (a[2:], v), (a, v[:1]), (a[3:], v[2:])):
            agree(lambda x, y: np.convolve(x, y, mode), x, y)
            agree(lambda x, y: np.correlate(x, y, mode), x, y)


def test_products_over_many_operands_and_stretched_axes():
    rng = np.random.default_rng(1)
    for subscripts, *shapes in (
        ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
        ("ij,jk,kl->ki", (2, 3), (3, 4), (4, 5)),
        ("bij,bjk->bik", (2, 3, 4), (1, 4, 5)),
        ("ij,ij->", (3, 4), (3, 4)),
        ("ij,kl->jl", (2, 3), (4, 5)),
        ("ij,j->ji", (2, 3), (3,)),
        ("iij->ji", (3, 3, 2)),
        ("ij->", (2, 3)),
    ):
        arrays = [rng.standard_normal(shape) for shape in shapes]
        graph = record(lambda *xs, s=subscripts: np.einsum(s, *xs), arrays)
        (got,) = run(graph, arrays)
        np.testing.assert_allclose(got, graph.outputs[0].value, rtol=1e-13, atol=1e-14)


# ---- what NumPy does --------------------------------------------------------------------------


def test_steps_of_numpy_stand_between_tensors():
    x = np.array([[3.0, 1.0], [1.0, 2.0]])

    def f(x):
        w, v = np.linalg.eigh(x + x.T)
        return np.sum(v * w) + np.sort(x)[0, 0]

    graph = record(f, (x,))
    (got,) = run(graph, (x,))
    np.testing.assert_allclose(got, graph.outputs[0].value, rtol=1e-14)
    assert [step.name for step in lower(graph).steps] == ["eigh", "sort"]
    assert all(step.origin is not None for step in lower(graph).steps)


def test_dtypes_of_numpy_alone_pass_from_step_to_step():
    agree(lambda z: np.real(z * z), np.array([1 + 2j, 3j]), native=False)
    agree(lambda z: z, np.array([1 + 2j]), native=False)
    agree(lambda x: np.abs(np.exp(1j * x)), np.array([0.5, 1.0]), native=False)
    agree(lambda x: x.astype(np.float16).astype(np.float64), np.array([0.1]), native=False)
    agree(lambda x: x + 1, np.array([1.0, 2.0]).astype(">f8"), native=False)


def test_guards():
    def f(x, i):
        total = x[int(i)] if x.sum() > 0 else x[0]
        return total * float(tw.detach(x[1]))

    x, i = np.array([1.0, 2.0, 3.0]), np.int64(2)
    lowered = lower(record(f, (x, i)))
    answers = [condition for _, condition in lowered.guards]
    arrays = lowered.builder.arrays
    assert all(evaluate(answers, [x, i], arrays, lowered.steps))
    assert not all(evaluate(answers, [-x, i], arrays, lowered.steps))
    assert not all(evaluate(answers, [x, np.int64(1)], arrays, lowered.steps))
    assert not all(evaluate(answers, [x * [1, 2, 1], i], arrays, lowered.steps))


def test_a_guard_that_was_nan_wants_nan():
    lowered = lower(record(lambda x: x * float(tw.detach(x[0])), (np.array([np.nan, 1.0]),)))
    ((_, condition),) = lowered.guards
    for first, expected in ((np.nan, True), (1.0, False)):
        assert evaluate([condition], [np.array([first, 1.0])]) == [expected]


@pytest.mark.parametrize("shape", [(3, 0), (3, 2, 0), (2, 0, 3), (0, 3)])
def test_a_result_without_entries_writes_nothing(shape):
    """A broadcast keeps the axes apart: the inner loop has no turns, and must not do one."""
    around = np.full((8, *shape[1:-1], 64), 7.0)
    inside = around[tuple(slice(n) for n in shape)]
    weights = np.full((*shape[:-1], 1) if shape[-1] == 0 else shape[-1:], 2.0)
    product = tw.compile(lambda x, y: x * y, inplace=0)
    assert product(inside, weights).shape == shape
    assert (around == 7.0).all()


def test_complex_numbers_are_rounded():
    z = np.array([1.6 + 0.4j, -2.3 + 1.7j])
    for f in (np.round, lambda z: np.round(z, 1), lambda z: np.around(z, -1)):
        np.testing.assert_array_equal(tw.compile(f)(z), f(z))


def test_a_guard_on_complex_numbers_is_numpys():
    lowered = lower(record(lambda z: z * complex(tw.detach(z[0])), (np.array([1j, 2.0]),)))
    assert "guard" in [step.name for step in lowered.steps]
    ((_, condition),) = lowered.guards
    for first in (1j, 2j):
        found = evaluate([condition], [np.array([first, 2.0])], (), lowered.steps)
        assert found == [first == 1j]


def test_what_remat_holds_is_lowered_with_the_rest():
    block = tw.remat(lambda x: np.sin(np.exp(x)) * 3)
    graph = record(lambda x: tw.grad(lambda v: np.sum(block(v)))(x), (X,))
    assert not lower(graph).steps
    (got,) = run(graph, (X,))
    np.testing.assert_allclose(got, graph.outputs[0].value, rtol=1e-14)


def test_a_graph_without_values_is_lowered_too():
    graph = record(lambda x: np.sum(np.exp(x[1:]) @ x.T), (X,)).without_values()
    expected = np.sum(np.exp(X[1:]) @ X.T)
    np.testing.assert_allclose(run(graph, (X,)), [expected], rtol=1e-13)


def test_constants_and_outputs_that_depend_on_nothing():
    large = np.arange(6.0)[::2]

    def f(x):
        return x * large + np.zeros(3), 1.5, np.arange(2)

    graph = record(f, (np.ones(3),))
    lowered = lower(graph)
    assert lowered.outputs[1] == 1.5
    assert all(array.flags.c_contiguous for array in lowered.builder.arrays)
    (got,) = run(graph, (np.ones(3),))
    np.testing.assert_array_equal(got, large)


def test_equal_work_is_one_tensor():
    lowered = lower(record(lambda x: (np.exp(x) * 2.0, 2.0 * np.exp(x), np.exp(x)), (X,)))
    assert sum(x.op == "map" and x.data == "exp" for x in _reached(lowered.outputs)) == 1
    zeros = lower(record(lambda x: (x * 0.0, x * -0.0, x * math.nan), (X,)))
    assert len({x.serial for x in zeros.outputs}) == 3


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "name",
    "entr logit exprel cosm1 expit log_expit xlogy xlog1py rel_entr kl_div huber pseudo_huber"
    " logaddexp2 sinc".split(),
)
def test_composed_functions_at_special_values(name, dtype):
    function = getattr(np, name, None) or getattr(tw.scipy.special, name)
    with np.errstate(all="ignore"):
        x = np.append(SPECIAL, [0.31, 0.64, 1e-3, 30.0]).astype(dtype)
        operands = (x,) if name in ONE else tuple(v.ravel() for v in np.meshgrid(x, x))
        graph = record(function, operands)
        (got,) = run(graph, operands)
        expected = graph.outputs[0].value
        scale = np.max([np.where(np.isfinite(v), np.abs(v), 0) for v in operands], axis=0)
    assert got.dtype == expected.dtype
    eps = np.finfo(dtype).eps
    # Differences of near numbers are compared by the operands' size.
    slack = 4 * eps * scale if name in ("kl_div", "logaddexp2", "sinc") else 0.0
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite])
    allowed = slack + 8 * eps * np.abs(np.where(finite, expected, 0.0)) + 5e-324
    assert np.all(np.abs(got[finite] - expected[finite]) <= allowed[finite])
