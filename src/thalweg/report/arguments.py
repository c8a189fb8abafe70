"""The arguments of a traced call: which leaves are inputs, and what they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError
from thalweg.tracing import path_text
from thalweg.tree import flatten_with_paths, unflatten

__all__ = ["inputs_of"]


def inputs_of(
    f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[list[str], Callable[..., Any], list[Any]]:
    """Names and values of the inputs, and `f` as a function of them alone."""
    titles = [*_parameter_names(f, len(args)), *kwargs]
    given = [*args, *kwargs.values()]
    paths: list[str] = []
    leaves: list[Any] = []
    structures = []
    for title, argument in zip(titles, given, strict=True):
        found, structure = flatten_with_paths(argument)
        structures.append(structure)
        paths += [path_text(title, path) for path, _ in found]
        leaves += [leaf for _, leaf in found]
    chosen = [i for i, leaf in enumerate(leaves) if _is_floating(leaf)]
    if not chosen:
        chosen = [i for i, leaf in enumerate(leaves) if type(leaf) is int]
        for i in chosen:
            leaves[i] = float(leaves[i])
    if not chosen:
        raise DtypeError(
            "trace: no argument has a floating number in it, so there is nothing to "
            "differentiate.\n  Pass floats (2.0 instead of np.int64(2), x.astype(float))."
        )

    def call(*handles: Any) -> Any:
        filled = list(leaves)
        for i, handle in zip(chosen, handles, strict=True):
            filled[i] = handle
        rest = iter(filled)
        trees = [unflatten(s, [next(rest) for _ in range(s.n_leaves)]) for s in structures]
        return f(*trees[: len(args)], **dict(zip(kwargs, trees[len(args) :], strict=True)))

    values = [leaves[i]._node.value if type(leaves[i]) is Array else leaves[i] for i in chosen]
    return [paths[i] for i in chosen], call, values


def _is_floating(leaf: Any) -> bool:
    if isinstance(leaf, (float, complex)):
        return True
    return isinstance(leaf, (np.ndarray, np.generic, Array)) and leaf.dtype.kind in "fc"


def _parameter_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the positional parameters: ``x``, ``y``, ``args[0]`` …"""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # built in, without a signature
        return ["x"] if count == 1 else [f"x{i}" for i in range(count)]
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    return [plain[i] if i < len(plain) else f"{rest}[{i - len(plain)}]" for i in range(count)]
