"""A small builder of LLVM IR text: straight-line code over explicit vectors of `lanes` numbers.

One text serves float32 and float64, vectors and scalars: a value knows its kind of number, the
builder the number of lanes. No fast-math flags anywhere: NaN, infinities and the sign of zero
mean what IEEE 754 says.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar, NamedTuple

__all__ = ["BITS", "Emit", "Module", "V", "is_float", "storage"]

#: LLVM's scalar type of each kind of number. A condition is an i1 in registers, a byte in memory.
TYPES = {
    "f32": "float",
    "f64": "double",
    "i1": "i1",
    "i8": "i8",
    "i16": "i16",
    "i32": "i32",
    "i64": "i64",
    "u8": "i8",
    "u16": "i16",
    "u32": "i32",
    "u64": "i64",
}
BITS = {
    "f32": 32,
    "f64": 64,
    "i1": 8,
    "i8": 8,
    "i16": 16,
    "i32": 32,
    "i64": 64,
    "u8": 8,
    "u16": 16,
    "u32": 32,
    "u64": 64,
}
_INTEGER_OF = {"f32": "i32", "f64": "i64"}
_NUMBER_OF = {"i32": "f32", "i64": "f64"}


def is_float(kind: str) -> bool:
    """Whether numbers of this kind are floating."""
    return kind in ("f32", "f64")


def storage(kind: str) -> str:
    """LLVM's type of one number of this kind in memory."""
    return "i8" if kind == "i1" else TYPES[kind]


class V(NamedTuple):
    """A value in the emitted code: its text (a name or a constant) and its kind of number."""

    text: str
    kind: str


class Module:
    """What a text of IR consists of beside its function bodies; each part stands there once.

    `features` are the target's (``"avx512f"``, …): what has an instruction only there is used
    only there. `attributes` are those that its functions carry; scalar functions in `shared` are
    called, so that a long program does not repeat their code.
    """

    def __init__(self, features: Collection[str] = (), attributes: str = "nounwind") -> None:
        self.features = frozenset(features)
        self.attributes = attributes
        self.shared: frozenset[str] = frozenset()
        self.declarations: dict[str, None] = {}
        self.definitions: dict[str, str] = {}
        #: Arrays that stand outside of the text: the k-th is the external symbol @data_k.
        self.arrays: list[Any] = []
        self._tables: dict[bytes, str] = {}
        self._names: dict[str, int] = {}

    def declare(self, text: str) -> None:
        """Add a ``declare …`` line."""
        self.declarations[text] = None

    def define(self, name: str, text: str) -> None:
        """Add a function, global or attribute group under its name (kept, if it is there)."""
        self.definitions.setdefault(name, text)

    def array(self, values: Any) -> str:
        """The name of an array's memory; whoever links the module keeps the array."""
        name = f"@data_{len(self.arrays)}"
        self.arrays.append(values)
        self.declare(f"{name} = external global i8")
        return name

    def fresh(self, stem: str) -> str:
        """A new global name."""
        count = self._names.get(stem, 0)
        self._names[stem] = count + 1
        return f"{stem}_{count}"

    def table(self, values: Sequence[float], kind: str) -> str:
        """The name of a constant array of numbers, 64-byte aligned."""
        items = [constant(value, kind) for value in values]
        text = ", ".join(f"{TYPES[kind]} {item}" for item in items)
        key = f"{kind}:{text}".encode()
        if key not in self._tables:
            name = self._tables[key] = "@" + self.fresh("table")
            self.definitions[name] = (
                f"{name} = internal constant [{len(items)} x {TYPES[kind]}] [{text}], align 64"
            )
        return self._tables[key]

    def text(self) -> str:
        """The whole module."""
        return "\n".join([*self.declarations, *self.definitions.values(), ""])


def constant(value: float | int | bool, kind: str) -> str:
    """A scalar constant as LLVM text: of a floating number the exact bits of its double."""
    if kind == "i1":
        return "true" if value else "false"
    if not is_float(kind):
        return str(int(value))
    value = float(value)
    if kind == "f32":
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            value = math.copysign(math.inf, value)
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class Emit:
    """Lines of code over vectors of `lanes` numbers (scalars, for lanes = 1).

    Methods append a line and give its value. Operands of one line have one kind, but for
    `select`'s condition and conversions.
    """

    def __init__(self, module: Module, lanes: int, prefix: str = "v") -> None:
        self.module = module
        self.lanes = lanes
        self.lines: list[str] = []
        self._prefix = prefix
        self._count = 0
        self._memo: dict[tuple[str, ...], Any] = {}
        self._known: dict[str, str] = {}
        self._negated: dict[str, V] = {}

    #: Functions by name, filled by `thalweg.execute.native.math`, which stands above; parts that
    #: several functions share may give a tuple of values.
    functions: ClassVar[dict[str, Callable[..., Any]]] = {}

    # ---- types and lines -------------------------------------------------------------------

    def type(self, kind: str) -> str:
        """LLVM's type of a value of this kind."""
        scalar = TYPES[kind]
        return scalar if self.lanes == 1 else f"<{self.lanes} x {scalar}>"

    def suffix(self, kind: str) -> str:
        """How intrinsics name the type: f32, v16f32, v8i64."""
        scalar = "i" + TYPES[kind][1:] if not is_float(kind) else kind
        return scalar if self.lanes == 1 else f"v{self.lanes}{scalar}"

    def fresh(self) -> str:
        """A new local name."""
        self._count += 1
        return f"%{self._prefix}{self._count}"

    def line(self, text: str, kind: str) -> V:
        """Append ``name = text`` and give the value; the same text again is the same value."""
        known = self._known.get(text)
        if known is not None:
            return V(known, kind)
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        if "load" not in text and "gather" not in text:  # memory may have changed since
            self._known[text] = name
        return V(name, kind)

    def raw(self, text: str) -> None:
        """Append a line as it is (a label, a branch, a store)."""
        if text.rstrip().endswith(":"):  # code behind a label need not have run what stands before
            self.forget()
        self._known.clear()
        self._negated.clear()
        self.lines.append(text)

    def call(self, kind: str, name: str, arguments: Sequence[V], extra: str = "") -> V:
        """Call an intrinsic by its full name, declaring it; `extra` are further typed operands."""
        types = [self.type(v.kind) for v in arguments]
        shown = [f"{t} {v.text}" for t, v in zip(types, arguments, strict=True)]
        if extra:
            types.append(extra.split()[0])
            shown.append(extra)
        self.module.declare(f"declare {self.type(kind)} @{name}({', '.join(types)})")
        return self.line(f"call {self.type(kind)} @{name}({', '.join(shown)})", kind)

    # ---- constants -------------------------------------------------------------------------

    def const(self, value: float | int | bool, kind: str) -> V:
        """One number in all lanes."""
        text = constant(value, kind)
        return V(text if self.lanes == 1 else f"splat ({TYPES[kind]} {text})", kind)

    def like(self, value: float | int | bool, model: V) -> V:
        """One number in all lanes, of the kind of `model`."""
        return self.const(value, model.kind)

    # ---- arithmetic ------------------------------------------------------------------------

    def two(self, op: str, a: V, b: V) -> V:
        """An instruction of two operands of one kind: fadd, and, shl, …."""
        return self.line(f"{op} {self.type(a.kind)} {a.text}, {b.text}", a.kind)

    def add(self, a: V, b: V) -> V:
        return self.two("fadd" if is_float(a.kind) else "add", a, b)

    def sub(self, a: V, b: V) -> V:
        return self.two("fsub" if is_float(a.kind) else "sub", a, b)

    def mul(self, a: V, b: V) -> V:
        return self.two("fmul" if is_float(a.kind) else "mul", a, b)

    def div(self, a: V, b: V) -> V:
        """The quotient of floating numbers."""
        return self.two("fdiv", a, b)

    def neg(self, a: V) -> V:
        if not is_float(a.kind):
            return self.sub(self.like(0, a), a)
        if a.text in self._negated:
            return self._negated[a.text]
        result = self.line(f"fneg {self.type(a.kind)} {a.text}", a.kind)
        self._negated[result.text] = a
        return result

    def intrinsic(self, name: str, *operands: V) -> V:
        """An overloaded intrinsic over operands of one kind: ``intrinsic("sqrt", x)``."""
        kind = operands[0].kind
        return self.call(kind, f"llvm.{name}.{self.suffix(kind)}", operands)

    def sqrt(self, a: V) -> V:
        return self.intrinsic("sqrt", a)

    def abs(self, a: V) -> V:
        return self.intrinsic("fabs", self._negated.get(a.text, a))

    def rint(self, a: V) -> V:
        """To the nearest integer, ties to even."""
        return self.intrinsic("rint", a)

    def floor(self, a: V) -> V:
        return self.intrinsic("floor", a)

    def ceil(self, a: V) -> V:
        return self.intrinsic("ceil", a)

    def trunc(self, a: V) -> V:
        return self.intrinsic("trunc", a)

    def copysign(self, a: V, sign: V) -> V:
        return self.intrinsic("copysign", a, sign)

    def fma(self, a: V, b: V, c: V) -> V:
        """a·b + c with one rounding."""
        return self.intrinsic("fma", a, b, c)

    def horner(self, x: V, coefficients: Sequence[float]) -> V:
        """Σ coefficients[k] x^k, the lowest power first in the list."""
        result = self.like(coefficients[-1], x)
        for c in reversed(coefficients[:-1]):
            result = self.fma(result, x, self.like(c, x))
        return result

    def function(self, name: str, *operands: V) -> Any:
        """The function `name`, emitted once for the same operands between two labels."""
        key = (name, *[part for v in operands for part in v])
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = self.functions[name](self, *operands)
        return found

    def forget(self) -> None:
        """Emit functions anew from here on: another block does not see this one's values."""
        self._memo.clear()
        self._known.clear()
        self._negated.clear()

    # ---- conditions ------------------------------------------------------------------------

    def compare(self, how: str, a: V, b: V) -> V:
        """``fcmp``/``icmp`` by its LLVM name: olt, ogt, oeq, une, uno … or slt, ult, eq, ne …."""
        op = "fcmp" if is_float(a.kind) else "icmp"
        return self.line(f"{op} {how} {self.type(a.kind)} {a.text}, {b.text}", "i1")

    def select(self, condition: V, a: V, b: V) -> V:
        return self.line(
            f"select {self.type('i1')} {condition.text}, {self.type(a.kind)} {a.text}, "
            f"{self.type(b.kind)} {b.text}",
            a.kind,
        )

    def both(self, a: V, b: V) -> V:
        return self.two("and", a, b)

    def either(self, a: V, b: V) -> V:
        return self.two("or", a, b)

    def opposite(self, a: V) -> V:
        """not a, of a condition."""
        return self.two("xor", a, self.const(True, "i1"))

    def is_nan(self, a: V) -> V:
        return self.compare("uno", a, a)

    # ---- bits and conversions --------------------------------------------------------------

    def bits(self, a: V) -> V:
        """The integer with the bits of a floating number."""
        kind = _INTEGER_OF[a.kind]
        return self.line(f"bitcast {self.type(a.kind)} {a.text} to {self.type(kind)}", kind)

    def number(self, a: V) -> V:
        """The floating number with the bits of an integer."""
        kind = _NUMBER_OF[a.kind]
        return self.line(f"bitcast {self.type(a.kind)} {a.text} to {self.type(kind)}", kind)

    def convert(self, a: V, kind: str) -> V:
        """`a` as another kind of number, as NumPy casts; NaN and what does not fit saturate."""
        if a.kind == kind:
            return a
        target = self.type(kind)
        source = self.type(a.kind)
        if kind == "i1":
            return self.compare("une" if is_float(a.kind) else "ne", a, self.like(0, a))
        unsigned = a.kind == "i1" or a.kind.startswith("u")
        if is_float(a.kind) and is_float(kind):
            op = "fpext" if BITS[kind] > BITS[a.kind] else "fptrunc"
        elif is_float(kind):
            op = "uitofp" if unsigned else "sitofp"
        elif is_float(a.kind):
            name = "fptoui" if kind.startswith("u") else "fptosi"
            return self.call(
                kind, f"llvm.{name}.sat.{self.suffix(kind)}.{self.suffix(a.kind)}", [a]
            )
        elif a.kind != "i1" and BITS[kind] == BITS[a.kind]:
            return V(a.text, kind)
        elif a.kind == "i1" or BITS[kind] > BITS[a.kind]:
            op = "zext" if unsigned else "sext"
        else:
            op = "trunc"
        return self.line(f"{op} {source} {a.text} to {target}", kind)
