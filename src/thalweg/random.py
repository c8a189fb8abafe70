"""Random numbers by explicit keys, for functions that are differentiated, batched or compiled.

A NumPy generator changes when it draws, so a compiled function cannot have one: the numbers would
be drawn once and stay. A key is a small array, an argument like any other, and the numbers are a
function of it: NumPy's Philox (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011).
Use a key once; `split` makes as many as are needed.

Examples
--------
>>> import numpy as np, thalweg as tw
>>> key = tw.random.key(0)
>>> @tw.compile
... def noisy(x, key):
...     return x + 0.1 * tw.random.normal(key, x.shape)
>>> a, b = (noisy(np.zeros(3), k) for k in tw.random.split(key, 2))
>>> bool(np.any(a == b)), len(noisy.records)
(False, 1)
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.array import Array, unwrap, wrap
from thalweg.errors import DtypeError, ShapeError, UserError
from thalweg.ops.random import DRAW, WORDS

__all__ = ["bernoulli", "generator", "key", "normal", "split", "uniform"]

_Shape = int | Sequence[int]


def key(seed: int | Sequence[int]) -> np.ndarray:
    """A key from a seed, by `numpy.random.SeedSequence`: near seeds give unrelated numbers.

    Parameters
    ----------
    seed : int or sequence of int
        Non-negative. Several, such as ``(seed, epoch, batch)``, make one key.

    Returns
    -------
    uint64 array of shape (2,)

    Raises
    ------
    ValueError, TypeError
        If it is negative or no integer.

    Examples
    --------
    >>> import thalweg as tw
    >>> tw.random.key((0, 3)).dtype
    dtype('uint64')
    """
    return np.random.SeedSequence(seed).generate_state(WORDS, np.uint64)


def split(key: Any, n: int = 2) -> Any:
    """`n` new keys, unrelated to each other and to the numbers of `key`.

    Parameters
    ----------
    key : uint64 array of shape (2,)
    n : int

    Returns
    -------
    uint64 array of shape (n, 2)

    Examples
    --------
    >>> import thalweg as tw
    >>> first, second = tw.random.split(tw.random.key(0))
    >>> first.shape
    (2,)
    """
    return _draw(key, "bits", (n, WORDS), np.uint64)


def uniform(
    key: Any, shape: _Shape | None = None, low: Any = 0.0, high: Any = 1.0, dtype: Any = np.float64
) -> Any:
    """Numbers in [low, high), where rounding may make one high; differentiable in both.

    Parameters
    ----------
    key : uint64 array of shape (2,)
    shape : int or tuple of int, optional
        By default that of `low` and `high` together.
    low, high : float or array
        Broadcast to `shape`.
    dtype : {float64, float32}

    Returns
    -------
    array
        Of `shape`, in `dtype` as far as `low` and `high` allow.

    Raises
    ------
    DtypeError
        If `key` is no key, or `dtype` neither float64 nor float32.
    ShapeError
        If `low` and `high` do not broadcast to `shape`.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> x = tw.random.uniform(tw.random.key(0), 1000, low=2.0, high=5.0)
    >>> bool(np.all((2 <= x) & (x < 5)))
    True
    """
    unit = _draw(key, "uniform", _shape(shape, low=low, high=high), dtype)
    return low + (high - low) * unit


def normal(
    key: Any, shape: _Shape | None = None, mean: Any = 0.0, std: Any = 1.0, dtype: Any = np.float64
) -> Any:
    """Numbers from a normal distribution, differentiable in its mean and standard deviation.

    Parameters
    ----------
    key : uint64 array of shape (2,)
    shape : int or tuple of int, optional
        By default that of `mean` and `std` together.
    mean, std : float or array
        Broadcast to `shape`.
    dtype : {float64, float32}

    Returns
    -------
    array
        Of `shape`, in `dtype` as far as `mean` and `std` allow.

    Raises
    ------
    DtypeError
        If `key` is no key, or `dtype` neither float64 nor float32.
    ShapeError
        If `mean` and `std` do not broadcast to `shape`.

    Examples
    --------
    The reparameterised gradient of E x², x ~ N(m, 1), is 2m:

    >>> import numpy as np, thalweg as tw
    >>> key = tw.random.key(1)
    >>> slope = tw.grad(lambda m: np.mean(tw.random.normal(key, 100_000, mean=m) ** 2))(3.0)
    >>> bool(abs(slope - 6) < 0.02)
    True
    """
    unit = _draw(key, "normal", _shape(shape, mean=mean, std=std), dtype)
    return mean + std * unit


def bernoulli(key: Any, p: Any = 0.5, shape: _Shape | None = None) -> Any:
    """True with probability `p`; no derivative passes.

    Parameters
    ----------
    key : uint64 array of shape (2,)
    p : float or array
        Broadcast to `shape`.
    shape : int or tuple of int, optional
        By default the shape of `p`.

    Returns
    -------
    bool array

    Raises
    ------
    DtypeError
        If `key` is no key.
    ShapeError
        If `p` does not broadcast to `shape`.
    UserError
        If a `p` that is not traced is outside [0, 1].

    Examples
    --------
    >>> import thalweg as tw
    >>> tw.random.bernoulli(tw.random.key(0), [0.0, 1.0])
    array([False,  True])
    """
    if not isinstance(p, Array) and not np.all((np.asarray(p) >= 0) & (np.asarray(p) <= 1)):
        raise UserError(f"bernoulli: probabilities are in [0, 1], got {p!r}")
    return _draw(key, "uniform", _shape(shape, p=p), np.float64) < p


def generator(rng: np.random.Generator | int) -> np.random.Generator:
    """A generator, or the one of a seed.

    Raises
    ------
    UserError
        For anything else.

    Examples
    --------
    >>> import thalweg as tw
    >>> int(tw.random.generator(0).integers(100))
    85
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise UserError(f"rng: a numpy.random.Generator or a seed (int ≥ 0), got {rng!r}")


def _sizes(shape: _Shape) -> tuple[int, ...]:
    return tuple(map(operator.index, shape if isinstance(shape, Sequence) else (shape,)))


def _shape(shape: _Shape | None, **parameters: Any) -> tuple[int, ...]:
    """What to draw: of `shape`, or of the parameters, which must not spread a number over more."""
    given = {name: np.shape(x) for name, x in parameters.items()}
    told = ", ".join(f"{name} {own}" for name, own in given.items())
    try:
        together = np.broadcast_shapes(*given.values())
    except ValueError:
        raise ShapeError(f"random numbers: {told} do not broadcast") from None
    if shape is None:
        return together
    sizes = _sizes(shape)
    padded = (1,) * (len(sizes) - len(together)) + together
    if len(padded) != len(sizes) or any(
        n not in (1, m) for n, m in zip(padded, sizes, strict=True)
    ):
        raise ShapeError(f"random numbers of shape {sizes}: {told} do not broadcast to it")
    return sizes


def _draw(key: Any, kind: str, shape: _Shape, dtype: Any) -> Any:
    key = unwrap(key)
    value = getattr(key, "value", key)
    if np.shape(value) != (WORDS,) or np.asarray(value).dtype != np.uint64:
        raise DtypeError(
            f"a key is a uint64 array of shape ({WORDS},), from thalweg.random.key(seed) or split; "
            f"got {type(value).__name__} of dtype {np.asarray(value).dtype} and shape "
            f"{np.shape(value)}"
        )
    dtype = np.dtype(dtype)
    if kind != "bits" and dtype not in (np.float64, np.float32):
        raise DtypeError(f"random numbers are float64 or float32, not {dtype}")
    return wrap(DRAW(key, kind=kind, shape=_sizes(shape), dtype=dtype))
