"""The thread pool: every chunk runs once, whoever calls, however often, after a fork, too."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from thalweg.errors import InternalError, UserError
from thalweg.execute.native import jit, threads, threads_ir

pytestmark = pytest.mark.skipif(bool(jit.available()), reason=jit.available())

#: chunk: counts itself; long: the same, 20 µs later; nested: a job of 4 chunks from 4 · itself on.
TEXT = """
declare i64 @tw_parallel(ptr, ptr, i64, i64)
define internal void @chunk(ptr %frame, i64 %i) nounwind {
  %slot = getelementptr i64, ptr %frame, i64 %i
  atomicrmw add ptr %slot, i64 1 seq_cst, align 8
  ret void
}
define internal void @long(ptr %frame, i64 %i) nounwind {
entry:
  br label %wait
wait:
  %n = phi i64 [0, %entry], [%n1, %wait]
  %n1 = add i64 %n, 1
  %volatile = load volatile i64, ptr %frame, align 8
  %more = icmp slt i64 %n1, 20000
  br i1 %more, label %wait, label %end
end:
  call void @chunk(ptr %frame, i64 %i)
  ret void
}
define internal void @nested(ptr %frame, i64 %i) nounwind {
  %four = mul i64 %i, 4
  %slot = getelementptr i64, ptr %frame, i64 %four
  call i64 @tw_parallel(ptr @chunk, ptr %slot, i64 4, i64 4)
  ret void
}
define i64 @short_job(ptr %frame, i64 %count, i64 %threads) nounwind {
  %helped = call i64 @tw_parallel(ptr @chunk, ptr %frame, i64 %count, i64 %threads)
  ret i64 %helped
}
define i64 @long_job(ptr %frame, i64 %count, i64 %threads) nounwind {
  %helped = call i64 @tw_parallel(ptr @long, ptr %frame, i64 %count, i64 %threads)
  ret i64 %helped
}
define i64 @nested_job(ptr %frame, i64 %count, i64 %threads) nounwind {
  %helped = call i64 @tw_parallel(ptr @nested, ptr %frame, i64 %count, i64 %threads)
  ret i64 %helped
}
; Jobs one after the other, without Python between them.
define void @jobs(ptr %frame, i64 %count, i64 %threads, i64 %jobs) nounwind {
entry:
  br label %next
next:
  %n = phi i64 [0, %entry], [%n1, %next]
  call i64 @tw_parallel(ptr @chunk, ptr %frame, i64 %count, i64 %threads)
  %n1 = add i64 %n, 1
  %more = icmp slt i64 %n1, %jobs
  br i1 %more, label %next, label %end
end:
  ret void
}
"""


class Jobs:
    """The functions above, called with the GIL released."""

    def __init__(self, symbols=None):
        library = self.library = jit.load(TEXT, symbols or threads.runtime())
        integer = ctypes.c_int64
        three = ctypes.CFUNCTYPE(integer, ctypes.c_void_p, integer, integer)
        self.short = three(library.address("short_job"))
        self.long = three(library.address("long_job"))
        self.nested = three(library.address("nested_job"))
        self.many = ctypes.CFUNCTYPE(None, ctypes.c_void_p, integer, integer, integer)(
            library.address("jobs")
        )


@pytest.fixture(scope="module")
def jobs():
    return Jobs()


def test_the_runtime_library_is_valid_ir():
    jit.verify(threads_ir.pool_text())
    jit.verify(threads_ir.SERIAL)
    assert threads.is_pooled() == (sys.platform != "win32")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 10_000])
@pytest.mark.parametrize("number", [-1, 0, 1, 2, 3, 16])
def test_every_chunk_runs_once(jobs, count, number):
    ran = np.zeros(count + 1, np.int64)
    helped = jobs.short(ran.ctypes.data, count, number)
    assert (ran[:count] == 1).all()
    assert ran[count] == 0
    assert 0 <= helped <= count
    assert helped == 0 or number > 1


def test_workers_take_part(jobs):
    ran = np.zeros(64, np.int64)
    deadline = time.monotonic() + 30
    while jobs.long(ran.ctypes.data, 64, 4) == 0:
        assert time.monotonic() < deadline, "no worker ever took a chunk"


def test_jobs_with_pauses_in_which_workers_fall_asleep(jobs):
    ran = np.zeros(8, np.int64)
    for _ in range(50):
        jobs.long(ran.ctypes.data, 8, 3)
        time.sleep(0.002)
    assert (ran == 50).all()


@pytest.mark.parametrize("number", [2, 8])
def test_many_small_jobs(jobs, number):
    ran = np.zeros(3, np.int64)
    jobs.many(ran.ctypes.data, 3, number, 50_000)
    assert (ran == 50_000).all()


def test_nested_calls(jobs):
    ran = np.zeros(400, np.int64)
    jobs.nested(ran.ctypes.data, 100, 3)
    assert (ran == 1).all()


def test_eight_python_threads_at_once(jobs):
    results = [np.zeros(50, np.int64) for _ in range(8)]
    start = threading.Barrier(8)

    def call(ran):
        start.wait()
        for k in range(100):
            (jobs.short, jobs.long)[k % 2](ran.ctypes.data, 50, 1 + k % 4)

    callers = [threading.Thread(target=call, args=(ran,)) for ran in results]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((ran == 100).all() for ran in results)


#: A process of its own: the number of its threads is then known, and warnings of a fork are ours.
FORK = """
import ctypes, os, sys, threading, warnings
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_native_threads import Jobs
warnings.simplefilter("error")
jobs = Jobs()
ran = np.zeros(64, np.int64)
before = threading.active_count()

def child(what):
    own = np.zeros(64, np.int64)
    while jobs.long(own.ctypes.data, 64, 3) == 0:  # its own workers help in the end
        pass
    assert len(set(own)) == 1, own
    os._exit(what)

def system_threads():
    return len(os.listdir("/proc/self/task"))

alone = system_threads()
for turn in range(5):
    jobs.long(ran.ctypes.data, 64, 3)
    assert system_threads() == alone + 2
    pid = os.fork()
    if pid == 0:
        child(turn)
    assert system_threads() == alone  # the parent's idle workers have ended, too
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == turn

# Forks while another thread's job is under way.
warnings.simplefilter("ignore", DeprecationWarning)
stop = False

def work():
    while not stop:
        jobs.long(ran.ctypes.data, 64, 3)

worker = threading.Thread(target=work)
worker.start()
for turn in range(20):
    pid = os.fork()
    if pid == 0:
        child(turn)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == turn
stop = True
worker.join()
assert len(set(ran)) == 1
print("fine")
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads as Linux does")
def test_fork():
    done = subprocess.run(
        [sys.executable, "-c", FORK, os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout == "fine\n", done.stderr


def test_signals_are_left_to_python():
    """A worker that took the signal would end the process: the main thread blocks it."""
    code = (
        "import os, signal, sys; import numpy as np; sys.path.insert(0, sys.argv[1])\n"
        "from test_native_threads import Jobs\n"
        "jobs = Jobs(); ran = np.zeros(64, np.int64); jobs.long(ran.ctypes.data, 64, 3)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print(signal.sigwait([signal.SIGTERM]).name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("SIGTERM\n", 0), done.stderr


def test_without_pthread_the_caller_does_all(monkeypatch):
    monkeypatch.setattr(threads, "_LOADED", {})
    monkeypatch.setattr(
        threads_ir, "pool_text", lambda: "declare void @no_such_thing()\n" + _calls("no_such_thing")
    )
    assert not threads.is_pooled()
    serial = Jobs(threads.runtime())
    for count in (0, 1, 5):
        ran = np.zeros(count + 1, np.int64)
        assert serial.short(ran.ctypes.data, count, 4) == 0
        assert (ran[:count] == 1).all()
        assert ran[count] == 0


def _calls(name):
    return f"define void @tw_parallel() {{\n  call void @{name}()\n  ret void\n}}\n"


def test_the_symbols_are_those_of_one_library():
    assert threads.runtime() is threads.runtime()
    with pytest.raises(InternalError, match="tw_parallel"):
        jit.load(TEXT)


def test_default_threads(monkeypatch):
    monkeypatch.delenv("THALWEG_NUM_THREADS", raising=False)
    assert 1 <= threads.default_threads() <= (os.cpu_count() or 1)
    for text, number in (("3", 3), (" 12 ", 12)):
        monkeypatch.setenv("THALWEG_NUM_THREADS", text)
        assert threads.default_threads() == number
    for text in ("0", "-1", "two", "1.5", "²"):
        monkeypatch.setenv("THALWEG_NUM_THREADS", text)
        with pytest.raises(UserError, match="THALWEG_NUM_THREADS"):
            threads.default_threads()
