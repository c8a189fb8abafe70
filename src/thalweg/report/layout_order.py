"""The order of the vertices in each layer of a drawing: few crossings, by barycentres."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

__all__ = ["crossings", "order_layers"]

#: A piece of an edge between neighbouring layers: two vertices, and the heights relative to their
#: centres at which it meets them.
Joint = tuple[int, int, float, float]
#: Vertices up to which the best of many sweeps is taken; above, the last of a few.
_SMALL = 3000
_SWEEPS = 12
_FEW_SWEEPS = 2


def order_layers(
    members: list[list[int]], joints: Sequence[Joint], heights: Sequence[float]
) -> None:
    """Sort `members` (the vertices of each layer) in place.

    A vertex goes to the mean of its neighbours' places in the layer before, and then in the layer
    after; where on a neighbour it is joined counts too, so that the operands of one gate come in
    its order.
    """
    before: list[list[tuple[int, float]]] = [[] for _ in heights]
    after: list[list[tuple[int, float]]] = [[] for _ in heights]
    for source, target, leaves, arrives in joints:
        before[target].append((source, leaves / (heights[source] or 1.0)))
        after[source].append((target, arrives / (heights[target] or 1.0)))
    places = [0.0] * len(heights)
    for layer in members:
        _number(layer, places)
    small = len(heights) <= _SMALL
    pieces = _by_layer(members, joints, heights) if small else []
    best, fewest = [list(layer) for layer in members], crossings(pieces, places)
    for sweep in range(_SWEEPS if small else _FEW_SWEEPS):
        if small and fewest == 0 and sweep > 1:
            break
        forward = sweep % 2 == 1
        for layer in members if forward else reversed(members):
            _sort(layer, before if forward else after, places)
        count = crossings(pieces, places)
        if count < fewest or (count == fewest and sweep < 2):
            best, fewest = [list(layer) for layer in members], count
    if small:
        members[:] = best


def _sort(layer: list[int], neighbours: list[list[tuple[int, float]]], places: list[float]) -> None:
    if len(layer) == 1:
        return
    keys = {}
    for vertex in layer:
        joined = neighbours[vertex]
        keys[vertex] = (
            sum(places[other] + part for other, part in joined) / len(joined)
            if joined
            else places[vertex]
        )
    layer.sort(key=keys.__getitem__)
    _number(layer, places)


def _number(layer: Sequence[int], places: list[float]) -> None:
    for position, vertex in enumerate(layer):
        places[vertex] = float(position)


def _by_layer(
    members: Sequence[Sequence[int]], joints: Sequence[Joint], heights: Sequence[float]
) -> list[list[tuple[int, float, int, float]]]:
    layer_of = {vertex: k for k, layer in enumerate(members) for vertex in layer}
    pieces: list[list[tuple[int, float, int, float]]] = [[] for _ in members]
    for source, target, leaves, arrives in joints:
        piece = (source, leaves / (heights[source] or 1.0), target, arrives / heights[target])
        pieces[layer_of[source]].append(piece)
    return pieces


def crossings(
    pieces: Sequence[Sequence[tuple[int, float, int, float]]], places: Sequence[float]
) -> int:
    """Pairs of edge pieces that cross, by counting inversions in each gap between layers."""
    total = 0
    for gap in pieces:
        ends = sorted((places[s] + p, places[t] + q) for s, p, t, q in gap)
        seen: list[float] = []
        for _, end in ends:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total
