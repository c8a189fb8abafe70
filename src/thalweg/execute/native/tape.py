"""Graphs of many numbers: a tape that a small machine runs, instead of a line of code for each.

Straight-line code costs LLVM tens of microseconds a number. Here the numbers have slots of 8 bytes;
what is computed from the same depth of the graph by the same function is one run of slots, and the
machine does a run in vectors, with its operands gathered from their slots. The code grows with the
functions that occur, not with the graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from thalweg.execute.native.access import is_scalar_const, through
from thalweg.execute.native.emit import BITS, V
from thalweg.execute.native.fuse import Loop
from thalweg.execute.native.ir import Tensor, dtype_of
from thalweg.execute.native.scalar import apply_scalar
from thalweg.execute.native.writer import Writer

__all__ = ["Tape", "emit_tape", "make_tape"]

_SLOT = 8  # bytes
#: From so many numbers in one loop on a tape is cheaper than code.
LONG = 3000
#: Entries of one array that are worth a loop that copies them.
_FEW = 4

#: What a run applies: the function, the kinds of its operands, the kind of its result.
_Code = tuple[str, tuple[str, ...], str]


class Tape(NamedTuple):
    """A loop over one entry as data for the machine.

    Attributes
    ----------
    slots : dict
        The slot of each number that is computed or constant, and of each place in memory that is
        read.
    constants : array of uint8
        What the first slots hold.
    codes : list
        Which functions there are.
    runs : array of int64, (n, 4)
        Of each run: its code, how many numbers, where its operands' slots begin, its first slot.
    operands : array of int32
        Slots of operands: of a run first those of the first operand, then of the second, ….
    size : int
        How many slots there are.
    """

    slots: dict[object, int]
    constants: np.ndarray[Any, Any]
    codes: list[_Code]
    runs: np.ndarray[Any, Any]
    operands: np.ndarray[Any, Any]
    size: int


def make_tape(loop: Loop) -> Tape | None:
    """The tape of a loop, or None where straight-line code is better."""
    if loop.space or len(loop.inlined) < LONG:
        return None
    body = loop.body()
    slots: dict[object, int] = {}
    known: dict[tuple[bytes, str], int] = {}
    for x in (*(x for t in body for x in t.args), *(root.value for root in loop.roots)):
        if x not in slots and is_scalar_const(x):
            raw = np.asarray(x.data, dtype_of(x.kind)).tobytes().ljust(_SLOT, b"\0")
            slots[x] = known.setdefault((raw, x.kind), len(known))
    size = len(known)
    accesses = loop.accesses()
    for access in accesses.values():
        if slots.setdefault((access.base, access.offset), size) == size:
            size += 1
    # Depth in the graph; what is equally deep does not depend on each other.
    depth: dict[Tensor, int] = {}
    groups: dict[tuple[int, _Code], list[Tensor]] = {}
    for t in body:
        level = 1 + max([depth.get(x if x in depth else through(x), 0) for x in t.args], default=0)
        depth[t] = level
        code = (t.data, tuple([x.kind for x in t.args]), t.kind)
        groups.setdefault((level, code), []).append(t)
    codes: dict[_Code, int] = {}
    runs: list[tuple[int, int, int, int]] = []
    operands: list[int] = []
    for (_, code), members in sorted(groups.items(), key=lambda item: item[0][0]):
        runs.append((codes.setdefault(code, len(codes)), len(members), len(operands), size))
        slots.update(zip(members, itertools.count(size)))
        size += len(members)
        for i in range(len(code[1])):
            for t in members:
                x = t.args[i]
                slot = slots.get(x)
                if slot is None:
                    read = accesses.get((t, i))
                    slot = slots[through(x) if read is None else (read.base, read.offset)]
                operands.append(slot)
    return Tape(
        slots,
        np.frombuffer(b"".join([raw for raw, _ in known]) or b"\0" * _SLOT, np.uint8),
        list(codes),
        np.array(runs, np.int64),
        np.array(operands, np.int32),
        size,
    )


def emit_tape(
    w: Writer,
    loop: Loop,
    tape: Tape,
    pointer: Callable[[Tensor], str],
    slots: str,
    vector_bytes: int,
) -> None:
    """Emit the machine of a tape: fill the slots, do the runs, store the results.

    Parameters
    ----------
    pointer : callable
        The name of the pointer to a stored tensor's entries.
    slots : str
        The pointer to the memory of the slots.
    """
    module = w.module
    lanes = vector_bytes // _SLOT
    w.use_lanes(lanes)
    if tape.constants.size > 1:
        name = module.array(tape.constants)
        module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        w.lines.append(
            f"  call void @llvm.memcpy.p0.p0.i64(ptr {slots}, ptr {name}, "
            f"i64 {tape.constants.size}, i1 false)"
        )
    reads: dict[Tensor, dict[int, int]] = {}
    for access in loop.accesses().values():
        where = reads.setdefault(access.base, {})
        where[access.offset] = tape.slots[access.base, access.offset]
    for base, where in reads.items():
        _move(
            w,
            pointer(base),
            list(where),
            1,
            slots,
            list(where.values()),
            _step(base.kind),
            base.kind,
        )
    _machine(w, tape, slots)
    writes: dict[Tensor, tuple[list[int], list[int]]] = {}
    for k, root in enumerate(loop.roots):
        assert root.place is not None
        source = tape.slots.get(root.value)
        if source is None:
            found = loop.accesses().get((root.target, -1 - k))
            key = through(root.value) if found is None else (found.base, found.offset)
            source = tape.slots[key]
        from_, to = writes.setdefault(root.target, ([], []))
        from_.append(source)
        to.append(root.place[1])
    for target, (from_, to) in writes.items():
        _move(w, slots, from_, _step(target.kind), pointer(target), to, 1, target.kind)


def _step(kind: str) -> int:
    """How many numbers of this kind a slot has room for."""
    return 8 * _SLOT // BITS[kind]


def _move(
    w: Writer,
    source: str,
    at: list[int],
    source_step: int,
    into: str,
    to: list[int],
    into_step: int,
    kind: str,
) -> None:
    """Copy numbers one by one: entries `at` of `source` to entries `to` of `into`."""
    if len(at) < _FEW:
        for entry, place in zip(at, to, strict=True):
            value = w.load_scalar(source, V(str(entry * source_step), "i64"), kind)
            w.store_scalar(value, into, V(str(place * into_step), "i64"))
        return
    pairs = np.array([at, to], np.int64).T.ravel() * np.tile([source_step, into_step], len(at))
    table = w.module.array(pairs)
    with w.loop(V("0", "i64"), V(str(2 * len(at)), "i64"), 2) as state:
        a = w.load_scalar(table, state.index, "i64")
        b = w.load_scalar(table, w.s.add(state.index, V("1", "i64")), "i64")
        w.store_scalar(w.load_scalar(source, a, kind), into, b)


def _machine(w: Writer, tape: Tape, slots: str) -> None:
    """One turn a run: to the code of its function, a loop over its numbers, back."""
    runs, operands = w.module.array(tape.runs), w.module.array(tape.operands)
    with w.loop(V("0", "i64"), V(str(4 * len(tape.runs)), "i64"), 4) as state:
        code, count, begin, first = (
            w.load_scalar(runs, w.s.add(state.index, V(str(i), "i64")), "i64") for i in range(4)
        )
        labels = [w.label("code") for _ in tape.codes]
        done = w.label("done")
        cases = " ".join(f"i64 {i}, label %{name}" for i, name in enumerate(labels))
        w.lines.append(f"  switch i64 {code.text}, label %{done} [ {cases} ]")
        for (name, kinds, kind), label in zip(tape.codes, labels, strict=True):
            w.begin_block(label)
            with w.loop(V("0", "i64"), count, w.lanes) as turn:
                mask = w.inside(turn.index, count)
                values = []
                place = w.s.add(begin, turn.index)
                for operand_kind in kinds:
                    narrow = w.load(operands, place, "i32", 1, mask)
                    positions = w.e.convert(narrow, "i64")
                    step = w.e.const(_step(operand_kind), "i64")
                    values.append(w.gather(slots, w.e.mul(positions, step), operand_kind, mask))
                    place = w.s.add(place, count)
                result = apply_scalar(w.e, name, values)
                at = w.s.mul(w.s.add(first, turn.index), V(str(_step(kind)), "i64"))
                w.store(result, slots, at, _step(kind), mask)
            w.lines.append(f"  br label %{done}")
        w.begin_block(done)
