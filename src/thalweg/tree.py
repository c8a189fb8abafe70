"""Trees: tuples, lists, dicts, named tuples and dataclasses; their leaves have a fixed order."""

from __future__ import annotations

import dataclasses
import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from thalweg.errors import TreeError

__all__ = ["Structure", "branches", "flatten", "flatten_with_paths", "tree_map", "unflatten"]


class Structure(NamedTuple):
    """The shape of a tree without its leaves; comparable, so two trees can be matched."""

    kind: type | None  # None: a leaf
    keys: tuple[Any, ...]  # dict keys, field names or positions
    children: tuple[Structure, ...]
    default: Callable[[], Any] | None = None  # of a defaultdict

    @property
    def n_leaves(self) -> int:
        """Number of leaves below this point."""
        return 1 if self.kind is None else sum(child.n_leaves for child in self.children)

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        inner = ", ".join(
            f"{key}: {child!r}" for key, child in zip(self.keys, self.children, strict=True)
        )
        return f"{self.kind.__name__}({inner})"


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
        names = tuple(field.name for field in dataclasses.fields(tree))
        return names, [getattr(tree, name) for name in names]
    return None


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
    default = tree.default_factory if isinstance(tree, defaultdict) else None
    return Structure(type(tree), keys, below, default)


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
