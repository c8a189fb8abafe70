"""Results that are too large for the caches are written past them: the same numbers."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import thalweg as tw
from thalweg.execute.native import jit

pytestmark = pytest.mark.skipif(bool(jit.available()), reason=jit.available())
streaming = pytest.mark.skipif(
    not jit.available() and not jit.target().streams, reason="this processor does not stream"
)


@pytest.fixture
def texts(monkeypatch):
    """The IR of what is compiled meanwhile, for a machine with a cache of 64 KiB."""
    found: list[str] = []
    small = jit.target()._replace(l3=2**16)
    load = jit.load

    def noting(text, *rest, **named):
        found.append(text)
        return load(text, *rest, **named)

    monkeypatch.setattr(jit, "target", lambda: small)
    monkeypatch.setattr(jit, "load", noting)
    return found


def streams(texts: list[str]) -> bool:
    """Whether anything is written past the caches; then a fence follows."""
    found = any("!nontemporal" in text for text in texts)
    assert found == any("call void @llvm.x86.sse.sfence()" in text for text in texts)
    return found


@streaming
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
@pytest.mark.parametrize("shape", [(40_000,), (39_999,), (301, 203), (5000, 8), (64, 0), (2, 9000)])
def test_same_numbers(texts, shape, dtype, threads) -> None:
    x = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
    f = tw.compile(lambda x: (2 * x + 1, x * x), threads=threads)
    for view in (x, x[::-1], np.asfortranarray(x)):
        for got, wanted in zip(f(view), (2 * view + 1, view * view), strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert streams(texts) == (x.nbytes > 2**15)


@streaming
def test_of_any_alignment(texts) -> None:
    """Rows that do not begin at a multiple of the vector, and memory that does not either."""
    whole = np.random.default_rng(0).normal(size=(200, 300))
    f = tw.compile(lambda x: np.concatenate([x[1:, 3:], 2 * x[:-1, :-3]], axis=1))
    for x in (whole, np.ascontiguousarray(whole[3:])):
        np.testing.assert_array_equal(f(x), np.concatenate([x[1:, 3:], 2 * x[:-1, :-3]], axis=1))
    assert streams(texts)


@streaming
@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda x: np.tanh(np.sin(x) * np.exp(np.cos(x))), id="much to compute"),
        pytest.param(lambda x: np.sum(2 * x + 1), id="small result"),
        pytest.param(lambda x: (y := 2 * x, np.sort(y)), id="read again"),
    ],
)
def test_where_it_does_not_pay(texts, function) -> None:
    x = np.linspace(-1.0, 1.0, 40_000)
    tw.compile(function, threads=1)(x)
    assert not streams(texts)


@streaming
def test_memory_of_an_argument_is_not_streamed(texts) -> None:
    """It has been read: its lines are in the cache."""
    step = functools.partial(tw.compile, inplace=0, threads=1)(lambda x: x - 0.5 * x)
    x = np.linspace(-1.0, 1.0, 40_000)
    wanted = x - 0.5 * x
    np.testing.assert_array_equal(step(x), wanted)
    assert not streams(texts)


def test_beyond_the_cache_of_this_machine() -> None:
    x = np.arange(jit.target().l3 // 12, dtype=float)
    f = tw.compile(tw.value_and_grad(lambda x: np.sum(x * x) / 2))
    for _ in range(3):
        value, gradient = f(x)
        assert value == pytest.approx(np.sum(x * x) / 2, rel=1e-14)
        np.testing.assert_array_equal(gradient, x)
