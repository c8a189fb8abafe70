"""A layered drawing of a graph, left to right, in time that is near linear in its size.

The method is that of Sugiyama, Tagawa and Toda (Methods for visual understanding of hierarchical
system structures, 1981), with these four steps:

1. *Layers*: the longest path from the sources; then each node moves to the right as far as that
   shortens its edges, so that an input stands beside its first use.
2. *Way points*: an edge that crosses layers gets a place in each of them. The edges of one node
   share theirs (a bus), so that there are at most as many as layers it crosses, not edges.
3. *Order in the layers* (`layout_order`): barycentres, swept to and fro.
4. *Coordinates* (`layout_place`): each layer is placed exactly, by isotonic regression.

Nothing is drawn by chance: the same graph always gives the same drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from thalweg.report.layout_order import order_layers
from thalweg.report.layout_place import place

__all__ = ["Column", "Drawing", "Edge", "layered"]

#: Between two columns, and between two neighbours in a column.
COLUMN_GAP = 56.0
ROW_GAP = 26.0
_WAY_POINT = 10.0
#: Way points a node at most, on average, and in all graphs; the longest edges beyond go straight.
_WAY_POINTS, _ALWAYS = 3, 12_000


class Edge(NamedTuple):
    """From a node to a later one, with the heights (from the node's top) at which it meets them."""

    source: int
    target: int
    leaves: float
    arrives: float


class Column(NamedTuple):
    """The place of a layer."""

    x: float
    width: float


class Drawing(NamedTuple):
    """Where everything stands.

    Attributes
    ----------
    layers : list of int
        The column of each node.
    tops : list of float
        The upper edge of each node.
    columns : list of Column
    ways : list of list of float
        For each node the heights at which its bus crosses the columns after its own; empty where
        it needs none, or where its edges go straight.
    height : float
    """

    layers: list[int]
    tops: list[float]
    columns: list[Column]
    ways: list[list[float]]
    height: float


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[Edge]) -> Drawing:
    """Place nodes of the given (width, height).

    Parameters
    ----------
    sizes : sequence of (float, float)
    edges : sequence of Edge
        Each from a node to one of a higher number; edges may be repeated.

    Returns
    -------
    Drawing

    Examples
    --------
    >>> drawing = layered([(40, 20)] * 3, [Edge(0, 2, 10, 5), Edge(1, 2, 10, 15)])
    >>> drawing.layers, drawing.tops
    ([0, 0, 1], [0.0, 46.0, 23.0])
    """
    count = len(sizes)
    layers = _layers(count, edges)
    starts, heights = _way_points(count, edges, layers, [height for _, height in sizes])
    joints = _joints(edges, layers, starts, heights)
    everywhere = layers + [0] * (len(heights) - count)
    for node, (start, length) in enumerate(starts):
        for k in range(length):
            everywhere[start + k] = layers[node] + 1 + k
    members: list[list[int]] = [[] for _ in range(max(everywhere, default=-1) + 1)]
    for vertex, layer in enumerate(everywhere):
        members[layer].append(vertex)
    order_layers(members, joints, heights)
    centres = place(members, joints, heights, count, ROW_GAP)
    tops = [centre - height / 2 for centre, height in zip(centres, heights, strict=True)]
    highest = min(tops, default=0.0)
    tops = [round(top - highest, 1) for top in tops]
    ways = [[tops[start + k] + _WAY_POINT / 2 for k in range(length)] for start, length in starts]
    height = max((top + h for top, h in zip(tops, heights, strict=True)), default=0.0)
    return Drawing(layers, tops[:count], _columns(sizes, layers), ways, height)


def _layers(count: int, edges: Sequence[Edge]) -> list[int]:
    before: list[set[int]] = [set() for _ in range(count)]
    after: list[set[int]] = [set() for _ in range(count)]
    for edge in edges:
        before[edge.target].add(edge.source)
        after[edge.source].add(edge.target)
    layers = [0] * count
    for node in range(count):
        layers[node] = max((layers[source] + 1 for source in before[node]), default=0)
    for node in reversed(range(count)):
        # One bus serves all that follow, so moving by one shortens it by one whatever their number.
        if after[node] and len(before[node]) <= 1:
            nearest = min(layers[target] for target in after[node])
            if not before[node] or len(after[node]) > 1:
                layers[node] = nearest - 1
    return layers


def _way_points(
    count: int, edges: Sequence[Edge], layers: list[int], heights: list[float]
) -> tuple[list[tuple[int, int]], list[float]]:
    """For each node (first way point, how many), and the heights of all vertices."""
    reach = list(layers)
    for edge in edges:
        reach[edge.source] = max(reach[edge.source], layers[edge.target] - 1)
    lengths = [last - layer for last, layer in zip(reach, layers, strict=True)]
    left = max(_WAY_POINTS * count, _ALWAYS)
    starts = [(0, 0)] * count
    for node in sorted(range(count), key=lengths.__getitem__):  # the shortest first
        length = lengths[node]
        if length and length <= left:
            starts[node] = len(heights), length
            heights.extend([_WAY_POINT] * length)
            left -= length
    return starts, heights


def _joints(
    edges: Sequence[Edge],
    layers: list[int],
    starts: list[tuple[int, int]],
    heights: list[float],
) -> list[tuple[int, int, float, float]]:
    """Pieces of edges between neighbouring layers: their ends, and where from the ends' centres."""
    joints = []
    leaves_at = {edge.source: edge.leaves for edge in edges}
    for node, (start, length) in enumerate(starts):
        if length:
            joints.append((node, start, leaves_at[node] - heights[node] / 2, 0.0))
            joints += [(start + k, start + k + 1, 0.0, 0.0) for k in range(length - 1)]
    for edge in edges:
        start, length = starts[edge.source]
        hops = layers[edge.target] - layers[edge.source] - 1
        arrives = edge.arrives - heights[edge.target] / 2
        if hops == 0:
            leaves = edge.leaves - heights[edge.source] / 2
            joints.append((edge.source, edge.target, leaves, arrives))
        elif length:
            joints.append((start + hops - 1, edge.target, 0.0, arrives))
    return joints


def _columns(sizes: Sequence[tuple[float, float]], layers: list[int]) -> list[Column]:
    widths = [0.0] * (max(layers, default=-1) + 1)
    for (width, _), layer in zip(sizes, layers, strict=True):
        widths[layer] = max(widths[layer], width)
    columns, x = [], 0.0
    for width in widths:
        columns.append(Column(x, width))
        x += width + COLUMN_GAP
    return columns
