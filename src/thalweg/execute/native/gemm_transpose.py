"""Transposition in registers: square blocks, as many rows as a vector has lanes."""

from __future__ import annotations

from thalweg.execute.native.emit import BITS, Emit, Module, V
from thalweg.execute.native.gemm_tiles import load, mask, shuffle, store
from thalweg.execute.native.jit import Target, attributes

__all__ = ["transposition"]


def transposition(module: Module, target: Target, kind: str, lanes: int) -> None:
    """Define tw_transpose for a kind; see `gemm_library`."""
    e = Emit(module, lanes)
    size = BITS[kind] // 8
    name = f"@tw_transpose_{kind}"
    e.raw(
        f"define void {name}(ptr %from, ptr %to, i64 %rows, i64 %columns, i64 %fr, i64 %tr) "
        f"{attributes(target)} {{"
    )
    e.raw(f"""entry:
  %no_rows = icmp slt i64 %rows, 1
  %no_columns = icmp slt i64 %columns, 1
  %nothing = or i1 %no_rows, %no_columns
  br i1 %nothing, label %done, label %band
band:
  %i = phi i64 [0, %entry], [%i.x, %band.end]
  %rows_left = sub i64 %rows, %i
  %if = mul i64 %i, %fr
  %fi = getelementptr i8, ptr %from, i64 %if
  %it = mul i64 %i, {size}
  %ti = getelementptr i8, ptr %to, i64 %it
  %tall = icmp sge i64 %rows_left, {lanes}""")
    only_rows = mask(e, "%row_mask", "%rows_left")
    e.raw(f"""  br label %block
block:
  %j = phi i64 [0, %band], [%j.x, %block.end]
  %columns_left = sub i64 %columns, %j
  %jf = mul i64 %j, {size}
  %f = getelementptr i8, ptr %fi, i64 %jf
  %jt = mul i64 %j, %tr
  %t = getelementptr i8, ptr %ti, i64 %jt""")
    if not target.has_avx512:
        # Masks are dear here: blocks that are full do without.
        e.raw(f"""  %broad = icmp sge i64 %columns_left, {lanes}
  %full = and i1 %tall, %broad
  br i1 %full, label %whole, label %edge
whole:""")
        rows = [load(e, kind, place) for place in _places(e, "%f", "%fr")]
        for row, place in zip(_turned(e, rows), _places(e, "%t", "%tr"), strict=True):
            store(e, row, place)
        e.raw("  br label %block.end")
        e.raw("edge:")
    # Beyond the last row and column the last one stands again: it is read again, and it is written
    # last, over what stands there for the columns that are not there.
    only_columns = mask(e, "%column_mask", "%columns_left")
    rows = [load(e, kind, place, only_columns) for place in _places(e, "%f", "%fr", "%rows_left")]
    places = _places(e, "%t", "%tr", "%columns_left")
    for row, place in zip(reversed(_turned(e, rows)), reversed(places), strict=True):
        store(e, row, place, only_rows)
    e.raw(f"""  br label %block.end
block.end:
  %j.x = add i64 %j, {lanes}
  %j.go = icmp slt i64 %j.x, %columns
  br i1 %j.go, label %block, label %band.end
band.end:
  %i.x = add i64 %i, {lanes}
  %i.go = icmp slt i64 %i.x, %rows
  br i1 %i.go, label %band, label %done
done:
  ret void
}}""")
    module.define(name, "\n".join(e.lines))


def _places(e: Emit, first: str, stride: str, count: str = "") -> list[str]:
    """Pointers to as many rows as there are lanes; with a count, from there on to the last one."""
    result = [first]
    for i in range(1, e.lanes):
        step = stride
        if count:
            there, step = e.fresh(), e.fresh()
            e.raw(f"  {there} = icmp sgt i64 {count}, {i}")
            e.raw(f"  {step} = select i1 {there}, i64 {stride}, i64 0")
        result.append(e.fresh())
        e.raw(f"  {result[-1]} = getelementptr i8, ptr {result[-2]}, i64 {step}")
    return result


def _turned(e: Emit, rows: list[V]) -> list[V]:
    """The columns of a square block: squares inside of 128 bits are turned, then change places."""
    part = 128 // BITS[rows[0].kind]
    squares = [_inside(e, rows[first : first + part], part, 1) for first in range(0, e.lanes, part)]
    columns = [_across(e, list(same), part) for same in zip(*squares, strict=True)]
    return [column for same in zip(*columns, strict=True) for column in same]


def _inside(e: Emit, rows: list[V], part: int, unit: int) -> list[V]:
    """Columns within each piece of `part` numbers, by interleaving units of one and two numbers."""
    if len(rows) == 1:
        return rows
    result = []
    for half in (0, part // 2):
        order = [
            operand * e.lanes + piece + half + first + i
            for piece in range(0, e.lanes, part)
            for first in range(0, part // 2, unit)
            for operand in (0, 1)
            for i in range(unit)
        ]
        pairs = zip(rows[::2], rows[1::2], strict=True)
        result += _inside(e, [shuffle(e, x, y, order) for x, y in pairs], part, 2 * unit)
    return result


def _across(e: Emit, rows: list[V], part: int) -> list[V]:
    """The first pieces of all rows, their second pieces, …, by parting even and odd pieces."""
    if len(rows) == 1:
        return rows
    result = []
    for odd in (0, part):
        order = [piece + odd + i for piece in range(0, 2 * e.lanes, 2 * part) for i in range(part)]
        pairs = zip(rows[::2], rows[1::2], strict=True)
        result.append(_across(e, [shuffle(e, x, y, order) for x, y in pairs], part))
    return [row for both in zip(*result, strict=True) for row in both]
