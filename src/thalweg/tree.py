"""Trees: tuples, lists, dicts, named tuples and dataclasses; their leaves have a fixed order."""

from __future__ import annotations

import dataclasses
import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import TreeError

__all__ = [
    "Static",
    "Structure",
    "branches",
    "buffer",
    "flatten",
    "flatten_with_paths",
    "learned",
    "plain_numbers",
    "static",
    "static_key",
    "tree_map",
    "unflatten",
]


def static(**options: Any) -> Any:
    """Declare a field of a dataclass to be configuration: part of the tree's form, not a leaf.

    Trees that differ in a static field do not match, and a compiled function has a record for
    each. Values must be hashable.

    Parameters
    ----------
    **options
        As of `dataclasses.field`: ``default``, ``default_factory``, ``repr``, …

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from typing import Any
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.tree import static
    >>> @dataclass(frozen=True)
    ... class Power:
    ...     scale: Any
    ...     exponent: int = static(default=2)
    >>> tw.grad(lambda p: np.sum(p.scale**p.exponent))(Power(3.0))
    Power(scale=np.float64(6.0), exponent=2)
    """
    metadata = {**options.pop("metadata", {}), "static": True}
    return dataclasses.field(metadata=metadata, **options)


def buffer(**options: Any) -> Any:
    """Declare a field of a dataclass to hold leaves that are not learned: running statistics.

    They are part of the tree like all others, but no optimiser moves them and no penalty of
    `thalweg.nn.regularise` counts them.

    Parameters
    ----------
    **options
        As of `dataclasses.field`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from typing import Any
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.tree import buffer
    >>> @dataclass(frozen=True)
    ... class Scaled:
    ...     scale: Any
    ...     seen: Any = buffer()
    >>> opt, model = tw.optim.SGD(1.0), Scaled(np.ones(2), np.ones(2))
    >>> opt.update(opt.init(model), Scaled(np.ones(2), np.ones(2)), model)[1]
    Scaled(scale=array([0., 0.]), seen=array([1., 1.]))
    """
    metadata = {**options.pop("metadata", {}), "buffer": True}
    return dataclasses.field(metadata=metadata, **options)


def plain_numbers(owner: Any) -> None:
    """NumPy scalars in the static fields of a dataclass become Python's numbers, in place.

    Python's take the precision of what they meet: a np.float64 would make float64 of float32.
    """
    kind: Any = type(owner)
    for name in _fields(kind)[1]:
        value = getattr(owner, name)
        if isinstance(value, np.generic):
            object.__setattr__(owner, name, value.item())


def static_key(value: Any) -> Hashable:
    """A key that is equal for equal values of one type only: 1, True and 1.0 differ.

    For floats as their digits: nan is itself, and −0.0 is not 0.0. Tuples and sets item by item.
    """
    kind = type(value)
    if issubclass(kind, (float, complex, np.generic)):
        return (kind, repr(value))
    if kind is tuple or kind is frozenset:
        return (kind, kind(map(static_key, value)))
    return (kind, value)


class Static:
    """The name and value of a static field; equal by `static_key`."""

    __slots__ = ("_key", "name", "value")

    def __init__(self, owner: type, name: str, value: Any) -> None:
        self.name = name
        self.value = value
        self._key = static_key(value)
        try:
            hash(self._key)
        except TypeError:
            raise TreeError(
                f"the static field {name!r} of {owner.__name__} holds a {type(value).__name__}, "
                "which is not hashable: trees with different ones could not be told apart.\n"
                "  Make it a tuple, or a leaf: a field without thalweg.tree.static()."
            ) from None

    def __eq__(self, other: object) -> bool:
        return type(other) is Static and (self.name, self._key) == (other.name, other._key)

    def __hash__(self) -> int:
        return hash((self.name, self._key))

    def __repr__(self) -> str:
        return f"{self.name}={self.value!r}"


class Structure(NamedTuple):
    """The shape of a tree without its leaves; comparable, so two trees can be matched."""

    kind: type | None  # None: a leaf
    keys: tuple[Any, ...]  # dict keys, field names or positions
    children: tuple[Structure, ...]
    default: Callable[[], Any] | None = None  # of a defaultdict
    statics: tuple[Static, ...] = ()  # of a dataclass: fields declared by `static`

    @property
    def n_leaves(self) -> int:
        """Number of leaves below this point."""
        return 1 if self.kind is None else sum(child.n_leaves for child in self.children)

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        inner = [f"{key}: {child!r}" for key, child in zip(self.keys, self.children, strict=True)]
        return f"{self.kind.__name__}({', '.join([*inner, *map(repr, self.statics)])})"


LEAF = Structure(None, (), ())
_NONE = Structure(type(None), (), ())


def _sorted_keys(tree: dict[Any, Any]) -> tuple[Any, ...]:
    """Two dicts with the same keys have the same leaves; in an OrderedDict the order counts."""
    if isinstance(tree, OrderedDict):
        return tuple(tree)
    try:
        return tuple(sorted(tree))
    except TypeError:
        return tuple(sorted(tree, key=lambda key: (type(key).__qualname__, repr(key))))


def _is_leaf_type(kind: type) -> bool:
    """Whether all objects of this type are leaves."""
    inner = (dict, tuple, list, type(None))
    return not (issubclass(kind, inner) or dataclasses.is_dataclass(kind))


_holds_nothing: Callable[[type], bool] = functools.lru_cache(maxsize=256)(_is_leaf_type)


def branches(tree: Any) -> tuple[tuple[Any, ...], list[Any]] | None:
    """Keys and children of `tree`, or None where it is a leaf."""
    if isinstance(tree, dict):
        keys = _sorted_keys(tree)
        return keys, [tree[key] for key in keys]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return tuple(tree._fields), list(tree)
    if isinstance(tree, (tuple, list)):
        return tuple(range(len(tree))), list(tree)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = _fields(type(tree))[0]
        return names, [getattr(tree, name) for name in names]
    return None


@functools.lru_cache(maxsize=256)
def _fields(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of a dataclass's fields: those that are branches, and the static ones."""
    names: tuple[list[str], list[str]] = ([], [])
    for field in dataclasses.fields(kind):
        names[bool(field.metadata.get("static"))].append(field.name)
    return tuple(names[0]), tuple(names[1])


def _flatten_into(
    tree: Any, path: tuple[Any, ...], leaves: list[tuple[tuple[Any, ...], Any]]
) -> Structure:
    if tree is None:
        return _NONE
    found = None if _holds_nothing(type(tree)) else branches(tree)
    if found is None:
        leaves.append((path, tree))
        return LEAF
    keys, children = found
    below = tuple(
        _flatten_into(child, (*path, key), leaves)
        for key, child in zip(keys, children, strict=True)
    )
    kind = type(tree)
    default = tree.default_factory if isinstance(tree, defaultdict) else None
    statics: tuple[Static, ...] = ()
    if dataclasses.is_dataclass(kind) and not issubclass(kind, (dict, tuple, list)):
        statics = tuple([Static(kind, name, getattr(tree, name)) for name in _fields(kind)[1]])
    return Structure(kind, keys, below, default, statics)


def flatten_with_paths(tree: Any) -> tuple[list[tuple[tuple[Any, ...], Any]], Structure]:
    """Leaves of `tree` with the keys that lead to each, and the structure around them."""
    if _holds_nothing(type(tree)):
        return [((), tree)], LEAF
    leaves: list[tuple[tuple[Any, ...], Any]] = []
    structure = _flatten_into(tree, (), leaves)
    return leaves, structure


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """Leaves of `tree` in a fixed order, and the structure to put them back.

    None is a branch without leaves, as an optional parameter is.
    """
    if _holds_nothing(type(tree)):
        return [tree], LEAF
    leaves, structure = flatten_with_paths(tree)
    return [leaf for _, leaf in leaves], structure


def learned(structure: Structure) -> list[bool]:
    """Of each leaf, whether it is learned: not below a field declared by `buffer`."""
    if structure.kind is None:
        return [True]
    declared = getattr(structure.kind, "__dataclass_fields__", {})
    found: list[bool] = []
    for key, child in zip(structure.keys, structure.children, strict=True):
        if key in declared and declared[key].metadata.get("buffer"):
            found += [False] * child.n_leaves
        else:
            found += learned(child)
    return found


def _build(structure: Structure, leaves: Iterable[Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return next(iter(leaves))
    if kind is type(None):
        return None
    children = [_build(child, leaves) for child in structure.children]
    if issubclass(kind, dict):
        built = dict(zip(structure.keys, children, strict=True))
        if issubclass(kind, defaultdict):
            return kind(structure.default, built)
        return built if kind is dict else kind(built)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return kind(*children)
    if issubclass(kind, (tuple, list)):
        return kind(children)
    # A dataclass: fields outside __init__ and frozen ones are set as they were, without running
    # __post_init__, which may validate values and must not see gradients.
    instance = object.__new__(kind)
    for name, child in zip(structure.keys, children, strict=True):
        object.__setattr__(instance, name, child)
    for field in structure.statics:
        object.__setattr__(instance, field.name, field.value)
    return instance


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree of `structure` with `leaves` in its places.

    Raises
    ------
    TreeError
        If the number of leaves differs from what the structure holds.
    """
    values = list(leaves)
    if structure is LEAF and len(values) == 1:
        return values[0]
    if len(values) != structure.n_leaves:
        raise TreeError(f"{structure!r} holds {structure.n_leaves} leaves, got {len(values)}")
    return _build(structure, iter(values))


def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply `function` to every leaf of `tree` (and the leaves in the same places of `rest`).

    Examples
    --------
    >>> from thalweg.tree import tree_map
    >>> tree_map(lambda w, g: w - 0.1 * g, {"w": 1.0, "b": 2.0}, {"w": 10.0, "b": 0.0})
    {'b': 2.0, 'w': 0.0}
    """
    leaves, structure = flatten(tree)
    others = []
    for other in rest:
        other_leaves, other_structure = flatten(other)
        if other_structure != structure:
            raise TreeError(f"trees do not match: {structure!r} against {other_structure!r}")
        others.append(other_leaves)
    return unflatten(structure, [function(*group) for group in zip(leaves, *others, strict=True)])
