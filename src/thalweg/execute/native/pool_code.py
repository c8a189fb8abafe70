"""The pool of memory blocks, as LLVM IR; called with the GIL held, which is its lock.

A block is `HEADER` bytes and, behind them, memory aligned to 64 bytes. Idle blocks form one linked
list a size class; there are four classes a power of two. Functions:

``ptr pool_take(i64 bytes)``
    Memory of a block that is large enough, null where the system has none.
``void pool_put(ptr memory)``
    Give it back: it stays as an idle block, while all of them together keep below the limit.
``void pool_trim(i64 bytes)``
    Free idle blocks until at most so many bytes are idle.
``ptr pool_array(ptr dtype, i64 ndim, ptr dims, i64 bytes)``
    A new C-contiguous array over a block. NumPy calls ``pool_free`` when the array is gone.
``pool_malloc, pool_calloc, pool_realloc, pool_free``
    What NumPy's `PyDataMem_Handler` consists of.
``ptr pool_empty(ptr self, ptr args, i64 count)``
    ``empty(dtype, nbytes, *dims)`` for Python.
``void pool_start(ptr counters, ptr ndarray, ptr handler)``
    Once, first: the counters of `config.pool`, NumPy's array type, the capsule of the handler.
"""

from __future__ import annotations

from thalweg.execute.native.call_ir import Function
from thalweg.execute.native.call_layout import FLAGS, HANDLER
from thalweg.execute.native.emit import Module

__all__ = ["pool_code"]

HEADER = 64
_NEXT, _CLASS, _RAW, _SIZE = 0, 8, 16, 24  # what the header holds

_SMALLEST = 8  # blocks of the lowest class have 2^8 bytes
_CLASSES = 4 * 40
_HUGE = 2**22  # from this size on a block is mapped on its own, in huge pages
_PAGE = 2**21  # of which one has so many bytes
_READ_WRITE, _MAP_PRIVATE = 0x3, 0x2  # for mmap
_MAP_ANONYMOUS_LINUX, _MAP_ANONYMOUS_MACOS = 0x20, 0x1000
_MADV_HUGEPAGE = 14

#: The counters (`thalweg.config.Pool`): bytes that may be idle, are idle, are in arrays.
_LIMIT, _IDLE, _USED = 0, 8, 16

_CARRAY, _OWNDATA = 0x501, 0x4


def pool_code(linux: bool) -> str:
    """The text of the module, for Linux or else macOS."""
    module = Module()
    for name in ("counters", "ndarray", "handler"):
        module.define(f"@{name}", f"@{name} = internal global ptr null")
    module.define("@idle", f"@idle = internal global [{_CLASSES} x ptr] zeroinitializer")
    for memory in ("set", "cpy"):
        source = "ptr" if memory == "cpy" else "i8"
        module.declare(f"declare void @llvm.mem{memory}.p0{'.p0' * (memory == 'cpy')}.i64"
                       f"(ptr, {source}, i64, i1)")  # fmt: skip
    _start(module)
    _class_of(module)
    _size_of(module)
    _allocate(module, linux)
    _release(module)
    _take(module)
    _put(module)
    _trim(module)
    _handler(module)
    _array(module)
    _empty(module)
    return module.text()


def _start(module: Module) -> None:
    code = Function(module, "pool_start", "void", counters="ptr", ndarray="ptr", handler="ptr")
    for name in ("counters", "ndarray", "handler"):
        code.store("ptr", f"%{name}", f"@{name}")
    code.give()
    code.finish()


def _class_of(module: Module) -> None:
    """Sizes (4 + q) 2^e / 4, q = 1 … 4: with n = bytes − 1, e and q are its three top bits."""
    module.declare("declare i64 @llvm.ctlz.i64(i64, i1)")
    module.declare("declare i64 @llvm.umax.i64(i64, i64)")
    code = Function(module, "_class_of", "i64", bytes="i64")
    least = code.call_at("i64", "@llvm.umax.i64", "i64 %bytes", f"i64 {2**_SMALLEST}")
    n = code.two("sub", least, 1)
    zeros = code.call_at("i64", "@llvm.ctlz.i64", f"i64 {n}", "i1 true")
    exponent = code.two("sub", 63, zeros)
    quarters = code.two("lshr", n, code.two("sub", exponent, 2))  # 4 … 7
    place = code.two("shl", code.two("sub", exponent, _SMALLEST - 1), 2)
    code.give(code.two("sub", code.two("add", place, quarters), 4 + 3))
    code.finish()


def _size_of(module: Module) -> None:
    """The inverse: bytes of the blocks of a class."""
    code = Function(module, "_size_of", "i64", class_="i64")
    at = code.two("add", "%class_", 3)
    quarters = code.two("add", code.two("and", at, 3), 5)
    exponent = code.two("add", code.two("lshr", at, 2), _SMALLEST - 1 - 2)
    code.give(code.two("shl", quarters, exponent))
    code.finish()


def _allocate(module: Module, linux: bool) -> None:
    """A fresh block of a class: its memory, or null.

    Large ones are mapped on their own, so that freeing them gives them back to the system.
    """
    code = Function(module, "_allocate", "ptr", class_="i64")
    size = code.call_at("i64", "@_size_of", "i64 %class_")
    code.split(code.is_("uge", size, _HUGE), "huge", "usual")

    code.begin("huge")
    whole = code.two("add", size, _PAGE + HEADER)
    flags = _MAP_PRIVATE | (_MAP_ANONYMOUS_LINUX if linux else _MAP_ANONYMOUS_MACOS)
    mapped = code.call(
        "ptr", "mmap", "ptr null", f"i64 {whole}", f"i32 {_READ_WRITE}", f"i32 {flags}", "i32 -1",
        "i64 0",
    )  # fmt: skip
    failed = code.is_("eq", code.line(f"ptrtoint ptr {mapped} to i64"), -1)
    code.split(failed, "none", "mapped")
    code.begin("mapped")
    paged = _aligned(code, mapped, _PAGE)
    if linux:
        code.call("i32", "madvise", f"ptr {paged}", f"i64 {size}", f"i32 {_MADV_HUGEPAGE}")
    code.go("done")

    code.begin("usual")
    allocated = code.call("ptr", "PyMem_RawMalloc", f"i64 {code.two('add', size, 64 + HEADER)}")
    code.expect(code.is_("ne", allocated, "null", "ptr"), "none")
    lined, last = _aligned(code, allocated, 64), code.block
    code.go("done")

    code.begin("done")
    memory = code.phi("ptr", (paged, "mapped"), (lined, last))
    raw = code.phi("ptr", (mapped, "mapped"), (allocated, last))
    code.store("i64", "%class_", memory, _CLASS - HEADER)
    code.store("ptr", raw, memory, _RAW - HEADER)
    code.store("i64", size, memory, _SIZE - HEADER)
    code.give(memory)
    code.begin("none")
    code.give("null")
    code.finish()


def _aligned(code: Function, raw: str, align: int) -> str:
    """The first multiple of `align` that leaves room for the header."""
    room = code.two("add", code.line(f"ptrtoint ptr {raw} to i64"), HEADER + align - 1)
    return code.line(f"inttoptr i64 {code.two('and', room, -align)} to ptr")


def _release(module: Module) -> None:
    """Give a block's memory back to the system."""
    code = Function(module, "_release", "void", memory="ptr")
    size = code.load("%memory", _SIZE - HEADER)
    raw = code.pointer("%memory", _RAW - HEADER)
    code.split(code.is_("uge", size, _HUGE), "huge", "usual")
    code.begin("huge")
    code.call("i32", "munmap", f"ptr {raw}", f"i64 {code.two('add', size, _PAGE + HEADER)}")
    code.give()
    code.begin("usual")
    code.call("void", "PyMem_RawFree", f"ptr {raw}")
    code.give()
    code.finish()


def _count(code: Function, counter: int, op: str, amount: str) -> str:
    """Change a counter; returns its new value."""
    counters = code.pointer("@counters")
    value = code.two(op, code.load(counters, counter), amount)
    code.store("i64", value, counters, counter)
    return value


def _take(module: Module) -> None:
    code = Function(module, "pool_take", "ptr", bytes="i64")
    class_ = code.call_at("i64", "@_class_of", "i64 %bytes")
    code.expect(code.is_("ult", class_, _CLASSES), "none")
    head = code.line(f"getelementptr ptr, ptr @idle, i64 {class_}")
    found = code.pointer(head)
    code.expect(code.is_("ne", found, "null", "ptr"), "fresh")
    code.store("ptr", code.pointer(found, _NEXT - HEADER), head)
    size = code.load(found, _SIZE - HEADER)
    _count(code, _IDLE, "sub", size)
    _count(code, _USED, "add", size)
    code.give(found)
    code.begin("fresh")
    memory = code.call_at("ptr", "@_allocate", f"i64 {class_}")
    code.expect(code.is_("ne", memory, "null", "ptr"), "none")
    _count(code, _USED, "add", code.load(memory, _SIZE - HEADER))
    code.give(memory)
    code.begin("none")
    code.give("null")
    code.finish()


def _put(module: Module) -> None:
    code = Function(module, "pool_put", "void", memory="ptr")
    size = code.load("%memory", _SIZE - HEADER)
    _count(code, _USED, "sub", size)
    counters = code.pointer("@counters")
    limit = code.load(counters, _LIMIT)
    idle = code.two("add", code.load(counters, _IDLE), size)
    code.split(code.is_("sgt", idle, limit), "full", "keep")
    code.begin("full")
    code.expect(code.is_("sle", size, limit), "drop")
    code.call_at("void", "@pool_trim", f"i64 {code.two('sub', limit, size)}")
    code.go("keep")
    code.begin("keep")
    class_ = code.load("%memory", _CLASS - HEADER)
    head = code.line(f"getelementptr ptr, ptr @idle, i64 {class_}")
    code.store("ptr", code.pointer(head), "%memory", _NEXT - HEADER)
    code.store("ptr", "%memory", head)
    _count(code, _IDLE, "add", size)
    code.give()
    code.begin("drop")
    code.call_at("void", "@_release", "ptr %memory")
    code.give()
    code.finish()


def _trim(module: Module) -> None:
    """Free whole classes in turn, going on where the last call stopped: none is spared for ever."""
    module.define("@hand", "@hand = internal global i64 0")
    code = Function(module, "pool_trim", "void", bytes="i64")
    with code.loop(0, _CLASSES):
        class_ = code.load("@hand")
        code.go("again")
        code.begin("again")
        head = code.line(f"getelementptr ptr, ptr @idle, i64 {class_}")
        idle = code.load(code.pointer("@counters"), _IDLE)
        code.expect(code.is_("sgt", idle, "%bytes"), "enough")
        block = code.pointer(head)
        code.expect(code.is_("ne", block, "null", "ptr"), "next")
        code.store("ptr", code.pointer(block, _NEXT - HEADER), head)
        _count(code, _IDLE, "sub", code.load(block, _SIZE - HEADER))
        code.call_at("void", "@_release", f"ptr {block}")
        code.go("again")
        code.begin("next")
        code.store("i64", code.two("urem", code.two("add", class_, 1), _CLASSES), "@hand")
    code.give()
    code.begin("enough")
    code.give()
    code.finish()


def _handler(module: Module) -> None:
    code = Function(module, "pool_malloc", "ptr", context="ptr", bytes="i64")
    code.give(code.call_at("ptr", "@pool_take", "i64 %bytes"))
    code.finish()

    code = Function(module, "pool_calloc", "ptr", context="ptr", count="i64", each="i64")
    size = code.two("mul", "%count", "%each")  # NumPy has checked that it fits
    memory = code.call_at("ptr", "@pool_take", f"i64 {size}")
    code.expect(code.is_("ne", memory, "null", "ptr"), "done")
    code.call_at("void", "@llvm.memset.p0.i64", f"ptr {memory}", "i8 0", f"i64 {size}", "i1 false")
    code.go("done")
    code.begin("done")
    code.give(memory)
    code.finish()

    code = Function(module, "pool_realloc", "ptr", context="ptr", memory="ptr", bytes="i64")
    before = code.load("%memory", _SIZE - HEADER)
    same = code.is_(
        "eq",
        code.call_at("i64", "@_class_of", "i64 %bytes"),
        code.load("%memory", _CLASS - HEADER),
    )
    code.split(same, "stay", "move")
    code.begin("stay")
    code.give("%memory")
    code.begin("move")
    fresh = code.call_at("ptr", "@pool_take", "i64 %bytes")
    code.expect(code.is_("ne", fresh, "null", "ptr"), "none")
    less = code.line(f"select i1 {code.is_('ult', before, '%bytes')}, i64 {before}, i64 %bytes")
    code.call_at(
        "void", "@llvm.memcpy.p0.p0.i64", f"ptr {fresh}", "ptr %memory", f"i64 {less}", "i1 false"
    )
    code.call_at("void", "@pool_put", "ptr %memory")
    code.give(fresh)
    code.begin("none")
    code.give("null")
    code.finish()

    code = Function(module, "pool_free", "void", context="ptr", memory="ptr", bytes="i64")
    code.call_at("void", "@pool_put", "ptr %memory")
    code.give()
    code.finish()


def _array(module: Module) -> None:
    code = Function(module, "pool_array", "ptr", dtype="ptr", ndim="i64", dims="ptr", bytes="i64")
    memory = code.call_at("ptr", "@pool_take", "i64 %bytes")
    code.expect(code.is_("ne", memory, "null", "ptr"), "none")
    code.call("void", "Py_IncRef", "ptr %dtype")  # the array takes it
    ndim = code.line("trunc i64 %ndim to i32")
    array = code.call(
        "ptr",
        "PyArray_NewFromDescr",
        f"ptr {code.pointer('@ndarray')}",
        "ptr %dtype",
        f"i32 {ndim}",
        "ptr %dims",
        "ptr null",  # strides: C order
        f"ptr {memory}",
        f"i32 {_CARRAY}",
        "ptr null",
    )
    code.expect(code.is_("ne", array, "null", "ptr"), "failed")
    handler = code.pointer("@handler")
    code.call("void", "Py_IncRef", f"ptr {handler}")
    code.store("ptr", handler, array, HANDLER)
    flags = code.load(array, FLAGS, "i32")
    code.store("i32", code.line(f"or i32 {flags}, {_OWNDATA}"), array, FLAGS)
    code.give(array)
    code.begin("failed")
    code.call_at("void", "@pool_put", f"ptr {memory}")
    code.give("null")
    code.begin("none")
    code.give(code.call("ptr", "PyErr_NoMemory"))
    code.finish()


def _empty(module: Module) -> None:
    code = Function(module, "pool_empty", "ptr", self="ptr", args="ptr", count="i64")
    dims = code.line("alloca i64, i64 %count")
    with code.loop(1, "%count") as i:
        item = code.line(f"getelementptr ptr, ptr %args, i64 {i}")
        number = code.call("i64", "PyLong_AsSsize_t", f"ptr {code.pointer(item)}")
        code.store("i64", number, code.line(f"getelementptr i64, ptr {dims}, i64 {i}"))
    error = code.call("ptr", "PyErr_Occurred")
    code.expect(code.is_("eq", error, "null", "ptr"), "failed")
    array = code.call_at(
        "ptr",
        "@pool_array",
        f"ptr {code.pointer('%args')}",
        f"i64 {code.two('sub', '%count', 2)}",
        f"ptr {code.at(dims, 16)}",
        f"i64 {code.load(dims, 8)}",
    )
    code.give(array)
    code.begin("failed")
    code.give("null")
    code.finish()
