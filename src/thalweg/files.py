"""Files that are whole or not there: a crash while writing leaves the old file as it was."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from thalweg.errors import DataError

__all__ = ["check_place", "make_folder", "write_npz", "write_text", "write_whole"]

_BINARY = getattr(os, "O_BINARY", 0)  # Windows: no other ends of lines


def check_place(path: str | Path) -> None:
    """Find out whether `path` can be written, without touching what is there.

    Raises
    ------
    DataError
        If it can't.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise DataError(f"cannot write {target}: {target.parent} is not a folder")
    if target.is_dir():
        raise DataError(f"cannot write {target}: it is a folder")
    handle, name = _temporary(target)
    os.close(handle)
    _remove(name)


def make_folder(path: str | Path) -> Path:
    """Make a folder, and those above it, where it is not there.

    Raises
    ------
    DataError
        If it can't be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    return folder


def write_whole(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Make the file `path` of what `write` puts into a binary file.

    It goes to a temporary file beside `path`, which is synced, then renamed.

    Raises
    ------
    DataError
        If the place cannot be written to.
    """
    target = Path(path)
    handle, name = _temporary(target)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except OSError as error:
        _remove(name)
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    except BaseException:
        _remove(name)
        raise
    _sync_folder(target.parent)


def write_text(path: str | Path, text: str) -> None:
    """Make the file `path` of `text` in UTF-8, as `write_whole` does."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_npz(path: str | Path, arrays: dict[str, Any]) -> None:
    """Make the file `path` of arrays by name, as `numpy.savez` does, whole or not at all."""
    write_whole(path, lambda file: np.savez(file, **arrays))


def _temporary(target: Path) -> tuple[int, str]:
    """A new file beside `target`, with the permissions that a new file gets.

    `tempfile` makes private ones, and to ask for the umask is to change it for all threads.
    """
    name = str(target.parent / f".{target.name}.{secrets.token_hex(4)}")
    try:
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666), name
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error


def _remove(name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name)


def _sync_folder(folder: Path) -> None:
    """The rename itself is on disk (where the system lets folders be opened)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
