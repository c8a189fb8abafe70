"""What a primitive's `lower` rule builds with: tensors from tensors.

A rule ``lower(b, out, *operands, **params)`` gets the builder, the result's `Spec` and the
operands: tensors, or Python numbers as the user wrote them (weak in promotion).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.execute.native.ir import (
    NoLowering,
    Shape,
    Tensor,
    c_strides,
    dtype_of,
    kind_of,
    reshaped_strides,
)
from thalweg.execute.native.scalar import COMPARISONS, PREDICATES, knows

__all__ = ["Builder"]

_PYTHON = (bool, int, float, complex)
#: Sums of float32 numbers are kept in float64 until the end.
_IDENTITY = {"add": 0, "mul": 1, "or": False, "and": True}
#: Operations that may have arguments of a dtype that native code does not compute with.
_OUTSIDE = frozenset(("opaque", "part"))


class Builder:
    """Makes tensors; equal ones are one (hash-consing)."""

    def __init__(self) -> None:
        self._known: dict[Any, Tensor] = {}
        self._count = 0
        #: Arrays that the program needs: `data` of an array constant is a place in this list.
        self.arrays: list[np.ndarray[Any, Any]] = []
        self._places: dict[int, int] = {}
        self._held: list[np.ndarray[Any, Any]] = []
        #: Conditions (0-d, i1) that must hold for the result to mean anything.
        self.checks: list[Tensor] = []

    # ---- the operations ------------------------------------------------------------------------

    def make(
        self, op: str, args: Sequence[Tensor], data: Any, shape: Sequence[int], kind: str
    ) -> Tensor:
        """A tensor, or the one that is there already; `data` is hashable."""
        shape = tuple(shape)
        if op not in _OUTSIDE:
            for x in args:
                if x.kind[:3] == "raw":
                    raise NoLowering(f"{x.dtype} runs in NumPy")
        key: Any = (op, tuple(args), type(data), data, shape, kind)
        if isinstance(data, float):  # NaN is itself, and −0 is not 0
            key = (*key[:3], repr(data), shape, kind)
        known = self._known.get(key)
        if known is None:
            self._count += 1
            known = self._known[key] = Tensor(op, key[1], data, shape, kind, self._count)
        return known

    def const(self, value: Any, kind: str, shape: Sequence[int] = ()) -> Tensor:
        """One number in all entries."""
        if kind == "i1":
            number: Any = bool(value)
        elif kind == "f64":
            number = float(value)
        elif kind == "f32":
            with np.errstate(over="ignore"):
                number = float(np.float32(value))
        else:
            number = int(value)
        return self.make("const", (), number, shape, kind)

    def array(self, value: np.ndarray[Any, Any]) -> Tensor:
        """A constant array (one number, where all its entries have the same bits)."""
        kind = kind_of(value.dtype)
        if value.size and (value.ndim == 0 or _uniform(value)):
            return self.const(value.reshape(-1)[0], kind, value.shape)
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self.arrays)
            self._held.append(value)  # or another array could get its id
            self.arrays.append(np.ascontiguousarray(value))
        return self.make("const", (), ("array", place), value.shape, kind)

    def iota(self, shape: Sequence[int], axis: int, kind: str = "i64") -> Tensor:
        """The position along `axis`."""
        if shape[axis] == 1:
            return self.const(0, kind, shape)
        return self.make("iota", (), axis, shape, kind)

    def map(self, name: str, *args: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """The scalar function `name`, with NumPy's broadcasting; operands have one kind.

        Exceptions are "where" (condition first) and "cast to KIND".
        """
        if not knows(name, args[-1].kind):
            raise NoLowering(f"{name} of {args[-1].dtype} has no native code")
        full = args[0].shape if shape is None else tuple(shape)
        for x in args:
            if x.shape != full:
                if shape is None:
                    full = np.broadcast_shapes(*[x.shape for x in args])
                args = self._aligned(args, full)
                break
        kind = args[-1].kind
        if name in COMPARISONS or name in PREDICATES:
            kind = "i1"
        elif name.startswith("cast to "):
            kind = name[8:]
        return self.make("map", args, name, full, kind)

    def _aligned(self, args: tuple[Tensor, ...], full: Shape) -> tuple[Tensor, ...]:
        """A position costs nothing: it is counted where it is used, over the whole index space."""
        return tuple(
            [
                self.iota(full, len(full) - x.ndim + x.data, x.kind)
                if x.op == "iota" and x.shape != full
                else x
                for x in args
            ]
        )

    def reduce(self, how: str, x: Tensor, axes: Sequence[int], keepdims: bool = False) -> Tensor:
        """add, mul, max, min, or, and over `axes` (negative ones count from the end)."""
        axes = tuple(sorted({axis % x.ndim for axis in axes})) if x.ndim else ()
        if x.kind == "i1":  # NumPy's sums and products of booleans are logic
            how = {"add": "or", "mul": "and"}.get(how, how)
        if any(x.shape[axis] == 0 for axis in axes) and how not in _IDENTITY:
            raise NoLowering(f"{how} of nothing")
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        if not axes or math.prod(kept) == x.size != 0:
            result = self.reshape(x, shape)
            if how == "add" and x.kind in ("f32", "f64"):
                result = self.map("add", result, self.const(0.0, x.kind))  # a sum is never -0.0
        elif x.size == 0:
            result = self.const(_IDENTITY.get(how, 0), x.kind, shape)
        else:
            result = self.make("reduce", (x,), (how, axes), shape, x.kind)
        return self.reshape(result, kept) if keepdims else result

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        """The matrix product over the last two axes of both; axes before them broadcast."""
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        shape = (*batch, a.shape[-2], b.shape[-1])
        is_float = a.kind in ("f32", "f64")
        # Integers have no kernel: sums of products serve where they read nothing often.
        few = math.prod(shape) * a.shape[-1] <= 4 * (a.size + b.size + math.prod(shape))
        if a.kind != b.kind or a.kind == "i1" or not (is_float or few):
            raise NoLowering(f"a product of {a.dtype} matrices runs in NumPy")
        if math.prod(shape) == 0 or a.shape[-1] == 0:
            return self.const(0.0, a.kind, shape)
        if b.shape[-1] == 1:  # a matrix and a vector: a sum along rows
            row = self.transpose(b, (*range(b.ndim - 2), b.ndim - 1, b.ndim - 2))
            return self.reduce("add", self.map("multiply", a, row), (-1,), keepdims=True)
        if not is_float:
            left = self.reshape(a, (*a.shape, 1))
            right = self.reshape(b, (*b.shape[:-2], 1, *b.shape[-2:]))
            return self.reduce("add", self.map("multiply", left, right), (-2,))
        return self.make("matmul", (a, b), None, shape, a.kind)

    def gather(self, x: Tensor, positions: Tensor) -> Tensor:
        """x.ravel()[positions]; the positions (i64) are known to be in range."""
        if x.op == "const" and not isinstance(x.data, tuple):
            return self.const(x.data, x.kind, positions.shape)
        return self.make("gather", (x, positions), None, positions.shape, x.kind)

    def scatter(self, how: str, x: Tensor, positions: Tensor, values: Tensor) -> Tensor:
        """A copy of x with values added to ("add") or put at ("set") flat positions, in order."""
        # Both are read in the order of memory: of a reversed array that is not that of its entries.
        x, positions = self._in_c_order(x), self._in_c_order(positions)
        return self.make("scatter", (x, positions, values), how, x.shape, x.kind)

    def _in_c_order(self, x: Tensor) -> Tensor:
        """x, or a copy of a view whose entries do not lie one after another."""
        if x.op != "view":
            return x
        pairs = zip(x.shape, x.data[0], c_strides(x.shape), strict=True)
        return x if all(n == 1 or own == natural for n, own, natural in pairs) else self.copy(x)

    def assemble(
        self,
        base: Tensor | None,
        parts: Sequence[tuple[Tensor, Shape, int]],
        shape: Shape,
        kind: str,
    ) -> Tensor:
        """`base` with parts written at (strides, offset) of the result; None: parts fill it."""
        places = tuple((strides, offset) for _, strides, offset in parts)
        args = ([] if base is None else [base]) + [part for part, _, _ in parts]
        return self.make("assemble", args, (base is not None, places), shape, kind)

    def check(self, condition: Tensor) -> None:
        """The result means something only where all entries of `condition` are true."""
        axes = range(condition.ndim)
        self.checks.append(self.reduce("and", condition, axes))

    # ---- views ---------------------------------------------------------------------------------

    def view(
        self, x: Tensor, shape: Sequence[int], strides: Sequence[int], offset: int = 0
    ) -> Tensor:
        """Entries of x, laid out in C order, at offset + Σ index · stride."""
        shape, strides = tuple(shape), tuple(strides)
        strides = tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))
        own = tuple(0 if n == 1 else s for n, s in zip(x.shape, c_strides(x.shape), strict=True))
        if shape == x.shape and strides == own and offset == 0:
            return x
        if x.op == "const" and not isinstance(x.data, tuple):
            return self.const(x.data, x.kind, shape)
        return self.make("view", (x,), (strides, offset), shape, x.kind)

    strides = staticmethod(c_strides)

    def placed(self, x: Tensor) -> tuple[Tensor, Shape, int]:
        """x as (base, strides, offset)."""
        if x.op == "view":
            strides, offset = x.data
            return x.args[0], strides, offset
        return x, c_strides(x.shape), 0

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The entries in C order in another shape."""
        shape = tuple(shape)
        if shape == x.shape:
            return x
        base, strides, offset = self.placed(x)
        found = reshaped_strides(x.shape, strides, shape)
        if found is None:
            base, offset = self.copy(x), 0
            found = c_strides(shape)
        return self.view(base, shape, found, offset)

    def copy(self, x: Tensor) -> Tensor:
        """x in C order, in memory of its own."""
        return self.make("map", (x,), "copy", x.shape, x.kind)

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """Result axis i is operand axis axes[i]."""
        base, strides, offset = self.placed(x)
        return self.view(base, [x.shape[a] for a in axes], [strides[a] for a in axes], offset)

    def broadcast(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """x broadcast to `shape`, as NumPy does."""
        shape = tuple(shape)
        if shape == x.shape:
            return x
        if x.op == "const" and not isinstance(x.data, tuple):
            return self.const(x.data, x.kind, shape)
        return self.make("map", (x,), "copy", shape, x.kind)

    def basic_index(self, x: Tensor, index: tuple[Any, ...]) -> Tensor:
        """x[index] for integers, slices, None and an ellipsis."""
        base, strides, offset = self.placed(x)
        used = sum(part is not None and part is not Ellipsis for part in index)
        parts: list[Any] = []
        for part in index:
            parts += [slice(None)] * (x.ndim - used) if part is Ellipsis else [part]
        if Ellipsis not in [p for p in index if p is Ellipsis]:
            parts += [slice(None)] * (x.ndim - used)
        shape: list[int] = []
        steps: list[int] = []
        axis = 0
        for part in parts:
            if part is None:
                shape.append(1)
                steps.append(0)
                continue
            n, s = x.shape[axis], strides[axis]
            axis += 1
            if isinstance(part, slice):
                start, stop, step = part.indices(n)
                shape.append(len(range(start, stop, step)))
                steps.append(s * step)
                offset += start * s if shape[-1] else 0
            else:
                offset += (int(part) % n) * s
        return self.view(base, shape, steps, offset)

    # ---- what rules use most -------------------------------------------------------------------

    def tensor(self, x: Any, dtype: Any = None) -> Tensor:
        """An operand as a tensor, cast to `dtype` where given."""
        if isinstance(x, Tensor):
            return x if dtype is None else self.cast(x, dtype)
        if isinstance(x, complex) and not isinstance(x, float):
            raise NoLowering("complex numbers run in NumPy")
        kind = kind_of(np.asarray(x).dtype if dtype is None else dtype)
        return self.const(x, kind)

    def cast(self, x: Tensor, dtype: Any) -> Tensor:
        """x as another dtype, as astype does."""
        kind = dtype if isinstance(dtype, str) else kind_of(dtype)
        if kind == x.kind:
            return x
        if x.op == "const" and not isinstance(x.data, tuple):
            with np.errstate(all="ignore"):
                number = np.asarray(x.data, x.dtype).astype(dtype_of(kind))[()]
            return self.const(number, kind, x.shape)
        if x.kind in ("f32", "f64") and kind not in ("f32", "f64", "i1"):
            return self._truncated(x, kind)
        return self.map(f"cast to {kind}", x)

    def _truncated(self, x: Tensor, kind: str) -> Tensor:
        """Floating numbers as integers: what does not fit, and NaN, gives the lowest of them."""
        if kind not in ("i32", "i64"):
            raise NoLowering(f"a cast of {x.dtype} to {dtype_of(kind)} runs in NumPy")
        end = self.const(2.0 ** (int(kind[1:]) - 1), x.kind)
        fits = self.map("less", self.map("absolute", x), end)
        lowest = self.const(-int(2.0 ** (int(kind[1:]) - 1)), kind)
        number = self.map("where", fits, x, self.const(0.0, x.kind))
        return self.map("where", fits, self.map(f"cast to {kind}", number), lowest)

    def known(self, x: Any) -> np.ndarray[Any, Any] | None:
        """The entries of a constant, else None."""
        if not isinstance(x, Tensor):
            return np.asarray(x)
        if x.op != "const":
            return None
        if isinstance(x.data, tuple):
            return self.arrays[x.data[1]]
        return np.full(x.shape, x.data, x.dtype)

    def common(self, *operands: Any) -> list[Tensor]:
        """Operands as tensors of the dtype to which NumPy promotes them."""
        try:
            dtype = np.result_type(*[_weak(x) for x in operands])
        except OverflowError as error:
            raise NoLowering(str(error)) from None
        return [self.tensor(x, dtype) for x in operands]

    def elementwise(self, name: str, out: Any, operands: Sequence[Any]) -> Tensor:
        """The ufunc `name`: operands promoted as NumPy does, the result of out's dtype."""
        if name in COMPARISONS or name in PREDICATES:
            kinds = {x.kind for x in operands if isinstance(x, Tensor)}
            if kinds == {"i64", "u64"}:  # NumPy compares them exactly
                raise NoLowering("a comparison of int64 and uint64 runs in NumPy")
            settled = self._settled(name, operands)
            return self.map(name, *self.common(*operands)) if settled is None else settled
        return self.map(name, *[self.tensor(x, out.dtype) for x in operands])

    def _settled(self, name: str, operands: Sequence[Any]) -> Tensor | None:
        """A comparison of integers with one of Python's beyond their range: all entries alike."""
        tensors = [x for x in operands if isinstance(x, Tensor)]
        numbers = [x for x in operands if type(x) is int]
        if len(tensors) != 1 or len(numbers) != 1 or tensors[0].kind[0] not in "iu":
            return None
        (x,), (number,) = tensors, numbers
        info = np.iinfo(np.int64 if x.kind == "i1" else x.dtype)
        if info.min <= number <= info.max:
            return None
        answer = getattr(np, name)(*[info.dtype.type(0) if y is x else y for y in operands])
        return self.const(answer, "i1", x.shape)

    def where(self, condition: Any, x: Any, y: Any) -> Tensor:
        """np.where, with x and y promoted to their common dtype."""
        x, y = self.common(x, y)
        return self.map("where", self.cast(self.tensor(condition), "i1"), x, y)

    def refuse(self, reason: str) -> Any:
        """Leave this node to NumPy.

        Raises
        ------
        NoLowering
            Always.
        """
        raise NoLowering(reason)

    def __getattr__(self, name: str) -> Callable[..., Tensor]:
        """``b.exp(x)``, ``b.multiply(x, 2)``: scalar functions of the promoted operands."""
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*operands: Any) -> Tensor:
            return self.map(name, *self.common(*operands))

        return call


def _weak(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x.dtype
    return x if type(x) in _PYTHON else np.asarray(x).dtype


def _uniform(value: np.ndarray[Any, Any]) -> bool:
    flat = (
        value.reshape(-1) if value.flags.c_contiguous else np.ascontiguousarray(value).reshape(-1)
    )
    raw = flat.view(f"V{value.dtype.itemsize}") if value.dtype.itemsize else flat
    first = flat[:1].view(np.uint8)
    whole = flat.view(np.uint8).reshape(len(raw), -1)
    return bool((whole == first).all())
