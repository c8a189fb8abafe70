"""Register tiles of a matrix product: rows × vectors of C stay in registers over the whole of k.

A tile of r rows and v vectors does r·v fused multiply-adds a step of k for v loads of B and r
broadcast loads of A. Each element of C is the chain fma(a[i,k], b[k,j], sum) over ascending k,
from zero or from what stands in C: whatever the tile's height, the split into row ranges or the
split of k into blocks, the sum is the same to the last bit.

All strides are run-time numbers of bytes: a handful of functions serves every shape, compiled
once a machine instead of once a program.
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.execute.native.emit import BITS, Emit, Module, V, storage

__all__ = ["fused", "load", "mask", "moved", "panel", "shuffle", "store"]


def fused(e: Emit, has_fma: bool, a: V, b: V, c: V, name: str = "") -> V:
    """a·b + c, in one instruction where there is one (elsewhere it would be a call of libm).

    With a name: the result has it, so that a phi before it can know it.
    """
    value = e.fma(a, b, c) if has_fma else e.add(e.mul(a, b), c)
    if name:
        e.lines[-1] = e.lines[-1].replace(f"{value.text} =", f"{name} =", 1)
    return V(name or value.text, a.kind)


def shuffle(e: Emit, a: V, b: V, order: Sequence[int], lanes: int = 0) -> V:
    """Numbers of two vectors (as long as the builder says, or `lanes`), b's counted after a's."""
    type_ = f"<{lanes or e.lanes} x {storage(a.kind)}>"
    indices = ", ".join(f"i32 {i}" for i in order)
    return e.line(
        f"shufflevector {type_} {a.text}, {type_} {b.text}, <{len(order)} x i32> <{indices}>",
        a.kind,
    )


def mask(e: Emit, name: str, count: str) -> str:
    """Name the mask that has the first `count` (an i64 in the code) lanes on."""
    type_ = f"<{e.lanes} x i64>"
    iota = ", ".join(f"i64 {i}" for i in range(e.lanes))
    e.raw(f"  {name}.0 = insertelement {type_} poison, i64 {count}, i64 0")
    e.raw(
        f"  {name}.1 = shufflevector {type_} {name}.0, {type_} poison, "
        f"<{e.lanes} x i32> zeroinitializer"
    )
    e.raw(f"  {name} = icmp slt {type_} <{iota}>, {name}.1")
    return name


def load(e: Emit, kind: str, pointer: str, only: str = "") -> V:
    """A vector from element-aligned memory; off the mask `only` zeros, and nothing is read."""
    vector, size = e.type(kind), BITS[kind] // 8
    if not only:
        return e.line(f"load {vector}, ptr {pointer}, align {size}", kind)
    name = f"llvm.masked.load.{e.suffix(kind)}.p0"
    e.module.declare(f"declare {vector} @{name}(ptr, i32, <{e.lanes} x i1>, {vector})")
    return e.line(
        f"call {vector} @{name}(ptr {pointer}, i32 {size}, <{e.lanes} x i1> {only}, "
        f"{vector} zeroinitializer)",
        kind,
    )


def store(e: Emit, value: V, pointer: str, only: str = "") -> None:
    """A vector to element-aligned memory; off the mask `only` nothing is written."""
    vector, size = e.type(value.kind), BITS[value.kind] // 8
    if not only:
        e.raw(f"  store {vector} {value.text}, ptr {pointer}, align {size}")
        return
    name = f"llvm.masked.store.{e.suffix(value.kind)}.p0"
    e.module.declare(f"declare void @{name}({vector}, ptr, i32, <{e.lanes} x i1>)")
    e.raw(
        f"  call void @{name}({vector} {value.text}, ptr {pointer}, i32 {size}, "
        f"<{e.lanes} x i1> {only})"
    )


def moved(e: Emit, pointer: str, bytes_: str | int) -> str:
    """A pointer moved by some bytes."""
    if bytes_ == 0:
        return pointer
    name = e.fresh()
    e.raw(f"  {name} = getelementptr i8, ptr {pointer}, i64 {bytes_}")
    return name


def spread(e: Emit, kind: str, pointer: str) -> V:
    """One number from memory in all lanes."""
    scalar, vector = storage(kind), e.type(kind)
    one = e.line(f"load {scalar}, ptr {pointer}, align {BITS[kind] // 8}", kind)
    first = e.line(f"insertelement {vector} poison, {scalar} {one.text}, i64 0", kind)
    return e.line(
        f"shufflevector {vector} {first.text}, {vector} poison, <{e.lanes} x i32> zeroinitializer",
        kind,
    )


def panel(
    module: Module,
    name: str,
    kind: str,
    lanes: int,
    attributes: str,
    has_fma: bool,
    heights: Sequence[int],
    vectors: int,
    masked: bool,
) -> None:
    """Define a function that makes all rows of `vectors` vectors of columns, for k ≥ 1.

    ``void (ptr a, ptr b, ptr c, i64 rows, i64 k, i64 A's row stride, its double, its triple,
    i64 A's column stride, i64 B's row stride, i64 C's row stride, i64 columns of the last vector,
    i1 whether the sums start from C instead of zero)``. Double and triple come as arguments
    because LLVM, knowing where they come from, would add the single one again and again.

    The heights fall and end with 1: as many tiles of the first are made as fit, then of the next.
    """
    e = Emit(module, lanes)
    e.raw(
        f"define internal void {name}(ptr %a, ptr %b, ptr %c, i64 %rows, i64 %k, i64 %ar, "
        f"i64 %ar2, i64 %ar3, i64 %ac, i64 %br, i64 %cr, i64 %columns, i1 %more) {attributes} {{"
    )
    e.raw("entry:")
    e.raw("  %ar4 = shl i64 %ar, 2")
    masks = [""] * vectors
    if masked:
        masks[-1] = mask(e, "%mask", "%columns")
    for height in heights:
        e.raw(f"  %ad{height} = mul i64 %ar, {height}")
        e.raw(f"  %cd{height} = mul i64 %cr, {height}")
    e.raw(f"  br label %rows{heights[0]}")
    before, state = "entry", ("%rows", "%a", "%c")
    followers = [*map("rows{}".format, heights[1:]), "done"]
    for height, following in zip(heights, followers, strict=True):
        h = str(height)
        e.raw(f"rows{h}:")
        for letter, type_, first in zip("nac", ("i64", "ptr", "ptr"), state, strict=True):
            e.raw(f"  %{letter}{h} = phi {type_} [{first}, %{before}], [%{letter}{h}.x, %end{h}]")
        e.raw(f"  %go{h} = icmp sge i64 %n{h}, {h}")
        e.raw(f"  br i1 %go{h}, label %tile{h}, label %{following}")
        e.raw(f"tile{h}:")
        _tile(e, kind, has_fma, height, masks)
        e.raw(f"  %n{h}.x = sub i64 %n{h}, {h}")
        e.raw(f"  %a{h}.x = getelementptr i8, ptr %a{h}, i64 %ad{h}")
        e.raw(f"  %c{h}.x = getelementptr i8, ptr %c{h}, i64 %cd{h}")
        e.raw(f"  br label %rows{h}")
        before, state = f"rows{h}", (f"%n{h}", f"%a{h}", f"%c{h}")
    e.raw("done:")
    e.raw("  ret void")
    e.raw("}")
    module.define(name, "\n".join(e.lines))


def _tile(e: Emit, kind: str, has_fma: bool, height: int, masks: Sequence[str]) -> None:
    """One tile: from the block `tile<h>` on to the block `end<h>`, which is left open."""
    h, vector, wide = str(height), e.type(kind), e.lanes * BITS[kind] // 8
    places = [(i, j) for i in range(height) for j in range(len(masks))]

    def c_rows() -> list[str]:
        rows = [f"%c{h}"]
        for _ in range(1, height):
            rows.append(moved(e, rows[-1], "%cr"))
        return rows

    # A's rows hang by fours on pointers that run along k, at distances that are held in registers.
    groups = [f"%a{h}"]
    for _ in range(4, height, 4):
        groups.append(moved(e, groups[-1], "%ar4"))
    e.raw(f"  br i1 %more, label %load{h}, label %loop{h}")
    e.raw(f"load{h}:")
    rows = c_rows()
    loaded = [load(e, kind, moved(e, rows[i], j * wide), masks[j]).text for i, j in places]
    # Sums start from C where k is in blocks: what the next tile will wait for is fetched now.
    e.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    ahead = moved(e, f"%c{h}", f"%cd{h}")
    for i in range(height):
        for j in range(len(masks)):
            e.raw(
                f"  call void @llvm.prefetch.p0(ptr {moved(e, ahead, j * wide)}, "
                "i32 1, i32 3, i32 1)"
            )
        if i + 1 < height:
            ahead = moved(e, ahead, "%cr")
    e.raw(f"  br label %loop{h}")
    e.raw(f"loop{h}:")

    def phi(name: str, type_: str, first: str, second: str, following: str) -> None:
        e.raw(
            f"  {name} = phi {type_} [{first}, %tile{h}], [{second}, %load{h}], "
            f"[{following}, %loop{h}]"
        )

    phi(f"%k{h}", "i64", "%k", "%k", f"%k{h}.x")
    phi(f"%y{h}", "ptr", "%b", "%b", f"%y{h}.x")
    for index, group in enumerate(groups):
        phi(f"%x{h}.{index}", "ptr", group, group, f"%x{h}.{index}.x")
    for index in range(len(places)):
        phi(f"%s{h}.{index}", vector, "zeroinitializer", loaded[index], f"%t{h}.{index}")
    b = [load(e, kind, moved(e, f"%y{h}", j * wide), only) for j, only in enumerate(masks)]
    for i in range(height):
        a = spread(e, kind, moved(e, f"%x{h}.{i // 4}", (0, "%ar", "%ar2", "%ar3")[i % 4]))
        for j in range(len(masks)):
            index = i * len(masks) + j
            fused(e, has_fma, a, b[j], V(f"%s{h}.{index}", kind), f"%t{h}.{index}")
    for index in range(len(groups)):
        e.raw(f"  %x{h}.{index}.x = getelementptr i8, ptr %x{h}.{index}, i64 %ac")
    e.raw(f"  %y{h}.x = getelementptr i8, ptr %y{h}, i64 %br")
    e.raw(f"  %k{h}.x = sub i64 %k{h}, 1")
    e.raw(f"  %last{h} = icmp eq i64 %k{h}.x, 0")
    e.raw(f"  br i1 %last{h}, label %end{h}, label %loop{h}")
    e.raw(f"end{h}:")
    rows = c_rows()
    for index, (i, j) in enumerate(places):
        store(e, V(f"%t{h}.{index}", kind), moved(e, rows[i], j * wide), masks[j])
