"""Traces in several threads do not meet."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import thalweg as tw
from thalweg import guards
from thalweg.errors import TracingError

THREADS = 8


def work(seed):
    """Derivatives of every sort, in step with the other threads, many times over."""
    rng = np.random.default_rng(seed)
    a, x = rng.standard_normal((4, 4)), rng.standard_normal(4)

    def f(y):
        z = np.tanh(a @ y)
        if np.sum(z) > 0:
            z = z * 2.0
        z[0] += np.sum(y)
        return np.sum(z**2)

    results = []
    for _ in range(20):
        results.append(tw.grad(f)(x))
        results.append(tw.hessian(f)(x))
        results.append(tw.vmap(tw.grad(lambda y: np.sum(np.sin(a * y))))(np.stack([x, -x])))
        results.append(tw.grad(lambda y: np.sum(tw.remat(np.sin)(y) * y))(x))
        results.append(tw.jvp(f, (x,), (x,))[1])
    return [np.asarray(r) for r in results], guards.depth()


def test_eight_threads_at_once():
    expected = [work(seed)[0] for seed in range(THREADS)]
    barrier = threading.Barrier(THREADS)

    def start(seed):
        barrier.wait()
        return work(seed)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(start, range(THREADS)))
    for want, (got, depth) in zip(expected, found, strict=True):
        assert depth == 0
        for a, b in zip(want, got, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_pull_can_be_used_by_all():
    x = np.linspace(0.0, 1.0, 1000)
    _, pull = tw.vjp(lambda y: tw.remat(lambda z: np.sin(z) * z)(np.exp(y)), x)
    expected = [pull(np.full(1000, float(k)))[0] for k in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(10):
            got = pool.map(lambda k: pull(np.full(1000, float(k)))[0], range(THREADS))
            for a, b in zip(expected, got, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_value_of_another_thread_is_refused():
    def f(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: tw.grad(lambda y: y * x)(1.0)).result()

    with pytest.raises(TracingError, match="another thread"):
        tw.grad(f)(2.0)
    assert guards.depth() == 0
