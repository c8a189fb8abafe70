"""Where an implementation decides by values: the answer becomes a guard of the trace."""

from __future__ import annotations

from typing import Any

from thalweg.graph.node import Node
from thalweg.guards import record_guard

__all__ = ["holds", "settled"]


def holds(condition: Any) -> bool:
    """Whether a condition is true: decided for these values, and noted where they are traced."""
    if type(condition) is Node:
        return bool(record_guard(condition, bool(condition.value)))
    return bool(condition)


def settled(value: Any) -> Any:
    """A mask or positions as values: they choose entries, and are noted where they are traced."""
    return record_guard(value, value.value) if type(value) is Node else value
