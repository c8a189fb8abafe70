"""A small builder of LLVM IR for functions with branches over pointers and integers.

The text of the call path reads objects of Python and NumPy and calls their C functions; arithmetic
over vectors is `emit.Emit`'s.
"""

from __future__ import annotations

from thalweg.execute.native.emit import Module

__all__ = ["Function"]


class Function:
    """A function of a module, written line by line; `finish` adds it.

    Operands are LLVM's texts (``%name`` or a constant). A line that gives a value returns its name.

    Parameters
    ----------
    module : Module
    name, result : str
        The function and LLVM's type of its result; one that other modules do not call has a name
        that begins with an underscore.
    **parameters : str
        LLVM's type of each parameter; in the text they are ``%name``.
    """

    def __init__(self, module: Module, name: str, result: str, /, **parameters: str) -> None:
        self._module = module
        self._name = name
        self._result = result
        shown = ", ".join(f"{type_} %{key}" for key, type_ in parameters.items())
        internal = "internal " * name.startswith("_")
        self._lines = [f"define {internal}{result} @{name}({shown}) nounwind {{", "entry:"]
        self._count = 0
        self.block = "entry"  #: the block that is being written

    def line(self, text: str) -> str:
        """Append ``name = text``."""
        self._count += 1
        name = f"%v{self._count}"
        self._lines.append(f"  {name} = {text}")
        return name

    def raw(self, text: str) -> None:
        """Append an instruction without a value."""
        self._lines.append(f"  {text}")

    # ---- memory ----------------------------------------------------------------------------

    def at(self, base: str, offset: int | str) -> str:
        """The address `offset` bytes behind `base`."""
        if offset == 0:
            return base
        return self.line(f"getelementptr i8, ptr {base}, i64 {offset}")

    def load(self, base: str, offset: int | str = 0, type_: str = "i64") -> str:
        return self.line(f"load {type_}, ptr {self.at(base, offset)}")

    def pointer(self, base: str, offset: int | str = 0) -> str:
        """Load a pointer."""
        return self.load(base, offset, "ptr")

    def store(self, type_: str, value: str | int, base: str, offset: int | str = 0) -> None:
        self.raw(f"store {type_} {value}, ptr {self.at(base, offset)}")

    # ---- integers --------------------------------------------------------------------------

    def two(self, op: str, a: str | int, b: str | int) -> str:
        """An instruction of two 64-bit operands: add, sub, and, or, shl, lshr, …."""
        return self.line(f"{op} i64 {a}, {b}")

    def is_(self, how: str, a: str | int, b: str | int, type_: str = "i64") -> str:
        """``icmp``: eq, ne, ult, ule, slt, …."""
        return self.line(f"icmp {how} {type_} {a}, {b}")

    # ---- control ---------------------------------------------------------------------------

    def fresh(self, stem: str) -> str:
        """A new name of a block."""
        self._count += 1
        return f"{stem}.{self._count}"

    def begin(self, label: str) -> None:
        """Start a block."""
        self._lines.append(f"{label}:")
        self.block = label

    def go(self, label: str) -> None:
        self.raw(f"br label %{label}")

    def split(self, condition: str, yes: str, no: str) -> None:
        self.raw(f"br i1 {condition}, label %{yes}, label %{no}")

    def expect(self, condition: str, otherwise: str) -> None:
        """Go on where `condition` holds, to the block `otherwise` where it does not."""
        on = self.fresh("on")
        self.split(condition, on, otherwise)
        self.begin(on)

    def only_if(self, condition: str, rest: str) -> None:
        """The lines up to the block `rest`, which the caller begins, run where it holds."""
        self.expect(condition, rest)

    def call(self, result: str, name: str, *operands: str, declare: bool = True) -> str:
        """Call a function by name; operands stand with their types: ``"ptr %x"``."""
        if declare:
            types = ", ".join(operand.split()[0] for operand in operands)
            self._module.declare(f"declare {result} @{name}({types})")
        return self.call_at(result, f"@{name}", *operands)

    def call_at(self, result: str, target: str, *operands: str) -> str:
        """Call a function by its address, or one of this module by its name with the @."""
        text = f"call {result} {target}({', '.join(operands)})"
        if result == "void":
            self.raw(text)
            return ""
        return self.line(text)

    def give(self, value: str = "") -> None:
        """Return from the function."""
        self.raw(f"ret {self._result} {value}".rstrip())

    def phi(self, type_: str, *incoming: tuple[str | int, str]) -> str:
        """What comes from each of the blocks that lead here."""
        shown = ", ".join(f"[ {value}, %{block} ]" for value, block in incoming)
        return self.line(f"phi {type_} {shown}")

    def loop(self, first: str | int, end: str | int, step: int = 1) -> _Loop:
        """``for (i = first; i < end; i += step)``: a context whose value is i."""
        return _Loop(self, first, end, step)

    def finish(self) -> None:
        """Add the function to its module."""
        self._module.define(self._name, "\n".join([*self._lines, "}"]))


class _Loop:
    def __init__(self, code: Function, first: str | int, end: str | int, step: int) -> None:
        self._code = code
        self._first, self._end, self._step = first, end, step

    def __enter__(self) -> str:
        code = self._code
        self._head, self._tail, self._done = map(code.fresh, ("head", "tail", "done"))
        before, self._i, self._next = code.block, f"%{self._head}.i", f"%{self._head}.next"
        code.go(self._head)
        code.begin(self._head)
        code.raw(
            f"{self._i} = phi i64 [ {self._first}, %{before} ], [ {self._next}, %{self._tail} ]"
        )
        code.expect(code.is_("slt", self._i, self._end), self._done)
        return self._i

    def __exit__(self, *_error: object) -> None:
        code = self._code
        code.go(self._tail)
        code.begin(self._tail)
        code.raw(f"{self._next} = add i64 {self._i}, {self._step}")
        code.go(self._head)
        code.begin(self._done)

    @property
    def tail(self) -> str:
        """The block that goes on with the next i."""
        return self._tail
