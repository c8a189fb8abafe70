"""`Array`: the handle that user code touches while a function is traced.

It behaves as a NumPy array: operators, methods, ``np.`` functions, indexing, assignment. Each
operation makes a node; assignment (``x[i] = v``, ``x += v``) moves the handle on to a new node.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.array_arguments import served
from thalweg.array_callbacks import CALLBACKS
from thalweg.array_methods import ArrayMethods
from thalweg.errors import DtypeError, ShapeError, TracingError
from thalweg.graph.node import (
    Node,
    apply,
    call_function,
    call_ufunc,
    constant,
    user_frame,
)
from thalweg.graph.primitive import PRIMITIVES, UFUNCS, Primitive
from thalweg.guards import record_guard
from thalweg.ops import arithmetic, compare, contract  # noqa: F401 - operators need their gates
from thalweg.ops.assignment import REWRITES, set_flat, write_at
from thalweg.ops.index import as_array, from_list, getitem, holds_node, reads, setitem
from thalweg.ops.shape import astype
from thalweg.views import VIEW_FUNCTIONS, link, move, root_of, shares_memory

__all__ = ["Array", "unwrap", "wrap"]

_SCALARS = (int, float, complex, bool)
_LEAVES = frozenset((*_SCALARS, str, type(None), np.ndarray))


class Array(ArrayMethods):
    """A traced array: what your function receives instead of a NumPy array.

    It has the value that NumPy would have computed (`print` shows it), and remembers how it was
    made. Assignment and views work as in NumPy, on a copy: the arrays of the caller never change.
    ``isinstance(x, np.ndarray)`` is False, because NumPy lets no other class stand for its own.
    To take a value out of the graph on purpose, use `thalweg.detach`.
    """

    __slots__ = ("__weakref__", "_link", "_node")
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, node: Node) -> None:
        self._node = node

    # ---- NumPy's protocols --------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not kwargs and method == "__call__":  # the hot path: a plain call of a known ufunc
            primitive = UFUNCS.get(ufunc)
            if type(primitive) is Primitive:
                if len(inputs) == 1:
                    return Array(apply(primitive, (self._node,)))
                operands = tuple([_operand(x) for x in inputs])
                for operand in operands:
                    if operand is NotImplemented:
                        return NotImplemented  # NumPy then names the types
                return Array(apply(primitive, operands))
        if method == "at":
            return _at(ufunc, *inputs)
        if kwargs:
            out = kwargs.get("out")
            if out is not None:
                for target in out:
                    if target is not None:
                        _must_be_traced(target)
                result = call_ufunc(ufunc, method, unwrap(inputs), unwrap(kwargs))
                return _into(out, result, kwargs.get("casting", "same_kind"))
            kwargs = unwrap(kwargs)
        operands = tuple([from_list(x) for x in unwrap(inputs)])
        return wrap(call_ufunc(ufunc, method, operands, kwargs))

    def __array_function__(
        self, function: Callable[..., Any], _types: Any, args: Any, kwargs: Any
    ) -> Any:
        special = _SPECIAL.get(function)
        if special is not None:
            return special(args, kwargs)
        args, kwargs, out = served(function, args, kwargs)
        operands, keywords = unwrap(args), unwrap(kwargs) if kwargs else kwargs
        if out is not None:
            traced = holds_node(operands) or holds_node(tuple(keywords.values()))
            # Where only the target is traced, NumPy computes and it moves on to a constant.
            call = call_function if traced else _plainly
            made = call(function, operands, keywords)
            if type(out) is Array and out.shape != made.shape and function not in _SPREADING:
                raise ShapeError(f"out= has shape {out.shape}, the result has {made.shape}")
            return _into(out, made, kwargs.get("casting", "same_kind"))
        result = wrap(call_function(function, operands, keywords))
        if function in VIEW_FUNCTIONS and not _copies(function, result, kwargs):
            _link_results(result, (*args, *kwargs.values()) if kwargs else args)
        return result

    # ---- indexing and assignment --------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        node = self._node
        made = getitem(node, index if type(index) is int else unwrap(index))
        result = Array(made)
        value = made.value
        if type(value) is np.ndarray:
            owner = value.base
            if owner is not None and (owner is node.value or owner is node.value.base):
                link(result, self)
        return result

    def __setitem__(self, index: Any, value: Any) -> None:
        node = self._node
        if not isinstance(node.value, np.ndarray):
            raise TypeError(
                f"'{type(node.value).__name__}' object does not support item assignment"
            )
        index = unwrap(index)
        if type(value) is Array and root_of(value) is self and reads(value._node, node, index):
            return  # the end of x[i] += v: the view that was added to has written x already
        if type(value) in (list, tuple) and _overlaps(value, root_of(self) or self):
            raise TracingError(
                "x[…] = [x[1], x[0]]: NumPy writes the first view before it reads the next one.\n"
                "  Take copies, x[…] = [x[1].copy(), x[0].copy()], or use x[[1, 0]]."
            )
        move(self, setitem(node, index, unwrap(value)))

    def _set_flat(self, index: Any, value: Any) -> None:
        """What ``x.flat[index] = value`` does."""
        self._writable()
        move(self, set_flat(self._node, index, unwrap(value)))

    # ---- comparisons (those that NumPy would turn round) ---------------------------------

    def __eq__(self, other: object) -> Any:
        operand = _operand(other)
        if operand is NotImplemented:  # None, a string …: equal to no number
            return self._node.value == other
        return Array(apply(PRIMITIVES["equal"], (self._node, operand)))

    def __ne__(self, other: object) -> Any:
        operand = _operand(other)
        if operand is NotImplemented:
            return self._node.value != other
        return Array(apply(PRIMITIVES["not_equal"], (self._node, operand)))

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self


def unwrap(value: Any) -> Any:
    """Handles replaced by their nodes, in tuples, lists and dicts too."""
    form = type(value)
    if form is Array:
        return value._node
    if form in _LEAVES:
        return value
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


#: Functions that broadcast into `out=`, as ufuncs do.
_SPREADING = frozenset((np.clip, np.round, np.around, np.fix))


def _plainly(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    return np.asarray(function(*args, **kwargs))


def _into(out: Any, result: Any, casting: Any = "same_kind") -> Any:
    """`out=`: a traced target moves on to the result; a NumPy array can't take it."""
    targets = out if isinstance(out, tuple) else (out,)
    if len(targets) > 1:
        return tuple(
            wrap(part) if target is None else _into((target,), part, casting)
            for target, part in zip(targets, result, strict=True)
        )
    (target,) = targets
    _must_be_traced(target)
    node: Any = result if type(result) is Node else constant(result)
    if node.shape != target.shape:
        node = np.broadcast_to(node, target.shape)
    if node.dtype != target.dtype:
        if not np.can_cast(node.dtype, target.dtype, casting):
            raise DtypeError(
                f"cannot write a {node.dtype} result into an array of {target.dtype}; "
                "use out-of-place arithmetic or x.astype(…) first"
            )
        node = astype(node, target.dtype)
    move(target, node)
    return target


def _must_be_traced(target: Any) -> None:
    if type(target) is not Array:
        frame = user_frame()
        raise TracingError(
            f"at {frame.f_code.co_filename}:{frame.f_lineno} a traced result would be written into "
            "a NumPy array, where its gradient is lost.\n"
            "  Wrong:  total = np.zeros(3); total += x\n"
            "  Right:  total = np.zeros(3, like=x); total += x     or     total = total + x"
        )
    target._writable()


def _rewrite(name: str, contents: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """A NumPy function that works in place: its target moves on to the new contents."""
    target = args[0] if args else kwargs[name]
    _must_be_traced(target)
    rest = [_choosing(value) for value in args[1:]]
    keywords = {key: _choosing(value) for key, value in kwargs.items() if key != name}
    move(target, contents(target._node, *rest, **keywords))


def _special(function: Any) -> Callable[[Any, Any], Any]:
    """A function that is not an operation on nodes: it calls back user code or works in place."""
    callback = CALLBACKS.get(function)
    if callback is not None:
        return lambda args, kwargs: callback(*args, **kwargs)
    name, contents = REWRITES[function]
    return lambda args, kwargs: _rewrite(name, contents, args, kwargs)


_SPECIAL = {function: _special(function) for function in (*CALLBACKS, *REWRITES)}


def _at(ufunc: np.ufunc, target: Any, indices: Any, *operand: Any) -> None:
    """``ufunc.at``: in place, an entry named twice is worked on twice."""
    _must_be_traced(target)
    indices = unwrap(indices) if ufunc in (np.add, np.subtract) else _choosing(indices)
    move(target, write_at(ufunc, target._node, indices, *unwrap(operand)))


def _choosing(value: Any) -> Any:
    """An argument of an in-place function: masks and positions as values, which become guards."""
    if type(value) is tuple:
        return tuple([_choosing(item) for item in value])
    if type(value) is Array and value.dtype.kind in "biu":
        return record_guard(value._node, value._node.value)
    return unwrap(value)


def _overlaps(values: Any, root: Array) -> bool:
    """Whether one of the listed values looks at the array of `root`."""
    return any(
        _overlaps(value, root)
        if type(value) in (list, tuple)
        else type(value) is Array and (value is root or root_of(value) is root)
        for value in values
    )


def _copies(function: Any, result: Any, kwargs: Any) -> bool:
    """Whether NumPy copies although the value at hand could be shared."""
    if function is np.ravel:  # it makes contiguous arrays only
        return not result._node.value.flags.c_contiguous
    if function in _COPYING:
        return kwargs.get("copy", True) is True
    return kwargs.get("copy") is True


_COPYING = frozenset((np.array, np.meshgrid, getattr(np, "astype", None)))


def _link_results(results: Any, arguments: tuple[Any, ...]) -> None:
    """Link the results of a view function that share memory with an argument to it."""
    for result in results if isinstance(results, (tuple, list)) else (results,):
        if type(result) is not Array:
            continue
        value = result._node.value
        for argument in arguments:
            if type(argument) is Array and shares_memory(value, argument._node.value):
                link(result, argument)
                break


def _operand(value: Any) -> Any:
    """What stands on the other side of an operator, or NotImplemented."""
    form = type(value)
    if form is Array:
        return value._node
    if form in _SCALARS or isinstance(value, (np.ndarray, np.generic)):
        return value
    if isinstance(value, (list, tuple)):
        return as_array(unwrap(value))
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
        result = call_ufunc(ufunc, "__call__", (self._node, unwrap(other)), {})
        if not isinstance(self._node.value, np.ndarray):  # a NumPy scalar: immutable
            return wrap(result)
        if ufunc is np.matmul and result.shape != self.shape:
            raise ShapeError(
                f"x @= m: the product has shape {result.shape}, x has {self.shape}; write x = x @ m"
            )
        return _into((self,), result)

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


def _unary(primitive: Primitive) -> Callable[..., Any]:
    def act(self: Array) -> Any:
        return Array(apply(primitive, (self._node,)))

    return act


_install_operators()
