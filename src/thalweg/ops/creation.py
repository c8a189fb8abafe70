"""New arrays: in the likeness of traced ones (``like=``: handles that assignment works on), and
ranges between traced ends. And what is asked about an array without its entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Diagonal, Kind
from thalweg.graph.node import Node, constant
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import align_batched, discrete, static
from thalweg.ops.index import as_array, from_list, holds_node
from thalweg.ops.shape import astype, laid_out, on_cpu

__all__: list[str] = []


def _plain(value: Any) -> Any:
    """An array of the same shape and dtype for a node; anything else as it is."""
    return value.value if type(value) is Node else value


# ---- in the likeness of ---------------------------------------------------------------------


def _constant_like(function: Callable[..., Any]) -> None:
    # (np.empty_like takes its first argument by position only.)
    @implements(function)
    def create(
        a: Any,
        dtype: Any = None,
        order: Any = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> Node:
        like = np.asarray(_plain(a))
        return constant(function(like, dtype=dtype, order=order, shape=shape, device=device))


_constant_like(np.zeros_like)
_constant_like(np.ones_like)
_constant_like(np.empty_like)


def _filled(shape: Any, fill_value: Any, dtype: Any, order: Any, device: Any) -> Node:
    """An array of one value, with its derivative if it has one."""
    on_cpu(device)
    if type(fill_value) is not Node:
        return constant(np.full(shape, fill_value, dtype, order))
    fill_value = fill_value if dtype is None else astype(fill_value, dtype)
    return laid_out(np.broadcast_to(fill_value, shape), order)


@implements(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Node:
    like = np.asarray(_plain(a))
    if order in ("A", "K"):  # as the model is laid out, where it is so in one of the two ways
        order = "F" if like.flags.fnc and shape is None else "C"
    dtype = like.dtype if dtype is None else dtype
    return _filled(like.shape if shape is None else shape, fill_value, dtype, order, device)


@implements(np.full)
def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None
) -> Node:
    return _filled(shape, fill_value, dtype, order, device)


def _constant(function: Callable[..., Any]) -> None:
    """A function whose only array argument is ``like=``."""
    name = f"np.{function.__name__}"

    @implements(function)
    def create(*args: Any, **kwargs: Any) -> Node:
        static(name, **{f"argument {i}": value for i, value in enumerate(args)}, **kwargs)
        return constant(function(*args, **kwargs))


for _name in ("zeros", "ones", "empty", "arange", "eye", "identity", "tri", "fromfunction",
              "frombuffer", "fromiter", "fromstring"):  # fmt: skip
    _constant(getattr(np, _name))


def _converted(x: Any, dtype: Any, order: Any, copy: bool | None) -> Any:
    """x as an array, as NumPy's functions make one of it."""
    target = None if dtype is None else np.dtype(dtype)
    if copy is False and not (type(x) is Node and target in (None, x.dtype)):
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    if not holds_node(x):
        return constant(np.array(x, target, order="K" if order is None else order))
    found = as_array(x)
    found = found if target in (None, found.dtype) else astype(found, target)
    return laid_out(found, order)


@implements(np.array)
def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    **newer: Any,
) -> Any:
    if newer.get("ndmax", 0):
        raise NoRuleError("np.array: no rule for ndmax=")
    found = _converted(object, dtype, order, copy)
    missing = ndmin - found.ndim
    return np.reshape(found, (1,) * missing + found.shape) if missing > 0 else found


@implements(np.asarray, np.asanyarray)
def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: bool | None = None
) -> Any:
    on_cpu(device)
    return _converted(a, dtype, order, copy)


@implements(np.ascontiguousarray)
def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
    return np.atleast_1d(_converted(a, dtype, "C", None))


# ---- ranges ---------------------------------------------------------------------------------


def _fractions(out: Any, num: int, endpoint: bool) -> Any:
    """How far along each sample is, for every axis of the ends to broadcast against."""
    steps = max(num - 1 if endpoint else num, 1)
    return np.reshape(np.arange(num) / steps, (num, *(1,) * (len(out.shape) - 1)))


def _linspace_local(i: int, out: Any, start: Any, stop: Any, num: int, endpoint: bool) -> Kind:
    part = _fractions(out, num, endpoint)
    return Diagonal(part if i else 1 - part)


def _geomspace_local(i: int, out: Any, start: Any, stop: Any, num: int, endpoint: bool) -> Kind:
    # out = start^(1 − t) stop^t
    part = _fractions(out, num, endpoint)
    return Diagonal(out * part / stop if i else out * (1 - part) / start)


def _lower_linspace(b: Any, out: Any, start: Any, stop: Any, num: int, endpoint: bool) -> Any:
    """As NumPy: start + k · step, or k/div · delta where a step would underflow to 0."""
    start, stop = b.tensor(start, out.dtype), b.tensor(stop, out.dtype)
    if num == 0:
        return b.const(0, start.kind, out.shape)
    delta = b.subtract(stop, start)
    places = b.iota((num, *(1,) * delta.ndim), 0, start.kind)
    div = num - 1 if endpoint else num
    if div > 0:
        step = b.divide(delta, float(div))
        flat = b.equal(step, 0.0)
        lost = b.reduce("or", flat, range(flat.ndim))
        by_ratio = b.multiply(b.divide(places, float(div)), delta)
        scaled = b.where(lost, by_ratio, b.multiply(places, step))
    else:
        scaled = b.multiply(places, delta)
    found = b.add(scaled, start)
    if endpoint and num > 1:
        found = b.where(b.equal(places, float(num - 1)), stop, found)
    return found


def _range(
    name: str, function: Callable[..., Any], local: Callable[..., Kind], lower: Any
) -> Primitive:
    """Samples between two ends, which broadcast; the samples' axis is in front."""

    def batch(operands: Any, batched: Any, params: Any) -> Any:
        return np.moveaxis(primitive(*align_batched(operands, batched), **params), 1, 0)

    primitive = register(
        Primitive(
            name=name,
            value=lambda start, stop, num, endpoint: function(start, stop, num, endpoint=endpoint),
            local=local,
            labels=Labels(name, rf"\operatorname{{{{{name}}}}}({{0}}, {{1}})"),
            batch=batch,
            lower=lower,
        )
    )
    return primitive


LINSPACE = _range("linspace", np.linspace, _linspace_local, _lower_linspace)
GEOMSPACE = _range(
    "geomspace", np.geomspace, _geomspace_local, "NumPy sets its ends and signs by their values"
)


def _ends(start: Any, stop: Any) -> tuple[Any, Any]:
    # Python numbers stay as they are: weak in promotion.
    return from_list(start), from_list(stop)


def _sampled(primitive: Primitive, start: Any, stop: Any, num: Any, endpoint: Any,
             dtype: Any, axis: int) -> Any:  # fmt: skip
    static(f"np.{primitive.name}", num=num)
    samples = primitive(*_ends(start, stop), num=int(num), endpoint=bool(endpoint))
    if dtype is not None:
        samples = np.floor(samples) if np.dtype(dtype).kind in "iu" else samples
        samples = astype(samples, dtype)
    return np.moveaxis(samples, 0, axis)


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    on_cpu(device)
    samples = _sampled(LINSPACE, start, stop, num, endpoint, dtype, axis)
    if not retstep:
        return samples
    steps = num - 1 if endpoint else num
    return samples, (stop - start) / steps if steps > 0 else np.nan


@implements(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    return _sampled(GEOMSPACE, start, stop, num, endpoint, dtype, axis)


@implements(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    if np.ndim(_plain(base)) > 0:
        raise NoRuleError("np.logspace: no rule for an array of bases")
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    powers = np.power(base, exponents)
    return powers if dtype is None else astype(powers, dtype)


# ---- asked without the entries ----------------------------------------------------------------


def _description(function: Callable[..., Any]) -> None:
    """A function of shapes and dtypes: what it gives is no array."""

    @implements(function)
    def describe(*args: Any, **kwargs: Any) -> Any:
        return function(*(_plain(x) for x in args), **{k: _plain(x) for k, x in kwargs.items()})


for _name in ("shape", "ndim", "size", "iscomplexobj", "isrealobj", "result_type", "can_cast",
              "common_type", "min_scalar_type", "may_share_memory", "shares_memory",
              "array_repr", "array_str", "array2string", "diag_indices_from",
              "tril_indices_from", "triu_indices_from"):  # fmt: skip
    _description(getattr(np, _name))


def _lower_close(
    b: Any, out: Any, x: Any, y: Any, names: Any, rtol: Any = 1e-5, atol: Any = 1e-8,
    equal_nan: Any = False,
) -> Any:  # fmt: skip
    """|x − y| ≤ atol + rtol |y| for finite y; what is equal is close."""
    x, y = b.common(x, y)
    if x.kind[0] != "f":
        b.refuse("closeness of integers")
    close = b.less_equal(b.absolute(b.subtract(x, y)), b.add(atol, b.multiply(rtol, b.absolute(y))))
    close = b.logical_or(b.logical_and(close, b.isfinite(y)), b.equal(x, y))
    return b.logical_or(close, b.logical_and(b.isnan(x), b.isnan(y))) if equal_nan else close


def _lower_all_close(b: Any, out: Any, *operands: Any, **params: Any) -> Any:
    close = _lower_close(b, out, *operands, **params)
    return b.reduce("and", close, range(close.ndim))


def _lower_array_equal(b: Any, out: Any, x: Any, y: Any, names: Any, equal_nan: Any = False) -> Any:
    x, y = b.tensor(x), b.tensor(y)
    if x.shape != y.shape:
        return b.const(False, "i1", ())
    same = b.elementwise("equal", out, (x, y))
    if equal_nan and x.kind[0] == y.kind[0] == "f":
        same = b.logical_or(same, b.logical_and(b.isnan(x), b.isnan(y)))
    return b.reduce("and", same, range(same.ndim))


def _lower_infinite(value: float) -> Callable[..., Any]:
    def lower(b: Any, out: Any, x: Any, names: Any) -> Any:
        return b.equal(x, value) if x.kind[0] == "f" else b.const(False, "i1", out.shape)

    return lower


for _name, _operands, _lower in (
    ("array_equal", ("a1", "a2"), _lower_array_equal),
    ("array_equiv", ("a1", "a2"), "it compares arrays of different shapes"),
    ("allclose", ("a", "b"), _lower_all_close),
    ("isclose", ("a", "b"), _lower_close),
    ("isin", ("element", "test_elements"), "it sorts, or builds a table"),
    ("isposinf", ("x",), _lower_infinite(np.inf)),
    ("isneginf", ("x",), _lower_infinite(-np.inf)),
):
    _boolean = "boolean: no derivative passes a comparison"
    discrete(getattr(np, _name), _operands, reason=_boolean, lower=_lower)
