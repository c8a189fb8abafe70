"""Optimiser passes: each keeps every bit of the results, and does what it is for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import thalweg as tw
from tests.op_cases import CASES
from tests.programs.generate import programs
from tests.test_stabilise import EXTREMES, SPELLINGS
from thalweg.array import Array
from thalweg.execute.interpret import GuardChanged, replay
from thalweg.graph.graph import between
from thalweg.graph.node import Node, input_node
from thalweg.graph.verify import verify
from thalweg.guards import Recording
from thalweg.optimise.cse import merge_equal
from thalweg.optimise.dce import drop_unused
from thalweg.optimise.fold import fold
from thalweg.optimise.pipeline import EXACT, optimise
from thalweg.optimise.stable import stable_values
from thalweg.tree import flatten

RNG = np.random.default_rng(8)
X = RNG.standard_normal((3, 4))
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 5e-324, 1e308, -1e-310])


def record(f, *args):
    """The graph of f, as compile records it: every argument is an input."""
    inputs = [input_node(np.array(x)[()]) for x in args]
    with Recording(copying=True) as guards, np.errstate(all="ignore"):
        result = f(*[Array(x) for x in inputs])
    outputs = [x._node if type(x) is Array else x for x in flatten(result)[0]]
    return between(inputs, outputs, guards)


def names(graph):
    return [node.primitive.name for node in graph.nodes]


def run(graph, args):
    with np.errstate(all="ignore"):
        return replay(graph, [np.array(x)[()] for x in args])


def assert_same_bits(got, wanted):
    """Equal shapes, dtypes and bits; NaN is NaN, whatever its payload."""
    if isinstance(wanted, GuardChanged):
        assert isinstance(got, GuardChanged)
        return
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
        if a.dtype.kind == "f":
            numbers = ~np.isnan(a)
            np.testing.assert_array_equal(np.signbit(a)[numbers], np.signbit(b)[numbers])


def check_exact(graph, *points):
    """All exact passes, each verified; the results at the points stay what they were."""
    wanted = [run(graph, args) for args in points]
    for _ in range(3):
        for each in EXACT:
            graph = each(graph)
            with np.errstate(all="ignore"):
                verify(graph)
            for args, want in zip(points, wanted, strict=True):
                assert_same_bits(run(graph, args), want)
    return graph


# ---- constants ------------------------------------------------------------------------------


def test_what_depends_on_no_input_is_a_value():
    def f(x):
        made = np.exp(np.ones_like(x) * 2)
        return np.sin(x) + made.sum(), made

    graph = check_exact(record(f, X), [X])
    assert names(graph) == ["sin", "add"]
    assert not any(type(x) is Node and not x.operands and x not in graph.inputs
                   for node in graph.nodes for x in node.operands)  # fmt: skip
    assert type(graph.outputs[1]) is np.ndarray


@pytest.mark.parametrize("entry", [2.0, 0.0, -0.0, np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_equal_entries_become_a_number_of_the_same_dtype(entry, dtype):
    if dtype == "int32" and not np.isfinite(entry):
        entry = 7
    constant = np.full((3, 4), entry, dtype)
    point = X.astype("float32")
    graph = fold(record(lambda x: constant * x, point))
    number = graph.nodes[0].operands[0]
    assert type(number) is np.dtype(dtype).type
    np.testing.assert_array_equal(number, constant[0, 0])
    assert np.signbit(number) == np.signbit(constant[0, 0])
    check_exact(record(lambda x: constant * x, point), [point])


def test_entries_that_differ_in_the_sign_of_zero_stay():
    constant = np.zeros((3, 4))
    constant[1, 1] = -0.0
    graph = fold(record(lambda x: constant * x, X))
    assert graph.nodes[0].operands[0].shape == (3, 4)


def test_the_result_keeps_its_shape():
    ones = np.ones((3, 4))
    graph = check_exact(record(lambda x: (ones * x, ones + np.sin(x)), X[0]), [X[0]])
    for node in graph.nodes:
        if node.primitive.name in ("multiply", "add"):
            array = next(x for x in node.operands if type(x) is np.ndarray)
            assert array.strides == (0, 0)
    assert all(x.shape == (3, 4) for x in graph.outputs)


def test_exponents_keep_their_form():
    # An array to the power of one number is a root in NumPy, to that of an array it is not.
    halves = np.full(10, 0.5)
    graph = check_exact(record(lambda x: x**halves, SPECIAL), [SPECIAL])
    assert graph.nodes[0].operands[1] is halves or graph.nodes[0].operands[1].strides == (8,)


def test_other_operations_get_a_view():
    zeros = np.zeros((3, 4))
    graph = check_exact(record(lambda x: np.concatenate([zeros, x]), X), [X])
    assert graph.nodes[0].operands[0].strides == (0, 0)


# ---- common subexpressions ------------------------------------------------------------------


def test_equal_operations_are_done_once():
    rows, again = np.arange(2), np.arange(2)

    def f(x):
        return np.sin(x[rows]) + np.sin(x[again]), np.sin(x[rows]) * 2.0, 2.0 * np.sin(x[rows])

    graph = check_exact(record(f, X), [X])
    assert names(graph) == ["getitem", "sin", "add", "multiply"]
    assert graph.outputs[1] is graph.outputs[2]


def test_constants_of_other_types_or_bits_are_others():
    x = X.astype("float32")
    constants = (1, 1.0, True, np.float32(1), np.float64(1), 0.0, -0.0, np.array([1.0]))
    graph = check_exact(record(lambda x: tuple(np.hypot(x, c) for c in constants), x), [x])
    assert len(names(graph)) == len(constants) - 1  # np.array([1.0]) is np.float64(1)


def test_equal_arrays_are_one_object():
    def f(x):
        return x * np.arange(4.0), x + np.arange(4.0)

    first, second = merge_equal(record(f, X)).nodes
    assert first.operands[1] is second.operands[1]


def test_parameters_are_compared_by_content():
    def f(x):
        return (
            np.sum(x, 0),
            np.sum(x, axis=(0,)),
            np.sum(x, 1),
            x[1:2],
            x[1:2],
            x[1:3],
            x[1],
            x[True],
        )

    graph = check_exact(record(f, X), [X])
    assert len(names(graph)) == 6


def test_maximum_is_not_commutative():
    a, b = np.array([0.0, -0.0]), np.array([-0.0, 0.0])
    graph = check_exact(record(lambda x, y: (np.fmax(x, y), np.fmax(y, x)), a, b), [a, b])
    assert len(graph.nodes) == 2


def test_guards_are_not_repeated():
    def f(x):
        return x * 2 if x.sum() > 0 and x.sum() > 0 and not x.sum() > 100 else x * 3

    graph = record(f, np.ones(3))
    assert len(graph.guards) == 3
    graph = check_exact(graph, [np.ones(3)], [-np.ones(3)], [100 * np.ones(3)])
    assert len(graph.guards) == 2
    assert names(graph).count("sum") == 1


# ---- dead code ------------------------------------------------------------------------------


def test_what_nothing_needs_is_dropped():
    graph = record(lambda x: (np.sin(x), np.cos(x), x), X)
    graph = drop_unused(graph._replace(outputs=graph.outputs[:1]))
    assert names(graph) == ["sin"]
    assert len(graph.inputs) == 1


def test_what_a_guard_needs_stays():
    graph = drop_unused(record(lambda x: x * 2 if np.max(x) > 0 else x, X))
    assert names(graph) == ["max", "greater", "multiply"]


# ---- the pipeline ---------------------------------------------------------------------------


def test_nothing_to_do_gives_the_same_graph():
    graph = optimise(record(lambda x: np.sin(x) * np.cos(x), X))
    assert optimise(graph) is graph


def test_a_captured_node_is_not_taken_for_a_constant():
    outer = input_node(X)
    graph = record(lambda x: x * Array(outer), X)
    assert optimise(graph) is graph


def test_new_nodes_keep_their_place_in_the_source():
    graph = optimise(record(lambda x: np.ones(4) * np.sin(x), X))
    here = test_new_nodes_keep_their_place_in_the_source.__code__.co_filename
    assert all(node.origin[0].co_filename == here for node in graph.nodes)


def derivatives(f):
    """f with its gradient of a sum of outputs, as it is recorded when a gradient is compiled."""

    def total(*xs):
        out = flatten(f(*xs))[0]
        weighted = (y * np.cos(np.arange(np.size(y))).reshape(np.shape(y)) for y in out)
        return sum(np.sum(np.real(y) + np.imag(y)) for y in weighted) + 0.0 * np.sum(xs[0])

    return lambda *xs: (f(*xs), tw.grad(total, tuple(range(len(xs))))(*xs))


@pytest.mark.parametrize("case", CASES[::7], ids=lambda case: case.id)
def test_op_cases(case):
    with np.errstate(all="ignore"):
        args, others = case.operands(0), case.operands(1)
        graph = record(derivatives(case.call), *args)
        # Elsewhere a shape may be another one.
        check_exact(graph, *([args, others] if case.batched else [args]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.shapes) <= 2 and case.make is None][::9],
    ids=lambda case: case.id,
)  # fmt: skip
def test_special_values(case, dtype):
    with np.errstate(all="ignore"):
        args = [x.astype(dtype) for x in case.operands(0)]
        graph = record(case.call, *args)
        special = [
            np.resize(SPECIAL.astype(dtype)[k:], np.shape(x)).astype(dtype)
            for k, x in enumerate(args)
        ]
        try:
            wanted = run(graph, special)
        except (np.linalg.LinAlgError, ValueError):
            return
        for each in EXACT:
            graph = each(graph)
        assert_same_bits(run(graph, special), wanted)


def test_random_programs():
    seen: Counter[str] = Counter()

    @settings(
        max_examples=150,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def check(program):
        seen["programs"] += 1
        graph = record(derivatives(program.function()), *program.inputs)
        elsewhere = tuple(np.float64(0.9) * x for x in program.inputs)
        seen["nodes"] += len(graph.nodes)
        graph = check_exact(graph, program.inputs, elsewhere)
        seen["left"] += len(graph.nodes)

    check()
    assert seen["programs"] >= 100
    assert seen["left"] < 0.95 * seen["nodes"]


# ---- algebra --------------------------------------------------------------------------------

FULL = np.array([[np.nan, np.inf, -np.inf, 0.0], [-0.0, 1.5, -2.5, 5e-324], [1e308, -1e-310, 3, 7]])

#: What it does, the function, and the gates that are left.
EXACT_REWRITES = [
    ("x * 1", lambda x: x * 1, []),
    ("1 * x", lambda x: np.ones(4, x.dtype) * x, []),
    ("x / 1", lambda x: x / 1.0, []),
    ("x - 0", lambda x: x - 0.0, []),
    ("x + -0", lambda x: x + -0.0, []),
    ("-(-x)", lambda x: np.negative(-x), []),
    ("+x", lambda x: +x, []),
    ("x + (-y)", lambda x: np.sin(x) + (-np.cos(x)), ["sin", "cos", "subtract"]),
    ("(-y) + x", lambda x: (-np.cos(x)) + np.sin(x), ["sin", "cos", "subtract"]),
    ("x - (-y)", lambda x: np.sin(x) - (-np.cos(x)), ["sin", "cos", "add"]),
    ("x * -1", lambda x: x * -1, ["negative"]),
    ("-x * -1", lambda x: (-x) * -1, []),
    ("-x * 3", lambda x: (-x) * 3, ["multiply"]),
    ("-(3 * x)", lambda x: -(3 * x), ["multiply"]),
    ("(-x)(-y)", lambda x: (-x) * (-np.sin(x)), ["sin", "multiply"]),
    ("x / 8", lambda x: x / 8, ["multiply"]),
    ("x / -0.25", lambda x: x / -0.25, ["multiply"]),
    ("x / f8(2)", lambda x: x / np.float64(2), ["multiply"]),
    ("x ** 2", lambda x: x**2, ["multiply"]),
    ("square", lambda x: (np.square(x), x**2.0, x * x), ["multiply"]),
    ("x ** 0.5", lambda x: x**0.5, ["sqrt"]),
    ("x ** -1", lambda x: x**-1, ["reciprocal"]),
    ("x ** 1", lambda x: x**1, []),
    ("real of real", lambda x: np.real(np.conj(x)), []),
    ("detach", lambda x: tw.detach(x) * x, ["multiply"]),
    ("where(m, a, a)", lambda x: np.where(x > 0, x, x), []),
    ("where(not m)", lambda x: np.where(np.logical_not(x > 0), x, 1.0), ["greater", "where"]),
    ("where(m, m x)", lambda x: np.where(x > 0, x * (x > 0), 0.0), ["greater", "where"]),
    (
        "where(m, where(m, a, b), c)",
        lambda x: np.where(x > 0, np.where(x > 0, np.sin(x), np.cos(x)), 2.0),
        ["sin", "greater", "where"],
    ),
    (
        "where(m, c, where(m, a, b))",
        lambda x: np.where(x > 0, 2.0, np.where(~(x > 0), np.sin(x), np.cos(x))),
        ["greater", "sin", "where"],
    ),
    ("not not", lambda x: ~~(x > 0), ["greater"]),
    ("m and m", lambda x: (x > 0) & (x > 0), ["greater"]),
    ("m or True", lambda x: (x > 0) | np.ones(4, bool), []),
    ("m and True", lambda x: (x > 0) & True, ["greater"]),
    ("m != 0", lambda x: np.not_equal(x > 0, 0), ["greater"]),
    ("cast to itself", lambda x: x.astype(x.dtype), []),
    ("T.T", lambda x: x.T.T, []),
    ("three axes", lambda x: x[None].transpose(1, 2, 0), ["reshape"]),
    ("composed", lambda x: x.reshape(2, 2, 3).transpose(1, 2, 0).transpose(1, 0, 2),
     ["reshape", "transpose"]),
    ("axis of size 1", lambda x: x[:, None].transpose(1, 0, 2), ["reshape"]),
    ("reshapes", lambda x: x.reshape(2, 6).reshape(12).reshape(3, 4), []),
    ("full slices", lambda x: x[:][0:3, ...][:, :], []),
    ("new axes", lambda x: x[None, :, None], ["reshape"]),
    ("broadcast twice", lambda x: np.broadcast_to(np.broadcast_to(x, (2, 3, 4)), (5, 2, 3, 4)),
     ["broadcast_to"]),
    ("broadcast beforehand", lambda x: np.broadcast_to(x, (2, 3, 4)) * np.ones((2, 3, 4), x.dtype),
     ["broadcast_to"]),
    ("broadcast operand", lambda x: np.broadcast_to(x[0], (3, 4)) * x, ["getitem", "multiply"]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("f", "left"), [row[1:] for row in EXACT_REWRITES],
                         ids=[row[0] for row in EXACT_REWRITES])  # fmt: skip
def test_exact_rewrites(f, left, dtype):
    with np.errstate(all="ignore"):
        full = FULL.astype(dtype)
    x = X.astype(dtype)
    graph = check_exact(record(f, x), [x], [full])
    assert sorted(names(graph)) == sorted(left)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + 0.0,
        lambda x: 0.0 + x,
        lambda x: x - -0.0,
        lambda x: x * 0.0,
        lambda x: x - x,
        lambda x: x / 3,
        lambda x: x / 0.0,
        lambda x: x / 5e-324,
        lambda x: x**3,
        lambda x: ~(x <= 0),
        lambda x: x.sum(axis=()),
        lambda x: x[:, :1].sum(axis=1),
        lambda x: x[::-1],
        lambda x: x * np.float64(1),
        lambda x: np.where(x > 0, x * (x >= 0), 0.0),
        lambda x: np.where(x > 0, x, np.float64(0)),
        lambda x: (x > 0) * 1,
        lambda x: x[0] ** np.broadcast_to(x[0], (3, 4)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_only_looks_like_algebra(f, dtype):
    with np.errstate(all="ignore"):
        full = FULL.astype(dtype)
    x = X.astype(dtype)
    check_exact(record(f, x), [x], [full])


@pytest.mark.parametrize(
    "start", ["bool", "int8", "int32", "int64", "float16", "float32", "float64"]
)
def test_casts_that_lose_nothing(start):
    x = np.array([0, 1, 3, -7, 100]).astype(start)
    far = np.array([127, -128, 0, 1, 2]).astype(start)
    if start == "int64":
        far[:2] = 2**62 + 1, -(2**53) - 1
    middles = ("int32", "int64", "float32", "float64", "complex64")
    ends = ("int8", "int64", "float32", "float64", "complex128")

    def f(x):
        with np.errstate(all="ignore"):
            return [
                x.astype(m).astype(e) for m in middles for e in ends if m[0] != "c" or e[0] == "c"
            ]

    check_exact(record(f, x), [x], [far])


def test_a_mask_of_another_dtype_is_no_mask():
    narrow, wide = X.astype("float32"), X

    def f(x, y):
        return np.where(x > 0, np.where(x > 0, 0.1, x), y), np.where(x > 0, x * (x > 0), y)

    check_exact(record(f, narrow, wide), [narrow, wide], [-narrow, wide])


def test_integers():
    x = np.array([-128, -1, 0, 1, 127], np.int8)

    def f(x):
        return (
            x + 0,
            x - 0,
            x * 1,
            x * -1,
            np.negative(-x),
            -(x * 3),
            (-x) * np.int8(-128),
            x / 2,
            x**2,
            x // 1,
        )

    check_exact(record(f, x), [x])
    u = np.array([0, 1, 255], np.uint8)
    check_exact(
        record(lambda x: (x + 0, np.negative(-x), 3.0 * -x, (-x) * np.uint8(3), x / 4), u), [u]
    )


def test_the_gradient_of_relu_is_one_choice():
    def f(x):
        return tw.grad(lambda x: np.sum(np.sin(np.maximum(x, 0))))(x)

    graph = check_exact(record(f, X), [X], [FULL])
    assert names(graph) == ["maximum", "cos", "less_equal", "where"]


# ---- stable values --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_stable_values(name, dtype):
    f = SPELLINGS[name][0]
    x = np.random.default_rng(2).uniform(-2, 2, (4, 4)).astype(dtype)
    graph = record(derivatives(f), x)
    close = 1e-12 if dtype == "float64" else 2e-5
    for each in (stable_values(graph), optimise(graph)):
        with np.errstate(all="ignore"):
            verify(each)
        for point in (x, -0.5 * x):
            for got, want in zip(run(each, [point]), run(graph, [point]), strict=True):
                assert (np.shape(got), got.dtype) == (np.shape(want), want.dtype)
                np.testing.assert_allclose(got, want, rtol=close, atol=close)


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("x", [-1e6, -1000.0, -40.0, 1.0, 40.0, 1000.0, 1e6])
def test_values_far_out(name, x):
    f, first, _ = EXTREMES[name]
    value, gradient = run(optimise(record(tw.value_and_grad(f), 0.5)), [x])
    assert np.isfinite(value)
    np.testing.assert_allclose(gradient, first(x), rtol=1e-12, atol=1e-15)


def test_value_and_gradient_share_the_stable_form():
    def loss(x):
        return np.sum(1 / (1 + np.exp(-x)))

    graph = optimise(record(tw.value_and_grad(loss), np.ones((4, 3), "float32")))
    assert names(graph) == ["negative", "sigmoid", "sum", "sigmoid", "multiply"]

    def other(x):
        return np.sum(np.tanh(x) * np.log1p(np.exp(x)))

    graph = optimise(record(tw.value_and_grad(other), X))
    assert "exp" not in names(graph)
    assert names(graph).count("softplus") == names(graph).count("sigmoid") == 1


def test_what_is_needed_otherwise_stays():
    def f(x):
        e = np.exp(-x)
        return 1 / (1 + e), e

    assert sorted(names(optimise(record(f, X)))) == ["exp", "negative", "sigmoid"]


def test_what_python_branched_on_stays_as_it_is_spelled():
    def f(x):
        p = 1 / (1 + np.exp(-x))
        q = 1 / (1 + np.exp(-2 * x))
        return np.sum(q) if np.all(p > 0.25) else p

    graph = optimise(record(f, np.ones(3)))
    assert "sigmoid" in names(graph)
    assert "divide" in names(graph)
    for point in (np.ones(3), np.full(3, -2.0)):
        assert isinstance(run(graph, [point]), GuardChanged) == (point[0] < 0)


def test_stable_nodes_stand_at_the_users_line():
    graph = optimise(record(lambda x: np.log2(1 + np.exp(x)), X))
    here = test_stable_nodes_stand_at_the_users_line.__code__.co_filename
    assert {node.origin[0].co_filename for node in graph.nodes} == {here}
