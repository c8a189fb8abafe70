"""`tw.compile`: which executor runs, in what thread, and what is said where native code is not."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import warnings
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiled import backends
from thalweg.compiled.backends import Tiered
from thalweg.compiled.collector import paused
from thalweg.errors import NativeUnavailableWarning
from thalweg.execute.executor import Interpreter, KernelReport
from thalweg.execute.native.program import Program

X = np.linspace(-1.0, 1.0, 12).reshape(3, 4)


def f(x):
    return np.sum(np.tanh(x) * x, axis=0)


def wait_for(record):
    deadline = time.monotonic() + 30
    while not record.executor.ready:
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def background(monkeypatch):
    monkeypatch.setattr(tw.config, "compile", "background")


@pytest.fixture
def nothing_told(monkeypatch):
    monkeypatch.setattr(backends, "_told", set())


def test_native_is_the_default():
    compiled = tw.compile(f)
    compiled(X)
    (record,) = compiled.records
    assert isinstance(record.executor, Program)
    assert any(isinstance(x, KernelReport) for x in record.executor.report)
    assert "kernel" in compiled.explain()
    text = compiled.explain(measure=True)
    assert "GB/s" in text
    assert "a run:" in text


def test_calls_of_a_record_do_not_come_to_python():
    compiled = tw.compile(f)
    compiled(X)
    for _ in range(5):
        np.testing.assert_allclose(compiled(X), f(X), rtol=1e-14)
    np.testing.assert_allclose(compiled(x=X), f(X), rtol=1e-14)  # keywords do
    assert sum(record.calls for record in compiled.records) == 2
    compiled.clear()
    compiled(X)
    assert compiled.records[0].calls == 1


def test_numpy_by_wish():
    compiled = tw.compile(f, backend="numpy")
    compiled(X)
    assert isinstance(compiled.records[0].executor, Interpreter)
    assert "in NumPy" in compiled.explain()


def test_without_native_code_there_is_one_notice(monkeypatch, nothing_told):
    monkeypatch.setattr(backends.jit, "available", lambda: "llvmlite is not there")
    compiled = tw.compile(f)
    with pytest.warns(NativeUnavailableWarning, match="llvmlite is not there"):
        compiled(X)
    np.testing.assert_array_equal(tw.compile(f)(X), f(X))  # no second one
    np.testing.assert_array_equal(compiled(X + 1), f(X + 1))
    assert "llvmlite is not there" in compiled.explain()


def test_a_failing_compiler_leaves_numpy(monkeypatch, nothing_told):
    def fail(*_args, **_options):
        raise RuntimeError("broken")

    monkeypatch.setattr(backends.program, "build", fail)
    compiled = tw.compile(f)
    with pytest.warns(NativeUnavailableWarning, match="RuntimeError: broken"):
        compiled(X)
    np.testing.assert_array_equal(compiled(X), f(X))


def test_compilation_in_the_background(background):
    compiled = tw.compile(lambda x: f(x) if np.sum(x) > 0 else f(x) * 2)
    for x in (X + 1, -X - 1):
        np.testing.assert_allclose(compiled(x), compiled.__wrapped__(x), rtol=1e-14)
    for record in compiled.records:
        assert isinstance(record.executor, Tiered)
        wait_for(record)
        assert isinstance(record.executor.executor, Program)
    for x in (X + 1, -X - 1):
        np.testing.assert_allclose(compiled(x), compiled.__wrapped__(x), rtol=1e-14)


def test_a_failure_in_the_background_is_told_by_a_call(monkeypatch, background, nothing_told):
    def fail(*_args, **_options):
        raise RuntimeError("broken")

    monkeypatch.setattr(backends.program, "build", fail)
    compiled = tw.compile(f)
    compiled(X)
    wait_for(compiled.records[0])
    with pytest.warns(NativeUnavailableWarning, match="RuntimeError: broken"):
        compiled(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(compiled(X), f(X))


@pytest.mark.parametrize("mode", ["now", "background"])
def test_a_process_ends_at_once(mode):
    code = (
        "import numpy as np, thalweg as tw\n"
        f"tw.config.compile = {mode!r}\n"
        "g = tw.compile(lambda x: np.exp(x) * np.sin(x))\n"
        "print(all(np.allclose(g(np.ones(n)), np.exp(1) * np.sin(1)) for n in range(1, 4)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("mode", ["now", "background"])
def test_a_forked_child_compiles_and_calls(monkeypatch, mode):
    monkeypatch.setattr(tw.config, "compile", mode)
    compiled = tw.compile(f)
    compiled(X)
    child = os.fork()
    if not child:
        right = np.allclose(compiled(X), f(X)) and np.allclose(compiled(X[:2]), f(X[:2]))
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_warnings_of_numpy_come_from_the_trace_only():
    compiled = tw.compile(lambda x: 1 / x, backend="numpy")
    with pytest.warns(RuntimeWarning, match="divide"):
        compiled(np.zeros(2))
    np.testing.assert_array_equal(compiled(np.zeros(2)), np.inf)


def test_no_search_for_cycles_while_a_graph_is_made() -> None:
    """Neither in the trace nor after it; what was set before comes back, also after an error."""
    seen = []

    def f(x: Any) -> Any:
        seen.append(gc.isenabled())
        return x * 2.0

    compiled = tw.compile(f)
    compiled(np.ones(3))
    assert seen == [False]
    assert gc.isenabled()
    gc.disable()
    try:
        compiled(np.ones(4))
        assert not gc.isenabled()
    finally:
        gc.enable()

    def failing(x: Any) -> Any:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        tw.compile(failing)(np.ones(3))
    assert gc.isenabled()


def test_many_new_objects_are_old_after_a_pause() -> None:
    """They are not searched once more, and cycles among them still are found."""
    gc.collect()
    with paused():
        kept: list[Any] = [[] for _ in range(200_000)]
        kept.append(kept)
    assert gc.get_count()[0] < 50_000
    assert gc.isenabled()
    assert not gc.get_freeze_count()
    del kept
    assert gc.collect() >= 200_000
