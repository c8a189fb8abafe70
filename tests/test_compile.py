"""`tw.compile`: signatures, results, in-place arguments, what is refused, what it tells."""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
import inspect
import pickle
import random
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DtypeError, TracingError, TreeError
from thalweg.tree import flatten

numpy_compile = functools.partial(tw.compile, backend="numpy")
ROUNDING = 1e-14


@pytest.fixture(params=["numpy", "native"])
def compiling(request):
    """`tw.compile` for each backend."""
    return functools.partial(tw.compile, backend=request.param)


def assert_same(got: Any, wanted: Any, rtol: float = 0.0) -> None:
    """Same trees, types, dtypes, shapes and values (nan and signed zeros included).

    With `rtol`: to rounding, of which sums give an account in comparison with their terms.
    """
    leaves, structure = flatten(got)
    others, expected = flatten(wanted)
    assert structure == expected
    for a, b in zip(leaves, others, strict=True):
        assert type(a) is type(b)
        if isinstance(b, (np.ndarray, np.generic)):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=rtol, atol=10 * rtol)
            if b.dtype.kind == "f" and not rtol:
                np.testing.assert_array_equal(np.signbit(a), np.signbit(b))
        else:
            assert a == b


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Layer:
    W: np.ndarray
    b: np.ndarray
    name: str = "dense"


def double(x):
    """Twice x."""
    return 2 * x


@numpy_compile
def decorated(x, *, scale=1.0):
    """What it does."""
    return scale * np.tanh(x)


class Model:
    def __init__(self, w):
        self.w = w

    @numpy_compile
    def predict(self, x):
        return x @ self.w


X = np.linspace(-2.0, 2.0, 12).reshape(3, 4)

FUNCTIONS = {
    "elementwise": (lambda x: np.exp(x) / (1 + x**2), (X,)),
    "float32": (lambda x: np.sin(x) * 2 + 1, (X.astype(np.float32),)),
    "integers": (lambda n, x: n * x + n // 2, (np.arange(4), X)),
    "booleans": (lambda m, x: np.where(m, x, -x), (X > 0, X)),
    "complex": (lambda z: np.abs(z) * np.exp(z), (X + 1j * X,)),
    "scalar": (lambda s: s * s + 1, (np.float64(1.5),)),
    "scalar32": (lambda s, x: s * x, (np.float32(1.5), X)),
    "zero_d": (lambda s: s * 2.0, (np.array(1.5),)),
    "python_float": (lambda x, r: x * r - r, (X, 0.5)),
    "python_float_32": (lambda x, r: x * r, (X.astype(np.float32), 0.5)),
    "python_complex": (lambda x, c: x * c, (X, 0.5j)),
    "python_int": (lambda x, n: x**n, (X, 3)),
    "keyword": (lambda x, axis=0: np.sum(x, axis=axis), (X, 1)),
    "strings": (lambda x, how: x * 2 if how == "twice" else x, (X, "twice")),
    "enum": (lambda x, c: -x if c is Colour.RED else x, (X, Colour.RED)),
    "none": (lambda x, y: x if y is None else x + y, (X * 2, None)),
    "function": (lambda x, g: g(x), (X, np.cos)),
    "tree": (lambda p: {"s": p["a"] * p["b"][0], "l": [p["a"], None]}, ({"a": X, "b": (X, 2.0)},)),
    "dataclass": (lambda p, x: Layer(p.W * 2, p.b + np.sum(x), p.name), (Layer(X, X[0]), X)),
    "constants": (lambda x: (np.arange(3), 1, 2.5, "text", None, Colour.BLUE, np.sum(x)), (X,)),
    "nothing": (lambda: np.arange(3.0), ()),
    "input_back": (lambda x, y: (x, x.T, y, y), (X, X + 1)),
    "gradient": (tw.value_and_grad(lambda w, x: np.mean(np.tanh(x @ w) ** 2)), (X[0], X)),
    "hessian": (tw.hessian(lambda x: np.sum(np.sin(x) * x)), (X[0],)),
    "vmap": (tw.vmap(lambda x: np.sum(x) * x), (X,)),
    "assignment": (lambda x: _assign(x), (X,)),
    "special": (lambda x: (x * 0, 1 / x, np.sqrt(x)), (np.array([0.0, -0.0, np.inf, np.nan, -1]),)),
    "empty": (lambda x: (np.sum(x, axis=0), x * 2), (np.zeros((0, 3)),)),
    "strided": (lambda x: (np.ravel(x), x * 2), (X[::2, ::-1],)),
    "big_endian": (lambda x: x + 1, (X.astype(">f8"),)),
}


def _assign(x):
    y = x * 1.0
    y[0] = 5.0
    y[1] += y[0]
    return y


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_later_calls_give_what_the_function_gives(name, compiling):
    f, args = FUNCTIONS[name]
    compiled = compiling(f)
    rtol = ROUNDING if "native" in repr(compiled) else 0.0
    wanted = f(*copy.deepcopy(args))
    if name == "input_back":  # what comes in goes out as a copy
        wanted = copy.deepcopy(wanted)
    for _ in range(3):
        assert_same(compiled(*copy.deepcopy(args)), wanted, rtol)
    assert len(compiled.records) == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_the_callers_own(name, compiling):
    f, args = FUNCTIONS[name]
    compiled = compiling(f)
    for _ in range(2):
        args = copy.deepcopy(args)
        results = [x for x in flatten(compiled(*args))[0] if isinstance(x, np.ndarray)]
        wanted = compiled(*copy.deepcopy(args))
        given = [x for x in flatten(args)[0] if isinstance(x, np.ndarray)]
        for k, result in enumerate(results):
            assert result.flags.writeable
            for other in (*given, *results[k + 1 :]):
                assert not np.shares_memory(result, other)
            result[...] = 1 if result.dtype.kind != "b" else True
        assert_same(compiled(*args), wanted, ROUNDING)


# ---- signatures ---------------------------------------------------------------------------


def test_one_record_a_signature(compiling):
    compiled = compiling(lambda x, how="a": (x * 2, how))
    for x in (X, X + 1, X.astype(np.float32), X[0], np.float64(1.0), np.float32(1.0), [X, X]):
        if not isinstance(x, list):
            compiled(x)
            compiled(x)
    assert len(compiled.records) == 5
    compiled(X, "b")
    compiled(X, how="b")
    assert len(compiled.records) == 7


@pytest.mark.parametrize(
    "values",
    [
        (1, True, 1.0),
        (0.0, -0.0),
        ("1", b"1", 1),
        (1, 1 + 0j, np.int64(1), np.float64(1.0), np.float32(1.0)),
        (Colour.RED, 1, "RED"),
        (frozenset({1}), frozenset({True}), frozenset({1.0}), frozenset({(1, "a")})),
    ],
)
def test_equal_values_of_different_types_are_not_confused(values, compiling):
    def f(x, k):
        kind = type(k).__name__ if type(k).__module__ != "thalweg.array" else "traced"
        return x * 2, kind

    compiled = compiling(f)
    x = X.astype(np.float32)
    for _ in range(2):
        for value in values:
            kind = compiled(x, value)[1]
            assert kind in (type(value).__name__, "traced")
    assert len(compiled.records) == len(values)


def test_nan_is_itself_as_a_static_number(compiling):
    compiled = compiling(lambda x, r: x * r)
    x = X.astype(np.float32)
    for _ in range(3):
        assert np.isnan(compiled(x, float("nan"))).all()
    assert len(compiled.records) == 1


def test_python_floats_vary_where_nothing_is_narrow():
    compiled = numpy_compile(lambda x, r: x * r)
    for r in np.linspace(0, 1, 20).tolist():
        np.testing.assert_array_equal(compiled(X, r), X * r)
    assert len(compiled.records) == 1
    assert "varies" in compiled.explain()


@pytest.mark.parametrize("where", ["argument", "constant", "cast"])
def test_python_floats_are_static_next_to_float32(where, compiling):
    small = X.astype(np.float32)

    def f(x, r):
        if where == "argument":
            return x * r
        return small * r if where == "constant" else x.astype(np.float32) * r

    compiled = compiling(f)
    x = small if where == "argument" else X
    for r in (0.5, 0.25, 0.5):
        result = compiled(x, r)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, small * r)
    assert len(compiled.records) == 2


def test_a_float_that_is_needed_as_a_number_is_static():
    compiled = numpy_compile(lambda x, r: x * float(r))
    for r in (0.5, 0.25, 0.5):
        np.testing.assert_array_equal(compiled(X, r), X * r)
    assert len(compiled.records) == 2


def test_an_int_that_keeps_changing_varies():
    compiled = numpy_compile(lambda x, n: x / n - n)
    for n in range(1, 30):
        np.testing.assert_array_equal(compiled(X, n), X / n - n)
    assert len(compiled.records) == 1


@pytest.mark.parametrize(
    "f",
    [
        lambda x, n: x * n,  # float32 would be promoted
        lambda x, n: x + n**12,  # a Python int does not overflow
        lambda x, n: np.sum(x.reshape(n, -1), axis=0),
        lambda x, n: sum((x for _ in range(n)), start=0.0 * x),
        lambda x, n: x if isinstance(n, int) else -x,
    ],
)
def test_an_int_stays_static_where_it_would_be_noticed(f):
    x = np.arange(12, dtype=np.float32)
    compiled = numpy_compile(f)
    for n in (1, 2, 3, 4, 6, 12):
        assert_same(compiled(x, n), f(x, n))
    assert len(compiled.records) == 6


def test_large_ints_are_static():
    compiled = numpy_compile(lambda x, n: x / n)
    for n in (1, 2, 3, 4, 2**70, 5):
        np.testing.assert_array_equal(compiled(X, n), X / n)


def test_memory_order_that_a_function_asks_for(compiling):
    compiled = compiling(lambda x: np.ravel(x, order="K"))
    for x in (X, X.T, np.asfortranarray(X), X):
        assert_same(compiled(x), np.ravel(x, order="K"))
    told = compiled.explain()
    assert "float64[3, 4]," in told or "float64[3, 4]\n" in told
    assert "float64[3, 4], not in C order" in told


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ({1, 2}, TreeError, "set.*hashable"),
        (np.array([1, "a"], object), DtypeError, "object"),
        (np.array(["a"]), DtypeError, "params|argument 1"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), DtypeError, "masked"),
        (np.random.default_rng(0), TreeError, "Draw outside"),
        (random.Random(0), TreeError, "Draw outside"),
        (memoryview(b"12"), None, ""),
        (array_like := type("Frame", (), {"__array__": lambda self: X})(), TreeError, "asarray"),
    ],
)
def test_arguments_that_cannot_be_told_apart(value, error, words):
    compiled = numpy_compile(lambda x, params: x * 2)
    if error is None:
        assert_same(compiled(X, value), X * 2)
        return
    with pytest.raises(error, match=words) as caught:
        compiled(X, value)
    notes = "".join(getattr(caught.value, "__notes__", ()))
    assert "argument 1" in str(caught.value) + notes or "params" in str(caught.value)
    with pytest.raises(error):
        compiled(X, params={"a": [value]})
    assert not compiled.records


# ---- as a function -------------------------------------------------------------------------


def test_metadata_and_signature():
    assert decorated.__name__ == "decorated"
    assert decorated.__doc__ == "What it does."
    assert str(inspect.signature(decorated)) == "(x, *, scale=1.0)"
    assert "decorated" in repr(decorated)
    assert "numpy" in repr(decorated)
    assert isinstance(decorated, tw.Compiled)
    assert isinstance(numpy_compile()(double), tw.Compiled)
    assert isinstance(tw.compile(threads=1)(double), tw.Compiled)


def test_methods():
    one, two = Model(np.ones(4)), Model(np.full(4, 2.0))
    for model in (one, two, one):
        assert_same(model.predict(X), X @ model.w)
    assert Model.predict is Model.__dict__["predict"]
    assert_same(Model.predict(two, X), X @ two.w)


def test_pickle_and_copies():
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert copy.deepcopy(decorated) is decorated
    compiled = numpy_compile(double, inplace=())
    again = pickle.loads(pickle.dumps(compiled))
    assert repr(again) == repr(compiled)
    assert_same(again(X), 2 * X)
    local = numpy_compile(lambda x: x + 1)
    assert_same(copy.deepcopy(local)(X), X + 1)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(local)


@pytest.mark.parametrize(
    "options",
    [{"backend": "cuda"}, {"threads": 0}, {"threads": 1.5}, {"inplace": -1}, {"inplace": "x"},
     {"inplace": (0, 0)}],
)  # fmt: skip
def test_options_are_checked(options):
    with pytest.raises((ValueError, TypeError)):
        tw.compile(double, **options)
    with pytest.raises(TypeError, match="needs a function"):
        tw.compile(3)


def test_clear():
    compiled = numpy_compile(double)
    compiled(X)
    compiled.clear()
    assert compiled.records == ()
    assert "nothing is recorded" in compiled.explain()
    assert_same(compiled(X), 2 * X)


# ---- inside of other transforms ------------------------------------------------------------


def test_derivatives_pass_through():
    f = numpy_compile(lambda x: np.sum(np.sin(x) ** 2))
    f(X[0])
    assert_same(tw.grad(f)(X[0]), tw.grad(f.__wrapped__)(X[0]))
    assert_same(tw.hessian(f)(X[0]), tw.hessian(f.__wrapped__)(X[0]))
    assert_same(tw.vmap(f)(X), tw.vmap(f.__wrapped__)(X))
    outer = numpy_compile(lambda x: f(x) * 2)
    for _ in range(2):
        assert outer(X[0]) == f(X[0]) * 2
    closed = numpy_compile(lambda: 2.0)
    assert tw.grad(lambda x: x * closed())(3.0) == 2.0


def test_what_is_closed_over_in_a_trace_is_seen():
    def outer(x):
        inner = numpy_compile(lambda y: x * y)
        return inner(3.0)

    assert tw.grad(outer)(2.0) == 3.0


# ---- what would be frozen -------------------------------------------------------------------


def test_random_numbers_are_refused():
    rng = np.random.default_rng(0)
    for f in (
        lambda x: x + rng.standard_normal(4),
        lambda x: x + np.random.normal(),  # noqa: NPY002
        tw.grad(lambda x: np.sum(x * random.random())),
    ):
        with pytest.raises(TracingError, match="random"):
            numpy_compile(f)(X)
    seeded = numpy_compile(lambda x: x + np.random.default_rng(3).standard_normal(4))
    assert_same(seeded(X), seeded.__wrapped__(X))


def test_text_from_values_is_refused():
    with pytest.raises(TracingError, match="text"):
        numpy_compile(lambda x: (f"{x}", x))(X)
    assert numpy_compile(lambda x: ("label", x * 2))(X)[0] == "label"


def test_arrays_that_are_no_arguments_are_constants():
    w = np.ones(4)
    compiled = numpy_compile(lambda x: x * w)
    compiled(X)
    w[:] = 5.0
    assert_same(compiled(X), X)


# ---- errors -----------------------------------------------------------------------------------


def test_functions_of_no_module():
    space = {}
    exec("import numpy as np\ndef f(x): return np.sin(x) + g(x)\ndef g(x): return x", space)
    assert space["f"].__module__ in (None, "builtins")
    assert_same(tw.compile(space["f"])(X), np.sin(X) + X)


def test_errors_of_the_function_come_through():
    def f(x, r):
        if r > 1:
            raise KeyError("mine")
        return np.linalg.inv(x) * r

    compiled = numpy_compile(f)
    with pytest.raises(KeyError, match="mine") as caught:
        compiled(X, 2.0)
    assert caught.traceback[-1].name == "f"
    assert_same(compiled(np.eye(3), 0.5), np.eye(3) * 0.5)
    with pytest.raises(np.linalg.LinAlgError) as failed:  # from a record: told at the user's line
        compiled(np.zeros((3, 3)), 0.5)
    assert any(entry.name == "f" for entry in failed.traceback)
    with pytest.raises(TypeError, match="positional"):
        compiled(X)
    with pytest.raises(TreeError, match="generator"):
        numpy_compile(lambda x: (v for v in x))(X)


def test_an_interruption_leaves_it_as_it_was():
    strikes = [KeyboardInterrupt]

    def f(x):
        if strikes:
            raise strikes.pop()
        return x * 2

    compiled = numpy_compile(f)
    with pytest.raises(KeyboardInterrupt):
        compiled(X)
    assert not compiled.records
    assert_same(compiled(X), X * 2)
