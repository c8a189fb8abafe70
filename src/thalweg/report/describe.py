"""A trace as plain data: dicts, lists, strings and numbers that JSON can hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.errors import SizeLimitError
from thalweg.jacobian.structure import LocalJacobian
from thalweg.report.numbers import summarise
from thalweg.report.record import GroupFound, Record, TraceEdge, TraceNode

__all__ = ["FORMAT", "LIMIT", "VERSION", "describe", "number"]

FORMAT = "thalweg-trace"
VERSION = 1
#: Arrays of more entries are summarised.
LIMIT = 1000


def describe(record: Record, limit: int = LIMIT) -> dict[str, Any]:
    """The plain data of a trace; docs/trace.md documents the form."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "function": record.function,
        "file": record.file,
        "line": record.line,
        "backward": record.backward,
        "inputs": [node.index for node in record.inputs],
        "outputs": [None if node is None else node.index for node in record.outputs],
        "output_values": [_value(value, limit) for value in record.output_values],
        "nodes": [_node(node, limit) for node in record.nodes],
        "groups": [_group(group) for group in record.groups],
        "notes": list(record.notes),
    }


def _node(node: TraceNode, limit: int) -> dict[str, Any]:
    return {
        "id": node.index,
        "label": node.label,
        "name": node.name,
        "gate": node.gate,
        "expression": node.expression,
        "file": node.file,
        "line": node.line,
        "differentiable": node.differentiable,
        "value": _value(node.value, limit),
        "upstream": _value(node.upstream, limit),
        "inputs": [_edge(edge, limit) for edge in node.inputs],
    }


def _edge(edge: TraceEdge, limit: int) -> dict[str, Any]:
    if edge.node is None:
        return {"node": None, "value": _value(edge.value, limit)}
    return {
        "node": edge.node.index,
        "local": None if edge.local is None else _local(edge.local, limit),
        "downstream": _value(edge.downstream, limit),
    }


def _local(local: LocalJacobian, limit: int) -> dict[str, Any]:
    entries = local.entries
    try:
        nnz = local.nnz
    except SizeLimitError:
        nnz = None
    held = isinstance(entries, (int, float, complex, np.ndarray, np.generic))
    return {
        "kind": local.kind,
        "shape": list(local.shape),
        "nnz": nnz,
        "nbytes": local.nbytes,
        "entries": _value(entries, limit) if held else None,
    }


def _group(group: GroupFound) -> dict[str, Any]:
    return {
        "name": group.name,
        "members": [node.index for node in group.members],
        "inputs": [node.index for node in group.inputs],
        "output": group.output.index,
        "formula": group.formula,
        "local": None if group.local is None else number(group.local),
        "saved_forward": group.saved_forward,
        "saved_backward": group.saved_backward,
    }


def _value(value: Any, limit: int) -> Any:
    """An array as its shape, dtype and data, or a summary in place of the data."""
    if value is None:
        return None
    if type(value) is tuple:
        return {"parts": [_value(part, limit) for part in value]}
    array = np.asarray(value)
    described: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size <= limit:
        described["data"] = _nested(array.tolist())
        return described
    summary = summarise(array)
    described["summary"] = {
        "min": summary.minimum,
        "mean": None if summary.mean is None else number(summary.mean),
        "max": summary.maximum,
        "nan": summary.nan,
        "inf": summary.inf,
    }
    return described


def _nested(value: Any) -> Any:
    return [_nested(item) for item in value] if isinstance(value, list) else number(value)


def number(value: Any) -> Any:
    """A number that JSON has: nan and inf as strings, complex numbers as their two parts."""
    if isinstance(value, complex):
        return {"re": number(value.real), "im": number(value.imag)}
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value if isinstance(value, (bool, int, float)) else str(value)
