"""Algebra that keeps every bit: each rewrite here holds for NaN, infinities and both zeros too.

What looks like algebra and is not: x + 0 (−0 + 0 is +0; x − 0 and x + −0 are exact), x − x and
0 · x (NaN and ∞), −(x − y) = y − x (the sign of zero), ¬(x ≤ 0) = x > 0 (NaN), a quotient by what
is no power of two as a product, sums in another order, a sum over no axes (NumPy adds 0). Of NaN
only that it is NaN counts, not its sign and payload.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.graph.primitive import Primitive, lookup
from thalweg.ops.arithmetic import ADD, MULTIPLY, NEGATIVE, RECIPROCAL, SQRT, SUBTRACT
from thalweg.ops.compare import WHERE
from thalweg.ops.shape import BROADCAST_TO
from thalweg.optimise.fold import EXPONENTS, number_of
from thalweg.optimise.gates import is_gate
from thalweg.optimise.reindex import REINDEXING
from thalweg.optimise.rewrite import Rule, in_place_of, rewrite

__all__ = ["algebra", "simplify"]

#: Python's numbers take the dtype of what they meet.
_WEAK = (bool, int, float, complex)
#: Through which `where` sees what it takes under its mask.
_MASKED = frozenset((WHERE, MULTIPLY))


def simplify(graph: Graph) -> Graph:
    """Products with 1, repeated negations, casts and transposes that cancel, masks of masks, …"""

    return rewrite(graph, algebra)


def algebra(node: Node) -> Any:
    """The rule that `simplify` goes by."""
    primitive = node.primitive
    for each in _RULES.get(primitive.name, ()):
        found = each(node)
        if found is not None:
            return found
    return _unstretched(node) if primitive.rules else None


def _like(node: Node, x: Any) -> Any:
    """`x`, broadcast where needed, in the place of `node`; None where their dtypes differ."""
    if type(x) is not Node:
        x = np.asarray(x)[()]
    if x.dtype != node.dtype:
        return None
    if x.shape == node.shape:
        return x
    if type(x) is not Node:
        return np.broadcast_to(x, node.shape)
    return in_place_of(node, BROADCAST_TO, (x,), {"shape": node.shape})


def _made(node: Node, primitive: Primitive, *operands: Any) -> Node:
    return in_place_of(node, primitive, operands, {})


def _constant(x: Any) -> Any:
    """The number that an operand is for all entries, or None."""
    if type(x) is Node:
        return None
    # `fold` has been here: what is still an array of equal entries is a view of one of them.
    return None if isinstance(x, np.ndarray) and any(x.strides) else number_of(x)


def _shapes_give(node: Node, *operands: Any) -> bool:
    return np.broadcast_shapes(*(np.shape(_value(x)) for x in operands)) == node.shape


def _value(x: Any) -> Any:
    return x.value if type(x) is Node else x


def _operand(node: Node) -> Any:
    """Gates that give what they get: x."""
    return _like(node, node.operands[0]) if node.operands else None


def _real_operand(node: Node) -> Any:
    """The real part and the conjugate of what is real: x."""
    return _operand(node) if node.operands[0].dtype.kind != "c" else None


# ---- arithmetic -------------------------------------------------------------------------------


def _add(node: Node) -> Any:
    """x + −0 = x (of integers: x + 0); x + (−y) = x − y."""
    for x, y in (node.operands, node.operands[::-1]):
        c = _constant(y)
        if c is not None:
            if _is_zero(c, node, sign=-1):
                return _like(node, x)
        elif is_gate(y, "negative") and _same_kind(node, x, y):
            return _made(node, SUBTRACT, x, y.operands[0])
    return None


def _subtract(node: Node) -> Any:
    """x − 0 = x; x − (−y) = x + y."""
    x, y = node.operands
    c = _constant(y)
    if c is not None:
        return _like(node, x) if _is_zero(c, node, sign=1) else None
    if is_gate(y, "negative") and _same_kind(node, x, y):
        return _made(node, ADD, x, y.operands[0])
    return None


def _is_zero(c: Any, node: Node, sign: int) -> bool:
    """Whether the constant is the zero of this sign, or of an integer result any zero."""
    if node.dtype.kind in "iu":
        return bool(c == 0)
    return node.dtype.kind == "f" and bool(c == 0) and math.copysign(1, c) == sign


def _same_kind(node: Node, *operands: Any) -> bool:
    """Whether arrays are all of the dtype of the result, so that nothing is cast on the way."""
    return all(type(x) in _WEAK or _value(x).dtype == node.dtype for x in operands)


def _negates(c: Any, node: Node) -> bool:
    """Whether −c is exact: the integer 0 has no negative, others may be beyond a dtype's range."""
    if type(c) is int:
        return c != 0 and node.dtype.kind == "f"
    return type(c) is float or (isinstance(c, np.generic) and c.dtype.kind == "f")


def _multiply(node: Node) -> Any:
    """x · 1 = x; x · −1 = −x; (−x) · (−y) = x · y; (−x) · c = x · (−c)."""
    if node.dtype.kind not in "fiu":
        return None
    for x, y in (node.operands, node.operands[::-1]):
        c = _constant(y)
        if c is None:
            continue
        if c == 1:
            return _like(node, x)
        whole = type(x) is Node and x.dtype == node.dtype and x.shape == node.shape
        if c == -1 and whole and node.dtype.kind != "u":
            return _made(node, NEGATIVE, x)
        stretched = np.shape(_value(x)) != node.shape
        if is_gate(x, "negative") and not stretched and x.dtype == node.dtype and _negates(c, node):
            return _made(node, MULTIPLY, x.operands[0], -c)
    x, y = node.operands
    if is_gate(x, "negative") and is_gate(y, "negative") and _same_kind(node, x, y):
        return _made(node, MULTIPLY, x.operands[0], y.operands[0])
    return None


def _divide(node: Node) -> Any:
    """x / 1 = x, and x / 2ᵏ = x · 2⁻ᵏ: both round the same real number."""
    x, y = node.operands
    c = _constant(y)
    if c is None or node.dtype.kind != "f" or node.dtype.itemsize > 8:
        return None
    if c == 1:
        return _like(node, x)
    c = float(c)
    limits = np.finfo(node.dtype)
    if not math.isfinite(c) or math.frexp(abs(c))[0] != 0.5:
        return None
    if not float(limits.tiny) <= 1 / abs(c) <= float(limits.max):
        return None
    if np.shape(_value(x)) != node.shape:  # the constant stretches it
        return None
    weak = type(y) in (int, float)
    return _made(node, MULTIPLY, x, 1 / c if weak else node.dtype.type(1 / c))


def _negative(node: Node) -> Any:
    """−(−x) = x; −(x · c) = x · (−c)."""
    (x,) = node.operands
    if is_gate(x, "negative"):
        return _like(node, x.operands[0])
    if is_gate(x, "multiply") and node.dtype.kind == "f":
        for y, factor in (x.operands, x.operands[::-1]):
            c = _constant(factor)
            if c is not None and _negates(c, node) and np.ndim(factor) == 0:
                return _made(node, MULTIPLY, y, -c)
    return None


def _power(node: Node) -> Any:
    """x², x^½, x⁻¹, x¹ of a float array: what NumPy computes for these exponents.

    Of a single number it takes the general power, which may differ in the last bit.
    """
    x, y = node.operands
    if node.shape == () or type(x) is not Node or type(y) is bool or np.ndim(y):
        return None
    c = _constant(y)
    if c is None or node.dtype.kind != "f" or x.dtype != node.dtype or x.shape != node.shape:
        return None
    if c == 2:
        return _made(node, MULTIPLY, x, x)
    if c == 0.5:
        return _made(node, SQRT, x)
    if c == -1:
        return _made(node, RECIPROCAL, x)
    return x if c == 1 else None


def _square(node: Node) -> Any:
    """x² = x · x, so that the two spellings are one."""
    (x,) = node.operands
    plain = node.dtype.kind in "fiu" and x.dtype == node.dtype  # of a boolean it is an int8
    return _made(node, MULTIPLY, x, x) if plain else None


# ---- casts ------------------------------------------------------------------------------------


def _astype(node: Node) -> Any:
    """No cast to what it is already; no step between where that loses nothing."""
    (x,) = node.operands
    if x.dtype == node.dtype:
        return x
    if not is_gate(x, "astype"):
        return None
    start, between, end = x.operands[0].dtype, x.dtype, node.dtype
    # A float beyond the range of an integer becomes whatever the conversion of its width gives.
    if not _holds(between, start) or (start.kind not in "biu" and end.kind in "iu"):
        return None
    return in_place_of(node, node.primitive, x.operands, node.params)


def _holds(wide: np.dtype[Any], narrow: np.dtype[Any]) -> bool:
    """Whether each number of `narrow` is one of `wide`; NumPy calls int64 to float64 safe too."""
    if narrow.kind in "iu" and wide.kind in "fc":
        bits = 8 * narrow.itemsize - (narrow.kind == "i")
        return bits <= np.finfo(wide).nmant + 1
    return bool(np.can_cast(narrow, wide, "safe"))


# ---- masks ------------------------------------------------------------------------------------


def _where(node: Node) -> Any:
    """where(m, a, a) = a, of a mask within the same mask, of a product with the mask."""
    mask, x, y = node.operands
    if x is y or (type(x) is not Node and _same_number(x, y)):
        return _like(node, x)
    chosen = _constant(mask)
    if chosen is not None:
        return _like(node, x if chosen else y)
    taken, other = _under(node, mask, True, x), _under(node, mask, False, y)
    if (taken is not x or other is not y) and _keeps(node, mask, taken, other):
        return _made(node, WHERE, mask, taken, other)
    if is_gate(mask, "logical_not") and mask.operands[0].dtype == np.bool_:
        return _made(node, WHERE, mask.operands[0], y, x)
    return None


def _same_number(x: Any, y: Any) -> bool:
    """Whether two constants are one number of one type; of NaN too."""
    return isinstance(x, (*_WEAK, np.generic)) and type(x) is type(y) and repr(x) == repr(y)


def _keeps(node: Node, mask: Any, x: Any, y: Any) -> bool:
    """Whether where(mask, x, y) has the shape and dtype of `node`."""
    dtype = np.result_type(*(z if type(z) in _WEAK else _value(z).dtype for z in (x, y)))
    return dtype == node.dtype and _shapes_give(node, mask, x, y)


def _under(node: Node, mask: Any, holds: bool, x: Any) -> Any:
    """What `x` is where `mask` is `holds`, one step at most.

    where(m, a, b) is a or b there, and a · m (the local gradient of a router) is a · 1.
    """
    if type(x) is not Node or x.primitive not in _MASKED or x.dtype != node.dtype:
        return x
    if x.primitive is WHERE:
        known = _is_mask(mask, holds, x.operands[0])
        if known is not None:
            chosen = x.operands[1 if known else 2]
            return chosen if _same_kind(node, chosen) else x
        return x
    for c, factor in (x.operands, x.operands[::-1]):
        if type(c) is Node and c.dtype == x.dtype and _is_mask(mask, holds, factor):
            return c
    return x


def _is_mask(mask: Any, holds: bool, x: Any) -> bool | None:
    """What the boolean `x` is where `mask` is `holds`, if that is known."""
    if x is mask:
        return holds
    if (is_gate(x, "logical_not") and x.operands[0] is mask and mask.dtype == np.bool_) or (
        is_gate(mask, "logical_not") and mask.operands[0] is x and x.dtype == np.bool_
    ):
        return not holds
    return None


def _logical_not(node: Node) -> Any:
    """¬¬m = m."""
    (x,) = node.operands
    return _like(node, x.operands[0]) if is_gate(x, "logical_not") else None


def _logical_and(node: Node) -> Any:
    return _logical(node, neutral=True)


def _logical_or(node: Node) -> Any:
    return _logical(node, neutral=False)


def _logical(node: Node, neutral: bool) -> Any:
    """m ∧ m = m, m ∧ 1 = m, m ∧ 0 = 0; m ∨ m = m, m ∨ 0 = m, m ∨ 1 = 1."""
    for x, y in (node.operands, node.operands[::-1]):
        if x is y:
            return _like(node, x)
        c = _constant(y)
        if c is not None:
            return _like(node, x if bool(c) is neutral else np.bool_(not neutral))
    return None


def _bitwise(logical: Primitive) -> Rule:
    """The operators ~, & and | on masks are the logical operations."""

    def rule(node: Node) -> Any:
        masks = all(type(x) is bool or getattr(x, "dtype", None) == np.bool_ for x in node.operands)
        return _made(node, logical, *node.operands) if masks else None

    return rule


def _not_equal(node: Node) -> Any:
    """m ≠ 0 = m for a mask: the question whether a local gradient is zero."""
    for x, y in (node.operands, node.operands[::-1]):
        c = _constant(y)
        if c is not None and c == 0 and type(x) is Node and x.dtype == np.bool_:
            return _like(node, x)
    return None


# ---- broadcasting -----------------------------------------------------------------------------


def _unstretched(node: Node) -> Any:
    """An operand that is broadcast beforehand, where the operation does so by itself."""
    for i, x in enumerate(node.operands):
        if type(x) is not Node or x.primitive is not BROADCAST_TO:
            continue
        if i == 1 and node.primitive.name in EXPONENTS:
            continue
        operands = (*node.operands[:i], x.operands[0], *node.operands[i + 1 :])
        if _shapes_give(node, *operands):
            return in_place_of(node, node.primitive, operands, node.params)
    return None


_RULES: dict[str, tuple[Rule, ...]] = {
    "add": (_add,),
    "subtract": (_subtract,),
    "multiply": (_multiply,),
    "divide": (_divide,),
    "negative": (_negative,),
    "power": (_power,),
    "square": (_square,),
    "positive": (_operand,),
    "detach": (_operand,),
    "input": (_operand,),
    "conjugate": (_real_operand,),
    "real": (_real_operand,),
    "astype": (_astype,),
    "where": (_where,),
    "logical_not": (_logical_not,),
    "logical_and": (_logical_and,),
    "logical_or": (_logical_or,),
    "invert": (_bitwise(lookup("logical_not")),),
    "bitwise_and": (_bitwise(lookup("logical_and")),),
    "bitwise_or": (_bitwise(lookup("logical_or")),),
    "not_equal": (_not_equal,),
    **REINDEXING,
}
