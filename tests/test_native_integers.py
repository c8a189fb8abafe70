"""Integer division in native code: rounded down as NumPy's, and never a trap."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from thalweg.execute.native import jit
from thalweg.execute.native.emit import TYPES, Emit, Module, V
from thalweg.execute.native.ir import dtype_of
from thalweg.execute.native.scalar import apply_scalar, knows

pytestmark = pytest.mark.skipif(bool(jit.available()), reason="no native code here")


def _compiled(name, kind, lanes):
    """f(x, y, out) over `lanes` numbers."""
    module = Module()
    e = Emit(module, lanes)
    shape = e.type(kind)
    x, y = (e.line(f"load {shape}, ptr %{which}, align 1", kind) for which in ("x", "y"))
    found = apply_scalar(e, name, [x, y])
    assert isinstance(found, V)
    body = "\n".join(e.lines)
    text = (
        f"{module.text()}\ndefine void @f(ptr %x, ptr %y, ptr %out) {{\n{body}\n"
        f"  store {shape} {found.text}, ptr %out, align 1\n  ret void\n}}\n"
    )
    library = jit.load(text)
    address = library.address("f")
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(address), library


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("kind", ["i8", "i32", "i64", "u8", "u64"])
@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
def test_division_is_numpys(name, kind, lanes):
    assert knows(name, kind)
    assert TYPES[kind]
    dtype = dtype_of(kind)
    info = np.iinfo(dtype)
    edges = [info.min, info.max, 0, 1, 2, 3, 7, info.max // 2]
    edges += [] if info.min == 0 else [-1, -2, -3, -7]
    x, y = (grid.ravel() for grid in np.meshgrid(*[np.array(edges, dtype)] * 2))
    x, y = (np.resize(v, -(-x.size // lanes) * lanes) for v in (x, y))
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x, y)
    out = np.empty_like(expected)
    call, _library = _compiled(name, kind, lanes)
    for start in range(0, x.size, lanes):
        part = slice(start, start + lanes)
        call(x[part].ctypes.data, y[part].ctypes.data, out[part].ctypes.data)
    np.testing.assert_array_equal(out, expected)
