"""Matrix products in compiled programs: small functions with the sizes, around a library.

The library (`gemm_library`) is compiled once a machine and takes sizes at run time; what a program
holds of a product is a call with constants. So a program with many products compiles no longer.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from thalweg.execute.native import jit
from thalweg.execute.native.emit import BITS, Module
from thalweg.execute.native.gemm_library import library
from thalweg.execute.native.jit import Library, Target, attributes

__all__ = ["gemm", "runtime", "transpose"]

_PRODUCT = "ptr, ptr, ptr, i64, i64, i64, i64, i64, i64, i64, i64, i1"
_DOTS = "ptr, ptr, ptr, i64, i64, i64, i64, i1"
_TRANSPOSE = "ptr, ptr, i64, i64, i64, i64"


def gemm(
    module: Module,
    target: Target,
    kind: str,
    m: int,
    n: int,
    k: int,
    a_strides: tuple[int, int],
    b_strides: tuple[int, int],
    c_stride: int,
    *,
    accumulate: bool = False,
) -> str:
    """Define a function that computes rows of C[m, n] = A[m, k] · B[k, n], or C += A · B.

    Parameters
    ----------
    module : Module
        Where the function is defined, and the library's functions are declared: `runtime` gives
        their addresses.
    target : Target
        The machine.
    kind : str
        "f32" or "f64".
    m, n, k : int
        The sizes, from 0 on. With k = 0 the product is zero.
    a_strides, b_strides : tuple of int
        Distances in elements from row to row and from column to column, any. B is fast with column
        stride 1 (others are copied in pieces, slowly: `transpose` first).
    c_stride : int
        Distance of C's rows; its columns are contiguous.
    accumulate : bool
        Whether the product is added to C.

    Returns
    -------
    str
        The name of ``void (ptr a, ptr b, ptr c, i64 begin, i64 end)``, for rows begin ≤ i < end.
        Pointers are those of the whole matrices, element-aligned. The ranges can be any: a row's
        numbers are the same to the last bit.
    """
    size = BITS[kind] // 8
    a_row, a_column = (size * stride for stride in a_strides)
    b_row, b_column = (size * stride for stride in b_strides)
    c_row = size * c_stride
    more = "true" if accumulate else "false"
    if n == 1 and a_column == size and b_row == size and k > 0:
        name, types = f"@tw_dots_{kind}", _DOTS
        call = f"ptr %x, ptr %b, ptr %z, i64 %rows, i64 {k}, i64 {a_row}, i64 {c_row}, i1 {more}"
    elif n == 1 and a_row == size and c_row == size:
        # Cᵀ = bᵀ Aᵀ: one row, whose columns are contiguous.
        name, types = f"@tw_product_{kind}", _PRODUCT
        call = (
            f"ptr %b, ptr %x, ptr %z, i64 1, i64 %rows, i64 {k}, i64 0, i64 {b_row}, "
            f"i64 {a_column}, i64 {size}, i64 0, i1 {more}"
        )
    else:
        name, types = f"@tw_product_{kind}", _PRODUCT
        call = (
            f"ptr %x, ptr %b, ptr %z, i64 %rows, i64 {n}, i64 {k}, i64 {a_row}, i64 {a_column}, "
            f"i64 {b_row}, i64 {size if n == 1 else b_column}, i64 {c_row}, i1 {more}"
        )
    module.declare(f"declare void {name}({types})")
    strides = (*a_strides, *b_strides, c_stride)
    key = "_".join(map(str, (kind, n, k, *strides, int(accumulate)))).replace("-", "m")
    own = f"@gemm_{key}"
    module.define(
        own,
        f"""define internal void {own}(ptr %a, ptr %b, ptr %c, i64 %begin, i64 %end) \
{attributes(target)} {{
  %rows = sub i64 %end, %begin
  %xo = mul i64 %begin, {a_row}
  %x = getelementptr i8, ptr %a, i64 %xo
  %zo = mul i64 %begin, {c_row}
  %z = getelementptr i8, ptr %c, i64 %zo
  call void {name}({call})
  ret void
}}""",
    )
    return own


def transpose(
    module: Module,
    target: Target,
    kind: str,
    rows: int,
    columns: int,
    source_stride: int,
    target_stride: int,
) -> str:
    """Define a function that writes the transpose of a matrix of rows × columns.

    Strides are distances of rows, in elements; columns are contiguous in both matrices.

    Returns
    -------
    str
        The name of ``void (ptr from, ptr to)``.
    """
    size = BITS[kind] // 8
    name = f"@tw_transpose_{kind}"
    module.declare(f"declare void {name}({_TRANSPOSE})")
    key = "_".join(map(str, (kind, rows, columns, source_stride, target_stride)))
    own = f"@transpose_{key.replace('-', 'm')}"
    module.define(
        own,
        f"""define internal void {own}(ptr %from, ptr %to) {attributes(target)} {{
  call void {name}(ptr %from, ptr %to, i64 {rows}, i64 {columns}, i64 {size * source_stride}, \
i64 {size * target_stride})
  ret void
}}""",
    )
    return own


def runtime(module: Module) -> Mapping[str, int]:
    """Addresses of the library's functions that a module declares: for ``jit.load(symbols=…)``."""
    result = {}
    for kind in ("f32", "f64"):
        for stem in ("product", "dots", "transpose"):
            name = f"tw_{stem}_{kind}"
            if any(f"@{name}(" in line for line in module.declarations):
                result[name] = _library(kind).address(name)
    return result


@functools.cache
def _library(kind: str) -> Library:
    return jit.load(library(jit.target(), kind))
