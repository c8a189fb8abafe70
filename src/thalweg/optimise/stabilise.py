"""Stable forms: derivatives of unstable spellings are taken through a stable one.

``np.log(1 / (1 + np.exp(-x)))`` is −∞ at x = −1000, and its chain rule is ∞ · 0. Before a graph is
differentiated, such spellings are recognised and the gate with the result is replaced, for the
derivative only, by one of the same mathematical value. What the user's code computed stays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thalweg.graph.node import Node, apply
from thalweg.graph.primitive import Primitive
from thalweg.ops.arithmetic import ABSOLUTE, MAXIMUM, MULTIPLY, NEGATIVE, SUBTRACT
from thalweg.ops.index import GETITEM
from thalweg.ops.norm import NORM
from thalweg.ops.normalise import (
    LOG_SIGMOID,
    LOG_SOFTMAX,
    LOGSUMEXP,
    SIGMOID,
    SOFTMAX,
    SOFTPLUS,
)
from thalweg.ops.shape import astype
from thalweg.ops.transcendental import HYPOT, LOGADDEXP, TANH
from thalweg.optimise.patterns import Form, possible_roots, recognise

__all__ = ["stable_forms"]

_NOTHING: Mapping[Node, Node] = {}


def stable_forms(order: list[Node], live: set[Node]) -> Mapping[Node, Node]:
    """For each gate with an unstable spelling, a node of the same value in a stable form.

    Parameters
    ----------
    order : list of Node
        The graph in topological order. Where a stable form takes more than one gate, the others
        are put into it, in front of the gate that they serve.
    live : set of Node
        The nodes that vary; gates that were put into `order` are added.
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
            stable = None if form is None else _stable(form, node)
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
    whole = LOG_SOFTMAX(z, **form.params["softmax"])
    return apply(GETITEM, (whole, *arrays), form.params["getitem"])


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
    "softmax": _one_gate(SOFTMAX),
    "log_softmax": _one_gate(LOG_SOFTMAX),
    "log_softmax_entries": _log_softmax_entries,
    "log_cosh": lambda form, node: SUBTRACT(
        LOGADDEXP(form.inputs[0], NEGATIVE(form.inputs[0])), np.log(2.0).astype(node.dtype)
    ),
    "norm": _norm,
    "hypot": lambda form, node: functools.reduce(HYPOT, form.inputs),
    "absolute": _one_gate(ABSOLUTE),
    "positive_part": lambda form, node: MAXIMUM(form.inputs[0], 0, ties=(0.0, 0.0)),
}
