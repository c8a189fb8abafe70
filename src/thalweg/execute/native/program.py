"""A graph as native code: lowered, fused, planned, compiled, and run."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.execute.executor import GuardChanged, KernelReport, NumPyStep, Report
from thalweg.execute.native import gemm, jit, threads
from thalweg.execute.native.access import locate, through
from thalweg.execute.native.assembly import Segment, assemble
from thalweg.execute.native.builder import Builder
from thalweg.execute.native.call import as_leaf
from thalweg.execute.native.fuse import Loop, Stage, fuse
from thalweg.execute.native.ir import NoLowering, Tensor, dtype_of
from thalweg.execute.native.lower import Lowered, lower
from thalweg.execute.native.plan import make_plan
from thalweg.execute.native.pool import empty
from thalweg.execute.native.tasks import Task, cost_of, group
from thalweg.graph.graph import Graph
from thalweg.graph.node import Node

__all__ = ["Program", "build"]

#: What a call through ctypes takes, in seconds.
_CALL = 1e-6
#: What a stored tensor may be that is handed out as it is.
_RESULTS = frozenset(("map", "gather", "iota", "reduce", "matmul", "scatter", "assemble"))


class Program:
    """A compiled graph: run it on other values of its inputs.

    Attributes
    ----------
    report : Report
        Kernels and NumPy steps, in order.
    text : str
        The IR.
    """

    def __init__(
        self, lowered: Lowered, inplace: Mapping[int, int], workers: int, apart: bool = False
    ):
        self._lowered = lowered
        self._workers = workers
        self._inplace = dict(inplace)
        b = lowered.builder
        self._outputs = list(lowered.outputs)
        self._guards = [(guard, _stored(b, t)) for guard, t in lowered.guards if t.op != "const"]
        checks = [_stored(b, t) for t in b.checks if t.op != "const"]
        conditions = [*(t for _, t in self._guards), *checks]
        codes = {t: k + 1 for k, t in enumerate(dict.fromkeys(conditions))}
        #: Number of an output tensor → its place among the outputs of the graph.
        self._numbers: list[int] = []
        results: list[Tensor] = []
        seen: set[Tensor] = set()
        self._given: dict[int, Tensor] = {}
        for i, x in enumerate(self._outputs):
            if not isinstance(x, Tensor):
                try:
                    x = self._outputs[i] = b.array(np.asarray(x))
                except NoLowering:
                    continue
            if x.op in ("opaque", "part") or x.kind.startswith("raw:"):
                self._given[i] = x
                continue
            result = x if x.op in _RESULTS and x not in seen else b.copy(x)
            if x in codes:  # a condition is looked for in the arena
                result = b.copy(x)
            while result in seen:  # equal tensors are one, copies too
                result = b.copy(result)
            seen.add(result)
            self._numbers.append(i)
            results.append(result)
        self._apart = sorted({*range(len(self._outputs))} - {*self._numbers})
        opaque = list(self._given.values())
        stages = fuse([*results, *codes, *opaque])
        tasks = group(stages)
        self._slots = self._number_slots(stages, len(lowered.inputs))
        target = jit.target()
        place_of = {output: number for number, output in enumerate(self._numbers)}
        self.plan = make_plan(
            tasks,
            lowered.inputs,
            results,
            self._slots,
            codes,
            {place_of[i]: into for i, into in self._inplace.items() if i in place_of},
            target.l3 // 2 if target.streams else math.inf,
        )
        self._codes = codes
        self.segments = _segments(tasks, apart)
        self._seconds = [float("inf")] * len(self.segments)
        module = assemble(self.segments, self.plan, target, workers, codes)
        self.text = module.text()
        self._keep = [np.ascontiguousarray(x) for x in b.arrays]
        symbols = {f"array_{i}": x.ctypes.data for i, x in enumerate(self._keep)}
        self._data = [np.ascontiguousarray(x) for x in module.arrays]
        symbols |= {f"data_{i}": x.ctypes.data for i, x in enumerate(self._data)}
        natives = [segment for segment in self.segments if segment.name]
        self._library = None
        self._functions: dict[str, Any] = {}
        if natives:
            used = {**gemm.runtime(module), **threads.runtime(), **symbols}
            named = {name: at for name, at in used.items() if f"@{name}" in self.text}
            self._library = jit.load(self.text, named)
            prototype = ctypes.CFUNCTYPE(
                ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
            )
            for segment in natives:
                self._functions[segment.name] = prototype(self._library.address(segment.name))
        self._shapes = [(t.shape, t.dtype) for t in results]
        self.report = _report(tasks, lowered, workers)
        self._arenas: list[np.ndarray[Any, Any]] = []

    @property
    def written(self) -> tuple[int, ...]:
        """The outputs of the graph that native code writes, in the order of its table."""
        return tuple(self._numbers)

    @property
    def address(self) -> int | None:
        """The address of the one function that does it all; None, if NumPy takes part."""
        if len(self.segments) != 1 or self._library is None or self._given:
            return None
        return self._library.address(self.segments[0].name)

    def _number_slots(self, stages: Sequence[Stage], first: int) -> dict[Tensor, int]:
        """Places in the table of inputs, after the arguments, for what NumPy steps give."""
        slots: dict[Tensor, int] = {}
        for stage in stages:
            for t in (*stage.targets, *stage.reads):
                if t.op in ("opaque", "part") and t not in slots:
                    slots[t] = first + len(slots)
        for t in self._given.values():
            slots.setdefault(t, first + len(slots))
        return slots

    @property
    def graph(self) -> Graph:
        """What is run: optimised, without values."""
        return self._lowered.graph

    def gates(self) -> list[list[Node]]:
        """For each entry of the report the nodes of the graph that it computes.

        A node that costs nothing (a reshape, a constant) is in none; one that is recomputed where
        it is used is in several.
        """
        owners: dict[Tensor, list[int]] = {}
        tasks = (task for segment in self.segments for task in segment.tasks)
        for k, task in enumerate(tasks):
            for t in _computed(task):
                owners.setdefault(t, []).append(k)
        found: list[list[Node]] = [[] for _ in self.report]
        for node in self.graph.nodes:
            made = self._lowered.values[node]
            parts = made if isinstance(made, tuple) else (made,)
            for k in dict.fromkeys(k for t in parts for k in owners.get(through(t), ())):
                found[k].append(node)
        return found

    # ---- running -------------------------------------------------------------------------------

    def run(self, leaves: Sequence[Any]) -> tuple[Any, ...] | GuardChanged:
        """The outputs, which are the caller's own, or the guard that answers otherwise.

        Raises
        ------
        IndexError
            Where an index of a compiled gather is out of bounds.
        """
        inputs = self._lowered.inputs
        kept = [as_leaf(x, t.shape, t.dtype) for x, t in zip(leaves, inputs, strict=True)]
        count = len(kept) + len(self._slots)
        table = (ctypes.c_void_p * max(1, count))()
        for i, x in enumerate(kept):
            table[i] = x.ctypes.data
        outputs = []
        out_table = (ctypes.c_void_p * max(1, len(self._shapes)))()
        for number, (shape, dtype) in enumerate(self._shapes):
            into = self._inplace.get(self._numbers[number])
            x = empty(shape, dtype) if into is None else leaves[into]
            out_table[number] = x.ctypes.data
            outputs.append(x)
        arena = self._take_arena()
        made: dict[Tensor, Any] = {}
        try:
            for k, segment in enumerate(self.segments):
                begin = time.perf_counter()
                if segment.name:
                    code = self._functions[segment.name](
                        ctypes.addressof(table), ctypes.addressof(out_table), arena.ctypes.data
                    )
                    if code:
                        return self._changed(int(code))
                    self._seconds[k] = min(self._seconds[k], time.perf_counter() - begin)
                    continue
                t = segment.tasks[0].stages[0].targets[0]
                self._numpy_step(t, kept, outputs, arena, made, table)
                if t in self._codes and not np.all(made[t]):
                    return self._changed(self._codes[t])
            if self.segments and not self.segments[-1].name:
                # Nothing may be written before the last step is done.
                for offset, into, size in self.plan.copies:
                    ctypes.memmove(kept[into].ctypes.data, arena.ctypes.data + offset, size)
            results = list(self._outputs)
            for number, i in enumerate(self._numbers):
                array = outputs[number]  # without axes a number, unless it is the argument itself
                results[i] = array if array.ndim or i in self._inplace else array[()]
            for i in self._apart:  # all are copied before the first argument is written to
                x = results[i]
                if i in self._given:
                    x = self._array(self._given[i], kept, outputs, arena, made)
                results[i] = np.array(x)[()]
            for i in self._apart:
                into = self._inplace.get(i)
                if into is not None:
                    np.copyto(leaves[into], results[i])
                    results[i] = leaves[into]
            return tuple(results)
        finally:
            self._arenas.append(arena)

    def timed(self, leaves: Sequence[Any], times: int = 5) -> Report:
        """The report with each kernel's shortest time in a few runs, kernel by kernel.

        The values of `leaves` must not answer a guard otherwise; in-place arguments are written to.
        """
        twin = Program(self._lowered, self._inplace, self._workers, apart=True)
        for _ in range(times):
            twin.run(leaves)
        return tuple(
            entry._replace(seconds=max(0.0, seconds - _CALL))
            if isinstance(entry, KernelReport)
            else entry
            for entry, seconds in zip(twin.report, twin._seconds, strict=True)
        )

    def _take_arena(self) -> np.ndarray[Any, Any]:
        try:
            return self._arenas.pop()
        except IndexError:
            return np.empty(max(64, self.plan.arena + 64), np.uint8)

    def _array(
        self,
        t: Tensor,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        arena: np.ndarray[Any, Any],
        made: Mapping[Tensor, Any],
    ) -> Any:
        """A stored tensor, or a view of one, as an array."""
        access = locate(t)
        base = access.base
        if base.op == "const" and not isinstance(base.data, tuple):
            return np.full(t.shape, base.data, t.dtype)
        if base in made:
            array = np.asarray(made[base])
        elif base.op == "input":
            array = inputs[base.data]
        else:
            place = self.plan.places[base]
            if place.where == "output":
                array = outputs[place.number]
            elif place.where == "const":
                array = self._keep[place.number]
            elif place.where == "input":
                array = inputs[place.number]
            else:
                array = np.ndarray(base.shape, dtype_of(base.kind), arena.data, place.number)
        if t is base:
            return array
        flat = array.reshape(-1)[access.offset :] if access.offset else array.reshape(-1)
        steps = [s * flat.itemsize for s in access.strides]
        return np.lib.stride_tricks.as_strided(flat, t.shape, steps, writeable=False)

    def _numpy_step(
        self,
        t: Tensor,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        arena: np.ndarray[Any, Any],
        made: dict[Tensor, Any],
        table: Any,
    ) -> None:
        step = self._lowered.steps[t.data]
        arguments = [self._array(x, inputs, outputs, arena, made) for x in t.args]
        with np.errstate(all="ignore"):
            result = step.run(*arguments)
        if t.kind == "several":
            for part, slot in self._slots.items():
                if part.op == "part" and part.args[0] is t:
                    made[part] = _owned(result[part.data], part)
                    table[slot] = made[part].ctypes.data
            return
        made[t] = _owned(result, t)
        table[self._slots[t]] = made[t].ctypes.data

    def _changed(self, code: int) -> GuardChanged:
        """The guard that a run has ended with; a code that is none's is a check of an index."""
        for guard, t in self._guards:
            if self._codes[t] == code:
                return GuardChanged(guard, None)
        raise IndexError(
            "an index is out of bounds in a compiled function; called without compile, NumPy "
            "names it"
        )


def _stored(b: Builder, condition: Tensor) -> Tensor:
    """A condition that a stage stores: of an array of one entry it is a view, which none does."""
    return b.copy(condition) if condition.op == "view" else condition


def _owned(result: Any, t: Tensor) -> np.ndarray[Any, Any]:
    """What NumPy gave, in C order and in memory that no later step writes to."""
    array = np.asarray(result)
    if array.shape != t.shape:  # a shape that depends on values: the record is of another branch
        raise ShapeError(f"a step gave shape {array.shape} where {t.shape} was recorded")
    if array.base is not None or not array.flags.c_contiguous or array.dtype != t.dtype:
        array = np.array(array, t.dtype, order="C")
    return array


def _segments(tasks: Sequence[Task], apart: bool) -> list[Segment]:
    """Runs of native tasks, and NumPy steps between them; `apart`: each task by itself."""
    segments: list[Segment] = []
    for task in tasks:
        if task.opaque:
            segments.append(Segment("", [task]))
        elif segments and segments[-1].name and not apart:
            segments[-1].tasks.append(task)
        else:
            segments.append(Segment(f"run_{len(segments)}", [task]))
    return segments


def _computed(task: Task) -> set[Tensor]:
    """The tensors that a task computes, stored or not."""
    found: set[Tensor] = set()
    for stage in task.stages:
        found.update(through(t) for t in stage.targets)
        if isinstance(stage, Loop):
            found.update(stage.inlined)
            found.update(through(root.value) for root in stage.roots if root.place is None)
        elif stage.tensor.op == "opaque":
            found.add(stage.tensor)
    return found


def _report(tasks: Sequence[Task], lowered: Lowered, workers: int) -> Report:
    found: list[KernelReport | NumPyStep] = []
    for task in tasks:
        if task.opaque:
            step = lowered.steps[task.stages[0].targets[0].data]
            found.append(NumPyStep(step.name, step.origin, step.reason))
            continue
        names: list[str] = []
        moved = flops = 0
        for stage in task.stages:
            cost = cost_of(stage)
            moved += cost.read + cost.written
            flops += cost.flops
            if isinstance(stage, Loop):
                names += [t.data if t.op == "map" else t.op for t in stage.body()]
                names += [root.target.data[0] for root in stage.roots if root.place is None]
            else:
                names.append(stage.tensor.op)
        what = "product" if "matmul" in names else "loop"
        parallel = workers > 1 and task.chunks > 1
        found.append(
            KernelReport(f"task_{task.position}", what, tuple(names), moved, flops, parallel)
        )
    return tuple(found)


def build(graph: Graph, *, inplace: Mapping[int, int], threads: int) -> Program:
    """Compile `graph`.

    Parameters
    ----------
    inplace : mapping
        Number of an output → number of the input whose memory it takes.
    threads : int
        How many may work at once.
    """
    return Program(lower(graph), inplace, threads)
