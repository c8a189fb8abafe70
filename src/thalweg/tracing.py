"""User function → graph: run it once on handles and keep what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, TracingError, TreeError
from thalweg.graph.constants import as_numbers, copied, hold
from thalweg.graph.node import Node, input_node
from thalweg.guards import Guard, Recording, depth
from thalweg.tree import Structure, flatten, flatten_with_paths, unflatten

__all__ = [
    "Run",
    "as_input",
    "call_traced",
    "check_function",
    "leave",
    "own",
    "path_text",
    "result_leaves",
    "run",
]


def check_function(function: Any, call: str) -> None:
    """Refuse what is no function, mostly its result, before anything is run.

    `call` shows how it is written: ``"grad(f)(x)"``.
    """
    if not callable(function):
        name = call.partition("(")[0]
        raise TypeError(
            f"{name} needs a function, not {type(function).__name__}: write thalweg.{call}"
        )


class Run(NamedTuple):
    """One traced call.

    Attributes
    ----------
    inputs : list of Node
        One for each differentiated leaf, in order.
    structures : list of Structure
        The trees of the differentiated arguments.
    outputs : list
        Leaves of the result: nodes, or plain values that depend on nothing.
    out_structure : Structure
    aux : Any
        The second result, where `has_aux`.
    guards : list of Guard
        What Python asked of traced values.
    nested : bool
        Whether an outer trace is under way: then results must be graph.
    """

    inputs: list[Node]
    structures: list[Structure]
    outputs: list[Any]
    out_structure: Structure
    aux: Any
    guards: list[Guard]
    nested: bool


def path_text(name: str, path: tuple[Any, ...]) -> str:
    """How the leaf at `path` of the argument `name` is written: ``params['W'][0]``."""
    for key in path:
        if isinstance(key, int):
            name += f"[{key}]"
        elif isinstance(key, str) and not key.isidentifier():
            name += f"[{key!r}]"
        else:
            name += f"[{key!r}]" if isinstance(key, str) else f"[{key}]"
    return name


def as_input(leaf: Any, what: str) -> Any:
    """A differentiable leaf as a node or NumPy value.

    Raises
    ------
    DtypeError
        For integers, booleans, objects: they have no derivative.
    """
    if type(leaf) is Array:
        node = leaf._node
        if node.dtype.kind in "fc":
            return node
        value = node.value
    elif isinstance(leaf, np.ma.MaskedArray):
        raise DtypeError(
            f"{what} is a masked array; pass x.filled(…) and the mask, and use np.where"
        )
    elif isinstance(leaf, np.matrix):
        raise DtypeError(
            f"{what} is an np.matrix, whose operators a traced array does not have (x * x would be "
            "taken entry by entry); pass np.asarray(x) and write x @ x"
        )
    else:
        value = as_numbers(leaf)
        if not isinstance(leaf, np.ndarray) and value.dtype.kind != "O":
            value = value[()]
    if value.dtype.kind in "fc":
        return value
    if value.dtype.kind in "iub":
        shown = repr(leaf) if np.ndim(leaf) == 0 else f"an array of dtype {value.dtype}"
        raise DtypeError(
            f"{what} is {shown}: integers and booleans have no derivative.\n"
            "  Pass floats (2.0 instead of 2, x.astype(float)), or leave it out of argnums."
        )
    if isinstance(leaf, np.ndarray):
        raise DtypeError(
            f"{what} is an array of dtype {value.dtype}, which has no derivative.\n"
            "  If it holds numbers, x.astype(float) makes them floats."
        )
    raise DtypeError(
        f"{what} is {leaf!r}, which is neither a number nor an array.\n"
        "  Tuples, lists, dicts, named tuples and dataclasses of them are fine."
    )


def _input_nodes(
    argument: Any, label: str, named: bool, copy: bool
) -> tuple[list[Node], Structure]:
    """A node for each leaf of `argument`, whose value no later write changes."""
    located, structure = flatten_with_paths(argument)
    nodes = []
    for path, leaf in located:
        value: Any
        if type(leaf) is np.ndarray and leaf.dtype.kind in "fc":  # as most are
            value = leaf
        elif type(leaf) is float:
            value = np.float64(leaf)
        else:
            value = as_input(leaf, path_text(label, path))
        if isinstance(value, np.ndarray):
            value = copied(value) if copy else hold(value)
        nodes.append(input_node(value, path_text(label, path) if named else None))
    return nodes, structure


def call_traced(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """``function(*args, **kwargs)`` on handles: our error is not left hidden in one of NumPy's."""
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        # `numpy_array[0] = x` asks for float(x), and NumPy hides the answer in the cause.
        cause, traceback = error.__cause__, error.__traceback__
        if not isinstance(cause, TracingError):
            raise
        try:
            error.__cause__ = None  # no cycle of the two, which would keep the trace alive
            raise cause.with_traceback(traceback) from None
        finally:
            del cause, traceback


def run(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    argnums: Sequence[int],
    *,
    has_aux: bool = False,
    names: Sequence[str] | None = None,
    copy: bool = False,
) -> Run:
    """Call `function` with the leaves of ``args[argnums]`` traced.

    `copy` keeps the values apart from the caller's arrays (for results that outlive the call).
    """
    called = list(args)
    inputs: list[Node] = []
    structures: list[Structure] = []
    # What a nested call got is copied, not locked: the outer trace goes on after it.
    copy_inputs = copy or depth() > 0
    with Recording(copying=copy) as guards:
        for position in argnums:
            label = names[position] if names else f"argument {position}"
            nodes, structure = _input_nodes(args[position], label, bool(names), copy_inputs)
            inputs += nodes
            structures.append(structure)
            called[position] = unflatten(structure, map(Array, nodes))
        result = call_traced(function, called, kwargs)
    aux = None
    if has_aux:
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TreeError(
                f"has_aux=True: the function must return (output, aux), not {type(result).__name__}"
            )
        result, aux = result
    outputs, out_structure = result_leaves(result)
    nested = depth() > 0
    if has_aux:
        aux_leaves, aux_structure = flatten(aux)
        aux = unflatten(
            aux_structure,
            [leave(leaf._node, nested) if type(leaf) is Array else leaf for leaf in aux_leaves],
        )
    return Run(inputs, structures, outputs, out_structure, aux, guards, nested)


def result_leaves(result: Any, besides: tuple[type, ...] = ()) -> tuple[list[Any], Structure]:
    """Leaves of what a traced function returned: nodes, or numbers and arrays of them.

    Parameters
    ----------
    result : tree
    besides : tuple of type
        What else may be a leaf, and goes out as it is.

    Raises
    ------
    TreeError
        For anything else (an object, a generator, a coroutine): a traced value inside of it would
        be missed, and its derivative taken for zero.
    """
    leaves, structure = flatten(result)
    outputs = [leaf._node if type(leaf) is Array else leaf for leaf in leaves]
    for output in outputs:
        if type(output) is Node or isinstance(output, besides):
            continue
        if np.asarray(output).dtype.kind not in "fciub":
            what = f" of dtype {output.dtype}" if isinstance(output, np.ndarray) else ""
            raise TreeError(
                f"the function returned a {type(output).__name__}{what}, which is neither an array "
                "of numbers nor a tree of them (tuple, list, dict, named tuple, dataclass).\n"
                "  Return the values; what else is wanted can go out with has_aux=True."
            )
    return outputs, structure


def leave(value: Any, nested: bool) -> Any:
    """What goes out of the API: a handle inside an outer trace, a NumPy value otherwise."""
    if type(value) is not Node:
        return value
    return Array(value) if nested else value.value


def own(value: Any, seen: set[int]) -> Any:
    """`value` as an array that the caller may write to without changing anything else."""
    if not isinstance(value, np.ndarray):
        return value
    if value.base is not None or not value.flags.writeable or id(value) in seen:
        value = np.array(value)
    seen.add(id(value))
    return value
