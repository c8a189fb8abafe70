"""What every distribution has: shapes that are checked, and what follows from the others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, ShapeError, TracingError, UserError
from thalweg.random import generator
from thalweg.tree import flatten, static

__all__ = [
    "Distribution",
    "draws",
    "in_shape",
    "matching",
    "not_negative",
    "outside_of_traces",
    "real",
    "within",
]


@dataclass(frozen=True)
class Distribution(ABC):
    """A batch of distributions over events: a tree whose leaves are the parameters' arrays.

    `batch_shape` counts the distributions, `event_shape` is the shape of one draw: ``()`` for a
    number, ``(D,)`` for a vector. Arguments have the shape ``batch_shape + event_shape``, or
    further axes before it; a number stands for all of them. Any other shape is an error: nothing
    is broadcast silently.

    `log_prob`, `nll` and `entropy` are of the whole event. `mean`, `mode`, `variance`, `std`,
    `cdf`, `quantile` and `interval` are of each number of it.
    """

    _: KW_ONLY
    event_ndim: int = static(default=0)
    discrete: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Parameters become floating arrays; trees are built without it, so gradients may differ.

        Raises
        ------
        DtypeError, ShapeError, UserError
            For parameters that make no distribution. Of traced ones the shape is asked.
        """
        owner = type(self).__name__
        for field in fields(self):
            if not field.metadata.get("static"):
                x = real(getattr(self, field.name), f"{owner}: {field.name}")
                x = x if x.dtype.kind == "f" else x.astype(np.float64)
                object.__setattr__(self, field.name, x)
        self._check()

    def _check(self) -> None:
        """Raise if the parameters do not fit each other."""
        if not 0 <= self.event_ndim <= len(self._shape):
            raise ShapeError(
                f"{type(self).__name__}: event_ndim={self.event_ndim}, but draws have shape "
                f"{self._shape}"
            )

    @property
    @abstractmethod
    def _shape(self) -> tuple[int, ...]:
        """Shape of a batch of draws."""

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the array of distributions."""
        return self._shape[: len(self._shape) - self.event_ndim]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw."""
        return self._shape[len(self._shape) - self.event_ndim :]

    @abstractmethod
    def log_prob(self, x: Any) -> Any:
        """Logarithm of the density (of the probability, where `x` is discrete) of each event."""

    def nll(self, x: Any) -> Any:
        """Negative log-likelihood of each event: the cost. Its mean is what training lowers."""
        return -self.log_prob(x)

    @property
    @abstractmethod
    def mean(self) -> Any:
        """Expectation."""

    @property
    @abstractmethod
    def mode(self) -> Any:
        """The most probable value."""

    @property
    @abstractmethod
    def variance(self) -> Any:
        """Variance."""

    @property
    def std(self) -> Any:
        """Standard deviation."""
        return np.sqrt(self.variance)

    @abstractmethod
    def entropy(self) -> Any:
        """Entropy of each event in nats."""

    @abstractmethod
    def cdf(self, x: Any) -> Any:
        """Probability of a value ≤ `x`."""

    def quantile(self, q: Any) -> Any:
        """The smallest value whose `cdf` is at least `q`.

        Parameters
        ----------
        q : float or array
            Levels in [0, 1]. Of levels of shape S the result is S + batch + event. NaN gives NaN,
            or an error where the values are integers.

        Raises
        ------
        UserError
            For levels outside [0, 1].
        """
        q = real(q, f"{type(self).__name__}.quantile")
        if np.any((q < 0) | (q > 1)):
            raise UserError("quantile: levels are probabilities, in [0, 1]")
        return self._quantile(np.reshape(q, q.shape + (1,) * len(self._shape)))

    @abstractmethod
    def _quantile(self, q: Any) -> Any:
        """Quantiles at levels that broadcast against a batch of draws."""

    def interval(self, level: float) -> tuple[Any, Any]:
        """Ends of the central interval that holds a value with probability `level`."""
        level = real(level, f"{type(self).__name__}.interval")
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def sample(self, rng: np.random.Generator | int, n: int | None = None) -> np.ndarray[Any, Any]:
        """Draw from every distribution of the batch.

        Parameters
        ----------
        rng : numpy.random.Generator or int
            The generator, or the seed of one.
        n : int, optional
            How many draws of each; without it one, and no axis for it.

        Returns
        -------
        ndarray
            Of shape (n,) + batch + event.

        Raises
        ------
        TracingError
            Where the parameters are traced: a NumPy generator would be asked once, at tracing.
        UserError
            For a discrete distribution with NaN in its parameters, which no draw could show.
        """
        outside_of_traces(self, "sample")
        if self.discrete:
            broken = any(np.any(np.isnan(leaf)) for leaf in flatten(self)[0])
            within(broken, f"{type(self).__name__}.sample: a parameter is NaN")
        shape = self._shape if n is None else (draws(self, n), *self._shape)
        return self._sample(generator(rng), shape)

    @abstractmethod
    def _sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Draws of this shape, which ends in batch + event."""

    def _argument(self, x: Any, name: str) -> Any:
        """`x` as an array whose shape ends in batch + event, or is ()."""
        return matching(x, self._shape, f"{type(self).__name__}.{name}")

    def _per_event(self, values: Any) -> Any:
        """Values of the event's independent numbers, summed to one an event."""
        if self.event_ndim == 0:
            return values
        return np.sum(values, axis=tuple(range(-self.event_ndim, 0)))


def draws(owner: Any, n: Any) -> int:
    """How many draws `sample` is asked for.

    Raises
    ------
    UserError
        If it is no integer, or below 0.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise UserError(f"{type(owner).__name__}.sample: n is a number of draws, got {n!r}")
    return int(n)


def outside_of_traces(owner: Any, what: str) -> None:
    """Refuse what needs the values of a tree, where they are traced.

    Raises
    ------
    TracingError
        If a leaf is traced.
    """
    if any(isinstance(leaf, Array) for leaf in flatten(owner)[0]):
        raise TracingError(
            f"{type(owner).__name__}.{what} within grad, vmap or compile: it works with "
            "NumPy on plain values, outside of traces only.\n"
            "  Return it (it is a tree of arrays) and ask it there."
        )


def real(x: Any, where: str) -> Any:
    """`x` as an array, traced or not, of real numbers.

    Raises
    ------
    DtypeError
        For complex numbers, objects and text.
    """
    x = x if isinstance(x, (Array, np.ndarray, np.generic)) else np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise DtypeError(f"{where}: real numbers are needed, got dtype {x.dtype}")
    return x


def not_negative(owner: Distribution, **values: Any) -> None:
    """Refuse parameters below 0, unless they are traced: a scale below 0 gives a wrong `cdf`.

    Raises
    ------
    UserError
        With the name.
    """
    for name, x in values.items():
        if not isinstance(x, Array):
            within(x < 0, f"{type(owner).__name__}: {name} must be positive")


def matching(x: Any, shape: tuple[int, ...], where: str) -> Any:
    """`x` as an array whose shape ends in `shape`, or is ().

    Raises
    ------
    DtypeError
        For complex numbers, objects and text.
    ShapeError
        For any other shape.
    """
    x = real(x, where)
    if x.ndim == 0 or (x.shape[x.ndim - len(shape) :] == shape and x.ndim >= len(shape)):
        return x
    raise ShapeError(
        f"{where}: an argument of shape {x.shape} does not fit distributions of shape {shape} "
        f"(batch + event).{_advice(x.shape, shape)}"
    )


def _advice(given: tuple[int, ...], shape: tuple[int, ...]) -> str:
    if given == (*shape, 1):
        return (
            "\n  Pass y[..., 0], or make the head with event=(1,), if the event is a vector of one."
        )
    if (*given, 1) == shape:
        return "\n  Pass y[..., None], or make the head with event=(), if the event is a number."
    return ""


def in_shape(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` broadcast to a shape that is at least that of a batch of draws."""
    return np.broadcast_to(x, np.broadcast_shapes(np.shape(x), shape))


def within(wrong: Any, message: str) -> None:
    """Raise where any entry of a condition is true; in a trace it is a guard.

    Raises
    ------
    UserError
        With the message.
    """
    if np.any(wrong):
        raise UserError(message)
