"""From stages to tasks: stages that go through the same rows one after the other, chunk by chunk.

A task's stages have a first axis of the same length, and what one stage reads of another's result
lies in the same rows. So a chunk of rows goes through all of them while it is in the cache, and
chunks are independent of each other: threads take them as they come. Chunks depend on shapes only,
never on the number of threads, and so do all results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from thalweg.execute.native.access import Access, locate
from thalweg.execute.native.fuse import Loop, Other, Stage
from thalweg.execute.native.ir import Tensor, bytes_of
from thalweg.execute.native.loops import merge_axes, reductions_of

__all__ = ["Cost", "Steps", "Task", "cost_of", "group", "reads_rows"]

#: Below this estimate (nanoseconds) a task is done in one go, by one thread.
SMALL = 30_000.0
#: A chunk's share of work (nanoseconds) and of memory (bytes) that is aimed at.
CHUNK, CHUNK_BYTES = 15_000.0, 2**16
#: What a core does in a nanosecond, roughly: bytes from the cache, products, vector instructions.
_BYTES, _FLOPS, _VECTORS = 20.0, 60.0, 1.6
#: Bytes that come from memory and go there in a nanosecond. Low: it decides what is streamed, and
#: that pays only where a loop clearly waits (measured: logarithms still do, tanh does not).
_MEMORY_BYTES = 10.0
#: A reduction over the rows is kept apart for at most so many chunks.
_PARTIALS = 64


class Steps(NamedTuple):
    """What a chunk has at least: rows of products, numbers of plain runs and of other loops."""

    product: int
    flat: int
    other: int


#: A product reads its right operand once a chunk: of many rows it takes more at a time.
STEPS = Steps(64, 1024, 512)
_MANY_ROWS = 1024


class Cost:
    """What a stage moves and computes, in bytes and floating point operations."""

    __slots__ = ("flops", "instructions", "read", "written")

    def __init__(self, read: int, written: int, flops: int, instructions: int) -> None:
        self.read = read
        self.written = written
        self.flops = flops
        self.instructions = instructions

    @property
    def _compute(self) -> float:
        return self.instructions / 16 / _VECTORS if self.instructions else self.flops / _FLOPS

    @property
    def nanoseconds(self) -> float:
        """A rough estimate for one core."""
        return max((self.read + self.written) / _BYTES, self._compute)

    @property
    def waits_for_memory(self) -> bool:
        """Whether memory, were all of it there and not in the cache, is what this waits for."""
        return self._compute < (self.read + self.written) / _MEMORY_BYTES


def _bytes(t: Tensor, entries: int | None = None) -> int:
    return bytes_of(t.shape if entries is None else (entries,), t.kind)


def cost_of(stage: Stage) -> Cost:
    """The cost of a stage."""
    if isinstance(stage, Loop):
        entries = math.prod(stage.space)
        read = sum(min(_bytes(x), _bytes(x, entries)) for x in stage.reads)
        written = sum(_bytes(x) for x in dict.fromkeys(stage.targets))
        double = any(t.kind == "f64" for t in stage.inlined)
        work = entries * (stage.instructions + len(stage.roots)) * (2 if double else 1)
        return Cost(read, written, entries * len(stage.inlined), work)
    t = stage.tensor
    read = sum(_bytes(x) for x in t.args)
    if t.op == "matmul":
        flops = 2 * t.size * t.args[0].shape[-1]
        return Cost(read, _bytes(t), flops * (2 if t.kind == "f64" else 1), 0)
    return Cost(read, _bytes(t), t.size, 8 * sum(x.size for x in t.args))


class Task:
    """Stages that run chunk by chunk over `rows` rows."""

    def __init__(self, rows: int, position: int) -> None:
        self.rows = rows
        self.position = position
        self.stages: list[Stage] = []
        #: Tensors of this task whose row i is written when row i is done.
        self.aligned: set[Tensor] = set()
        self.chunk = rows
        self.nanoseconds = 0.0

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.rows // self.chunk) if self.rows else 0

    @property
    def opaque(self) -> bool:
        """Whether this is a NumPy step."""
        first = self.stages[0]
        return isinstance(first, Other) and first.tensor.op == "opaque"

    def partials(self) -> dict[Tensor, str]:
        """Reductions over the rows, of which each chunk has a share of this kind of number."""
        if self.chunks < 2:
            return {}
        return {
            r.root.target: r.share_kind
            for stage in self.stages
            if isinstance(stage, Loop)
            for r in reductions_of(stage)
            if r.over[0]
        }

    def settle(self) -> None:
        """Choose the chunk."""
        only = self.stages[0]
        alone = len(self.stages) == 1 and isinstance(only, Loop) and bool(only.space)
        if alone and isinstance(only, Loop):
            first = merge_axes(only)[0]
            self.rows = math.prod(only.space[k] for k in first)
        costs = [cost_of(stage) for stage in self.stages]
        self.nanoseconds = sum(cost.nanoseconds for cost in costs)
        moved = sum(cost.read + cost.written for cost in costs)
        if self.rows < 2 or (self.nanoseconds < SMALL and moved < SMALL * 16):
            return
        share = max(self.nanoseconds / CHUNK, moved / CHUNK_BYTES / 4)
        products = any(isinstance(s, Other) and s.tensor.op == "matmul" for s in self.stages)
        inner = min((math.prod(s.space[1:]) for s in self.stages if isinstance(s, Loop)), default=1)
        step = STEPS.product if products else max(1, STEPS.other // max(1, inner))  # empty rows
        if products and self.rows >= _MANY_ROWS:
            step *= 4
        if alone and isinstance(only, Loop) and math.prod(only.space) == self.rows:
            step = STEPS.flat
        share = min(share, self.rows / step)
        if any(
            r.over[0] and r.root.target.size > 1
            for stage in self.stages
            if isinstance(stage, Loop)
            for r in reductions_of(stage)
        ):
            share = min(share, _PARTIALS)
        rows = max(1, math.ceil(self.rows / max(share, 1.0)))
        self.chunk = min(self.rows, -(-rows // step) * step)


def _in_rows(access: Access, extents: Sequence[int], rows: int) -> bool:
    """Whether index i of the first axis reads or writes row i of the base only."""
    if rows == 0 or access.base.size % rows or access.offset < 0:
        return False
    row = access.base.size // rows
    strides = access.strides
    if not strides or strides[0] != row or extents[0] != rows or min(strides) < 0:
        return False
    reach = sum((n - 1) * s for n, s in zip(extents[1:], strides[1:], strict=True))
    return access.offset + reach < row


def _rows(stage: Stage) -> int:
    """The length of the first axis of a stage (1: it is done in one go)."""
    if isinstance(stage, Loop):
        return stage.space[0] if stage.space else 1
    t = stage.tensor
    return t.shape[0] if t.op == "matmul" else 1


def reads_rows(stage: Stage, x: Tensor, rows: int) -> bool:
    """Whether everything that `stage` reads of x lies in the rows that it is at."""
    if isinstance(stage, Loop):
        return x not in stage.gathered and all(
            _in_rows(access, stage.space, rows) for access in stage.by_base.get(x, ())
        )
    t = stage.tensor
    if t.op != "matmul" or t.ndim != 2:
        return False
    left, right = t.args
    return locate(right).base is not x and _in_rows(locate(left), left.shape, rows)


def _writes_rows(stage: Stage, rows: int) -> list[Tensor]:
    """Results of which row i is complete when row i is done."""
    if not isinstance(stage, Loop):
        return [stage.tensor] if stage.tensor.op == "matmul" else []
    found = []
    over = {id(r.root): r.over for r in reductions_of(stage)}
    for root in stage.roots:
        if root.place is None:
            if not over[id(root)][0]:
                found.append(root.target)
        elif root.target.op != "assemble":
            strides, offset = root.place
            if _in_rows(Access(root.target, strides, offset), stage.space, rows):
                found.append(root.target)
    return found


def group(stages: Sequence[Stage]) -> list[Task]:
    """Tasks in an order in which they can run."""
    tasks: list[Task] = []
    home: dict[Tensor, int] = {}
    last_numpy = -1
    for stage in stages:
        rows = _rows(stage)
        known = [x for x in stage.reads if x in home]
        earliest = max((home[x] for x in known), default=-1)
        # Parts that are written to one array keep their order.
        earliest = max([earliest] + [home[x] for x in stage.targets if x in home])
        alone = isinstance(stage, Other) and stage.tensor.op != "matmul"
        task: Task | None = None
        if not alone and rows > 0:
            for candidate in reversed(tasks[max(earliest, last_numpy, 0) :]):
                if candidate.opaque or candidate.rows != rows or candidate.position < earliest:
                    continue
                if _fits(stage, candidate, known, home):
                    task = candidate
                    break
        if task is None:
            task = Task(rows, len(tasks))
            tasks.append(task)
        task.stages.append(stage)
        if task.opaque:
            last_numpy = task.position
        if not alone:
            task.aligned.update(_writes_rows(stage, rows))
        for x in stage.targets:
            home[x] = task.position
    for task in tasks:
        task.settle()
    return tasks


def _fits(stage: Stage, task: Task, known: Sequence[Tensor], home: dict[Tensor, int]) -> bool:
    """Whether `stage` can be the next stage of `task`."""
    first = task.stages[0]
    if isinstance(first, Other) and first.tensor.op != "matmul":
        return False
    if task.rows == 1:  # one chunk: everything before is complete
        return True
    if any(home.get(x) == task.position for x in stage.targets):
        return False
    return all(
        x in task.aligned and reads_rows(stage, x, task.rows)
        for x in known
        if home[x] == task.position
    )
