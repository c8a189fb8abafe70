"""`explain`: what a compiled function has recorded, why, and what runs where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiled.machine import kernels_of, machine, main_dtype, seconds_of
from thalweg.compiled.record import Record
from thalweg.compiled.signature import describe_form, describe_leaf
from thalweg.execute.executor import KernelReport, NumPyStep
from thalweg.graph.node import describe_origin
from thalweg.optimise.group import Group, find_groups

__all__ = ["explain"]


def explain(
    title: str, records: Sequence[Record], names: tuple[str, ...], measure: bool = False
) -> str:
    """Every record of a function as text; with `measure` beside what the machine can do."""
    lines = [title]
    if not records:
        lines.append("  nothing is recorded yet: call it, or it was only called inside of a trace")
    if measure:
        rates = ", ".join(f"{v / 1e9:.0f} GFLOP/s {k}" for k, v in machine().peak.items())
        lines.append(f"  the machine: copies {machine().bandwidth / 1e9:.0f} GB/s, {rates}")
    for number, record in enumerate(records, 1):
        lines += ["", *_record(number, record, names)]
        if measure:
            lines += _measured(record)
    return "\n".join(lines)


def _record(number: int, record: Record, names: tuple[str, ...]) -> list[str]:
    graph = record.graph
    lines = [f"record {number}: {record.cause.text}"]
    lines += [f"    {line}" for line in _signature(record, names)]
    for place, answers in _guards(record).items():
        lines.append(f"    branch: {place} answered {answers}")
    lines.append(f"    {len(graph.nodes)} gates")
    groups = Counter(_group(group) for group in find_groups(graph.nodes, graph.outputs))
    for (text, saved), count in groups.items():
        lines.append(f"    group{f' ×{count}' if count > 1 else ''}: {text}")
        lines.append(f"           as one node: {saved}")
    kernels: dict[str, list[str]] = {}  # loops of Python make many that are alike
    for x in record.executor.report:
        if isinstance(x, KernelReport):
            kernels.setdefault(_kernel(x, record), []).append(x.name)
    lines += [f"    {_called(alike)}: {text}" for text, alike in kernels.items()]
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


def _group(group: Group) -> tuple[str, str]:
    members = ", ".join(node.primitive.labels.gate for node in group.members)
    return f"{group.name} = {members}; local gradient {group.gradient}", group.saved


def _called(kernels: list[str]) -> str:
    if len(kernels) == 1:
        return f"kernel {kernels[0]}"
    more = f", … ({len(kernels)} in all)" if kernels[3:] else ""
    return f"kernels {', '.join(kernels[:3])}{more}"


def _kernel(kernel: KernelReport, record: Record) -> str:
    """What a kernel does and takes, without its name."""
    ops = ", ".join(f"{op} ×{n}" if n > 1 else op for op, n in Counter(kernel.ops).items())
    ops = ops or "copies"
    threads = ", on several threads" if kernel.parallel else ""
    time = ""
    if kernel.seconds is not None:
        share = machine().bound(kernel.bytes, kernel.flops, _dtype(record)) / kernel.seconds
        time = f"; {_time(kernel.seconds)}, {share:.0%} of the roofline"
    return (
        f"{kernel.what}{threads} of {ops}; {kernel.bytes:,} bytes, "
        f"{kernel.flops:,} operations{time}"
    )


def _measured(record: Record) -> list[str]:
    """The time of a run, and the least that its kernels can take."""
    seconds = seconds_of(record)
    if seconds is None:
        return ["    no time: made-up values take another branch, or fail"]
    kernels = kernels_of(record)
    text = f"    a run: {_time(seconds)}"
    if kernels:
        dtype = _dtype(record)
        least = sum(machine().bound(x.bytes, x.flops, dtype) for x in kernels)
        text += f"; the roofline of its kernels on one thread: {_time(least)}"
        text += f", {least / seconds:.0%} of that speed"
    return [text, *(_share(x, machine().bound(x.bytes, x.flops, _dtype(record))) for x in kernels)]


def _share(kernel: KernelReport, least: float) -> str:
    """A kernel's time, and how near to its roofline that is."""
    if not kernel.seconds:
        return f"      {kernel.name}: too short to be timed"
    rates = f"{kernel.bytes / kernel.seconds / 1e9:.1f} GB/s"
    rates += f", {kernel.flops / kernel.seconds / 1e9:.1f} GFLOP/s"
    share = f"{least / kernel.seconds:.0%} of its roofline"
    return f"      {kernel.name}: {_time(kernel.seconds)}, {rates}, {share}"


def _dtype(record: Record) -> np.dtype[Any]:
    """What the record computes with, mostly."""
    return main_dtype(record.graph.nodes)


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
