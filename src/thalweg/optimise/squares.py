"""Squares of gates that are not smooth at 0 although their square is: |x|², ‖x‖², √s², std²."""

from __future__ import annotations

from typing import Any

from thalweg.graph.node import Node
from thalweg.optimise.gates import Form, is_gate, root_of, same

__all__ = ["ROOTED", "square_of"]

#: Gates whose square is a form of its own.
ROOTED = frozenset(("absolute", "fabs", "norm", "hypot", "sqrt", "std"))


def _base(node: Node) -> tuple[Any, tuple[Node, ...]]:
    """r and its gates where `node` is r², or a product of two r of the same spelling."""
    r = root_of(node)
    if r is not None:
        return r, (r,) if type(r) is Node else ()
    if node.primitive.name == "multiply":
        first, second = node.operands
        if is_gate(first, *ROOTED) and same(first, second):
            return first, (first, second)
    return None, ()


def square_of(node: Node) -> Form | None:
    """|x|² = Re(x x̄), ‖x‖² = Σ |x|², √s² = s where s ≥ 0, std² = var."""
    r, members = _base(node)
    if not is_gate(r, *ROOTED):
        return None
    name = _NAMES[r.primitive.name]
    if name == "square_of_norm" and r.params["ord"] not in (None, 2, "f", "fro"):
        return None
    return Form(name, r.operands, r.params, (*members, node))


_NAMES = {
    "absolute": "square_of_modulus",
    "fabs": "square_of_modulus",
    "norm": "square_of_norm",
    "hypot": "square_of_hypot",
    "sqrt": "square_of_root",
    "std": "square_of_std",
}
