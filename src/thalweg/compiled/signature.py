"""What a record stands for: the forms of the arguments' leaves, and the values of static ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, TreeError
from thalweg.graph.constants import as_numbers
from thalweg.tracing import path_text
from thalweg.tree import Structure, flatten, flatten_with_paths, static_key, unflatten

__all__ = ["Call", "Form", "describe_form", "describe_leaf", "label", "read"]

_NUMBERS = "fciub"
#: Python ints beyond are static.
_INT64 = range(-(2**63), 2**63)

Form = tuple[Any, ...]


class Call(NamedTuple):
    """One call, read.

    Attributes
    ----------
    leaves : list
        All leaves of the arguments; arrays as plain ones.
    arguments : tuple of Structure
        The trees of the positional arguments.
    keywords : Structure
        The tree of the keyword arguments.
    forms : tuple
        What is known of each leaf without its value: ``("array", dtype, shape, layout)``,
        ``("scalar", dtype)``, ``("number", type)``, ``("static", key)``.
    traced : bool
        Whether a leaf is a traced value: then the call belongs to an outer trace.
    """

    leaves: list[Any]
    arguments: tuple[Structure, ...]
    keywords: Structure
    forms: tuple[Form, ...]
    traced: bool

    def rebuilt(self, leaves: Iterable[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments with other leaves."""
        rest = iter(leaves)
        args = [unflatten(s, itertools.islice(rest, s.n_leaves)) for s in self.arguments]
        return args, unflatten(self.keywords, rest)

    def paths(self) -> tuple[tuple[Any, ...], ...]:
        """Where each leaf stands in ``(args, kwargs)``."""
        numbered = self.rebuilt(range(len(self.leaves)))
        return tuple([path for path, _ in flatten_with_paths(numbered)[0]])


def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Leaves of a call and their forms.

    Raises
    ------
    DtypeError
        For arrays that are not of numbers.
    TreeError
        For leaves that cannot be told apart: not hashable, other libraries' arrays, generators.
    """
    leaves: list[Any] = []
    arguments = []
    for arg in args:
        found, structure = flatten(arg)
        leaves += found
        arguments.append(structure)
    keywords = _NO_KEYWORDS
    if kwargs:
        found, keywords = flatten(kwargs)
        leaves += found
    forms: list[Form] = []
    for i, leaf in enumerate(leaves):
        form = type(leaf)
        if form is np.ndarray and leaf.dtype.kind in _NUMBERS:
            forms.append(_array_form(leaf))
        elif form is float or form is complex or (form is int and leaf in _INT64):
            forms.append(("number", form))
        elif form is Array:
            return Call(leaves, tuple(arguments), keywords, (), True)
        elif isinstance(leaf, np.generic) and leaf.dtype.kind in _NUMBERS:
            forms.append(("scalar", leaf.dtype))
        elif isinstance(leaf, np.ndarray):
            leaves[i] = _plain(leaf, args, kwargs, i)
            forms.append(_array_form(leaves[i]))
        else:
            forms.append(("static", _static_form(leaf, args, kwargs, i)))
    return Call(leaves, tuple(arguments), keywords, tuple(forms), False)


_NO_KEYWORDS = flatten({})[1]


def _array_form(array: np.ndarray[Any, Any]) -> Form:
    return ("array", array.dtype, array.shape, _layout(array))


def _layout(array: np.ndarray[Any, Any]) -> Hashable:
    """How the axes lie in memory, which ravel("K") and reshape(order="A") ask; None: C order."""
    flags = array.flags
    if flags.c_contiguous:
        return None
    return (flags.f_contiguous, tuple(np.argsort([-abs(s) for s in array.strides], kind="stable")))


def _plain(leaf: Any, args: Any, kwargs: Any, i: int) -> np.ndarray[Any, Any]:
    name = label(args, kwargs, i)
    try:
        array = as_numbers(leaf)
    except DtypeError as error:
        error.add_note(f"It is {name} of a compiled function.")
        raise
    if array.dtype.kind not in _NUMBERS:
        raise DtypeError(
            f"{name} of a compiled function is an array of dtype {array.dtype}, which is not one "
            "of numbers.\n  If it holds numbers, x.astype(float); else pass a tuple of its items."
        )
    return array


def _static_form(leaf: Any, args: Any, kwargs: Any, i: int) -> Hashable:
    kind = type(leaf)
    for protocol in ("__array__", "__array_interface__", "__dlpack__"):
        if hasattr(kind, protocol) and not isinstance(leaf, np.generic):
            raise TreeError(
                f"{label(args, kwargs, i)} of a compiled function is a {kind.__name__}, whose "
                "entries would be taken for constants.\n  Pass an array: np.asarray(x)."
            )
    if isinstance(leaf, (np.random.Generator, np.random.RandomState, random.Random)):
        raise TreeError(
            f"{label(args, kwargs, i)} of a compiled function is a {kind.__name__}: what it draws "
            "while the function is traced would be drawn once and for all.\n"
            "  Draw outside, and pass the numbers."
        )
    try:
        hash(leaf)
    except TypeError:
        raise TreeError(
            f"{label(args, kwargs, i)} of a compiled function is a {kind.__name__}, which is "
            "neither a number, an array or a tree of them, nor hashable: calls with different ones "
            "could not be told apart.\n  Pass its arrays, make it a dataclass (a tree of its "
            "fields), or bind it with functools.partial."
        ) from None
    return static_key(leaf)


def label(args: tuple[Any, ...], kwargs: dict[str, Any], i: int) -> str:
    """How leaf number i of a call is named: ``argument 0['w']``, ``argument lr``."""
    path = flatten_with_paths((args, kwargs))[0][i][0]
    return describe_leaf(path, ())


def describe_leaf(path: tuple[Any, ...], names: tuple[str, ...]) -> str:
    """The leaf at `path` of ``(args, kwargs)``, by the names of the positional parameters."""
    which, key, *rest = path
    known = which == 1 or key < len(names)
    first = str(key if which == 1 else names[key]) if known else f"argument {key}"
    return path_text(first, tuple(rest))


def describe_form(form: Form) -> str:
    """A form in words: ``float64[3, 4]``, ``an int``."""
    match form:
        case ("array", dtype, shape, layout):
            gaps = "" if layout is None else ", not in C order"
            return f"{dtype}{list(shape)}{gaps}"
        case ("scalar", dtype):
            return f"{dtype} scalar"
        case ("number", kind):
            return f"Python {kind.__name__}"
        case ("static", (kind, value)):
            text = repr(value)
            shown = text if len(text) <= 40 else f"{text[:39]}…"
            return f"{kind.__name__} {shown}"
    return repr(form)
