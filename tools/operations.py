"""The table operation × concern: what each primitive states, and what its cases have shown."""

from __future__ import annotations

import collections
import functools
from typing import Any, NamedTuple

import numpy as np

import thalweg as tw
from tests.cases.case import Case
from tests.op_cases import CASES
from thalweg.graph.kinds import Chain
from thalweg.graph.node import Node
from thalweg.graph.primitive import PRIMITIVES, Primitive
from thalweg.tracing import run
from thalweg.tree import flatten, tree_map, unflatten

#: Primitives that every graph has; they stand for no operation.
STRUCTURAL = frozenset(["input", "constant", "item", "detach", "remat", "shape"])


#: What a built-in's name may have before a dot; a user's primitive has its module there.
_PREFIXES = frozenset(["np", "special", "linalg"])


def built_in() -> list[str]:
    """Names of our own primitives, those of SciPy's functions among them."""
    prefixes = ((name, name.rpartition(".")[0]) for name in PRIMITIVES)
    ours = [name for name, prefix in prefixes if not prefix or prefix in _PREFIXES]
    return sorted(name for name in ours if name not in STRUCTURAL)


class Seen(NamedTuple):
    """What running the op table showed about one primitive.

    Attributes
    ----------
    kinds : dict
        Operand position → names of the kinds that its local Jacobian had.
    cases : int
        Rows of the op table that name the primitive.
    missed : list of str
        Those rows whose call never made such a node: they test something else.
    """

    kinds: dict[int, set[str]]
    cases: int
    missed: list[str]


def call_of(case: Case, derivative: bool = False) -> list[Any]:
    """Leaves that the call of a case (or its backward pass) gives when it is traced."""
    operands = case.operands()
    leaves, structure = flatten(tuple(operands))
    floating = [i for i, x in enumerate(leaves) if np.asarray(x).dtype.kind in "fc"]

    def call(*variables: Any) -> Any:
        full = list(leaves)
        for i, variable in zip(floating, variables, strict=True):
            full[i] = variable
        return case.call(*unflatten(structure, full))

    def backward(*variables: Any) -> Any:
        out, pull = tw.vjp(call, *variables)
        return pull(tree_map(np.ones_like, out))

    function = backward if derivative else call
    with np.errstate(all="ignore"):
        return run(function, [leaves[i] for i in floating], {}, range(len(floating))).outputs


def _made(case: Case) -> list[Node]:
    """The nodes of a case's call; of its backward pass, where the operation only stands there."""
    nodes = _ancestors(call_of(case))
    if all(node.primitive.name != case.op for node in nodes):
        nodes += _ancestors(call_of(case, derivative=True))
    return nodes


def _ancestors(outputs: list[Any]) -> list[Node]:
    seen: dict[int, Node] = {}
    stack = [node for node in outputs if type(node) is Node]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            stack.extend(x for x in node.operands if type(x) is Node)
    return list(seen.values())


def _kind_name(kind: Any) -> str:
    if type(kind) is Chain:
        return f"{_kind_name(kind.outer)} ∘ {_kind_name(kind.inner)}"
    return type(kind).__name__


@functools.cache
def observe() -> dict[str, Seen]:
    """Run every row of the op table once and note which kinds turn up."""
    kinds: dict[str, dict[int, set[str]]] = {
        name: collections.defaultdict(set) for name in PRIMITIVES
    }
    counts: collections.Counter[str] = collections.Counter()
    missed: dict[str, list[str]] = collections.defaultdict(list)
    for case in CASES:
        counts[case.op] += 1
        nodes = _made(case)
        if all(node.primitive.name != case.op for node in nodes):
            missed[case.op].append(case.id)
        for node in nodes:
            if not node.active:
                continue
            values = [x.value if type(x) is Node else x for x in node.operands]
            for i, operand in enumerate(node.operands):
                if type(operand) is Node and operand.active:
                    with np.errstate(all="ignore"):
                        kind = node.primitive.local(i, node.value, *values, **node.params)
                    kinds[node.primitive.name][i].add(_kind_name(kind))
    return {name: Seen(dict(kinds[name]), counts[name], missed[name]) for name in PRIMITIVES}


def is_flat(name: str) -> bool:
    """Whether no derivative was seen to get through the primitive."""
    kinds = observe()[name].kinds.values()
    return all(one <= {"Zero"} for one in kinds)


def _row(primitive: Primitive, seen: Seen) -> str:
    by_operand: dict[str, list[str]] = collections.defaultdict(list)
    for i in sorted(seen.kinds):
        by_operand[", ".join(sorted(seen.kinds[i]))].append(str(i))
    if len(by_operand) == 1:
        (local,) = by_operand
    else:
        local = "; ".join(f"{', '.join(i[:3])}: {k}" for k, i in by_operand.items())
    batch = "rule" if callable(primitive.batch) else f"one by one: {primitive.batch}"
    native = "yes" if callable(primitive.lower) else f"NumPy: {primitive.lower}"
    cells = (
        f"`{primitive.name}`",
        f"`{primitive.labels.gate}`",
        local or "none: no derivative flows",
        batch,
        native,
        primitive.domain.name,
        str(seen.cases),
    )
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def page() -> str:
    """docs/operations.md."""
    seen = observe()
    names = built_in()
    rows = [_row(PRIMITIVES[name], seen[name]) for name in names]
    return "\n".join(
        [
            "# Operations",
            "",
            "Generated by `python -m tools.pages`; CI compares. Every primitive, the form of its",
            "local Jacobian (by operand, as seen while the op table ran), how it is batched,",
            "whether compiled functions have native code for it (of real operands; else the",
            "reason why they call NumPy), where it is smooth, and its rows in the op table.",
            "",
            f"{len(names)} operations, {len(CASES)} cases.",
            "",
            "| operation | gate | local Jacobian | batching | native | domain of tests | cases |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
