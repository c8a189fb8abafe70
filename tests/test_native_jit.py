"""Text of IR → machine code: what can go wrong is said, what is dropped is freed."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest

from thalweg.errors import InternalError
from thalweg.execute.native import jit

native = pytest.mark.skipif(bool(jit.available()), reason=jit.available())

DOUBLE = """
define double @double_it(double %x) nounwind {
  %r = fadd double %x, %x
  ret double %r
}
"""


def real(library, name):
    """A function of one double."""
    return ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(library.address(name))


def resident():
    """Bytes of memory that this process has in use."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(code, **environment):
    """Another Python process."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


# ---- what is served --------------------------------------------------------------------------


def test_thalweg_does_not_load_llvmlite():
    done = run("import sys, thalweg; print('llvmlite' in sys.modules)")
    assert done.stdout == "False\n", done.stderr


def test_one_module_knows_llvmlite():
    package = Path(jit.__file__).parents[2]
    knowing = [p.name for p in package.rglob("*.py") if "import llvmlite" in p.read_text("utf-8")]
    assert knowing == ["jit.py"]


def test_without_llvmlite():
    done = run(
        "import sys; sys.modules['llvmlite'] = None\n"
        "from thalweg.execute.native import jit, threads\n"
        "print(jit.available())"
    )
    assert "llvmlite is not there" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("module", "name", "value", "reason"),
    [
        ("platform", "machine", lambda: "s390x", "s390x"),
        ("sys", "platform", "win32", "Windows"),
        ("sys", "byteorder", "big", "no native code for this machine"),
        ("llvmlite", "__version__", "0.44.1", "0.45 or newer"),
    ],
)
@native
def test_what_cannot_be_served(monkeypatch, module, name, value, reason):
    there = vars(getattr(jit, module))
    monkeypatch.setattr(jit, module, types.SimpleNamespace(**{**there, name: value}))
    assert reason in jit.available.__wrapped__()


@native
def test_a_failing_self_test_is_a_reason(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no memory that may be executed")

    monkeypatch.setattr(jit, "load", refuse)
    assert "no memory that may be executed" in jit.available.__wrapped__()


@native
def test_the_target_describes_this_machine():
    target = jit.target()
    assert target.vector_bytes in (16, 32, 64)
    assert (target.vector_bytes == 64) == target.has_avx512
    assert target.has_fma or target.vector_bytes == 16
    assert 2**14 <= target.l1 <= target.l2 <= target.l3
    assert f'"{8 * target.vector_bytes}"' in jit.attributes(target)


# ---- compiling and linking -------------------------------------------------------------------


@native
@pytest.mark.parametrize("level", [1, 2, 3])
def test_functions_tables_and_globals(level):
    library = jit.load(
        DOUBLE
        + """
@table = internal constant [2 x double] [double 3.0, double 5.0], align 64
@state = global i64 7
define internal double @pick(i64 %i) nounwind {
  %slot = getelementptr double, ptr @table, i64 %i
  %c = load double, ptr %slot
  ret double %c
}
define double @"with a strange name"(double %x) nounwind {
  %c = call double @pick(i64 1)
  %r = fmul double %x, %c
  ret double %r
}
""",
        level=level,
    )
    assert real(library, "double_it")(4.0) == 8.0
    assert real(library, "with a strange name")(4.0) == 20.0
    assert ctypes.c_int64.from_address(library.address("state")).value == 7
    for name in ("pick", "nowhere"):
        with pytest.raises(InternalError, match=name):
            library.address(name)


@native
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32])
def test_vectors_of_any_width(lanes):
    attributes = jit.attributes(jit.target())
    text = f"""
define void @twice(ptr %in, ptr %out) {attributes} {{
  %x = load <{lanes} x float>, ptr %in, align 4
  %y = fadd <{lanes} x float> %x, %x
  store <{lanes} x float> %y, ptr %out, align 4
  ret void
}}
"""
    library = jit.load(text)
    x = np.arange(40, dtype=np.float32)
    y = np.zeros_like(x)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(library.address("twice"))(
        x[1:].ctypes.data, y[1:].ctypes.data
    )
    np.testing.assert_array_equal(y[1 : lanes + 1], 2 * x[1 : lanes + 1])
    assert not y[lanes + 1 :].any()


@native
def test_what_the_process_has_and_what_is_given():
    """libm (LLVM itself calls it where a machine lacks an instruction), libc, pthread; ours."""
    calls = {"fma": 3, "fmaf": 0, "exp": 1, "pow": 2, "memcpy": 0, "memset": 0, "pthread_create": 0}
    pointers = "\n".join(f"  store ptr @{name}, ptr %slot" for name in calls)
    text = (
        "\n".join(f"declare void @{name}()" for name in calls)
        + f"""
declare double @given(double)
define double @use(double %x) nounwind {{
  %slot = alloca ptr
{pointers}
  %r = call double @given(double %x)
  ret double %r
}}
"""
    )
    given = jit.load(DOUBLE)
    library = jit.load(text, {"given": given.address("double_it")})
    assert real(library, "use")(21.0) == 42.0


@native
def test_a_missing_symbol_is_named():
    text = DOUBLE.replace("fadd double %x, %x", "call double @no_such_thing(double %x)")
    for _ in range(2):  # compiled, and from the cache
        with pytest.raises(InternalError, match=r"'no_such_thing'"):
            jit.load("declare double @no_such_thing(double)\n" + text)


@native
def test_the_offending_line_is_shown():
    with pytest.raises(InternalError) as caught:
        jit.load(DOUBLE.replace("%x, %x", "%x, %y"))
    assert ":3:24: error" in str(caught.value)
    assert "fadd double %x, %y" in str(caught.value)


@native
def test_verify_sees_what_the_parser_does_not(monkeypatch):
    text = """
define double @f(i1 %c, double %x) {
entry:
  br i1 %c, label %a, label %b
a:
  %y = fadd double %x, %x
  br label %b
b:
  ret double %y
}
"""
    jit.verify(DOUBLE)
    with pytest.raises(InternalError, match="dominate"):
        jit.verify(text)
    monkeypatch.setattr(jit, "VERIFY", True)
    with pytest.raises(InternalError, match="dominate"):
        jit.load(text)


# ---- threads, forks, memory ------------------------------------------------------------------


def numbered(k):
    return DOUBLE.replace("@double_it", f"@f{k}").replace("%x, %x", f"%x, {k}.0")


@native
def test_threads_that_compile_at_once():
    wrong = []

    def work(first):
        for k in range(first, first + 10):
            library = jit.load(numbered(k))
            if real(library, f"f{k}")(1.0) != k + 1:
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(10 * t,)) for t in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@native
def test_libraries_outlive_the_engine_that_they_came_from(monkeypatch):
    monkeypatch.setattr(jit, "_LIBRARIES", 3)
    kept = {}
    for k in range(20):
        library = jit.load(numbered(k))
        if k % 4 == 0:
            kept[k] = library
    del library
    gc.collect()
    assert [real(library, f"f{k}")(1.0) for k, library in kept.items()] == [k + 1 for k in kept]


@native
def test_dropping_waits_for_nobody():
    gc.collect()  # what other tests left behind
    library = jit.load(DOUBLE)
    held, done = threading.Event(), threading.Event()

    def hold():
        with jit._LOCK:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    del library
    assert len(jit._DROPPED) == 1
    done.set()
    holder.join()
    jit.load(DOUBLE)
    assert not jit._DROPPED


@native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_compiles():
    done = run(
        "import os, threading\n"
        "from thalweg.execute.native import jit\n"
        "text = 'define double @f{0}(double %x) {{\\n  ret double {0}.0\\n}}\\n'\n"
        "def work():\n"
        "    for k in range(60):\n"
        "        jit.load(text.format(k))\n"
        "worker = threading.Thread(target=work)\n"
        "jit.load(text.format(1000))\n"
        "worker.start()\n"
        "while worker.is_alive():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        jit.load(text.format(2000 + os.getpid()))\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "print('fine')\n",
        PYTHONWARNINGS="ignore",
        THALWEG_CACHE_DIR="",
    )
    assert done.stdout == "fine\n", done.stderr


@native
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="measures as Linux does")
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_dropped_libraries_take_no_memory(count, monkeypatch):
    monkeypatch.setenv("THALWEG_CACHE_DIR", "")
    monkeypatch.setattr(jit, "_LIBRARIES", 25)

    def churn(first):
        for k in range(first, first + count):
            jit.load(numbered(k))

    churn(0)
    before = resident()
    churn(count)
    # Held, they would take 30 kB each.
    assert resident() - before < 8e3 * count


@native
def test_a_library_in_a_cycle_is_closed_once_and_by_who_has_the_lock(monkeypatch):
    """A collector that closed the parts of a cycle on its own would race with other threads."""
    held = []
    close = jit.llvm.ResourceTracker._dispose

    def dispose(self):
        held.append(jit._LOCK._is_owned())
        close(self)

    monkeypatch.setattr(jit.llvm.ResourceTracker, "_dispose", dispose)
    gc.collect()
    held.clear()
    library = jit.load(numbered(7))
    library.itself = library
    before = set(jit._LOADED)
    del library
    gc.collect()
    assert held == [True]
    assert len(before - set(jit._LOADED)) == 1


@native
def test_the_end_of_the_process_is_quiet():
    done = run(
        "from thalweg.execute.native import jit, threads\n"
        "kept = jit.load('define void @f() {\\n  ret void\\n}\\n', threads.runtime())\n"
        "kept.itself = kept\n"
        "other = [jit.load('define void @f() {\\n  ret void\\n}\\n')]\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
