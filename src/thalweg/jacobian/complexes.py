"""Terms between complex ends: maps that are linear over the reals are pairs of complex ones.

A tangent on the way is dz = A t + B t̄, with t that of the input: `Pair(A, B)`. At a real node the
real part is meant, Re(A t): there B is empty. Of a real input t is t̄, so B is empty everywhere, and
at real nodes A is real. A holomorphic gate multiplies both; conjugation exchanges them; where a
real part goes on into complex numbers it becomes half of A t and half of its conjugate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.kinds import Chain, Diagonal, Kind, Wirtinger
from thalweg.jacobian.terms import (
    MOST_ENTRIES,
    Factor,
    Term,
    UnstructuredError,
    entries,
    product,
    without_inner,
)

__all__ = ["Pair", "has_complex", "is_complex", "times_pair"]

Times = Callable[[Kind, Term, Any, Any], list[Term]]


class Pair(NamedTuple):
    """The terms of A and of B."""

    linear: list[Term]
    conjugate: list[Term]


def is_complex(end: Any) -> bool:
    """Whether an end of an edge, an array of entries or a number is complex."""
    return bool(np.result_type(getattr(end, "dtype", type(end))).kind == "c")


def _conj(terms: list[Term]) -> list[Term]:
    return [
        term._replace(
            scale=np.conj(term.scale) if is_complex(term.scale) else term.scale,
            factors=tuple(
                Factor(np.conj(f.values), f.routed) if is_complex(f.values) else f
                for f in term.factors
            ),
        )
        for term in terms
    ]


def _half(terms: list[Term]) -> list[Term]:
    return [term._replace(scale=term.scale * 0.5) for term in terms]


def _real(term: Term) -> Term:
    """Its real part, as one factor."""
    if not is_complex(term.scale) and not any(is_complex(f.values) for f in term.factors):
        return term
    if entries(term) > MOST_ENTRIES:
        raise UnstructuredError("the real part of a product of complex factors")
    term = without_inner(term)
    if not term.factors:
        return term._replace(scale=np.real(term.scale))
    return term._replace(scale=1.0, factors=(Factor(np.real(product(term))),))


def times_pair(kind: Kind, pair: Pair, x: Any, out: Any, real_input: bool, times: Times) -> Pair:
    """kind · pair: `kind` is ∂out/∂x, where one of the ends or the input is complex."""
    if type(kind) is Chain:
        inner = times_pair(kind.inner, pair, x, kind.between, real_input, times)
        return times_pair(kind.outer, inner, kind.between, out, real_input, times)
    if is_complex(out) and not is_complex(x) and not real_input:
        pair = Pair(_half(pair.linear), _half(_conj(pair.linear)))
    if not is_complex(out) and not is_complex(x) and not real_input and has_complex(kind):
        raise UnstructuredError("complex entries between real ends")

    def each(kind: Kind, terms: list[Term]) -> list[Term]:
        return [made for term in terms for made in times(kind, term, x, out)]

    if type(kind) is Wirtinger:
        holomorphic, turned = Diagonal(kind.linear), Diagonal(kind.conjugate)
        linear = each(holomorphic, pair.linear) + each(turned, _conj(pair.conjugate))
        conjugate = each(holomorphic, pair.conjugate) + each(turned, _conj(pair.linear))
    else:
        linear, conjugate = each(kind, pair.linear), each(kind, pair.conjugate)
    if real_input:
        linear, conjugate = linear + conjugate, []
        if not is_complex(out):
            linear = [_real(term) for term in linear]
    elif not is_complex(out):  # Re(B t̄) = Re(B̄ t)
        linear, conjugate = linear + _conj(conjugate), []
    return Pair(linear, conjugate)


def has_complex(kind: Any) -> bool:
    """Whether a kind holds complex numbers."""
    if isinstance(kind, tuple):
        return any(map(has_complex, kind))
    return (hasattr(kind, "dtype") and is_complex(kind)) or type(kind) is complex
