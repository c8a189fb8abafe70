"""Around optimisers: clipped gradients, groups of parameters with rules of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import DtypeError, TreeError
from thalweg.optim.base import (
    Updating,
    cast,
    check_optimiser,
    check_positive,
    match,
    path_name,
)
from thalweg.tree import (
    flatten,
    flatten_with_paths,
    learned,
    plain_numbers,
    static,
    tree_map,
    unflatten,
)

__all__ = ["Clipped", "Groups", "clip_by_global_norm", "clip_by_value", "global_norm"]


def _norm(grads: Any) -> tuple[Any, Any]:
    """The largest |g| of all that is learned, and ‖g‖ over it: no square overflows or vanishes."""
    flat, structure = flatten(grads)
    leaves = [g for g, moves in zip(flat, learned(structure), strict=True) if moves and np.size(g)]
    if not leaves:
        return 0.0, 0.0
    largest = np.max(np.stack([np.max(np.abs(g)) for g in leaves]))
    unit = np.where(largest > 0, largest, largest + 1)
    return largest, np.sqrt(sum(np.sum(np.abs(g / unit) ** 2) for g in leaves))


def global_norm(grads: Any) -> Any:
    """The Euclidean norm of all leaves together; buffers, which are not learned, do not count.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> float(tw.optim.global_norm({"w": np.array([3.0, 0.0]), "b": np.array(4.0)}))
    5.0
    """
    largest, relative = _norm(grads)
    return largest * relative


def clip_by_global_norm(grads: Any, limit: float) -> Any:
    """Gradients scaled down together where their norm is above `limit`; the direction stays.

    Source: Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks
    (ICML 2013). Where one entry is not finite, all become nan: it is not hidden.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> tw.optim.clip_by_global_norm([np.array([3.0, 4.0])], 1.0)
    [array([0.6, 0.8])]
    """
    check_positive("limit", limit)
    largest, relative = _norm(grads)
    with np.errstate(over="ignore"):
        norm = largest * relative
    within = limit / np.maximum(norm, limit)  # exactly 1 within the limit
    scale = np.where(
        np.isinf(norm), limit / np.maximum(largest, limit) / np.maximum(relative, 1.0), within
    )
    return tree_map(lambda g: g * cast(scale, g), grads)


def clip_by_value(grads: Any, limit: float) -> Any:
    """Every entry brought into [−limit, limit]; nan stays.

    Raises
    ------
    DtypeError
        For complex numbers, which have no order; `clip_by_global_norm` takes them.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> tw.optim.clip_by_value(np.array([-3.0, 0.5]), 1.0)
    array([-1. ,  0.5])
    """
    check_positive("limit", limit)
    limit = float(limit)  # a np.float64 would make float64 of float32

    def clipped(g: Any) -> Any:
        if np.iscomplexobj(g):
            raise DtypeError("complex gradients have no order: clip them by their norm")
        return np.clip(g, -limit, limit)

    return tree_map(clipped, grads)


@dataclass(frozen=True)
class Clipped(Updating):
    """An optimiser whose gradients are clipped before each step.

    Parameters
    ----------
    optimiser : Optimiser
        What makes the step; its state is the state.
    norm : float, optional
        Limit of the norm of all gradients together.
    value : float, optional
        Limit of each entry; comes first where both are given.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> opt = tw.optim.Clipped(tw.optim.SGD(1.0), norm=1.0)
    >>> opt.update(opt.init(np.zeros(2)), np.array([30.0, 40.0]), np.zeros(2))[1]
    array([-0.6, -0.8])
    """

    optimiser: Updating = static()
    norm: float | None = static(default=None)
    value: float | None = static(default=None)

    def __post_init__(self) -> None:
        check_optimiser("optimiser", self.optimiser)
        plain_numbers(self)
        for name in ("norm", "value"):
            limit = getattr(self, name)
            if limit is not None:
                check_positive(name, limit)

    def init(self, params: Any) -> Any:
        """The state of the optimiser within."""
        return self.optimiser.init(params)

    def update(self, state: Any, grads: Any, params: Any) -> tuple[Any, Any]:
        """One step with clipped gradients."""
        if self.value is not None:
            grads = clip_by_value(grads, self.value)
        if self.norm is not None:
            grads = clip_by_global_norm(grads, self.norm)
        return self.optimiser.update(state, grads, params)


@dataclass(frozen=True)
class Groups(Updating):
    """Groups of parameters, each with an optimiser of its own.

    Parameters
    ----------
    choose : callable
        ``choose(path, leaf)``: the name of a leaf's group. `path` is its place as text, such as
        ``layers.0.W``; the leaf may be traced: go by its shape, not by its entries.
    **optimisers : Optimiser or None
        One a group; None: its parameters stay as they are.

    Examples
    --------
    Weights decay, biases do not:

    >>> import numpy as np, thalweg as tw
    >>> opt = tw.optim.Groups(
    ...     lambda path, leaf: "weights" if leaf.ndim > 1 else "biases",
    ...     weights=tw.optim.AdamW(0.001, decay=0.1),
    ...     biases=tw.optim.Adam(0.001),
    ... )
    >>> state = opt.init({"W": np.ones((2, 2)), "b": np.ones(2)})
    >>> list(state), list(state["weights"].moments["mean"])
    (['weights', 'biases'], ['W'])
    """

    choose: Callable[[str, Any], str] = static()
    optimisers: tuple[tuple[str, Updating | None], ...] = static()

    def __init__(self, choose: Callable[[str, Any], str], /, **optimisers: Updating | None) -> None:
        if not callable(choose):
            raise TypeError(f"choose must be a function of (path, leaf), not {choose!r}")
        for name, opt in optimisers.items():
            if opt is not None:
                check_optimiser(name, opt)
        object.__setattr__(self, "choose", choose)
        object.__setattr__(self, "optimisers", tuple(optimisers.items()))

    def _split(self, params: Any) -> dict[str, dict[str, Any]]:
        """Group → path → leaf, of the leaves that are learned."""
        groups: dict[str, dict[str, Any]] = {name: {} for name, _ in self.optimisers}
        leaves, structure = flatten_with_paths(params)
        seen: set[str] = set()
        for (path, leaf), moves in zip(leaves, learned(structure), strict=True):
            text = path_name(path)
            if text in seen:
                raise TreeError(f"two leaves have the place {text!r}: rename a key of the dict")
            seen.add(text)
            if not moves:
                continue
            name = self.choose(text, leaf)
            if name not in groups:
                raise ValueError(
                    f"choose({text!r}, …) gave {name!r}; the groups are {', '.join(groups)}"
                )
            groups[name][text] = leaf
        return groups

    def init(self, params: Any) -> dict[str, Any]:
        """Name of a group → its state, over a dict of the leaves by their paths."""
        groups = self._split(params)
        return {name: opt.init(groups[name]) for name, opt in self.optimisers if opt is not None}

    def update(self, state: Any, grads: Any, params: Any) -> tuple[dict[str, Any], Any]:
        """One step of each group."""
        wanted = {name for name, opt in self.optimisers if opt is not None}
        if not isinstance(state, dict) or set(state) != wanted:
            raise TreeError(
                f"the state is a dict of the groups {sorted(wanted)}, from init, and first in "
                f"update(state, grads, params); got "
                f"{sorted(state) if isinstance(state, dict) else type(state).__name__}"
            )
        leaves, structure = flatten_with_paths(params)
        names = [path_name(path) for path, _ in leaves]
        slopes = match(grads, structure, [leaf for _, leaf in leaves], "the gradients")
        slope_of = dict(zip(names, slopes, strict=True))
        moved = dict(zip(names, [leaf for _, leaf in leaves], strict=True))
        after: dict[str, Any] = {}
        for (name, group), (_, opt) in zip(
            self._split(params).items(), self.optimisers, strict=True
        ):
            if opt is not None:
                own = {text: slope_of[text] for text in group}
                after[name], group = opt.update(state[name], own, group)
            moved.update(group)
        return after, unflatten(structure, [moved[name] for name in names])
