"""Stable forms: derivatives of unstable spellings are taken through a stable one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thalweg.graph.node import Node

__all__ = ["stable_forms"]


def stable_forms(order: Sequence[Node], live: set[Node]) -> Mapping[Node, Node]:
    """For each node with an unstable spelling, a node of the same value in a stable form."""
    return {}
