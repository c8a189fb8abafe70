"""The handle: whatever user code does with an ndarray, it may do with an `Array`."""

from __future__ import annotations

import copy
import inspect
import math
import operator
import pickle
import tracemalloc
from collections.abc import Iterable

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import NoRuleError, TracingError
from thalweg.scipy.linalg import solve_triangular
from thalweg.scipy.special import logsumexp

X = np.arange(12.0).reshape(3, 4) / 7 - 0.83
V = np.array([0.3, -1.2, 2.5])


def inside(f, *args):
    """What `f` gives while it is traced, as it is (handles and all)."""
    kept = []
    tw.vjp(lambda *x: (kept.append(f(*x)), x[0])[1], *args)
    return kept[0]


def value_of(x):
    return x._node.value if isinstance(x, tw.array.Array) else x


# ---- attributes and methods ------------------------------------------------------------------

ATTRIBUTES = ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides", "device")
NOT_THERE = {
    "ctypes", "data", "__buffer__",  # memory
    "__array_interface__", "__array_struct__", "__dlpack__", "__dlpack_device__",  # memory as well
    "__array_namespace__", "__array_finalize__", "__array_wrap__", "__class_getitem__",
    "__delitem__", "__getstate__", "__setstate__", "__reduce__",
}  # fmt: skip


NEWEST = np.lib.NumpyVersion(np.__version__) >= "2.4.0"


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("x", [X, X.T, np.float32(2.0), np.zeros((0, 3)), np.array(1.5)],
                         ids=["matrix", "T", "scalar", "empty", "0-d"])  # fmt: skip
def test_attributes(name, x):
    if not hasattr(x, name):
        pytest.skip(f"NumPy {np.__version__} has no .{name} here")
    assert inside(lambda h: getattr(h, name), x) == getattr(x, name)


@pytest.mark.skipif(not NEWEST, reason="the list of methods is that of the newest NumPy")
def test_nothing_is_missing():
    handle = inside(lambda x: x, X)
    public = {name for name in dir(np.ndarray) if name[0] != "_" or name[:2] == "__"}
    missing = {name for name in public if not hasattr(handle, name)} - NOT_THERE
    assert missing == set()
    extra = {name for name in dir(type(handle)) if not name.startswith("_")} - set(dir(np.ndarray))
    assert extra == set()
    assert not hasattr(handle, "ptp")
    assert not hasattr(handle, "nonsense")


METHODS = {
    "all": lambda x: (x > 0).all(axis=1),
    "any": lambda x: (x > 0).any(),
    "argmax": lambda x: x.argmax(1),
    "argmin": lambda x: x.argmin(axis=0, keepdims=True),
    "argsort": lambda x: x.argsort(axis=0),
    "astype": lambda x: x.astype(np.float32),
    "astype-int": lambda x: x.astype(int),
    "astype-same": lambda x: x.astype("f8"),
    "clip": lambda x: x.clip(-0.1, 0.4),
    "clip-min": lambda x: x.clip(min=0.1),
    "clip-max": lambda x: x.clip(max=0.1),
    "clip-none": lambda x: x.clip(None, 0.2),
    "compress": lambda x: x.compress([True, False, True], axis=0),
    "compress-flat": lambda x: x.compress([0, 1, 1]),
    "conj": lambda x: x.conj(),
    "conjugate": lambda x: (x * 1j).conjugate(),
    "copy": lambda x: x.copy(),
    "cumprod": lambda x: x.cumprod(axis=1),
    "cumsum": lambda x: x.cumsum(),
    "diagonal": lambda x: x.diagonal(1),
    "dot": lambda x: x.dot(np.ones(4)),
    "flatten": lambda x: x.T.flatten(),
    "flat": lambda x: x.flat[3:7],
    "flat-list": lambda x: np.stack(list(x.T.flat)),
    "flat-copy": lambda x: x.flat.copy(),
    "imag": lambda x: x.imag,
    "real": lambda x: (x * (1 + 1j)).real,
    "max": lambda x: x.max(axis=0),
    "mean": lambda x: x.mean(1, keepdims=True),
    "min": lambda x: x.min(),
    "mT": lambda x: x.mT,
    "prod": lambda x: x.prod(axis=(0, 1)),
    "ravel": lambda x: x.T.ravel(),
    "repeat": lambda x: x.repeat(2, axis=1),
    "reshape": lambda x: x.reshape(2, -1),
    "reshape-tuple": lambda x: x.reshape((4, 3)),
    "reshape-int": lambda x: x.reshape(-1),
    "round": lambda x: x.round(1),
    "squeeze": lambda x: x[None].squeeze(0),
    "std": lambda x: x.std(axis=0, ddof=1),
    "sum": lambda x: x.sum(0),
    "sum-where": lambda x: x.sum(axis=1, where=X > 0, initial=2.0),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "T": lambda x: x.T,
    "take": lambda x: x.take([0, 5]),
    "to_device": lambda x: x.to_device("cpu"),
    "trace": lambda x: x.trace(offset=1),
    "transpose": lambda x: x.transpose(),
    "transpose-axes": lambda x: x.transpose(1, 0),
    "transpose-tuple": lambda x: x.transpose((1, 0)),
    "transpose-none": lambda x: x.transpose(None),
    "var": lambda x: x.var(),
    "view": lambda x: x.view(),
    "matmul-list": lambda x: x @ [1.0, 2.0, 3.0, 4.0],
    "rmatmul-list": lambda x: [1.0, 2.0, 3.0] @ x,
    "add-list": lambda x: x + [1, 2, 3, 4],  # noqa: RUF005
    "divmod": lambda x: np.stack(divmod(x, 0.3)),
    "pow": lambda x: x**2,
    "rpow": lambda x: 2**x,
    "abs": abs,
    "neg": lambda x: -x,
    "unpack": lambda x: operator.add(*x[:2]),
    "chained": lambda x: x[1:][0][2],
    "for": lambda x: sum(row * k for k, row in enumerate(x)),
    "zip": lambda x: [a * b for a, b in zip(x[0], x[1], strict=True)][2],
    "reversed": lambda x: next(iter(reversed(x))),
    "compare": lambda x: (x > 0) & ~(x >= 0.5) | (x == x[0]) ^ (x != x),
    "where": lambda x: np.where(x < 0, x, 2 * x),
}


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS.keys())
def test_methods(call):
    expected, got = call(np.array(X)), value_of(inside(call, X))
    np.testing.assert_array_equal(np.asarray(got), expected)
    assert type(got) is type(expected)
    assert np.asarray(got).dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS.keys())
def test_methods_keep_the_gradient(call):
    expected = np.asarray(call(np.array(X)))
    if expected.dtype.kind not in "fc" or expected.dtype == np.float32:
        return
    t = np.random.default_rng(1).standard_normal(X.shape)
    difference = (call(X + 1e-6 * t) - call(X - 1e-6 * t)) / 2e-6
    np.testing.assert_allclose(tw.jvp(call, (X,), (t,))[1], difference, atol=1e-7)


def test_signatures_are_numpys():
    parameters = inspect.signature(tw.array.Array.sum).parameters
    assert list(parameters)[:3] == ["self", "axis", "dtype"]


# ---- what Python asks ------------------------------------------------------------------------


def test_scalars():
    x = inside(lambda x: x * 2.0, 1.25)
    assert not isinstance(value_of(x), np.ndarray)
    assert (bool(x), f"{x:.2f}", str(x)) == (True, "2.50", "2.5")
    assert value_of(round(x, 1)) == 2.5
    for f in (len, iter, lambda s: operator.setitem(s, 0, 1.0), lambda s: pow(s, 2, 3)):
        with pytest.raises(TypeError):
            f(x)


@pytest.mark.parametrize("f", [float, int, complex, round, math.sin, math.floor, operator.index,
                               np.asarray, np.array, lambda x: x.item(), lambda x: x.tolist(),
                               lambda x: x.tobytes(), lambda x: np.array([x, x])])  # fmt: skip
def test_values_do_not_leave_silently(f):
    # NumPy hides the error of an entry behind its own, with ours as the cause.
    with pytest.raises((TracingError, ValueError)) as caught:
        inside(f, 1.5)
    error = caught.value if isinstance(caught.value, TracingError) else caught.value.__cause__
    assert "thalweg.detach" in str(error)
    assert "test_array.py" in str(error) or f is np.asarray


def test_values_without_gradient_leave():
    def f(x):
        k = np.argmax(x)
        assert int(k) == operator.index(k) == k.item() == 2
        assert [10, 20, 30][k] == 30
        assert (x > 0).tolist() == [True, False, True]
        assert x[k : k + 1].shape == (1,)
        return x[k] * range(5)[k]

    np.testing.assert_array_equal(tw.grad(f)(V), [0.0, 0.0, 2.0])


def test_containers():
    x = inside(lambda x: x, V)
    assert isinstance(x, Iterable)
    assert len(x) == 3
    assert 2.5 in x
    assert 7.0 not in x
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)
    with pytest.raises(TypeError, match="0-d"):
        iter(inside(lambda x: x, np.array(1.0)))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    assert not np.any(x == None)  # noqa: E711 - what ndarray answers
    assert np.all(x != None)  # noqa: E711
    assert (x == V).tolist() == [True, True, True]


def test_copies():
    x = inside(lambda x: x, V)
    for made in (copy.copy(x), copy.deepcopy(x), copy.deepcopy({"w": [x]})["w"][0]):
        assert made is not x
        made[0] = 9.0
        assert value_of(x)[0] == 0.3
    with pytest.raises(TracingError, match="pickle"):
        pickle.dumps(x)


def test_refusals():
    x = inside(lambda x: x, V)
    for call in (
        lambda: x.view(np.int64),
        lambda: x.resize(5),
        lambda: x.setflags(write=False),
        lambda: x.getfield(np.float32),
        lambda: x.sum(out=np.zeros(())),
    ):
        with pytest.raises((NoRuleError, TracingError)):
            call()
    with pytest.raises(AttributeError):
        x.shape = (1, 3)
    with pytest.raises(AttributeError):
        x.colour = 1
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(TypeError):
        x + None
    with pytest.raises(IndexError):
        x[7]
    with pytest.raises(IndexError, match="integer"):
        x[x]


def test_index_error_says_where():
    with pytest.raises(IndexError) as caught:
        inside(lambda x: x[7], V)
    assert "test_array.py" in "".join(caught.value.__notes__)


def test_repr():
    assert repr(inside(lambda x: x * 2, V)) == "Array([ 0.6, -2.4,  5. ], gate='*')"
    assert "float32" in repr(inside(lambda x: x, np.float32(1.5)))
    assert "shape=(2000,)" in repr(inside(lambda x: x, np.zeros(2000)))


def test_index_arrays_are_snapshots():
    def f(x):
        index = np.array([0, 1])
        y = x[index]
        index[:] = 2
        return y.sum()

    np.testing.assert_array_equal(tw.grad(f)(V), [1.0, 1.0, 0.0])


def test_lists_of_traced_values():
    def f(x):
        y = np.zeros(3, like=x)
        y[:2] = [x[0] * 2, x[1]]
        y[[x.argmax()]] = x[2]
        return np.sum(y**2)

    gradient = tw.grad(f)(V)
    np.testing.assert_allclose(gradient, [8 * V[0], 2 * V[1], 2 * V[2]])


@pytest.mark.parametrize(
    "f",
    [
        lambda x, a: x - [1.0, a, 2.0],
        lambda x, a: [[1.0, a, 2.0]] @ x,
        lambda x, a: np.multiply([1.0, a, a], x, dtype=float),
        lambda x, a: np.maximum(x, [a, 1.0, -9.0]),
        lambda x, a: np.where(x > 0, [a, 1.0, 2.0], [[0.0, a, a]]),
        lambda x, a: np.gradient(x, [0.0, a, 2.0]),
        lambda x, a: np.trapezoid(x, x=[0, a, 2]),
        lambda x, a: np.interp(x, [0, a, 3.0], [1, a, 2]),
        lambda x, a: np.average(x, weights=[a, 1, 2]),
        lambda x, a: np.cov(x, [a, 1, 2], aweights=[1, a, 1]),
        lambda x, a: np.insert(x, [0, 1], [a, 2 * a]),
        lambda x, a: np.append(x, [a, 2 * a]),
        lambda x, a: np.concatenate([[a, 1.0], x]),
        lambda x, a: np.diff(x, prepend=[a]),
        lambda x, a: np.ediff1d(x, to_end=[a, a]),
        lambda x, a: np.polyval([1.0, a, 2.0], x),
        lambda x, a: np.polyint(x, 2, k=[a, 2 * a]),
        lambda x, a: np.polymul(x, [1.0, a]),
        lambda x, a: np.convolve([1.0, a], x),
        lambda x, a: np.correlate(x, [1.0, a]),
        lambda x, a: np.cross([1.0, a, 2.0], x),
        lambda x, a: np.pad(x, 1, constant_values=[a, 2 * a]),
        lambda x, a: np.linspace(x, [0.0, a, 1.0], 3),
        lambda x, a: np.linalg.solve([[a, 9.0, 1.0], [0.0, 1.0, 0.0], [2.0, 1.0, a]], x),
        lambda x, a: logsumexp(x, b=[1.0, a, 2.0]),
        lambda x, a: solve_triangular([[a, 0.0, 0.0], [1.0, 2.0, 0.0], [a, a, a]], x, lower=True),
    ],
)
def test_a_list_of_numbers_may_hold_traced_ones(f):
    """Wherever an array may stand beside a traced one."""
    np.testing.assert_array_equal(tw.vjp(f, V, 0.7)[0], f(V, 0.7))
    assert tw.check_grads(f, (V, 0.7))


@pytest.mark.parametrize(
    ("argument", "f"),
    [
        ("ord", lambda x, n: np.linalg.norm(x, n)),
        ("ord", lambda x, n: np.linalg.vector_norm(x, ord=n)),
        ("decimals", lambda x, n: np.round(x, n)),
        ("k", lambda x, n: np.tril(x[None], n)),
        ("k", lambda x, n: np.triu(x[None], n)),
        ("n", lambda x, n: np.fft.fft(x, n).real),
        ("ddof", lambda x, n: np.cov(x, ddof=n)),
        ("ddof", lambda x, n: np.nanstd(x, correction=n)),
        ("rcond", lambda x, n: np.linalg.lstsq(x[None], x[:1], n)[0]),
    ],
)
def test_a_traced_number_that_shapes_the_computation_is_named(argument, f):
    with pytest.raises(NoRuleError, match=f"no rule for a traced {argument}"):
        tw.grad(lambda x, n: np.sum(f(x * n, n)), (0, 1))(V, 2.0)


def test_a_product_written_into_a_plain_array_says_so():
    def f(m):
        plain = np.eye(2)
        plain @= m
        return np.sum(plain)

    with pytest.raises(TracingError, match="written into a NumPy array"):
        tw.grad(f)(np.eye(2))


def test_values_that_a_larger_index_stretches():
    """NumPy's own `np.add.at` reads beyond the end of the values here."""
    index, v = np.array([[1, 2], [-1, 1]]), np.array([10.0, 1.0])

    def f(x, v):
        y = x * 1
        np.add.at(y, index, v)
        np.subtract.at(y, (index,), 2 * v)
        return y

    expected = -np.array([0.0, v[0] + v[1], v[1], 0.0, v[0]])
    np.testing.assert_array_equal(tw.vjp(f, np.zeros(5), v)[0], expected)
    np.testing.assert_array_equal(tw.jvp(f, (np.zeros(5), v), (np.zeros(5), v))[1], expected)
    np.testing.assert_array_equal(tw.compile(f)(np.zeros(5), v), expected)
    pulled = tw.vjp(f, np.zeros(5), v)[1](np.arange(5.0))[1]
    np.testing.assert_array_equal(pulled, [-5.0, -3.0])


# ---- costs -----------------------------------------------------------------------------------


def test_a_loop_over_rows_forgets_its_views():
    def f(x):
        total = 0.0
        for _ in range(3000):
            total = total + x[1][2]
        assert len(x._link) < 2500
        return total

    assert tw.grad(f)(X)[1, 2] == 3000


def test_reading_in_a_loop_is_linear(monkeypatch):
    """The entries that are read go into one gradient, not each into one of its own."""
    made = []
    zeros = np.zeros

    def counted(shape, *args, **options):
        made.append(shape)
        return zeros(shape, *args, **options)

    monkeypatch.setattr(np, "zeros", counted)
    gradient = tw.grad(lambda x: sum(x[i] * i for i in range(len(x))))(np.ones(1000))
    np.testing.assert_array_equal(gradient, np.arange(1000.0))
    assert len(made) < 5


def test_contractions_need_no_large_temporaries():
    x, w = np.ones((64, 50, 30)), np.ones((30, 20))
    out, pull = tw.vjp(lambda w: x @ w, w)
    tracemalloc.start()
    pull(out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * w.nbytes + 100_000  # no gradient for each example of the batch
