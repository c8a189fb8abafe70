"""Dot products of contiguous rows with one vector: the product of a matrix and a vector.

Each row has a vector of sums, fma(a, b, sum) over ascending k; then the upper half of its lanes is
added to the lower, and again, down to one number. Several rows share those last steps: two
vectors of partial sums become one that holds both, half as wide.
"""

from __future__ import annotations

from thalweg.execute.native.emit import BITS, Emit, Module, V, storage
from thalweg.execute.native.gemm_tiles import fused, load, mask, moved, shuffle
from thalweg.execute.native.jit import Target, attributes

__all__ = ["dots"]


def dots(module: Module, target: Target, kind: str, lanes: int) -> None:
    """Define tw_dots for a kind; see `gemm_library`."""
    e = Emit(module, lanes)
    name, size = f"@tw_dots_{kind}", BITS[kind] // 8
    heights = (min(8, lanes), 1)
    e.raw(
        f"define void {name}(ptr %a, ptr %b, ptr %c, i64 %rows, i64 %k, i64 %ar, i64 %cr, "
        f"i1 %more) {attributes(target)} {{"
    )
    e.raw("entry:")
    e.raw(f"  %whole = and i64 %k, {-lanes}")
    e.raw("  %odd = sub i64 %k, %whole")
    e.raw(f"  %whole.b = mul i64 %whole, {size}")
    e.raw("  %short = icmp eq i64 %whole, 0")
    only = mask(e, "%mask", "%odd")
    e.raw(f"  br label %rows{heights[0]}")
    before, state = "entry", ("%rows", "%a", "%c")
    for height, following in zip(heights, ("rows1", "done"), strict=True):
        h = str(height)
        e.raw(f"rows{h}:")
        for letter, type_, first in zip("nac", ("i64", "ptr", "ptr"), state, strict=True):
            e.raw(f"  %{letter}{h} = phi {type_} [{first}, %{before}], [%{letter}{h}.x, %end{h}]")
        e.raw(f"  %go{h} = icmp sge i64 %n{h}, {h}")
        e.raw(f"  br i1 %go{h}, label %tile{h}, label %{following}")
        e.raw(f"tile{h}:")
        _rows(e, target.has_fma, kind, height, only)
        e.raw(f"  %n{h}.x = sub i64 %n{h}, {h}")
        e.raw(f"  br label %rows{h}")
        before, state = f"rows{h}", (f"%n{h}", f"%a{h}", f"%c{h}")
    e.raw("done:")
    e.raw("  ret void")
    e.raw("}")
    module.define(name, "\n".join(e.lines))


def _rows(e: Emit, has_fma: bool, kind: str, height: int, only: str) -> None:
    """Some rows: from the block `tile<h>` on to the block `end<h>`, which is left open."""
    h, vector, scalar, size = str(height), e.type(kind), storage(kind), BITS[kind] // 8
    rows, places = [f"%a{h}"], [f"%c{h}"]
    for _ in range(1, height):
        rows.append(moved(e, rows[-1], "%ar"))
        places.append(moved(e, places[-1], "%cr"))
    e.raw(f"  br i1 %short, label %end{h}, label %loop{h}")
    e.raw(f"loop{h}:")
    e.raw(f"  %o{h} = phi i64 [0, %tile{h}], [%o{h}.x, %loop{h}]")
    for i in range(height):
        e.raw(f"  %s{h}.{i} = phi {vector} [zeroinitializer, %tile{h}], [%t{h}.{i}, %loop{h}]")
    b = load(e, kind, moved(e, "%b", f"%o{h}"))
    for i, row in enumerate(rows):
        a = load(e, kind, moved(e, row, f"%o{h}"))
        fused(e, has_fma, a, b, V(f"%s{h}.{i}", kind), f"%t{h}.{i}")
    e.raw(f"  %o{h}.x = add i64 %o{h}, {e.lanes * size}")
    e.raw(f"  %go.k{h} = icmp slt i64 %o{h}.x, %whole.b")
    e.raw(f"  br i1 %go.k{h}, label %loop{h}, label %end{h}")
    e.raw(f"end{h}:")
    for i in range(height):
        e.raw(f"  %u{h}.{i} = phi {vector} [zeroinitializer, %tile{h}], [%t{h}.{i}, %loop{h}]")
    b = load(e, kind, moved(e, "%b", "%whole.b"), only)
    sums = [
        fused(e, has_fma, load(e, kind, moved(e, row, "%whole.b"), only), b, V(f"%u{h}.{i}", kind))
        for i, row in enumerate(rows)
    ]
    for i, (place, total) in enumerate(zip(places, _totals(e, sums), strict=True)):
        old = e.fresh()
        e.raw(f"  {old} = load {scalar}, ptr {place}, align {size}")
        e.raw(f"  %from{h}.{i} = select i1 %more, {scalar} {old}, {scalar} zeroinitializer")
        e.raw(f"  %to{h}.{i} = fadd {scalar} %from{h}.{i}, {total}")
        e.raw(f"  store {scalar} %to{h}.{i}, ptr {place}, align {size}")
    e.raw(f"  %a{h}.x = getelementptr i8, ptr {rows[-1]}, i64 %ar")
    e.raw(f"  %c{h}.x = getelementptr i8, ptr {places[-1]}, i64 %cr")


def _totals(e: Emit, sums: list[V]) -> list[str]:
    """The sum over the lanes of each vector, as scalars."""
    kind, count = sums[0].kind, len(sums)
    width = lanes = e.lanes
    while width > 1:
        half = width // 2
        pairs = list(zip(sums[::2], sums[1::2], strict=True)) if len(sums) > 1 else []
        starts = range(0, 2 * lanes if pairs else lanes, width)
        low = [start + i for start in starts for i in range(half)]
        high = [i + half for i in low]
        halves = [
            [shuffle(e, x, y, order, lanes) for x, y in pairs or [(sums[0], sums[0])]]
            for order in (low, high)
        ]
        lanes = len(low)
        type_ = f"<{lanes} x {storage(kind)}>"
        sums = [
            e.line(f"fadd {type_} {x.text}, {y.text}", kind) for x, y in zip(*halves, strict=True)
        ]
        width = half
    type_ = f"<{count} x {storage(kind)}>"
    return [
        e.line(f"extractelement {type_} {sums[0].text}, i64 {i}", kind).text for i in range(count)
    ]
