"""Spelled-out forms of known functions, found in a traced graph by their shape.

Shared by `stabilise` (which puts a stable form in their place for the derivative) and `group`
(which shows them as one node). A recogniser looks at one gate and those below it, and answers
with a `Form`: which function it is, of what, and which gates spell it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.node import Node
from thalweg.graph.primitive import Primitive
from thalweg.graph.spec import Spec
from thalweg.optimise.gates import (
    Form,
    is_gate,
    is_real,
    root_of,
    same,
    strip_reshapes,
    uniform,
)
from thalweg.optimise.squares import ROOTED, square_of

__all__ = ["possible_roots", "recognise", "unshifted"]


class Term(NamedTuple):
    """e^exponent; exponent 0 stands for the number 1."""

    exponent: Any
    members: tuple[Node, ...]


# ---- exponentials -------------------------------------------------------------------------


def _term(x: Any) -> Term | None:
    """`x` as e^exponent: an exp gate, or the number 1."""
    if is_gate(x, "exp"):
        return Term(x.operands[0], (x,))
    return Term(0.0, ()) if uniform(x) == 1.0 else None


def _two_terms(x: Any) -> tuple[Term, Term] | None:
    """`x` as e^a + e^b, at least one of them an exp gate."""
    if not is_gate(x, "add"):
        return None
    first, second = (_term(operand) for operand in x.operands)
    if first is None or second is None or not (first.members or second.members):
        return None
    return first, second


def _is_zero(exponent: Any) -> bool:
    return type(exponent) is float and exponent == 0.0


def _sum_of_exponentials(x: Any) -> tuple[Node, dict[str, Any], tuple[Node, ...]] | None:
    """`x` as Σ e^z (or its mean) along axes: z, the sum's parameters, and the gates."""
    if not is_gate(x, "sum", "mean") or set(x.params) != {"axes", "keepdims"}:
        return None
    inner = x.operands[0]
    if not is_gate(inner, "exp"):
        return None
    return inner.operands[0], x.params, (inner, x)


def _logistic(root: Node, over: Term, under: Term, inner: tuple[Node, ...], holds: bool) -> Form:
    """σ(a − b) for e^a / (e^a + e^b), with −z resolved to its operand."""
    a, b = over.exponent, under.exponent
    if not _is_zero(a) and not _is_zero(b):
        return Form("sigmoid_of_difference", (a, b), {}, (*inner, root), holds)
    z, sign = (a, 1) if _is_zero(b) else (b, -1)
    if is_gate(z, "negative"):
        return Form("sigmoid", (z.operands[0],), {"sign": -sign}, (z, *inner, root), holds)
    return Form("sigmoid", (z,), {"sign": sign}, (*inner, root), holds)


def _quotient(root: Node, numerator: Any, denominator: Any) -> Form | None:
    """e^a / (e^a + e^b), e^z / Σ e^z, (e^a − e^b) / (e^a + e^b), u / (1 + e^z)."""
    pair = _two_terms(denominator)
    if pair is None:
        return _softmax(root, numerator, denominator)
    inner = (*pair[0].members, *pair[1].members, denominator)
    over = _term(numerator)
    if over is not None:
        extra = tuple(m for m in over.members if m not in inner)
        for mine, other in (pair, pair[::-1]):
            if same(over.exponent, mine.exponent):
                holds = not over.members or _holds(denominator.value)
                return _logistic(root, mine, other, (*extra, *inner), holds)
    tanh = _tanh(root, numerator, pair, inner)
    if tanh is not None:
        return tanh
    for mine, other in (pair, pair[::-1]):
        if _is_zero(mine.exponent) and is_real(root):
            return Form("over_one_plus_exp", (numerator, other.exponent), {}, (*inner, root))
    return None


def _slope(root: Node, numerator: Any, denominator: Any) -> Form | None:
    """e^z / (1 + e^z)² = σ(z) σ(−z), the derivative of the sigmoid."""
    inner = root_of(denominator)
    pair = None if inner is None or not is_gate(numerator, "exp") else _two_terms(inner)
    if pair is None:
        return None
    z = numerator.operands[0]
    for one, other in (pair, pair[::-1]):
        if _is_zero(one.exponent) and same(z, other.exponent):
            extra = () if numerator in other.members else (numerator,)
            members = (*extra, *other.members, inner, denominator, root)
            return Form("sigmoid_slope", (z,), {}, members, value_holds=False)
    return None


def _tanh(
    root: Node, numerator: Any, pair: tuple[Term, Term], inner: tuple[Node, ...]
) -> Form | None:
    """(e^a − e^b) / (e^a + e^b) = tanh((a − b) / 2)."""
    if not is_gate(numerator, "subtract"):
        return None
    first, second = (_term(operand) for operand in numerator.operands)
    if first is None or second is None:
        return None
    for mine, other in (pair, pair[::-1]):
        if same(first.exponent, mine.exponent) and same(second.exponent, other.exponent):
            extra = tuple(m for m in (*first.members, *second.members) if m not in inner)
            members = (*extra, *inner, numerator, root)
            return Form(
                "tanh_of_half", (first.exponent, second.exponent), {}, members, value_holds=False
            )
    return None


def _softmax(root: Node, numerator: Any, denominator: Any) -> Form | None:
    """e^z / Σ e^z along one axis, however the sum gets its axis back."""
    if not is_gate(numerator, "exp"):
        return None
    total, passed = strip_reshapes(denominator)
    found = _sum_of_exponentials(total) if is_gate(total, "sum") else None
    if found is None or not same(found[0], numerator.operands[0]):
        return None
    z, axes = numerator.operands[0], found[1]["axes"]
    if not _lies_along(denominator, axes, z) or root.shape != z.shape:
        return None  # it divides along another axis
    extra = () if numerator is found[2][0] else (numerator,)
    members = (*found[2], *passed, *extra, root)
    return Form("softmax", (z,), {"axes": axes}, members, _holds(denominator.value, 1e-30))


def _holds(value: Any, above: float = -1.0) -> bool:
    """Whether all moduli are finite and above a bound: never known of a graph without values."""
    if type(value) is Spec:
        return False
    return bool((np.isfinite(value) & (np.abs(value) > above)).all())


def _lies_along(x: Any, axes: tuple[int, ...], z: Node) -> bool:
    """Whether `x` broadcasts against `z` with one entry along each of the axes."""
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(z.shape))
    shape = np.shape(x.value if type(x) is Node else x)
    return (1,) * (len(kept) - len(shape)) + shape == kept


def _without_detach(x: Any) -> Any:
    return x.operands[0] if is_gate(x, "detach") else x


def _largest(x: Any, axes: tuple[int, ...], z: Any) -> bool:
    """Whether `x` is max z along the axes, with or without them."""
    top = _without_detach(strip_reshapes(_without_detach(x))[0])
    plain = is_gate(top, "max") and set(top.params) == {"axes", "keepdims"}
    return plain and top.params["axes"] == axes and same(_without_detach(top.operands[0]), z)


def unshifted(z: Any, axes: tuple[int, ...]) -> Any:
    """x where `z` is x − max x along the axes, else `z`: softmax(x − m) = softmax(x).

    The derivative through the maximum is 0, but only as a sum of terms that cancel.
    """
    if is_gate(z, "subtract"):
        x, shift = z.operands
        if _lies_along(shift, axes, z) and _largest(shift, axes, x) and x.shape == z.shape:
            return x
    return z


# ---- recognisers, by the gate that gives the result -----------------------------------------


def _divide(node: Node) -> Form | None:
    numerator, denominator = node.operands
    if is_gate(denominator, "square", "power", "multiply"):
        return _slope(node, numerator, denominator)
    if is_gate(denominator, "add", "sum", "reshape", "getitem"):
        found = _quotient(node, numerator, denominator)
        if found is not None:
            return found
    if uniform(denominator) == 2.0:
        return _half_of_sum(node, numerator)
    return None


def _inverse(node: Node) -> Form | None:
    """1/x and x ** −1; r ** 2."""
    if node.primitive.name == "power":
        exponent = uniform(node.operands[1])
        if exponent != -1.0:
            return square_of(node) if exponent == 2.0 else None
    return _quotient(node, 1.0, node.operands[0])


def _complement(node: Node) -> Form | None:
    """1 − σ(x) = σ(−x)."""
    if uniform(node.operands[0]) != 1.0:
        return None
    inner = _sigmoid(node.operands[1])
    if inner is None:
        return None
    sign = {"sign": -inner.params["sign"]}
    return Form("sigmoid", inner.inputs, sign, (*inner.members, node), value_holds=False)


def _sigmoid(x: Any) -> Form | None:
    """`x` as σ(±z), spelled out or not."""
    if is_gate(x, "sigmoid", "expit"):
        return Form("sigmoid", (x.operands[0],), {"sign": 1}, (x,))
    if is_gate(x, "subtract"):
        return _complement(x)
    if is_gate(x, "divide", "reciprocal", "power"):
        found = ROOTS[x.primitive.name].recognise(x)
        return found if found is not None and found.name == "sigmoid" else None
    return None


def _log(node: Node) -> Form | None:
    (x,) = node.operands
    pair = _two_terms(x)
    if pair is not None:
        return _log_of_two(node, pair, (*pair[0].members, *pair[1].members, x, node))
    total = _sum_of_exponentials(x)
    if total is not None:
        name = "logsumexp" if is_gate(x, "sum") else "logmeanexp"
        return Form(name, (total[0],), total[1], (*total[2], node))
    weighted = _weighted_exponentials(x)
    if weighted is not None:
        return Form("log_of_weighted_sum", weighted[0], x.params, (*weighted[1], x, node))
    if is_gate(x, "cosh"):
        return Form("log_cosh", x.operands, {}, (x, node))
    inner = _sigmoid(x)
    if inner is not None:
        return inner._replace(name="log_sigmoid", members=(*inner.members, node), value_holds=True)
    inner = _normalised(x)
    if inner is not None:
        return inner._replace(name="log_softmax", members=(*inner.members, node), value_holds=True)
    if is_gate(x, "getitem"):
        inner = _normalised(x.operands[0])
        if inner is not None:
            params = {"softmax": inner.params, "getitem": x.params}
            members = (*inner.members, x, node)
            inputs = (*inner.inputs, *x.operands[1:])
            return Form("log_softmax_entries", inputs, params, members)
    return None


def _log_sum(x: Any) -> Form | None:
    """`x` as log Σ e^z, spelled out or not."""
    if is_gate(x, "logsumexp"):
        return Form("logsumexp", x.operands, x.params, (x,))
    if is_gate(x, "add"):
        return _shifted_log_sum(x)
    found = _sum_of_exponentials(x.operands[0]) if is_gate(x, "log") else None
    if found is None or not is_gate(found[2][-1], "sum"):
        return None
    return Form("logsumexp", (found[0],), found[1], (*found[2], x))


def _shifted_log_sum(node: Node) -> Form | None:
    """log Σ e^(x − m) + m with m = max x: log Σ e^x."""
    for total, shift in (node.operands, node.operands[::-1]):
        inner = _log_sum(total) if is_gate(total, "log") else None
        if inner is None:
            continue
        axes = inner.params["axes"]
        x = unshifted(inner.inputs[0], axes)
        fits = np.shape(shift.value if type(shift) is Node else shift) == total.shape == node.shape
        if x is not inner.inputs[0] and fits and _largest(shift, axes, x):
            return Form("logsumexp", (x,), inner.params, (*inner.members, node))
    return None


def _subtract(node: Node) -> Form | None:
    """z − log Σ e^z along axes: log softmax."""
    z, subtracted = node.operands
    total, passed = strip_reshapes(subtracted)
    inner = _log_sum(total)
    if inner is None or not same(inner.inputs[0], z) or node.shape != z.shape:
        return None
    axes = inner.params["axes"]
    if not _lies_along(subtracted, axes, z):
        return None
    return Form("log_softmax", (z,), {"axes": axes}, (*inner.members, *passed, node))


def _weighted_exponentials(x: Any) -> tuple[tuple[Any, Any], tuple[Node, ...]] | None:
    """`x` as Σ w e^z along axes: (w, z), and the gates below the sum."""
    if not is_gate(x, "sum") or set(x.params) != {"axes", "keepdims"}:
        return None
    product = x.operands[0]
    if not is_gate(product, "multiply"):
        return None
    for w, power in (product.operands, product.operands[::-1]):
        if is_gate(power, "exp"):
            return (w, power.operands[0]), (power, product)
    return None


def _log_to_base(node: Node) -> Form | None:
    """log2 and log10 of what `_log` knows."""
    inner = _log(node)
    base = 2.0 if node.primitive.name == "log2" else 10.0
    return inner and Form(
        "log_to_base", inner.inputs, {"base": base, "log": inner}, inner.members, False
    )


def _log_of_two(node: Node, pair: tuple[Term, Term], members: tuple[Node, ...]) -> Form:
    """log(e^a + e^b); softplus where one of them is 1."""
    a, b = pair[0].exponent, pair[1].exponent
    if _is_zero(a) or _is_zero(b):
        return Form("softplus", (b if _is_zero(a) else a,), {}, members)
    return Form("logaddexp", (a, b), {}, members)


def _normalised(x: Any) -> Form | None:
    """`x` as a softmax, spelled out or not."""
    if is_gate(x, "softmax"):
        return Form("softmax", x.operands, x.params, (x,))
    if is_gate(x, "divide"):
        return _softmax(x, *x.operands)
    return None


def _log1p(node: Node) -> Form | None:
    (x,) = node.operands
    if is_gate(x, "exp"):
        return Form("softplus", x.operands, {}, (x, node))
    if is_gate(x, "negative"):
        inner = _sigmoid(x.operands[0])
        if inner is not None:  # log(1 − σ(z)) = log σ(−z)
            sign = {"sign": -inner.params["sign"]}
            return Form("log_sigmoid", inner.inputs, sign, (*inner.members, x, node))
    return None


def _sqrt(node: Node) -> Form | None:
    """√Σ x², √(x² + y² + …), √x²."""
    (x,) = node.operands
    if is_gate(x, "sum") and set(x.params) == {"axes", "keepdims"}:
        r = root_of(x.operands[0])
        return r if r is None else Form("norm", (r,), x.params, (x.operands[0], x, node))
    roots: list[Any] = []
    members: list[Node] = [node]
    waiting = [x]
    while waiting:
        part = waiting.pop()
        if type(part) is not Node:
            return None
        r = root_of(part)
        members.append(part)
        if r is not None:
            roots.append(r)
        elif is_gate(part, "add"):
            waiting += part.operands[::-1]
        else:
            return None
    members.sort(key=lambda member: member.sequence)
    return Form("hypot" if len(roots) > 1 else "absolute", tuple(roots), {}, tuple(members))


def _half_of_sum(node: Node, total: Any) -> Form | None:
    """(x + |x|) / 2: the positive part."""
    if is_gate(total, "add"):
        for x, size in (total.operands, total.operands[::-1]):
            if is_gate(size, "absolute") and size.operands[0] is x:
                return Form("positive_part", (x,), {}, (size, total, node))
    return None


def _multiply(node: Node) -> Form | None:
    square = square_of(node)
    if square is not None:
        return square
    for factor, other in (node.operands, node.operands[::-1]):
        if is_gate(other, "add") and uniform(factor) == 0.5:
            return _half_of_sum(node, other)
    return None


class Root(NamedTuple):
    """How a gate is recognised as the result of a form, and which gates the form must have."""

    recognise: Callable[[Node], Form | None]
    seeds: frozenset[str]


_LOGISTIC = frozenset(("exp", "sigmoid", "expit"))
_LOGS = _LOGISTIC | {"cosh", "softmax"}
ROOTS: dict[str, Root] = {
    "divide": Root(_divide, frozenset(("exp", "absolute"))),
    "reciprocal": Root(_inverse, frozenset(("exp",))),
    "power": Root(_inverse, ROOTED | {"exp"}),
    "square": Root(square_of, ROOTED),
    "log": Root(_log, _LOGS),
    "log2": Root(_log_to_base, _LOGS),
    "log10": Root(_log_to_base, _LOGS),
    "log1p": Root(_log1p, _LOGISTIC),
    "sqrt": Root(_sqrt, frozenset(("sqrt",))),
    "multiply": Root(_multiply, ROOTED),
    "add": Root(_shifted_log_sum, frozenset(("exp",))),
    "subtract": Root(_subtract, frozenset(("exp", "logsumexp"))),
}


def possible_roots(order: Sequence[Node]) -> frozenset[Primitive]:
    """Primitives in the graph that can be the result of a form: in most graphs none."""
    present = {node.primitive for node in order}
    names = {primitive.name for primitive in present}
    return frozenset(
        primitive
        for primitive in present
        if primitive.name in ROOTS and not ROOTS[primitive.name].seeds.isdisjoint(names)
    )


def recognise(node: Node) -> Form | None:
    """The function that `node` is the result of, if its spelling is known and real."""
    root = ROOTS.get(node.primitive.name)
    if root is None or not is_real(node):
        return None
    found = root.recognise(node)
    if found is None or not all(map(is_real, found.members)):
        return None
    return None if any(map(_wraps, _arguments(found))) else found


def _wraps(x: Any) -> bool:
    """Whether differences and negatives of `x` wrap around, or are not to be had."""
    if type(x) in (int, float):
        return False
    return bool((x.value if type(x) is Node else x).dtype.kind in "iub")


def _arguments(form: Form) -> tuple[Any, ...]:
    """The inputs that the function is of."""
    if form.name == "log_softmax_entries":  # the others say which entries
        return form.inputs[:1]
    if form.name in ("over_one_plus_exp", "log_of_weighted_sum"):  # the first is a factor
        return form.inputs[1:]
    return form.inputs
