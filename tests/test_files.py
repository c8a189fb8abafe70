"""Files are whole or not there, and like any other new file."""

from __future__ import annotations

import os
import stat
import sys

import numpy as np
import pytest

from thalweg.errors import DataError
from thalweg.files import check_place, make_folder, write_npz, write_text, write_whole


def test_text_and_arrays_come_back(tmp_path):
    write_text(tmp_path / "a.txt", "größe\n")
    assert (tmp_path / "a.txt").read_bytes() == "größe\n".encode()
    write_npz(tmp_path / "a.npz", {"a": np.arange(3), "b": np.array("text")})
    with np.load(tmp_path / "a.npz") as found:
        assert found["a"].tolist() == [0, 1, 2]
        assert found["b"] == "text"
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "a.txt"]


@pytest.mark.parametrize("broken", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, broken):
    path = tmp_path / "w.txt"
    write_text(path, "old")

    def write(file):
        file.write(b"ne")
        raise broken

    with pytest.raises((DataError, KeyboardInterrupt)) as caught:
        write_whole(path, write)
    assert "No space left" in str(caught.value) or caught.type is KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["w.txt"]


def test_a_disk_that_is_full_at_the_last_moment(tmp_path, monkeypatch):
    path = tmp_path / "w.txt"
    write_text(path, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["w.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_it_has_the_permissions_of_a_new_file(tmp_path, monkeypatch):
    (tmp_path / "plain").write_text("")

    def refuse(mask):
        raise AssertionError("the umask is that of all threads")

    monkeypatch.setattr(os, "umask", refuse)
    write_text(tmp_path / "ours", "")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert modes[0] == modes[1]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "no" / "w", tmp_path / "file" / "w"):
        with pytest.raises(DataError, match="cannot write"):
            check_place(place)
        with pytest.raises(DataError, match="cannot write"):
            write_text(place, "x")
    with pytest.raises(DataError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "below")
    check_place(tmp_path / "w")
    assert os.listdir(tmp_path) == ["file"]
