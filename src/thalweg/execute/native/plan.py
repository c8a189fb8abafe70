"""Where every stored tensor lives: in an argument, a result, a constant, or the arena.

The arena is one block a call; two tensors share a place in it when the tasks between which they are
needed do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from thalweg.execute.native.access import is_array_const, locate
from thalweg.execute.native.fuse import Loop, Stage
from thalweg.execute.native.ir import Tensor, bytes_of
from thalweg.execute.native.loops import reductions_of
from thalweg.execute.native.tasks import Task, reads_rows

__all__ = ["Place", "Plan", "Share", "make_plan", "nbytes"]

_ALIGN = 64


class Place(NamedTuple):
    """``where`` is "input", "output", "const", "slot" (of a NumPy step's result) or "arena"."""

    where: str
    index: int  # the number of the argument, result, …; in the arena the offset in bytes


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
    copies : list
        (offset in the arena, input, bytes): results that go to an argument's memory at the end.
    arena : int
        Bytes.
    """

    places: dict[Tensor, Place]
    partials: dict[Tensor, Share]
    copies: list[tuple[int, int, int]]
    arena: int


def nbytes(t: Tensor) -> int:
    """Bytes of a tensor in memory."""
    return bytes_of(t.shape, t.kind)


class _Arena:
    """First fit by the time between first and last use."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int, int, int]] = []  # offset, end, first task, last task
        self.size = 0

    def take(self, size: int, first: int, last: int) -> int:
        """An offset for `size` bytes that are needed from task `first` to task `last`."""
        size = max(_ALIGN, -(-size // _ALIGN) * _ALIGN)
        offset = 0
        for at, end, begin, until in sorted(self.blocks):
            if until < first or begin > last:
                continue
            if offset + size <= at:
                break
            offset = max(offset, end)
        self.blocks.append((offset, offset + size, first, last))
        self.size = max(self.size, offset + size)
        return offset


def make_plan(
    tasks: Sequence[Task],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    slots: Mapping[Tensor, int],
    conditions: Iterable[Tensor],
    inplace: Mapping[int, int],
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
    """
    first: dict[Tensor, int] = {}
    last: dict[Tensor, int] = {}
    for task in tasks:
        for stage in task.stages:
            for t in (*stage.targets, *stage.reads):
                first.setdefault(t, task.position)
                last[t] = task.position
    checked = max((first[c] for c in conditions if c in first), default=-1)
    places: dict[Tensor, Place] = {}
    for t in first:
        if t.op == "input":
            places[t] = Place("input", t.data)
        elif is_array_const(t):
            places[t] = Place("const", t.data[1])
        elif t in slots:
            places[t] = Place("slot", slots[t])
    arena = _Arena()
    copies = []
    end = len(tasks)
    for number, t in enumerate(outputs):
        into = inplace.get(number)
        if into is None:
            places[t] = Place("output", number)
        elif _may_overwrite(tasks, t, inputs[into], checked):
            places[t] = Place("input", into)
        else:
            offset = arena.take(nbytes(t), first[t], end)
            places[t] = Place("arena", offset)
            copies.append((offset, into, nbytes(t)))
    for t in sorted(first, key=nbytes, reverse=True):
        if t not in places:
            until = end if t in outputs or t in conditions else last[t]
            places[t] = Place("arena", arena.take(nbytes(t), first[t], until))
    partials = {}
    for task in tasks:
        for t, kind in task.partials().items():
            size = bytes_of((task.chunks, *t.shape), kind)
            partials[t] = Share(arena.take(size, task.position, task.position), kind)
    return Plan(places, partials, copies, arena.size)


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
            written or (writer.chunks > 1 and not reads_rows(stage, x, writer.rows))
        ):
            return False
    return True


def _entry_by_entry(stage: Stage, t: Tensor, x: Tensor) -> bool:
    """Whether `stage` reads of x only the entry that it writes of t at the same moment."""
    if not isinstance(stage, Loop) or any(r.root.target is t for r in reductions_of(stage)):
        return False
    if any(g.op == "gather" and locate(g.args[0]).base is x for g in stage.inlined):
        return False
    place = next(root.place for root in stage.roots if root.target is t)
    return all(
        (access.strides, access.offset) == place
        for access in stage.accesses().values()
        if access.base is x
    )
