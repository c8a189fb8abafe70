"""Object code on disk: whole or not there, believed only when its checksum holds, bounded."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thalweg.config import config
from thalweg.execute.native import cache, jit

KEY = bytes(range(32))
CODE = b"object code " * 100


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache directory that is not there yet."""
    path = tmp_path / "cache"
    monkeypatch.setenv("THALWEG_CACHE_DIR", str(path))
    monkeypatch.setattr(cache, "_STATE", cache._State())
    return path


def entries(folder):
    return sorted(path for path in folder.iterdir() if path.suffix == ".native")


def number(k):
    return k.to_bytes(32, "little")


# ---- reading and writing ---------------------------------------------------------------------


def test_what_is_written_is_read(folder):
    assert cache.read(KEY) is None
    cache.write(KEY, CODE)
    assert cache.read(KEY) == CODE
    assert cache.read(number(1)) is None
    assert [path.name for path in folder.iterdir()] == [f"{KEY.hex()}.native"]
    assert cache.cache_info().bytes == entries(folder)[0].stat().st_size
    assert not cache.cache_info().problem
    cache.clear_cache()
    assert cache.read(KEY) is None
    assert cache.cache_info().bytes == 0


def test_the_directory(folder, monkeypatch):
    assert cache.directory() == folder
    monkeypatch.setenv("THALWEG_CACHE_DIR", "~/there")
    assert cache.directory() == Path.home() / "there"
    monkeypatch.delenv("THALWEG_CACHE_DIR")
    assert "thalweg" in str(cache.directory())
    monkeypatch.setenv("THALWEG_CACHE_DIR", "")
    assert cache.directory() is None
    cache.write(KEY, CODE)
    assert cache.read(KEY) is None
    assert cache.cache_info() == (None, 0, 0, "")
    cache.clear_cache()


@pytest.mark.skipif(sys.platform == "win32", reason="a directory in use cannot be removed")
def test_a_relative_directory(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setenv("THALWEG_CACHE_DIR", "here")
    monkeypatch.chdir(gone)
    assert cache.directory() == gone / "here"
    gone.rmdir()
    cache.write(KEY, CODE)
    assert cache.read(KEY) is None
    assert cache.cache_info().problem


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", lambda *_, **__: "~/.cache/thalweg")
    assert cache._usual_directory.__wrapped__() is None


def test_no_bytes_means_no_cache(folder, monkeypatch):
    monkeypatch.setattr(config, "cache_bytes", 0)
    cache.write(KEY, CODE)
    assert not folder.exists()


def test_only_the_user_reads_the_directory(folder):
    cache.write(KEY, CODE)
    assert folder.stat().st_mode & 0o077 == 0 or sys.platform == "win32"


# ---- files that are not to be believed -------------------------------------------------------


def corrupted(content, dice):
    """The bytes of an entry, changed as a disk or a person may."""
    how = dice.randrange(5)
    place = dice.randrange(len(content))
    if how == 0:  # one bit
        return (
            content[:place]
            + bytes([content[place] ^ 1 << dice.randrange(8)])
            + content[place + 1 :]
        )
    if how == 1:
        return content[:place]
    if how == 2:
        return content + dice.randbytes(dice.randrange(1, 20))
    if how == 3:
        return content[:place] + bytes(len(content) - place)
    return dice.randbytes(len(content))


@pytest.mark.parametrize("count", [200])
def test_corrupt_files_are_not_there(folder, count):
    dice = random.Random(1)
    cache.write(KEY, CODE)
    path = entries(folder)[0]
    whole = path.read_bytes()
    for _ in range(count):
        changed = corrupted(whole, dice)
        if changed == whole:
            continue
        path.write_bytes(changed)
        assert cache.read(KEY) is None
    path.write_bytes(b"")
    assert cache.read(KEY) is None
    cache.write(KEY, CODE)
    assert cache.read(KEY) == CODE


def test_another_format_or_another_key_is_not_believed(folder, monkeypatch):
    cache.write(KEY, CODE)
    path = entries(folder)[0]
    path.rename(folder / f"{number(1).hex()}.native")
    assert cache.read(number(1)) is None
    cache.write(KEY, CODE)
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert cache.read(KEY) is None


def rewritten(path, monkeypatch):
    path.chmod(0o666)


def of_another_user(path, monkeypatch):
    if os.geteuid() == 0:  # what root wrote is believed by all
        os.chown(path, 4321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="a system without owners of files")
@pytest.mark.parametrize("made", [rewritten, of_another_user])
def test_code_that_another_user_may_have_written_is_not_run(folder, monkeypatch, made):
    """A checksum tells damage from code, not the user's code from a stranger's."""
    cache.write(KEY, CODE)
    path = entries(folder)[0]
    with monkeypatch.context() as context:
        made(path, context)
        assert cache.read(KEY) is None
        assert path.name in cache.cache_info().problem
    cache.write(KEY, CODE)
    assert cache.read(KEY) == CODE


# ---- disks that refuse -----------------------------------------------------------------------


def test_a_file_where_the_directory_should_be(folder):
    folder.write_text("not a directory")
    cache.write(KEY, CODE)
    assert cache.read(KEY) is None
    assert str(folder) in cache.cache_info().problem
    cache.clear_cache()
    assert folder.read_text() == "not a directory"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written(folder):
    cache.write(KEY, CODE)
    folder.chmod(0o500)
    try:
        cache.write(number(1), CODE)
        assert "Permission" in cache.cache_info().problem
        assert cache.read(KEY) == CODE
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("refused", ["mkstemp", "fdopen", "replace"])
def test_a_full_or_read_only_disk(folder, monkeypatch, refused):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    module = cache.tempfile if refused == "mkstemp" else cache.os
    with monkeypatch.context() as context:
        context.setattr(module, refused, refuse)
        cache.write(KEY, CODE)
    assert "No space left" in cache.cache_info().problem
    assert list(folder.iterdir()) == []
    cache.write(KEY, CODE)
    assert cache.read(KEY) == CODE


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Linux, macOS")
def test_a_directory_that_is_not_there_any_more(folder):
    cache.write(KEY, CODE)
    entries(folder)[0].unlink()
    folder.rmdir()
    assert cache.read(KEY) is None
    cache.write(KEY, CODE)
    assert cache.read(KEY) == CODE


# ---- bounds ----------------------------------------------------------------------------------


def test_what_was_not_used_longest_goes_first(folder, monkeypatch):
    cache.write(number(0), CODE)
    each = entries(folder)[0].stat().st_size
    monkeypatch.setattr(config, "cache_bytes", 10 * each)
    past = time.time() - 1e6
    for k in range(1, 10):
        cache.write(number(k), CODE)
    for k in range(10):
        os.utime(folder / f"{number(k).hex()}.native", (past + k, past + k))
    assert cache.read(number(0)) == CODE  # used: its time is now
    for k in range(10, 14):
        cache.write(number(k), CODE)
        assert cache.cache_info().bytes <= config.cache_bytes
    there = [k for k in range(14) if cache.read(number(k)) is not None]
    assert there == [0, *range(14 - len(there) + 1, 14)]
    assert len(there) >= 8


def test_another_process_s_files_are_counted_and_foreign_ones_left_alone(folder, monkeypatch):
    folder.mkdir()
    (folder / "mine.txt").write_bytes(bytes(10_000))
    for k in range(20):
        (folder / f"{number(k).hex()}.native").write_bytes(bytes(1000))
    killed, young = folder / "old.unfinished", folder / "young.unfinished"
    killed.write_bytes(b"part")
    young.write_bytes(b"part")
    os.utime(killed, (1, 1))
    monkeypatch.setattr(config, "cache_bytes", 10_000)
    cache.write(KEY, CODE)
    assert cache.cache_info().bytes <= 10_000
    assert cache.read(KEY) == CODE
    assert not killed.exists()
    cache.clear_cache()
    assert sorted(path.name for path in folder.iterdir()) == ["mine.txt", "young.unfinished"]


# ---- with the compiler -----------------------------------------------------------------------

native = pytest.mark.skipif(bool(jit.available()), reason=jit.available())

TEXT = """
define i64 @answer() nounwind {
  ret i64 42
}
"""


def answer():
    library = jit.load(TEXT)
    return ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("answer"))()


@native
def test_the_second_load_does_not_compile(folder, monkeypatch):
    assert answer() == 42
    monkeypatch.setattr(jit, "_compile", None)
    assert answer() == 42


@native
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_corrupt_entries_are_compiled_again(folder, count):
    dice = random.Random(2)
    answer()
    path = entries(folder)[0]
    whole = path.read_bytes()
    for _ in range(count):
        path.write_bytes(corrupted(whole, dice))
        assert answer() == 42
        assert path.read_bytes() == whole


@native
def test_another_machine_s_or_version_s_entries_are_not_used(folder, monkeypatch):
    answer()
    target = jit.target()
    for changed in (
        target._replace(cpu="other"),
        target._replace(features=target.features + ",+other"),
    ):
        monkeypatch.setattr(jit, "target", lambda changed=changed: changed)
        assert jit._key_prefix.__wrapped__(2) != jit._key_prefix(2)
    monkeypatch.setattr(jit, "target", lambda: target)
    monkeypatch.setattr(cache, "FORMAT", 99)
    assert jit._key_prefix.__wrapped__(2) != jit._key_prefix(2)
    assert jit._key_prefix(1) != jit._key_prefix(2)


# ---- other processes -------------------------------------------------------------------------

WRITER = """
import itertools, sys
from thalweg.execute.native import cache
sys.stdout.write("ready\\n"); sys.stdout.flush()
for k in itertools.count():
    cache.write((k % 7).to_bytes(32, "little"), bytes([k % 7]) * 300_000)
"""


def start(code):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def check_all():
    """Every entry is whole: what its key says, or not there."""
    for k in range(7):
        assert cache.read(number(k)) in (None, bytes([k]) * 300_000)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_during_a_write(folder, count):
    dice = random.Random(3)
    for _ in range(count):
        writer = start(WRITER)
        with writer:
            assert writer.stdout.readline() == "ready\n"
            time.sleep(dice.random() * 0.02)
            writer.kill()
        check_all()
    for path in folder.glob("*.unfinished"):
        os.utime(path, (1, 1))
    cache.clear_cache()
    assert list(folder.iterdir()) == []


def test_two_processes_and_this_one_at_once(folder, monkeypatch):
    monkeypatch.setattr(config, "cache_bytes", 1_000_000)  # this one removes, too
    writers = [start(WRITER) for _ in range(2)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for k in range(100):
            cache.write(number(k % 7), bytes([k % 7]) * 300_000)
            check_all()
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert not cache.cache_info().problem
