"""What is no array of numbers, at every door of the core: an error, or NumPy's answer."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import gc
import signal
import threading

import numpy as np
import pytest

import thalweg as tw
from thalweg import guards
from thalweg.errors import DtypeError, TracingError, TreeError
from thalweg.graph.node import Node

X = np.array([1.0, 2.0, 3.0])


class Loss:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    "result", [Loss, lambda v: (w for w in (v,)), lambda v: "text", lambda v: object()]
)
@pytest.mark.parametrize(
    "derivative",
    [
        tw.grad,
        tw.jacobian,
        tw.vmap,
        lambda f: lambda x: tw.vjp(f, x),
        lambda f: lambda x: tw.jvp(f, (x,), (x,)),
    ],
)
def test_a_result_that_hides_its_value_is_no_constant(derivative, result):
    with pytest.raises(TreeError, match="neither an array"):
        derivative(lambda x: result(np.sum(x)))(X)


def test_matrices_are_refused():
    matrix = np.eye(2).view(np.matrix)
    with pytest.raises(DtypeError, match=r"np\.matrix"):
        tw.grad(lambda x: np.sum(x * x))(matrix)


class Metres(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        raise AssertionError


def test_classes_with_their_own_arithmetic_are_refused():
    length = X.view(Metres)
    with pytest.raises(DtypeError, match="Metres"):
        tw.grad(lambda x: np.sum(x * x))(length)
    with pytest.raises(DtypeError, match="Metres"):
        tw.grad(lambda x: np.sum(x * length))(X)


def test_masks_are_not_dropped():
    masked = np.ma.array(X, mask=[True, False, False])
    for call in (
        lambda: tw.vmap(np.sin)(masked),
        lambda: tw.vjp(np.sin, X)[1](masked),
        lambda: tw.jvp(np.sin, (X,), (masked,)),
    ):
        with pytest.raises(DtypeError, match="mask"):
            call()


def test_imaginary_parts_are_not_dropped():
    _, pull = tw.vjp(np.sin, 1.0)
    with pytest.raises(DtypeError, match="imaginary part"):
        pull(1j)
    with pytest.raises(DtypeError, match="imaginary part"):
        tw.jvp(np.sin, (1.0,), (1j,))
    with pytest.raises(DtypeError, match="must be numbers"):
        tw.jvp(np.sin, (1.0,), ("1",))


def test_positions_may_be_numpy_integers():
    assert tw.grad(np.multiply, np.int64(1))(2.0, 3.0) == 2.0


def product(p):
    return np.sum(p["a"]) * p["b"]


def test_dicts_of_other_kinds():
    counted = collections.defaultdict(lambda: 7.0, a=X, b=2.0)
    found = tw.grad(lambda p: product(p) + p["c"])(counted)
    assert type(found) is collections.defaultdict
    np.testing.assert_array_equal(found["a"], [2.0, 2.0, 2.0])
    ordered = collections.OrderedDict(b=2.0, a=X)
    found = tw.grad(product)(ordered)
    assert type(found) is collections.OrderedDict
    assert list(found) == ["b", "a"]


def test_keys_that_cannot_be_compared():
    _, pull = tw.vjp(lambda p: {1: p[1], "a": 2.0 * p["a"]}, {"a": 3.0, 1: 2.0})
    assert pull({"a": 1.0, 1: 5.0})[0] == {1: 5.0, "a": 2.0}


class Interrupted(BaseException):
    pass


@pytest.fixture
def no_callbacks_of_the_collector():
    """Python drops what is raised in one, and pytest takes that for a failure."""
    kept = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = kept


@pytest.mark.usefixtures("no_callbacks_of_the_collector")
def test_an_interruption_at_any_moment_leaves_no_trace_behind():
    """What Ctrl-C leaves half entered is found when the next trace begins."""
    wide = np.ones(50_000)

    def work(seconds):
        # Again and again: one that comes in a destructor is ignored by Python.
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)
        while True:
            tw.grad(lambda x: np.sum(tw.grad(lambda y: np.sum(y * y))(x)))(X)
            tw.grad(lambda x: np.sum(x * wide))(wide)
            tw.vmap(lambda x: x if x > 0 else -x)(X)

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for k in range(500):
            # NumPy's own errstate does not survive an interruption of its __enter__.
            with np.errstate(), pytest.raises(Interrupted):
                work(1e-5 + 7e-7 * k)
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert guards.depth() == 0
            tw.grad(np.sin)(1.0)
            assert wide.flags.writeable
    finally:
        signal.signal(signal.SIGALRM, before)
    other = threading.Thread(target=lambda: tw.grad(lambda x: np.sum(x * wide))(wide), daemon=True)
    other.start()
    other.join(30)
    assert not other.is_alive()  # it waits for nobody


def test_a_branch_in_a_thread_of_its_own_is_not_taken_for_all_examples():
    def f(x):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: x * 2.0 if x > 1.5 else x * 3.0).result()

    assert tw.grad(f)(1.0) == 3.0
    with pytest.raises(TracingError, match="thread"):
        tw.vmap(f)(X)
    assert guards.depth() == 0


def test_a_refused_assignment_keeps_nothing_alive():
    def f(x):
        buffer = np.zeros(3)
        buffer[0] = x[0]
        return np.sum(buffer)

    gc.collect()
    gc.disable()
    try:
        before = sum(type(thing) is Node for thing in gc.get_objects())
        with contextlib.suppress(TracingError):
            tw.grad(f)(X)
        assert sum(type(thing) is Node for thing in gc.get_objects()) == before
    finally:
        gc.enable()
