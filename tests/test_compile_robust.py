"""Compiled functions under rough use: threads, forks, many shapes, many calls, interruptions."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import thalweg as tw


def _loss(w, x):
    h = np.tanh(x @ w)
    return np.sum(h * h) / len(x)


def test_eight_threads_one_function():
    compiled = tw.compile(tw.value_and_grad(_loss), threads=2)
    rng = np.random.default_rng(0)
    cases = [(rng.standard_normal((6, 4)), rng.standard_normal((n, 6))) for n in (3, 5, 200, 3000)]
    expected = [tw.value_and_grad(_loss)(*case) for case in cases]
    first = [compiled(*case) for case in cases]
    wrong = []

    def work(seed):
        order = np.random.default_rng(seed).integers(0, len(cases), 60)
        for k in order:
            value, gradient = compiled(*cases[k])
            if value != first[k][0] or not np.array_equal(gradient, first[k][1]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    for (value, gradient), (want, slope) in zip(first, expected, strict=True):
        np.testing.assert_allclose(value, want, rtol=1e-12)
        np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-12)


_SPAWNED = """
import numpy as np, thalweg as tw
f = tw.compile(tw.grad(lambda x: np.sum(np.exp(x) * x)))
x = np.linspace(0, 1, 50000)
assert np.allclose(f(x), np.exp(x) * (1 + x))
"""


def test_fork_and_spawn():
    compiled = tw.compile(tw.grad(lambda x: np.sum(np.exp(x) * x)), threads=2)
    x = np.linspace(0, 1, 50000)
    want = compiled(x)
    pid = os.fork()
    if pid == 0:
        same = np.array_equal(compiled(x), want)
        other = tw.compile(tw.grad(lambda x: np.sum(np.sin(x))), threads=2)
        same = same and np.allclose(other(x), np.cos(x))
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    subprocess.run([sys.executable, "-c", _SPAWNED], check=True, timeout=120)


_GROWTH = """
import resource
import numpy as np, thalweg as tw

def highest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def loss(w, x):
    h = np.tanh(x @ w)
    return np.sum(h * h) / len(x)

compiled = tw.compile(tw.value_and_grad(loss))
"""

_CALLS = """
rng = np.random.default_rng(0)
w, x = rng.standard_normal((6, 4)), rng.standard_normal((50, 6))
for k in range(101_000):
    compiled(w, x)
    if k == 1000:
        before = highest()
print(highest() - before)
"""

_SHAPES = """
w = np.ones((2, 3))
for n in range(1, 501):
    value, _ = compiled(w, np.ones((n, 2)))
    assert abs(value / (3 * np.tanh(2.0) ** 2) - 1) < 1e-12
    if n == 250:
        before = highest()
assert len(compiled.records) <= 64
print(highest() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "kilobytes"),
    [(_CALLS, 2000), (_SHAPES, 20_000)],
    ids=["a hundred thousand calls", "many compilations"],
)
def test_memory_stays_bounded(work, kilobytes):
    """In a process of its own: the most that this one has taken may hide any growth."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _GROWTH + work],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 0 <= int(done.stdout) < kilobytes


_INTERRUPTED = """
import signal, threading
import numpy as np, thalweg as tw
f = tw.compile(tw.value_and_grad(lambda x: np.sum(np.exp(np.sin(x)) * np.tanh(x))))
stopped = 0
for k in range(40):
    x = np.linspace(0, 1, 1000 + k)
    try:
        timer = threading.Timer(0.002 * k, lambda: signal.raise_signal(signal.SIGINT))
        timer.start()
        for _ in range(20):
            f(x)
        timer.join()  # it strikes here at the latest
    except KeyboardInterrupt:
        stopped += 1
value, gradient = f(np.array([0.5]))
assert abs(value - np.exp(np.sin(0.5)) * np.tanh(0.5)) < 1e-12
print(stopped)
"""


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_a_function_that_works():
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(_INTERRUPTED)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 20


@pytest.mark.filterwarnings("ignore::thalweg.errors.RecompilationWarning")
def test_a_branch_is_never_stale():
    def f(x):
        total = np.sum(x)
        steps = 0
        while total > 1.0 and steps < 6:
            total = total / 2
            steps += 1
        if np.max(x) > 0.5:
            return total + np.max(x), steps
        return -total, steps

    compiled = tw.compile(f)
    rng = np.random.default_rng(5)
    for _ in range(1000):
        x = rng.uniform(-1, 1, 4) * rng.choice([0.1, 1.0, 30.0])
        got, want = compiled(x), f(x)
        assert got[1] == want[1]
        np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
