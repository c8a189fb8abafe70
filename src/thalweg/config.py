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
    cache_bytes : int
        Bytes that compiled code may take on disk (default 512 MiB); beyond, what was not used for
        the longest time is removed. The directory is the user's cache, or ``THALWEG_CACHE_DIR``
        (empty: no disk cache).
    """

    dense_limit: int = 2**31
    cache_bytes: int = 2**29


config = Config()
