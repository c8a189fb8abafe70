"""Packages that only some features need: loaded by name when the feature is used."""

from __future__ import annotations

import importlib
from typing import Any

from thalweg.errors import DataError

__all__ = ["library"]


def library(name: str, purpose: str) -> Any:
    """The module `name`, of a package in the extra ``thalweg[train]``.

    Raises
    ------
    DataError
        Where it is not installed: what needs it, and how to get it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = {"sklearn": "scikit-learn"}.get(name.split(".")[0], name.split(".")[0])
        raise DataError(
            f"{purpose} needs the package {package}: pip install 'thalweg[train]'"
        ) from error
