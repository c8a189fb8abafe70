"""Python control flow on values under `tw.compile`: always the function's own result."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import RecompilationWarning
from thalweg.tree import flatten

COUNT = 1000


@pytest.fixture(params=["numpy", "native"])
def compiling(request):
    """`tw.compile` for each backend."""
    return functools.partial(tw.compile, backend=request.param)


pytestmark = pytest.mark.filterwarnings(
    "ignore::thalweg.errors.RecompilationWarning", "ignore::RuntimeWarning"
)


def collatz(x):
    """An if in a loop whose count depends on the data."""
    steps = 0
    while np.abs(x[0]) > 0.5 and steps < 6:
        x = x * 0.5 if x[1] > x[0] else x - np.sign(x) * 0.3
        steps += 1
    return x, steps


def newton(a):
    x = np.maximum(a, 1.0)
    for _ in range(20):
        new = 0.5 * (x + a / x)
        if np.max(np.abs(new - x)) < 1e-3:
            return new
        x = new
    return x


def pick(x):
    """Indices, sorting and masks: numbers of the data as positions."""
    k = int(np.argmax(x))
    order = sorted(range(2), key=lambda i: x[i])
    positive = x[x > 0]
    if len(positive) == 0:
        return x[k] * 0.0
    return x[k] * positive.mean() + x[order[0]] / positive.size


def early(x):
    total = 0.0
    for item in x:
        if item < -1:
            break
        total = total + item**2
    return total


def shapes(x):
    values, counts = np.unique(np.round(x), return_counts=True)
    return values * counts, np.argwhere(x > 0).shape[0] * x


def clipped(x):
    return x if np.linalg.norm(x) <= 1 else x / np.linalg.norm(x)


def chained(x):
    if -1 < np.sum(x) < 1:
        return np.sin(x)
    return np.cos(x) if np.any(x > 1) or not np.all(x > -2) else np.tan(x)


FUNCTIONS = {
    "collatz": collatz,
    "newton": lambda x: newton(np.abs(x) + 0.1),
    "pick": pick,
    "early": early,
    "shapes": shapes,
    "clipped": clipped,
    "chained": chained,
    "gradient": tw.grad(lambda x: np.sum(collatz(x)[0] ** 2)),
    "gradient_pick": tw.grad(pick),
    "minimum": lambda x: min(x) + max(x[0], 0.0),
    "assigned": lambda x: _assigned(x),
}


def _assigned(x):
    y = x * 1.0
    y[x > 0] = x[x > 0] * 2
    if y[0] > 1:
        y[1:] += y[0]
    return y


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_eager_result_on_random_inputs(name, compiling):
    f = FUNCTIONS[name]
    compiled = compiling(f)
    rng = np.random.default_rng(0)
    for _ in range(COUNT if name in ("collatz", "pick") else 200):
        x = np.round(rng.standard_normal(3) * 1.5, 1)
        wanted, got = (flatten(g(x.copy()))[0] for g in (f, compiled))
        for a, b in zip(got, wanted, strict=True):
            assert np.shape(a) == np.shape(b)
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)
    assert 1 < len(compiled.records) <= 64


def test_a_branch_is_kept_beside_the_others(compiling):
    traced = []

    def f(x):
        traced.append(1)
        return x * 2 if np.sum(x) > 0 else x - 1

    compiled = compiling(f)
    for _ in range(5):
        for x in (np.ones(3), -np.ones(3)):
            np.testing.assert_array_equal(compiled(x), f(x))
            traced.pop()
    assert len(traced) == 2
    assert len(compiled.records) == 2
    text = compiled.explain()
    assert "answered otherwise" in text
    assert f"{__file__}:" in text
    assert "answered True" in text
    assert "answered False" in text


def test_an_answer_that_is_a_result_too(compiling):
    def f(x):
        positive = np.sum(x) > 0
        return (x * 2 if positive else x * 3), np.equal(positive, True), positive

    compiled, rng = compiling(f), np.random.default_rng(0)
    for k in range(20):
        x = rng.uniform(0.1, 1.0, 3) * (1 if k % 3 else -1)
        for got, want in zip(compiled(x), f(x), strict=True):
            np.testing.assert_array_equal(got, want)
    assert len(compiled.records) == 2
    assert min(record.calls for record in compiled.records) >= 1


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_an_array_of_one_entry_answers_too(shape, compiling):
    def f(x, i):
        y = x * 2 if x > 0 else x * 3
        return (y + 1 if i == 2 else y), np.arange(3.0)[np.asarray(i)] if np.all(i < 3) else y

    compiled = compiling(f)
    for value, i in ((1, 0), (1, 1), (-1, 1), (-2, 2), (1, 2), (-1, 5), (2, 1)):
        x, place = np.full(shape, float(value)), np.full(shape, i)
        for got, want in zip(compiled(x, place), f(x, place), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2,)])
def test_an_index_out_of_bounds_is_an_error(shape, compiling):
    compiled = compiling(lambda x, i: x[i])
    for i in (0, 2, -3):
        np.testing.assert_array_equal(compiled(np.arange(3.0), np.full(shape, i)), i % 3)
    for i in (3, -4, 10**12):
        with pytest.raises(IndexError):
            compiled(np.arange(3.0), np.full(shape, i))


def test_nan_answers_are_their_own_branch(compiling):
    compiled = compiling(lambda x: x * 2 if x[0] > 0 else -x)
    for x in (np.ones(2), np.full(2, np.nan), -np.ones(2), np.ones(2)):
        np.testing.assert_array_equal(compiled(x), x * 2 if x[0] > 0 else -x)
    assert len(compiled.records) == 2


def test_int_and_bool_arrays_answer_too(compiling):
    def f(n, flag, x):
        for _ in range(n):
            x = x * 2
        return x if flag else -x

    compiled = compiling(f)
    for n in (np.int64(1), np.int64(3), np.int64(1)):
        for flag in (np.True_, np.False_):
            np.testing.assert_array_equal(compiled(n, flag, np.ones(2)), f(n, flag, np.ones(2)))
    assert len(compiled.records) == 4


def test_python_floats_that_are_compared(compiling):
    compiled = compiling(lambda x, r: x * r if r > 0.5 else x / r)
    for r in (0.1, 0.2, 0.6, 0.7, 0.1):
        np.testing.assert_array_equal(compiled(np.ones(2), r), r if r > 0.5 else 1 / r)
    assert len(compiled.records) == 2


def test_a_narrow_branch_makes_floats_static(compiling):
    def f(x, r):
        return x * r if np.sum(x) > 0 else x.astype(np.float32) * r

    compiled = compiling(f)
    x = np.ones(2)
    for r in (0.1, 0.2, 0.1):
        for sign in (1, -1):
            got, wanted = compiled(sign * x, r), f(sign * x, r)
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)


def test_deterministic_branches_inside_of_checks(compiling):
    """Answers that operations ask for themselves are guards as well."""
    compiled = compiling(lambda x, w: np.average(x, weights=w))
    x = np.arange(3.0)
    assert compiled(x, np.ones(3)) == 1.0
    with pytest.raises(ZeroDivisionError):
        compiled(x, np.zeros(3))
    assert compiled(x, np.array([0.0, 0.0, 2.0])) == 2.0


def test_the_line_of_a_branch_is_named(compiling):
    def f(x):
        while np.sum(x) > 1:
            x = x * 0.5
        return x

    compiled = compiling(f)

    def run():
        for k in range(12):
            compiled(np.full(2, 2.0**k))

    with pytest.warns(RecompilationWarning, match=r"test_compile_guards.py:\d+.*\n.*np.where"):
        run()


def test_many_branches_stay_bounded(compiling):
    def f(x):
        n = 0
        while n < x[0]:
            n += 1
        return x * n

    compiled = compiling(f)
    for k in [*range(70), 3, 50, 69]:
        np.testing.assert_array_equal(compiled(np.full(2, float(k))), np.full(2, float(k * k)))
    assert len(compiled.records) == 64
