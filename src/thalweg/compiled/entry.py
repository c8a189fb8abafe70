"""The way of a call around Python: which record can be called natively, and with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.compiled.backends import Tiered
from thalweg.compiled.record import VARIES, Record
from thalweg.execute.executor import KernelReport
from thalweg.execute.native.call import (
    ArgumentOut,
    ArrayLeaf,
    ArrayOut,
    CallPlan,
    ConstantOut,
    NumberLeaf,
    NumberOut,
    StaticLeaf,
    make_entry,
)
from thalweg.execute.native.program import Program
from thalweg.tree import Structure

__all__ = ["chain"]

#: Records that are asked one after the other before Python looks the call up.
_MOST = 8
#: From this estimated time on Python's lock is released: giving it back costs 50 ns.
_LONG = 10e-6
#: Roughly what one core does in a second: bytes moved, floating-point operations.
_BYTES, _FLOPS = 10e9, 10e9


def chain(records: Sequence[Record], fallback: Callable[..., Any]) -> Callable[..., Any]:
    """One function for calls of all these records, the last used one first, then `fallback`."""
    entry = fallback
    for record in sorted(records, key=lambda record: record.used)[-_MOST:]:
        executor = record.executor
        if isinstance(executor, Tiered):
            executor = executor.executor
        if isinstance(executor, Program) and executor.address is not None:
            plan = _plan(record, executor)
            if plan is not None:
                entry = make_entry(plan, executor.address, entry, executor)
    return entry


def _plan(record: Record, program: Program) -> CallPlan | None:
    """What the entry of a record takes and gives; None, if only Python can."""
    arguments, keywords = record.structures
    inputs = [_input(record, i) for i in range(len(record.family.forms))]
    outputs = _outputs(record, program)
    if keywords.n_leaves or keywords.keys or outputs is None or None in inputs:
        return None
    return CallPlan(
        Structure(tuple, tuple(range(len(arguments))), arguments),
        tuple(inputs),  # type: ignore[arg-type]
        record.structure,
        tuple(outputs),
        program.plan.arena,
        _seconds(program) > _LONG,
    )


def _input(record: Record, i: int) -> ArrayLeaf | NumberLeaf | StaticLeaf | None:
    written = i in record.into.values()
    match record.family.forms[i]:
        case ("array", dtype, shape, None) if dtype.isnative:
            return ArrayLeaf(shape, dtype, written)
        case ("scalar", dtype) if dtype.itemsize <= 8 and dtype.isnative:
            return NumberLeaf((dtype.type,))
        case ("number", kind) if i in record.positions and kind is not complex:
            return NumberLeaf((kind,))
        case ("number" | "static", _) if i not in record.positions:
            return StaticLeaf(record.statics[i])
    return None


def _outputs(
    record: Record, program: Program
) -> list[ArrayOut | NumberOut | ArgumentOut | ConstantOut] | None:
    """The leaves of the result, where native code writes all that is not a plain constant."""
    found: list[ArrayOut | NumberOut | ArgumentOut | ConstantOut] = []
    number = 0
    for k, leaf in enumerate(record.leaves):
        if leaf is not VARIES:
            if isinstance(leaf, np.ndarray) or k in record.into:
                return None
            found.append(ConstantOut(leaf))
            continue
        if number >= len(program.written) or program.written[number] != number:
            return None
        spec = record.graph.outputs[number]
        number += 1
        if k in record.into:
            found.append(ArgumentOut(record.into[k]))
        elif spec.ndim or k in record.zero_d:
            found.append(ArrayOut(spec.shape, spec.dtype))
        else:
            found.append(NumberOut(spec.dtype))
    return found if number == len(program.written) else None


def _seconds(program: Program) -> float:
    kernels = [x for x in program.report if isinstance(x, KernelReport)]
    return sum(max(kernel.bytes / _BYTES, kernel.flops / _FLOPS) for kernel in kernels)
