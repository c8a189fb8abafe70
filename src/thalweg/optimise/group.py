"""Big nodes: gates that can be taken together as one with a known local gradient.

The lecture's case is the sigmoid: negate, exp, add 1, divide are one node whose local gradient is
(1 − σ) σ. Functions that are spelled out are found by `patterns`; affine layers, cross-entropies
and normalisations by the recognisers here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.node import Node
from thalweg.optimise.gates import Form, is_gate, same, strip_reshapes, uniform
from thalweg.optimise.patterns import recognise

__all__ = ["Group", "find_groups"]


class Group(NamedTuple):
    """Gates that are one function.

    Attributes
    ----------
    name : str
        What they compute together.
    members : tuple of Node
        The gates, in order; the last one has the result.
    inputs : tuple of Node
        What comes in from outside.
    output : Node
    gradient : str
        The local gradient of the group, as text.
    gates : tuple of int
        Gates computed in the forward pass: spelled out, and as one node.
    pulls : tuple of int
        Products of upstream and local gradients in the backward pass: spelled out, and as one.
    """

    name: str
    members: tuple[Node, ...]
    inputs: tuple[Node, ...]
    output: Node
    gradient: str
    gates: tuple[int, int]
    pulls: tuple[int, int]

    @property
    def saved(self) -> str:
        """The saving in words."""
        return (
            f"forward {self.gates[0]} gates → {self.gates[1]}, "
            f"backward {self.pulls[0]} products → {self.pulls[1]}"
        )


class Found(NamedTuple):
    """What a recogniser answers: the group's name, its local gradient and its gates."""

    name: str
    gradient: str
    members: tuple[Node, ...]


#: Form → the group's name and its local gradient.
_OF_FORM: dict[str, tuple[str, str]] = {
    "sigmoid": ("sigmoid", "(1 − σ(x)) · σ(x)"),
    "sigmoid of −x": ("sigmoid of −x", "−(1 − σ(−x)) · σ(−x)"),
    "sigmoid_of_difference": ("sigmoid of a − b", "(1 − σ) · σ for a, −(1 − σ) · σ for b"),
    "softplus": ("softplus", "σ(x)"),
    "log_sigmoid": ("log-sigmoid", "1 − σ(x)"),
    "log_sigmoid of −x": ("log-sigmoid of −x", "−σ(x)"),
    "logaddexp": ("logaddexp", "σ(a − b) for a, σ(b − a) for b"),
    "logsumexp": ("logsumexp", "softmax(x)"),
    "logmeanexp": ("log-mean-exp", "softmax(x)"),
    "softmax": ("softmax", "diag(p) − p pᵀ"),
    "log_softmax": ("log-softmax", "I − 1 softmax(x)ᵀ"),
    "log_softmax_entries": ("log-softmax entries", "onehot − softmax(x)"),
    "tanh_of_half": ("tanh", "1 − tanh²(x)"),
    "log_cosh": ("log cosh", "tanh(x)"),
    "norm": ("norm", "x / ‖x‖"),
    "hypot": ("hypot", "x / ‖(x, y, …)‖"),
    "absolute": ("absolute value", "sign(x)"),
    "positive_part": ("relu", "1 if x > 0 else 0"),
    "sigmoid_slope": ("slope of the sigmoid", "σ(x) σ(−x) (σ(−x) − σ(x))"),
    "log_of_weighted_sum": ("log of a weighted sum", "w eˣ / Σ w eˣ for x, eˣ / Σ w eˣ for w"),
    "square_of_modulus": ("|x|²", "2x"),
    "square_of_norm": ("‖x‖²", "2x"),
    "square_of_hypot": ("x² + y²", "2x, 2y"),
    "square_of_root": ("√s²", "1"),
    "square_of_std": ("variance", "2 (x − mean) / n"),
}


def find_groups(order: Sequence[Node], outputs: Sequence[Any] = ()) -> list[Group]:
    """The groups in a list of nodes in topological order; no gate is in two of them.

    A gate whose result is also used outside stays out, unless it is the group's last one: the
    group would not save it. Where groups overlap the larger one, found from its result, is kept.

    Parameters
    ----------
    order : sequence of Node
    outputs : sequence, optional
        What the graph is for. Then a use counts for the outputs that it serves: in the graph of a
        value and its gradient the backward pass may use gates of a group that, for the value,
        nothing else uses.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.graph.node import ancestors
    >>> from thalweg.tracing import run
    >>> (out,) = run(lambda s: 1 / (1 + np.exp(-s)), (1.0,), {}, [0]).outputs
    >>> (group,) = find_groups(ancestors([out])[0])
    >>> group.name, [node.primitive.name for node in group.members]
    ('sigmoid', ['negative', 'exp', 'add', 'divide'])
    >>> group.gradient, group.gates
    ('(1 − σ(x)) · σ(x)', (4, 1))
    """
    consumers: dict[Node, list[Node]] = {}
    for node in order:
        for operand in node.operands:
            if type(operand) is Node:
                consumers.setdefault(operand, []).append(node)
    present = set(order)
    serves = _serves(order, consumers, outputs)
    taken: set[Node] = set()
    groups = []
    for node in reversed(order):
        if node in taken:
            continue
        found = _recognise(node)
        if found is None:
            continue
        members = tuple(sorted(set(found.members), key=lambda member: member.sequence))
        inside = set(members)
        if (
            len(members) < 2
            or not _closed(node, inside, consumers, serves, outputs)
            or not inside <= present
            or not inside.isdisjoint(taken)
        ):
            continue
        taken |= inside
        groups.append(_group(found, members, node))
    return groups[::-1]


def _serves(
    order: Sequence[Node], consumers: Mapping[Node, list[Node]], outputs: Sequence[Any]
) -> dict[Node, int]:
    """Which outputs depend on each node: bit k for output k."""
    serves: dict[Node, int] = {}
    for k, x in enumerate(outputs):
        if type(x) is Node:
            serves[x] = serves.get(x, 0) | 1 << k
    if outputs:
        for node in reversed(order):
            for consumer in consumers.get(node, ()):
                serves[node] = serves.get(node, 0) | serves.get(consumer, 0)
    return serves


def _closed(
    node: Node,
    inside: set[Node],
    consumers: Mapping[Node, list[Node]],
    serves: Mapping[Node, int],
    outputs: Sequence[Any],
) -> bool:
    """Whether nothing but `node` leads out of the gates `inside`, for one output at least."""
    inner = inside - {node}
    if any(type(x) is Node and x in inner for x in outputs):
        return False
    outer = [x for member in inner for x in consumers.get(member, ()) if x not in inside]
    served = serves.get(node, 0)
    for x in outer:
        served &= ~serves.get(x, 0)
    return not outer or served != 0


def _group(found: Found, members: tuple[Node, ...], output: Node) -> Group:
    inputs: dict[Node, None] = {}
    pulls = 0
    for member in members:
        for operand in member.operands:
            if type(operand) is Node and operand.active:
                pulls += 1
                if operand not in members:
                    inputs[operand] = None
    return Group(
        found.name,
        members,
        tuple(inputs),
        output,
        found.gradient,
        (len(members), 1),
        (pulls, len(inputs)),
    )


def _recognise(node: Node) -> Found | None:
    for recogniser in _RECOGNISERS.get(node.primitive.name, ()):
        found = recogniser(node)
        if found is not None:
            return found
    form = recognise(node)
    return None if form is None else _of_form(form)


def _of_form(form: Form) -> Found | None:
    if form.name == "over_one_plus_exp":
        u, z = form.inputs
        if not (is_gate(z, "negative") and same(z.operands[0], u)):
            return None
        return Found("silu", "σ(x) + x σ(x) (1 − σ(x))", (z, *form.members))
    if form.name == "log_to_base":
        inner = _of_form(form.params["log"])
        base = f"{form.params['base']:g}"
        return inner and Found(
            f"{inner.name}, base {base}", f"({inner.gradient}) / log {base}", form.members
        )
    negated = form.params.get("sign", 1) < 0
    name, gradient = _OF_FORM[f"{form.name} of −x" if negated else form.name]
    return Found(name, gradient, form.members)


# ---- affine layers --------------------------------------------------------------------------


def _affine(node: Node) -> Found | None:
    """X W + b."""
    for product, bias in (node.operands, node.operands[::-1]):
        fits = is_gate(product, "matmul") and product.shape == node.shape
        if fits and (bias.ndim if type(bias) is Node else getattr(bias, "ndim", 0)) <= 1:
            gradient = "∂L/∂X = G Wᵀ, ∂L/∂W = Xᵀ G, ∂L/∂b = Σ G over the batch"
            return Found("affine", gradient, (product, node))
    return None


# ---- cross-entropies ------------------------------------------------------------------------


def _unmasked(x: Any) -> tuple[Any, tuple[Node, ...]]:
    """`x` below ``where(…, 0, x)``, which costs keep 0 · inf away with; and that gate."""
    if is_gate(x, "where") and uniform(x.operands[1]) == 0:
        return x.operands[2], (x,)
    return x, ()


def _log_probability(x: Any) -> tuple[Node, ...] | None:
    """The gates of a log-softmax, or of entries picked from one."""
    inner, mask = _unmasked(x)
    if mask:
        below = _log_probability(inner)
        return None if below is None else (*below, *mask)
    if is_gate(x, "log_softmax"):
        return (x,)
    if is_gate(x, "getitem"):
        below = _log_probability(x.operands[0])
        if below is not None:
            return *below, x
    if is_gate(x, "log", "subtract"):
        form = recognise(x)
        if form is not None and form.name in ("log_softmax", "log_softmax_entries"):
            return form.members
    return None


def _without_scaling(x: Any) -> tuple[Any, list[Node], bool]:
    """`x` below negations, sums, means and constant factors; these gates; whether negated."""
    passed: list[Node] = []
    negated = False
    while True:
        if is_gate(x, "negative"):
            negated = not negated
        elif is_gate(x, "divide") and uniform(x.operands[1]) is not None:
            negated ^= (uniform(x.operands[1]) or 0.0) < 0
        elif not is_gate(x, "sum", "mean"):
            return x, passed, negated
        passed.append(x)
        x = x.operands[0]


def _without_mask(x: Any, target: Any) -> tuple[Any, tuple[Node, ...]]:
    """`x` of where(target == 0, 0, x), as `thalweg.nn.losses` asks for no 0 · inf; the gates."""
    inner, mask = _unmasked(x)
    if not mask:
        return x, ()
    chosen = x.operands[0]
    if is_gate(chosen, "equal"):
        fits = same(chosen.operands[0], target) and uniform(chosen.operands[1]) == 0
    else:
        fits = type(target) is not Node and np.array_equal(chosen, np.equal(target, 0))
    return (inner, mask) if fits else (x, ())


def _cross_entropy(node: Node) -> Found | None:
    """−Σ y log softmax(x), or −mean(log softmax(x)[i, y])."""
    core, passed, negated = _without_scaling(node)
    if not any(is_gate(gate, "sum", "mean") for gate in passed):
        return None
    members: tuple[Node, ...] | None = _log_probability(core)
    if members is None and is_gate(core, "multiply"):
        for target, other in (core.operands, core.operands[::-1]):
            inner, below, flipped = _without_scaling(other)
            inner, mask = _without_mask(inner, target)
            below = [*mask, *below]
            found = _log_probability(inner)
            if found is not None and not (type(target) is Node and target.active):
                members = (*found, *below, core)
                negated ^= flipped
                break
    if members is None or not negated:
        return None
    return Found("softmax + cross-entropy", "softmax(x) − y", (*members, *passed))


def _signed_log_sigmoid(x: Any) -> tuple[Any, int, tuple[Node, ...]] | None:
    """`x` as log σ(±z), spelled out or as one gate: z, the sign, the gates."""
    x, mask = _unmasked(x)
    if is_gate(x, "log_expit", "log_sigmoid"):
        z = x.operands[0]
        return (z.operands[0], -1, (z, x, *mask)) if is_gate(z, "negative") else (z, 1, (x, *mask))
    form = recognise(x) if is_gate(x, "log", "log1p") else None
    if form is None or form.name != "log_sigmoid":
        return None
    return form.inputs[0], form.params["sign"], (*form.members, *mask)


def _binary_cross_entropy(node: Node) -> Found | None:
    """−(y log σ(x) + (1 − y) log(1 − σ(x))), or softplus(x) − y x."""
    core, passed, negated = _without_scaling(node)
    if is_gate(core, "subtract") and not negated:
        softplus, product = core.operands
        if not is_gate(softplus, "softplus") or not is_gate(product, "multiply"):
            return None
        z = softplus.operands[0]
        for target, other in (product.operands, product.operands[::-1]):
            if same(other, z) and not (type(target) is Node and target.active):
                members = (softplus, product, core, *passed)
                return Found("sigmoid + cross-entropy", "σ(x) − y", members)
        return None
    if not negated or not is_gate(core, "add"):
        return None
    logs: list[tuple[Any, int, tuple[Node, ...]]] = []
    products: list[Node] = []
    for part in core.operands:
        if not is_gate(part, "multiply"):
            return None
        found = [log for log in map(_signed_log_sigmoid, part.operands) if log is not None]
        if len(found) != 1:
            return None
        logs += found
        products.append(part)
    if not same(logs[0][0], logs[1][0]) or {sign for _, sign, _ in logs} != {1, -1}:
        return None
    members = (*logs[0][2], *logs[1][2], *products, core, *passed)
    return Found("sigmoid + cross-entropy", "σ(x) − y", members)


# ---- normalisations -------------------------------------------------------------------------


def _deviation(x: Any) -> tuple[Node, tuple[int, ...], tuple[Node, ...]] | None:
    """`x` as z − mean(z): z, the axes, the gates."""
    if not is_gate(x, "subtract"):
        return None
    z, centre = x.operands
    mean, passed = strip_reshapes(centre)
    if not is_gate(mean, "mean") or not same(mean.operands[0], z):
        return None
    return z, mean.params["axes"], (mean, *passed, x)


def _spread(x: Any, z: Node, axes: tuple[int, ...]) -> tuple[Node, ...] | None:
    """The gates of std(z), or of √(var(z) + ε), along the same axes."""
    x, passed = strip_reshapes(x)
    if is_gate(x, "std"):
        fits = same(x.operands[0], z) and x.params["axes"] == axes
        return (x, *passed) if fits else None
    if not is_gate(x, "sqrt"):
        return None
    inner, gates = x.operands[0], [x, *passed]
    if is_gate(inner, "add"):
        gates.append(inner)
        left, right = inner.operands
        inner = right if uniform(left) is not None else left
    inner, more = strip_reshapes(inner)
    gates += more
    if is_gate(inner, "var"):
        fits = same(inner.operands[0], z) and inner.params["axes"] == axes
        return (inner, *gates) if fits else None
    if is_gate(inner, "mean") and inner.params["axes"] == axes:
        square = inner.operands[0]
        if is_gate(square, "square", "power", "multiply"):
            deviation = _deviation(square.operands[0])
            power = is_gate(square, "power") and uniform(square.operands[1]) != 2.0
            product = is_gate(square, "multiply") and square.operands[0] is not square.operands[1]
            if deviation is not None and deviation[0] is z and not power and not product:
                return (*deviation[2], square, inner, *gates)
    return None


def _layer_norm(node: Node) -> Found | None:
    """(z − mean(z)) / √(var(z) + ε)."""
    deviation = _deviation(node.operands[0])
    if deviation is None:
        return None
    z, axes, members = deviation
    spread = _spread(node.operands[1], z, axes)
    if spread is None:
        return None
    gradient = "(I − 1/n 1 1ᵀ − 1/n x̂ x̂ᵀ) / √(var(x) + ε)"
    return Found("layer norm", gradient, (*members, *spread, node))


_LOSSES = (_cross_entropy, _binary_cross_entropy)
_RECOGNISERS: dict[str, tuple[Callable[[Node], Found | None], ...]] = {
    "add": (_affine,),
    "negative": _LOSSES,
    "sum": _LOSSES,
    "mean": _LOSSES,
    "divide": (_layer_norm, *_LOSSES),
}
