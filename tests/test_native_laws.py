"""The law of two executors: native code gives what the interpreter gives.

Every row of the op table, its gradient and the gradient of that, in float64 and float32; again in
chunks of one row, by one and by two threads, which must agree to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import thalweg as tw
from tests.laws import _direction, _on_variables
from tests.op_cases import CASES
from tests.programs.generate import programs
from thalweg.errors import NoRuleError
from thalweg.execute.executor import Interpreter
from thalweg.execute.native import assembly, loops, tasks
from thalweg.execute.native.program import build
from thalweg.graph.graph import Graph, between
from thalweg.optimise.pipeline import optimise
from thalweg.tracing import run
from thalweg.tree import flatten, tree_map

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
#: Each 36th row in the quick set, all of them in the whole one.
ROWS = [
    pytest.param(case, id=case.id, marks=() if i % 36 == 0 else pytest.mark.slow)
    for i, case in enumerate(CASES)
]


def _cast(args: Any, dtype: Any) -> Any:
    return tree_map(
        lambda x: np.asarray(x).astype(dtype)[()] if np.asarray(x).dtype == np.float64 else x, args
    )


def _record(f: Any, variables: tuple[Any, ...]) -> Graph:
    with np.errstate(all="ignore"):
        traced = run(f, variables, {}, range(len(variables)), copy=True)
        return optimise(between(traced.inputs, traced.outputs, traced.guards))


def _coarsest(graph: Graph) -> float:
    """The largest rounding error in a graph: float32 may lead to a float64 result."""
    nodes = [x for x in (*graph.inputs, *graph.nodes) if not x.primitive.outputs]
    return max([float(np.finfo(x.dtype).eps) for x in nodes if x.dtype.kind in "fc"], default=0.0)


def _assert_same(got: Any, want: Any, coarsest: float = 0.0) -> None:
    a, b = np.asarray(got), np.asarray(want)
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    if a.dtype.kind not in "fc":
        np.testing.assert_array_equal(a, b)
        return
    # Sums may be in another order: the error is that of the largest numbers that take part, of
    # which operands near 1 are some.
    finite = np.abs(b[np.isfinite(b)])
    eps = max(np.finfo(a.dtype).eps, coarsest)
    scale = finite.max(initial=1.0)
    np.testing.assert_allclose(a, b, rtol=1000 * eps, atol=200 * eps * scale)


def _check(f: Any, variables: tuple[Any, ...], threads: int = 1) -> tuple[Any, ...]:
    graph = _record(f, variables)
    operands = [node.value for node in graph.inputs]
    with np.errstate(all="ignore"):
        native = build(graph, inplace={}, threads=threads).run(operands)
        expected = Interpreter(graph.without_values()).run(operands)
    for got, want in zip(native, expected, strict=True):
        _assert_same(got, want, _coarsest(graph))
    return native


def _orders(case: Any, dtype: Any) -> tuple[list[Any], tuple[Any, ...]]:
    """The call, its gradient and the gradient of that, as functions of the floating operands."""
    args = _cast(case.operands(), dtype)
    call, variables = _on_variables(case, args)
    with np.errstate(all="ignore"):
        try:
            out, _ = tw.vjp(call, *variables)
        except TypeError:  # a LAPACK routine that float32 does not have, in NumPy too
            pytest.skip(f"{case.op} has no {np.dtype(dtype)}")
    rng = np.random.default_rng(3)
    c, d = _direction(rng, out), _direction(rng, variables)

    def gradient(*inner: Any) -> Any:
        return tw.vjp(call, *inner)[1](c)

    def second(*inner: Any) -> Any:
        return tw.vjp(gradient, *inner)[1](d)

    return [call, gradient, second][: case.order + 1], variables


@DTYPES
@pytest.mark.parametrize("case", ROWS)
def test_native_is_interpreter(case, dtype):
    functions, variables = _orders(case, dtype)
    for f in functions:
        _check(f, variables)


def _reversed(x: Any) -> Any:
    return x[(slice(None, None, -1),) * np.ndim(x)]


@pytest.mark.parametrize("view", [_reversed, np.transpose], ids=["reversed", "transposed"])
@pytest.mark.parametrize("case", ROWS)
def test_operands_that_are_views(case, view):
    """Native code sees a view's strides where an operation takes what another one has turned."""
    functions, variables = _orders(case, np.float64)
    stored = tree_map(lambda x: np.array(view(x)) if np.ndim(x) else x, variables)
    for f in functions[:2]:

        def turned(*inner: Any, f: Any = f) -> Any:
            return f(*tree_map(lambda x: view(x) if np.ndim(x) else x, inner))

        try:
            _check(turned, stored)
        except NoRuleError as refusal:  # np.ravel(order="K") of an array with gaps
            if "with gaps" not in str(refusal):
                raise


@pytest.fixture
def rows_one_by_one(monkeypatch):
    """Chunks of one row, strips of one vector, threads for everything: edges everywhere."""
    monkeypatch.setattr(tasks, "SMALL", -1.0)
    monkeypatch.setattr(tasks, "CHUNK", 1e-9)
    monkeypatch.setattr(tasks, "STEPS", tasks.Steps(1, 1, 1))
    monkeypatch.setattr(assembly, "WORTH_A_THREAD", -1.0)
    monkeypatch.setattr(loops, "STRIP", 1)


@pytest.mark.parametrize("case", ROWS[::3])
def test_chunks_and_threads(case, rows_one_by_one):
    functions, variables = _orders(case, np.float64)
    for f in functions[:2]:
        one = _check(f, variables, threads=1)
        two = _check(f, variables, threads=2)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


def _same_programs(program: Any) -> None:
    f, inputs = program.function(), program.inputs

    def gradient(*inner: Any) -> Any:
        out, pull = tw.vjp(f, *inner)
        return pull(tree_map(np.ones_like, out))

    _check(f, inputs)
    _check(gradient, inputs)
    if sum(np.size(x) for x in flatten(inputs)[0]) <= 12:
        _check(lambda *inner: tw.vjp(gradient, *inner)[1](inner), inputs)


QUICK = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@QUICK
@given(programs())
def test_random_programs_quick(program):
    _same_programs(program)


@pytest.mark.slow
@settings(QUICK, max_examples=2000)
@given(programs())
def test_random_programs(program):
    _same_programs(program)


def _same_calls(program: Any) -> None:
    """A function that is compiled once gives NumPy's results for other values, in place too."""
    f, inputs = program.function(), program.inputs
    rng = np.random.default_rng(0)
    calls = [tuple(s * x + t * rng.uniform(-1, 1, np.shape(x)) for x in inputs)
             for s, t in ((1, 0), (-1, 0), (0, 1), (0.5, 0.3))]  # fmt: skip
    compiled = tw.compile(f)
    places = [i for i, (x, y) in enumerate(zip(inputs, f(*inputs), strict=False))
              if isinstance(x, np.ndarray) and np.shape(x) == np.shape(y)]  # fmt: skip
    places = places if places == list(range(len(places))) else []
    written = tw.compile(f, inplace=places)
    for values in calls:
        with np.errstate(all="ignore"):
            try:
                want = f(*values)
            except np.linalg.LinAlgError:
                continue
            found = [compiled(*values), written(*map(np.array, values))]
        for got in found:
            for a, b in zip(got, want, strict=True):
                _assert_same(a, b)


@QUICK
@given(programs())
def test_other_values_quick(program):
    _same_calls(program)


@pytest.mark.slow
@settings(QUICK, max_examples=300)
@given(programs())
def test_other_values(program):
    _same_calls(program)


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e308, -1e308, 0.5, 2.0]


NEED_AN_AXIS = [lambda x: x[::-1], lambda x: np.max(x, axis=0)]


@DTYPES
@pytest.mark.parametrize(
    "f",
    [np.exp, np.log, np.tanh, np.sqrt, np.abs, np.sign, np.log1p, np.expm1, np.sin, np.arctan,
     np.square, np.negative, lambda x: 1 / x, lambda x: np.maximum(x, 0), lambda x: x * 0,
     lambda x: np.where(x > 0, x, -x), np.floor, np.isnan, np.max, np.sum, np.min, *NEED_AN_AXIS],
)  # fmt: skip
def test_special_values(f, dtype):
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL).astype(dtype)
    for value in (x, np.repeat(x, 9)[::3], x[:1], *(() if f in NEED_AN_AXIS else (x[0],))):
        graph = _record(f, (value,))
        with np.errstate(all="ignore"):
            (got,) = build(graph, inplace={}, threads=1).run([value])
            (want,) = Interpreter(graph.without_values()).run([value])
        _assert_same(got, want)
        if np.asarray(want).dtype.kind == "f":
            assert np.all((np.signbit(got) == np.signbit(want)) | np.isnan(want))


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("f", [np.exp, lambda x: np.max(x, axis=()), lambda x: x.T])
def test_one_result_several_times(f, count):
    x = np.arange(6.0).reshape(2, 3)
    results = _check(lambda v: tuple(f(v) for _ in range(count)), (x,))
    for i, a in enumerate(results):
        assert not any(np.shares_memory(a, b) for b in (*results[:i], x))
