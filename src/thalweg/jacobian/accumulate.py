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

from thalweg.graph.kinds import MatMulLeft, MatMulRight, Router, Zero
from thalweg.graph.node import Node
from thalweg.jacobian.complexes import Pair, has_complex, is_complex, times_pair
from thalweg.jacobian.products import times
from thalweg.jacobian.terms import (
    ManyTermsError,
    Term,
    UnstructuredError,
    compact,
    start,
    summed,
    with_holes,
)
from thalweg.jacobian.zeros import support
from thalweg.ops.index import SETITEM
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
    known = {x: Pair([start(x.shape)] if x.size else [], [])}
    real = not is_complex(x)
    with np.errstate(all="ignore"):
        for node in order:
            if node in live and node not in known:
                found = _of_node(replacements.get(node, node), known, as_graph, real)
                if found.linear or found.conjugate:
                    parts = [_short(part, node.shape, x.size, write_out) for part in found]
                    known[node] = Pair(*parts)
    if any(node in known and known[node].conjugate for node in outputs):
        raise UnstructuredError("linear over the reals only")
    return [known[node].linear if node in known else [] for node in outputs]


def _of_node(node: Node, known: Mapping[Node, Pair], as_graph: bool, real: bool) -> Pair:
    varying = [
        (i, known[operand])
        for i, operand in enumerate(node.operands)
        if type(operand) is Node and operand in known
    ]
    if not varying:
        return Pair([], [])
    if node.primitive is ITEM or node.primitive.outputs:
        raise UnstructuredError(
            f"'{node.primitive.name}' is part of an operation with several outputs"
        )
    out: Any = node if as_graph else node.value
    values = [x.value if type(x) is Node and not as_graph else x for x in node.operands]
    linear: list[Term] = []
    conjugate: list[Term] = []
    made: list[Term]
    for i, pair in varying:
        kind = node.primitive.local(i, out, *values, **node.params)
        if type(kind) is Zero:
            continue
        if not (is_complex(node) or is_complex(values[i]) or has_complex(kind)):
            there = None
            if type(kind) in (MatMulLeft, MatMulRight):
                there = support(node.operands[1 - i])
            made = [
                part for term in pair.linear for part in times(kind, term, values[i], out, there)
            ]
        else:
            found = times_pair(kind, pair, values[i], out, real, times)
            made = found.linear
            conjugate += found.conjugate
        if (
            node.primitive is SETITEM
            and isinstance(kind, Router)
            and not any(type(index) is Node for index in values[2:])
        ):
            kept = np.broadcast_to(kind.entries, node.shape)
            made = [with_holes(term, kept) for term in made]
            conjugate = [with_holes(term, kept) for term in conjugate]
        linear += made
    return Pair(linear, conjugate)


def _short(terms: list[Term], shape: tuple[int, ...], columns: int, write_out: bool) -> list[Term]:
    """The sum of the terms as a few."""
    if len(terms) > 1:
        terms = summed(terms)
    if len(terms) > _MOST_TERMS or any(len(term.shape) > _MOST_AXES for term in terms):
        if not write_out:
            raise ManyTermsError(f"{len(terms)} terms")
        terms = compact(terms, shape, columns)
    return terms
