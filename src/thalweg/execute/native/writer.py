"""Emission of functions with loops: blocks, counted loops with carried values, loads and stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from thalweg.execute.native.emit import BITS, TYPES, Emit, Module, V, is_float, storage

__all__ = ["Writer", "horizontal", "identity_of", "join"]

#: Bytes of the vectors that processors can write past the caches.
_STREAMED = (16, 32, 64)


class Writer:
    """The body of one function; `e` emits vectors, `s` scalars, into the same lines."""

    def __init__(self, module: Module, lanes: int = 1) -> None:
        self.module = module
        self.s = Emit(module, 1, "s")
        self.lines = self.s.lines
        self.block = "entry"
        self._blocks = 0
        #: Whether anything was stored past the caches: other threads see it after a fence only.
        self.streams = False
        self.lanes = 0
        self.e = self.s
        self.use_lanes(lanes)

    def use_lanes(self, lanes: int) -> None:
        """Emit vectors of so many numbers from now on."""
        if lanes != self.lanes:
            self.lanes = lanes
            self._blocks += 1
            self.e = Emit(self.module, lanes, f"v{self._blocks}_")
            self.e.lines = self.lines

    def begin_block(self, name: str) -> None:
        """Start a basic block; nothing that was computed by name is known in it."""
        self.lines.append(f"{name}:")
        self.block = name
        self.e.forget()
        self.s.forget()

    def label(self, stem: str) -> str:
        """A new label."""
        self._blocks += 1
        return f"{stem}{self._blocks}"

    @contextmanager
    def loop(
        self, start: V, stop: V, step: int, carried: Sequence[tuple[V, str]] = ()
    ) -> Iterator[LoopState]:
        """``for i in range(start, stop, step)``, at least once; values are handed on by phis.

        Parameters
        ----------
        carried : sequence of (initial value, LLVM type)
            The body sets ``state.next`` to what the next turn gets; after the loop ``state.last``
            has the final values.
        """
        name = self.label("loop")
        state = LoopState()
        before = self.block
        self.lines.append(f"  br label %{name}")
        self.begin_block(name)
        index = self.s.fresh()
        place = len(self.lines)
        state.index = V(index, "i64")
        state.values = [V(self.s.fresh(), initial.kind) for initial, _ in carried]
        state.next = list(state.values)
        yield state
        after = self.s.add(state.index, V(str(step), "i64"))
        latch = self.block
        phis = [f"  {index} = phi i64 [ {start.text}, %{before} ], [ {after.text}, %{latch} ]"]
        for (initial, type_), value, following in zip(
            carried, state.values, state.next, strict=True
        ):
            phis.append(
                f"  {value.text} = phi {type_} [ {initial.text}, %{before} ], "
                f"[ {following.text}, %{latch} ]"
            )
        self.lines[place:place] = phis
        more = self.s.compare("slt", after, stop)
        done = self.label("done")
        self.lines.append(f"  br i1 {more.text}, label %{name}, label %{done}")
        self.begin_block(done)
        state.last = list(state.next)

    def inside(self, index: V, end: V) -> V:
        """Which lanes, from `index` on, are before `end`."""
        if self.lanes == 1:
            return self.s.const(True, "i1")
        few = self.s.intrinsic("smin", self.s.sub(end, index), V(str(self.lanes), "i64"))
        narrow = self.s.line(f"trunc i64 {few.text} to i32", "i32")
        return self.e.compare("slt", self.ramp("i32"), self.splat(narrow))

    # ---- memory ----------------------------------------------------------------------------

    def address(self, base: str, offset: V, kind: str) -> str:
        """The address of an entry."""
        if offset.text == "0":
            return base
        name = self.s.fresh()
        self.lines.append(
            f"  {name} = getelementptr {storage(kind)}, ptr {base}, i64 {offset.text}"
        )
        return name

    def load_scalar(self, base: str, offset: V, kind: str) -> V:
        """One number from memory."""
        at = self.address(base, offset, kind)
        found = self.s.line(f"load {storage(kind)}, ptr {at}, align {BITS[kind] // 8}", _raw(kind))
        return self.s.convert(found, "i1") if kind == "i1" else found

    def store_scalar(self, value: V, base: str, offset: V) -> None:
        """One number to memory."""
        at = self.address(base, offset, value.kind)
        if value.kind == "i1":
            value = self.s.convert(value, "u8")
        self.lines.append(
            f"  store {storage(value.kind)} {value.text}, ptr {at}, align {BITS[value.kind] // 8}"
        )

    def splat(self, value: V) -> V:
        """A number in all lanes."""
        e = self.e
        if e.lanes == 1:
            return value
        one = e.line(
            f"insertelement {e.type(value.kind)} poison, {TYPES[value.kind]} {value.text}, i64 0",
            value.kind,
        )
        return e.line(
            f"shufflevector {e.type(value.kind)} {one.text}, {e.type(value.kind)} poison, "
            f"<{e.lanes} x i32> zeroinitializer",
            value.kind,
        )

    def ramp(self, kind: str) -> V:
        """0, 1, 2 … in the lanes."""
        e = self.e
        if e.lanes == 1:
            return V("0", kind)
        items = ", ".join(f"{TYPES[kind]} {i}" for i in range(e.lanes))
        return V(f"<{items}>", kind)

    def load(self, base: str, offset: V, kind: str, stride: int, mask: V | None) -> V:
        """`lanes` numbers `stride` entries apart; those that `mask` leaves out are zero."""
        e = self.e
        if e.lanes == 1:
            return self.load_scalar(base, offset, kind)
        at = self.address(base, offset, kind)
        raw = _raw(kind)
        align = BITS[kind] // 8
        if stride == 1 and mask is None:
            found = e.line(f"load {e.type(raw)}, ptr {at}, align {align}", raw)
        elif stride == 1:
            name = f"llvm.masked.load.{e.suffix(raw)}.p0"
            found = self._masked(name, raw, f"ptr align {align} {at}", mask)
        else:
            ramp = self.ramp("i64")
            steps = e.mul(ramp, e.const(stride, "i64"))
            found = self.gather(at, steps, kind, mask)
            return found
        return e.convert(found, "i1") if kind == "i1" else found

    def gather(self, base: str, positions: V, kind: str, mask: V | None) -> V:
        """Numbers at base + positions."""
        e = self.e
        if e.lanes == 1:
            return self.load_scalar(base, positions, kind)
        raw = _raw(kind)
        places = e.fresh()
        self.lines.append(
            f"  {places} = getelementptr {storage(kind)}, ptr {base}, "
            f"{e.type('i64')} {positions.text}"
        )
        name = f"llvm.masked.gather.{e.suffix(raw)}.v{e.lanes}p0"
        pointers = f"<{e.lanes} x ptr> align {BITS[kind] // 8} {places}"
        found = self._masked(name, raw, pointers, mask)
        return e.convert(found, "i1") if kind == "i1" else found

    def _masked(self, name: str, raw: str, pointer: str, mask: V | None) -> V:
        e = self.e
        where = (mask or e.const(True, "i1")).text
        vector, condition = e.type(raw), e.type("i1")
        pointer_type = pointer.split(" align")[0]
        self.module.declare(f"declare {vector} @{name}({pointer_type}, {condition}, {vector})")
        return e.line(
            f"call {vector} @{name}({pointer}, {condition} {where}, {vector} zeroinitializer)", raw
        )

    def store(
        self, value: V, base: str, offset: V, stride: int, mask: V | None, stream: bool = False
    ) -> None:
        """`lanes` numbers to memory, `stride` entries apart; with `stream`, past the caches."""
        e = self.e
        if e.lanes == 1:
            self.store_scalar(value, base, offset)
            return
        at = self.address(base, offset, value.kind)
        if value.kind == "i1":
            value = e.convert(value, "u8")
        if stream and stride == 1 and e.lanes * BITS[value.kind] // 8 in _STREAMED:
            self._stream(value, at, mask)
        else:
            self._store(value, at, stride, mask)

    def _stream(self, value: V, at: str, mask: V | None) -> None:
        """A whole vector at a multiple of its size past the caches, any other as usual."""
        e, s = self.e, self.s
        size = e.lanes * BITS[value.kind] // 8
        number = s.line(f"ptrtoint ptr {at} to i64", "i64")
        whole = s.compare("eq", s.line(f"and i64 {number.text}, {size - 1}", "i64"), V("0", "i64"))
        if mask is not None:
            kind = f"i{e.lanes}"
            bits = s.fresh()
            self.lines.append(f"  {bits} = bitcast {e.type('i1')} {mask.text} to {kind}")
            whole = s.both(whole, s.line(f"icmp eq {kind} {bits}, -1", "i1"))
        past, usual, after = self.label("past"), self.label("usual"), self.label("after")
        self.lines.append(f"  br i1 {whole.text}, label %{past}, label %{usual}")
        self.begin_block(past)
        self.lines += [
            f"  store {e.type(value.kind)} {value.text}, ptr {at}, align {size}, "
            "!nontemporal !{i32 1}",
            f"  br label %{after}",
        ]
        self.begin_block(usual)
        self._store(value, at, 1, mask)
        self.lines.append(f"  br label %{after}")
        self.begin_block(after)
        self.streams = True

    def _store(self, value: V, at: str, stride: int, mask: V | None) -> None:
        e = self.e
        align = BITS[value.kind] // 8
        vector, condition = e.type(value.kind), e.type("i1")
        if stride == 1 and mask is None:
            self.lines.append(f"  store {vector} {value.text}, ptr {at}, align {align}")
            return
        where = (mask or e.const(True, "i1")).text
        if stride == 1:
            name, pointer = (
                f"llvm.masked.store.{e.suffix(value.kind)}.p0",
                f"ptr align {align} {at}",
            )
        else:
            steps = e.mul(self.ramp("i64"), e.const(stride, "i64"))
            places = e.fresh()
            self.lines.append(
                f"  {places} = getelementptr {storage(value.kind)}, ptr {at}, "
                f"{e.type('i64')} {steps.text}"
            )
            name = f"llvm.masked.scatter.{e.suffix(value.kind)}.v{e.lanes}p0"
            pointer = f"<{e.lanes} x ptr> align {align} {places}"
        pointer_type = pointer.split(" align")[0]
        self.module.declare(f"declare void @{name}({vector}, {pointer_type}, {condition})")
        self.lines.append(
            f"  call void @{name}({vector} {value.text}, {pointer}, {condition} {where})"
        )


class LoopState:
    """A loop under way: its index, the values carried into this turn, and those of the next."""

    index: V
    values: list[V]
    next: list[V]
    last: list[V]


def _raw(kind: str) -> str:
    """The kind in which a number comes from memory."""
    return "u8" if kind == "i1" else kind


def identity_of(how: str, kind: str) -> float | int | bool:
    """The number that a reduction begins with; a sum, as NumPy's, with +0.0: it is never −0.0."""
    if how in ("or", "and"):
        return how == "and"
    if how == "add":
        return 0
    if how == "mul":
        return 1
    if is_float(kind):
        return float("-inf") if how == "max" else float("inf")
    if kind == "i1":
        return how == "min"
    unsigned = kind.startswith("u")
    low = 0 if unsigned else -(2 ** (BITS[kind] - 1))
    high = 2 ** BITS[kind] - 1 if unsigned else 2 ** (BITS[kind] - 1) - 1
    return low if how == "max" else high


_JOIN: dict[str, Callable[[Emit, V, V], V]] = {
    "add": lambda e, a, b: e.add(a, b),
    "mul": lambda e, a, b: e.mul(a, b),
    "or": lambda e, a, b: e.either(a, b),
    "and": lambda e, a, b: e.both(a, b),
}


def join(e: Emit, how: str, a: V, b: V) -> V:
    """One step of a reduction; max and min hand NaN on."""
    found = _JOIN.get(how)
    if found is not None:
        return found(e, a, b)
    return e.intrinsic(_extreme(how, a.kind), a, b)


def _extreme(how: str, kind: str) -> str:
    if is_float(kind):
        return f"{how}imum"
    return ("u" if kind == "i1" or kind.startswith("u") else "s") + how


def horizontal(w: Writer, how: str, value: V) -> V:
    """All lanes joined to one number."""
    e = w.e
    if e.lanes == 1:
        return value
    kind = value.kind
    scalar, vector = TYPES[kind], e.type(kind)
    if is_float(kind) and how in ("add", "mul"):
        # The one place where the order may be chosen: a tree, the same for every call.
        name = f"llvm.vector.reduce.f{how}.{e.suffix(kind)}"
        start = "-0.0" if how == "add" else "1.0"
        w.module.declare(f"declare {scalar} @{name}({scalar}, {vector})")
        return w.s.line(
            f"call reassoc {scalar} @{name}({scalar} {start}, {vector} {value.text})", kind
        )
    stem = ("f" + _extreme(how, kind)) if is_float(kind) else how
    if not is_float(kind) and how in ("max", "min"):
        stem = _extreme(how, kind)
    name = f"llvm.vector.reduce.{stem}.{e.suffix(kind)}"
    w.module.declare(f"declare {scalar} @{name}({vector})")
    return w.s.line(f"call {scalar} @{name}({vector} {value.text})", kind)
