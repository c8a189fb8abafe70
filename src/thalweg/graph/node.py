"""Nodes: one application of a primitive, with its value; immutable, and NumPy knows them.

Rules for local Jacobians are plain NumPy code. When they get nodes, NumPy hands the call back
here (`__array_ufunc__`, `__array_function__`) or the operators below do, and graph is built;
when they get values, NumPy just computes.
"""

from __future__ import annotations

import itertools
import operator
import os
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

import numpy as np

from thalweg.errors import InternalError, NoRuleError, ShapeError, TracingError
from thalweg.graph import primitive as registry
from thalweg.graph.constants import hold
from thalweg.graph.kinds import IDENTITY
from thalweg.graph.loops import loop_dtypes
from thalweg.graph.primitive import FUNCTIONS, UFUNC_METHODS, UFUNCS, Primitive

__all__ = [
    "Node",
    "Origin",
    "ancestors",
    "apply",
    "call_function",
    "call_ufunc",
    "constant",
    "describe_origin",
    "input_node",
    "refuse_retired",
    "retire",
    "user_frame",
]

#: Where in the user's program a node was made: code object and instruction offset.
Origin = tuple[CodeType, int]

# As co_filename has them, with the separator: thalweg_examples/ is the user's. (os.path, because
# pathlib would be a tenth of our import time.)
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_internal_files: dict[str, bool] = {}
_getframe = sys._getframe
_next_sequence = itertools.count(1).__next__
_NO_PARAMS: dict[str, Any] = {}


def _is_internal(filename: str) -> bool:
    """Whether frames of this file are ours or NumPy's, not the user's."""
    internal = filename.startswith((_HERE, _NUMPY))
    _internal_files[filename] = internal
    return internal


def user_frame(depth: int = 1) -> FrameType:
    """The innermost frame that is neither Thalweg's nor NumPy's (the outermost, if none)."""
    frame = sys._getframe(depth)
    known = _internal_files
    while True:
        filename = frame.f_code.co_filename
        internal = known.get(filename)
        if internal is None:
            internal = _is_internal(filename)
        if not internal:
            return frame
        back = frame.f_back
        if back is None:
            return frame
        frame = back


def describe_origin(origin: Origin | None) -> str:
    """``file:line`` of an origin, for messages."""
    if origin is None:
        return "an unknown place"
    code, offset = origin
    lines = [p[0] for p in itertools.islice(code.co_positions(), offset // 2, offset // 2 + 1)]
    return f"{code.co_filename}:{lines[0] if lines else code.co_firstlineno}"


class Node:
    """One application of a primitive.

    Attributes
    ----------
    primitive : Primitive
    operands : tuple of Node or constant
        Constants are Python scalars (weak in dtype promotion) or NumPy values.
    params : dict
        Static parameters (axes, subscripts, …).
    value : numpy value or tuple of them
    active : bool
        Whether a derivative can flow through: it depends on an input, through floating dtypes.
    sequence : int
        Grows with every node made: sorting by it is a topological order.
    origin : Origin or None
        The user's code that asked for it.
    """

    __slots__ = (
        "__weakref__",
        "active",
        "operands",
        "origin",
        "params",
        "primitive",
        "sequence",
        "value",
    )

    def __init__(
        self,
        primitive: Primitive,
        operands: tuple[Any, ...],
        params: dict[str, Any],
        value: Any,
        active: bool,
        origin: Origin | None,
    ) -> None:
        self.primitive = primitive
        self.operands = operands
        self.params = params
        self.value = value
        self.active = active
        self.origin = origin
        self.sequence = _next_sequence()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return int(self.value.size)

    @property
    def T(self) -> Any:
        return np.transpose(self)

    def __repr__(self) -> str:
        if self.primitive.outputs:
            return f"<node {self.sequence}: {self.primitive.name} -> {len(self.value)} arrays>"
        return f"<node {self.sequence}: {self.primitive.name} {self.dtype}{list(self.shape)}>"

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Any:
        return iter([self[i] for i in range(len(self))])

    def __bool__(self) -> bool:
        raise InternalError("a rule looked at a value: rules must build graph, never branch on it")

    def __array__(self, *_args: Any, **_kwargs: Any) -> Any:
        raise InternalError("a rule turned a node into an array: rules must build graph")

    def __getitem__(self, index: Any) -> Any:
        return call_function(operator.getitem, (self, index), {})

    # Operators: found by name, because nodes stand below the operations.
    def __add__(self, other: Any) -> Any:
        return _apply_named("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _apply_named("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _apply_named("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _apply_named("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return _apply_named("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _apply_named("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _apply_named("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _apply_named("divide", other, self)

    def __pow__(self, other: Any) -> Any:
        return _apply_named("power", self, other)

    def __rpow__(self, other: Any) -> Any:
        return _apply_named("power", other, self)

    def __matmul__(self, other: Any) -> Any:
        return np.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return np.matmul(other, self)

    def __neg__(self) -> Any:
        return _apply_named("negative", self)

    def __lt__(self, other: Any) -> Any:
        return _apply_named("less", self, other)

    def __le__(self, other: Any) -> Any:
        return _apply_named("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return _apply_named("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return _apply_named("greater_equal", self, other)

    def __invert__(self) -> Any:
        return np.logical_not(self)

    def __and__(self, other: Any) -> Any:
        return np.logical_and(self, other)

    def __or__(self, other: Any) -> Any:
        return np.logical_or(self, other)

    # `==` stays identity: nodes are keys of dictionaries. Rules write np.equal.

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Callable[..., Any], _types: Any, args: Any, kwargs: Any
    ) -> Any:
        return call_function(function, args, kwargs)


def _apply_named(name: str, *operands: Any) -> Any:
    return apply(registry.PRIMITIVES[name], operands)


def apply(
    primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any] = _NO_PARAMS
) -> Any:
    """Apply `primitive`: to nodes it makes a node, to plain values it just computes."""
    values = []
    traced = active = arrays = False
    for operand in operands:
        if type(operand) is Node:
            values.append(operand.value)
            traced = True
            if operand.active:
                active = True
        else:
            values.append(operand)
            if isinstance(operand, np.ndarray):
                arrays = True
    if not traced:
        return primitive.value(*values, **params) if params else primitive.value(*values)
    if arrays:
        kept = list(operands)
        for i, operand in enumerate(operands):
            if isinstance(operand, np.ndarray):
                kept[i] = values[i] = hold(operand)
        operands = tuple(kept)
    # The user's frame is most often right here: our caller's caller.
    frame = _getframe(2)
    if _internal_files.get(frame.f_code.co_filename, True):
        frame = user_frame(2)
    origin = (frame.f_code, frame.f_lasti)
    try:
        value = primitive.value(*values, **params) if params else primitive.value(*values)
    except Exception as error:
        _explain_failure(error, primitive, values, params, origin)
        raise
    if type(value) is complex:  # Python's own product: 1j * np.float64(2.0)
        value = np.complex128(value)
    if active and not primitive.outputs and value.dtype.kind not in "fc":
        active = False
    node = _new_node(Node)  # Node(…), a third faster: this is the hot path
    node.primitive = primitive
    node.operands = operands
    node.params = params
    node.value = value
    node.active = active
    node.origin = origin
    node.sequence = _next_sequence()
    return node


_new_node = Node.__new__
registry._apply = apply


def _explain_failure(
    error: Exception,
    primitive: Primitive,
    values: list[Any],
    params: dict[str, Any],
    origin: Origin,
) -> None:
    """Say which gate failed, where and on what; a shape mismatch becomes our ShapeError."""
    operands = "\n".join(
        f"    operand {i}: shape {np.shape(value)}, dtype {np.asarray(value).dtype}"
        for i, value in enumerate(values)
    )
    shown = ", ".join(f"{key}={value!r}" for key, value in params.items())
    where = (
        f"in gate '{primitive.labels.gate}'{f' ({shown})' if shown else ''}"
        f" at {describe_origin(origin)}\n{operands}"
    )
    text = str(error)
    mismatch = type(error) is ValueError and (
        "broadcast" in text or "shape" in text or "dimension" in text
    )
    if mismatch:
        raise ShapeError(f"{text}\n  {where}") from error
    error.add_note(where)


_INPUT = registry.register(
    Primitive(
        name="input",
        value=lambda value, name=None: value,
        local=lambda i, out, x, name=None: IDENTITY,
        labels=registry.Labels("input", "{0}"),
        batch=lambda operands, batched, params: operands[0],
        lower=lambda b, out, x, name=None: x,
    )
)


def input_node(value: Any, name: str | None = None) -> Node:
    """A new input: of a NumPy value, or standing for an outer node (a nested derivative)."""
    outer = type(value) is Node
    concrete = value.value if outer else value
    return Node(
        _INPUT,
        (value,) if outer else (),
        {} if name is None else {"name": name},
        concrete,
        concrete.dtype.kind in "fc",
        None,
    )


def constant(value: Any) -> Node:
    """A node that depends on nothing: a value that user code may go on working with."""
    frame = user_frame(2)
    return Node(_CONSTANT, (), {}, value, False, (frame.f_code, frame.f_lasti))


_CONSTANT = registry.register(
    Primitive(
        name="constant",
        value=lambda: None,
        local=lambda i, out: IDENTITY,
        labels=registry.Labels("constant", "{0}"),
        batch="a constant has no operands",
        lower="it has no operands: its value is a constant of the program",
    )
)


def ancestors(outputs: Iterable[Node], first: int = 0) -> tuple[list[Node], bool]:
    """Nodes that the outputs depend on, in topological order, from sequence `first` on.

    Also says whether an active node older than `first` was met: something captured from an
    outer trace. Iterative, so graphs of any depth work.
    """
    stack = [node for node in outputs if node.active]
    seen = set(stack)
    captured = False
    while stack:
        for operand in stack.pop().operands:
            if type(operand) is Node and operand.active and operand not in seen:
                if operand.sequence < first:
                    refuse_retired(operand)
                    captured = True
                    continue
                seen.add(operand)
                stack.append(operand)
    return sorted(seen, key=operator.attrgetter("sequence")), captured


#: Older than every input: it stands under an input whose call has ended.
_ENDED = Node(_CONSTANT, (), {}, np.zeros(()), True, None)
_ENDED.sequence = 0


def retire(node: Node) -> None:
    """Mark an input that stood for an example only: used later, it would be a wrong constant."""
    node.operands = (_ENDED,)


def refuse_retired(node: Node) -> None:
    """Raise TracingError if `node` is what stands under a retired input."""
    if node is _ENDED:
        raise TracingError(
            "the value of one example was kept from a call that has ended (a vmap), and is used "
            "outside of it.\n  Return what is needed from the function instead of storing it."
        )


#: Of np.vecdot: NumPy takes ``axis=`` where there is one axis that it could mean.
_ONE_CORE_AXIS = "(n),(n)->()"


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A ufunc, or one of its methods, applied to nodes."""
    if method == "outer":
        # Every entry of the first with every entry of the second: broadcasting after a reshape.
        first, second = inputs
        ones = (1,) * np.ndim(_value_of(second))
        first = np.reshape(first, np.shape(_value_of(first)) + ones)
        return call_ufunc(ufunc, "__call__", (first, second), kwargs)
    if method != "__call__":
        implementation = UFUNC_METHODS.get((ufunc, method))
        if implementation is None:
            raise no_rule(f"np.{ufunc.__name__}.{method}")
        return implementation(*inputs, **kwargs)
    rule = UFUNCS.get(ufunc) or registry.find(UFUNCS, ufunc)
    if rule is None:
        raise no_rule(f"np.{ufunc.__name__}")
    where = kwargs.pop("where", True)
    out = kwargs.pop("out", None)
    dtype, casting = kwargs.pop("dtype", None), kwargs.pop("casting", None)
    signature = kwargs.pop("signature", None)
    order = kwargs.pop("order", "K")
    kwargs.pop("subok", None)  # a traced array is of no subclass
    if "axis" in kwargs and ufunc.signature == _ONE_CORE_AXIS:
        axis = kwargs.pop("axis")
        inputs = tuple(np.moveaxis(value, axis, -1) for value in inputs)
    if kwargs:
        raise NoRuleError(f"np.{ufunc.__name__}: keywords {sorted(kwargs)} have no rule")
    inputs = tuple(_as_operand(value) for value in inputs)
    if dtype is not None or signature is not None or casting is not None:
        values = tuple(_value_of(value) for value in inputs)
        loop = loop_dtypes(ufunc, values, dtype, signature, casting or "same_kind")
        inputs = tuple(
            x if v.dtype == target else registry.lookup("astype")(x, dtype=target)
            for x, v, target in zip(inputs, map(np.asarray, values), loop, strict=False)
        )
    result = rule(*inputs)
    if order != "K":
        lay_out = registry.lookup("layout")
        several = isinstance(result, tuple)
        laid = [lay_out(part, order=order) for part in (result if several else (result,))]
        result = tuple(laid) if several else laid[0]
    if where is True:
        return result
    if out is None or out[0] is None:
        raise TracingError(
            f"np.{ufunc.__name__}(…, where=mask) leaves the other entries uninitialised.\n"
            f"Write np.where(mask, np.{ufunc.__name__}(…), other) instead."
        )
    return registry.lookup("where")(where, result, out[0])


def _value_of(operand: Any) -> Any:
    return operand.value if type(operand) is Node else operand


def _as_operand(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, (list, tuple)) else value


def call_function(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """A NumPy function (one that takes part in ``__array_function__``) applied to nodes."""
    implementation = FUNCTIONS.get(function) or registry.find(FUNCTIONS, function)
    if implementation is None:
        name = getattr(function, "__name__", repr(function))
        module = getattr(function, "__module__", "numpy") or "numpy"
        raise no_rule(f"{module}.{name}".replace("numpy", "np", 1))
    return implementation(*args, **kwargs)


def no_rule(name: str) -> NoRuleError:
    """The error for a function without a rule: names it and shows how to add one."""
    frame = user_frame(2)
    return NoRuleError(
        f"{name} has no derivative rule (called at {frame.f_code.co_filename}:{frame.f_lineno}).\n"
        "Write it with functions that have one (docs/numpy.md lists them), or add it:\n\n"
        "    @thalweg.primitive\n"
        "    def f(x):\n"
        f"        return {name}(x)\n\n"
        "    @f.local\n"
        "    def _(out, x):\n"
        "        return thalweg.kinds.Diagonal(…)   # ∂out/∂x\n\n"
        "If it should count as constant, say so: thalweg.detach(x)."
    )
