"""What the members of a family share: shape rule, local Jacobian's form, batching."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import IDENTITY, Diagonal, Kind, Scale, Zero
from thalweg.graph.node import Node
from thalweg.graph.primitive import REALS, Domain, Labels, Primitive, implements, register
from thalweg.ops._checks import settled_shape

__all__ = [
    "align_batched",
    "discrete",
    "elementwise",
    "front",
    "interval",
    "piecewise_constant",
    "static",
]


def interval(low: float, high: float, *more: tuple[float, float], name: str = "") -> Domain:
    """The open interval (low, high) as a domain; `more` for the operands after the first."""
    return Domain(name or f"({low:g}, {high:g})", ((low, high), *more))


def front(value: Any, ndim: int) -> Any:
    """A batched operand with axes of size 1 after the batch axis, up to `ndim` without it."""
    missing = ndim - (np.ndim(value.value if type(value) is Node else value) - 1)
    if missing <= 0:
        return value
    shape = value.shape
    return np.reshape(value, (shape[0], *(1,) * missing, *shape[1:]))


def align_batched(operands: tuple[Any, ...], batched: tuple[bool, ...]) -> tuple[Any, ...]:
    """Operands of an operation that broadcasts, with the batch axis in front of all of them."""
    ndims = [
        np.ndim(x.value if type(x) is Node else x) - int(b)
        for x, b in zip(operands, batched, strict=True)
    ]
    ndim = max(ndims)
    return tuple(front(x, ndim) if b else x for x, b in zip(operands, batched, strict=True))


def _batch_elementwise(primitive: list[Primitive]) -> Callable[..., Any]:
    def batch(operands: tuple[Any, ...], batched: tuple[bool, ...], params: dict[str, Any]) -> Any:
        return primitive[0](*align_batched(operands, batched), **params)

    return batch


def _constant_kind(partial: Any) -> Kind:
    return IDENTITY if partial == 1 else Scale(partial)


def elementwise(
    name: str,
    value: Callable[..., Any],
    partials: tuple[Any, ...],
    *,
    tex: str,
    gate: str | None = None,
    ufunc: Any = None,
    domain: Domain = REALS,
    lower: Callable[..., Any] | str | None = None,
) -> Primitive:
    """Declare an elementwise operation over NumPy's broadcasting.

    Parameters
    ----------
    partials : tuple
        One an operand: a number (a constant partial), a `Kind`, or a callable ``(out, *operands)``
        that gives ∂out/∂operand as an array broadcastable to out, or a kind. Written in NumPy.
    ufunc : numpy.ufunc, optional
        The ufunc that user code spells it with; `value` itself where that is one.
    lower : callable or str, optional
        As on the record; by default the scalar function of this name, if native code has one.
    """
    rules = tuple(_rule(partial, len(partials)) for partial in partials)

    def local(i: int, out: Any, *operands: Any, **params: Any) -> Kind:
        return rules[i](out, *operands, **params)

    holder: list[Primitive] = []
    primitive = Primitive(
        name=name,
        value=value,
        local=local,
        labels=Labels(gate or name, tex),
        batch=_batch_elementwise(holder),
        domain=domain,
        rules=rules,
        lower=_scalar_function(name) if lower is None else lower,
    )
    holder.append(primitive)
    if ufunc is None and isinstance(value, np.ufunc):
        ufunc = value
    return register(primitive, ufunc)


def _scalar_function(name: str) -> Callable[..., Any]:
    """The lowering of an elementwise operation: `name` of native code's scalar functions."""

    def lower(b: Any, out: Any, *operands: Any, **params: Any) -> Any:
        return b.elementwise(name, out, operands)

    return lower


def _rule(partial: Any, count: int) -> Callable[..., Kind]:
    """A partial derivative of `count` operands as a function that gives a kind.

    One and two operands are spelled out: packing them into a tuple costs as much as the rule.
    """
    if isinstance(partial, (int, float)):
        partial = _constant_kind(partial)
    if type(partial) in _KINDS:
        if count <= 2:
            return lambda out, x=None, y=None, **params: partial
        return lambda out, *operands, **params: partial

    def one(out: Any, x: Any, **params: Any) -> Kind:
        entries = partial(out, x, **params) if params else partial(out, x)
        return _new(Diagonal, (entries,)) if type(entries) is np.ndarray else _as_kind(entries)

    def two(out: Any, x: Any, y: Any, **params: Any) -> Kind:
        entries = partial(out, x, y, **params) if params else partial(out, x, y)
        return _new(Diagonal, (entries,)) if type(entries) is np.ndarray else _as_kind(entries)

    def several(out: Any, *operands: Any, **params: Any) -> Kind:
        return _as_kind(partial(out, *operands, **params))

    by_count: dict[int, Callable[..., Kind]] = {1: one, 2: two}
    return by_count.get(count, several)


def _as_kind(entries: Any) -> Kind:
    """What a rule gave: a number, entries, or a kind already."""
    form = type(entries)
    if form in _SCALARS:
        return _constant_kind(entries)
    return entries if form in _KINDS else Diagonal(entries)


_SCALARS = frozenset((int, float, complex, bool))
_new = tuple.__new__  # what Diagonal(entries) does, at half the cost: this is the hot path
_KINDS = frozenset(Kind.__args__)


def piecewise_constant(
    name: str,
    value: Callable[..., Any],
    operands: int,
    *,
    tex: str,
    gate: str | None = None,
    ufunc: Any = None,
    domain: Domain = REALS,
    reason: str = "piecewise constant",
    lower: Callable[..., Any] | str | None = None,
) -> Primitive:
    """Declare an elementwise operation whose derivative is zero wherever it exists."""
    zero = Zero(f"{gate or name} is {reason}")
    return elementwise(
        name,
        value,
        (zero,) * operands,
        tex=tex,
        gate=gate,
        ufunc=ufunc,
        domain=domain,
        lower=lower,
    )


def static(function: str, **arguments: Any) -> None:
    """Check that arguments which shape the computation are not traced.

    Raises
    ------
    NoRuleError
        Naming the argument that is.
    """
    for name, value in arguments.items():
        parts = value if isinstance(value, (list, tuple)) else (value,)
        if Node in map(type, parts):
            raise NoRuleError(
                f"{function}: no rule for a traced {name}. Where no derivative with respect to it "
                f"is meant, pass thalweg.detach({name}) as a number: int(…), float(…) or "
                "np.asarray(…) of it."
            )


def discrete(
    function: Callable[..., Any],
    operands: tuple[str, ...],
    *,
    reason: str,
    lower: Callable[..., Any] | str,
    tex: str | None = None,
    open_shape: bool = False,
) -> Primitive:
    """Declare a NumPy function whose result is integer or boolean: no derivative passes it.

    Its result is a node all the same: what Python asks of it becomes a guard.

    Parameters
    ----------
    operands : tuple of str
        Names of the parameters of `function` that may be traced; the others are static.
    lower : callable or str
        As on the record.
    open_shape : bool
        The shape of the result depends on values: it becomes a guard too.
    """
    name = function.__name__
    signature = inspect.signature(function)
    zero = Zero(reason)

    def value(*arrays: Any, names: tuple[str, ...], **params: Any) -> Any:
        return np.asarray(function(**dict(zip(names, arrays, strict=True)), **params))[()]

    primitive = register(
        Primitive(
            name=name,
            value=value,
            local=lambda i, out, *arrays, **params: zero,
            labels=Labels(name, tex or rf"\operatorname{{{{{name}}}}}({{args}})"),
            batch="its arguments mean one example",
            lower=lower,
        )
    )

    @implements(function)
    def implementation(*args: Any, **kwargs: Any) -> Any:
        params = dict(signature.bind(*args, **kwargs).arguments)
        params.pop("out", None)  # served by the handle
        names = tuple(key for key in operands if key in params)
        arrays = [params.pop(key) for key in names]
        static(f"np.{name}", **params)
        result = primitive(*arrays, names=names, **params)
        return settled_shape(result) if open_shape else result

    return primitive
