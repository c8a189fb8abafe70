"""`Array`: the handle that user code touches while a function is traced.

It behaves as a NumPy array: operators, methods, ``np.`` functions, indexing, assignment. Each
operation makes a node; assignment (``x[i] = v``, ``x += v``) moves the handle on to a new node.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from thalweg.errors import DtypeError, TracingError
from thalweg.graph.node import (
    Node,
    apply,
    call_function,
    call_ufunc,
    constant,
    describe_origin,
    user_frame,
)
from thalweg.graph.primitive import PRIMITIVES, UFUNCS, Primitive
from thalweg.guards import record_guard
from thalweg.ops import arithmetic, compare, contract  # noqa: F401 - operators need their gates
from thalweg.ops.index import getitem, setitem
from thalweg.ops.shape import astype

__all__ = ["Array", "unwrap", "wrap"]

_SCALARS = (int, float, complex, bool)


class Array:
    """A traced array: what your function receives instead of a NumPy array.

    It has the value that NumPy would have computed (`print` shows it), and remembers how it was
    made. To take a value out of the graph on purpose, use `thalweg.detach`.
    """

    __slots__ = ("__weakref__", "_node")
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, node: Node) -> None:
        self._node = node

    # ---- what it is ---------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._node.value.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self._node.value.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._node.value.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self._node.value.size)

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return int(self._node.value.nbytes)

    @property
    def itemsize(self) -> int:
        """Bytes of one entry."""
        return int(self._node.value.itemsize)

    @property
    def T(self) -> Any:
        """The transpose."""
        return np.transpose(self)  # type: ignore[call-overload]

    @property
    def mT(self) -> Any:
        """The last two axes swapped."""
        return np.swapaxes(self, -1, -2)  # type: ignore[call-overload]

    @property
    def real(self) -> Any:
        """The real part."""
        return np.real(self)  # type: ignore[call-overload]

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return np.imag(self)  # type: ignore[call-overload]

    @property
    def flat(self) -> Any:
        """The entries in C order."""
        return iter(np.ravel(self))  # type: ignore[call-overload]

    def __repr__(self) -> str:
        gate = self._node.primitive.labels.gate
        return f"Array({np.array2string(np.asarray(self._node.value))}, gate={gate!r})"

    def __str__(self) -> str:
        return str(self._node.value)

    def __format__(self, spec: str) -> str:
        return format(self._node.value, spec)

    def __len__(self) -> int:
        return len(self._node.value)

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return iter([self[i] for i in range(len(self))])

    # ---- values that Python asks for ----------------------------------------------------

    def __bool__(self) -> bool:
        return bool(record_guard(self._node, bool(self._node.value)))

    def _settled(self, wanted: str) -> Any:
        """The value, if no derivative can be lost by handing it out; it becomes a guard."""
        node = self._node
        if node.active:
            frame = user_frame(3)
            raise TracingError(
                f"{wanted} at {frame.f_code.co_filename}:{frame.f_lineno} would take a traced value"
                f" (gate '{node.primitive.labels.gate}', shape {self.shape}, made at"
                f" {describe_origin(node.origin)}) out of the graph, and its gradient with it.\n"
                "  Wrong:  buffer = np.zeros(3); buffer[0] = x      math.sin(x)      float(x)\n"
                "  Right:  buffer = np.zeros(3, like=x); …          np.sin(x)        x\n"
                "If it should count as a constant, say so: thalweg.detach(x)."
            )
        return record_guard(node, node.value)

    def __float__(self) -> float:
        return float(self._settled("float(x)"))

    def __int__(self) -> int:
        return int(self._settled("int(x)"))

    def __index__(self) -> int:
        return operator.index(self._settled("using x as an index"))

    def __complex__(self) -> complex:
        return complex(self._settled("complex(x)"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._settled("np.asarray(x)"), dtype=dtype)

    def item(self, *args: Any) -> Any:
        """The value as a Python scalar: only of values that carry no gradient."""
        return self._settled("x.item()").item(*args)

    def tolist(self) -> Any:
        """The value as Python lists: only of values that carry no gradient."""
        return self._settled("x.tolist()").tolist()

    # ---- NumPy's protocols --------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not kwargs and method == "__call__":  # the hot path: a plain call of a known ufunc
            primitive = UFUNCS.get(ufunc)
            if type(primitive) is Primitive:
                operands = tuple([_operand(x) for x in inputs])
                for operand in operands:
                    if operand is NotImplemented:
                        return NotImplemented  # NumPy then names the types
                return Array(apply(primitive, operands))
        if kwargs:
            out = kwargs.get("out")
            if out is not None:
                return _into(out, call_ufunc(ufunc, method, unwrap(inputs), unwrap(kwargs)))
            kwargs = unwrap(kwargs)
        return wrap(call_ufunc(ufunc, method, unwrap(inputs), kwargs))

    def __array_function__(
        self, function: Callable[..., Any], _types: Any, args: Any, kwargs: Any
    ) -> Any:
        out = kwargs.get("out") if kwargs else None
        if out is not None:
            kwargs = {key: value for key, value in kwargs.items() if key != "out"}
            return _into((out,), call_function(function, unwrap(args), unwrap(kwargs)))
        return wrap(call_function(function, unwrap(args), unwrap(kwargs)))

    # ---- indexing and assignment --------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return Array(getitem(self._node, unwrap(index)))

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(self._node.value, np.ndarray):
            raise TypeError(
                f"'{type(self._node.value).__name__}' object does not support item assignment"
            )
        self._node = setitem(self._node, unwrap(index), unwrap(value))

    # ---- methods whose arguments differ from the function's ------------------------------

    def reshape(self, *shape: Any, order: Any = "C") -> Any:
        """As `numpy.ndarray.reshape`."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)  # type: ignore[call-overload]

    def transpose(self, *axes: Any) -> Any:
        """As `numpy.ndarray.transpose`."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            return np.transpose(self, axes[0])  # type: ignore[call-overload]
        return np.transpose(self, axes or None)  # type: ignore[call-overload]

    def flatten(self, order: Any = "C") -> Any:
        """As `numpy.ndarray.flatten`."""
        return np.ravel(self, order=order)  # type: ignore[call-overload]

    def astype(self, dtype: Any, **_kwargs: Any) -> Any:
        """As `numpy.ndarray.astype`; the gradient comes back in the old dtype."""
        return Array(astype(self._node, dtype))

    def copy(self, order: Any = "C") -> Any:
        """A handle of its own: assignment to one does not move the other."""
        return Array(self._node)

    def __copy__(self) -> Any:
        return Array(self._node)

    def __deepcopy__(self, _memo: Any) -> Any:
        return Array(self._node)

    # ---- comparisons (those that NumPy would turn round) ---------------------------------

    def __eq__(self, other: object) -> Any:
        return np.equal(self, other)  # type: ignore[call-overload]

    def __ne__(self, other: object) -> Any:
        return np.not_equal(self, other)  # type: ignore[call-overload]

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self


def unwrap(value: Any) -> Any:
    """Handles replaced by their nodes, in tuples, lists and dicts too."""
    form = type(value)
    if form is Array:
        return value._node
    if form is tuple:
        return tuple([unwrap(item) for item in value])
    if form is list:
        return [unwrap(item) for item in value]
    if form is dict:
        return {key: unwrap(item) for key, item in value.items()}
    if form is slice:
        return slice(_plain(value.start), _plain(value.stop), _plain(value.step))
    return value


def _plain(bound: Any) -> Any:
    return operator.index(bound) if type(bound) is Array else bound


def wrap(value: Any) -> Any:
    """Nodes replaced by handles, in tuples, lists and named tuples too."""
    form = type(value)
    if form is Node:
        return Array(value)
    if form is list:
        return [wrap(item) for item in value]
    if isinstance(value, tuple):
        items = [wrap(item) for item in value]
        return form(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def _into(out: tuple[Any, ...], result: Any) -> Any:
    """`out=`: a traced target moves on to the result; a NumPy array can't take it."""
    (target,) = out
    if type(target) is not Array:
        frame = user_frame(2)
        raise TracingError(
            f"at {frame.f_code.co_filename}:{frame.f_lineno} a traced result would be written into "
            "a NumPy array, where its gradient is lost.\n"
            "  Wrong:  total = np.zeros(3); total += x\n"
            "  Right:  total = np.zeros(3, like=x); total += x     or     total = total + x"
        )
    node = result if type(result) is Node else constant(result)
    if node.shape != target.shape:
        node = np.broadcast_to(node, target.shape)
    if node.dtype != target.dtype:
        if not np.can_cast(node.dtype, target.dtype, "same_kind"):
            raise DtypeError(
                f"cannot write a {node.dtype} result into an array of {target.dtype}; "
                "use out-of-place arithmetic or x.astype(…) first"
            )
        node = astype(node, target.dtype)
    target._node = node
    return target


def _operand(value: Any) -> Any:
    """What stands on the other side of an operator, or NotImplemented."""
    form = type(value)
    if form is Array:
        return value._node
    if form in _SCALARS or isinstance(value, (np.ndarray, np.generic)):
        return value
    if isinstance(value, (list, tuple)):
        return np.asarray(value)
    return NotImplemented


def _binary(primitive: Primitive) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Array, other: Any) -> Any:
        other = other._node if type(other) is Array else _operand(other)
        if other is NotImplemented:
            return NotImplemented
        return Array(apply(primitive, (self._node, other)))

    def reflected(self: Array, other: Any) -> Any:
        other = _operand(other)
        if other is NotImplemented:
            return NotImplemented
        return Array(apply(primitive, (other, self._node)))

    return forward, reflected


def _in_place(ufunc: np.ufunc) -> Callable[..., Any]:
    def assign(self: Array, other: Any) -> Any:
        if not isinstance(self._node.value, np.ndarray):  # a NumPy scalar: immutable
            return wrap(call_ufunc(ufunc, "__call__", (self._node, unwrap(other)), {}))
        return _into((self,), call_ufunc(ufunc, "__call__", (self._node, unwrap(other)), {}))

    return assign


def _install_operators() -> None:
    for symbol, name, ufunc in (
        ("add", "add", np.add),
        ("sub", "subtract", np.subtract),
        ("mul", "multiply", np.multiply),
        ("truediv", "divide", np.true_divide),
        ("floordiv", "floor_divide", np.floor_divide),
        ("mod", "remainder", np.remainder),
        ("pow", "power", np.power),
        ("matmul", "matmul", np.matmul),
        ("and", "bitwise_and", np.bitwise_and),
        ("or", "bitwise_or", np.bitwise_or),
        ("xor", "bitwise_xor", np.bitwise_xor),
        ("lshift", "left_shift", np.left_shift),
        ("rshift", "right_shift", np.right_shift),
    ):
        forward, reflected = _binary(PRIMITIVES[name])
        setattr(Array, f"__{symbol}__", forward)
        setattr(Array, f"__r{symbol}__", reflected)
        setattr(Array, f"__i{symbol}__", _in_place(ufunc))
    for symbol, name in (("lt", "less"), ("le", "less_equal"), ("gt", "greater"),
                         ("ge", "greater_equal")):  # fmt: skip
        setattr(Array, f"__{symbol}__", _binary(PRIMITIVES[name])[0])
    for symbol, name in (("neg", "negative"), ("pos", "positive"), ("abs", "absolute"),
                         ("invert", "invert")):  # fmt: skip
        setattr(Array, f"__{symbol}__", _unary(PRIMITIVES[name]))
    for method in [
        "all",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "clip",
        "compress",
        "conj",
        "cumprod",
        "cumsum",
        "diagonal",
        "dot",
        "max",
        "mean",
        "min",
        "nonzero",
        "prod",
        "ptp",
        "ravel",
        "repeat",
        "round",
        "searchsorted",
        "squeeze",
        "std",
        "sum",
        "swapaxes",
        "take",
        "trace",
        "var",
        "conjugate",
        "argpartition",
        "choose",
    ]:
        setattr(Array, method, _method(method, getattr(np, method)))


def _unary(primitive: Primitive) -> Callable[..., Any]:
    def act(self: Array) -> Any:
        return Array(apply(primitive, (self._node,)))

    return act


def _method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def act(self: Array, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    act.__name__ = act.__qualname__ = name
    act.__doc__ = f"As `numpy.ndarray.{name}`."
    return act


_install_operators()
