"""`explain`: what a compiled function has recorded, why, and what runs where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from thalweg.compiled.record import Record
from thalweg.compiled.signature import describe_form, describe_leaf
from thalweg.execute.executor import KernelReport, NumPyStep
from thalweg.graph.node import describe_origin
from thalweg.optimise.group import find_groups

__all__ = ["explain"]


def explain(title: str, records: Sequence[Record], names: tuple[str, ...]) -> str:
    """Every record of a function as text."""
    lines = [title]
    if not records:
        lines.append("  nothing is recorded yet: call it, or it was only called inside of a trace")
    for number, record in enumerate(records, 1):
        lines += ["", *_record(number, record, names)]
    return "\n".join(lines)


def _record(number: int, record: Record, names: tuple[str, ...]) -> list[str]:
    graph = record.graph
    lines = [f"record {number}: {record.cause.text}"]
    lines += [f"    {line}" for line in _signature(record, names)]
    for place, answers in _guards(record).items():
        lines.append(f"    branch: {place} answered {answers}")
    lines.append(f"    {len(graph.nodes)} gates, {record.calls} calls")
    for group in find_groups(graph.nodes, graph.outputs):
        members = ", ".join(node.primitive.labels.gate for node in group.members)
        lines.append(f"    group: {group.name} = {members}; local gradient {group.gradient}")
        lines.append(f"           as one node: {group.saved}")
    kernels = [x for x in record.executor.report if isinstance(x, KernelReport)]
    lines += [f"    {_kernel(kernel)}" for kernel in kernels]
    steps = [x for x in record.executor.report if isinstance(x, NumPyStep)]
    for reason, count in Counter(step.reason for step in steps).items():
        gates = Counter(step.primitive for step in steps if step.reason == reason)
        shown = ", ".join(f"{name} ×{n}" if n > 1 else name for name, n in gates.items())
        lines.append(f"    in NumPy: {count} gates ({shown}), because {reason}")
    return lines


def _signature(record: Record, names: tuple[str, ...]) -> list[str]:
    family = record.family
    values = dict(zip(record.grouping.numbers, record.key, strict=True))
    lines = []
    for i, (path, form) in enumerate(zip(family.paths, family.forms, strict=True)):
        text = describe_form(form)
        if i in values:
            text += f" {values[i]}, static"
        elif form[0] == "number":
            text += ", varies"
        lines.append(f"{describe_leaf(path, names)}: {text}")
    return lines


def _guards(record: Record) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for guard in record.graph.guards:
        found.setdefault(describe_origin(guard.origin), []).append(repr(guard.answer))
    return {
        place: ", ".join(answers[:8]) + (f", … ({len(answers)} in all)" if answers[8:] else "")
        for place, answers in found.items()
    }


def _kernel(kernel: KernelReport) -> str:
    ops = ", ".join(kernel.ops)
    time = "" if kernel.seconds is None else f"; {kernel.seconds * 1e6:.1f} µs"
    threads = ", threads" if kernel.parallel else ""
    return (
        f"kernel {kernel.name}: {kernel.what}{threads}; {ops}; {kernel.bytes} bytes, "
        f"{kernel.flops} FLOPs{time}"
    )
