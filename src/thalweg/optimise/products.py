"""Transposed products: (Aᵀ B)ᵀ = Bᵀ A.

For a layer written x @ W.T the chain rule gives ∂L/∂W as the transpose of xᵀ G. A matrix product
reads a transposed operand as it lies, but does not write its result transposed: turned round, the
result is written once, and in order. Each entry is the same sum of the same products, though not
always added in the same order. What a guard depends on stays as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.ops.contract import MATMUL
from thalweg.ops.shape import TRANSPOSE
from thalweg.optimise.dce import drop_unused
from thalweg.optimise.gates import is_gate
from thalweg.optimise.rewrite import computed, in_place_of
from thalweg.optimise.stable import asked_for

__all__ = ["turn_products"]


def turn_products(graph: Graph) -> Graph:
    """Products of matrices of which only the transpose is used, computed as their transpose.

    To be run on what the exact passes leave, where equal products are one.
    """
    turned = {node.operands[0] for node in graph.nodes if _turns(node)}
    if not turned:
        return graph
    uses = dict.fromkeys(turned, 0)
    for x in (*graph.outputs, *(y for node in graph.nodes for y in node.operands)):
        if type(x) is Node and x in uses:
            uses[x] += 1
    asked = asked_for(graph)
    newest = max(node.sequence for node in graph.nodes)
    instead: dict[Node, Node] = {}
    nodes: dict[Node, None] = {}
    for node in graph.nodes:
        operands = [instead.get(x, x) if type(x) is Node else x for x in node.operands]
        if _turns(node) and uses[node.operands[0]] == 1 and node.operands[0] not in asked:
            factors = [_transposed(node, x) for x in operands[0].operands[::-1]]
            nodes.update((x, None) for x in factors if type(x) is Node and x.sequence > newest)
            instead[node] = in_place_of(node, MATMUL, tuple(factors), {})
        elif any(new is not old for new, old in zip(operands, node.operands, strict=True)):
            instead[node] = in_place_of(node, node.primitive, tuple(operands), node.params)
        nodes[instead.get(node, node)] = None
    outputs = tuple([instead.get(x, x) if type(x) is Node else x for x in graph.outputs])
    guards = tuple([x._replace(node=instead.get(x.node, x.node)) for x in graph.guards])
    return drop_unused(graph._replace(nodes=tuple(nodes), outputs=outputs, guards=guards))


def _turns(node: Node) -> bool:
    """Whether `node` is the transpose of a product of two matrices."""
    if node.primitive is not TRANSPOSE or node.params["axes"] != (1, 0):
        return False
    (product,) = node.operands
    return is_gate(product, "matmul") and all(
        len(np.shape(x.value if type(x) is Node else x)) == 2 for x in product.operands
    )


def _transposed(node: Node, x: Any) -> Any:
    """xᵀ, for the product `node`; the operand of x where that is a transpose."""
    if type(x) is not Node:
        return x.T
    if is_gate(x, "transpose"):
        return x.operands[0]
    return computed(node, TRANSPOSE, (x,), {"axes": (1, 0)})
