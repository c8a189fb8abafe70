"""Trained numbers on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thalweg.files import write_whole

__all__ = ["save_npz"]


def save_npz(path: str | Path, arrays: dict[str, Any]) -> None:
    """Write `arrays` as one ``.npz``: whole or not at all.

    Raises
    ------
    DataError
        If the place cannot be written to.
    """
    write_whole(path, lambda file: np.savez(file, **arrays))
