"""`vmap`: a function of one example becomes a function of many."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.errors import ShapeError, TracingError, TreeError
from thalweg.graph.constants import as_numbers, hold
from thalweg.graph.graph import between
from thalweg.graph.node import Node, describe_origin, input_node, retire
from thalweg.guards import Recording, depth
from thalweg.tracing import check_function, leave, own, path_text, result_leaves
from thalweg.transforms.batch import batch
from thalweg.tree import Structure, branches, flatten_with_paths, unflatten

__all__ = ["vmap"]


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """Make a function that applies `f` to every example of a batch at once.

    The function is traced on the first example; its graph is then run with the batch axis
    carried along, so there is no Python loop. It nests with itself and with every derivative.

    Parameters
    ----------
    f : callable
        A NumPy function of one example.
    in_axes : int, None, or sequence of them, or trees
        Which axis of each positional argument counts the examples (negative: from the end); None:
        the argument is the same for all. One entry for all arguments, or one an argument; an entry
        may be a tree that goes along with the argument's. Keyword arguments are the same for all.
    out_axes : int, None, or tree
        Where the axis goes in each result; None: the result is the same for all examples.

    Returns
    -------
    callable

    Raises
    ------
    ShapeError
        If the arguments do not agree on the number of examples.
    TracingError
        If Python branches on a value and the examples disagree.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> tw.vmap(np.dot, in_axes=(0, None))(x, np.array([1.0, 10.0]))
    array([10., 32., 54.])
    >>> tw.vmap(tw.grad(lambda v: np.sum(v**2)))(x)
    array([[ 0.,  2.],
           [ 4.,  6.],
           [ 8., 10.]])
    """
    check_function(f, "vmap(f)(x)")

    @functools.wraps(f)
    def batched(*args: Any, **kwargs: Any) -> Any:
        leaves, structure, axes, labels = _arguments(args, in_axes)
        size = _batch_size(leaves, axes, labels)
        with Recording(apart=True) as guards:
            fronts = {
                i: _to_front(hold(leaf) if isinstance(leaf, np.ndarray) else leaf, axis)
                for i, (leaf, axis) in enumerate(zip(leaves, axes, strict=True))
                if axis is not None
            }
            inputs = {i: input_node(_example(x)) for i, x in fronts.items()}
            called = [Array(inputs[i]) if i in inputs else leaf for i, leaf in enumerate(leaves)]
            result = f(*unflatten(structure, called), **kwargs)
        outputs, out_structure = result_leaves(result)
        graph = between(list(inputs.values()), outputs, guards)
        nested = depth() > 0
        _refuse_leaked(graph.captured, nested)
        as_graph = nested and (
            bool(graph.captured) or any(type(x) is Node for x in fronts.values())
        )
        operands = [x if as_graph or type(x) is not Node else x.value for x in fronts.values()]
        values, carried = batch(graph, operands, [True] * len(operands), size, as_graph=as_graph)
        for node in inputs.values():
            retire(node)
        places = prefix_leaves(out_axes, out_structure, "out_axes")
        seen = {id(x) for x in leaves}
        given = [
            _finish(value, flag, place, size, seen, nested)
            for value, flag, place in zip(values, carried, places, strict=True)
        ]
        return unflatten(out_structure, given)

    return batched


def _arguments(
    args: tuple[Any, ...], in_axes: Any
) -> tuple[list[Any], Structure, list[int | None], list[str]]:
    """Leaves of the arguments, the axis of each (non-negative) and how each is called."""
    found, structure = flatten_with_paths(args)
    if isinstance(in_axes, (tuple, list)) and len(in_axes) != len(args):
        raise TreeError(
            f"vmap: in_axes={in_axes!r} has {len(in_axes)} entries, the call has {len(args)} "
            "positional arguments (keyword arguments are the same for all examples)"
        )
    axes = prefix_leaves(in_axes, structure, "in_axes")
    leaves: list[Any] = []
    labels = []
    for k, ((path, leaf), axis) in enumerate(zip(found, axes, strict=True)):
        label = path_text(f"argument {path[0]}", path[1:])
        labels.append(label)
        if axis is None:
            leaves.append(leaf)
            continue
        value = leaf._node if type(leaf) is Array else as_numbers(leaf)
        if not -value.ndim <= axis < value.ndim:
            raise ShapeError(
                f"vmap: {label} has shape {value.shape} and no axis {axis} to count examples by; "
                "give None for it in in_axes if it is the same for all"
            )
        axes[k] = axis % value.ndim
        leaves.append(value)
    return leaves, structure, axes, labels


def prefix_leaves(prefix: Any, structure: Structure, what: str) -> list[int | None]:
    """An axis for each leaf of `structure`, from a tree of axes that may end above the leaves."""
    if prefix is None or (
        isinstance(prefix, (int, np.integer)) and not isinstance(prefix, (bool, np.bool_))
    ):
        return [None if prefix is None else int(prefix)] * structure.n_leaves
    found = branches(prefix)
    if found is None:
        raise TreeError(f"vmap: {what} holds {prefix!r}; an axis is an int or None")
    keys, children = found
    if keys != structure.keys:
        raise TreeError(f"vmap: {what}={prefix!r} does not go along with {structure!r}")
    return [
        axis
        for child, below in zip(children, structure.children, strict=True)
        for axis in prefix_leaves(child, below, what)
    ]


def _batch_size(leaves: Sequence[Any], axes: Sequence[int | None], labels: Sequence[str]) -> int:
    sizes = {
        label: leaf.shape[axis]
        for leaf, axis, label in zip(leaves, axes, labels, strict=True)
        if axis is not None
    }
    if not sizes:
        raise ShapeError("vmap: no argument has a batch axis: every entry of in_axes is None")
    if len(set(sizes.values())) > 1:
        listed = "\n".join(
            f"  {label}: shape {leaf.shape}, axis {axis}, {leaf.shape[axis]} examples"
            for leaf, axis, label in zip(leaves, axes, labels, strict=True)
            if axis is not None
        )
        raise ShapeError(f"vmap: the arguments do not agree on the number of examples\n{listed}")
    return int(next(iter(sizes.values())))


def _to_front(value: Any, axis: int) -> Any:
    if axis == 0:
        return value
    return np.transpose(value, (axis, *(i for i in range(value.ndim) if i != axis)))


def _example(front: Any) -> Any:
    """The first example as a value (zeros, if there is none)."""
    value = front.value if type(front) is Node else front
    return value[0] if len(value) else np.zeros(value.shape[1:], value.dtype)[()]


def _refuse_leaked(captured: Sequence[Node], nested: bool) -> None:
    if nested:
        return
    for node in captured:
        if node.active:
            raise TracingError(
                f"vmap: a traced value from outside takes part (made at "
                f"{describe_origin(node.origin)}): it was kept from a call that has ended, or "
                "belongs to another thread.\n  Store thalweg.detach(x) instead."
            )


def _finish(
    value: Any, carried: bool, place: int | None, size: int, seen: set[int], nested: bool
) -> Any:
    """A result with its batch axis where it is wanted, owned by the caller."""
    if place is None:
        if carried:
            raise ShapeError(
                "vmap: out_axes has None for a result that differs from example to example; give "
                "the place of its batch axis"
            )
        return leave(value, nested) if type(value) is Node else own(value, seen)
    ndim = len(np.shape(value.value if type(value) is Node else value)) + (not carried)
    if not -ndim <= place < ndim:
        raise ShapeError(f"vmap: out_axes={place} for a result of {ndim} axes with the batch axis")
    if not carried:
        shape = value.shape if type(value) is Node else np.shape(value)
        value = np.broadcast_to(value, (size, *shape))
    place %= ndim
    if place:
        order = list(range(1, ndim))
        order.insert(place, 0)
        value = np.transpose(value, order)
    return leave(value, nested) if type(value) is Node else own(value, seen)
