"""The record of a primitive and the registry: which name, ufunc or NumPy function means what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import InternalError
from thalweg.graph.kinds import Kind

__all__ = [
    "FUNCTIONS",
    "LOADERS",
    "PRIMITIVES",
    "UFUNCS",
    "UFUNC_METHODS",
    "Domain",
    "Labels",
    "Primitive",
    "find",
    "implements",
    "implements_ufunc_method",
    "lookup",
    "register",
]


@dataclass(frozen=True, slots=True)
class Labels:
    """How a primitive is shown: the gate's name and a TeX template over its operands.

    The template uses ``{0}``, ``{1}`` … for operands and ``{args}`` for all of them joined.
    """

    gate: str
    tex: str


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a primitive is smooth, one open interval an operand (the last one repeats)."""

    name: str
    intervals: tuple[tuple[float, float], ...]

    def interval(self, position: int) -> tuple[float, float]:
        """The interval of the operand at `position`."""
        return self.intervals[min(position, len(self.intervals) - 1)]


REALS = Domain("reals", ((-np.inf, np.inf),))


@dataclass(frozen=True, eq=False, slots=True)
class Primitive:
    """An operation the graph knows: its value, and its local Jacobian. The rest is derived.

    Parameters
    ----------
    name : str
        Unique name in the registry.
    value : callable
        ``value(*operands, **params)`` on NumPy values, gives the NumPy result (a tuple where
        `outputs` > 0).
    local : callable
        ``local(i, out, *operands, **params)`` gives the `Kind` of ∂out/∂operand i. It is written
        with NumPy functions and operators and receives either graph nodes (and so builds graph) or
        plain values: it never looks at entries.
    labels : Labels
        How the gate is shown.
    batch : callable or str
        ``batch(operands, batched, params)``: the result with a batch axis in front, where the
        operands with ``batched[i]`` have one. A string says why there is none; the operation is
        then done example by example, as it is where the rule gives NotImplemented.
    domain : Domain
        Where it is smooth: tests draw their points from it.
    outputs : int
        0: one array. k > 0: a tuple of k arrays (picked apart by `item`); −1: of as many as the
        call gives.
    rules : tuple of callable, optional
        `local` taken apart by operand, ``rules[i](out, *operands, **params)``: a short cut for the
        hot path of elementwise operations.
    lower : callable or str
        ``lower(b, out, *operands, **params)``: the same value as tensors of native code, built with
        `thalweg.execute.native.builder.Builder`; `out` has the result's shape and dtype. A string
        says why there is none; compiled functions then call `value`.
    """

    name: str
    value: Callable[..., Any]
    local: Callable[..., Kind]
    labels: Labels
    batch: Callable[..., Any] | str
    domain: Domain = REALS
    outputs: int = 0
    rules: tuple[Callable[..., Kind], ...] = ()
    lower: Callable[..., Any] | str = "it has no native code"

    def __call__(self, *operands: Any, **params: Any) -> Any:
        return _apply(self, operands, params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _apply(primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
    raise InternalError("thalweg.graph.node was not imported")


PRIMITIVES: dict[str, Primitive] = {}
#: NumPy (and SciPy) ufuncs, called plainly.
UFUNCS: dict[Any, Callable[..., Any]] = {}
#: (ufunc, "reduce" | "accumulate" | "outer" | …) → implementation over nodes.
UFUNC_METHODS: dict[tuple[Any, str], Callable[..., Any]] = {}
#: Functions that come in by __array_function__ → implementation over nodes.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
#: Called when a function without a rule comes in: they import the modules of rules that are too
#: expensive to import beforehand (SciPy's). The package's `__init__` fills it.
LOADERS: list[Callable[[], Any]] = []


def find(table: dict[Any, Callable[..., Any]], key: Any) -> Callable[..., Any] | None:
    """The entry of `key` in one of the tables above, after loading what can be loaded."""
    found = table.get(key)
    if found is None:
        for load in LOADERS:
            load()
        found = table.get(key)
    return found


def register(primitive: Primitive, ufunc: Any = None) -> Primitive:
    """Enter `primitive` under its name (and its ufunc); the name must be new.

    Raises
    ------
    InternalError
        If the name is taken or a field has the wrong form.
    """
    if primitive.name in PRIMITIVES:
        raise InternalError(f"primitive {primitive.name!r} is registered twice")
    if not (callable(primitive.value) and callable(primitive.local)):
        raise InternalError(f"primitive {primitive.name!r}: value and local must be callable")
    if not callable(primitive.batch) and not (isinstance(primitive.batch, str) and primitive.batch):
        raise InternalError(f"primitive {primitive.name!r}: batch needs a rule or a reason")
    PRIMITIVES[primitive.name] = primitive
    if ufunc is not None:
        if ufunc in UFUNCS:
            raise InternalError(f"{ufunc} is registered twice")
        UFUNCS[ufunc] = primitive
    return primitive


def lookup(name: str) -> Primitive:
    """The primitive called `name`: the one place where an operation is found by name."""
    return PRIMITIVES[name]


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the function below stands for these NumPy functions when a node comes in.

    It is called with nodes (or values) where the user gave traced arrays, and returns nodes.
    """

    def enter(implementation: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            table = UFUNCS if isinstance(function, np.ufunc) else FUNCTIONS
            if function in table:
                raise InternalError(f"{function} is implemented twice")
            table[function] = implementation
        return implementation

    return enter


def implements_ufunc_method(
    ufunc: np.ufunc, method: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the function below stands for ``ufunc.method`` (reduce, accumulate, outer, …)."""

    def enter(implementation: Callable[..., Any]) -> Callable[..., Any]:
        if (ufunc, method) in UFUNC_METHODS:
            raise InternalError(f"{ufunc}.{method} is implemented twice")
        UFUNC_METHODS[ufunc, method] = implementation
        return implementation

    return enter
