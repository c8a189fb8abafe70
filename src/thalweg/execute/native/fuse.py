"""From tensors to stages: which maps and reductions share one loop, and what must be stored.

A **stage** is one loop nest (maps, reductions and stores over one index space), one
matrix product, scatter or NumPy step. Maps are computed where they are used: a loop takes in
the expressions of its roots down to stored tensors. What two loops need is stored by the first,
unless it is cheaper to compute it again.

An index space is the shape without axes of size 1, so that (n, 1) and (n,) are one space.
"""

from __future__ import annotations

import heapq
import operator
from collections.abc import Sequence
from typing import NamedTuple

from thalweg.execute.native.access import (
    Access,
    covers,
    is_array_const,
    is_scalar_const,
    locate,
    operand_access,
    same_entries,
    space_of,
    through,
)
from thalweg.execute.native.ir import Shape, Tensor, c_strides
from thalweg.execute.native.scalar import weight

__all__ = ["Loop", "Other", "Root", "Stage", "fuse"]

#: Maps and instructions that one loop body may hold; above it registers spill.
_MAPS, _INSTRUCTIONS = 160, 700
#: In a space of one entry nothing is kept in vectors, so that a body may be long.
_SCALAR_MAPS = 1500
#: From so many numbers on they go on a tape (`thalweg.execute.native.tape`).
TAPED = 5000
#: A map is computed a second time, rather than stored, up to so many instructions.
_AGAIN = 8
_INLINE = frozenset(("map", "gather", "iota"))
_serial = operator.attrgetter("serial")
_STORED = frozenset(("input", "reduce", "matmul", "scatter", "assemble", "opaque", "part"))


class Root(NamedTuple):
    """What a loop leaves behind: `value` stored as (a part of) `target`, or reduced to it.

    `place` is (strides over the loop's space, offset) in the target; of a reduction it is None.
    """

    value: Tensor
    target: Tensor
    place: tuple[Shape, int] | None


class Loop:
    """One loop nest over `space`."""

    def __init__(self, space: Shape, position: int) -> None:
        self.space = space
        self.position = position
        self.roots: list[Root] = []
        self.inlined: dict[Tensor, None] = {}
        self.reads: dict[Tensor, None] = {}
        self.instructions = 0
        self._accesses: dict[tuple[Tensor, int], Access] | None = None

    @property
    def targets(self) -> list[Tensor]:
        """Tensors that the loop writes."""
        return [root.target for root in self.roots]

    def accesses(self) -> dict[tuple[Tensor, int], Access]:
        """What is read from memory: by (tensor, operand), and (target, −1 − number) of a root."""
        if self._accesses is not None:
            return self._accesses
        found = {}
        inlined = self.inlined
        for t in inlined:
            for i, x in enumerate(t.args):
                if x in inlined or self._in_register(x):
                    continue
                if t.op != "gather" or i:
                    found[t, i] = operand_access(x, t.shape)
        for k, root in enumerate(self.roots):
            if not self._in_register(root.value):
                found[root.target, -1 - k] = operand_access(root.value, root.value.shape)
        return found

    def close(self) -> None:
        """Nothing is added any more."""
        self._accesses = self.accesses()
        self.gathered = {locate(t.args[0]).base for t in self.inlined if t.op == "gather"}
        self.by_base: dict[Tensor, list[Access]] = {}
        for access in self._accesses.values():
            self.by_base.setdefault(access.base, []).append(access)

    def _in_register(self, x: Tensor) -> bool:
        return is_scalar_const(x) or through(x) in self.inlined

    def body(self) -> list[Tensor]:
        """The inlined tensors in topological order."""
        return sorted(self.inlined, key=_serial)


class Other:
    """A stage of one tensor that is no loop: matmul, scatter, opaque."""

    def __init__(self, tensor: Tensor, position: int) -> None:
        self.tensor = tensor
        self.position = position
        self.reads = dict.fromkeys(locate(x).base for x in tensor.args)

    @property
    def targets(self) -> list[Tensor]:
        """Tensors that the stage writes."""
        return [self.tensor]


Stage = Loop | Other


class _Fuser:
    def __init__(self, outputs: Sequence[Tensor]) -> None:
        self.outputs = outputs
        self.stages: list[Stage] = []
        self.loops: dict[Shape, list[Loop]] = {}
        #: The stage after which a stored tensor is there.
        self.ready: dict[Tensor, int] = {}
        self.home: dict[Tensor, Loop] = {}
        self.must = self._what_must_be_stored()
        #: Whether there are so many numbers that they go on a tape: then one loop takes them all.
        self.taped = sum(t.op == "map" and not space_of(t.shape) for t in self.order) > TAPED
        self.tape: Loop | None = None

    def _what_must_be_stored(self) -> set[Tensor]:
        """Tensors that something other than a loop over the same space asks for."""
        must = set(self.outputs)
        seen: set[Tensor] = set()
        stack = list(self.outputs)
        while stack:
            t = stack.pop()
            if t in seen:
                continue
            seen.add(t)
            stack += [x for x in t.args if x not in seen]
            if t.op in _STORED:
                must.add(t)
            for i, x in enumerate(t.args):
                if t.op == "map" and x.shape == t.shape and x.op != "view":
                    continue  # in a register of the same loop
                if t.op == "view":
                    if same_entries(t) is None:
                        must.add(x)
                    continue
                inner = through(x)
                if inner.op not in _INLINE and inner.op != "const":
                    continue
                if t.op == "map" or (t.op == "gather" and i == 1):
                    if inner.op in _INLINE and not covers(x, t.shape):
                        must.add(inner)
                elif t.op == "reduce" or t.op == "assemble":
                    if t.op == "assemble" and x is not inner:
                        must.add(inner)
                elif t.op != "opaque" or inner.op != "const":
                    must.add(inner)
        self.order = sorted(seen, key=_serial)
        return must

    def run(self) -> list[Stage]:
        for t in self.order:
            if t not in self.must or t in self.ready:
                continue
            if t.op == "input" or is_array_const(t):
                self.ready[t] = -1
            elif t.op == "part":
                self.ready[t] = self.ready[t.args[0]]
            elif t.op == "view":
                continue
            elif t.op == "reduce":
                self._place(t.args[0], t, reduce=True)
            elif t.op == "assemble":
                self._assemble(t)
            elif t.op in ("matmul", "scatter", "opaque"):
                self._other(t)
            else:
                self._place(t, t)
        for stage in self.stages:
            if isinstance(stage, Loop):
                stage.close()
        return self.stages

    def _other(self, t: Tensor) -> None:
        stage = Other(t, len(self.stages))
        self.stages.append(stage)
        self.ready[t] = stage.position

    def _assemble(self, t: Tensor) -> None:
        has_base, places = t.data
        args = list(t.args)
        after = -1
        if has_base:
            base = args.pop(0)
            loop = self._place(base, t, place=(c_strides(t.shape), 0))
            after = loop.position
        for part, (strides, offset) in zip(args, places, strict=True):
            if not part.size:
                continue
            loop = self._place(part, t, place=(strides, offset), after=after)
            if has_base:  # parts may lie over each other: the later one wins
                after = loop.position
            self.ready[t] = max(self.ready.get(t, -1), loop.position)
        self.ready.setdefault(t, after)

    def _place(
        self,
        value: Tensor,
        target: Tensor,
        *,
        reduce: bool = False,
        place: tuple[Shape, int] | None = None,
        after: int = -1,
    ) -> Loop:
        """Put `value` into a loop that stores it as (a part of) `target`, or reduces it to it."""
        shape = value.shape
        space = space_of(shape)
        if not reduce:
            strides, offset = place or (c_strides(shape), 0)
            place = (tuple([s for n, s in zip(shape, strides, strict=True) if n != 1]), offset)
        if self.taped and not space and not reduce:
            return self._place_number(value, target, place, after)  # type: ignore[arg-type]
        inlined, reads = self._expand(value, target)
        loop = self._choose(space, inlined, reads, after)
        again = self._settle(loop, inlined, reads)
        loop.instructions += sum(_weight(t) for t in again if t not in loop.inlined)
        loop.inlined.update(dict.fromkeys(again))
        loop.reads.update((x, None) for x in reads if x not in loop.inlined)
        for t in again:
            self.home.setdefault(t, loop)
        loop.roots.append(Root(value, target, place))
        if target.op != "assemble":
            self.ready[target] = loop.position
        return loop

    def _place_number(
        self, value: Tensor, target: Tensor, place: tuple[Shape, int], after: int
    ) -> Loop:
        """`_place` for a graph of many numbers: the loop under way takes it in, if it can."""
        new: dict[Tensor, None] = {}
        shared: dict[Tensor, None] = {}
        reads: dict[Tensor, None] = {}
        known = {} if self.tape is None else self.tape.inlined
        stack = [value]
        while stack:
            x = stack.pop()
            if x.op == "view":
                x = through(x)
            if x in new or (x.op == "const" and is_scalar_const(x)):
                continue
            if x in known:
                shared[x] = None
            elif x.op == "view":
                reads[x.args[0]] = None
            elif x.op == "map" and (x is target or x not in self.ready):
                new[x] = None
                stack.extend(x.args)
            else:
                reads[x] = None
        for x in reads:
            if x.op == "input" or is_array_const(x):
                self.ready.setdefault(x, -1)
            elif x not in self.ready:
                self._store_first(x)
        loop = self.tape
        if (
            loop is None
            or any(self.ready[x] >= loop.position for x in reads)
            or (after >= loop.position)
        ):
            for x in shared:
                self._store_at_home(x)
                reads[x] = None
            loop = self.tape = Loop((), len(self.stages))
            self.stages.append(loop)
        for x in new:
            self.home[x] = loop
        loop.inlined.update(new)
        loop.reads.update(reads)
        loop.roots.append(Root(value, target, place))
        if target.op != "assemble":
            self.ready[target] = loop.position
        return loop

    def _expand(self, value: Tensor, target: Tensor) -> tuple[list[Tensor], dict[Tensor, bool]]:
        """The maps that make `value` from stored tensors, and those tensors.

        Of each of the latter: whether it is read entry by entry, as it would stand in a register
        of the loop that computes it. A tree that is too large is cut: what is left to do is
        stored by loops of its own.
        """
        limit = _MAPS if space_of(value.shape) else _SCALAR_MAPS
        waiting: list[tuple[int, Tensor]] = []
        seen: set[Tensor] = set()
        reads: dict[Tensor, bool] = {}
        inlined: list[Tensor] = []

        def meet(x: Tensor, source: bool = False) -> None:
            x = through(x)
            if is_scalar_const(x):
                return
            if x.op == "view":
                reads[x.args[0]] = False
            elif x is not target and (x in self.must or source or x.op not in _INLINE):
                direct = not source and covers(x, value.shape)
                reads[x] = direct and reads.get(x, True)
            elif x not in seen:
                seen.add(x)
                heapq.heappush(waiting, (-x.serial, x))

        meet(value)
        instructions = 0
        while waiting:
            _, t = heapq.heappop(waiting)
            if len(inlined) >= limit or (space_of(value.shape) and instructions > _INSTRUCTIONS):
                if t.op == "iota":
                    inlined.append(t)
                    continue
                self._store_first(t)
                reads[t] = False
                continue
            inlined.append(t)
            instructions += _weight(t)
            for i, x in enumerate(t.args):
                meet(x, source=t.op == "gather" and i == 0)
        for x in reads:
            if x not in self.ready and x.op in _INLINE:
                self._store_first(x)
            elif is_array_const(x) or x.op == "input":
                self.ready.setdefault(x, -1)
        return inlined, reads

    def _store_first(self, t: Tensor) -> None:
        """Have `t` stored before anything that comes now; trees of any depth."""
        if t in self.home:
            self._store_at_home(t)
        elif t not in self.ready:
            self.must.add(t)
            self._place(t, t)

    def _choose(
        self, space: Shape, inlined: Sequence[Tensor], reads: dict[Tensor, bool], after: int
    ) -> Loop:
        """The loop over this space that shares most, where all that is read is there before it."""
        indirect = max((self.ready[x] for x, direct in reads.items() if not direct), default=-1)
        after = max(after, indirect)
        limit = _MAPS if space else _SCALAR_MAPS
        best: Loop | None = None
        most = -1
        for loop in reversed(self.loops.get(space, [])[-8:]):
            if loop.position <= after or any(
                self.ready[x] >= loop.position and x not in loop.inlined for x in reads
            ):
                continue
            new = [t for t in inlined if t not in loop.inlined]
            if len(loop.inlined) + len(new) > limit:
                continue
            if space and new and loop.instructions + sum(map(_weight, new)) > _INSTRUCTIONS:
                continue
            shared = len(inlined) - len(new)
            if shared > most:
                best, most = loop, shared
        if best is None:
            best = Loop(space, len(self.stages))
            self.stages.append(best)
            self.loops.setdefault(space, []).append(best)
        return best

    def _settle(
        self, loop: Loop, inlined: Sequence[Tensor], reads: dict[Tensor, bool]
    ) -> list[Tensor]:
        """Which of `inlined` are computed in `loop`: what another has is read where it pays."""
        elsewhere = [
            t
            for t in inlined
            if t.op != "iota"
            and t not in loop.inlined
            and t in self.home
            and self.home[t] is not loop
            and self.home[t].position < loop.position
        ]
        if not elsewhere:
            return list(inlined)
        # From the result down: what is read from memory needs none of its operands.
        costs: dict[Tensor, int] = {}
        for t in sorted(inlined, key=_serial):
            costs[t] = _weight(t) + sum(costs.get(through(x), 0) for x in t.args)
        candidates = set(elsewhere)
        order = sorted(inlined, key=lambda t: -t.serial)
        wanted = {order[0]}
        chosen: list[Tensor] = []
        needed: dict[Tensor, bool] = {}
        for t in order:
            if t not in wanted:
                continue
            if t in candidates and costs[t] > _AGAIN:
                self._store_at_home(t)
                needed[t] = True
                continue
            chosen.append(t)
            for i, x in enumerate(t.args):
                inner = through(x)
                stored = inner.args[0] if inner.op == "view" else inner
                if inner in costs and not (t.op == "gather" and i == 0):
                    wanted.add(inner)
                elif stored in reads:
                    needed[stored] = reads[stored]
        reads.clear()
        reads.update(needed)
        return chosen

    def _store_at_home(self, t: Tensor) -> None:
        if t in self.ready:
            return
        home = self.home[t]
        self.must.add(t)
        strides = tuple([s for n, s in zip(t.shape, c_strides(t.shape), strict=True) if n != 1])
        home.roots.append(Root(t, t, (strides, 0)))
        self.ready[t] = home.position


def _weight(t: Tensor) -> int:
    if t.op == "map":
        return weight(t.data)
    return 6 if t.op == "gather" else 1


def fuse(outputs: Sequence[Tensor]) -> list[Stage]:
    """Stages that compute `outputs`, in an order in which they can run."""
    return _Fuser(outputs).run()
