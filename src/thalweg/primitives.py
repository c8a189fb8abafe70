"""A user's own primitive: a value and a local Jacobian, nothing else.

The value is a NumPy function of plain arrays. The local Jacobian is NumPy code too: it gets plain
arrays in a first-order pass and `Array` handles where the result must be differentiable again, so
every order follows from the one rule. What the rule says is held against the operands' shapes at
every use: a Jacobian that does not fit is an error here, not a wrong number later.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.array import Array, unwrap, wrap
from thalweg.errors import DtypeError, NoRuleError, ShapeError, TracingError, UserError
from thalweg.graph.kinds import Chain, Custom, Kind
from thalweg.graph.node import Node, apply
from thalweg.graph.primitive import PRIMITIVES, Labels, Primitive, register
from thalweg.jacobian.fit import misfit
from thalweg.ops.structural import items
from thalweg.transforms.linear import conform
from thalweg.tree import flatten

__all__ = ["UserPrimitive", "primitive"]

_KINDS = frozenset(Kind.__args__)
_registering = threading.Lock()

_HOW = (
    "  Say which form the local Jacobian has:\n"
    "    return thalweg.kinds.Diagonal(d)          # elementwise: out[i] varies with x[i] only\n"
    "    return thalweg.kinds.MatMulLeft(A)        # out = A @ x\n"
    "    return thalweg.kinds.BatchedDense(J, 0)   # any, dense: J.shape == out.shape + x.shape\n"
    "    return thalweg.kinds.Custom(push, pull)   # as two functions\n"
    "    return thalweg.kinds.Zero('why')          # out does not vary with x"
)


class UserPrimitive:
    """A primitive of the user's own, made by `thalweg.primitive`.

    Call it with NumPy arrays and it computes; call it with traced arrays and it is one gate of the
    graph. Positional arguments are operands, keyword-only ones are static parameters.

    Attributes
    ----------
    name : str
        Name in the registry: module and qualified name of the function.
    record : Primitive
        What the graph knows about it.
    """

    def __init__(
        self,
        value: Callable[..., Any],
        *,
        local: Callable[..., Any] | None,
        outputs: int,
        name: str | None,
        batch: Callable[..., Any] | None,
    ) -> None:
        self._function = value
        self._rule = local
        self._signature = _signature(value)
        short = getattr(value, "__name__", type(value).__name__)
        module = getattr(value, "__module__", None) or "user"
        self.name = name or f"{module}.{getattr(value, '__qualname__', short)}"
        self.__name__ = short
        self.__doc__ = value.__doc__
        self.__wrapped__ = value
        tex = short.replace("_", r"\_").replace("<lambda>", r"\lambda")
        self.record = Primitive(
            name=self.name,
            value=self._value,
            local=self._kind,
            labels=Labels(short, rf"\operatorname{{{{{tex}}}}}({{args}})"),
            batch="a user's primitive without a batching rule" if batch is None else _lift(batch),
            outputs=outputs,
        )
        with _registering:  # the newest definition has the name, as in a notebook run again
            PRIMITIVES.pop(self.name, None)
            register(self.record)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def local(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: the rule below gives the local Jacobian.

        ``rule(out, *operands, **static)`` returns one kind an operand: a kind, or for several
        operands a tuple of kinds. It may look at shapes and dtypes, and computes with NumPy.
        """
        self._rule = rule
        return rule

    def __call__(self, *operands: Any, **static: Any) -> Any:
        if self._signature is not None:
            operands, static = self._bind(operands, static)
        given = tuple(self._operand(i, x) for i, x in enumerate(operands))
        for key, value in static.items():
            if type(value) is Array or type(value) is Node:
                raise TracingError(
                    f"{self.name}: the keyword {key!r} got a traced array. Keyword-only arguments "
                    "are static; make it a positional operand, or pass thalweg.detach(…) values."
                )
        result = apply(self.record, given, static)
        if type(result) is Node and self._rule is None:
            missing = self._missing()
            raise NoRuleError(f"{self.name} has no local Jacobian yet. Add it:\n\n{missing}")
        return wrap(items(result)) if self.record.outputs else wrap(result)

    def _missing(self) -> str:
        """The rule that is to be written, with the names of the function's own parameters."""
        known = list(self._signature.parameters.values()) if self._signature else []
        operands = [x.name for x in known if x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD)]
        operands = operands or ["x"]
        static = [x.name for x in known if x.kind is x.KEYWORD_ONLY]
        names = ["out", *operands, *(["*", *static] if static else [])]
        lines = [f"@{self.__name__}.local", f"def _({', '.join(names)}):"]
        if len(operands) == 1:
            lines.append(f"    return thalweg.kinds.Diagonal(…)   # ∂out/∂{operands[0]}")
        else:
            kinds = [f"        thalweg.kinds.Diagonal(…),  # ∂out/∂{name}" for name in operands]
            lines += ["    return (", *kinds, "    )"]
        return "\n".join(f"    {line}" for line in lines)

    def _bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Operands and static parameters by the function's own signature, defaults filled in."""
        try:
            bound = self._signature.bind(*args, **kwargs)  # type: ignore[union-attr]
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        bound.apply_defaults()
        return bound.args, bound.kwargs

    def _operand(self, i: int, x: Any) -> Any:
        x = unwrap(x)
        if type(x) is Node or type(x) in (int, float, complex, bool):
            return x
        if any(type(part) is Node for part in flatten(x)[0]):
            raise TracingError(
                f"{self.name}: operand {i} is a {type(x).__name__} of traced arrays; make it one "
                "array with np.stack, or pass them as operands of their own"
            )
        try:
            value = np.asarray(x)
        except (ValueError, TypeError) as error:
            raise DtypeError(f"{self.name}: operand {i} is no array: {error}") from error
        if value.dtype.kind not in "biufc":
            raise DtypeError(
                f"{self.name}: operand {i} is {type(x).__name__}, not a numeric array. What is "
                "not an array belongs in a keyword-only parameter: def f(x, *, option)."
            )
        return x if isinstance(x, (np.ndarray, np.generic)) else value

    # ---- the record's two functions ---------------------------------------------------------

    def _value(self, *operands: Any, **static: Any) -> Any:
        result = self._function(*map(_read_only, operands), **static)
        count = self.record.outputs
        if not count:
            if isinstance(result, (tuple, list)):
                raise UserError(
                    f"{self.name} returned a {type(result).__name__} of {len(result)}. For several "
                    f"outputs declare them: @thalweg.primitive(outputs={len(result)})."
                )
            return self._numeric(result)
        if not isinstance(result, tuple) or len(result) != count:
            got = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
            raise UserError(f"{self.name} declares outputs={count} but returned {got}")
        return tuple(self._numeric(part) for part in result)

    def _numeric(self, result: Any) -> Any:
        if result is None:
            raise UserError(f"{self.name} returned None: is a return missing?")
        if type(result) is Array or type(result) is Node:
            raise TracingError(
                f"{self.name}: the value used a traced array that is not among the operands. "
                "Pass it as an operand, with its own local Jacobian."
            )
        if isinstance(result, np.ndarray):
            value: Any = np.array(result)  # it may be a buffer that the function uses again
        else:
            value = result if isinstance(result, np.generic) else np.asarray(result)[()]
        if value.dtype.kind not in "biufc":
            raise DtypeError(f"{self.name} returned {type(result).__name__}, not a numeric array")
        return value

    def _kind(self, i: int, out: Any, *operands: Any, **static: Any) -> Kind:
        """The kind of ∂out/∂operand i, as the user's rule states it, checked and unwrapped."""
        if self._rule is None:
            raise NoRuleError(f"{self.name} has no local Jacobian")
        seen = items(out) if self.record.outputs else out
        stated = self._rule(wrap(seen), *wrap(operands), **static)
        kind = self._of_operand(i, stated, len(operands))
        if self.record.outputs and type(kind).__name__ not in ("Custom", "Zero"):
            raise UserError(
                f"{self.name} has {self.record.outputs} outputs: its local Jacobian must be Custom "
                f"(push gives a tuple, pull gets one) or Zero, not {type(kind).__name__}"
            )
        ends = out.value if self.record.outputs and type(out) is Node else out
        problem = misfit(kind, operands[i], ends)
        if problem:
            frame = self._rule.__code__ if hasattr(self._rule, "__code__") else None
            where = f"{frame.co_filename}:{frame.co_firstlineno}" if frame else repr(self._rule)
            raise ShapeError(
                f"{self.name}: the local Jacobian of operand {i} does not fit: {problem}\n"
                f"    operand {i}: shape {np.shape(_plain(operands[i]))}\n"
                f"    output   : shape {_shapes(ends)}\n"
                f"  The rule stands at {where}."
            )
        return self._plain_kind(kind, i, operands[i], ends)

    def _of_operand(self, i: int, stated: Any, count: int) -> Kind:
        kinds = (stated,) if type(stated) in _KINDS else stated
        if not isinstance(kinds, (tuple, list)) or not all(type(k) in _KINDS for k in kinds):
            got = type(stated).__name__
            if isinstance(stated, (tuple, list)):
                got = f"({', '.join(type(k).__name__ for k in stated)})"
            raise UserError(f"{self.name}: the local Jacobian is {got}, not a kind.\n{_HOW}")
        if len(kinds) != count:
            raise UserError(
                f"{self.name}: {count} operands but {len(kinds)} local Jacobians; return a tuple "
                "with one kind an operand (thalweg.kinds.Zero('why') where nothing flows)"
            )
        return kinds[i]

    def _plain_kind(self, kind: Kind, i: int, x: Any, out: Any) -> Kind:
        """The kind with nodes or values for handles; Custom functions checked at every call."""
        form = type(kind)
        if form is Custom:
            return self._checked(kind, i, x, out)  # type: ignore[arg-type]
        if form is Chain:
            outer, inner, between = kind  # type: ignore[misc]
            middle = unwrap(between)
            return Chain(
                self._plain_kind(outer, i, middle, out),
                self._plain_kind(inner, i, x, middle),
                middle,
            )
        return form(*[unwrap(field) for field in kind])

    def _checked(self, kind: Custom, i: int, x: Any, out: Any) -> Custom:
        name = self.name

        def fitted(result: Any, end: Any, what: str) -> Any:
            result = unwrap(result)
            if type(result) is not Node:
                result = np.asarray(result)
            if result.shape != end.shape:
                raise ShapeError(
                    f"{name}: {what} of operand {i} gave shape {result.shape}; it belongs to "
                    f"a value of shape {end.shape}"
                )
            return conform(result if type(result) is Node else result[()], end)

        def push(t: Any) -> Any:
            result = kind.push(wrap(t))
            if not isinstance(out, tuple):
                return fitted(result, out, "push")
            if not isinstance(result, (tuple, list)) or len(result) != len(out):
                raise UserError(f"{name}: push of operand {i} must give a tuple of {len(out)}")
            return tuple(fitted(r, end, "push") for r, end in zip(result, out, strict=True))

        def pull(c: Any) -> Any:
            return fitted(kind.pull(wrap(c)), x, "pull")

        return kind._replace(
            push=push, pull=pull, name=self.__name__ if kind.name == "custom" else kind.name
        )


def _read_only(x: Any) -> Any:
    """An operand as the user's function gets it: the graph needs its value unchanged."""
    if not isinstance(x, np.ndarray):
        return x
    view = x.view()
    view.flags.writeable = False
    return view


def _plain(x: Any) -> Any:
    return x.value if type(x) is Node else x


def _shapes(out: Any) -> str:
    return ", ".join(str(np.shape(_plain(o))) for o in (out if isinstance(out, tuple) else (out,)))


def _signature(value: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of a Python function; None for ufuncs and builtins, whose options differ."""
    return (
        inspect.signature(value)
        if inspect.isroutine(value) and hasattr(value, "__code__")
        else None
    )


def _lift(batch: Callable[..., Any]) -> Callable[..., Any]:
    """The user's batching rule as the graph calls it: handles in, nodes out."""

    def rule(operands: tuple[Any, ...], batched: tuple[bool, ...], params: dict[str, Any]) -> Any:
        return unwrap(batch(wrap(operands), batched, params))

    return rule


def primitive(
    value: Callable[..., Any] | None = None,
    *,
    local: Callable[..., Any] | None = None,
    outputs: int = 0,
    name: str | None = None,
    batch: Callable[..., Any] | None = None,
) -> Any:
    """Make a primitive of your own from its value and its local Jacobian.

    Parameters
    ----------
    value : callable
        ``value(*operands, **static)``: a function of plain NumPy arrays. Positional parameters are
        operands, keyword-only parameters are static.
    local : callable, optional
        ``local(out, *operands, **static)`` gives one kind (`thalweg.kinds`) an operand; usually
        added by the decorator ``@f.local``. It runs once for each operand that is differentiated,
        so costly work belongs into the functions of `kinds.Custom`.
    outputs : int
        0: one array. k > 0: `value` returns a tuple of k arrays; `local` then gives `kinds.Custom`
        whose push returns a tuple of k tangents and whose pull gets a tuple of k cotangents.
    name : str, optional
        Name in the registry (default: module and qualified name of `value`).
    batch : callable, optional
        ``batch(operands, batched, static)`` for `thalweg.vmap`: operands with ``batched[i]`` have
        the batch axis in front, and so has the result. Without it `vmap` goes example by example.

    Returns
    -------
    UserPrimitive
        To be called with NumPy or traced arrays.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> @tw.primitive
    ... def softplus(x):
    ...     return np.logaddexp(x, 0)
    >>> @softplus.local
    ... def _(out, x):
    ...     return tw.kinds.Diagonal(1 / (1 + np.exp(-x)))
    >>> float(tw.grad(softplus)(0.0))
    0.5
    >>> float(tw.grad(tw.grad(softplus))(0.0))
    0.25
    """

    def make(function: Callable[..., Any]) -> UserPrimitive:
        if not callable(function):
            raise TypeError(f"thalweg.primitive needs a function, not {type(function).__name__}")
        return UserPrimitive(function, local=local, outputs=outputs, name=name, batch=batch)

    return make if value is None else make(value)
