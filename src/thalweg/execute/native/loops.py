"""A loop stage as code: nested loops over its index space, the innermost in vectors.

Neighbouring axes are merged where all operands allow. The last axis runs in vectors, with a mask
where its length is no multiple of the lanes. A reduction whose axes end with the last one is kept
in registers: lanes within a strip of 128 vectors, then one number (float32: a float64), so that the
error stays as small as that of pairwise summation; any other is added up in memory, row by row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from thalweg.execute.native.access import Access, is_scalar_const, locate, through
from thalweg.execute.native.emit import BITS, TYPES, V, is_float
from thalweg.execute.native.fuse import Loop, Root
from thalweg.execute.native.ir import Shape, Tensor, c_strides
from thalweg.execute.native.scalar import apply_scalar
from thalweg.execute.native.writer import Writer, horizontal, identity_of, join

__all__ = ["Reduction", "Rows", "emit_loop", "lanes_of", "merge_axes", "reductions_of", "sum_kind"]

#: Vectors that are added up in lanes before they go into one number.
STRIP = 128


class Rows(NamedTuple):
    """The part of the first axis that this call does."""

    begin: V
    end: V
    divisible: int  # both are multiples of this, but for the end of the axis


def sum_kind(how: str, kind: str) -> str:
    """In which numbers a reduction is kept outside of the innermost loop."""
    return "f64" if how == "add" and kind == "f32" else kind


class Reduction(NamedTuple):
    """A reduction root: which axes of the loop's space it runs over."""

    root: Root
    how: str
    over: tuple[bool, ...]

    @property
    def kind(self) -> str:
        """The kind of number that is reduced."""
        return self.root.value.kind

    @property
    def share_kind(self) -> str:
        """The kind in which a chunk's share is kept: that of the registers, if it was in them."""
        return sum_kind(self.how, self.kind) if self.over[-1] else self.kind


def reductions_of(loop: Loop) -> list[Reduction]:
    """The reductions of a loop."""
    found = []
    for root in loop.roots:
        if root.place is None:
            how, axes = root.target.data
            shape = root.value.shape
            over = tuple([i in axes for i, n in enumerate(shape) if n != 1])
            found.append(Reduction(root, how, over))
    return found


def lanes_of(loop: Loop, vector_bytes: int, extent: int) -> int:
    """How many numbers a vector of this loop holds."""
    kinds = [t.kind for t in loop.inlined] + [root.value.kind for root in loop.roots]
    widest = max((BITS[kind] // 8 for kind in kinds if kind != "i1"), default=1)
    lanes = max(1, vector_bytes // max(widest, 4))
    while lanes > 1 and lanes // 2 >= extent:
        lanes //= 2
    return lanes


def merge_axes(loop: Loop, keep_first: bool = False) -> list[list[int]]:
    """Runs of neighbouring axes that are one axis for everything the loop touches."""
    space = loop.space
    reductions = reductions_of(loop)
    patterns = {access.strides for access in loop.accesses().values()}
    patterns |= {root.place[0] for root in loop.roots if root.place is not None}
    patterns |= {_kept_strides(r, space) for r in reductions}
    fixed = {
        sum(1 for m in t.shape[: t.data] if m != 1)
        for t in loop.inlined
        if t.op == "iota" and t.shape[t.data] != 1
    }
    groups: list[list[int]] = []
    for k in range(len(space)):
        joins = bool(groups) and k not in fixed and k - 1 not in fixed
        joins = joins and not (keep_first and groups[-1] == [0])
        joins = joins and all(p[k - 1] == p[k] * space[k] for p in patterns)
        if joins and all(r.over[k - 1] == r.over[k] for r in reductions):
            groups[-1].append(k)
        else:
            groups.append([k])
    return groups


class _Nest:
    """The emission of one loop."""

    def __init__(
        self,
        w: Writer,
        loop: Loop,
        pointer: Callable[[Tensor], str],
        rows: Rows | None,
        keep_first: bool,
        partial: Callable[[Tensor], str | None],
        vector_bytes: int,
        streamed: Collection[Tensor],
    ) -> None:
        self.w = w
        self.loop = loop
        self.pointer = pointer
        self.rows = rows
        self.partial = partial
        self.streamed = streamed
        self.reductions = reductions_of(loop)
        self.uses = loop.accesses()
        self._merge(merge_axes(loop, keep_first))
        w.use_lanes(lanes_of(loop, vector_bytes, self.extents[-1]) if self.extents else 1)
        self.offsets: dict[Shape, V] = {}
        self.indices: list[V] = []

    def _merge(self, groups: list[list[int]]) -> None:
        """Afterwards strides, extents and reductions are over the groups of axes."""
        last = [g[-1] for g in groups]
        self.groups = groups
        self.uses = {
            key: access._replace(strides=tuple([access.strides[k] for k in last]))
            for key, access in self.uses.items()
        }
        self.places = {
            id(root): (tuple([root.place[0][k] for k in last]), root.place[1])
            for root in self.loop.roots
            if root.place is not None
        }
        self.kept = {}
        for r in self.reductions:
            strides = _kept_strides(r, self.loop.space)
            self.kept[id(r.root)] = tuple([strides[k] for k in last])
        self.reductions = [
            r._replace(over=tuple([r.over[k] for k in last])) for r in self.reductions
        ]
        self.extents = [math.prod(self.loop.space[k] for k in g) for g in groups]

    # ---- the nest ------------------------------------------------------------------------------

    def run(self) -> None:
        """Emit the whole nest. Of no turns it is nothing: every loop does at least one."""
        if 0 in self.extents:
            return
        patterns = {access.strides for access in self.uses.values()}
        patterns |= {strides for strides, _ in self.places.values()} | set(self.kept.values())
        self.patterns = sorted(patterns)
        zero = V("0", "i64")
        self.offsets = dict.fromkeys(self.patterns, zero)
        n = len(self.extents)
        #: Where a reduction's registers begin: from this axis on all are reduced.
        self.suffix: dict[int, int] = {}
        for r in self.reductions:
            s = n
            while s and r.over[s - 1]:
                s -= 1
            self.suffix[id(r.root)] = s
        self._clear()
        if not n:
            self._body({}, None)
            return
        self._level(0, {})

    def _in_memory(self, r: Reduction) -> bool:
        """Whether what a turn of the kept axes gives is added to memory rather than stored."""
        return any(r.over[: self.suffix[id(r.root)]])

    def _target(self, r: Reduction) -> tuple[str, str]:
        """Pointer and kind of what a reduction is added up in."""
        partial = self.partial(r.root.target)
        if partial is not None:
            return partial, r.share_kind
        return self.pointer(r.root.target), r.kind

    def _clear(self) -> None:
        """Put the identity where reductions are added up in memory."""
        w = self.w
        for r in self.reductions:
            if not self._in_memory(r):
                continue
            base, kind = self._target(r)
            size = r.root.target.size
            row = size if r.over[0] else size // self.extents[0]
            begin, end = V("0", "i64"), V(str(size), "i64")
            if not r.over[0] and self.rows is not None:
                begin = w.s.mul(self.rows.begin, V(str(row), "i64"))
                end = w.s.mul(self.rows.end, V(str(row), "i64"))
            start = w.s.const(identity_of(r.how, kind), kind)
            with w.loop(begin, end, 1) as state:
                w.store_scalar(start, base, state.index)

    def _range(self, k: int) -> tuple[V, V]:
        if k == 0 and self.rows is not None:
            return self.rows.begin, self.rows.end
        return V("0", "i64"), V(str(self.extents[k]), "i64")

    def _starts(self, k: int, carried: dict[int, V]) -> dict[int, V]:
        """The registers of reductions that begin at this axis added to those under way."""
        now = dict(carried)
        for r in self.reductions:
            if self.suffix[id(r.root)] == k:
                kind = sum_kind(r.how, r.kind)
                now[id(r.root)] = self.w.s.const(identity_of(r.how, kind), kind)
        return now

    def _level(self, k: int, carried: dict[int, V]) -> dict[int, V]:
        """Emit axis k and those inside; gives the registers of reductions that go on outside."""
        w = self.w
        now = self._starts(k, carried)
        if k == len(self.extents) - 1:
            done = self._vectors(k, now)
        else:
            begin, end = self._range(k)
            keys = list(now)
            handed = [(now[key], TYPES[now[key].kind]) for key in keys]
            outer = dict(self.offsets)
            with w.loop(begin, end, 1, handed) as state:
                self.indices.append(state.index)
                self._advance(k, state.index)
                inner = self._level(k + 1, dict(zip(keys, state.values, strict=True)))
                self.indices.pop()
                state.next = [inner[key] for key in keys]
            self.offsets = outer
            done = dict(zip(keys, state.last, strict=True))
        for r in self.reductions:
            if self.suffix[id(r.root)] == k:
                self._finish(r, done.pop(id(r.root)))
        return done

    def _advance(self, k: int, index: V) -> None:
        """Offsets of all access patterns at this index of axis k."""
        s = self.w.s
        steps: dict[int, V] = {}
        for pattern in self.patterns:
            step = pattern[k]
            if not step:
                continue
            if step not in steps:
                steps[step] = index if step == 1 else s.mul(index, V(str(step), "i64"))
            before = self.offsets[pattern]
            self.offsets[pattern] = (
                steps[step] if before.text == "0" else s.add(before, steps[step])
            )

    def _finish(self, r: Reduction, value: V) -> None:
        """What is in the registers goes to memory."""
        w = self.w
        base, kind = self._target(r)
        offset = self.offsets[self.kept[id(r.root)]]
        if self._in_memory(r):
            before = w.s.convert(w.load_scalar(base, offset, kind), value.kind)
            value = join(w.s, r.how, before, value)
        w.store_scalar(w.s.convert(value, kind), base, offset)

    # ---- the innermost axis --------------------------------------------------------------------

    def _vectors(self, k: int, carried: dict[int, V]) -> dict[int, V]:
        w = self.w
        begin, end = self._range(k)
        hoisted = self._hoist(k)
        strip = STRIP * w.lanes
        long = self.extents[k] > strip and any(
            r.how == "add" and is_float(r.kind) and id(r.root) in carried for r in self.reductions
        )
        if not long:
            return self._strip(k, begin, end, carried, hoisted)
        keys = list(carried)
        handed = [(carried[key], TYPES[carried[key].kind]) for key in keys]
        with w.loop(begin, end, strip, handed) as state:
            stop = w.s.add(state.index, V(str(strip), "i64"))
            stop = w.s.select(w.s.compare("slt", stop, end), stop, end)
            values = dict(zip(keys, state.values, strict=True))
            inner = self._strip(k, state.index, stop, values, hoisted)
            state.next = [inner[key] for key in keys]
        return dict(zip(keys, state.last, strict=True))

    def _strip(
        self, k: int, begin: V, end: V, carried: dict[int, V], hoisted: dict[Access, V]
    ) -> dict[int, V]:
        """One run of vectors; reductions are in lanes during it."""
        w = self.w
        active = [r for r in self.reductions if id(r.root) in carried]
        handed = [(w.e.const(identity_of(r.how, r.kind), r.kind), w.e.type(r.kind)) for r in active]
        masked = self.extents[k] % w.lanes != 0
        if self.rows is not None and k == 0 and self.rows.divisible % w.lanes:
            masked = True
        outer = dict(self.offsets)
        with w.loop(begin, end, w.lanes, handed) as state:
            self._advance(k, state.index)
            self.indices.append(state.index)
            mask = w.inside(state.index, end) if masked else None
            accumulators = {
                id(r.root): value for r, value in zip(active, state.values, strict=True)
            }
            self._body(hoisted, mask, accumulators)
            self.indices.pop()
            state.next = [accumulators[id(r.root)] for r in active]
        self.offsets = outer
        result = dict(carried)
        for r, value in zip(active, state.last, strict=True):
            total = horizontal(w, r.how, value)
            before = carried[id(r.root)]
            result[id(r.root)] = join(w.s, r.how, before, w.s.convert(total, before.kind))
        return result

    def _hoist(self, k: int) -> dict[Access, V]:
        """Operands that stay the same along the innermost axis, in all lanes."""
        hoisted: dict[Access, V] = {}
        for access in self.uses.values():
            if access.strides[k] == 0 and access not in hoisted:
                hoisted[access] = self.w.splat(self._scalar(access))
        return hoisted

    def _base(self, access: Access) -> str:
        """The pointer to an access's first entry."""
        w = self.w
        return w.address(self.pointer(access.base), V(str(access.offset), "i64"), access.base.kind)

    def _scalar(self, access: Access) -> V:
        return self.w.load_scalar(
            self._base(access), self.offsets[access.strides], access.base.kind
        )

    def _body(
        self,
        hoisted: dict[Access, V],
        mask: V | None,
        accumulators: dict[int, V] | None = None,
    ) -> None:
        """The work of one vector: loads, maps, stores, steps of reductions."""
        w, loop = self.w, self.loop
        known: dict[Tensor, V] = {}
        loaded: dict[Access, V] = dict(hoisted)

        def operand(t: Tensor, i: int, x: Tensor) -> V:
            if is_scalar_const(x):
                return w.e.const(x.data, x.kind)
            access = self.uses.get((t, i))
            if access is None:
                return known[through(x)]
            if access not in loaded:
                if not self.extents:
                    loaded[access] = self._scalar(access)
                else:
                    loaded[access] = w.load(
                        self._base(access),
                        self.offsets[access.strides],
                        access.base.kind,
                        access.strides[-1],
                        mask,
                    )
            return loaded[access]

        for t in loop.body():
            if t.op == "iota":
                known[t] = self._iota(t)
            elif t.op == "gather":
                positions = operand(t, 1, t.args[1])
                source = locate(t.args[0])
                base = w.address(self.pointer(source.base), V(str(source.offset), "i64"), t.kind)
                known[t] = w.gather(base, positions, t.kind, mask)
            else:
                operands = [operand(t, i, x) for i, x in enumerate(t.args)]
                known[t] = apply_scalar(w.e, t.data, operands)
        # All is read before the first result is written: it may lie where another is read from.
        values = [operand(root.target, -1 - k, root.value) for k, root in enumerate(loop.roots)]
        for root, value in zip(loop.roots, values, strict=True):
            if root.place is not None:
                strides, offset = self.places[id(root)]
                base = w.address(self.pointer(root.target), V(str(offset), "i64"), value.kind)
                step = strides[-1] if strides else 1
                place = self.offsets[strides] if strides else V("0", "i64")
                w.store(value, base, place, step, mask, root.target in self.streamed)
        for root, value in zip(loop.roots, values, strict=True):
            if root.place is None:
                self._reduce(root, value, mask, accumulators or {})

    def _reduce(self, root: Root, value: V, mask: V | None, accumulators: dict[int, V]) -> None:
        w = self.w
        how = root.target.data[0]
        if mask is not None:
            value = w.e.select(mask, value, w.e.const(identity_of(how, value.kind), value.kind))
        if id(root) in accumulators:
            accumulators[id(root)] = join(w.e, how, accumulators[id(root)], value)
            return
        r = next(r for r in self.reductions if r.root is root)
        base, kind = self._target(r)
        strides = self.kept[id(root)]
        offset = self.offsets[strides]
        before = w.load(base, offset, kind, strides[-1], mask)
        w.store(join(w.e, how, before, value), base, offset, strides[-1], mask)

    def _iota(self, t: Tensor) -> V:
        w = self.w
        if t.shape[t.data] == 1:
            return w.e.const(0, t.kind)
        axis = sum(1 for m in t.shape[: t.data] if m != 1)
        level = next(i for i, g in enumerate(self.groups) if g[0] == axis)
        index = self.indices[level]
        narrow = w.s.convert(index, t.kind)
        if level < len(self.extents) - 1:
            return w.splat(narrow)
        start = w.splat(narrow)
        ramp = (
            V(w.ramp(t.kind).text, t.kind)
            if not is_float(t.kind)
            else w.e.convert(w.ramp("i32"), t.kind)
        )
        return w.e.add(start, ramp)


def _kept_strides(r: Reduction, extents: Sequence[int]) -> Shape:
    """Strides of a reduction's result over the loop's axes: 0 along those that vanish."""
    kept = [n for n, over in zip(extents, r.over, strict=True) if not over]
    steps = iter(c_strides(kept))
    return tuple([0 if over else next(steps) for over in r.over])


def emit_loop(
    w: Writer,
    loop: Loop,
    pointer: Callable[[Tensor], str],
    vector_bytes: int,
    *,
    rows: Rows | None = None,
    keep_first: bool = False,
    partial: Callable[[Tensor], str | None] = lambda t: None,
    streamed: Collection[Tensor] = (),
) -> None:
    """Emit a loop stage.

    Parameters
    ----------
    pointer : callable
        The name of the pointer to a stored tensor's entries.
    rows : Rows, optional
        The part of the first axis to do; the whole, if left out.
    keep_first : bool
        The first axis is not merged with the second: rows count in it.
    partial : callable
        Where this call's share of a reduction over the first axis goes, if not to its target.
    streamed : collection of Tensor
        Results that are written past the caches; a fence must follow (`Writer.streams`).
    """
    _Nest(w, loop, pointer, rows, keep_first, partial, vector_bytes, streamed).run()
