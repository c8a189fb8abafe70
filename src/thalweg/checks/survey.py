"""The comparison itself: a function in every mode, order by order, against differences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.api import jvp, vjp
from thalweg.array import Array
from thalweg.errors import DtypeError
from thalweg.graph.node import Node
from thalweg.jacobian.differences import Difference, along, rough
from thalweg.tracing import run
from thalweg.tree import flatten, flatten_with_paths, unflatten

__all__ = [
    "MODES",
    "Call",
    "CheckRow",
    "Leaves",
    "Survey",
    "Target",
    "directions_from",
    "is_float",
    "pieces",
    "vector",
    "weights_like",
]

MODES = ("forward", "reverse")
Call = Callable[..., tuple[Any, ...]]


class CheckRow(NamedTuple):
    """One comparison.

    Attributes
    ----------
    order : int
    path : tuple of str
        The modes, outermost first: ``("forward", "reverse")`` is forward over reverse.
    error : float
        Largest relative error over the directions.
    method : str
        Where the expected number comes from.
    passed : bool
    kinks : int
        Output entries that were left out because the function has a kink there.
    """

    order: int
    path: tuple[str, ...]
    error: float
    method: str
    passed: bool
    kinks: int


class Leaves:
    """A function of trees as a function of its floating leaves, in double precision."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...]) -> None:
        found, self._structure = flatten_with_paths(args)
        self._all = [leaf for _, leaf in found]
        self._f = f
        self._varying = [i for i, leaf in enumerate(self._all) if is_float(leaf)]
        if not self._varying:
            raise DtypeError(
                "the check needs an argument of a floating dtype; integers have no derivative "
                "(pass 2.0 instead of 2)"
            )
        self.point = [_double(self._all[i]) for i in self._varying]

    def __call__(self, *leaves: Any) -> tuple[Any, ...]:
        if any(type(leaf) is Array for leaf in leaves):
            return self._apply(*leaves)
        # Values come from handles too: `np.zeros(3, like=x)` and `x += v` then mean the same.
        traced = run(self._apply, leaves, {}, range(len(leaves)), copy=True)
        return tuple(y.value if type(y) is Node else y for y in traced.outputs)

    def _apply(self, *leaves: Any) -> tuple[Any, ...]:
        # Integer leaves are copied: the function may write to them.
        full = [np.array(leaf) if isinstance(leaf, np.ndarray) else leaf for leaf in self._all]
        for i, leaf in zip(self._varying, leaves, strict=True):
            full[i] = leaf
        outputs, _ = flatten(self._f(*unflatten(self._structure, full)))
        return tuple(y for y in outputs if is_float(y))


def is_float(leaf: Any) -> bool:
    return (leaf.dtype if type(leaf) is Array else np.asarray(leaf).dtype).kind in "fc"


def _double(leaf: Any) -> Any:
    value = np.asarray(leaf)
    wide = np.result_type(value.dtype, np.float64)
    return np.array(value, wide) if isinstance(leaf, np.ndarray) else value.astype(wide)[()]


def vector(call: Call) -> Callable[[Sequence[Any]], Any]:
    """All output entries in one vector, in double precision or better."""

    def entries(point: Sequence[Any]) -> Any:
        with np.errstate(all="ignore"):
            parts = [np.ravel(np.asarray(y)) for y in call(*point)]
        return np.concatenate(parts) if parts else np.zeros(0)

    return entries


def directions_from(point: Sequence[Any], rng: np.random.Generator, count: int) -> list[list[Any]]:
    """Random directions: in turns with the magnitude of each entry, and with that of 1."""
    made = []
    for k in range(count):
        direction = []
        for x in point:
            t = rng.standard_normal(np.shape(x))
            if np.iscomplexobj(x):
                t = t + 1j * rng.standard_normal(np.shape(x))
            if k % 2 == 0:
                size = np.abs(x)
                t = t * np.where(size > 0, size, np.max(size, initial=0.0) or 1.0)
            direction.append(np.asarray(t, np.asarray(x).dtype)[()])
        made.append(direction)
    return made


def weights_like(tree: Sequence[Any], rng: np.random.Generator) -> tuple[Any, ...]:
    """Random cotangents for outputs."""
    made = []
    for y in tree:
        c = rng.standard_normal(np.shape(y))
        if np.iscomplexobj(y):
            c = c + 1j * rng.standard_normal(np.shape(y))
        made.append(np.asarray(c, np.asarray(y).dtype)[()])
    return tuple(made)


# ---- one function, one order ---------------------------------------------------------------


class Target(NamedTuple):
    """The differences of a function along one direction, and what they are worth."""

    direction: list[Any]
    difference: Difference
    kinked: Any


def _targets(call: Call, point: list[Any], directions: list[list[Any]]) -> list[Target]:
    found = []
    for direction in directions:
        difference = along(vector(call), point, direction)
        found.append(Target(direction, difference, np.zeros(difference.values.shape, bool)))
    return found


def _forward_row(call: Call, point: list[Any], target: Target, tolerance: float) -> Any:
    """Relative error, agreement entry by entry, and the pushed tangent."""
    _, pushed = jvp(call, tuple(point), tuple(target.direction))
    flat = np.concatenate([np.ravel(np.asarray(t)) for t in pushed]) if pushed else np.zeros(0)
    values, noise, _ = target.difference
    sizes = [int(np.size(t)) for t in pushed]
    scale = np.concatenate(
        [np.full(n, _largest(flat[a:b], values[a:b])) for n, a, b in pieces(sizes)] or [np.zeros(0)]
    )
    gap = np.where(flat == values, 0.0, np.abs(flat - values))
    agrees = gap <= tolerance * scale + 20 * noise
    # What agrees only within the noise of the differences has no measurable error.
    relative = np.where(agrees & (gap > tolerance * scale), 0.0, gap)
    with np.errstate(all="ignore"):
        relative = np.where(relative == 0, 0.0, relative / scale)
    return np.where(np.isfinite(relative), relative, np.inf), agrees


def pieces(sizes: Sequence[int]) -> list[tuple[int, int, int]]:
    ends = list(itertools.accumulate(sizes))
    return [(n, end - n, end) for n, end in zip(sizes, ends, strict=True)]


def _largest(*arrays: Any) -> float:
    return max(float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a))) for a in arrays)


def _reverse_error(
    call: Call, point: list[Any], target: Target, tolerance: float, rng: np.random.Generator
) -> tuple[float, bool]:
    """⟨c, D⟩ against ⟨Jᵀ c, t⟩ for a random c (zero at kinks): relative error, and agreement."""
    out, pull = vjp(call, *point)
    cotangents = weights_like(out, rng)
    masked, kinked = [], target.kinked
    for (_, start, end), c in zip(pieces([np.size(c) for c in cotangents]), cotangents,
                                  strict=True):  # fmt: skip
        keep = ~kinked[start:end].reshape(np.shape(c))
        masked.append(np.where(keep, c, 0).astype(np.asarray(c).dtype)[()])
    pulled = pull(tuple(masked))
    flat = np.concatenate([np.ravel(c) for c in masked]) if masked else np.zeros(0)
    values = np.where(kinked, 0, target.difference.values)
    noise = np.where(kinked, 0, target.difference.noise)
    expected = float(np.real(np.sum(flat * values)))
    with np.errstate(all="ignore"):
        products = [np.ravel(g * t) for g, t in zip(pulled, target.direction, strict=True)]
    if np.any(kinked):  # at an edge of the domain the Jacobian may be infinite: 0 · inf
        products = [np.where(np.isfinite(p), p, 0.0) for p in products]
    found = float(sum(np.real(np.sum(p)) for p in products))
    # The size without cancellation: what the rounding of the sums is relative to.
    scale = max(
        float(np.sum(np.abs(flat * values))), sum(float(np.sum(np.abs(p))) for p in products)
    )
    gap = abs(found - expected)
    allowed = tolerance * scale + 20 * float(np.sum(np.abs(flat) * noise))
    if not gap <= allowed:
        return (gap / scale if scale and np.isfinite(gap) else np.inf), False
    return (gap / scale if scale and gap <= tolerance * scale else 0.0), True


def _mark_kinks(call: Call, point: list[Any], target: Target, suspicious: Any) -> Target:
    if not np.any(suspicious):
        return target
    return target._replace(
        kinked=target.kinked | (suspicious & rough(vector(call), point, target.direction))
    )


class Survey:
    """The comparisons of a function, from order 1 on."""

    def __init__(self, modes: Sequence[str], tolerance: float, directions: int, seed: int) -> None:
        self.modes = modes
        self.tolerance = tolerance
        self.directions = directions
        self.rng = np.random.default_rng(seed)
        self.rows: list[CheckRow] = []
        self.kinked: list[tuple[Call, Target]] = []

    def measure(self, call: Call, point: list[Any], orders: int, path: tuple[str, ...]) -> None:
        """Compare `call` in every mode, then its derivatives, `orders` deep."""
        directions = directions_from(point, self.rng, self.directions)
        targets = _targets(call, point, directions)
        before = len(self.kinked)
        for k, target in enumerate(targets):
            # Every mode is held against the same differences; the push says entry by entry where
            # they are in doubt, whichever modes are asked for.
            _, agrees = _forward_row(call, point, target, self.tolerance)
            values, noise, _ = target.difference
            doubtful = ~agrees | (noise > 1e-3 * np.abs(values) + 1e-9) | ~np.isfinite(values)
            targets[k] = _mark_kinks(call, point, target, doubtful)
            if np.any(targets[k].kinked):
                self.kinked.append((call, targets[k]))
        for mode in self.modes:
            self.rows.append(self._row(call, point, targets, mode, (mode, *path)))
        if orders > 1 and len(self.kinked) == before:
            for mode in self.modes:
                self.measure(self._derivative(call, point, mode), point, orders - 1, (mode, *path))

    def _row(
        self, call: Call, point: list[Any], targets: list[Target], mode: str, path: tuple[str, ...]
    ) -> CheckRow:
        worst, passed = 0.0, True
        for target in targets:
            if mode == "forward":
                relative, agrees = _forward_row(call, point, target, self.tolerance)
                error = float(np.max(relative, initial=0.0, where=~target.kinked))
                fine = bool(np.all(agrees | target.kinked))
            else:
                error, fine = _reverse_error(call, point, target, self.tolerance, self.rng)
            worst, passed = max(worst, error), passed and fine
        method = "/".join(dict.fromkeys(target.difference.method for target in targets))
        kinks = max(int(np.sum(target.kinked)) for target in targets)
        return CheckRow(len(path), path, worst, method, passed, kinks)

    def _derivative(self, call: Call, point: list[Any], mode: str) -> Call:
        """The derivative of `call` along a fixed direction (or of a fixed weighting of outputs)."""
        if mode == "forward":
            (direction,) = directions_from(point, self.rng, 1)
            return lambda *leaves: jvp(call, leaves, tuple(direction))[1]
        weights = weights_like(call(*point), self.rng)
        return lambda *leaves: vjp(call, *leaves)[1](weights)

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)
