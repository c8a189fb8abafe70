"""Groups of nodes that could be one gate, in the terms of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from thalweg.graph.node import Node
from thalweg.optimise.group import Group, find_groups
from thalweg.report.record import GroupFound, TraceNode

__all__ = ["groups_found"]


def groups_found(order: Sequence[Node], records: Mapping[Node, TraceNode]) -> list[GroupFound]:
    """The groups among the nodes `order` (in topological order)."""
    return [_group(group, records) for group in find_groups(order)]


def _group(group: Group, records: Mapping[Node, TraceNode]) -> GroupFound:
    return GroupFound(
        name=group.name,
        members=tuple(records[node] for node in group.members),
        inputs=tuple(records[node] for node in group.inputs),
        output=records[group.output],
        formula=group.gradient,
        saved_forward=group.gates[0] - group.gates[1],
        saved_backward=group.pulls[0] - group.pulls[1],
        local=_number(group, records),
    )


def _number(group: Group, records: Mapping[Node, TraceNode]) -> float | None:
    """∂output/∂input as the members' plain chain rule has it, where both are one real number."""
    ends = (*group.inputs, group.output)
    if len(ends) != 2 or any(end.shape != () or end.dtype.kind != "f" for end in ends):
        return None
    tangents = {records[group.inputs[0]]: group.inputs[0].dtype.type(1)}
    for node in group.members:
        record = records[node]
        for edge in record.inputs:
            if edge.node in tangents and edge.local is not None:
                pushed = edge.local.push(tangents[edge.node])
                tangents[record] = tangents.get(record, 0) + pushed
    local = float(tangents.get(records[group.output], 0.0))
    return local if np.isfinite(local) else None
