"""Arrays of the user's that a trace uses as constants: later writes never change a gradient."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw


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
    owner = np.ones(200_000)
    w = owner[:100_000] if view else owner

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
