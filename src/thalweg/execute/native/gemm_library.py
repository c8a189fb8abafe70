"""The functions behind every matrix product, as one text of IR for each kind of number.

They take sizes and strides at run time, so that one compilation (and one file of the disk cache)
serves all programs. For a kind, f32 or f64:

``void @tw_product_<kind>(ptr a, ptr b, ptr c, i64 rows, i64 n, i64 k, i64 ar, i64 ac, i64 br,
i64 bc, i64 cr, i1 more)``
    C[rows, n] = A · B, or += with `more`. The strides of A's and B's rows and columns and of C's
    rows are in bytes; C's columns are contiguous.
``void @tw_dots_<kind>(ptr a, ptr b, ptr c, i64 rows, i64 k, i64 ar, i64 cr, i1 more)``
    The same for n = 1, where A's rows and B are contiguous: a dot product a row.
``void @tw_transpose_<kind>(ptr from, ptr to, i64 rows, i64 columns, i64 fr, i64 tr)``
    to[j, i] = from[i, j]; the strides are those of the rows, in bytes.

The order of each sum depends on nothing but k, and on which of the functions makes it.
"""

from __future__ import annotations

from thalweg.execute.native.emit import BITS, Emit, Module, storage
from thalweg.execute.native.gemm_dots import dots
from thalweg.execute.native.gemm_tiles import load, mask, panel, store
from thalweg.execute.native.gemm_transpose import transposition
from thalweg.execute.native.jit import Target, attributes

__all__ = ["library"]

#: B is packed where it spans more than this (less, where A's rows are not contiguous and so take
#: more of the caches), and where enough rows of A make up for the work.
_PACK_FROM_BYTES, _PACK_FROM_BYTES_STRIDED = 1 << 20, 1 << 17
_PACK_FROM_ROWS = 32
#: Steps of k in a packed panel: where A's rows are contiguous as many as pay for C's way to the
#: registers and back, else no more than keep A's columns cached, whose lines share a few sets.
_DEPTH, _DEPTH_STRIDED = 512, 128
#: Rows of A that a packed panel is used for: what they hold in these steps stays in the cache.
_PACKED_ROWS = 512


def library(target: Target, kind: str) -> str:
    """The text of IR with the three functions for numbers of this kind."""
    module = Module()
    lanes = 8 * target.vector_bytes // BITS[kind]
    many = target.has_avx512 or target.triple.startswith(("aarch64", "arm64"))
    # 32 registers hold 6 × 4 sums beside B's and A's numbers, 16 hold 4 × 3.
    widest = 4 if many else 3
    tiles: dict[int, tuple[int, ...]] = {1: (8, 4, 1), 2: (8, 2, 1) if many else (6, 2, 1)}
    if many:
        tiles[3] = (8, 2, 1)
    tiles[widest] = (6, 2, 1) if many else (4, 2, 1)
    tiles[2 * widest] = (1,)
    for vectors, heights in tiles.items():
        # A masked load costs no more than another with AVX-512; elsewhere only edges have them.
        masked = target.has_avx512 or vectors < widest
        name = f"@panel{vectors}"
        panel(
            module, name, kind, lanes, attributes(target), target.has_fma, heights, vectors, masked
        )
    _pack(module, target, kind, lanes)
    _product(module, target, kind, lanes, widest)
    dots(module, target, kind, lanes)
    transposition(module, target, kind, lanes)
    return module.text()


def _product(module: Module, target: Target, kind: str, lanes: int, widest: int) -> None:
    """Define tw_product: blocks of k (one, unless B is packed), in each the panels of columns."""
    size, scalar = BITS[kind] // 8, storage(kind)
    module.declare("declare i64 @llvm.smin.i64(i64, i64)")
    module.declare("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    # A full panel where all its vectors are there (with masks: begun); one vector left alone
    # after it would waste more than two narrower panels do.
    begun = f"%v = add i64 %cols, {lanes - 1}" if target.has_avx512 else "%v = add i64 %cols, 0"
    lone = widest + 1 if target.has_avx512 else 0
    panels = [*range(1, widest + 1), 2 * widest]
    cases = " ".join(f"i64 {v}, label %panel{v}" for v in panels[1:])
    calls = "\n".join(
        f"""panel{v}:
  call void @panel{v}(ptr %ap, ptr %bq, ptr %cj, i64 %height, i64 %depth, i64 %ar, i64 %ar2, \
i64 %ar3, i64 %ac, i64 %bqr, i64 %cr, i64 %last, i1 %add)
  br label %next"""
        for v in panels
    )
    module.define(
        f"@tw_product_{kind}",
        f"""define void @tw_product_{kind}(ptr %a, ptr %b, ptr %c, i64 %rows, i64 %n, i64 %k, \
i64 %ar, i64 %ac, i64 %br, i64 %bc, i64 %cr, i1 %more) {attributes(target)} {{
entry:
  %buffer = alloca [{_DEPTH * lanes * widest} x {scalar}], align 64
  %no_rows = icmp slt i64 %rows, 1
  %no_columns = icmp slt i64 %n, 1
  %nothing = or i1 %no_rows, %no_columns
  br i1 %nothing, label %done, label %start
start:
  %no_k = icmp slt i64 %k, 1
  br i1 %no_k, label %empty, label %some
empty:
  br i1 %more, label %done, label %clear
clear:
  %z = phi i64 [0, %empty], [%z.x, %clear]
  %zo = mul i64 %z, %cr
  %zc = getelementptr i8, ptr %c, i64 %zo
  %zn = mul i64 %n, {size}
  call void @llvm.memset.p0.i64(ptr %zc, i8 0, i64 %zn, i1 false)
  %z.x = add i64 %z, 1
  %z.go = icmp slt i64 %z.x, %rows
  br i1 %z.go, label %clear, label %done
some:
  %ar2 = shl i64 %ar, 1
  %ar3 = add i64 %ar2, %ar
  %strided = icmp ne i64 %bc, {size}
  %span = mul i64 %k, %br
  %near = icmp eq i64 %ac, {size}
  %limit = select i1 %near, i64 {_PACK_FROM_BYTES}, i64 {_PACK_FROM_BYTES_STRIDED}
  %large = icmp sgt i64 %span, %limit
  %many = icmp sge i64 %rows, {_PACK_FROM_ROWS}
  %worth = and i1 %large, %many
  %packed = or i1 %strided, %worth
  %k1 = add i64 %k, -1
  %most = select i1 %near, i64 {_DEPTH}, i64 {_DEPTH_STRIDED}
  %count0 = udiv i64 %k1, %most
  %count = add i64 %count0, 1
  %even0 = udiv i64 %k1, %count
  %even = add i64 %even0, 1
  %block = select i1 %packed, i64 %even, i64 %k
  %one_row = icmp eq i64 %rows, 1
  %unpacked = xor i1 %packed, true
  %long = and i1 %one_row, %unpacked
  %band = select i1 %packed, i64 {_PACKED_ROWS}, i64 %rows
  br label %bands
bands:
  %r = phi i64 [0, %some], [%r.x, %band.end]
  %rows_left = sub i64 %rows, %r
  %height = call i64 @llvm.smin.i64(i64 %rows_left, i64 %band)
  %ra = mul i64 %r, %ar
  %a0 = getelementptr i8, ptr %a, i64 %ra
  %rc = mul i64 %r, %cr
  %c0 = getelementptr i8, ptr %c, i64 %rc
  br label %blocks
blocks:
  %p = phi i64 [0, %bands], [%p.x, %block.end]
  %left = sub i64 %k, %p
  %depth = call i64 @llvm.smin.i64(i64 %left, i64 %block)
  %later = icmp sgt i64 %p, 0
  %add = or i1 %more, %later
  %pa = mul i64 %p, %ac
  %ap = getelementptr i8, ptr %a0, i64 %pa
  %pb = mul i64 %p, %br
  %bp = getelementptr i8, ptr %b, i64 %pb
  br label %columns
columns:
  %j = phi i64 [0, %blocks], [%j.x, %next]
  %cols = sub i64 %n, %j
  {begun}
  %v0 = udiv i64 %v, {lanes}
  %enough = icmp sge i64 %v0, {widest}
  %other = icmp ne i64 %v0, {lone}
  %wide = and i1 %enough, %other
  %w = add i64 %cols, {lanes - 1}
  %w0 = udiv i64 %w, {lanes}
  %w1 = call i64 @llvm.smin.i64(i64 %w0, i64 {widest - 1})
  %s0 = select i1 %wide, i64 {widest}, i64 %w1
  %very = icmp sge i64 %v0, {2 * widest}
  %longest = and i1 %very, %long
  %step = select i1 %longest, i64 {2 * widest}, i64 %s0
  %width = mul i64 %step, {lanes}
  %taken = call i64 @llvm.smin.i64(i64 %cols, i64 %width)
  %l0 = sub i64 %taken, %width
  %last = add i64 %l0, {lanes}
  %jb = mul i64 %j, %bc
  %bj = getelementptr i8, ptr %bp, i64 %jb
  %jc = mul i64 %j, {size}
  %cj = getelementptr i8, ptr %c0, i64 %jc
  br i1 %packed, label %pack, label %go
pack:
  %wb = mul i64 %width, {size}
  call void @pack(ptr %buffer, ptr %bj, i64 %depth, i64 %taken, i64 %br, i64 %bc, i64 %wb)
  br label %go
go:
  %bq = phi ptr [%bj, %columns], [%buffer, %pack]
  %bqr = phi i64 [%br, %columns], [%wb, %pack]
  switch i64 %step, label %panel1 [{cases}]
{calls}
next:
  %j.x = add i64 %j, %taken
  %j.go = icmp slt i64 %j.x, %n
  br i1 %j.go, label %columns, label %block.end
block.end:
  %p.x = add i64 %p, %depth
  %p.go = icmp slt i64 %p.x, %k
  br i1 %p.go, label %blocks, label %band.end
band.end:
  %r.x = add i64 %r, %height
  %r.go = icmp slt i64 %r.x, %rows
  br i1 %r.go, label %bands, label %done
done:
  ret void
}}""",
    )


def _pack(module: Module, target: Target, kind: str, lanes: int) -> None:
    """Define pack: k rows of some columns of B to contiguous rows, `tr` bytes apart."""
    size, scalar = BITS[kind] // 8, storage(kind)
    e = Emit(module, lanes)
    e.raw(
        "define internal void @pack(ptr %to, ptr %from, i64 %k, i64 %columns, i64 %br, i64 %bc, "
        f"i64 %tr) {attributes(target)} {{"
    )
    e.raw(f"""entry:
  %contiguous = icmp eq i64 %bc, {size}
  br i1 %contiguous, label %vectors, label %numbers
vectors:
  %j = phi i64 [0, %entry], [%j.x, %vector.end]
  %left = sub i64 %columns, %j""")
    only = mask(e, "%mask", "%left")
    e.raw(f"""  %jb = mul i64 %j, {size}
  %f0 = getelementptr i8, ptr %from, i64 %jb
  %t0 = getelementptr i8, ptr %to, i64 %jb
  br label %vector
vector:
  %i = phi i64 [0, %vectors], [%i.x, %vector]
  %f = phi ptr [%f0, %vectors], [%f.x, %vector]
  %t = phi ptr [%t0, %vectors], [%t.x, %vector]""")
    store(e, load(e, kind, "%f", only), "%t")
    e.raw(f"""  %f.x = getelementptr i8, ptr %f, i64 %br
  %t.x = getelementptr i8, ptr %t, i64 %tr
  %i.x = add i64 %i, 1
  %i.go = icmp slt i64 %i.x, %k
  br i1 %i.go, label %vector, label %vector.end
vector.end:
  %j.x = add i64 %j, {lanes}
  %j.go = icmp slt i64 %j.x, %columns
  br i1 %j.go, label %vectors, label %done
numbers:
  %q = phi i64 [0, %entry], [%q.x, %number.end]
  %qf = mul i64 %q, %bc
  %qt = mul i64 %q, {size}
  %u0 = getelementptr i8, ptr %from, i64 %qf
  %w0 = getelementptr i8, ptr %to, i64 %qt
  br label %number
number:
  %l = phi i64 [0, %numbers], [%l.x, %number]
  %u = phi ptr [%u0, %numbers], [%u.x, %number]
  %w = phi ptr [%w0, %numbers], [%w.x, %number]
  %x = load {scalar}, ptr %u, align {size}
  store {scalar} %x, ptr %w, align {size}
  %u.x = getelementptr i8, ptr %u, i64 %br
  %w.x = getelementptr i8, ptr %w, i64 %tr
  %l.x = add i64 %l, 1
  %l.go = icmp slt i64 %l.x, %k
  br i1 %l.go, label %number, label %number.end
number.end:
  %q.x = add i64 %q, 1
  %q.go = icmp slt i64 %q.x, %columns
  br i1 %q.go, label %numbers, label %done
done:
  ret void
}}""")
    module.define("@pack", "\n".join(e.lines))
