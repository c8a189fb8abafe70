"""`audit`: inputs that the output does not depend on, and edges where a derivative ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph.graph import Graph, Guard, between
from thalweg.graph.kinds import Scale, Zero
from thalweg.graph.node import Node
from thalweg.ops.structural import DETACH, ITEM
from thalweg.report.arguments import inputs_of
from thalweg.report.source import Sources
from thalweg.tracing import check_function, run

__all__ = ["Audit", "Cut", "Unused", "audit"]

USUAL, CHECK = "usual", "check"

#: Operations whose integer operands say where, not how much.
_INDEXING = frozenset({"getitem", "setitem", "add_at", "take", "take_along_axis", "put_along_axis"})


class Unused(NamedTuple):
    """An input whose gradient is zero whatever its value.

    Attributes
    ----------
    name : str
    reason : str
    """

    name: str
    reason: str


class Cut(NamedTuple):
    """A place where a value goes on and its derivative does not.

    Attributes
    ----------
    category : str
        ``"comparison"``, ``"cast"``, ``"integer"``, ``"piecewise constant"``, ``"detach"``,
        ``"branch"`` (a Python ``if``), ``"value"`` (Python took the number) or ``"zero"``.
    reason : str
        The same in words.
    gate, expression, file, line
        Where.
    inputs : tuple of str
        The inputs behind it.
    severity : {"usual", "check"}
        ``"usual"`` for what most code does on purpose (a mask, a branch, an index, `detach`), as
        long as every input behind it also has a way around; otherwise ``"check"``.
    """

    category: str
    reason: str
    gate: str
    expression: str
    file: str | None
    line: int | None
    inputs: tuple[str, ...]
    severity: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file else "unknown place"
        return (
            f"{self.category}: {self.expression or self.gate} at {where}\n"
            f"      {self.reason} (of {', '.join(self.inputs)})"
        )


@dataclass(frozen=True)
class Audit:
    """What was found; true where something deserves a look.

    Attributes
    ----------
    function : str
    unused : tuple of Unused
        Inputs that the output does not depend on, or only through cuts.
    cuts : tuple of Cut
        Every cut on a way from an input to the output, the usual ones too.
    """

    function: str
    unused: tuple[Unused, ...]
    cuts: tuple[Cut, ...]

    def __bool__(self) -> bool:
        return bool(self.unused) or any(cut.severity == CHECK for cut in self.cuts)

    def __str__(self) -> str:
        if not self.unused and not self.cuts:
            return f"audit of {self.function}: every input reaches the output, nothing is cut"
        lines = [f"audit of {self.function}:"]
        if self.unused:
            lines.append("  inputs without influence on the derivative:")
            lines += [f"    {name}: {reason}" for name, reason in self.unused]
        for severity, title in ((CHECK, "cut, look at these:"), (USUAL, "cut, as is usual:")):
            cuts = [cut for cut in self.cuts if cut.severity == severity]
            if cuts:
                lines += [f"  {title}", *(f"    {cut}" for cut in cuts)]
        return "\n".join(lines)

    __repr__ = __str__


def audit(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Audit:
    """Run `f` once and list what carries no derivative: unused inputs and cut edges.

    A gradient of zero is often right and sometimes a mistake that nothing announces: an
    integer cast, a rounding, a comparison used as a number, a detached value. This says where.

    Parameters
    ----------
    f : callable
    *args, **kwargs
        Its arguments; their floating leaves are the inputs.

    Returns
    -------
    Audit

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> def loss(x, y, z):
    ...     return x * np.round(y) + z
    >>> found = tw.audit(loss, 1.5, 2.5, 3.0)
    >>> bool(found), [u.name for u in found.unused], [c.category for c in found.cuts]
    (True, ['y'], ['piecewise constant'])
    """
    check_function(f, "audit(f, x)")
    names, call, leaves = inputs_of(f, args, kwargs)
    traced = run(call, leaves, {}, range(len(leaves)), names=names)
    graph = between(traced.inputs, traced.outputs, traced.guards)
    survey = _Survey(graph, names)
    return Audit(
        getattr(f, "__name__", type(f).__name__), tuple(survey.unused()), tuple(survey.cuts)
    )


class _Survey:
    """Which nodes each input reaches, with and without a derivative."""

    def __init__(self, graph: Graph, names: list[str]) -> None:
        self.names = names
        self.inputs = graph.inputs
        #: Inputs that a value depends on, one bit each.
        self.behind: dict[Node, int] = {x: 1 << i for i, x in enumerate(graph.inputs)}
        for node in graph.nodes:
            self.behind[node] = _union(self.behind.get(x, 0) for x in _nodes(node.operands))
        self.uses: dict[Node, list[Node]] = {}
        for node in graph.nodes:
            for x in _nodes(node.operands):
                self.uses.setdefault(x, []).append(node)
        outputs = _nodes(graph.outputs)
        self.reaching = _walk(outputs, lambda node: _nodes(node.operands))
        self.ended: dict[tuple[Node, int], tuple[str, str]] = {}
        for node in graph.nodes:
            if node in self.reaching:
                self._look(node)
        flowing = _walk([x for x in outputs if x.active], self._flowing)
        self.live = _union(self.behind[x] for x in self.inputs if x in flowing)
        self.sources = Sources()
        self.cuts = [*self._ends(), *self._questions(graph.guards)]

    def _look(self, node: Node) -> None:
        """Note the edges into `node` along which a derivative arrives and ends."""
        for i, x in enumerate(node.operands):
            if type(x) is Node and x.active and x in self.behind:
                ended = _why(node, i)
                if ended is not None:
                    self.ended[node, i] = ended

    def _flowing(self, node: Node) -> list[Node]:
        return [
            x
            for i, x in enumerate(node.operands)
            if type(x) is Node and x.active and (node, i) not in self.ended
        ]

    def _ends(self) -> Iterable[Cut]:
        for (node, i), (category, reason) in self.ended.items():
            behind = self.behind[node.operands[i]]
            usual = category in ("comparison", "detach") or (
                category in ("integer", "cast") and self._is_index(node)
            )
            yield self._cut(node, category, reason, behind, usual)

    def _is_index(self, node: Node) -> bool:
        """Whether an integer result is used to say where, and for nothing else."""
        waiting, seen = [node], set()
        while waiting:
            node = waiting.pop()
            for user in self.uses.get(node, ()):
                if user.primitive.name in _INDEXING and user.operands[0] is not node:
                    continue
                if user.primitive.outputs or user.dtype.kind in "fc":
                    return False
                if user not in seen:
                    seen.add(user)
                    waiting.append(user)
        return True

    def _questions(self, guards: Iterable[Guard]) -> Iterable[Cut]:
        """What Python asked of values: a branch chosen, a number taken."""
        told = set()
        for guard in guards:
            behind = self.behind.get(guard.node, 0)
            if not behind or (key := (guard.origin, guard.node.origin)) in told:
                continue
            told.add(key)
            if isinstance(guard.answer, (bool, np.bool_)):
                category, reason = "branch", "Python chose a branch by this value"
            else:
                category, reason = "value", "Python took this value out as a number"
            yield self._cut(guard.node, category, reason, behind, True)

    def _cut(self, node: Node, category: str, reason: str, behind: int, usual: bool) -> Cut:
        place = self.sources.place(node.origin)
        names = tuple(name for i, name in enumerate(self.names) if behind >> i & 1)
        severity = USUAL if usual and behind & ~self.live == 0 else CHECK
        gate = node.primitive.labels.gate
        text = place.expression or gate
        return Cut(category, reason, gate, text, place.file, place.line, names, severity)

    def unused(self) -> Iterable[Unused]:
        """Inputs without a way to the output that a derivative can take."""
        for i, name in enumerate(self.names):
            if self.live >> i & 1:
                continue
            cuts = [cut for cut in self.cuts if name in cut.inputs]
            if cuts:
                through = "; ".join(f"{c.category} at line {c.line}" for c in cuts)
                yield Unused(name, f"it reaches the output only through cuts ({through})")
            else:
                yield Unused(name, "the output does not depend on it")


def _nodes(values: Iterable[Any]) -> list[Node]:
    return [x for x in values if type(x) is Node]


def _union(sets: Iterable[int]) -> int:
    total = 0
    for bits in sets:
        total |= bits
    return total


def _walk(start: Iterable[Node], step: Callable[[Node], list[Node]]) -> set[Node]:
    stack, seen = list(start), set()
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += step(node)
    return seen


def _why(node: Node, i: int) -> tuple[str, str] | None:
    """Why no derivative passes from operand i to `node` (category, reason); None: it does."""
    primitive = node.primitive
    if primitive is ITEM or primitive.name == "input":
        return None
    if primitive is DETACH:
        return "detach", "detached on purpose"
    if not primitive.outputs and node.dtype.kind == "b":
        return "comparison", "the result is true or false"
    if not primitive.outputs and node.dtype.kind not in "fc":
        if primitive.name == "astype":
            return "cast", f"cast to {node.dtype}"
        return "integer", f"the result is a whole number ({node.dtype})"
    values = [x.value if type(x) is Node else x for x in node.operands]
    with np.errstate(all="ignore"):
        kind = primitive.local(i, node.value, *values, **node.params)
    if type(kind) is Zero:
        return ("piecewise constant" if "piecewise" in kind.reason else "zero"), kind.reason
    if type(kind) is Scale and type(kind.factor) in (int, float) and kind.factor == 0:
        return "zero", "the derivative is zero"
    return None
