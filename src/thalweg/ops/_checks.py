"""Where an implementation decides by values: the answer becomes a guard of the trace."""

from __future__ import annotations

from typing import Any

from thalweg.graph.node import Node, apply
from thalweg.guards import record_guard
from thalweg.ops.structural import SHAPE

__all__ = ["holds", "settled", "settled_shape"]


def holds(condition: Any) -> bool:
    """Whether a condition is true: decided for these values, and noted where they are traced."""
    if type(condition) is Node:
        return bool(record_guard(condition, bool(condition.value)))
    return bool(condition)


def settled(value: Any) -> Any:
    """A mask or positions as values: they choose entries, and are noted where they are traced."""
    return record_guard(value, value.value) if type(value) is Node else value


def settled_shape(x: Any) -> Any:
    """x, whose shape depends on values: what the trace does with it holds for this shape only."""
    if type(x) is Node:
        shape = apply(SHAPE, (x,))
        record_guard(shape, shape.value)
    return x
