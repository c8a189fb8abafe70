"""Checkpoints: one safetensors file each, with its JSON in the header; whole or not there."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.errors import CheckpointWarning, DataError
from thalweg.files import check_place, make_folder, write_whole
from thalweg.optional import library
from thalweg.training.step import counted
from thalweg.tree import flatten, flatten_with_paths, unflatten

__all__ = ["Checkpoints"]

_WHAT = "a checkpoint"
_FORMAT = "thalweg checkpoint 1"
_NAME = re.compile(r"step-(\d+)\.safetensors")


@dataclass(frozen=True)
class Checkpoints:
    """Where checkpoints go, and how many stay.

    A checkpoint is one file, ``step-0000000042.safetensors``: the arrays, and in the header's
    metadata a JSON text with everything else and a check sum of both.

    Parameters
    ----------
    folder : path
        Made where it is not there.
    every : int, optional
        Steps between checkpoints, besides the one after every epoch.
    keep : int
        How many stay: the newest ones.

    Raises
    ------
    DataError
        If the package `safetensors` is not there, or a number is below 1.
    """

    folder: str | Path
    every: int | None = None
    keep: int = 3

    def __post_init__(self) -> None:
        library("safetensors", _WHAT)
        counted(keep=self.keep, every=1 if self.every is None else self.every)

    def files(self) -> list[Path]:
        """The checkpoints that are there, newest first."""
        folder = Path(self.folder)
        found = [path for path in folder.glob("step-*") if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.stem[5:]), reverse=True)

    def save(self, step: int, tree: Any, about: dict[str, Any]) -> Path:
        """Write a checkpoint, then remove the oldest ones.

        Raises
        ------
        DataError
            If the folder cannot be written to, or an array's dtype cannot be stored.
        """
        folder = make_folder(self.folder)
        arrays = _named(tree)
        text = json.dumps({"format": _FORMAT, "about": about, "arrays": _forms(arrays)})
        plain = {name: _plain(name, array) for name, array in arrays.items()}
        header = {"thalweg": text, "crc32": str(_sum(text, plain))}
        data = library("safetensors.numpy", _WHAT).save(plain, header)
        path = folder / f"step-{step:010d}.safetensors"
        write_whole(path, lambda file: file.write(data))
        for old in [other for other in self.files() if other != path][self.keep - 1 :]:
            with contextlib.suppress(OSError):
                old.unlink()
        return path

    def load(self, path: str | Path, template: Any) -> tuple[Any, dict[str, Any]]:
        """The tree in a checkpoint and what `save` was told about it.

        `template` is a tree of the same form, whose arrays say the shapes and dtypes.

        Raises
        ------
        DataError
            If the file is damaged, no checkpoint of Thalweg, or of another model.
        """
        return _restored(path, *_read(Path(path)), template)

    def newest(self, template: Any) -> tuple[Any, dict[str, Any]] | None:
        """What the newest readable checkpoint holds; None where there is no checkpoint.

        A damaged one is passed over with a `CheckpointWarning`.

        Raises
        ------
        DataError
            If none can be read, or it is of another model.
        """
        files = self.files()
        for path in files:
            try:
                found = _read(path)
            except DataError as error:
                if path == files[-1]:
                    raise
                warnings.warn(
                    f"{error}\n  Going on from the one before it.", CheckpointWarning, stacklevel=3
                )
            else:
                return _restored(path, *found, template)
        return None

    def prepare(self, tree: Any) -> None:
        """Make the folder, and remove what a killed process left half-written.

        Raises
        ------
        DataError
            As `save` of this tree would: told before the training, not after an epoch of it.
        """
        for name, array in _named(tree).items():
            _plain(name, array)
        folder = make_folder(self.folder)
        check_place(folder / "step-.safetensors")
        for path in folder.glob(".step-*.safetensors.*"):
            with contextlib.suppress(OSError):
                path.unlink()


def _restored(
    path: str | Path, text: str, plain: dict[str, np.ndarray], template: Any
) -> tuple[Any, dict[str, Any]]:
    """What `_read` found, in the form of `template`."""
    kept = json.loads(text)
    arrays = _named(template)
    forms = json.loads(json.dumps(_forms(arrays)))
    if forms != kept["arrays"]:
        theirs, ours = kept["arrays"], forms
        odd = next(n for n in [*theirs, *ours] if theirs.get(n) != ours.get(n))
        raise DataError(
            f"{path} belongs to another model or optimiser: {odd!r} is "
            f"{theirs.get(odd, 'not there')} in it and {ours.get(odd, 'not there')} here "
            "(dtype, shape)"
        )
    leaves = [plain[name].view(array.dtype).reshape(array.shape) for name, array in arrays.items()]
    return unflatten(flatten(template)[1], leaves), kept["about"]


def _named(tree: Any) -> dict[str, np.ndarray]:
    leaves, _ = flatten_with_paths(tree)
    return {
        f"{position:05d} {'.'.join(map(str, path))}": np.asarray(leaf)
        for position, (path, leaf) in enumerate(leaves)
    }


def _forms(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()}


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """The array with a dtype that the format has: complex numbers as pairs of reals."""
    if array.dtype.kind not in "fciub" or array.dtype.itemsize > (
        16 if array.dtype.kind == "c" else 8
    ):
        raise DataError(f"a checkpoint cannot hold {name!r}: dtype {array.dtype}")
    whole = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype.kind == "c":
        return whole.reshape(-1).view(whole.real.dtype)
    return whole


def _sum(text: str, arrays: dict[str, np.ndarray]) -> int:
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        total = zlib.crc32(name.encode() + arrays[name].tobytes(), total)
    return total


def _read(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """JSON and arrays of a file, checked against its check sum."""
    package = library("safetensors", _WHAT)
    try:
        with package.safe_open(str(path), framework="np") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (package.SafetensorError, OSError, ValueError) as error:
        raise DataError(f"the checkpoint {path} cannot be read: {error}") from error
    text = header.get("thalweg")
    if text is None or not text.startswith(f'{{"format": "{_FORMAT}"'):
        raise DataError(f"{path} is no checkpoint of this version of tw.fit")
    if header.get("crc32") != str(_sum(text, arrays)):
        raise DataError(f"the checkpoint {path} is damaged: its check sum does not agree")
    return text, arrays
