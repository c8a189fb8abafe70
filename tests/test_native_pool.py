"""Memory of output arrays: used again when, and only when, nobody holds it."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg.config import Config, config
from thalweg.execute.native import pool
from thalweg.execute.native.pool import available, empty

pytestmark = pytest.mark.skipif(bool(available()), reason=available())

N = 50_000


Used = Callable[[], int]


@pytest.fixture(autouse=True)
def used() -> Iterator[Used]:
    """Bytes of the pool that are in use beyond those of other tests."""
    empty((N,))
    limit, before = config.pool_bytes, config.pool.used
    config.pool.clear()
    yield lambda: config.pool.used - before
    config.pool_bytes = limit
    config.pool.clear()


def address(array: np.ndarray[Any, Any]) -> int:
    return array.ctypes.data


def test_memory_comes_back_when_the_array_is_dropped(used: Used) -> None:
    a = empty((N,))
    first, size = address(a), used()
    assert size >= 8 * N
    del a
    assert (used(), config.pool.idle) == (0, size)
    assert address(empty((N,))) == first
    assert address(empty((N // 2, 2))) == first
    assert config.pool.idle == size


def test_an_array_from_the_pool_is_an_ordinary_one() -> None:
    a = empty((3, N), "f4")
    assert (type(a), a.shape, a.dtype, a.base) == (np.ndarray, (3, N), np.dtype("f4"), None)
    assert a.flags.carray
    assert a.flags.owndata
    assert address(a) % 64 == 0
    a[...] = 1.0
    a.flags.writeable = False
    a.flags.writeable = True
    a[0, 0] = 2.0
    assert a.sum(dtype=float) == 3 * N + 1
    same = pickle.loads(pickle.dumps(a))
    assert np.array_equal(same, a)
    assert np.array_equal(a.copy(), a)
    assert empty((5, 0)).shape == (5, 0)
    assert empty(()).shape == ()
    assert empty((N,), object)[0] is None
    assert empty((N,), ">f8").dtype == ">f8"
    assert empty((N,), np.dtype([("x", "f8"), ("y", "i4")]))["y"].shape == (N,)


HOLDERS: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "view": lambda a: a.view("i8"),
    "slice": lambda a: a[10:20],
    "memoryview": memoryview,
    "transposed": lambda a: a.reshape(-1, 10).T,
    "buffer": np.frombuffer,
}


@pytest.mark.parametrize("hold", HOLDERS)
def test_what_somebody_holds_is_never_given_again(hold: str) -> None:
    a = empty((N,))
    a[...] = 7.0
    where = address(a)
    holder = HOLDERS[hold](a)
    del a
    gc.collect()
    others = [empty((N,)) for _ in range(20)]
    for other in others:
        other[...] = 0.0
        assert address(other) != where
    assert (np.frombuffer(np.ascontiguousarray(holder).tobytes()) == 7.0).all()
    del holder
    gc.collect()
    assert where in {address(array) for array in [*others, empty((N,))]}


def test_random_holders(used: Used) -> None:
    rng = np.random.default_rng(0)
    held: dict[int, np.ndarray[Any, Any]] = {}
    for step in range(3000):
        key = int(rng.integers(40))
        old = held.pop(key, None)
        if old is not None:
            assert (old == old[0]).all()
            del old
        size = int(rng.integers(128, 4000))
        fresh = empty((size,), "i4" if step % 2 else "f8")
        fresh[...] = step
        held[key] = fresh[: size // 2] if step % 3 == 0 else fresh
    for array in held.values():
        assert (array == array[0]).all()
    del array, fresh
    held.clear()
    assert used() == 0


def test_resize_goes_through_the_pool(used: Used) -> None:
    a = empty((N,))
    a[...] = 3.0
    a.resize((2 * N,))
    assert (a[:N] == 3.0).all()
    assert (a[N:] == 0.0).all()
    a.resize((100,))
    assert (a == 3.0).all()
    a.resize((101,))
    assert a[100] == 0.0
    del a
    assert used() == 0
    b = empty((N,))
    view = b[:]
    with pytest.raises(ValueError, match="resize"):
        b.resize((2 * N,))
    assert view.size == N


def test_idle_memory_is_bounded(used: Used) -> None:
    one = empty((N,))
    size = used()
    del one
    config.pool_bytes = 3 * size
    arrays = [empty((N,)) for _ in range(10)]
    assert used() == 10 * size
    arrays.clear()
    assert config.pool.idle == 3 * size
    # Another size takes the place of what is not used any more.
    large = empty((2 * N,))
    del large
    assert 2 * size <= config.pool.idle <= 3 * size
    again = empty((2 * N,))
    assert config.pool.idle <= size
    del again
    # More than the limit at once is not kept.
    before = config.pool.idle
    huge = empty((20 * N,))
    del huge
    assert config.pool.idle == before
    config.pool_bytes = size
    assert config.pool.idle <= size
    config.pool_bytes = 0
    assert config.pool.idle == 0
    a = empty((N,))
    del a
    assert config.pool.idle == 0
    with pytest.raises(ValueError, match="pool_bytes"):
        config.pool_bytes = -1


def test_the_settings_show_and_clear_the_pool() -> None:
    a = empty((N,))
    del a
    assert config.pool.idle > 0
    assert f"idle={config.pool.idle:,}" in repr(config)
    config.pool.clear()
    assert config.pool.idle == 0
    other = Config()
    assert other.pool.idle == 0
    other.pool.clear()
    assert 0 < other.pool_bytes <= 2**30


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_clearing_gives_memory_back_to_the_system() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    arrays = [empty((5_000_000 // 8,)) for _ in range(20)]
    for array in arrays:
        array[...] = 1.0
    del array
    before = resident()
    arrays.clear()
    assert resident() > before - 20_000_000
    config.pool.clear()
    assert resident() < before - 80_000_000


def test_size_classes_waste_little(used: Used) -> None:
    for nbytes in [1024, 1025, 5000, 2**20, 2**20 + 1, 10**7, 2**22, 2**22 + 1]:
        a = empty((nbytes,), np.uint8)
        assert nbytes <= used() <= 1.25 * nbytes + 64
        a[-1] = 1
        del a
    assert used() == 0


def test_no_memory_is_an_error(used: Used) -> None:
    for size in (2**46, 2**59):
        with pytest.raises(MemoryError):
            empty((size,))
    with pytest.raises((ValueError, OverflowError)):
        empty((2**62,))
    assert used() == 0


def test_threads(used: Used) -> None:
    wrong: list[int] = []

    def work(k: int) -> None:
        for i in range(300):
            a = empty((200 + k * i,))
            a[...] = k
            b = a[::2]
            del a
            if (b != k).any():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert used() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork() -> None:
    code = """
import os, sys
import numpy as np
from thalweg.execute.native.pool import empty
a = empty((50_000,)); a[:] = 1.0
b = empty((50_000,)); del b
pid = os.fork()
if pid == 0:
    c = empty((50_000,)); c[:] = 2.0
    ok = (a == 1.0).all()
    del a
    d = empty((50_000,)); d[:] = 3.0
    os._exit(0 if ok and (c == 2.0).all() else 1)
c = empty((50_000,)); c[:] = 4.0
status = os.waitpid(pid, 0)[1]
assert (a == 1.0).all() and (c == 4.0).all()
sys.exit(os.waitstatus_to_exitcode(status))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_arrays_that_outlive_the_interpreter() -> None:
    code = """
import sys
import numpy as np
from thalweg.execute.native.pool import empty
class Late:
    def __init__(self, array): self.array = array
    def __del__(self): self.array = self.array[::2].copy()
sys.late = Late(empty((50_000,)))
np.late = [empty((50_000,)), empty((10_000_000,))]
late = Late(empty((50_000,)))
late.cycle = late
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_small_arrays_are_numpys_own(used: Used) -> None:
    small = empty((pool.POOLED_BYTES // 8 - 1,))
    assert used() == 0
    assert small.flags.owndata
