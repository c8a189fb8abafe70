"""One row of the op table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.graph.primitive import PRIMITIVES

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A call of one operation that the laws are tried on.

    Attributes
    ----------
    op : str
        Name of the primitive that it covers.
    call : callable
        A NumPy function of the operands, as a user would write it.
    shapes : tuple of shapes
        One an operand.
    domain : tuple of (low, high), optional
        Where to draw each operand (default: the primitive's own domain, infinities cut at ±2).
    make : callable, optional
        ``make(rng)`` gives the operands where uniform draws would not do (symmetric, distinct, …).
    order : int
        Highest order of derivative that is checked.
    complex : bool
        Also tried with complex operands.
    tolerance : float
        Relative error allowed against differences; more than 1e-6 needs a `reason`.
    batched : bool
        Whether it can be done for many examples at once: not where a shape on the way depends on
        the values.
    """

    op: str
    call: Callable[..., Any]
    shapes: tuple[Shape, ...] = ((3, 4),)
    domain: tuple[tuple[float, float], ...] | None = None
    make: Callable[[np.random.Generator], tuple[Any, ...]] | None = None
    order: int = 2
    complex: bool = False
    tolerance: float = 1e-6
    reason: str = ""
    label: str = field(default="")
    batched: bool = True

    def __post_init__(self) -> None:
        if self.tolerance > 1e-6 and not self.reason:
            raise ValueError(f"case of {self.op}: a wider tolerance needs a reason")

    @property
    def id(self) -> str:
        """Name of the case in test output."""
        shapes = "x".join(str(list(s)).replace(" ", "") for s in self.shapes)
        return f"{self.op}-{self.label or shapes}"

    def operands(self, seed: int = 0, complex_: bool = False) -> tuple[Any, ...]:
        """Reproducible operands in the domain, float64 or complex128."""
        rng = np.random.default_rng([seed, sum(map(ord, self.id))])
        if self.make is not None:
            made = self.make(rng)
        else:
            made = tuple(self._draw(rng, i, shape) for i, shape in enumerate(self.shapes))
        if complex_:
            made = tuple(x + 0.3j * rng.uniform(0.5, 1.0, np.shape(x)) for x in made)
        return made

    def _draw(self, rng: np.random.Generator, i: int, shape: Shape) -> Any:
        if self.domain is not None:
            low, high = self.domain[min(i, len(self.domain) - 1)]
        else:
            low, high = PRIMITIVES[self.op].domain.interval(i)
        low, high = max(low, -2.0), min(high, max(2.0, low + 2.0))
        margin = 0.05 * (high - low)
        return rng.uniform(low + margin, high - margin, shape)[()]
