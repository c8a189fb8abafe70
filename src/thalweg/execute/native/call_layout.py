"""Where objects of Python and NumPy keep what the call path reads; proved before it is believed.

Offsets are those of CPython and NumPy 2 on 64-bit machines. They belong to the ABI (C macros of the
headers compile to them), yet a build may differ: `problem` looks at probe objects first.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "BASE",
    "DATA",
    "DESCR",
    "DIMS",
    "FLAGS",
    "HANDLER",
    "LIST_ITEMS",
    "METH_FASTCALL",
    "METH_KEYWORDS",
    "NDIM",
    "SIZE",
    "TUPLE_ITEMS",
    "TYPE",
    "VALUE",
    "immortal",
    "numpy_symbols",
    "problem",
    "python_function",
    "python_symbols",
]

TYPE = 8  #: of any object: its type
SIZE = 16  #: of a tuple, list or dict: number of entries
LIST_ITEMS = 24  #: pointer to the items
TUPLE_ITEMS = tuple.__basicsize__  #: the items themselves
VALUE = 16  #: of a float or NumPy scalar: the number
DATA, NDIM, DIMS, BASE, DESCR, FLAGS, HANDLER = 16, 24, 32, 48, 56, 64, 88  #: of an ndarray

METH_FASTCALL, METH_KEYWORDS = 0x80, 0x02  #: how C functions of Python are called

#: Places in NumPy's table of C functions; they never change.
_NUMPY_API = {"PyArray_Scalar": 60, "PyArray_NewFromDescr": 94}
_GET_HANDLER = 305


def python_symbols(*names: str) -> dict[str, int]:
    """Addresses of functions of Python's C API."""
    return {name: _address(getattr(ctypes.pythonapi, name)) for name in names}


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


@functools.cache
def _numpy_table() -> Any:
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return (ctypes.c_void_p * (_GET_HANDLER + 1)).from_address(get_pointer(capsule, None))


def numpy_symbols(*names: str) -> dict[str, int]:
    """Addresses of functions of NumPy's C API."""
    table = _numpy_table()
    return {name: table[_NUMPY_API[name]] for name in names}


class _MethodDef(ctypes.Structure):
    """Python's `PyMethodDef`: a C function and how it is called."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_new_function = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
)(("PyCFunction_NewEx", ctypes.pythonapi))


@functools.cache
def _definition(name: str, address: int, flags: int) -> _MethodDef:
    definition = _MethodDef(name.encode(), address, flags, None)
    immortal(definition)  # functions point to it
    return definition


def python_function(name: str, address: int, flags: int, self: object) -> Callable[..., Any]:
    """A built-in function of Python over machine code that stays in memory for good."""
    definition = _definition(name, address, flags)
    made: Callable[..., Any] = _new_function(ctypes.addressof(definition), self, None)
    return made


def immortal(*things: object) -> None:
    """Keep objects until the process ends: machine code and what it points to."""
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _word(thing: Any, offset: int) -> int:
    return ctypes.c_int64.from_address(id(thing) + offset).value


def _words(thing: Any, offset: int) -> list[int]:
    """The two words behind a pointer."""
    return list((ctypes.c_int64 * 2).from_address(_word(thing, offset)))


def _half(thing: Any, offset: int) -> int:
    return ctypes.c_int32.from_address(id(thing) + offset).value


@functools.cache
def problem() -> str:
    """Why objects cannot be read natively here; empty, if they can."""
    if sys.implementation.name != "cpython":
        return f"objects are read by CPython's layout, and this is {sys.implementation.name}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "free-threaded Python: objects change while they are read"
    if sys.maxsize < 2**32 or sys.byteorder != "little":
        return "objects are read on little-endian 64-bit machines only"
    if object.__basicsize__ != 16:
        return "objects of this build of Python have another header"
    if np.ndarray.__basicsize__ < HANDLER + 8:
        return f"NumPy {np.__version__} keeps its arrays in another way"
    wrong = [name for name, right in _probes() if not right]
    return f"unknown layout of {', '.join(wrong)} in memory" if wrong else ""


def _probes() -> list[tuple[str, bool]]:
    """Every offset against an object whose content is known."""
    one, two = object(), object()
    pair, items = (one, two), [one, two]
    number = 1.25
    scalars: list[Any] = [np.float64(1.5), np.int64(7), np.float32(1.5), np.int32(7), np.bool_(1)]
    array = np.arange(6.0).reshape(2, 3)
    turned = array.T
    get_handler = ctypes.PYFUNCTYPE(ctypes.py_object)(_numpy_table()[_GET_HANDLER])
    return [
        ("object", _word(one, TYPE) == id(object)),
        ("tuple", _word(pair, SIZE) == 2 and _word(pair, TUPLE_ITEMS + 8) == id(two)),
        # A list's pointer to its items stands before its capacity, an array's to its lengths before
        # that to its strides, which follow them in memory: else it is not followed.
        (
            "list",
            _word(items, SIZE) == 2
            and 2 <= _word(items, LIST_ITEMS + 8) <= 16
            and _words(items, LIST_ITEMS) == [id(one), id(two)],
        ),
        ("dict", _word({1: 1, 2: 2, 3: 3}, SIZE) == 3),
        ("float", ctypes.c_double.from_address(id(number) + VALUE).value == number),
        (
            "NumPy scalars",
            all(
                ctypes.string_at(id(scalar) + VALUE, scalar.nbytes) == scalar.tobytes()
                for scalar in scalars
            ),
        ),
        (
            "ndarray",
            _word(array, DATA) == array.ctypes.data
            and _half(array, NDIM) == 2
            and _word(array, DESCR) == id(np.dtype(np.float64))
            and _word(turned, BASE) == id(array.base)
            and _half(array, FLAGS) == array.flags.num
            and _half(turned, FLAGS) == turned.flags.num
            and _word(array, DIMS + 8) == _word(array, DIMS) + 16
            and _words(array, DIMS) == [2, 3],
        ),
        ("NumPy memory handlers", _word(array.base, HANDLER) == id(get_handler())),
    ]
