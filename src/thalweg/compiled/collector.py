"""Python's search for cycles stays out while a graph is made."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["paused"]

#: New objects above which the next search would be a long one.
_MANY = 50_000


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No collection of cycles inside: a large graph, which has none, would be searched many times.

    What is left of many new objects counts as old afterwards, as if a search had passed it, unless
    somebody uses `gc.freeze`, whose objects would count as old ones too.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if gc.get_count()[0] > _MANY and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
