"""From the graph to terms: kinds multiplied and summed on the way from an input to the outputs.

The cost model, in numbers that would be written: views and factors cost nothing; a sum keeps its
terms apart unless their columns agree (then the values are added); a node with more than
`_MOST_TERMS` terms or `_MOST_AXES` axes is written out once, with each column once a row, or dense
where that is no more. Nothing above 50 million entries is written out: then, as for kinds that are
given by functions, the structure is given up and the Jacobian is dense or a lazy product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.graph.kinds import MatMulLeft, MatMulRight, Zero
from thalweg.graph.node import Node
from thalweg.jacobian.products import times
from thalweg.jacobian.terms import (
    ManyTermsError,
    Term,
    UnstructuredError,
    compact,
    start,
    summed,
)
from thalweg.jacobian.zeros import support
from thalweg.ops.structural import ITEM

__all__ = ["accumulate"]

_MOST_TERMS = 24
#: NumPy's einsum has 52 letters, its arrays 64 axes.
_MOST_AXES = 16


def accumulate(
    x: Node,
    outputs: Sequence[Node],
    *,
    as_graph: bool,
    replacements: Mapping[Node, Node],
    order: list[Node],
    live: set[Node],
    write_out: bool = True,
) -> list[list[Term]]:
    """The terms of ∂output/∂x for each output; arguments as in `forward`.

    Raises
    ------
    ManyTermsError
        Where sums would have to be written out on the way, unless `write_out`.
    UnstructuredError
        Where the structure is not known, or costs more than it saves.
    """
    known: dict[Node, list[Term]] = {x: [start(x.shape)] if x.size else []}
    with np.errstate(all="ignore"):
        for node in order:
            if node in live and node not in known:
                found = _of_node(replacements.get(node, node), known, as_graph, x.size, write_out)
                if found:
                    known[node] = found
    return [known.get(node, []) for node in outputs]


def _of_node(
    node: Node,
    known: Mapping[Node, list[Term]],
    as_graph: bool,
    columns: int,
    write_out: bool,
) -> list[Term]:
    varying = [
        (i, known[operand])
        for i, operand in enumerate(node.operands)
        if type(operand) is Node and known.get(operand)
    ]
    if not varying:
        return []
    if node.primitive is ITEM or node.primitive.outputs:
        raise UnstructuredError(
            f"'{node.primitive.name}' is part of an operation with several outputs"
        )
    out: Any = node if as_graph else node.value
    values = [x.value if type(x) is Node and not as_graph else x for x in node.operands]
    if node.dtype.kind == "c" or any(np.result_type(values[i]).kind == "c" for i, _ in varying):
        raise UnstructuredError("complex values")
    terms: list[Term] = []
    for i, parts in varying:
        kind = node.primitive.local(i, out, *values, **node.params)
        if type(kind) is Zero:
            continue
        there = None
        if type(kind) in (MatMulLeft, MatMulRight):
            there = support(node.operands[1 - i])
        for term in parts:
            terms += times(kind, term, values[i], out, there)
    if len(terms) > 1:
        terms = summed(terms)
    if len(terms) > _MOST_TERMS or any(len(term.shape) > _MOST_AXES for term in terms):
        if not write_out:
            raise ManyTermsError(f"{len(terms)} terms")
        terms = compact(terms, node.shape, columns)
    return terms
