"""Stable forms: derivatives of unstable spellings are taken through a stable one.

``np.log(1 / (1 + np.exp(-x)))`` is −∞ at x = −1000, and its chain rule is ∞ · 0. Before a graph is
differentiated, such spellings are recognised and the gate with the result is replaced, for the
derivative only, by one of the same mathematical value. What the user's code computed stays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Container, Mapping
from typing import Any

import numpy as np

from thalweg.graph.node import Node, apply
from thalweg.graph.primitive import Primitive
from thalweg.ops.arithmetic import (
    ABSOLUTE,
    ADD,
    DIVIDE,
    MAXIMUM,
    MULTIPLY,
    NEGATIVE,
    SQUARE,
    SUBTRACT,
)
from thalweg.ops.complexes import CONJ, REAL
from thalweg.ops.index import GETITEM
from thalweg.ops.norm import NORM
from thalweg.ops.normalise import (
    LOG_SIGMOID,
    LOG_SOFTMAX,
    LOGSUMEXP,
    SIGMOID,
    SOFTMAX,
    SOFTPLUS,
    weighted_exponentials,
)
from thalweg.ops.shape import astype
from thalweg.ops.statistics import VAR
from thalweg.ops.transcendental import HYPOT, LOGADDEXP, TANH
from thalweg.optimise.gates import Form
from thalweg.optimise.patterns import possible_roots, recognise, unshifted

__all__ = ["stable_forms"]

_NOTHING: Mapping[Node, Node] = {}


def stable_forms(
    order: list[Node],
    live: set[Node],
    *,
    in_numbers: bool = False,
    only: Container[str] | None = None,
) -> Mapping[Node, Node]:
    """For each gate with an unstable spelling, a node of the same value in a stable form.

    Parameters
    ----------
    order : list of Node
        The graph in topological order. Where a stable form takes more than one gate, the others
        are put into it, in front of the gate that they serve.
    live : set of Node
        The nodes that vary; gates that were put into `order` are added.
    in_numbers : bool
        The derivative is wanted at the values of the graph only, not as a graph for other values.
        A spelling that is right to rounding at these values is then left as it is: what it has
        computed need not be computed again.
    only : container of str, optional
        Names of the forms that are replaced (default: all).
    """
    roots = possible_roots(order)
    if not roots:
        return _NOTHING
    replacements: dict[Node, Node] = {}
    helpers: dict[Node, list[Node]] = {}
    with np.errstate(all="ignore"):
        for node in order:
            if node.primitive not in roots or node not in live:
                continue
            form = recognise(node)
            if form is None or (in_numbers and _harmless(form, node)):
                continue
            if only is not None and form.name not in only:
                continue
            stable = _stable(form, node)
            if stable is None:
                continue
            replacements[node] = stable
            new = _made_after(node, stable)
            if new:
                helpers[node] = new
                live.update(new)
    if helpers:
        order[:] = [each for node in order for each in (*helpers.get(node, ()), node)]
    return replacements


def _harmless(form: Form, node: Node) -> bool:
    """Whether the chain rule of the spelling loses nothing here: 1/(1 + e^z), and log Σ e^z.

    Its steps are products and quotients alone, so that it is enough that none comes near the
    bounds of the exponents.
    """
    if form.name == "sigmoid":
        # e^z/(1 + e^z) is not: there the derivative is a difference.
        plain = node.primitive is not DIVIDE or type(node.operands[0]) is not Node
        plain = plain and form.value_holds
    else:
        plain = form.name in ("logsumexp", "logmeanexp")
    if not plain:
        return False
    total = form.members[-2].value
    if not total.size or total.dtype.itemsize < 4:
        return False
    return bool(total.min() > 1e-8 and total.max() < 1e8)


def _made_after(node: Node, stable: Node) -> list[Node]:
    """The gates below `stable` that were made for it, in order."""
    found: list[Node] = []
    waiting = [stable]
    while waiting:
        for operand in waiting.pop().operands:
            if type(operand) is Node and operand.active and operand.sequence > node.sequence:
                found.append(operand)
                waiting.append(operand)
    return sorted(set(found), key=lambda each: each.sequence)


def _stable(form: Form, node: Node) -> Node | None:
    """The stable form of `node`, with its shape and dtype."""
    built = _BUILDERS[form.name](form, node)
    if built is None:
        return None
    if built.shape != node.shape:
        built = np.broadcast_to(built, node.shape)
    return built if built.dtype == node.dtype else astype(built, node.dtype)


def _last(
    primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any], form: Form, node: Node
) -> Any:
    """The gate with the result; it takes over the value of `node` where that can be trusted."""
    fits = form.value_holds and all(
        x.shape == node.shape and x.dtype == node.dtype for x in operands if type(x) is Node
    )
    if fits:
        return Node(primitive, operands, params, node.value, True, node.origin)
    return apply(primitive, operands, params)


def _signed(form: Form) -> Any:
    (x,) = form.inputs
    return x if form.params["sign"] > 0 else NEGATIVE(x)


def _one_gate(primitive: Primitive) -> Callable[[Form, Node], Any]:
    return lambda form, node: _last(primitive, form.inputs, form.params, form, node)


def _one_signed(primitive: Primitive) -> Callable[[Form, Node], Any]:
    return lambda form, node: _last(primitive, (_signed(form),), {}, form, node)


def _of_unshifted(primitive: Primitive) -> Callable[[Form, Node], Any]:
    def build(form: Form, node: Node) -> Any:
        z = unshifted(form.inputs[0], form.params["axes"])
        return _last(primitive, (z,), form.params, form, node)

    return build


def _over_one_plus_exp(form: Form, node: Node) -> Any:
    u, z = form.inputs
    return _last(MULTIPLY, (u, SIGMOID(NEGATIVE(z))), {}, form, node)


def _log_mean_exp(form: Form, node: Node) -> Any:
    (z,) = form.inputs
    count = math.prod(z.shape[axis] for axis in form.params["axes"])
    return SUBTRACT(LOGSUMEXP(z, **form.params), np.log(count).astype(node.dtype))


def _norm(form: Form, node: Node) -> Any:
    (x,) = form.inputs
    axes = form.params["axes"]
    whole = len(axes) == x.ndim
    if not axes or (len(axes) > 2 and not whole):
        return None  # NumPy's norm takes one axis, two, or all
    return apply(NORM, (x,), {"ord": None, **form.params, "whole": whole})


def _log_softmax_entries(form: Form, node: Node) -> Any:
    z, *arrays = form.inputs
    params = form.params["softmax"]
    whole = LOG_SOFTMAX(unshifted(z, params["axes"]), **params)
    return apply(GETITEM, (whole, *arrays), form.params["getitem"])


def _log_of_weighted_sum(form: Form, node: Node) -> Any:
    w, z = form.inputs
    total, top = weighted_exponentials(w, z, form.params["axes"])
    return np.reshape(np.log(total) + top, node.shape)


def _log_to_base(form: Form, node: Node) -> Any:
    inner = form.params["log"]._replace(value_holds=False)
    built = _BUILDERS[inner.name](inner, node)
    return None if built is None else MULTIPLY(built, 1 / math.log(form.params["base"]))


def _square(x: Any) -> Any:
    """|x|²."""
    return REAL(MULTIPLY(x, CONJ(x))) if np.iscomplexobj(x) else SQUARE(x)


def _square_of_norm(form: Form, node: Node) -> Any:
    axes, keepdims = form.params["axes"], form.params["keepdims"]
    return np.sum(_square(form.inputs[0]), axis=axes, keepdims=keepdims)


def _square_of_root(form: Form, node: Node) -> Any:
    (s,) = form.inputs
    outside = np.less(s, 0)  # there √s is NaN, and so is the derivative
    return MULTIPLY(s, astype(np.where(outside, np.nan, 1.0), node.dtype))


_BUILDERS: dict[str, Callable[[Form, Node], Any]] = {
    "sigmoid": _one_signed(SIGMOID),
    "sigmoid_of_difference": lambda form, node: SIGMOID(SUBTRACT(*form.inputs)),
    "over_one_plus_exp": _over_one_plus_exp,
    "tanh_of_half": lambda form, node: TANH(MULTIPLY(0.5, SUBTRACT(*form.inputs))),
    "softplus": _one_gate(SOFTPLUS),
    "log_sigmoid": _one_signed(LOG_SIGMOID),
    "logaddexp": _one_gate(LOGADDEXP),
    "logsumexp": lambda form, node: LOGSUMEXP(*form.inputs, **form.params),
    "logmeanexp": _log_mean_exp,
    "softmax": _of_unshifted(SOFTMAX),
    "log_softmax": _of_unshifted(LOG_SOFTMAX),
    "log_softmax_entries": _log_softmax_entries,
    "log_cosh": lambda form, node: SUBTRACT(
        LOGADDEXP(form.inputs[0], NEGATIVE(form.inputs[0])), np.log(2.0).astype(node.dtype)
    ),
    "norm": _norm,
    "hypot": lambda form, node: functools.reduce(HYPOT, form.inputs),
    "absolute": _one_gate(ABSOLUTE),
    "sigmoid_slope": lambda form, node: MULTIPLY(
        SIGMOID(*form.inputs), SIGMOID(NEGATIVE(*form.inputs))
    ),
    "log_of_weighted_sum": _log_of_weighted_sum,
    "log_to_base": _log_to_base,
    "square_of_modulus": lambda form, node: _square(*form.inputs),
    "square_of_norm": _square_of_norm,
    "square_of_hypot": lambda form, node: functools.reduce(ADD, map(SQUARE, form.inputs)),
    "square_of_root": _square_of_root,
    "square_of_std": lambda form, node: VAR(*form.inputs, **form.params),
    "positive_part": lambda form, node: MAXIMUM(form.inputs[0], 0, ties=(0.0, 0.0)),
}
