"""What optimisers share: the state, the walk over the leaves, and the checks on both."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.errors import DtypeError, ShapeError, TreeError
from thalweg.tree import (
    Structure,
    flatten,
    flatten_with_paths,
    learned,
    plain_numbers,
    static,
    unflatten,
)

__all__ = [
    "Optimiser",
    "State",
    "Updating",
    "cast",
    "check_fraction",
    "check_optimiser",
    "check_positive",
    "check_rate",
    "check_whole",
    "fresh",
    "match",
    "path_name",
]


@dataclass(frozen=True)
class State:
    """What an optimiser remembers between two steps: a tree.

    Attributes
    ----------
    count : int64 array of shape ()
        Steps that have been made.
    moments : dict
        Name → tree in the form of the parameters.
    """

    count: Any
    moments: dict[str, Any]


class Updating(ABC):
    """What can be used as an optimiser: `init` and `update`."""

    @abstractmethod
    def init(self, params: Any) -> Any:
        """The state before the first step, for parameters of this form.

        Raises
        ------
        DtypeError
            If a leaf is no array of floating or complex numbers.
        """

    @abstractmethod
    def update(self, state: Any, grads: Any, params: Any) -> tuple[Any, Any]:
        """One step: the next state and the next parameters. Nothing is written to.

        Buffers (`thalweg.tree.buffer`) stay as they are.

        Raises
        ------
        TreeError, ShapeError, DtypeError
            If gradients or state do not have the form of the parameters, or gradients are complex
            and parameters real.
        """


@dataclass(frozen=True)
class Optimiser(Updating):
    """A rule for every leaf: the gradient and a few moments give the step.

    Parameters
    ----------
    rate : float or callable
        The learning rate, or a schedule: ``rate(step)`` with the number of steps made so far.
    """

    #: Names of the moments, in the order in which `_rule` takes and gives them.
    _moments: ClassVar[tuple[str, ...]] = ()

    rate: Any = static()

    def __post_init__(self) -> None:
        check_rate(self.rate)
        plain_numbers(self)

    def init(self, params: Any) -> State:
        """The state before the first step, for parameters of this form."""
        leaves, structure = fresh(params)
        moments = {
            name: unflatten(structure, [self._start(name, leaf) for leaf in leaves])
            for name in self._moments
        }
        return State(np.zeros((), np.int64), moments)

    def update(self, state: State, grads: Any, params: Any) -> tuple[State, Any]:
        """One step: the next state and the next parameters. Nothing is written to."""
        if not isinstance(state, State):
            raise TreeError(
                f"{type(self).__name__}: the state comes from its init, and first in "
                f"update(state, grads, params); got {type(state).__name__}"
            )
        leaves, structure = flatten(params)
        slopes = match(grads, structure, leaves, "the gradients")
        if set(state.moments) != set(self._moments):
            raise TreeError(
                f"the state has the moments {sorted(state.moments)}; {type(self).__name__} has "
                f"{sorted(self._moments)}: it belongs to another optimiser"
            )
        kept = [
            match(state.moments[name], structure, leaves, f"the state's {name!r}")
            for name in self._moments
        ]
        rate = self.rate(state.count) if callable(self.rate) else self.rate
        count = state.count + 1
        rule = self._rule(rate, count)
        moved = [
            rule(p, _downhill(g, p), *m) if moves else (p, *m)
            for moves, p, g, *m in zip(learned(structure), leaves, slopes, *kept, strict=True)
        ]
        columns = list(zip(*moved, strict=True)) or [()] * (1 + len(self._moments))
        moments = {
            name: unflatten(structure, column)
            for name, column in zip(self._moments, columns[1:], strict=True)
        }
        return State(count, moments), unflatten(structure, columns[0])

    def _start(self, name: str, leaf: Any) -> Any:
        """A moment of a leaf before the first step."""
        return np.zeros_like(leaf)

    @abstractmethod
    def _rule(self, rate: Any, count: Any) -> Callable[..., Sequence[Any]]:
        """``rule(p, g, *moments)``: the next p and moments of one leaf.

        What depends on rate and count alone is computed here, once for all leaves; `cast` brings
        it to the leaf's precision. `count` is 1 in the first step.
        """


def cast(x: Any, p: Any) -> Any:
    """A scalar in the (real) precision of a leaf, so that float32 parameters stay float32."""
    dtype = _dtype(p)
    return x.astype(dtype.type(0).real.dtype) if hasattr(x, "astype") and dtype.kind in "fc" else x


def _downhill(g: Any, p: Any) -> Any:
    """A gradient, conjugate where it is complex, in the precision of the parameters."""
    mine, wanted = _dtype(g), _dtype(p)
    if mine.kind == "c":
        if wanted.kind != "c":
            raise DtypeError(f"a gradient is {mine}, its parameters are {wanted}: they are real")
        g = np.conj(g)
    elif mine.kind != "f" or wanted.kind != "f":
        return g
    return g if mine == wanted or not hasattr(g, "astype") else g.astype(wanted)


def _dtype(leaf: Any) -> np.dtype[Any]:
    found: np.dtype[Any] = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
    return found


def path_name(path: Sequence[Any]) -> str:
    """The place of a leaf as text: keys, field names and positions with dots between."""
    return ".".join(map(str, path)) or "(the parameters)"


def fresh(params: Any) -> tuple[list[np.ndarray], Structure]:
    """Copies of the leaves as arrays, and their structure.

    They lie in memory as compiled code can write them; a transposed array, or one from a file, may
    lie otherwise.

    Raises
    ------
    DtypeError
        If a leaf is no array of floating or complex numbers.
    """
    leaves, structure = flatten_with_paths(params)
    for path, leaf in leaves:
        if _dtype(leaf).kind not in "fc":
            raise DtypeError(
                f"parameters must be floating or complex: {path_name(path)} is "
                f"{type(leaf).__name__} of dtype {_dtype(leaf)}.\n"
                "  Make it a float, or a static field (thalweg.tree.static) if it is not learned."
            )
    copies = [np.array(x, _dtype(x).newbyteorder("="), order="C") for _, x in leaves]
    return copies, structure


def match(tree: Any, structure: Structure, leaves: Sequence[Any], what: str) -> list[Any]:
    """The leaves of `tree`, which must have the form and the shapes of the parameters.

    Raises
    ------
    TreeError, ShapeError
        If it has not.
    """
    found, own = flatten_with_paths(tree)
    if own != structure:
        raise TreeError(
            f"{what} must have the form of the parameters\n  {structure!r}\ngot\n  {own!r}"
        )
    for (path, x), p in zip(found, leaves, strict=True):
        if np.shape(x) != np.shape(p):
            raise ShapeError(
                f"{what} must have the shapes of the parameters: {path_name(path)} has shape "
                f"{np.shape(p)}, got {np.shape(x)}"
            )
    return [x for _, x in found]


def check_rate(rate: Any) -> None:
    """A learning rate is a number ≥ 0 or a schedule."""
    if not callable(rate):
        check_positive("rate", rate, zero=True)


def check_positive(name: str, x: Any, *, zero: bool = False) -> None:
    """A finite positive number (or 0)."""
    number = isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool)
    if not number or not math.isfinite(x) or x < 0 or (x == 0 and not zero):
        raise ValueError(f"{name}={x!r}: it must be a finite number {'≥' if zero else '>'} 0")


def check_fraction(name: str, x: Any) -> None:
    """A number in [0, 1)."""
    check_positive(name, x, zero=True)
    if x >= 1:
        raise ValueError(f"{name}={x!r}: it must be below 1")


def check_whole(name: str, x: Any, *, zero: bool = False) -> None:
    """A positive integer (or 0)."""
    check_positive(name, x, zero=zero)
    if x != int(x):
        raise ValueError(f"{name}={x!r}: it must be a whole number")


def check_optimiser(name: str, x: Any) -> None:
    """What has `init` and `update` is an optimiser."""
    if isinstance(x, type) or not all(callable(getattr(x, m, None)) for m in ("init", "update")):
        raise TypeError(f"{name} must be an optimiser of thalweg.optim, got {x!r}")
