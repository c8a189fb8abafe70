"""`tw.compile`: in-place arguments, how records grow, what is told of them, threads."""

from __future__ import annotations

import copy
import functools
import gc
import threading
import weakref

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DtypeError, RecompilationWarning, ShapeError, TreeError
from thalweg.tree import flatten

numpy_compile = functools.partial(tw.compile, backend="numpy")


@pytest.fixture(params=["numpy", "native"])
def compiling(request):
    """`tw.compile` for each backend."""
    return functools.partial(tw.compile, backend=request.param)


X = np.linspace(-2.0, 2.0, 12).reshape(3, 4)


# ---- in place ---------------------------------------------------------------------------------


def sgd(w, state, x, y):
    loss, gradient = tw.value_and_grad(lambda w: np.mean((x @ w["W"] + w["b"] - y) ** 2))(w)
    state = {k: 0.9 * state[k] + gradient[k] for k in state}
    return {k: w[k] - 0.1 * state[k] for k in w}, state, loss


def test_a_training_step_in_place(compiling):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 3)), rng.standard_normal(8)
    w = {"W": rng.standard_normal(3), "b": np.zeros(())}
    state = {"W": np.zeros(3), "b": np.zeros(())}
    step = compiling(sgd, inplace=(0, 1))
    wanted_w, wanted_state = copy.deepcopy((w, state))
    kept = dict(w)
    for _ in range(5):
        wanted_w, wanted_state, wanted_loss = sgd(wanted_w, wanted_state, x, y)
        w, state, loss = step(w, state, x, y)
        assert w["W"] is kept["W"]
        assert w["b"] is kept["b"]
        np.testing.assert_allclose(w["W"], wanted_w["W"], rtol=1e-12)
        np.testing.assert_allclose(loss, wanted_loss, rtol=1e-12)
    assert len(step.records) == 1


def test_one_argument_in_place_in_every_form(compiling):
    for f, argument in (
        (lambda x: x * 2, X.copy()),
        (lambda x: (x * 2, np.sum(x)), X.copy()),
        (lambda x: (x[1], x[0]), (X.copy(), X + 1)),
        (lambda x: ((x[1], x[0]), 1.0), (X.copy(), X + 1)),
        (lambda x: [x * 0 + 1], X.copy()),
        (lambda x: np.zeros((3, 4)), X.copy()),
    ):
        compiled = compiling(f, inplace=0)
        for _ in range(2):
            wanted = flatten(copy.deepcopy(f(copy.deepcopy(argument))))[0]
            got = flatten(compiled(argument))[0]
            for a, b, given in zip(got, wanted, flatten(argument)[0], strict=False):
                assert a is given
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("f", "error"),
    [
        (lambda x: x[0], ShapeError),
        (lambda x: x.astype(np.float32), DtypeError),
        (lambda x: {"a": x}, TreeError),
        (lambda x: ([x], x), TreeError),
    ],
)
def test_results_that_do_not_fit_their_memory(f, error, compiling):
    x = X.copy()
    with pytest.raises(error, match=r"argument.*\n.*argument: .*\n.*result:|must return"):
        compiling(f, inplace=0)(x)
    np.testing.assert_array_equal(x, X)


def test_memory_that_cannot_be_taken(compiling):
    def f(a, b):
        return a + b, b

    step = compiling(f, inplace=(0, 1))
    locked = X.copy()
    locked.flags.writeable = False
    both = np.zeros((2, 3, 4))
    for a, b, words in (
        (locked, X.copy(), "argument 0 is read-only"),
        (X.copy(), X.T.copy().T, "argument 1.*C order"),
        (both[0], both[0], "share memory"),
        (both[0], both.reshape(-1)[6:18].reshape(3, 4), "share memory"),
        (2.0, X.copy(), "float, which has no memory"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            step(a, b)
    with pytest.raises(TypeError, match="by position"):
        step(X.copy(), b=X.copy())
    step(both[0], both[1])
    nested = compiling(lambda a, p, c: (a + c, p["w"]), inplace=0)
    with pytest.raises(ValueError, match=r"argument 0 and argument 1\['w'\] share memory"):
        nested(both[0], {"b": X, "w": both[0]}, X)
    with pytest.raises(ValueError, match="argument 0 and a keyword argument share memory"):
        nested(both[0], {"b": X, "w": X}, c=both[0])
    reads = compiling(lambda a, b: a + b, inplace=0)
    with pytest.raises(ValueError, match="share memory"):
        reads(both[0], both[:, 0])


def test_nothing_is_written_when_a_guard_answers_otherwise(compiling):
    calls = []

    def f(x, sign):
        calls.append(sign)
        if np.sum(x) > 0:
            raise ValueError("positive")
        return x * 2

    step = compiling(f, inplace=0)
    x = -np.ones(3)
    step(x, 1)
    y = np.ones(3)
    with pytest.raises(ValueError, match="positive"):
        step(y, 1)
    np.testing.assert_array_equal(y, np.ones(3))


def both_ways(f, inplace, *arguments):
    """The results of `f`, and of two calls of it compiled for each backend, in place."""
    wanted = f(*map(np.copy, arguments))
    for backend in ("numpy", "native"):
        compiled = tw.compile(f, backend=backend, inplace=inplace)
        for _ in range(2):
            given = list(map(np.copy, arguments))
            results = compiled(*given)
            for position, result in zip(inplace, results, strict=False):
                assert result is given[position]
            for result, want in zip(results, wanted, strict=True):
                np.testing.assert_array_equal(result, want)
                assert isinstance(result, np.generic) or result.flags.writeable


@pytest.mark.parametrize("n", [5, 40_000])
@pytest.mark.parametrize("dtype", ["int64", "float32", "complex128", "float16"])
@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: (b * 2, np.sum(a)),
        lambda a, b: (b, np.max(np.real(a)), np.sum(b)),
        lambda a, b: (b * 3, a, np.sum(a)),
        lambda a, b: (b, a, np.flip(a)),
        lambda a, b: (a * 0 + 1, a[::-1] * 2, np.sum(a)),
    ],
)
def test_what_an_argument_held_is_read_before_it_is_written(f, dtype, n):
    a = (np.arange(n) % 7 - 3).astype(dtype)
    b = (np.arange(n) % 3).astype(dtype)
    both_ways(f, (0,), a, b)
    if len(f(a, b)) == 3 and np.shape(f(a, b)[1]):
        both_ways(f, (0, 1), a, b)


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_that_other_chunks_still_read_are_not_written(threads):
    """Of two joined halves a chunk writes two parts, which are not the rows that it reads."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(-9, 9, (40_000, 4)).astype(float), rng.integers(-9, 9, (20_000, 4)) + 0.0

    def f(x, y):
        s = np.sum(x[::2], axis=1)[:, None]
        return np.concatenate([y * s, y + s])

    wanted = f(x, y)
    np.testing.assert_array_equal(tw.compile(f, inplace=0, threads=threads)(x, y), wanted)


def test_results_that_turn_out_to_be_constants():
    def f(x):
        return np.where(x > 0, 1.0, 1.0), np.logical_and(x > 0, False), x + 1

    both_ways(f, (0,), X)
    compiled = tw.compile(f)
    for _ in range(2):
        ones, no, _ = compiled(X)
        ones += 1
        no |= True
        assert ones.min() == 2
        assert no.all()


def test_steps_of_numpy_read_an_argument_before_it_is_written():
    x = np.array([4, 6, 0, 2])
    both_ways(lambda x: (x | 1, x[x > 0]), (0,), x)
    both_ways(lambda x: (x * 0, np.sort(x), np.median(x)), (0,), x)
    both_ways(lambda x, y: (y + 1, x * 2, np.nextafter(x, y)), (0, 1), X, X[::-1])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x * 2, x[x > 0]),
        lambda x: (x * 2, np.sum(x)) if np.median(x) > 0 else (x + 1, np.min(x)),
    ],
)
def test_what_a_step_of_numpy_decides_is_known_before_anything_is_written(f, compiling):
    step = compiling(f, inplace=0)
    for start in (-1, -1, -9, -2, -9, -2, -3):
        x = start + np.arange(6.0)
        new, value = f(x)
        got, found = step(x)
        assert got is x
        np.testing.assert_array_equal(got, new)
        np.testing.assert_array_equal(found, value)


# ---- how it grows -------------------------------------------------------------------------------


def test_a_thousand_shapes_stay_bounded():
    compiled = numpy_compile(lambda x: np.tanh(x) * 2)

    def run():
        for n in range(1, 1001):
            compiled(np.ones(n))

    with pytest.warns(RecompilationWarning, match=r"shape of x.*\n.*Pad"):
        run()
    assert len(compiled.records) == 64
    assert "2 records" not in repr(compiled)
    np.testing.assert_allclose(compiled(np.ones(1000)), np.tanh(np.ones(1000)) * 2)


def test_a_record_keeps_no_values(compiling):
    seen = []

    def f(x):
        y = np.exp(x)
        seen.append(weakref.ref(y._node))
        return y * 2

    compiled = compiling(f)
    compiled(np.ones(1000))
    gc.collect()
    assert seen[0]() is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f, k: f(np.ones(k + 1)), "another shape of x"),
        (lambda f, k: f(X.astype(np.float32), float(k)), "another value of r: 7.0"),
        (lambda f, k: f(X, f"name{k}"), "another value of r"),
        (lambda f, k: f(X, flag=None, **{f"k{k}": 1.0}), None),
    ],
)
def test_the_warning_names_the_cause(call, words):
    def f(x, r=1.0, **options):
        return x * (1.0 if isinstance(r, str) else r)

    compiled = numpy_compile(f)

    def run():
        for k in range(20):
            call(compiled, k)

    with pytest.warns(RecompilationWarning) as caught:
        run()
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "f was compiled" in text
    assert words is None or words.split(":")[0] in text
    assert caught[0].filename == __file__


def test_no_warning_where_records_are_used():
    compiled = numpy_compile(lambda x: 2 * x)
    for n in range(1, 12):
        for _ in range(20):
            compiled(np.ones(n))


# ---- explain ----------------------------------------------------------------------------------


def test_explain_shows_the_big_node(compiling):
    def neuron(w, x):
        return 1 / (1 + np.exp(-(w @ x)))

    compiled = compiling(neuron)
    compiled(X[0], X[1])
    text = compiled.explain()
    assert "sigmoid" in text
    assert "forward 4 gates → 1, backward 4 products → 1" in text
    assert "w: float64[4]" in text
    assert "the first call" in text


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("softmax", lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)),
        ("sigmoid", lambda x: np.exp(x) / (1 + np.exp(x))),
        ("sigmoid of a − b", lambda x: np.exp(x) / (np.exp(x) + np.exp(x[::-1]))),
    ],
)
def test_explain_of_spellings_whose_values_count_under_grad(compiling, name, spelled):
    """A record keeps no values: `explain` of every softmax ended in NumPy's ValueError."""
    compiled = compiling(lambda x: np.sum(spelled(x) ** 2))
    compiled(X)
    assert f"group: {name} = " in compiled.explain()


def test_explain_says_what_is_alike_once(compiling):
    """The unrolled steps of a loop filled pages."""

    def loop(x):
        for _ in range(20):
            x = np.max(1 / (1 + np.exp(-x))) * x + 1
        return x

    compiled = compiling(loop)
    compiled(X)
    text = compiled.explain()
    assert text.count("group ×20: sigmoid = ") == 1
    assert len(text.splitlines()) < 20


# ---- threads ----------------------------------------------------------------------------------


def test_eight_threads_call_one_function(compiling):
    compiled = compiling(lambda x, k: np.tanh(x) * k if np.sum(x) > 0 else x - k)
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            x, k = rng.standard_normal(rng.integers(1, 4)), float(rng.integers(3))
            wanted = compiled.__wrapped__(x, k)
            if not np.allclose(compiled(x, k), wanted, rtol=1e-14, atol=1e-14):
                failures.append((x, k))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(compiled.records) == 6


def test_a_result_that_depends_on_no_argument_is_recorded_once():
    """There is nothing to run: neither kernel nor step."""
    f = tw.compile(tw.hessian(lambda x: np.sum((x - 1) ** 2)))
    for x in np.ones((5, 3)):
        np.testing.assert_array_equal(f(x), 2 * np.eye(3))
    assert [str(record.cause.text) for record in f.records] == ["the first call"]
