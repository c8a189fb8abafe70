"""Arrays of the user's that a trace uses as constants: later writes never change a gradient."""

from __future__ import annotations

import gc
import mmap
import threading

import numpy as np
import pytest

import thalweg as tw
from thalweg import guards
from thalweg.errors import DtypeError


def test_a_buffer_that_is_used_again():
    def f(x):
        mask = np.zeros(3)
        total = 0.0
        for k in range(3):
            mask[:] = 0.0
            mask[k] = k + 1.0
            total = total + np.sum(x * mask)
        return total

    np.testing.assert_array_equal(tw.grad(f)(np.ones(3)), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("view", [False, True])
def test_a_large_one_is_read_only_until_the_gradient_is_there(view):
    owner = np.ones(100_000)
    w = owner.reshape(-1) if view else owner

    def f(x):
        y = np.sum(x * w)
        w[0] = 5.0
        return y

    with pytest.raises(ValueError, match="read-only") as caught:
        tw.grad(f)(np.ones(w.shape))
    assert "backward pass needs its value" in caught.value.__notes__[0]
    assert w[0] == 1.0
    w[0] = owner[-1] = 2.0  # writeable again
    assert tw.grad(lambda x: np.sum(x * w))(np.ones(w.shape))[0] == 2.0
    w[0] = 3.0


def test_read_only_arrays_stay_read_only():
    w = np.ones(100_000)
    w.flags.writeable = False
    tw.grad(lambda x: np.sum(x * w))(np.ones(w.shape))
    assert not w.flags.writeable


def test_a_pullback_outlives_the_call():
    w = np.ones(100_000)
    _, pull = tw.vjp(lambda x: np.sum(x * w), np.ones(w.shape))
    w[:] = 7.0
    assert pull(1.0)[0][0] == 1.0


def test_nested_traces_release_with_the_outermost():
    w = np.ones(100_000)

    def f(x):
        inner = tw.grad(lambda z: np.sum(z * z * w))(x)
        with pytest.raises(ValueError, match="read-only"):
            w[0] = 2.0
        return np.sum(inner)

    assert tw.grad(f)(np.ones(w.shape))[0] == 2.0
    w[0] = 2.0


class Foreign:
    """Memory that is not NumPy's own: an array on it cannot be made writeable again."""

    def __init__(self, owner):
        self.owner = owner
        self.__array_interface__ = owner.__array_interface__


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.asarray(Foreign(np.ones(100_000))),
        lambda: np.frombuffer(bytearray(np.ones(100_000))),
        lambda: np.frombuffer(bytearray(np.ones(200_000)))[100_000:],
        lambda: np.ones(200_000)[::2],
        lambda: np.ones((2, 50_000)).T.reshape(-1, order="F"),
        lambda: np.frombuffer(mmap.mmap(-1, 800_000)),
    ],
)
def test_memory_of_any_kind_is_writeable_afterwards(make):
    w = make()
    before = w.copy()
    gradient = tw.grad(lambda x: np.sum(x * w))(np.ones(100_000))
    np.testing.assert_array_equal(gradient, before)
    w[0] = 2.0
    assert guards.depth() == 0


def test_a_large_file_on_disk(tmp_path):
    w = np.memmap(tmp_path / "w", dtype=float, mode="w+", shape=(100_000,))
    w[:] = 1.0

    def f(x):
        y = np.sum(x * w) + np.sum(x * np.asarray(w)[:])
        with pytest.raises(ValueError, match="read-only"):
            w[0] = 5.0
        return y

    assert tw.grad(f)(np.ones(100_000))[0] == 2.0
    w[0] = 2.0


def test_a_part_is_copied_and_the_rest_can_be_written():
    ring = np.ones((2, 100_000))

    def f(x):
        y = np.sum(x * ring[0])
        ring[:] = 5.0
        return y

    np.testing.assert_array_equal(tw.grad(f)(np.ones(100_000)), np.ones(100_000))


@pytest.mark.parametrize("n", [3, 100_000])
def test_a_read_only_view_of_an_array_that_is_written(n):
    w = np.ones(n)
    view = np.broadcast_to(w, (2, n))

    def f(x):
        y = np.sum(x * view)
        try:
            w[:] = 5.0
        except ValueError:
            assert n > 3
        return y

    np.testing.assert_array_equal(tw.grad(f)(np.ones(n)), np.full(n, 2.0))
    w[:] = 0.0


@pytest.mark.parametrize("n", [3, 100_000])
def test_an_argument_that_the_function_writes_to(n):
    w = np.ones(n)

    def f(x):
        y = np.sum(x * x)
        try:
            w[:] = 5.0
        except ValueError:
            assert n > 3
        return y

    np.testing.assert_array_equal(tw.grad(f)(w), np.full(n, 2.0))
    w[:] = 0.0


def test_the_result_of_vjp_is_the_callers_to_write():
    out, pull = tw.vjp(np.exp, np.zeros(3))
    out *= 7.0
    np.testing.assert_array_equal(pull(np.ones(3))[0], np.ones(3))


def test_the_user_makes_the_owner_read_only_meanwhile():
    owner = np.ones(100_000)
    view = owner[:]

    def f(x):
        y = np.sum(x * view)
        owner.flags.writeable = False
        return y

    tw.grad(f)(np.ones(100_000))
    assert guards.depth() == 0
    tw.grad(f)(np.ones(100_000))


def test_two_threads_hold_one_array():
    w = np.ones(100_000)
    other_holds, first_is_done = threading.Event(), threading.Event()
    found = []

    def other(x):
        y = np.sum(x * w)
        other_holds.set()
        first_is_done.wait(10)
        with pytest.raises(ValueError, match="read-only"):
            w[:] = 0.0
        return y

    thread = threading.Thread(target=lambda: found.append(tw.grad(other)(np.ones(w.shape))))

    def first(x):
        y = np.sum(x * w)
        thread.start()
        other_holds.wait(10)
        return y

    tw.grad(first)(np.ones(w.shape))
    assert not w.flags.writeable
    first_is_done.set()
    thread.join()
    np.testing.assert_array_equal(found[0], w)
    w[:] = 2.0


def test_an_exception_gives_the_arrays_back():
    w = np.ones(100_000)

    def f(x):
        np.sum(x * w)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tw.grad(f)(np.ones(w.shape))
    w[0] = 2.0
    assert guards.depth() == 0


def test_locked_arrays_are_not_kept_alive():
    w = np.ones(100_000)
    tw.grad(lambda x: np.sum(x * w))(np.ones(w.shape))
    assert not [x for x in gc.get_referrers(w) if isinstance(x, list)]


@pytest.mark.parametrize(
    "constant",
    [
        np.ma.array([1.0, 2.0], mask=[True, False]),
        np.ones((2, 2)).view(np.matrix),
        np.array([1.0, 2.0], dtype=object),
        np.array([1, 2], dtype="m8[s]"),
        np.array(["a", "b"]),
    ],
)
def test_arrays_that_mean_something_else(constant):
    with pytest.raises(DtypeError):
        tw.grad(lambda x: np.sum(np.multiply(x, constant)))(np.ones(2))


def test_a_large_result_of_vjp_is_read_only():
    out, pull = tw.vjp(np.tanh, np.ones(100_000))
    with pytest.raises(ValueError, match="read-only"):
        out += 1.0
    out = out.copy()
    out += 1.0
    assert pull(np.ones(out.shape))[0][0] == 1 - np.tanh(1.0) ** 2


@pytest.mark.parametrize("quantile", [np.quantile, np.nanquantile])
def test_the_order_of_a_quantile(quantile):
    q = np.array([0.25, 0.5])

    def f(x):
        y = np.sum(quantile(x * x, q))
        q[:] = 1.0
        return y

    np.testing.assert_array_equal(tw.grad(f)(np.array([1.0, 2.0, 3.0])), [1.0, 6.0, 0.0])


def test_a_batch_that_the_function_writes_to():
    batch = np.array([1.0, 2.0, 3.0])

    def f(x):
        y = 2.0 * x
        batch[:] = 0.0
        return y

    np.testing.assert_array_equal(tw.vmap(f)(batch), [2.0, 4.0, 6.0])
