"""Directional derivatives from values alone: what gradients are checked against.

Complex step where it holds: for a real-analytic F, Im F(x + ihd)/h is the derivative to the last
digit, because nothing is subtracted. It is tried, and believed where central differences agree.

Central differences are extrapolated to h → 0 (Richardson's table, Ridders' choice of the entry with
the smallest change), for each output entry by itself and from several starting steps, so that
neither a curved function nor one that lives on a small scale needs a hand-chosen step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Difference", "along", "rough"]

#: Leaves of the point → all output entries in one vector.
Vector = Callable[[Sequence[Any]], Any]

_LEVELS = 6
#: The complex step: its square is nothing beside 1.
_TINY = 1e-30


class Difference(NamedTuple):
    """The derivative of each output entry along a direction.

    Attributes
    ----------
    values : array
    noise : array
        Estimated absolute error of each.
    method : str
        ``"complex step"`` or ``"central"``.
    """

    values: Any
    noise: Any
    method: str


def along(function: Vector, point: Sequence[Any], direction: Sequence[Any]) -> Difference:
    """The derivative of `function` at `point` along `direction`."""
    start = function(point)
    central = _central(lambda h: function(_moved(point, direction, h)), start)
    step = _complex_step(function, point, direction, start)
    if step is None:
        return central
    size = np.max(np.abs(step), initial=0.0)
    agrees = np.abs(step - central.values) <= 1e-6 * size + 100 * central.noise
    believable = central.noise <= 1e-3 * max(size, 1e-300) + 1e-9
    if not np.all(agrees & believable):
        return central
    noise = np.full(start.shape, 64 * np.finfo(float).eps) * np.maximum(np.abs(start), size)
    # Flat for central differences too: what is left are higher powers of h, as in (ih)³ / h.
    left = (np.abs(central.values) <= central.noise) & (np.abs(step) <= 1e5 * _TINY)
    noise = np.where(left, np.maximum(noise, np.abs(step)), noise)
    return Difference(step, noise, "complex step")


def _moved(point: Sequence[Any], direction: Sequence[Any], h: complex) -> list[Any]:
    return [x + h * t for x, t in zip(point, direction, strict=True)]


def _complex_step(
    function: Vector, point: Sequence[Any], direction: Sequence[Any], start: Any
) -> Any:
    """Im F(x + ihd)/h, or None where F does not take complex numbers."""
    if any(np.iscomplexobj(x) for x in point) or np.iscomplexobj(start):
        return None
    h = _TINY
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            moved = function(_moved(point, direction, 1j * h))
    except Exception:
        # A user's function may refuse complex numbers in any way it likes: then it does not hold.
        return None
    if moved.shape != start.shape or not np.iscomplexobj(moved):
        return None
    step = moved.imag / h
    return step if np.all(np.isfinite(step)) else None


def _central(moved: Callable[[float], Any], start: Any) -> Difference:
    """Richardson's table, the best entry for each output; more starting steps where it is noisy."""
    eps = float(np.finfo(start.dtype).eps)
    values = np.zeros_like(start)
    noise = np.full(start.shape, np.inf)
    for first in (eps**0.11, eps**0.2, eps**0.3, eps**0.42):
        found, error = _ridders(moved, first, eps)
        better = error < noise
        values, noise = np.where(better, found, values), np.where(better, error, noise)
        size = np.max(np.abs(values), initial=0.0)
        if np.all(noise <= 1e-9 * size + 16 * eps * np.abs(start)):
            break
    return Difference(values, noise, "central")


def _ridders(moved: Callable[[float], Any], first: float, eps: float) -> tuple[Any, Any]:
    """Derivatives and error estimates from the steps first, first/2, first/4, …"""
    best: Any = None
    error: Any = None
    rounding: Any = 0.0
    previous: list[Any] = []
    for level in range(_LEVELS):
        h = first / 2**level
        with np.errstate(all="ignore"):
            right, left = moved(h), moved(-h)
            row = [(right - left) / (2 * h)]
            # What the rounding of the values makes of the quotient, in any row so far.
            rounding = np.maximum(rounding, 2 * eps * np.maximum(np.abs(right), np.abs(left)) / h)
            if best is None:
                best, error = row[0], np.full(row[0].shape, np.inf)
            for j, above in enumerate(previous):
                # The central difference has an error series in h²: each column removes a term.
                factor = 4.0 ** (j + 1)
                row.append((factor * row[j] - above) / (factor - 1))
                change = np.maximum(np.abs(row[-1] - row[j]), np.abs(row[-1] - above))
                change = change + rounding
                better = change < error
                best = np.where(better, row[-1], best)
                error = np.where(better, change, error)
        previous = row
    return best, error


def rough(function: Vector, point: Sequence[Any], direction: Sequence[Any]) -> Any:
    """Which output entries have a kink, a jump or an edge of their domain at `point`.

    Smooth: the two one-sided differences come together as h shrinks and stay bounded. At a kink
    their gap stays, at a jump they grow, at an edge one side has no finite value.
    """
    with np.errstate(all="ignore"):
        start = function(point)
        eps = float(np.finfo(start.dtype).eps)
        gaps, slopes, edge = [], [], np.zeros(start.shape, bool)
        for h in (eps**0.3, eps**0.4):
            right = (function(_moved(point, direction, h)) - start) / h
            left = (start - function(_moved(point, direction, -h))) / h
            gaps.append(np.abs(right - left))
            slopes.append(np.maximum(np.abs(right), np.abs(left)))
            edge = ~(np.isfinite(right) & np.isfinite(left))
        noise = 8 * eps * np.abs(start) / eps**0.4
        shrink = eps**0.1  # how much closer the second step is
        stays = (gaps[1] > gaps[0] * shrink**0.5) & (gaps[1] > 1e-4 * slopes[1] + noise)
        grows = (slopes[1] > slopes[0] / shrink**0.4) & (slopes[1] > 1e-4 + noise)
        return (stays | grows | edge) & np.isfinite(start)
