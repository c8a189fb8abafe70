"""Where weights start: functions ``(rng, shape, dtype)`` that give an array.

The last two axes of `shape` are inputs and outputs; axes before them (those of a kernel) are
places, each of which adds to the fans. Any function with these arguments is an initialiser.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import ShapeError, UserError

__all__ = [
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "normal",
    "orthogonal",
    "uniform",
]

_Shape = tuple[int, ...]
_Weights = np.ndarray[Any, Any]
Initialiser = Callable[[np.random.Generator, _Shape, Any], _Weights]


def _fans(shape: _Shape) -> tuple[int, int]:
    """Numbers that go into an output, and outputs that a number goes to."""
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(f"weights need two axes or more, none of them empty; got shape {shape}")
    places = math.prod(shape[:-2])
    return places * shape[-2], places * shape[-1]


def uniform(limit: float) -> Initialiser:
    """An initialiser: uniform in [−limit, limit).

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn import initialisers
    >>> weights = initialisers.uniform(0.1)(np.random.default_rng(0), (3, 2), np.float32)
    >>> weights.dtype, bool(np.all(np.abs(weights) <= 0.1))
    (dtype('float32'), True)
    """
    if not 0 <= limit < math.inf:
        raise UserError(f"uniform: limit={limit!r}, it must be a number ≥ 0")
    return lambda rng, shape, dtype: rng.uniform(-limit, limit, shape).astype(dtype)


def normal(std: float) -> Initialiser:
    """An initialiser: normal, with mean 0 and standard deviation `std`."""
    if not 0 <= std < math.inf:
        raise UserError(f"normal: std={std!r}, it must be a number ≥ 0")
    return lambda rng, shape, dtype: (std * rng.standard_normal(shape)).astype(dtype)


def glorot_uniform(rng: np.random.Generator, shape: _Shape, dtype: Any = np.float64) -> _Weights:
    """Uniform, variance 2 / (fan in + fan out): for tanh, sigmoid and outputs.

    Source: Glorot, Bengio, Understanding the difficulty of training deep feedforward neural
    networks (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.initialisers import glorot_uniform
    >>> weights = glorot_uniform(np.random.default_rng(0), (300, 200))
    >>> round(float(np.var(weights)) * (300 + 200), 1)
    2.0
    """
    return uniform(math.sqrt(6 / sum(_fans(shape))))(rng, shape, dtype)


def glorot_normal(rng: np.random.Generator, shape: _Shape, dtype: Any = np.float64) -> _Weights:
    """Normal, variance 2 / (fan in + fan out): as `glorot_uniform`."""
    return normal(math.sqrt(2 / sum(_fans(shape))))(rng, shape, dtype)


def he_uniform(rng: np.random.Generator, shape: _Shape, dtype: Any = np.float64) -> _Weights:
    """Uniform, variance 2 / fan in: as `he_normal`."""
    return uniform(math.sqrt(6 / _fans(shape)[0]))(rng, shape, dtype)


def he_normal(rng: np.random.Generator, shape: _Shape, dtype: Any = np.float64) -> _Weights:
    """Normal, variance 2 / fan in: for ReLU and its like, which stop half of what comes.

    Source: He, Zhang, Ren, Sun, Delving deep into rectifiers (2015).
    """
    return normal(math.sqrt(2 / _fans(shape)[0]))(rng, shape, dtype)


def orthogonal(rng: np.random.Generator, shape: _Shape, dtype: Any = np.float64) -> _Weights:
    """Orthonormal columns, or rows where these are fewer; uniform among such matrices.

    Axes before the last one are taken together. Source: Saxe, McClelland, Ganguli, Exact
    solutions to the nonlinear dynamics of learning in deep linear neural networks (2014); signs
    as in Mezzadri, How to generate random matrices from the classical compact groups (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.initialisers import orthogonal
    >>> weights = orthogonal(np.random.default_rng(0), (5, 3))
    >>> bool(np.allclose(weights.T @ weights, np.eye(3)))
    True
    """
    _fans(shape)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    drawn = rng.standard_normal((max(rows, columns), min(rows, columns)))
    basis, triangle = np.linalg.qr(drawn)
    # Without these signs the distribution would be that of LAPACK's choice.
    basis = basis * np.copysign(1.0, np.diag(triangle))
    return (basis if rows >= columns else basis.T).reshape(shape).astype(dtype, order="C")
