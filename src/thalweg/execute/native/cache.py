"""Object code on disk, so that a second process does not compile again.

One file an entry, named by the key, which is a digest of all that the code depends on. A file is
written beside its place and then renamed: whole or not there. It is believed only if its header
and checksum hold, so damage costs no more than a recompilation; and only if nobody but the user
and root can have written it, as what stands in it will run. Whatever the disk refuses (read-only,
full, missing) costs only the cache: `cache_info` says what it was.
"""

from __future__ import annotations

import functools
import hashlib
import os
import struct
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import platformdirs

from thalweg.config import config

__all__ = ["FORMAT", "CacheInfo", "cache_info", "clear_cache", "directory", "read", "write"]

#: Version of the files and of what stands in them; a new one makes all old entries strangers.
FORMAT = 1

_MAGIC = b"THALWEG\0"
_HEADER = struct.Struct("<8sIQ32s32s")  # magic, format, length of the code, key, checksum
_SUFFIX = ".native"
_UNFINISHED = ".unfinished"

#: Seconds: a hit renews a file's time when it is older; what a killed process left is removed then.
_HOUR = 3600.0
#: Writes after which the directory is measured again: other processes write there, too.
_WRITES = 64


class CacheInfo(NamedTuple):
    """The disk cache as it is.

    Attributes
    ----------
    directory : Path or None
        Where it is; None: there is none.
    entries, bytes : int
        How many pieces of code it holds, and what they take.
    problem : str
        What the disk refused last in this process (it costs only the cache); empty: nothing.
    """

    directory: Path | None
    entries: int
    bytes: int
    problem: str


class _State:
    """What this process knows of its directory."""

    directory: Path | None = None
    bytes = 0
    writes = 0
    problem = ""


_STATE = _State()


@functools.cache
def _usual_directory() -> Path | None:
    path = Path(platformdirs.user_cache_dir("thalweg", appauthor=False))
    return path if path.is_absolute() else None  # relative: a user without a home


def directory() -> Path | None:
    """Where entries are kept: ``THALWEG_CACHE_DIR``, else the user's cache; None: nowhere."""
    chosen = os.environ.get("THALWEG_CACHE_DIR")
    if chosen is None:
        return _usual_directory()
    if not chosen:
        return None
    try:
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    except OSError as error:  # relative, and the working directory is gone
        _STATE.problem = str(error)
        return None


def read(key: bytes) -> bytes | None:
    """The code kept under a key of 32 bytes; None, if it is not there or not to be trusted."""
    folder = directory()
    if folder is None:
        return None
    try:
        with (folder / (key.hex() + _SUFFIX)).open("rb") as file:
            status = os.fstat(file.fileno())
            if not _is_ours(status):
                _STATE.problem = f"{file.name}: another user may have written it, so it is not run"
                return None
            content = file.read()
            if time.time() - status.st_mtime > _HOUR:
                _touch(file.fileno(), file.name)
    except FileNotFoundError:
        return None
    except OSError as error:
        _STATE.problem = str(error)
        return None
    code = content[_HEADER.size :]
    return code if content[: _HEADER.size] == _header(key, code) else None


def _is_ours(status: os.stat_result) -> bool:
    """Whether only this user and root can have written a file (where files have owners)."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def _touch(number: int, name: str) -> None:
    """Note that an entry was used; a disk that cannot be written removes nothing anyway."""
    try:
        os.utime(number if os.utime in os.supports_fd else name)
    except OSError as error:
        _STATE.problem = str(error)


def _header(key: bytes, code: bytes) -> bytes:
    checksum = hashlib.sha256(key + code).digest()
    return _HEADER.pack(_MAGIC, FORMAT, len(code), key, checksum)


def write(key: bytes, code: bytes) -> None:
    """Keep code under a key of 32 bytes, as far as the disk allows.

    There is no fsync: what a crash of the machine leaves of a file fails its checksum.
    """
    folder = directory()
    if folder is None or config.cache_bytes <= 0:
        return
    content = _header(key, code) + code
    unfinished = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, unfinished = tempfile.mkstemp(_UNFINISHED, "", folder)
        with os.fdopen(number, "wb") as file:
            file.write(content)
        os.replace(unfinished, folder / (key.hex() + _SUFFIX))
    except OSError as error:
        _STATE.problem = str(error)
        if unfinished is not None:
            _remove(unfinished)
        return
    _keep_bounded(folder, len(content))


def _keep_bounded(folder: Path, added: int) -> None:
    """Remove what was not used for the longest time, where all takes more than it may."""
    state = _STATE
    state.bytes += added
    state.writes += 1
    known = state.directory == folder and state.writes < _WRITES
    if known and state.bytes <= config.cache_bytes:
        return
    entries = _entries(folder)
    state.directory, state.writes = folder, 0
    state.bytes = sum(size for _, size, _ in entries)
    if state.bytes <= config.cache_bytes:
        return
    # A tenth more than needed: the next write need not come back at once.
    for _, size, name in sorted(entries):
        if state.bytes <= 0.9 * config.cache_bytes:
            break
        _remove(name)
        state.bytes -= size


def _entries(folder: Path) -> list[tuple[float, int, str]]:
    """Time of last use, bytes and name of every entry; what killed processes left is removed."""
    found = []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                if not entry.name.endswith((_SUFFIX, _UNFINISHED)):
                    continue
                try:
                    status = entry.stat()
                except OSError:  # another process removed it
                    continue
                if entry.name.endswith(_SUFFIX):
                    found.append((status.st_mtime, status.st_size, entry.path))
                elif time.time() - status.st_mtime > _HOUR:
                    _remove(entry.path)
    except OSError as error:
        _STATE.problem = str(error)
    return found


def _remove(name: str) -> None:
    try:
        os.unlink(name)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            _STATE.problem = str(error)


def cache_info() -> CacheInfo:
    """What the disk cache of compiled functions holds, and where.

    It is the user's cache directory, or ``THALWEG_CACHE_DIR`` (empty: no disk cache); it takes at
    most ``config.cache_bytes``.

    Examples
    --------
    >>> import thalweg as tw
    >>> tw.cache_info().bytes <= tw.config.cache_bytes
    True
    """
    folder = directory()
    entries = [] if folder is None else _entries(folder)
    return CacheInfo(folder, len(entries), sum(size for _, size, _ in entries), _STATE.problem)


def clear_cache() -> None:
    """Remove every compiled function from the disk cache; those that are loaded keep working.

    Examples
    --------
    >>> import thalweg as tw
    >>> tw.clear_cache()
    """
    folder = directory()
    if folder is None:
        return
    for _, _, name in _entries(folder):
        _remove(name)
    _STATE.bytes = 0
