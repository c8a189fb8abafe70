"""Scalar functions by name, for the kinds of number they are defined on.

The names are those of the primitives (NumPy's). What a machine instruction does stands here;
`FUNCTIONS` of `thalweg.execute.native.math` has the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg.execute.native.emit import Emit, V, is_float
from thalweg.execute.native.math import FUNCTIONS

__all__ = ["COMPARISONS", "PREDICATES", "apply_scalar", "knows", "weight"]

COMPARISONS = {
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
    "equal": "eq",
    "not_equal": "ne",
}
PREDICATES = frozenset(("isnan", "isinf", "isfinite", "signbit"))


def _is_unsigned(kind: str) -> bool:
    return kind == "i1" or kind.startswith("u")


def _compare(how: str) -> Callable[[Emit, V, V], V]:
    def emit(e: Emit, a: V, b: V) -> V:
        if is_float(a.kind):
            return e.compare("une" if how == "ne" else f"o{how}", a, b)
        if how in ("eq", "ne"):
            return e.compare(how, a, b)
        return e.compare(("u" if _is_unsigned(a.kind) else "s") + how, a, b)

    return emit


def _extreme(name: str) -> Callable[[Emit, V, V], V]:
    """maximum and minimum of integers and conditions."""

    def emit(e: Emit, a: V, b: V) -> V:
        return e.intrinsic(("u" if _is_unsigned(a.kind) else "s") + name, a, b)

    return emit


#: Functions of all kinds of number.
_ANY: dict[str, Callable[..., V]] = {
    "copy": lambda e, x: x,
    "positive": lambda e, x: x,
    "where": lambda e, c, x, y: e.select(c, x, y),
    **{name: _compare(how) for name, how in COMPARISONS.items()},
}
#: Of floating numbers; what is missing here is in FUNCTIONS.
_FLOAT: dict[str, Callable[..., V]] = {
    "add": lambda e, x, y: e.add(x, y),
    "subtract": lambda e, x, y: e.sub(x, y),
    "multiply": lambda e, x, y: e.mul(x, y),
    "divide": lambda e, x, y: e.div(x, y),
    "negative": lambda e, x: e.neg(x),
    "absolute": lambda e, x: e.abs(x),
    "fabs": lambda e, x: e.abs(x),
    "sqrt": lambda e, x: e.sqrt(x),
    "square": lambda e, x: e.mul(x, x),
    "reciprocal": lambda e, x: e.div(e.like(1.0, x), x),
    "floor": lambda e, x: e.floor(x),
    "ceil": lambda e, x: e.ceil(x),
    "trunc": lambda e, x: e.trunc(x),
    "rint": lambda e, x: e.rint(x),
    "isnan": lambda e, x: e.is_nan(x),
}


def _divided(e: Emit, x: V, y: V) -> tuple[V, V]:
    """Quotient (rounded down) and remainder (with y's sign) of integers; of y = 0 both are 0."""
    zero, one = e.like(0, x), e.like(1, x)
    nothing = e.compare("eq", y, zero)
    if _is_unsigned(x.kind):
        safe = e.select(nothing, one, y)
        quotient, rest = e.two("udiv", x, safe), e.two("urem", x, safe)
    else:
        # The machine traps at 0, and at the lowest number over −1: x / −1 is −x, which wraps.
        minus = e.compare("eq", y, e.like(-1, x))
        safe = e.select(e.either(nothing, minus), one, y)
        quotient, rest = e.two("sdiv", x, safe), e.two("srem", x, safe)
        apart = e.compare("slt", e.two("xor", rest, safe), zero)
        lower = e.both(apart, e.compare("ne", rest, zero))
        quotient = e.select(minus, e.neg(x), e.select(lower, e.sub(quotient, one), quotient))
        rest = e.select(lower, e.add(rest, safe), rest)
    return e.select(nothing, zero, quotient), e.select(nothing, zero, rest)


#: Of integers; they wrap around, as NumPy's.
_INTEGER: dict[str, Callable[..., V]] = {
    "add": lambda e, x, y: e.add(x, y),
    "subtract": lambda e, x, y: e.sub(x, y),
    "multiply": lambda e, x, y: e.mul(x, y),
    "square": lambda e, x: e.mul(x, x),
    "floor_divide": lambda e, x, y: _divided(e, x, y)[0],
    "remainder": lambda e, x, y: _divided(e, x, y)[1],
    "bitwise_and": lambda e, x, y: e.two("and", x, y),
    "bitwise_or": lambda e, x, y: e.two("or", x, y),
    "bitwise_xor": lambda e, x, y: e.two("xor", x, y),
    "maximum": _extreme("max"),
    "minimum": _extreme("min"),
}
_SIGNED: dict[str, Callable[..., V]] = {
    "negative": lambda e, x: e.neg(x),
    "absolute": lambda e, x: e.select(e.compare("slt", x, e.like(0, x)), e.neg(x), x),
}
#: Of conditions: NumPy's arithmetic of booleans is logic.
_LOGIC: dict[str, Callable[..., V]] = {
    "add": lambda e, x, y: e.either(x, y),
    "multiply": lambda e, x, y: e.both(x, y),
    "maximum": lambda e, x, y: e.either(x, y),
    "minimum": lambda e, x, y: e.both(x, y),
    "logical_and": lambda e, x, y: e.both(x, y),
    "logical_or": lambda e, x, y: e.either(x, y),
    "logical_xor": lambda e, x, y: e.two("xor", x, y),
    "logical_not": lambda e, x: e.opposite(x),
    "bitwise_and": lambda e, x, y: e.both(x, y),
    "bitwise_or": lambda e, x, y: e.either(x, y),
    "bitwise_xor": lambda e, x, y: e.two("xor", x, y),
    "invert": lambda e, x: e.opposite(x),
}


def _find(name: str, kind: str) -> Callable[..., V] | None:
    found = _ANY.get(name)
    if found is not None:
        return found
    if is_float(kind):
        return _FLOAT.get(name) or FUNCTIONS.get(name)
    if kind == "i1":
        return _LOGIC.get(name)
    found = _INTEGER.get(name)
    return found or (None if kind.startswith("u") else _SIGNED.get(name))


def knows(name: str, kind: str) -> bool:
    """Whether the function is there for operands of this kind."""
    return name.startswith("cast to ") or _find(name, kind) is not None


def apply_scalar(e: Emit, name: str, operands: list[V]) -> V:
    """Emit the function `name` of the operands."""
    return _call(e, name, operands) if name in e.module.shared else _inline(e, name, operands)


def _inline(e: Emit, name: str, operands: list[V]) -> V:
    if name.startswith("cast to "):
        return e.convert(operands[0], name[8:])
    found = _find(name, operands[-1].kind)
    assert found is not None
    if is_float(operands[-1].kind) and name in FUNCTIONS and name not in _FLOAT:
        return e.function(name, *operands)
    return found(e, *operands)


def _call(e: Emit, name: str, operands: list[V]) -> V:
    """A call of the function `name` for these kinds and lanes, which the module has once."""
    kinds = [v.kind for v in operands]
    own = f"@{name}_{'_'.join(kinds)}_{e.lanes}"
    types = [e.type(kind) for kind in kinds]
    if own not in e.module.definitions:
        body = Emit(e.module, e.lanes, "v")
        arguments = [V(f"%x{i}", kind) for i, kind in enumerate(kinds)]
        result = _inline(body, name, arguments)
        shown = ", ".join(f"{t} %x{i}" for i, t in enumerate(types))
        lines = "\n".join(body.lines)
        e.module.define(
            own,
            f"define internal {e.type(result.kind)} {own}({shown}) noinline "
            f"{e.module.attributes} {{\n"
            f"{lines}\n  ret {e.type(result.kind)} {result.text}\n}}",
        )
    kind = "i1" if name in PREDICATES or name in COMPARISONS else operands[-1].kind
    shown = ", ".join(f"{t} {v.text}" for t, v in zip(types, operands, strict=True))
    return e.line(f"call {e.type(kind)} {own}({shown})", kind)


#: Roughly how many instructions a function takes, where it is not one.
_WEIGHTS = {
    "exp": 12, "expm1": 18, "log": 18, "log1p": 22, "sigmoid": 16, "softplus": 30,
    "log_sigmoid": 30, "tanh": 22, "sin": 30, "cos": 30, "tan": 45, "erf": 30, "power": 60,
    "divide": 4, "sqrt": 4, "reciprocal": 4, "copy": 0, "positive": 0,
}  # fmt: skip


def weight(name: str) -> int:
    """About how many instructions `name` takes."""
    found = _WEIGHTS.get(name)
    if found is not None:
        return found
    return 25 if name in FUNCTIONS and name not in _FLOAT else 1
