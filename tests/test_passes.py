"""Optimiser passes: each keeps every bit of the results, and does what it is for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.graphs import SPECIAL, X, assert_same_bits, check_exact, derivatives, names, record, run
from tests.op_cases import CASES
from tests.programs.generate import programs
from thalweg.array import Array
from thalweg.graph.node import Node, input_node
from thalweg.optimise.cse import merge_equal
from thalweg.optimise.dce import drop_unused
from thalweg.optimise.fold import fold
from thalweg.optimise.pipeline import EXACT, optimise

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


@pytest.mark.parametrize("case", CASES[::7], ids=lambda case: case.id)
def test_op_cases(case):
    with np.errstate(all="ignore"):
        args, others = case.operands(0), case.operands(1)
        graph = record(derivatives(case.call), *args)
        # Elsewhere a shape may be another one, or the dtype: real eigenvectors where they can be.
        elsewhere = [others] if case.batched and case.op != "eig" else []
        check_exact(graph, args, *elsewhere)


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
