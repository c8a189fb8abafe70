"""Memory for output arrays that is used again once the user has dropped the array.

Fresh memory costs a page fault every 4 KiB, more than most kernels that fill it. Blocks of the pool
are kept when NumPy frees an array and given to the next one of about the same size; large ones lie
in huge pages. An array from here is an ordinary one: it owns its data (`OWNDATA`), can be written,
resized and frozen; it only has another `PyDataMem_Handler` (NEP 49), whose ``free`` puts the block
back. So a block is used again exactly when NumPy would have freed it: no array, view or buffer of
it is left.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from thalweg.config import config
from thalweg.execute.native import call_layout, jit
from thalweg.execute.native.pool_code import pool_code

__all__ = ["POOLED_BYTES", "NativePool", "available", "empty", "native_pool"]

#: Smaller arrays get NumPy's own memory, which it keeps in a cache of its own.
POOLED_BYTES = 1024


class _Allocator(ctypes.Structure):
    """NumPy's `PyDataMem_Handler` of version 1."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


class NativePool(NamedTuple):
    """The running pool.

    Attributes
    ----------
    symbols : dict of str to int
        Its functions, for code that calls them.
    empty : callable
        ``empty(dtype, nbytes, *dims)``.
    trim : callable
        ``trim(nbytes)`` frees idle blocks until at most so many bytes are idle.
    """

    symbols: dict[str, int]
    empty: Callable[..., np.ndarray[Any, Any]]
    trim: Callable[[int], object]


def available() -> str:
    """Why arrays come from NumPy's memory here; empty, if the pool serves."""
    return jit.available() or call_layout.problem()


_started: dict[str, NativePool] = {}


def native_pool() -> NativePool:
    """The pool of this process, started with the first call."""
    # Two threads may both start one; the first to be entered here is the pool.
    found = _started.get("pool")
    if found is None:
        found = _started.setdefault("pool", _start())
        config.pool.trim = found.trim
    return found


def _start() -> NativePool:
    library = jit.load(
        pool_code(linux=sys.platform == "linux"),
        {
            **call_layout.python_symbols(
                "PyMem_RawMalloc",
                "PyMem_RawFree",
                "Py_IncRef",
                "PyErr_NoMemory",
                "PyErr_Occurred",
                "PyLong_AsSsize_t",
            ),
            **call_layout.numpy_symbols("PyArray_NewFromDescr"),
        },
        level=jit.QUICK,
    )
    allocator = _Allocator(
        b"thalweg_pool",
        1,
        None,
        *[library.address(f"pool_{name}") for name in ("malloc", "calloc", "realloc", "free")],
    )
    new_capsule = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
    )(("PyCapsule_New", ctypes.pythonapi))
    name = b"mem_handler"
    handler = new_capsule(ctypes.addressof(allocator), name, None)
    counters = config.pool.counters
    start = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    start(library.address("pool_start"))(counters.buffer_info()[0], id(np.ndarray), id(handler))
    # Arrays outlive everything, also the interpreter's end: their `free` must stay in memory.
    call_layout.immortal(library, allocator, handler, name, counters)
    trim = ctypes.PYFUNCTYPE(None, ctypes.c_int64)(library.address("pool_trim"))
    new = call_layout.python_function(
        "empty", library.address("pool_empty"), call_layout.METH_FASTCALL, None
    )
    names = ("pool_take", "pool_put", "pool_array")
    return NativePool({name: library.address(name) for name in names}, new, trim)


def empty(shape: Sequence[int], dtype: DTypeLike = float) -> np.ndarray[Any, Any]:
    """A new C-contiguous array with arbitrary entries, as `numpy.empty`, from the pool if large.

    Examples
    --------
    >>> from thalweg.execute.native.pool import empty
    >>> empty((300, 200), "f4").shape
    (300, 200)
    """
    kind = np.dtype(dtype)
    nbytes = math.prod(shape) * kind.itemsize
    if nbytes < POOLED_BYTES or kind.hasobject or available():
        return np.empty(shape, kind)
    return native_pool().empty(kind, nbytes, *shape)
