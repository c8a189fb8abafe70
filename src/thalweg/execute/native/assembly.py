"""Tasks as functions and the program's main functions: the whole text of IR."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from thalweg.execute.native.access import locate, operand_access
from thalweg.execute.native.emit import Module, V
from thalweg.execute.native.fuse import Loop, Other
from thalweg.execute.native.gemm import gemm, transpose
from thalweg.execute.native.ir import Tensor, bytes_of
from thalweg.execute.native.jit import Target, attributes
from thalweg.execute.native.loops import Rows, emit_loop
from thalweg.execute.native.plan import Plan, nbytes
from thalweg.execute.native.scalar import weight
from thalweg.execute.native.tape import emit_tape
from thalweg.execute.native.tasks import Task
from thalweg.execute.native.writer import Writer, identity_of, join

__all__ = ["Segment", "assemble"]

#: From so many nanoseconds of work on it pays to wake another thread.
WORTH_A_THREAD = 60_000.0
#: A scalar function of so many instructions is called where its copies would take too many.
_LONG, _REPEATED = 10, 160
_ZERO = V("0", "i64")


class Segment(NamedTuple):
    """Tasks that run in one call: native ones together, a NumPy step on its own.

    Attributes
    ----------
    name : str
        Of the function; empty for a NumPy step.
    tasks : list of Task
    """

    name: str
    tasks: list[Task]


class _Task:
    """The emission of one task."""

    def __init__(self, module: Module, task: Task, plan: Plan, target: Target, name: str) -> None:
        self.module = module
        self.task = task
        self.plan = plan
        self.target = target
        self.name = name
        self.head: list[str] = []
        self._pointers: dict[object, str] = {}
        self.w = Writer(module)
        self.rows: Rows | None = None

    # ---- pointers ------------------------------------------------------------------------------

    def _table(self, place: int) -> str:
        """The pointer to the table of inputs (0), of outputs (1), or to the arena (2)."""
        known = self._pointers.get(place)
        if known is None:
            known = self._pointers[place] = f"%table{place}"
            at = "%frame"
            if place:
                at = f"%at{place}"
                self.head.append(f"  {at} = getelementptr ptr, ptr %frame, i64 {place}")
            self.head.append(f"  {known} = load ptr, ptr {at}")
        return known

    def _entry(self, place: int, index: int) -> str:
        """A pointer from one of the tables."""
        key = (place, index)
        known = self._pointers.get(key)
        if known is None:
            table = self._table(place)
            known = self._pointers[key] = f"%p{place}_{index}"
            self.head.append(f"  {known}_at = getelementptr ptr, ptr {table}, i64 {index}")
            self.head.append(f"  {known} = load ptr, ptr {known}_at")
        return known

    def at_offset(self, offset: int) -> str:
        """A pointer into the arena."""
        key = ("arena", offset)
        known = self._pointers.get(key)
        if known is None:
            table = self._table(2)
            known = self._pointers[key] = f"%a{offset}"
            self.head.append(f"  {known} = getelementptr i8, ptr {table}, i64 {offset}")
        return known

    def pointer(self, t: Tensor) -> str:
        """The pointer to a stored tensor's entries."""
        place = self.plan.places[t]
        if place.where == "const":
            name = f"@array_{place.number}"
            self.module.declare(f"{name} = external global i8")
            return name
        if place.where == "arena":
            return self.at_offset(place.number)
        return self._entry(1 if place.where == "output" else 0, place.number)

    def partial(self, t: Tensor) -> str | None:
        """The pointer to this chunk's share of a reduction over the rows."""
        share = self.plan.partials.get(t)
        if share is None:
            return None
        key = ("partial", t)
        known = self._pointers.get(key)
        if known is None:
            base = self.at_offset(share.offset)
            size = bytes_of(t.shape, share.kind)
            known = self._pointers[key] = f"%partial{t.serial}"
            self.head.append(f"  {known}_offset = mul i64 %chunk, {size}")
            self.head.append(f"  {known} = getelementptr i8, ptr {base}, i64 {known}_offset")
        return known

    # ---- stages --------------------------------------------------------------------------------

    def emit(self) -> None:
        """Define the task's function, ``void(ptr frame, i64 chunk)``."""
        task = self.task
        if task.chunks > 1:
            self.head += [
                f"  %begin = mul i64 %chunk, {task.chunk}",
                f"  %full = add i64 %begin, {task.chunk}",
                f"  %inside = icmp slt i64 %full, {task.rows}",
                f"  %end = select i1 %inside, i64 %full, i64 {task.rows}",
            ]
            step = task.chunk if task.rows % task.chunk == 0 else 1
            if task.rows % task.chunk and task.chunk % 64 == 0 and task.rows % 64 == 0:
                step = 64
            self.rows = Rows(V("%begin", "i64"), V("%end", "i64"), step)
        for stage in task.stages:
            if isinstance(stage, Loop):
                self._loop(stage)
            else:
                self._other(stage)
        if self.w.streams:  # before another thread is told that this chunk is done
            self.module.declare("declare void @llvm.x86.sse.sfence()")
            self.w.lines.append("  call void @llvm.x86.sse.sfence()")
        lines = "\n".join([*self.head, *self.w.lines])
        self.module.define(
            self.name,
            f"define internal void {self.name}(ptr %frame, i64 %chunk) "
            f"{attributes(self.target)} {{\nentry:\n{lines}\n  ret void\n}}",
        )

    def _loop(self, loop: Loop) -> None:
        if loop in self.plan.tapes:
            tape, offset = self.plan.tapes[loop]
            slots = self.at_offset(offset)
            emit_tape(self.w, loop, tape, self.pointer, slots, self.target.vector_bytes)
            return
        if self.rows is None and self._transposition(loop):
            return
        emit_loop(
            self.w,
            loop,
            self.pointer,
            self.target.vector_bytes,
            rows=self.rows,
            keep_first=self.rows is not None and len(self.task.stages) > 1,
            partial=self.partial,
            streamed=self.plan.streamed,
        )

    def _transposition(self, loop: Loop) -> bool:
        """A loop that does nothing but transpose a matrix, done in blocks."""
        accesses = list(loop.accesses().values())
        if len(loop.roots) != 1 or len(accesses) != 1 or len(loop.space) != 2:
            return False
        (root,), (access,) = loop.roots, accesses
        if root.place is None or any(t.op != "map" or t.data != "copy" for t in loop.inlined):
            return False
        (rows, columns), offset = root.place
        if access.strides[0] != 1 or columns != 1 or root.value.kind not in ("f32", "f64"):
            return False
        source = self._at(self.pointer(access.base), V(str(access.offset), "i64"), root.value.kind)
        into = self._at(self.pointer(root.target), V(str(offset), "i64"), root.value.kind)
        m, n = loop.space[1], loop.space[0]
        name = transpose(self.module, self.target, root.value.kind, m, n, access.strides[1], rows)
        self.w.lines.append(f"  call void {name}(ptr {source}, ptr {into})")
        return True

    def _at(self, base: str, offset: V, kind: str) -> str:
        return self.w.address(base, offset, kind)

    def _other(self, stage: Other) -> None:
        t = stage.tensor
        if t.op == "matmul":
            self._matmul(t)
        else:
            self._scatter(t)

    def _matmul(self, t: Tensor) -> None:
        w = self.w
        begin, end = (
            (self.rows.begin, self.rows.end) if self.rows else (_ZERO, V(str(t.shape[0]), "i64"))
        )
        left, right = t.args
        m, n = t.shape[-2:]
        a, b = locate(left), locate(right)
        if t.ndim == 2:
            self._product(
                t,
                a.base,
                V(str(a.offset), "i64"),
                b.base,
                V(str(b.offset), "i64"),
                _ZERO,
                begin,
                end,
                a.strides,
                b.strides,
            )
            return
        batch = t.shape[:-2]

        def steps(x: Tensor, strides: Sequence[int]) -> list[int]:
            missing = len(batch) - (x.ndim - 2)
            return [
                0 if i < missing or x.shape[i - missing] == 1 else strides[i - missing]
                for i in range(len(batch))
            ]

        left_steps, right_steps = steps(left, a.strides), steps(right, b.strides)
        out_steps = [m * n] * len(batch)
        for i in range(len(batch) - 2, -1, -1):
            out_steps[i] = out_steps[i + 1] * batch[i + 1]

        def nest(i: int, at: tuple[V, V, V]) -> None:
            if i == len(batch):
                rows = V(str(m), "i64")
                self._product(
                    t, a.base, at[0], b.base, at[1], at[2], _ZERO, rows, a.strides, b.strides
                )
                return
            first, last = (begin, end) if i == 0 else (_ZERO, V(str(batch[i]), "i64"))
            with w.loop(first, last, 1) as state:
                moved = []
                for offset, step in zip(
                    at, (left_steps[i], right_steps[i], out_steps[i]), strict=True
                ):
                    by = w.s.mul(state.index, V(str(step), "i64")) if step else None
                    moved.append(w.s.add(offset, by) if by else offset)
                nest(i + 1, (moved[0], moved[1], moved[2]))

        nest(0, (V(str(a.offset), "i64"), V(str(b.offset), "i64"), _ZERO))

    def _product(
        self, t: Tensor, a: Tensor, a_at: V, b: Tensor, b_at: V, c_at: V, begin: V, end: V,
        a_strides: Sequence[int], b_strides: Sequence[int],
    ) -> None:  # fmt: skip
        m, n = t.shape[-2:]
        k = t.args[0].shape[-1]
        name = gemm(
            self.module,
            self.target,
            t.kind,
            m,
            n,
            k,
            (a_strides[-2], a_strides[-1]),
            (b_strides[-2], b_strides[-1]),
            n,
        )
        left = self._at(self.pointer(a), a_at, t.kind)
        right = self._at(self.pointer(b), b_at, t.kind)
        into = self._at(self.pointer(t), c_at, t.kind)
        self.w.lines.append(
            f"  call void {name}(ptr {left}, ptr {right}, ptr {into}, i64 {begin.text}, "
            f"i64 {end.text})"
        )

    def _scatter(self, t: Tensor) -> None:
        """A copy, then entry by entry in order: a position may come twice."""
        w = self.w
        w.use_lanes(1)
        x, positions, values = t.args
        source, places, given = (locate(each) for each in (x, positions, values))
        into = self.pointer(t)
        self._copy(
            into,
            self._at(self.pointer(source.base), V(str(source.offset), "i64"), t.kind),
            nbytes(t),
        )
        if not positions.size:
            return
        spread = operand_access(values, positions.shape)
        flat = [n for n in positions.shape if n != 1]
        where = self._at(self.pointer(places.base), V(str(places.offset), "i64"), "i64")
        base = self._at(self.pointer(given.base), V(str(spread.offset), "i64"), t.kind)

        def nest(i: int, position: V, value: V) -> None:
            if i == len(flat):
                at = w.load_scalar(where, position, "i64")
                new = w.load_scalar(base, value, t.kind)
                if t.data == "add":  # conditions as NumPy adds them
                    add = w.s.either if t.kind == "i1" else w.s.add
                    new = add(w.load_scalar(into, at, t.kind), new)
                w.store_scalar(new, into, at)
                return
            inner = 1
            for n in flat[i + 1 :]:
                inner *= n
            with w.loop(_ZERO, V(str(flat[i]), "i64"), 1) as state:
                moved = w.s.add(position, w.s.mul(state.index, V(str(inner), "i64")))
                step = V(str(spread.strides[i]), "i64")
                nest(i + 1, moved, w.s.add(value, w.s.mul(state.index, step)))

        nest(0, _ZERO, _ZERO)

    def _copy(self, into: str, source: str, size: int) -> None:
        name = "llvm.memcpy.p0.p0.i64"
        self.module.declare(f"declare void @{name}(ptr, ptr, i64, i1)")
        self.w.lines.append(f"  call void @{name}(ptr {into}, ptr {source}, i64 {size}, i1 false)")


def _combine(module: Module, task: Task, plan: Plan, target: Target, t: Tensor, name: str) -> None:
    """Define the function that joins the chunks' shares of a reduction, in their order."""
    emission = _Task(module, task, plan, target, name)
    w = emission.w
    how = t.data[0]
    offset, kind = plan.partials[t]
    shares, into = emission.at_offset(offset), emission.pointer(t)
    with w.loop(_ZERO, V(str(t.size), "i64"), 1) as entry:
        start = w.s.const(identity_of(how, kind), kind)
        with w.loop(_ZERO, V(str(task.chunks), "i64"), 1, [(start, w.s.type(kind))]) as chunk:
            at = w.s.add(w.s.mul(chunk.index, V(str(t.size), "i64")), entry.index)
            chunk.next = [join(w.s, how, chunk.values[0], w.load_scalar(shares, at, kind))]
        w.store_scalar(w.s.convert(chunk.last[0], t.kind), into, entry.index)
    lines = "\n".join([*emission.head, *w.lines])
    module.define(
        name,
        f"define internal void {name}(ptr %frame, i64 %chunk) {attributes(target)} {{\n"
        f"entry:\n{lines}\n  ret void\n}}",
    )


def _calls(module: Module, task: Task, plan: Plan, target: Target, threads: int) -> list[str]:
    """Lines that run a task."""
    name = f"@task_{task.position}"
    _Task(module, task, plan, target, name).emit()
    lines = []
    if task.chunks == 1:
        lines.append(f"  call void {name}(ptr %frame, i64 0)")
    elif task.chunks > 1:
        many = threads if task.nanoseconds > WORTH_A_THREAD else 1
        module.declare("declare i64 @tw_parallel(ptr, ptr, i64, i64)")
        lines.append(
            f"  %busy{task.position} = call i64 @tw_parallel(ptr {name}, ptr %frame, "
            f"i64 {task.chunks}, i64 {many})"
        )
    for t in task.partials():
        combine = f"@combine_{t.serial}"
        _combine(module, task, plan, target, t, combine)
        lines.append(f"  call void {combine}(ptr %frame, i64 0)")
    return lines


def _segment(
    module: Module,
    segment: Segment,
    plan: Plan,
    target: Target,
    threads: int,
    conditions: Mapping[Tensor, int],
    last: bool,
) -> None:
    """Define the function of a segment: its tasks, each followed by what it must have shown."""
    lines = [
        "  %frame = alloca [3 x ptr], align 64",
        "  store ptr %inputs, ptr %frame",
        "  %f1 = getelementptr ptr, ptr %frame, i64 1",
        "  store ptr %outputs, ptr %f1",
        "  %f2 = getelementptr ptr, ptr %frame, i64 2",
        "  store ptr %arena, ptr %f2",
    ]
    made = {t: task.position for task in segment.tasks for s in task.stages for t in s.targets}
    known: dict[int, list[Tensor]] = {}
    for t in conditions:
        if t in made:
            known.setdefault(made[t], []).append(t)
    for task in segment.tasks:
        lines += _calls(module, task, plan, target, threads)
        for t in known.get(task.position, []):
            code = conditions[t]
            lines += [
                f"  %c{code}_at = getelementptr i8, ptr %arena, i64 {plan.places[t].number}",
                f"  %c{code} = load i8, ptr %c{code}_at",
                f"  %c{code}_holds = icmp ne i8 %c{code}, 0",
                f"  br i1 %c{code}_holds, label %on{code}, label %off{code}",
                f"off{code}:",
                f"  ret i64 {code}",
                f"on{code}:",
            ]
    if last:
        module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        for i, (offset, into, size) in enumerate(plan.copies):
            lines += [
                f"  %from{i} = getelementptr i8, ptr %arena, i64 {offset}",
                f"  %to{i}_at = getelementptr ptr, ptr %inputs, i64 {into}",
                f"  %to{i} = load ptr, ptr %to{i}_at",
                f"  call void @llvm.memcpy.p0.p0.i64(ptr %to{i}, ptr %from{i}, i64 {size}, "
                "i1 false)",
            ]
    body = "\n".join(lines)
    module.define(
        segment.name,
        f"define i64 @{segment.name}(ptr %inputs, ptr %outputs, ptr %arena) "
        f"{attributes(target)} {{\nentry:\n{body}\n  ret i64 0\n}}",
    )


def _shared(segments: Sequence[Segment]) -> frozenset[str]:
    """Functions whose code would be repeated too often."""
    counts = Counter(
        t.data
        for segment in segments
        for task in segment.tasks
        for stage in task.stages
        if isinstance(stage, Loop)
        for t in stage.inlined
        if t.op == "map"
    )
    return frozenset(
        name for name, n in counts.items() if weight(name) >= _LONG and n * weight(name) > _REPEATED
    )


def assemble(
    segments: Sequence[Segment],
    plan: Plan,
    target: Target,
    threads: int,
    conditions: Mapping[Tensor, int],
) -> Module:
    """The module of a program: one function ``i64(ptr inputs, ptr outputs, ptr arena)`` a segment.

    Parameters
    ----------
    conditions : mapping
        Tensor that must be true → the code (from 1 on) that its segment returns where it is not.
    """
    module = Module(target.features.split(","), attributes(target))
    module.shared = _shared(segments)
    for segment in segments:
        if segment.name:
            last = segment is segments[-1]
            _segment(module, segment, plan, target, threads, conditions, last)
    return module
