"""Every public NumPy function and its state, as the registry has it and the op table shows it."""

from __future__ import annotations

import collections
import contextlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.op_cases import CASES
from thalweg.array_callbacks import CALLBACKS
from thalweg.graph.node import Node, constant
from thalweg.graph.primitive import FUNCTIONS, UFUNC_METHODS, UFUNCS, Primitive
from thalweg.ops.assignment import REWRITES
from thalweg.tracing import run
from thalweg.tree import flatten
from tools.operations import call_of, is_flat

NAMESPACES = (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft))
_METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")


def public_functions() -> Iterator[tuple[str, Any]]:
    """(name, function) of every function and ufunc in np, np.linalg and np.fft."""
    for prefix, namespace in NAMESPACES:
        for name in sorted(namespace.__all__):
            function = getattr(namespace, name)
            if callable(function) and not isinstance(function, type):
                yield f"{prefix}.{name}", function


def dispatches(function: Any) -> bool:
    """Whether NumPy hands calls with traced arrays to us at all."""
    return isinstance(function, np.ufunc) or hasattr(function, "_implementation")


@contextmanager
def _watched(seen: dict[Any, set[frozenset[str]]]) -> Iterator[None]:
    """While it lasts, calls of the implementations note which primitives each call applied."""
    inside = [False]

    def watch(key: Any, implementation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if inside[0]:
                return implementation(*args, **kwargs)
            first = constant(np.float64(0.0)).sequence
            inside[0] = True
            try:
                result = implementation(*args, **kwargs)
            finally:
                inside[0] = False
            seen[key].add(_applied(result, first))
            return result

        return call

    tables = (UFUNCS, FUNCTIONS, UFUNC_METHODS)
    before: list[dict[Any, Any]] = [dict(table) for table in tables]
    try:
        for table in tables:
            for key, implementation in list(table.items()):
                table[key] = watch(key, implementation)  # type: ignore[index]
        yield
    finally:
        for table, kept in zip(tables, before, strict=True):
            table.update(kept)


def _applied(result: Any, first: int) -> frozenset[str]:
    """Primitives of the active nodes made since sequence `first`; empty: nothing carries on."""
    stack = [x for x in flatten(result)[0] if type(x) is Node]
    names = set()
    while stack:
        node = stack.pop()
        if node.sequence <= first or not node.active:
            continue
        names.add(node.primitive.name)
        stack.extend(x for x in node.operands if type(x) is Node)
    return frozenset(names - {"item"})


def observe() -> dict[Any, set[frozenset[str]]]:
    """Function → the sets of primitives that its calls in the op table came down to."""
    seen: dict[Any, set[frozenset[str]]] = collections.defaultdict(set)
    with _watched(seen):
        for case in CASES:
            call_of(case)
        for function in [f for f in FUNCTIONS if f not in seen]:
            _probe(function)
    return seen


def _probe(function: Any) -> None:
    """Call what no case spells (aliases, questions about shapes) the simplest way that works."""
    square = np.array([[2.0, 0.5], [0.5, 3.0]])
    for arguments in ((), (square,), (np.float64,)):
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("error")  # a deprecated name is not another function's use
            run(lambda x, rest=arguments: (function(x, *rest), x)[1], [square], {}, [0])
            return


def state(function: Any, seen: dict[Any, set[frozenset[str]]]) -> tuple[str, str]:
    """(state, detail) of one function."""
    if not dispatches(function):
        return "outside", ""
    if function in REWRITES:
        return "in place", ""
    if function in CALLBACKS:
        return "composite", "what the function that it gets is made of"
    table = UFUNCS if isinstance(function, np.ufunc) else FUNCTIONS
    implementation = table.get(function)
    if implementation is None:
        return "no rule", ""
    if isinstance(implementation, Primitive):
        names = {implementation.name}
    else:
        if not seen.get(function):
            return "implemented", "not in the op table"
        names = set().union(*seen[function])
    if all(is_flat(name) for name in names):
        return "values only", "no derivative flows"
    by = ", ".join(f"`{name}`" for name in sorted(names))
    one = len(names) == 1 and all(len(call) <= 1 for call in seen[function])
    return "rule" if one else "composite", ", ".join(filter(None, [by, _methods(function)]))


def _methods(function: Any) -> str:
    found = [m for m in _METHODS if (function, m) in UFUNC_METHODS]
    return "also " + ", ".join(f"`.{m}`" for m in found) if found else ""


_LEGEND = """\
- **rule**: an operation of its own, with a local Jacobian
- **composite**: written with others; the derivative follows from theirs
- **values only**: works on traced arrays, but its result has derivative zero wherever it has one
- **in place**: writes to a traced array, as [assignment](assignment.md) does
- **implemented**: works on traced arrays; no case of the op table has it
- **no rule**: a traced array raises `NoRuleError`, which shows how to add a rule
- **outside**: NumPy does not hand the call over (creation from plain data, files, settings); a
  traced array raises `TracingError` where its gradient would be lost"""


def page() -> str:
    """docs/numpy.md."""
    seen = observe()
    states = {name: state(function, seen) for name, function in public_functions()}
    counts = collections.Counter(found for found, _ in states.values())
    version = ".".join(np.__version__.split(".")[:2])
    lines = [
        "# NumPy's functions",
        "",
        f"Every public function of NumPy {version} and its state. Generated by",
        "`python -m tools.pages` from the registry and from running the op table; CI compares.",
        "",
        _LEGEND,
        "",
        ", ".join(f"{counts[key]} {key}" for key in sorted(counts)) + ".",
    ]
    for prefix, _ in NAMESPACES:
        lines += ["", f"## {prefix}", "", "| function | state | by |", "|---|---|---|"]
        for name, (found, detail) in states.items():
            if name.rpartition(".")[0] == prefix:
                lines.append(f"| `{name}` | {found} | {detail} |")
    return "\n".join([*lines, ""])
