"""Calls of compiled functions: the arguments are looked at and the results built by native code.

`make_entry` turns a `CallPlan` (what the arguments must be, what the results are) into a built-in
function of Python. A call whose arguments are not exactly so goes to a fallback in Python, which
may be the entry of another plan.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import itertools
import math
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import InternalError
from thalweg.execute.native import call_layout, jit
from thalweg.execute.native.call_code import call_code
from thalweg.execute.native.call_words import Head, Op
from thalweg.execute.native.pool import POOLED_BYTES, native_pool
from thalweg.tree import LEAF, Structure, unflatten

__all__ = [
    "ArgumentOut",
    "ArrayLeaf",
    "ArrayOut",
    "CallPlan",
    "ConstantOut",
    "NumberLeaf",
    "NumberOut",
    "StaticLeaf",
    "as_leaf",
    "entry_available",
    "make_entry",
    "unserved",
]

_C_CONTIGUOUS, _ALIGNED, _WRITEABLE = 0x1, 0x100, 0x400

#: Types whose objects are told apart by their value rather than by who they are.
_BY_VALUE = (int, str, bytes)

#: What may stand in a class under a field's name: a slot; a function that is the default,
#: behind which the instance's own comes first.
_LOOKED_UP = (types.MemberDescriptorType, types.FunctionType)


class ArrayLeaf(NamedTuple):
    """An argument that must be an `numpy.ndarray`, C-contiguous and aligned.

    With `inplace` main writes to it: it must be writeable, and share no memory with another input.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    inplace: bool = False


class NumberLeaf(NamedTuple):
    """An argument that must be a number of exactly one of one or two types.

    `float` and NumPy's scalar types of at most 8 bytes: main gets a pointer to the number as it is
    in memory. `int`, alone: main gets it as a 64-bit integer; larger ones go to the fallback.
    """

    types: tuple[type, ...]


class StaticLeaf(NamedTuple):
    """An argument that main knows: it must be this very object, or an equal int, str or bytes."""

    value: Any


class ArrayOut(NamedTuple):
    """A result that is a new array (with the shape (), one without axes)."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class NumberOut(NamedTuple):
    """A result that is a NumPy scalar."""

    dtype: np.dtype[Any]


class ArgumentOut(NamedTuple):
    """A result that is the array of input leaf number `leaf`: main has written to it."""

    leaf: int


class ConstantOut(NamedTuple):
    """A result that is always the same object; main has no pointer for it."""

    value: Any


class CallPlan(NamedTuple):
    """What a compiled function takes and gives.

    Attributes
    ----------
    in_structure : Structure
        Of the tuple of positional arguments, as `thalweg.tree.flatten` gives it.
    inputs : tuple
        Its leaves: `ArrayLeaf`, `NumberLeaf` or `StaticLeaf`. Main's %inputs are the data pointers
        of those that are not static, in this order.
    out_structure : Structure
    outputs : tuple
        Leaves of the result: `ArrayOut`, `NumberOut`, `ArgumentOut` or `ConstantOut`. Main's
        %outputs are the data pointers of those that are not constant, in this order; that of an
        `ArgumentOut` is the pointer of its input.
    arena_bytes : int
        What main's %arena has, 64-byte aligned.
    release_gil : bool
        Whether main runs without Python's lock: worth 50 ns from about 10 µs on.
    """

    in_structure: Structure
    inputs: tuple[ArrayLeaf | NumberLeaf | StaticLeaf, ...]
    out_structure: Structure
    outputs: tuple[ArrayOut | NumberOut | ArgumentOut | ConstantOut, ...]
    arena_bytes: int = 0
    release_gil: bool = False


def entry_available() -> str:
    """Why calls go through Python here; empty, if `make_entry` serves."""
    return jit.available() or call_layout.problem()


def unserved(structure: Structure) -> str:
    """Why arguments of this structure are taken apart in Python; empty, if natively."""
    kind = structure.kind
    if kind is None or kind is type(None):
        return ""
    if kind is dict:
        if not all(type(key) is str for key in structure.keys):
            return "a dict with keys that are not str"
    elif issubclass(kind, tuple):
        if kind.__iter__ is not tuple.__iter__ or kind.__len__ is not tuple.__len__:
            return f"{kind.__name__}, a tuple with an order of its own"
    elif kind is not list and not (dataclasses.is_dataclass(kind) and _plain(kind, structure)):
        return f"{kind.__name__}, a container of its own kind"
    return next(filter(None, map(unserved, structure.children)), "")


def _plain(kind: type, structure: Structure) -> bool:
    """Whether reading the fields of a dataclass only looks them up: no code of its own runs."""
    if issubclass(kind, (dict, list)) or kind.__getattribute__ is not object.__getattribute__:
        return False
    for name in (*structure.keys, *(field.name for field in structure.statics)):
        found = next((vars(c)[name] for c in kind.__mro__ if name in vars(c)), None)
        if hasattr(type(found), "__get__") and type(found) not in _LOOKED_UP:
            return False
    return True


class _Machine(NamedTuple):
    """Where the machine of `call_code` is."""

    entry: int


@functools.cache
def _machine() -> _Machine:
    library = jit.load(
        call_code(),
        {
            **call_layout.python_symbols(
                "Py_IncRef",
                "Py_DecRef",
                "PyDict_GetItemWithError",
                "PyDict_New",
                "PyDict_SetItem",
                "PyErr_Clear",
                "PyErr_NoMemory",
                "PyErr_Occurred",
                "PyEval_RestoreThread",
                "PyEval_SaveThread",
                "PyList_New",
                "PyLong_AsLongLong",
                "PyObject_GetAttr",
                "PyObject_RichCompareBool",
                "PyObject_Vectorcall",
                "PyTuple_New",
            ),
            **call_layout.numpy_symbols("PyArray_NewFromDescr", "PyArray_Scalar"),
            **native_pool().symbols,
        },
    )
    call_layout.immortal(library)
    start = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(library.address("call_start"))
    start(id(np.ndarray))
    return _Machine(library.address("entry"))


def make_entry(
    plan: CallPlan, address: int, fallback: Callable[..., Any], keep: object = None
) -> Callable[..., Any]:
    """A built-in function that calls native code for arguments as `plan` says.

    Parameters
    ----------
    plan : CallPlan
    address : int
        Of ``i64 main(ptr inputs, ptr outputs, ptr arena)``.
    fallback : callable
        What any other call goes to, as it came: other arguments, keywords, or main ≠ 0.
    keep : object, optional
        Lives as long as the entry: the library that main is in.

    Returns
    -------
    callable
        The entry; `fallback` itself, where `entry_available` or `unserved` give a reason.
    """
    if entry_available() or unserved(plan.in_structure):
        return fallback
    words, objects = _Writer(plan).write(address)
    return call_layout.python_function(
        "compiled",
        _machine().entry,
        call_layout.METH_FASTCALL | call_layout.METH_KEYWORDS,
        (fallback, np.array(words, np.int64), objects, keep),
    )


class _Writer:
    """Writes the words of a plan; see `call_words`. Offsets are those in the frame."""

    _FRAME = 8  # the register with the frame's own address

    def __init__(self, plan: CallPlan) -> None:
        self.plan = plan
        self.words: list[int] = []
        self.objects: list[Any] = []
        place = 16  # behind registers 0 and 1
        self.registers = itertools.count(place, 8)
        place += 8 * _branches(plan.in_structure)
        self.notes = place
        place += 8 * len(plan.inputs)
        self.inputs = place
        place += 8 * len(plan.inputs)
        self.outputs = place
        place += 8 * len(plan.outputs)
        self.slots = itertools.count(-(-place // 16) * 16, 16)
        place = -(-place // 16) * 16 + 16 * (len(plan.inputs) + len(plan.outputs))
        self.owned = self.owned_end = place

    def write(self, address: int) -> tuple[list[int], list[Any]]:
        """The words, and the objects whose addresses stand in them."""
        self._arguments()
        self._results()
        arena = -(-self.owned_end // 64) * 64
        head = {
            Head.ARGUMENTS: len(self.plan.in_structure.children),
            Head.BLOCK: arena + self.plan.arena_bytes,
            Head.OWNED: self.owned,
            Head.OWNED_END: self.owned_end,
            Head.INPUTS: self.inputs,
            Head.OUTPUTS: self.outputs,
            Head.ARENA: arena,
            Head.MAIN: address,
        }
        return [head[word] for word in Head] + self.words, self.objects

    def _emit(self, op: Op, *operands: int) -> None:
        self.words += (op, *operands)

    def _id(self, thing: Any) -> int:
        self.objects.append(thing)
        return id(thing)

    def _own(self, count: int = 1) -> int:
        place = self.owned_end
        self.owned_end += 8 * count
        return place

    # ---- arguments -------------------------------------------------------------------------

    def _arguments(self) -> None:
        plan = self.plan
        if plan.in_structure.n_leaves != len(plan.inputs):
            raise InternalError(f"{plan.in_structure!r} with {len(plan.inputs)} leaves")
        #: Of each leaf: where main's pointer to it is (static ones have none).
        dynamic = itertools.count(self.inputs, 8)
        self.pointers = [
            0 if isinstance(leaf, StaticLeaf) else next(dynamic) for leaf in plan.inputs
        ]
        numbers = iter(range(len(plan.inputs)))
        for i, child in enumerate(plan.in_structure.children):
            self._argument(child, (0, 8 * i), numbers)
        self._disjoint()

    def _argument(
        self, structure: Structure, item: tuple[int, int], numbers: Iterator[int]
    ) -> None:
        """Words for the argument at `item` (a register and a distance) and what is in it."""
        kind = structure.kind
        if kind is None:
            self._leaf(next(numbers), item)
        elif kind is type(None):
            self._emit(Op.IS, *item, id(None))
        elif issubclass(kind, (tuple, list)):
            register = next(self.registers)
            op = Op.TUPLE if issubclass(kind, tuple) else Op.LIST
            self._emit(op, *item, self._id(kind), len(structure.children), register)
            for i, child in enumerate(structure.children):
                inside = (register, 8 * i)
                if op is Op.LIST:  # others may change it while main runs
                    owned = self._own()
                    self._emit(Op.HOLD, *inside, owned)
                    inside = (self._FRAME, owned)
                self._argument(child, inside, numbers)
        else:
            if kind is dict:
                self._emit(Op.DICT, *item, self._id(kind), len(structure.children))
            else:
                self._emit(Op.INSTANCE, *item, self._id(kind))
            for key, child in zip(structure.keys, structure.children, strict=True):
                owned = self._own()
                self._emit(Op.KEY if kind is dict else Op.FIELD, *item, self._id(key), owned)
                self._argument(child, (self._FRAME, owned), numbers)
            for field in structure.statics:
                owned = self._own()
                self._emit(Op.FIELD, *item, self._id(field.name), owned)
                self._static((self._FRAME, owned), field.value)

    def _static(self, item: tuple[int, int], value: Any) -> None:
        by_value = type(value) in _BY_VALUE
        self._emit(Op.EQUAL if by_value else Op.IS, *item, self._id(value))

    def _leaf(self, i: int, item: tuple[int, int]) -> None:
        leaf = self.plan.inputs[i]
        if isinstance(leaf, ArrayLeaf):
            flags = _C_CONTIGUOUS | _ALIGNED | (_WRITEABLE if leaf.inplace else 0)
            self._emit(
                Op.ARRAY,
                *item,
                self._id(_singleton(leaf.dtype)),
                flags,
                self.pointers[i],
                self.notes + 8 * i,
                len(leaf.shape),
                *leaf.shape,
            )
        elif isinstance(leaf, NumberLeaf):
            if not _readable(leaf.types):
                raise InternalError(f"{leaf}: numbers that cannot be read")
            first, second = map(self._id, (leaf.types * 2)[:2])
            if leaf.types == (int,):
                self._emit(Op.INTEGER, *item, first, self.pointers[i], next(self.slots))
            else:
                self._emit(Op.NUMBER, *item, first, second, self.pointers[i], next(self.slots))
        else:
            self._static(item, leaf.value)

    def _disjoint(self) -> None:
        """No memory that main writes to may be another input too."""
        table = []
        for leaf, pointer in zip(self.plan.inputs, self.pointers, strict=True):
            if isinstance(leaf, ArrayLeaf) and (size := _nbytes(leaf)):
                table.append((pointer, size, int(leaf.inplace), 0))
        if len(table) > 1 and any(written for _, _, written, _ in table):
            self._emit(Op.DISJOINT, len(table), *itertools.chain(*table))

    # ---- results ---------------------------------------------------------------------------

    def _results(self) -> None:
        plan = self.plan
        if plan.out_structure.n_leaves != len(plan.outputs):
            raise InternalError(f"{plan.out_structure!r} with {len(plan.outputs)} leaves")
        leaves: list[int] = []
        containers: list[tuple[Structure, int, int]] = []
        result = self._own()
        _places(plan.out_structure, result, self._own, leaves, containers)
        after: list[tuple[int, ...]] = []
        pointers = itertools.count(self.outputs, 8)
        for out, owned in zip(plan.outputs, leaves, strict=True):
            if isinstance(out, ArrayOut):
                op = Op.POOLED if _nbytes(out) >= POOLED_BYTES else Op.FRESH
                dtype, pointer = self._id(_singleton(out.dtype)), next(pointers)
                ndim = len(out.shape)
                self._emit(op, dtype, _nbytes(out), ndim, owned, pointer, *out.shape)
            elif isinstance(out, NumberOut):
                slot = next(self.slots)
                self._emit(Op.SLOT, next(pointers), slot)
                after.append((Op.SCALAR, slot, self._id(_singleton(out.dtype)), owned))
            elif isinstance(out, ArgumentOut):
                self._emit(Op.SAME, next(pointers), self.pointers[out.leaf])
                after.append((Op.NOTED, self.notes + 8 * out.leaf, owned))
            else:
                after.append((Op.OBJECT, self._id(out.value), owned))
        self._emit(Op.RELEASE if plan.release_gil else Op.RUN)
        # All leaves are owned before the first container: making one may run other code.
        self.words += itertools.chain(*after)
        for structure, owned, first in reversed(containers):
            self._container(structure, owned, first)
        self._emit(Op.RETURN, result)

    def _container(self, structure: Structure, owned: int, first: int) -> None:
        kind, length = structure.kind, len(structure.children)
        if kind is type(None):
            self._emit(Op.OBJECT, id(None), owned)
        elif kind is tuple:
            self._emit(Op.NEW_TUPLE, owned, length, first)
        elif kind is list:
            self._emit(Op.NEW_LIST, owned, length, first)
        elif kind is dict:
            self._emit(Op.NEW_DICT, owned, length, first, *map(self._id, structure.keys))
        else:
            flat = structure._replace(children=(LEAF,) * length)
            build = functools.partial(_build, flat)
            self._emit(Op.CALL, owned, length, first, self._id(build))


def _build(structure: Structure, *children: Any) -> Any:
    return unflatten(structure, children)


def _branches(structure: Structure) -> int:
    return (structure.kind is not None) + sum(map(_branches, structure.children))


def _places(
    structure: Structure,
    owned: int,
    own: Callable[[int], int],
    leaves: list[int],
    containers: list[tuple[Structure, int, int]],
) -> None:
    """Give every part of a result its place: children of one container lie side by side.

    `containers` gets each with its place and that of its first child, the outer before the inner.
    """
    if structure.kind is None:
        leaves.append(owned)
        return
    first = own(len(structure.children))
    containers.append((structure, owned, first))
    for i, child in enumerate(structure.children):
        _places(child, first + 8 * i, own, leaves, containers)


def _readable(kinds: Sequence[type]) -> bool:
    """Whether the machine knows where objects of these types keep their number."""
    return kinds == (int,) or (
        0 < len(kinds) <= 2
        and all(
            kind is float
            or (issubclass(kind, (np.number, np.bool_)) and np.dtype(kind).itemsize <= 8)
            for kind in kinds
        )
    )


def _singleton(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype object that NumPy gives its arrays: one that is equal may be another object."""
    return np.dtype(dtype.type) if dtype.isnative and dtype.kind in "biufc" else dtype


def _nbytes(array: ArrayLeaf | ArrayOut) -> int:
    return array.dtype.itemsize * math.prod(array.shape)


def as_leaf(value: Any, shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """`value` as main needs it: a C-contiguous, aligned `ndarray` of `dtype`.

    A copy only where it is needed: of strided, misaligned or byte-swapped arrays and other dtypes.
    Of a subclass the plain array is taken.

    Raises
    ------
    InternalError
        If `value` has another shape: the caller chose the wrong program.
    """
    array = np.asarray(value, dtype=dtype, order="C")
    if array.shape != tuple(shape):
        raise InternalError(f"shape {array.shape} where the program takes {tuple(shape)}")
    return array if array.flags.aligned else array.copy()
