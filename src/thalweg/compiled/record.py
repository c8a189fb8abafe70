"""Records: a graph and its executor, for one signature and branch."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

from thalweg.compiled.recording import Traced, as_operand
from thalweg.compiled.signature import Call, Form
from thalweg.execute.executor import Executor, GuardChanged
from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.tree import unflatten

__all__ = ["VARIES", "Cause", "Family", "Grouping", "Record"]

#: Stands for a result of the graph among the leaves of a result.
VARIES: Any = object()
_next_use = itertools.count(1).__next__
#: Different values of a Python int before it is tried as one that varies.
_MANY = 3


class Cause(NamedTuple):
    """Why a record was made.

    Attributes
    ----------
    kind : str
        ``"first"``, ``"arguments"``, ``"shape"``, ``"dtype"``, ``"layout"``, ``"value"``,
        ``"branch"`` or ``"again"``.
    where : str
        The leaf, or the line of the user's source.
    text : str
        In words.
    """

    kind: str
    where: str
    text: str


class Grouping:
    """Which Python numbers of a family vary, and the records made so.

    Attributes
    ----------
    floats : bool
        Whether Python floats and complex numbers vary, as NumPy's, and are no part of the key.
    ints : frozenset of int
        The leaves that are Python ints and vary, as np.int64.
    numbers : tuple of int
        The leaves that are Python numbers and do not vary: their values are the key.
    records : dict
        Key → records, the newest first. The tuples are replaced, never changed: calls read them
        without a lock.
    """

    __slots__ = ("floats", "ints", "numbers", "records")

    def __init__(self, forms: tuple[Form, ...], floats: bool, ints: frozenset[int]) -> None:
        self.floats = floats
        self.ints = ints
        self.numbers = tuple(
            [
                i
                for i, form in enumerate(forms)
                if form[0] == "number" and not _varies(i, form, floats, ints)
            ]
        )
        self.records: dict[tuple[Hashable, ...], tuple[Record, ...]] = {}

    def key(self, call: Call) -> tuple[Hashable, ...]:
        """The values of the Python numbers that do not vary: for floats as their digits."""
        leaves = call.leaves
        return tuple(
            [leaves[i] if type(leaves[i]) is int else repr(leaves[i]) for i in self.numbers]
        )

    def find(self, call: Call) -> tuple[Record, ...]:
        """The records for a call, the last used one first."""
        found = self.records.get(self.key(call) if self.numbers else (), ())
        if len(found) > 1:
            return tuple(sorted(found, key=lambda record: -record.used))
        return found

    def add(self, record: Record) -> None:
        """Keep a record; one of the same branch goes."""
        others = self.records.get(record.key, ())
        self.records[record.key] = (record, *[x for x in others if x.branch != record.branch])

    def drop(self, record: Record) -> None:
        """Let a record go."""
        kept = tuple([x for x in self.records.get(record.key, ()) if x is not record])
        if kept:
            self.records[record.key] = kept
        else:
            self.records.pop(record.key, None)


class Family:
    """Signatures that differ only in the values of Python numbers.

    Attributes
    ----------
    forms : tuple
        The forms of the leaves (`signature.Call`).
    paths : tuple
        Where each leaf stands in ``(args, kwargs)``.
    has_floats : bool
        Whether there are Python floats or complex numbers at all.
    grouping : Grouping
        Replaced as a whole, so that a call sees one or the other.
    """

    __slots__ = ("_seen", "forms", "grouping", "has_floats", "paths")

    def __init__(self, forms: tuple[Form, ...], paths: tuple[tuple[Any, ...], ...]) -> None:
        self.forms = forms
        self.paths = paths
        self.has_floats = any(form[0] == "number" and form[1] is not int for form in forms)
        self.grouping = Grouping(forms, True, frozenset())
        self._seen: dict[int, set[int]] = {}

    def positions(self, floats: bool, ints: Collection[int]) -> tuple[int, ...]:
        """The leaves that are inputs of the graph, if these Python numbers vary."""
        return tuple([i for i, form in enumerate(self.forms) if _varies(i, form, floats, ints)])

    def changing_ints(self, call: Call) -> list[int]:
        """Python ints that have had many values by now, each told once."""
        found = []
        for i, form in enumerate(self.forms):
            if form == ("number", int) and i not in self.grouping.ints:
                seen = self._seen.setdefault(i, set())
                if len(seen) < _MANY:
                    seen.add(call.leaves[i])
                    if len(seen) == _MANY:
                        found.append(i)
        return found

    def regroup(self, floats: bool, ints: frozenset[int]) -> None:
        """Say what varies from now on; records for another grouping go."""
        if (floats, ints) != (self.grouping.floats, self.grouping.ints):
            self.grouping = Grouping(self.forms, floats, ints)


def _varies(i: int, form: Form, floats: bool, ints: Collection[int]) -> bool:
    if form[0] != "number":
        return bool(form[0] != "static")
    return i in ints if form[1] is int else floats


class Record:
    """One signature and branch of a compiled function.

    Attributes
    ----------
    family, grouping : Family, Grouping
        Where it belongs.
    key : tuple
        The values of the leaves that are static numbers.
    cause : Cause
        Why it was made.
    number : int
        Grows with every record.
    graph : Graph
        From the leaves that vary to the results as it was recorded, without values.
    branch : tuple
        What Python asked on the way: origins and answers.
    positions : tuple of int
        Which leaves of the call are the inputs of the graph.
    statics : dict
        The values of the other leaves.
    structures : tuple
        The trees of the positional arguments, and of the keyword arguments.
    leaves, structure : tuple, Structure
        The leaves of the result, `VARIES` where they are results of the graph, and their tree.
    into : mapping
        Leaf of the result → leaf of the call whose memory it takes.
    zero_d : frozenset
        Leaves of the result that are arrays without axes; others without axes are NumPy scalars.
    executor : Executor
    calls : int
        Calls that it has served, those of a native entry not counted.
    """

    __slots__ = (
        "branch",
        "calls",
        "cause",
        "executor",
        "family",
        "graph",
        "grouping",
        "into",
        "key",
        "leaves",
        "number",
        "positions",
        "statics",
        "structure",
        "structures",
        "used",
        "zero_d",
    )

    def __init__(
        self,
        family: Family,
        call: Call,
        cause: Cause,
        traced: Traced,
        into: Mapping[int, int],
        executor: Executor,
    ) -> None:
        self.family = family
        self.grouping = family.grouping
        self.key = self.grouping.key(call)
        self.cause = cause
        self.graph: Graph = traced.graph.without_values()
        self.branch = tuple([(g.origin, _settled(g.answer)) for g in self.graph.guards])
        self.positions = traced.positions
        self.leaves: tuple[Any, ...] = tuple(
            [VARIES if type(x) is Node else x for x in traced.leaves]
        )
        self.structure = traced.structure
        self.into = into
        self.zero_d = frozenset(
            [
                k
                for k, x in enumerate(traced.leaves)
                if type(x) is Node and type(x.value) is np.ndarray and x.value.ndim == 0
            ]
        )
        self.statics = {
            i: x for i, x in enumerate(call.leaves) if i not in frozenset(traced.positions)
        }
        self.structures = (call.arguments, call.keywords)
        self.executor = executor
        self.calls = 0
        self.number = self.used = _next_use()

    def run(self, call: Call) -> Any:
        """The result of a call, or the guard that answers otherwise."""
        results = self.executor.run([as_operand(call.leaves[i]) for i in self.positions])
        return results if isinstance(results, GuardChanged) else self.give(call, results)

    def give(self, call: Call, results: tuple[Any, ...]) -> Any:
        """Results of the graph, and constants, in the tree that goes out."""
        self.calls += 1
        self.used = _next_use()
        rest = iter(results)
        given = []
        for k, leaf in enumerate(self.leaves):
            if leaf is VARIES:
                value = next(rest)
                given.append(np.asarray(value) if k in self.zero_d else value)
            elif k in self.into:
                target = call.leaves[self.into[k]]
                np.copyto(target, leaf)
                given.append(target)
            else:  # a constant, of which the caller may write to a copy
                given.append(np.array(leaf) if isinstance(leaf, np.ndarray) else leaf)
        return unflatten(self.structure, given)


def _settled(answer: Any) -> Hashable:
    """An answer as something that can be compared, and shown."""
    array = np.asarray(answer)
    return (array.shape, array.dtype.str, array.tobytes()) if array.ndim else array.item()
