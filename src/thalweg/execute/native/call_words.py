"""The words that a compiled call consists of: `call` writes them, `call_code` runs them."""

from __future__ import annotations

import enum

__all__ = ["Head", "Op"]


class Head(enum.IntEnum):
    """The words in front of the first instruction."""

    ARGUMENTS = 0  # number of positional arguments
    BLOCK = 1  # bytes of frame and arena together
    OWNED_END = 2  # the references that the call owns: from byte OWNED of the frame to here
    INPUTS = 3  # offsets in the frame: main's pointers to inputs and outputs, its arena
    OUTPUTS = 4
    ARENA = 5
    MAIN = 6  # address of main
    OWNED = 7


class Op(enum.IntEnum):
    """Instructions; behind each, its operand words.

    *item* is two words: a register (its offset in the frame) and a distance; the object stands at
    frame[register] + distance. Other names: offsets in the frame, or addresses of objects.
    """

    # Looking at arguments; what is different goes to the fallback.
    ARRAY = 0  # item, dtype, flags, input, note, ndim, dims …: input ← data, note ← the object
    NUMBER = 1  # item, type, other type, input, slot: a number of 8 bytes or less
    INTEGER = 2  # item, input, slot: a Python int that fits 64 bits
    IS = 3  # item, object
    EQUAL = 4  # item, object: the same type, and equal
    TUPLE = 5  # item, type, length, register ← its items
    LIST = 6  # item, type, length, register ← its items
    DICT = 7  # item, type, length
    INSTANCE = 8  # item, type
    HOLD = 9  # item, owned ← item
    KEY = 10  # item (a dict), key, owned ← its value
    FIELD = 11  # item, name, owned ← its attribute
    DISJOINT = 12  # count, then (input, bytes, written, last) …: no written memory is elsewhere too
    # Memory for results.
    FRESH = 13  # dtype, bytes, ndim, owned, output, dims …: a new array
    POOLED = 14  # the same with memory of the pool
    SLOT = 15  # output, slot: output ← the slot's address
    SAME = 16  # output, input
    RUN = 17  # call main
    RELEASE = 18  # call main without the GIL
    # Results.
    SCALAR = 19  # slot, dtype, owned: a NumPy scalar
    OBJECT = 20  # object, owned
    NOTED = 21  # note, owned: an argument
    NEW_TUPLE = 22  # owned, length, first: of the references from `first` on
    NEW_LIST = 23  # owned, length, first
    NEW_DICT = 24  # owned, length, first, keys …
    CALL = 25  # owned, length, first, callable
    RETURN = 26  # owned
