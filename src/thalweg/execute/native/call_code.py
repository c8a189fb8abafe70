"""The machine that runs compiled calls, as LLVM IR: one function for all signatures.

A signature is not compiled to code of its own: it is a short program of 64-bit words for this
machine (`call_words` lists them, `call` writes them), so a new signature costs microseconds. The
machine runs the words of one call in order: look at the arguments, get memory for the results, call
the native main, build the results. Where an argument is not what the words say, everything is put
back and the call goes, as it came, to the fallback.

A call has a *frame* in a block of the pool: its registers (bases of the argument tuple and of its
parts), the references it owns, the pointers that main gets, slots for single numbers, and main's
arena. Blocks of the same size are shared by all signatures; a thread that comes while another one
runs without the GIL gets its own.
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg.execute.native.call_ir import Function
from thalweg.execute.native.call_layout import (
    DATA,
    DESCR,
    DIMS,
    FLAGS,
    LIST_ITEMS,
    NDIM,
    SIZE,
    TUPLE_ITEMS,
    TYPE,
    VALUE,
)
from thalweg.execute.native.call_words import Head, Op
from thalweg.execute.native.emit import Module

__all__ = ["call_code"]


def call_code() -> str:
    """The text of the module: ``entry`` is the function, called as METH_FASTCALL | METH_KEYWORDS.

    Its ``self`` is a tuple that begins with the fallback and an array of the words. First of all
    ``call_start`` is told NumPy's array type.
    """
    module = Module()
    module.define("@ndarray", "@ndarray = internal global ptr null")
    start = Function(module, "call_start", "void", ndarray="ptr")
    start.store("ptr", "%ndarray", "@ndarray")
    start.give()
    start.finish()
    _drop(module)
    _disjoint(module)
    _Machine(module).write()
    return module.text()


def _drop(module: Module) -> None:
    """Give up the references in [begin, end), and the block."""
    code = Function(module, "_drop", "void", frame="ptr", begin="i64", end="i64")
    with code.loop("%begin", "%end", 8) as i:
        owned = code.pointer("%frame", i)
        rest = code.fresh("rest")
        code.only_if(code.is_("ne", owned, "null", "ptr"), rest)
        code.call("void", "Py_DecRef", f"ptr {owned}")
        code.go(rest)
        code.begin(rest)
    code.call("void", "pool_put", "ptr %frame")
    code.give()
    code.finish()


def _disjoint(module: Module) -> None:
    """Whether no written memory overlaps another input; `table` as behind `Op.DISJOINT`.

    `last` keeps the addresses that were found to be disjoint by the call before, so that only
    pairs with a new address are compared: in a training loop, the batch against the parameters.
    """
    entry_bytes = 32
    code = Function(module, "_disjoint", "i1", frame="ptr", table="ptr", count="i64")
    end = code.two("mul", "%count", entry_bytes)
    with (loop := code.loop(0, end, entry_bytes)) as i:
        one = code.at("%table", i)
        p = code.load("%frame", code.load(one))
        code.expect(code.is_("ne", p, code.load(one, 24)), loop.tail)
        p_end = code.two("add", p, code.load(one, 8))
        written = code.load(one, 16)
        with (inner := code.loop(0, end, entry_bytes)) as j:
            code.expect(code.is_("ne", i, j), inner.tail)
            other = code.at("%table", j)
            either = code.two("or", written, code.load(other, 16))
            code.expect(code.is_("ne", either, 0), inner.tail)
            q = code.load("%frame", code.load(other))
            q_end = code.two("add", q, code.load(other, 8))
            before = code.is_("ule", p_end, q)
            behind = code.is_("ule", q_end, p)
            code.expect(code.line(f"or i1 {before}, {behind}"), "overlap")
    with code.loop(0, end, entry_bytes) as i:
        one = code.at("%table", i)
        code.store("i64", code.load("%frame", code.load(one)), one, 24)
    code.give("true")
    code.begin("overlap")
    code.give("false")
    code.finish()


class _Machine:
    """The function ``entry``: a loop over instructions, one block each."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.code = Function(module, "entry", "ptr", self="ptr", args="ptr", n="i64", names="ptr")
        self.next: list[tuple[str, str]] = []  # where the next instruction comes from

    def write(self) -> None:
        code = self.code
        fallback = code.pointer("%self", TUPLE_ITEMS)
        words = code.pointer(code.pointer("%self", TUPLE_ITEMS + 8), DATA)
        code.expect(code.is_("eq", "%names", "null", "ptr"), "foreign")
        code.expect(code.is_("eq", "%n", code.load(words, 8 * Head.ARGUMENTS)), "foreign")
        frame = code.call("ptr", "pool_take", f"i64 {code.load(words, 8 * Head.BLOCK)}")
        code.raw(f"%frame = getelementptr i8, ptr {frame}, i64 0")
        code.expect(code.is_("ne", frame, "null", "ptr"), "memory")
        code.raw(f"%words = getelementptr i8, ptr {words}, i64 0")
        code.raw(f"%begin = add i64 0, {code.load(words, 8 * Head.OWNED)}")
        code.raw(f"%end = add i64 0, {code.load(words, 8 * Head.OWNED_END)}")
        with code.loop("%begin", "%end", 8) as i:
            code.store("ptr", "null", frame, i)
        code.store("ptr", "%args", frame)  # register 0: the arguments
        code.store("ptr", "%frame", frame, 8)  # register 1: the frame itself
        first = code.at(words, 8 * len(Head))
        self.next.append((first, code.block))
        code.go("dispatch")

        for op in Op:
            code.begin(op.name)
            _HANDLERS[op](self)

        # The next instruction: its address comes from the blocks written above.
        code.begin("dispatch")
        code.raw(
            "%at = phi ptr " + ", ".join(f"[ {value}, %{block} ]" for value, block in self.next)
        )
        cases = " ".join(f"i64 {op.value}, label %{op.name}" for op in Op)
        code.raw(f"switch i64 {code.load('%at')}, label %unknown [ {cases} ]")
        code.begin("unknown")
        code.raw("unreachable")

        code.begin("differs_in_error")  # what was asked of an argument raised: the fallback says it
        code.call("void", "PyErr_Clear")
        code.go("differs")
        code.begin("differs")
        self.drop()
        code.go("foreign")
        code.begin("foreign")
        code.give(
            code.call(
                "ptr", "PyObject_Vectorcall", f"ptr {fallback}", "ptr %args", "i64 %n", "ptr %names"
            )
        )
        code.begin("raised")
        self.drop()
        code.give("null")
        code.begin("memory")
        code.give(code.call("ptr", "PyErr_NoMemory"))
        code.finish()

    # ---- what instructions have in common --------------------------------------------------

    def drop(self) -> None:
        self.code.call_at("void", "@_drop", "ptr %frame", "i64 %begin", "i64 %end")

    def word(self, i: int) -> str:
        """Operand word i of this instruction."""
        return self.code.load("%at", 8 * (1 + i))

    def object(self, i: int) -> str:
        """The object whose address is operand word i."""
        return self.code.pointer("%at", 8 * (1 + i))

    def item(self) -> str:
        """The object that the first two operand words lead to."""
        return self.code.pointer(self.code.pointer("%frame", self.word(0)), self.word(1))

    def done(self, operands: int, more: str | None = None) -> None:
        """Go on behind `operands` words, and `more` (a value) of them."""
        code = self.code
        after = code.at("%at", 8 * (1 + operands))
        if more is not None:
            after = code.line(f"getelementptr i64, ptr {after}, i64 {more}")
        self.next.append((after, code.block))
        code.go("dispatch")

    def same(self, a: str, b: str, otherwise: str = "differs") -> None:
        """Go on where two addresses are the same."""
        self.code.expect(self.code.is_("eq", a, b, "ptr"), otherwise)

    def put(self, type_: str, value: str, place: str) -> None:
        """Store at an offset of the frame."""
        self.code.store(type_, value, "%frame", place)

    def made(self, thing: str) -> str:
        """A new reference, or an error of Python's."""
        self.code.expect(self.code.is_("ne", thing, "null", "ptr"), "raised")
        return thing

    def own(self, thing: str, place: str) -> None:
        """Own one more reference to an object that somebody else has."""
        self.code.call("void", "Py_IncRef", f"ptr {thing}")
        self.put("ptr", thing, place)

    # ---- arguments -------------------------------------------------------------------------

    def array(self) -> None:
        code = self.code
        thing = self.item()
        self.same(code.pointer(thing, TYPE), code.pointer("@ndarray"))
        self.same(code.pointer(thing, DESCR), self.object(2))
        ndim = self.word(6)
        code.expect(
            code.is_("eq", code.load(thing, NDIM, "i32"), code.line(f"trunc i64 {ndim} to i32"),
                     "i32"), "differs")  # fmt: skip
        wanted = self.word(3)
        flags = code.line(f"zext i32 {code.load(thing, FLAGS, 'i32')} to i64")
        code.expect(code.is_("eq", code.two("and", flags, wanted), wanted), "differs")
        dims, expected = code.pointer(thing, DIMS), code.at("%at", 8 * 8)
        with code.loop(0, ndim) as i:
            there = code.load(code.line(f"getelementptr i64, ptr {dims}, i64 {i}"))
            right = code.load(code.line(f"getelementptr i64, ptr {expected}, i64 {i}"))
            code.expect(code.is_("eq", there, right), "differs")
        self.put("ptr", code.pointer(thing, DATA), self.word(4))
        self.put("ptr", thing, self.word(5))
        self.done(7, ndim)

    def number(self) -> None:
        code = self.code
        thing = self.item()
        type_ = code.pointer(thing, TYPE)
        first = code.is_("eq", type_, self.object(2), "ptr")
        second = code.is_("eq", type_, self.object(3), "ptr")
        code.expect(code.line(f"or i1 {first}, {second}"), "differs")
        self._slot(code.load(thing, VALUE), 4)
        self.done(6)

    def _slot(self, bits: str, operand: int) -> None:
        """A number for main: words `operand` and the next are its input and slot."""
        slot = self.word(operand + 1)
        self.put("i64", bits, slot)
        self.put("ptr", self.code.at("%frame", slot), self.word(operand))

    def integer(self) -> None:
        code = self.code
        thing = self.item()
        self.same(code.pointer(thing, TYPE), self.object(2))
        value = code.call("i64", "PyLong_AsLongLong", f"ptr {thing}")
        fits = code.fresh("fits")
        code.only_if(code.is_("eq", value, -1), fits)
        error = code.call("ptr", "PyErr_Occurred")
        self.same(error, "null", "differs_in_error")
        code.go(fits)
        code.begin(fits)
        self._slot(value, 3)
        self.done(5)

    def is_object(self) -> None:
        self.same(self.item(), self.object(2))
        self.done(3)

    def equal(self) -> None:
        code = self.code
        thing, expected = self.item(), self.object(2)
        right = code.fresh("right")
        code.only_if(code.is_("ne", thing, expected, "ptr"), right)
        self.same(code.pointer(thing, TYPE), code.pointer(expected, TYPE))
        answer = code.call(
            "i32", "PyObject_RichCompareBool", f"ptr {thing}", f"ptr {expected}", "i32 2"
        )
        code.expect(code.is_("eq", answer, 1, "i32"), "differs_in_error")
        code.go(right)
        code.begin(right)
        self.done(3)

    def _branch(self) -> str:
        """A container of a type and length."""
        thing = self.item()
        self.same(self.code.pointer(thing, TYPE), self.object(2))
        self.code.expect(self.code.is_("eq", self.code.load(thing, SIZE), self.word(3)), "differs")
        return thing

    def tuple(self) -> None:
        self.put("ptr", self.code.at(self._branch(), TUPLE_ITEMS), self.word(4))
        self.done(5)

    def list(self) -> None:
        self.put("ptr", self.code.pointer(self._branch(), LIST_ITEMS), self.word(4))
        self.done(5)

    def dict(self) -> None:
        self._branch()
        self.done(4)

    def instance(self) -> None:
        self.same(self.code.pointer(self.item(), TYPE), self.object(2))
        self.done(3)

    def hold(self) -> None:
        self.own(self.item(), self.word(2))
        self.done(3)

    def key(self) -> None:
        code = self.code
        value = code.call(
            "ptr", "PyDict_GetItemWithError", f"ptr {self.item()}", f"ptr {self.object(2)}"
        )
        code.expect(code.is_("ne", value, "null", "ptr"), "differs_in_error")
        self.own(value, self.word(3))
        self.done(4)

    def field(self) -> None:
        code = self.code
        value = code.call("ptr", "PyObject_GetAttr", f"ptr {self.item()}", f"ptr {self.object(2)}")
        code.expect(code.is_("ne", value, "null", "ptr"), "differs_in_error")
        self.put("ptr", value, self.word(3))
        self.done(4)

    def disjoint(self) -> None:
        code = self.code
        count = self.word(0)
        fine = code.call_at(
            "i1", "@_disjoint", "ptr %frame", f"ptr {code.at('%at', 16)}", f"i64 {count}"
        )
        code.expect(fine, "differs")
        self.done(1, code.two("shl", count, 2))

    # ---- memory for results, and main ------------------------------------------------------

    def _new_array(self, array: str, ndim: str) -> None:
        self.put("ptr", self.made(array), self.word(3))
        self.put("ptr", self.code.pointer(array, DATA), self.word(4))
        self.done(5, ndim)

    def fresh(self) -> None:
        code = self.code
        dtype, ndim = self.object(0), self.word(2)
        code.call("void", "Py_IncRef", f"ptr {dtype}")  # the array takes it
        array = code.call(
            "ptr",
            "PyArray_NewFromDescr",
            f"ptr {code.pointer('@ndarray')}",
            f"ptr {dtype}",
            f"i32 {code.line(f'trunc i64 {ndim} to i32')}",
            f"ptr {code.at('%at', 8 * 6)}",
            "ptr null",
            "ptr null",
            "i32 0",
            "ptr null",
        )
        self._new_array(array, ndim)

    def pooled(self) -> None:
        ndim = self.word(2)
        array = self.code.call(
            "ptr",
            "pool_array",
            f"ptr {self.object(0)}",
            f"i64 {ndim}",
            f"ptr {self.code.at('%at', 8 * 6)}",
            f"i64 {self.word(1)}",
        )
        self._new_array(array, ndim)

    def slot(self) -> None:
        self.put("ptr", self.code.at("%frame", self.word(1)), self.word(0))
        self.done(2)

    def alias(self) -> None:
        self.put("ptr", self.code.pointer("%frame", self.word(1)), self.word(0))
        self.done(2)

    def run(self, release: bool = False) -> None:
        code = self.code
        main = code.pointer("%words", 8 * Head.MAIN)
        inputs, outputs, arena = [
            f"ptr {code.at('%frame', code.load('%words', 8 * word))}"
            for word in (Head.INPUTS, Head.OUTPUTS, Head.ARENA)
        ]
        state = code.call("ptr", "PyEval_SaveThread") if release else ""
        status = code.call_at("i64", main, inputs, outputs, arena)
        if release:
            code.call("void", "PyEval_RestoreThread", f"ptr {state}")
        code.expect(code.is_("eq", status, 0), "differs")
        self.done(0)

    def release(self) -> None:
        self.run(release=True)

    # ---- results ---------------------------------------------------------------------------

    def scalar(self) -> None:
        value = self.code.call(
            "ptr",
            "PyArray_Scalar",
            f"ptr {self.code.at('%frame', self.word(0))}",
            f"ptr {self.object(1)}",
            "ptr null",
        )
        self.put("ptr", self.made(value), self.word(2))
        self.done(3)

    def constant(self) -> None:
        self.own(self.object(0), self.word(1))
        self.done(2)

    def noted(self) -> None:
        self.own(self.code.pointer("%frame", self.word(0)), self.word(1))
        self.done(2)

    def _moved(self, new: str, items: Callable[[str], str]) -> None:
        """A new tuple or list of the references from `first` on, which it takes."""
        code = self.code
        length = self.word(1)
        made = self.made(code.call("ptr", new, f"i64 {length}"))
        self.put("ptr", made, self.word(0))
        source, target = code.at("%frame", self.word(2)), items(made)
        with code.loop(0, length) as i:
            place = code.line(f"getelementptr ptr, ptr {source}, i64 {i}")
            moved = code.pointer(place)
            code.store("ptr", "null", place)
            code.store("ptr", moved, code.line(f"getelementptr ptr, ptr {target}, i64 {i}"))
        self.done(3)

    def new_tuple(self) -> None:
        self._moved("PyTuple_New", lambda made: self.code.at(made, TUPLE_ITEMS))

    def new_list(self) -> None:
        self._moved("PyList_New", lambda made: self.code.pointer(made, LIST_ITEMS))

    def new_dict(self) -> None:
        code = self.code
        made = self.made(code.call("ptr", "PyDict_New"))
        self.put("ptr", made, self.word(0))
        length = self.word(1)
        source, keys = code.at("%frame", self.word(2)), code.at("%at", 8 * 4)
        with code.loop(0, length) as i:
            key = code.pointer(code.line(f"getelementptr ptr, ptr {keys}, i64 {i}"))
            value = code.pointer(code.line(f"getelementptr ptr, ptr {source}, i64 {i}"))
            status = code.call("i32", "PyDict_SetItem", f"ptr {made}", f"ptr {key}", f"ptr {value}")
            code.expect(code.is_("eq", status, 0, "i32"), "raised")
        self.done(3, length)

    def call(self) -> None:
        code = self.code
        made = code.call(
            "ptr",
            "PyObject_Vectorcall",
            f"ptr {self.object(3)}",
            f"ptr {code.at('%frame', self.word(2))}",
            f"i64 {self.word(1)}",
            "ptr null",
        )
        self.put("ptr", self.made(made), self.word(0))
        self.done(4)

    def give(self) -> None:
        code = self.code
        place = self.word(0)
        result = code.pointer("%frame", place)
        self.put("ptr", "null", place)
        self.drop()
        code.give(result)


_HANDLERS: dict[Op, Callable[[_Machine], None]] = {
    Op.ARRAY: _Machine.array,
    Op.NUMBER: _Machine.number,
    Op.INTEGER: _Machine.integer,
    Op.IS: _Machine.is_object,
    Op.EQUAL: _Machine.equal,
    Op.TUPLE: _Machine.tuple,
    Op.LIST: _Machine.list,
    Op.DICT: _Machine.dict,
    Op.INSTANCE: _Machine.instance,
    Op.HOLD: _Machine.hold,
    Op.KEY: _Machine.key,
    Op.FIELD: _Machine.field,
    Op.DISJOINT: _Machine.disjoint,
    Op.FRESH: _Machine.fresh,
    Op.POOLED: _Machine.pooled,
    Op.SLOT: _Machine.slot,
    Op.SAME: _Machine.alias,
    Op.RUN: _Machine.run,
    Op.RELEASE: _Machine.release,
    Op.SCALAR: _Machine.scalar,
    Op.OBJECT: _Machine.constant,
    Op.NOTED: _Machine.noted,
    Op.NEW_TUPLE: _Machine.new_tuple,
    Op.NEW_LIST: _Machine.new_list,
    Op.NEW_DICT: _Machine.new_dict,
    Op.CALL: _Machine.call,
    Op.RETURN: _Machine.give,
}
