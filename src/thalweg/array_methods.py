"""Attributes and methods of `Array`, as `numpy.ndarray` has them."""

from __future__ import annotations

import contextlib
import functools
import inspect
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from thalweg.cuts import cut_error
from thalweg.errors import NoRuleError, TracingError
from thalweg.graph.node import Node
from thalweg.guards import note_shown, record_guard
from thalweg.ops.index import getitem
from thalweg.ops.shape import astype, laid_out
from thalweg.views import link, move, root_of

__all__ = ["ArrayMethods", "Flat"]


class ArrayMethods:
    """What a handle answers by its node alone."""

    __slots__ = ()
    _node: Node

    # ---- attributes ---------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._node.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self._node.value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._node.value.ndim

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
    def strides(self) -> tuple[int, ...]:
        """Bytes from one entry to the next along each axis of the value."""
        return self._node.value.strides

    @property
    def flags(self) -> Any:
        """Memory layout of the value."""
        return self._node.value.flags

    @property
    def device(self) -> str:
        """Always ``"cpu"``, as in NumPy."""
        return "cpu"

    @property
    def base(self) -> Any:
        """The array that this one is a view of (None: it is none)."""
        return root_of(self)

    @property
    def T(self) -> Any:
        """The transpose."""
        return self._call(np.transpose)

    @property
    def mT(self) -> Any:
        """The last two axes swapped."""
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return self._call(np.swapaxes, -1, -2)

    @property
    def real(self) -> Any:
        """The real part; it can be assigned."""
        return self._call(np.real)

    @real.setter
    def real(self: Any, value: Any) -> None:
        self._writable()
        if self.dtype.kind != "c":
            self[...] = value
        else:
            self[...] = self._call(np.imag) * 1j + value

    @property
    def imag(self) -> Any:
        """The imaginary part; it can be assigned."""
        return self._call(np.imag)

    @imag.setter
    def imag(self: Any, value: Any) -> None:
        self._writable()
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        self[...] = self._call(np.real) + 1j * value

    @property
    def flat(self) -> Any:
        """The entries in C order: an iterator that can be indexed and assigned."""
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        Flat(self)[...] = value

    # ---- how it looks -------------------------------------------------------------------

    def __repr__(self) -> str:
        note_shown()
        value = self._node.value
        shown = np.array2string(np.asarray(value), separator=", ", prefix="Array(")
        dtype = "" if value.dtype in (np.float64, np.bool_) else f", dtype={value.dtype}"
        large = f", shape={value.shape}" if value.size > 1000 else ""
        return f"Array({shown}{dtype}{large}, gate={self._node.primitive.labels.gate!r})"

    def __str__(self) -> str:
        note_shown()
        return str(self._node.value)

    def __format__(self, spec: str) -> str:
        note_shown()
        return format(self._node.value, spec)

    def __len__(self) -> int:
        return len(self._node.value)

    def __iter__(self: Any) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return iter([self[i] for i in range(len(self))])

    def __contains__(self, value: Any) -> bool:
        return bool(self._call(np.any) if value is self else (self == value).any())

    # ---- values that Python asks for ----------------------------------------------------

    def __bool__(self) -> bool:
        try:
            answer = bool(self._node.value)
        except ValueError as error:
            error.add_note(
                "To choose entry by entry: np.where(condition, a, b); conditions are joined by "
                "(x > 0) & (x < 1)."
            )
            raise
        return bool(record_guard(self._node, answer))

    def _settled(self, wanted: str) -> Any:
        """The value, if no derivative can be lost by handing it out; it becomes a guard."""
        node = self._node
        if node.active:
            raise cut_error(wanted, node)
        return record_guard(node, node.value)

    def __float__(self) -> float:
        return float(self._settled("float(x)"))

    def __int__(self) -> int:
        return int(self._settled("int(x)"))

    def __index__(self) -> int:
        return operator.index(self._settled("using x as an index"))

    def __complex__(self) -> complex:
        return complex(self._settled("complex(x)"))

    def __round__(self: Any, ndigits: int | None = None) -> Any:
        if isinstance(self._node.value, np.ndarray):
            raise TypeError("type numpy.ndarray doesn't define __round__ method")
        return round(self._settled("round(x)")) if ndigits is None else self.round(ndigits)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._settled("np.asarray(x)"), dtype=dtype)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TracingError(
            "a traced array cannot be pickled: it belongs to the call that is being traced.\n"
            "  Return what is needed from the function, or pickle thalweg.detach(x) outside of it."
        )

    # ---- in place -----------------------------------------------------------------------

    def _writable(self) -> None:
        value = self._node.value
        if not isinstance(value, np.ndarray):
            raise TypeError(f"'{type(value).__name__}' object does not support item assignment")

    def fill(self: Any, value: Any) -> None:
        """As `numpy.ndarray.fill`."""
        self._writable()
        self[...] = value

    def sort(
        self: Any, axis: int = -1, kind: Any = None, order: Any = None, **keywords: Any
    ) -> None:
        """As `numpy.ndarray.sort`: in place."""
        self._writable()
        move(self, np.sort(self._node, axis=axis, kind=kind, order=order, **keywords))

    def partition(
        self: Any, kth: Any, axis: int = -1, kind: Any = "introselect", order: Any = None
    ) -> None:
        """As `numpy.ndarray.partition`: in place."""
        self._writable()
        move(self, np.partition(self._node, kth, axis=axis, kind=kind, order=order))

    def put(self, indices: Any, values: Any, mode: Any = "raise") -> None:
        """As `numpy.ndarray.put`."""
        self._writable()
        self._call(np.put, indices, values, mode=mode)

    # ---- methods whose arguments differ from the function's ------------------------------

    def _call(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """``function(self, …)``, without NumPy's dispatch in between."""
        return self.__array_function__(function, (), (self, *args), kwargs)

    def _made(self, node: Any) -> Any:
        """A handle of its own."""
        return type(self)(node)  # type: ignore[call-arg]

    def reshape(self, *shape: Any, order: Any = "C", copy: bool | None = None) -> Any:
        """As `numpy.ndarray.reshape`."""
        x = self.copy("K") if copy else self
        return x._call(np.reshape, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Any:
        """As `numpy.ndarray.transpose`."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            return self._call(np.transpose, axes[0])
        return self._call(np.transpose, axes or None)

    def flatten(self, order: Any = "C") -> Any:
        """As `numpy.ndarray.flatten`: never a view."""
        return self.copy("K")._call(np.ravel, order=order)

    def compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
        """As `numpy.ndarray.compress`."""
        keywords = {} if out is None else {"out": out}
        return self.__array_function__(np.compress, (), (condition, self, axis), keywords)

    def conj(self) -> Any:
        """As `numpy.ndarray.conj`: a real array is its own conjugate."""
        return np.conjugate(self) if self.dtype.kind == "c" else self

    def conjugate(self) -> Any:
        """As `numpy.ndarray.conjugate`: a real array is its own conjugate."""
        return self.conj()

    def astype(
        self,
        dtype: Any,
        order: Any = "K",
        casting: Any = "unsafe",
        subok: bool = True,
        copy: bool = True,
    ) -> Any:
        """As `numpy.ndarray.astype`; the gradient comes back in the old dtype."""
        dtype = np.dtype(dtype)
        if not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"Cannot cast array data from {self.dtype!r} to {dtype!r} by {casting}")
        if dtype == self.dtype:
            return self.copy(order) if copy else self
        return self._made(laid_out(astype(self._node, dtype), order))

    def copy(self, order: Any = "C") -> Any:
        """A handle of its own, in the memory order that is asked for (a later ravel may be a view).

        Assignment to one does not move the other.
        """
        node = self._node
        as_it_is = order == "C" and node.value.flags.c_contiguous
        return self._made(node if as_it_is else laid_out(node, order))

    def __copy__(self) -> Any:
        return self.copy("K")

    def __deepcopy__(self, _memo: Any) -> Any:
        return self.copy("K")

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        """As `numpy.ndarray.view` without arguments: another handle on the same array."""
        if dtype is not None or type is not None:
            raise NoRuleError(
                "x.view(dtype) reads the bytes as another type: it has no derivative; use x.astype"
            )
        made = self._made(self._node)
        link(made, self)
        return made

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """As `numpy.ndarray.to_device`: the array itself."""
        if device != "cpu":
            raise ValueError(f"unsupported device {device!r}: NumPy knows 'cpu' only")
        return self

    def item(self, *args: Any) -> Any:
        """The value as a Python scalar: only of values that carry no gradient."""
        return self._settled("x.item()").item(*args)


class Flat:
    """`Array.flat`: the entries in C order, to iterate over, to read and to assign."""

    __slots__ = ("_array", "_position")

    def __init__(self, array: Any) -> None:
        self._array = array
        self._position = 0

    def _flat(self) -> Any:
        node = self._array._node
        return np.reshape(node, (node.size,))

    @property
    def base(self) -> Any:
        """The array."""
        return self._array

    @property
    def index(self) -> int:
        """Position of the next entry."""
        return self._position

    def copy(self) -> Any:
        """The entries as an array of their own."""
        return self[...]

    def __len__(self) -> int:
        return int(self._array.size)

    def __iter__(self: Any) -> Flat:
        return self

    def __next__(self) -> Any:
        if self._position >= len(self):
            raise StopIteration
        self._position += 1
        return self[self._position - 1]

    def __getitem__(self, index: Any) -> Any:
        return self._array._made(getitem(self._flat(), _unhandled(index)))

    def __setitem__(self, index: Any, value: Any) -> None:
        self._array._set_flat(_unhandled(index), value)


def _unhandled(index: Any) -> Any:
    """An index without handles: their values become guards."""
    return index._settled("an index") if isinstance(index, ArrayMethods) else index


def _method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def act(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.__array_function__(function, (), (self, *args), kwargs)

    act.__name__ = act.__qualname__ = name
    act.__doc__ = f"As `numpy.ndarray.{name}`."
    with contextlib.suppress(ValueError):  # in older NumPy, functions written in C have none
        first, *rest = inspect.signature(function).parameters.values()
        act.__signature__ = inspect.Signature([first.replace(name="self"), *rest])  # type: ignore[attr-defined]
    return act


def _settling(name: str) -> Callable[..., Any]:
    def act(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._settled(f"x.{name}()"), name)(*args, **kwargs)

    act.__name__ = act.__qualname__ = name
    act.__doc__ = f"As `numpy.ndarray.{name}`: only of values that carry no gradient."
    return act


def _refusing(name: str) -> Callable[..., Any]:
    def act(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise NoRuleError(
            f"x.{name} of a traced array would change or hand out its memory; nodes never change.\n"
            "  Use a function that makes a new array, or thalweg.detach(x) as a constant."
        )

    act.__name__ = act.__qualname__ = name
    act.__doc__ = f"`numpy.ndarray.{name}` works on memory, which a traced array does not hand out."
    return act


def _install_methods() -> None:
    for name in (
        "all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "clip", "cumprod",
        "cumsum", "diagonal", "dot", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat",
        "round", "searchsorted", "squeeze", "std", "sum", "swapaxes", "take", "trace", "var",
    ):  # fmt: skip
        setattr(ArrayMethods, name, _method(name, getattr(np, name)))
    for name in ("tolist", "tobytes", "tofile", "dump", "dumps", "byteswap"):
        setattr(ArrayMethods, name, _settling(name))
    for name in ("resize", "setflags", "getfield", "setfield"):
        setattr(ArrayMethods, name, _refusing(name))


_install_methods()
