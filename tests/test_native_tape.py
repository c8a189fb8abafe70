"""Graphs of many numbers run from a tape: the same results as code and as NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import thalweg as tw
from tests.programs.generate import programs
from tests.test_native_laws import QUICK, _check
from thalweg.execute.native import fuse, tape


@pytest.fixture
def everything_taped(monkeypatch):
    """Every number goes on a tape."""
    monkeypatch.setattr(fuse, "TAPED", 0)
    monkeypatch.setattr(tape, "LONG", 1)


def _neuron(w, x):
    total = w[0]
    for k, value in enumerate(x):
        total = total + w[k + 1] * value
    return np.maximum(np.tanh(total), 0.1) if total > -100 else total


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_a_neuron_of_numbers(everything_taped, dtype):
    w = np.linspace(-1, 1, 5).astype(dtype)
    x = [float(v) for v in np.linspace(0.5, 2, 4)]
    _check(lambda w: _neuron(w, x), (w,))
    _check(lambda w: tw.grad(lambda w: _neuron(w, x))(w), (w,))
    _check(lambda a, b: (a + b) * a / b, (dtype(2.0), dtype(3.0)))


def test_numbers_and_arrays_in_turns(everything_taped):
    def f(x, a):
        s = np.sum(x) * a + 1.0
        y = x * s
        return np.where(s > 0, np.max(y) - s, s), y, s

    _check(f, (np.linspace(0, 1, 7), np.float64(0.5)))
    _check(lambda x, a: tw.grad(lambda x: f(x, a)[0])(x), (np.linspace(0, 1, 7), np.float64(0.5)))


@settings(QUICK, max_examples=40)
@given(programs())
def test_random_programs(program):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuse, "TAPED", 0)
        patch.setattr(tape, "LONG", 1)
        _check(program.function(), program.inputs)


def test_a_long_chain_of_numbers():
    """More than a block of code would hold: 8,000 numbers, one after the other."""

    def f(x):
        for k in range(4000):
            x = x * 0.999 + 0.001 * (k % 3)
        return x

    compiled = tw.compile(tw.value_and_grad(f))
    for x in (0.5, -2.0, 3.0):
        value, slope = compiled(x)
        expected, wanted = tw.value_and_grad(f)(x)
        assert value == expected
        np.testing.assert_allclose(slope, wanted, rtol=1e-13)
