"""Settings that a user may change, in one place: ``thalweg.config``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Config", "config"]


@dataclass(slots=True)
class Config:
    """Settings of the process.

    Attributes
    ----------
    dense_limit : int
        Bytes that one dense Jacobian or Hessian may take (default 2 GiB); above it
        `SizeLimitError` is raised instead of exhausting memory.
    """

    dense_limit: int = 2**31


config = Config()
