"""Activations: elementwise functions between layers, for plain and traced arrays.

Any such function will do (``np.tanh``, one of your own); these are the usual ones. At their kink
`relu` and `leaky_relu` have the derivative from the left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, ndtr

from thalweg.scipy.special import softplus

__all__ = ["elu", "gelu", "leaky_relu", "relu", "sigmoid", "silu", "softplus", "tanh"]

tanh = np.tanh


def relu(x: Any) -> Any:
    """max(x, 0).

    Source: Nair, Hinton, Rectified linear units improve restricted Boltzmann machines (2010).

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.nn.activations import relu
    >>> tw.grad(lambda x: np.sum(relu(x)))(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return np.maximum(x, 0)


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x where it is positive, slope · x elsewhere (Maas, Hannun, Ng, 2013)."""
    return np.where(np.greater(x, 0), x, np.multiply(x, slope))


def elu(x: Any) -> Any:
    """x where it is positive, eˣ − 1 elsewhere (Clevert, Unterthiner, Hochreiter, 2016)."""
    above = np.greater(x, 0)
    # Not the minimum of x and 0, whose derivative at 0 is 0: that of elu is 1, from both sides.
    return np.where(above, x, np.expm1(np.where(above, 0, x)))


def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ), without overflow."""
    return expit(x)


def silu(x: Any) -> Any:
    """x · sigmoid(x), also called swish (Elfwing, Uchibe, Doya, 2018)."""
    return x * expit(x)


def gelu(x: Any) -> Any:
    """x · Φ(x), Φ the normal distribution function; exact, not by tanh.

    Source: Hendrycks, Gimpel, Gaussian error linear units (2016).
    """
    return x * ndtr(x)
