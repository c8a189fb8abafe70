"""Settings that a user may change, in one place: ``thalweg.config``."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

__all__ = ["Config", "Pool", "config"]


def _default_pool_bytes() -> int:
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return 2**28
    return min(2**30, memory // 8)


class Pool:
    """Memory of output arrays of compiled functions, kept for the next when one is dropped.

    Examples
    --------
    >>> import thalweg as tw
    >>> tw.config.pool.clear()
    >>> tw.config.pool.idle
    0
    """

    __slots__ = ("counters", "trim")

    def __init__(self) -> None:
        # Shared with native code: bytes that may be idle, are idle, are in use.
        self.counters = array("q", [_default_pool_bytes(), 0, 0])
        self.trim: Callable[[int], object] | None = None  # set once there is a pool

    @property
    def idle(self) -> int:
        """Bytes that wait for the next output."""
        return self.counters[1]

    @property
    def used(self) -> int:
        """Bytes in arrays that are alive, and in calls under way."""
        return self.counters[2]

    def clear(self) -> None:
        """Give all idle memory back to the system."""
        if self.trim:
            self.trim(0)

    def __repr__(self) -> str:
        return f"Pool(idle={self.idle:,}, used={self.used:,})"


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
    compile : str
        ``"now"`` (default): a call that has to compile waits for it. ``"background"``: NumPy serves
        until a thread has compiled.
    pool : Pool
        Memory that waits for the next output array: ``pool.idle`` bytes; ``pool.clear()`` frees it.
    """

    dense_limit: int = 2**31
    cache_bytes: int = 2**29
    compile: Literal["now", "background"] = "now"
    pool: Pool = field(default_factory=Pool)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("dense_limit", "cache_bytes") and not (
            isinstance(value, Real) and float(value) >= 0
        ):
            raise ValueError(f"{name}={value!r}: it must be a number of bytes")
        if name == "compile" and value not in ("now", "background"):
            raise ValueError(f'compile={value!r}: it must be "now" or "background"')
        object.__setattr__(self, name, value)

    @property
    def pool_bytes(self) -> int:
        """Bytes that `pool` may keep idle (default 1 GiB, at most an eighth of the memory)."""
        return self.pool.counters[0]

    @pool_bytes.setter
    def pool_bytes(self, limit: int) -> None:
        if limit < 0:
            raise ValueError(f"pool_bytes={limit}: at least 0 (nothing is kept)")
        self.pool.counters[0] = limit
        if self.pool.trim:
            self.pool.trim(limit)


config = Config()
