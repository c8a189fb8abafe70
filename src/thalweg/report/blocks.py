"""Groups of nodes that the explorer can show as one: loops, functions, calls, big nodes.

They are read off the order in which the nodes were made and the instructions that asked for them;
every two of them are apart or one lies within the other. A stretch of the order is *convex* (no
path leaves it and comes back), as a big node is, so what is left when it is shown as one node
is again a graph without cycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import NamedTuple

from thalweg.report.record import GroupFound, Record, TraceNode

__all__ = ["Block", "blocks_of", "repeats"]

#: Steps of loops that are groups of their own; of more, only the loops are.
_STEPS = 600
#: Comparisons that the search for loops may take, for each node.
_EFFORT = 40


class Block(NamedTuple):
    """Nodes that can be shown as one.

    Attributes
    ----------
    name : str
    kind : str
        ``"loop"``, ``"step"`` (of a loop), ``"function"``, ``"call"`` (of one library function that
        is made of several gates) or ``"gate"`` (a big node with a known local gradient).
    members : tuple of int
        Their numbers in the trace, ascending.
    parent : int or None
        The smallest block around this one, by its place in the list.
    group : int or None
        Of a big node: its place in `Record.groups`.
    """

    name: str
    kind: str
    members: tuple[int, ...]
    parent: int | None = None
    group: int | None = None


def blocks_of(record: Record) -> list[Block]:
    """The blocks of a trace, each after the one that it lies in, in time linear in the nodes."""
    gates = [node for node in record.nodes if not node.is_input and node.node.origin is not None]
    found = [*_functions(gates, record), *_loops(gates, record), *_calls(gates), *_big(record)]
    # The larger first; of equals the first named: a function that is one big node is a function.
    found.sort(key=lambda block: -len(block.members))
    innermost: dict[int, int | None] = {node.index: None for node in record.nodes}
    kept: list[Block] = []
    for block in found:
        around = {innermost[index] for index in block.members}
        if len(block.members) < 2 or len(around) > 1:
            continue
        (parent,) = around
        if parent is not None and len(kept[parent].members) == len(block.members):
            continue
        for index in block.members:
            innermost[index] = len(kept)
        kept.append(block._replace(parent=parent))
    return kept


# ---- functions ----------------------------------------------------------------------------


class _Frame:
    """A call that is under way: its code, the last instruction seen, what it made."""

    def __init__(self, code: CodeType, at: int) -> None:
        self.code = code
        self.at = at
        self.members: list[int] = []


def _functions(gates: Sequence[TraceNode], record: Record) -> Iterator[Block]:
    """Calls of the user's functions, as far as the order of their instructions tells them apart.

    Within a function instructions follow each other; one that comes before the last belongs to
    another call, or to another round of a loop.
    """
    stack: list[_Frame] = []
    done: list[_Frame] = []
    owners = _owners({node.node.origin[0] for node in gates if node.node.origin is not None})

    def leave(depth: int) -> None:
        while len(stack) > depth:
            frame = stack.pop()
            done.append(frame)
            if stack:
                stack[-1].members += frame.members

    for node in gates:
        assert node.node.origin is not None
        code, at = node.node.origin
        if _is_part(code):  # a comprehension is part of its function
            code = owners.get(code, stack[-1].code if stack else code)
            at = next((frame.at for frame in reversed(stack) if frame.code is code), -1)
        top = _is_traced(code, record)
        depth = next(
            (k for k in reversed(range(len(stack))) if stack[k].code is code and stack[k].at <= at),
            None,
        )
        if depth is None:
            again = next((k for k, frame in enumerate(stack) if frame.code is code), len(stack))
            leave(0 if top else again)
            stack.append(_Frame(code, at))
        else:
            leave(depth + 1)
        stack[-1].at = at
        stack[-1].members.append(node.index)
    leave(0)
    for frame in done:
        if not _is_traced(frame.code, record) and len(frame.members) < len(gates):
            yield Block(frame.code.co_name.strip("<>"), "function", tuple(sorted(frame.members)))


def _owners(codes: Iterable[CodeType]) -> dict[CodeType, CodeType]:
    """Comprehensions → the functions that they stand in (before Python 3.12 each had code)."""
    found = {}
    for code in codes:
        waiting = [] if _is_part(code) else [code]
        while waiting:
            parts = [x for x in waiting.pop().co_consts if type(x) is CodeType and _is_part(x)]
            found.update(dict.fromkeys(parts, code))
            waiting += parts
    return found


def _is_part(code: CodeType) -> bool:
    return code.co_name in ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


def _is_traced(code: CodeType, record: Record) -> bool:
    """Whether it is the code of the function that was traced itself, or of an expression."""
    return code.co_name == "<module>" or (code.co_filename, code.co_firstlineno) == (
        record.file,
        record.line,
    )


# ---- loops --------------------------------------------------------------------------------


def _loops(gates: Sequence[TraceNode], record: Record) -> Iterator[Block]:
    """Where the same instructions come again and again; within each round, loops again."""
    keys = [(node.node.origin, node.gate) for node in gates]
    steps = 0
    for start, period, count in repeats(keys):
        stop = start + period * count
        around = [gates[k].node.origin for k in (start - 1, stop) if 0 <= k < len(gates)]
        origins = {origin for origin, _ in keys[start:stop]}
        if len(origins) == 1 and not origins.isdisjoint(around):
            continue  # a part of one call that is made of several gates
        numbers = [node.index for node in gates[start:stop]]
        name = _where(gates[start : start + period], record)
        yield Block(f"{name}, {count} times", "loop", tuple(numbers))
        steps += count
        if period > 1 and steps <= _STEPS:
            for k in range(count):
                part = tuple(numbers[k * period : (k + 1) * period])
                yield Block(f"{name}, {k + 1} of {count}", "step", part)


def _where(gates: Sequence[TraceNode], record: Record) -> str:
    """The function that they are in, or their lines in the function that was traced."""
    codes = {node.node.origin[0] for node in gates if node.node.origin is not None}
    code = codes.pop() if len(codes) == 1 else None
    if code is not None and not _is_traced(code, record) and not _is_part(code):
        return code.co_name.strip("<>")
    lines = [node.line for node in gates if node.line is not None]
    if not lines:
        return "loop"
    first, last = min(lines), max(lines)
    return f"line {first}" if first == last else f"lines {first} to {last}"


def repeats(keys: Sequence[object]) -> Iterator[tuple[int, int, int]]:
    """Stretches of `keys` that repeat: (start, length of a period, how many periods).

    Outer ones before those within their periods. It compares at most a fixed number of times the
    number of keys, so that nothing is quadratic; what is not found by then is left out.

    Examples
    --------
    >>> list(repeats("abcbcabcbc"))
    [(0, 5, 2), (1, 2, 2), (6, 2, 2)]
    """
    coming = [0] * len(keys)
    last: dict[object, int] = {}
    for i in reversed(range(len(keys))):
        coming[i] = last.get(keys[i], len(keys))
        last[keys[i]] = i
    effort = _EFFORT * len(keys)
    waiting = [(0, len(keys), len(keys))]
    while waiting:
        start, stop, longest = waiting.pop()
        while start < stop and effort > 0:
            period = coming[start] - start
            same = 0
            while (
                0 < period < longest
                and start + same + period < stop
                and keys[start + same] == keys[start + same + period]
            ):
                same += 1
            effort -= same + 1
            count = same // period + 1 if period else 1
            if count > 1:
                yield start, period, count
                rounds = [start + k * period for k in range(count)]
                waiting += [(at, at + period, period) for at in reversed(rounds) if period > 3]
                start += period * count
            else:
                start += 1


# ---- calls and big nodes ------------------------------------------------------------------


def _calls(gates: Sequence[TraceNode]) -> Iterator[Block]:
    """Library functions of several gates: np.polyval, np.cov."""
    members: list[int] = []
    origin = None
    for node in gates:
        if node.node.origin != origin:
            members, origin = [], node.node.origin
        members.append(node.index)
        if not node.expression.endswith(f": {node.gate}"):
            if len(members) > 1:
                yield Block(node.expression, "call", tuple(members))
            members = []


def _big(record: Record) -> Iterator[Block]:
    for number, group in enumerate(record.groups):
        members = tuple(sorted(node.index for node in group.members))
        yield Block(_named(group), "gate", members, group=number)


def _named(group: GroupFound) -> str:
    """The group's name; of a layer of a model also which one, as its parameters are called."""
    owners = {
        node.name.rpartition(".")[0]
        for node in group.inputs
        if node.is_input and node.name and "." in node.name
    }
    return f"{group.name} {owners.pop()}" if len(owners) == 1 else group.name
