"""Where every stored tensor lives: in an argument, a result, a constant, or the arena.

The arena is one block a call; two tensors share a place in it when the tasks between which they are
needed do not overlap.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from thalweg.execute.native.access import is_array_const
from thalweg.execute.native.fuse import Loop, Stage
from thalweg.execute.native.ir import Tensor, bytes_of
from thalweg.execute.native.loops import reductions_of
from thalweg.execute.native.tape import Tape, make_tape
from thalweg.execute.native.tasks import Task, cost_of, reads_rows

__all__ = ["Place", "Plan", "Share", "make_plan", "nbytes"]

_ALIGN = 64


class Place(NamedTuple):
    """``where`` is "input", "output", "const", "slot" (of a NumPy step's result) or "arena"."""

    where: str
    number: int  # the number of the argument, result, …; in the arena the offset in bytes


class Share(NamedTuple):
    """Where in the arena the chunks' shares of a reduction lie, and their kind of number."""

    offset: int
    kind: str


class Plan(NamedTuple):
    """Places of tensors and of the chunks' shares of reductions.

    Attributes
    ----------
    places : dict
    partials : dict
        Reduction → the shares of all chunks.
    tapes : dict
        Loop → its tape, and where in the arena the slots are.
    copies : list
        (offset in the arena, input, bytes): results that go to an argument's memory at the end.
    arena : int
        Bytes.
    streamed : frozenset
        Results that are written past the caches.
    """

    places: dict[Tensor, Place]
    partials: dict[Tensor, Share]
    tapes: dict[Loop, tuple[Tape, int]]
    copies: list[tuple[int, int, int]]
    arena: int
    streamed: frozenset[Tensor]


def nbytes(t: Tensor) -> int:
    """Bytes of a tensor in memory."""
    return bytes_of(t.shape, t.kind)


class _Arena:
    """Blocks by the time between first and last use, each in the lowest place that is free then."""

    def __init__(self) -> None:
        self.wanted: list[tuple[int, int, int, object]] = []  # first, last, size, for whom
        self.size = 0

    def want(self, owner: object, size: int, first: int, last: int) -> None:
        """Ask for `size` bytes from time `first` to time `last`."""
        self.wanted.append((first, last, max(_ALIGN, -(-size // _ALIGN) * _ALIGN), owner))

    def give(self) -> dict[object, int]:
        """An offset for each owner."""
        offsets: dict[object, int] = {}
        taken: list[tuple[int, int, int]] = []  # last use, offset, size: a heap
        free: list[tuple[int, int]] = []  # offset, size: in order, neighbours joined
        # Of those that are needed from the same time on the larger first: they are hardest to fit.
        for first, last, size, owner in sorted(self.wanted, key=lambda w: (w[0], -w[2])):
            while taken and taken[0][0] < first:
                _, offset, length = heapq.heappop(taken)
                _join(free, offset, length)
            for i, (offset, length) in enumerate(free):
                if length >= size:
                    free[i : i + 1] = [(offset + size, length - size)] if length > size else []
                    break
            else:
                offset = self.size
                if free and sum(free[-1]) == self.size:
                    offset = free.pop()[0]
                self.size = offset + size
            offsets[owner] = offset
            heapq.heappush(taken, (last, offset, size))
        return offsets


def _join(free: list[tuple[int, int]], offset: int, size: int) -> None:
    """Put a range back among the free ones."""
    i = bisect.bisect(free, (offset, size))
    if i < len(free) and offset + size == free[i][0]:
        size += free.pop(i)[1]
    if i and sum(free[i - 1]) == offset:
        i -= 1
        offset, size = free[i][0], size + free.pop(i)[1]
    free.insert(i, (offset, size))


def _times(tasks: Sequence[Task]) -> list[list[int]]:
    """When each stage of each task runs: those that go chunk by chunk run at the same time."""
    times: list[list[int]] = []
    now = 0
    for task in tasks:
        if task.chunks > 1:
            times.append([now] * len(task.stages))
            now += 1
        else:
            times.append(list(range(now, now + len(task.stages))))
            now += len(task.stages)
    return times


def make_plan(
    tasks: Sequence[Task],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    slots: Mapping[Tensor, int],
    conditions: Iterable[Tensor],
    inplace: Mapping[int, int],
    kept: float = math.inf,
) -> Plan:
    """Places for everything that `tasks` store.

    Parameters
    ----------
    outputs : sequence of Tensor
        Each is the result of one stage, and no two are the same.
    slots : mapping
        Results of NumPy steps.
    conditions : iterable of Tensor
        Must hold before an argument is written to.
    inplace : mapping
        Number of the output → number of the input whose memory it takes.
    kept : int, optional
        Bytes of a result that are still in the cache at the end. A larger one that no stage reads
        is written past it, if memory is what its stage waits for: memory need not be read to be
        overwritten, and what is in the cache stays.
    """
    first: dict[Tensor, int] = {}
    last: dict[Tensor, int] = {}
    made: dict[Tensor, int] = {}
    times = _times(tasks)
    for task in tasks:
        for stage, now in zip(task.stages, times[task.position], strict=True):
            for t in (*stage.targets, *stage.reads):
                first.setdefault(t, now)
                last[t] = now
            for t in stage.targets:
                made[t] = task.position
    # Nor before the last NumPy step, which may fail.
    steps = [task.position for task in tasks if task.opaque]
    checked = max([*steps, *(made[c] for c in conditions)], default=-1)
    places: dict[Tensor, Place] = {}
    for t in first:
        if t.op == "input":
            places[t] = Place("input", t.data)
        elif is_array_const(t):
            places[t] = Place("const", t.data[1])
        elif t in slots:
            places[t] = Place("slot", slots[t])
    arena = _Arena()
    end = times[-1][-1] + 1 if tasks else 0
    copied: list[tuple[Tensor, int]] = []
    for number, t in enumerate(outputs):
        into = inplace.get(number)
        if into is None:
            places[t] = Place("output", number)
        elif _may_overwrite(tasks, t, inputs[into], checked):
            places[t] = Place("input", into)
        else:
            arena.want(t, nbytes(t), first[t], end)
            copied.append((t, into))
    waiting = {t for t, _ in copied}
    lasting = set(conditions)
    for t in first:
        if t not in places and t not in waiting:
            arena.want(t, nbytes(t), first[t], end if t in lasting else last[t])
    kinds: dict[Tensor, str] = {}
    for task in tasks:
        now = times[task.position][-1]
        for t, kind in task.partials().items():
            kinds[t] = kind
            arena.want(("share", t), bytes_of((task.chunks, *t.shape), kind), now, now)
    tapes: dict[Loop, Tape] = {}
    for task in tasks:
        for stage, now in zip(task.stages, times[task.position], strict=True):
            tape = make_tape(stage) if isinstance(stage, Loop) else None
            if isinstance(stage, Loop) and tape is not None:
                tapes[stage] = tape
                arena.want(stage, 8 * tape.size, now, now)
    offsets = arena.give()
    for t in first:
        if t not in places:
            places[t] = Place("arena", offsets[t])
    copies = [(offsets[t], into, nbytes(t)) for t, into in copied]
    partials = {t: Share(offsets["share", t], kind) for t, kind in kinds.items()}
    placed = {loop: (tape, offsets[loop]) for loop, tape in tapes.items()}
    stages = [stage for task in tasks for stage in task.stages]
    read = {x for stage in stages for x in stage.reads}
    large = {t for t in outputs if places[t].where == "output" and nbytes(t) > kept} - read
    streamed = frozenset(
        t
        for stage in stages
        for t in large.intersection(stage.targets)
        if cost_of(stage).waits_for_memory
    )
    return Plan(places, partials, placed, copies, arena.size, streamed)


def _may_overwrite(tasks: Sequence[Task], t: Tensor, x: Tensor, checked: int) -> bool:
    """Whether result t may be written over argument x: nobody reads x after that."""
    writers = [task for task in tasks for stage in task.stages if t in stage.targets]
    if len(writers) != 1 or writers[0].position <= checked:
        return False
    writer = writers[0]
    if any(x in stage.reads for task in tasks[writer.position + 1 :] for stage in task.stages):
        return False
    written = False
    for stage in writer.stages:
        if t in stage.targets:
            if x in stage.reads and not _entry_by_entry(stage, t, x):
                return False
            written = True
        elif x in stage.reads and (
            written
            # Other chunks are at other rows: neither may leave its own.
            or (
                writer.chunks > 1
                and not (t in writer.aligned and reads_rows(stage, x, writer.rows))
            )
        ):
            return False
    return True


def _entry_by_entry(stage: Stage, t: Tensor, x: Tensor) -> bool:
    """Whether `stage` reads of x only the entry that it writes of t at the same moment."""
    if not isinstance(stage, Loop) or any(r.root.target is t for r in reductions_of(stage)):
        return False
    if x in stage.gathered:
        return False
    place = next(root.place for root in stage.roots if root.target is t)
    return all((access.strides, access.offset) == place for access in stage.by_base.get(x, ()))
