"""Heights of the vertices of a layered drawing, given their order: straight edges, no overlap.

Each layer in turn is placed so that the weighted squares of the distances to where its neighbours
would have it are least, with the gaps between its vertices kept. That is an isotonic regression,
which the pool-adjacent-violators algorithm solves exactly and in linear time (Barlow, Bartholomew,
Bremner and Brunk, Statistical Inference under Order Restrictions, 1972). Sweeping to and fro over
the layers minimises the sum over all edges, a convex problem, block by block; long edges weigh
more, as in Gansner, Koutsofios, North and Vo (A technique for drawing directed graphs, 1993).
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.report.layout_order import Joint

__all__ = ["place"]

#: Weight of a piece of an edge by how many of its ends are way points.
_WEIGHTS = (1.0, 2.0, 8.0)
#: What keeps vertices without neighbours on a side where they are.
_INERTIA = 0.01
_SWEEPS = 10
_FEW_SWEEPS = 3
_SMALL = 3000

_Pull = tuple[int, float, float]


def place(
    members: Sequence[Sequence[int]],
    joints: Sequence[Joint],
    heights: Sequence[float],
    real: int,
    gap: float,
) -> list[float]:
    """The centre of each vertex; those from the number `real` on are way points."""
    before: list[list[_Pull]] = [[] for _ in heights]
    after: list[list[_Pull]] = [[] for _ in heights]
    for source, target, leaves, arrives in joints:
        weight = _WEIGHTS[(source >= real) + (target >= real)]
        before[target].append((source, leaves - arrives, weight))
        after[source].append((target, arrives - leaves, weight))
    centres = [0.0] * len(heights)
    offsets = [_offsets(layer, heights, real, gap) for layer in members]
    for layer, offset in zip(members, offsets, strict=True):
        middle = (offset[0] + offset[-1]) / 2 if offset else 0.0
        for vertex, at in zip(layer, offset, strict=True):
            centres[vertex] = at - middle
    both = [b + a for b, a in zip(before, after, strict=True)]
    columns = list(zip(members, offsets, strict=True))
    for sweep in range(_SWEEPS if len(heights) <= _SMALL else _FEW_SWEEPS):
        forward = sweep % 2 == 0
        # One side at first, to move far; then both, to settle.
        pulls = both if sweep > 3 else before if forward else after
        for layer, offset in columns if forward else reversed(columns):
            _settle(layer, offset, pulls, centres)
    for layer, offset in columns:
        _settle(layer, offset, both, centres)
    return centres


def _offsets(layer: Sequence[int], heights: Sequence[float], real: int, gap: float) -> list[float]:
    """Centres of the vertices where they stand as close as they may."""
    offsets: list[float] = []
    at = 0.0
    for position, vertex in enumerate(layer):
        if position:
            above = layer[position - 1]
            close = gap / 2 if vertex >= real and above >= real else gap
            at += (heights[above] + heights[vertex]) / 2 + close
        offsets.append(at)
    return offsets


def _settle(
    layer: Sequence[int], offsets: Sequence[float], pulls: list[list[_Pull]], centres: list[float]
) -> None:
    """Place one layer: pool adjacent violators over (wanted height − offset)."""
    means: list[float] = []
    weights: list[float] = []
    counts: list[int] = []
    for vertex, offset in zip(layer, offsets, strict=True):
        weight = _INERTIA
        total = _INERTIA * centres[vertex]
        for other, shift, strength in pulls[vertex]:
            weight += strength
            total += strength * (centres[other] + shift)
        mean, count = total / weight - offset, 1
        while means and means[-1] > mean:
            joined = weights[-1] + weight
            mean = (means.pop() * weights[-1] + mean * weight) / joined
            weights.pop()
            weight = joined
            count += counts.pop()
        means.append(mean)
        weights.append(weight)
        counts.append(count)
    position = 0
    for mean, count in zip(means, counts, strict=True):
        for _ in range(count):
            centres[layer[position]] = mean + offsets[position]
            position += 1
