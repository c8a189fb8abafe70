"""Why a call was recorded, and what to do where that happens too often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from thalweg.compiled.record import Cause, Family, Record
from thalweg.compiled.signature import Call, Form, describe_form, describe_leaf
from thalweg.errors import RecompilationWarning
from thalweg.graph.graph import Guard
from thalweg.graph.node import describe_origin

__all__ = ["cause_of", "often"]

#: Records for one cause from which on it is worth a word.
_OFTEN = 8
#: Calls a record from which on nothing is said: recording is then a small part of the work …
_CALLS = 10
#: … and the share of the time below which it is.
_SHARE = 0.1

_ADVICE = {
    "shape": (
        "Pad the arrays to a few sizes (with a mask), or give batches of one size: every shape is "
        "compiled by itself."
    ),
    "dtype": "Give it one dtype: x.astype(np.float64) before the call.",
    "layout": "Give it one memory order: np.ascontiguousarray(x) before the call.",
    "value": (
        "A value that is no array is part of the signature. If it is a number that enters the "
        "computation, pass it as an array of the dtype of the others: np.asarray(n, x.dtype)."
    ),
    "branch": (
        "Every way through Python's if and while is compiled by itself. Write the choice with "
        "np.where, or leave such a value out of the compiled function."
    ),
    "arguments": "Call it with the same arguments and trees: every form is compiled by itself.",
    "again": (
        "The graph gives another answer to that condition than the function does (a value at the "
        "edge, or an error on the way)."
    ),
}


def cause_of(
    records: Sequence[Record],
    family: Family,
    call: Call,
    changed: Sequence[Guard],
    names: tuple[str, ...],
) -> Cause:
    """Why a call has no record: in comparison with the record that is most like it."""
    if changed:
        guard = changed[0]
        where = describe_origin(guard.origin)
        return Cause("branch", where, f"the condition at {where} was answered otherwise")
    if not records:
        return Cause("first", "", "the first call")
    paths = call.paths()
    best: tuple[int, list[int], Record] | None = None
    for record in reversed(records):
        if record.family.paths != paths:
            continue
        different = _differences(record, family, call)
        if best is None or len(different) < len(best[1]):
            best = (len(different), different, record)
    if best is None:
        return Cause("arguments", "", "the arguments are of another form")
    _, different, record = best
    if not different:
        return Cause("again", "", "recorded again")
    i = different[0]
    leaf = describe_leaf(paths[i], names)
    old, new = record.family.forms[i], call.forms[i]
    kind = _kind(old, new)
    if kind == "value" and new[0] == "number":
        text = f"another value of {leaf}: {call.leaves[i]!r}"
    else:
        text = f"another {kind} of {leaf}: {describe_form(old)} → {describe_form(new)}"
    more = len(different) - 1
    return Cause(kind, leaf, text + (f", and of {more} more" if more else ""))


def _differences(record: Record, family: Family, call: Call) -> list[int]:
    """The leaves in which a call differs from what a record stands for."""
    forms = record.family.forms
    found = [i for i, (a, b) in enumerate(zip(forms, call.forms, strict=True)) if a != b]
    if not found and record.family is family:
        numbers, key = record.grouping.numbers, record.grouping.key(call)
        found = [i for i, a, b in zip(numbers, record.key, key, strict=False) if a != b]
    return found


def _kind(old: Form, new: Form) -> str:
    match old, new:
        case ("array", d, s, _), ("array", e, t, _):
            return "dtype" if d != e else "shape" if s != t else "layout"
        case ("static", _), ("static", _):
            return "value"
        case ("number", a), ("number", b) if a is b:
            return "value"
    return "dtype"


def often(
    name: str, causes: Sequence[Cause], calls: int, times: Sequence[tuple[float, float]]
) -> RecompilationWarning | None:
    """The warning for a function that is recorded so often that it costs, if it is one.

    Parameters
    ----------
    name : str
    causes : sequence of Cause
    calls : int
        Those that came to Python; native ones are not counted.
    times : sequence of (begin, end)
        When the last records were made.
    """
    counts = Counter((cause.kind, cause.where) for cause in causes if cause.kind != "first")
    (found, count), *_ = counts.most_common(1) or [(("", ""), 0)]
    if count < _OFTEN or calls > _CALLS * len(causes):
        return None
    spent = sum(end - begin for begin, end in times)
    if spent < _SHARE * (times[-1][1] - times[0][0]):
        return None
    last = next(cause for cause in reversed(causes) if (cause.kind, cause.where) == found)
    return RecompilationWarning(
        f"{name} was compiled {len(causes)} times, {count} times for the same "
        f"reason, the last time because of this: {last.text}.\n"
        f"  {_ADVICE[last.kind]}\n"
        f"  {name}.explain() lists every record. This is said once."
    )
