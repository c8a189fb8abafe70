"""Losses: how far predictions are from the truth, an example each, and their mean or sum.

All take ``reduction="mean" | "sum" | "none"`` and ``weights``, one an example (a shape that
broadcasts to that of the losses without a reduction). A weighted mean divides by the sum of the
weights. Shapes must agree: (N,) against (N, 1) would broadcast to (N, N) and is an error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.errors import DtypeError, ShapeError
from thalweg.scipy.special import gammaln, log_softmax, softplus

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "gaussian_nll",
    "hinge",
    "huber",
    "mae",
    "mse",
    "poisson_nll",
    "quantile",
]


def _same_shape(**arrays: Any) -> None:
    shapes = {name: np.shape(x) for name, x in arrays.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(
            f"shapes must agree: {told}. Broadcasting would pair every example with every other; "
            "reshape one of them, e.g. with [:, None] or [:, 0]."
        )


def _reduced(each: Any, reduction: str, weights: Any) -> Any:
    if weights is not None:
        shape = np.shape(weights)
        if np.broadcast_shapes(shape, np.shape(each)) != np.shape(each) or (
            len(shape) != np.ndim(each) and shape != ()
        ):
            raise ShapeError(
                f"weights have shape {shape}; the losses without a reduction {np.shape(each)}"
            )
        # A weight of 0 leaves an example out, whatever its loss.
        each = np.where(np.equal(weights, 0), 0.0, each) * weights
    if reduction == "none":
        return each
    total = np.sum(each)
    if reduction == "sum":
        return total
    if reduction == "mean":
        if weights is None:
            return np.mean(each)
        return total / np.sum(np.broadcast_to(weights, np.shape(each)))
    raise ValueError(f"reduction={reduction!r}: it must be 'mean', 'sum' or 'none'")


def _rows(scores: Any, targets: Any) -> tuple[Any, bool]:
    """Targets, and whether they are indices of classes rather than one weight a class."""
    shape, wanted = np.shape(scores), np.shape(targets)
    dtype = targets.dtype if hasattr(targets, "dtype") else np.asarray(targets).dtype
    targets = targets if hasattr(targets, "dtype") else np.asarray(targets)
    if len(shape) == 0:
        raise ShapeError("scores need an axis of classes, the last one; got a number")
    if wanted == shape:
        return targets, False
    if wanted != shape[:-1]:
        raise ShapeError(
            f"targets have shape {wanted}: indices for scores of shape {shape} have {shape[:-1]}, "
            f"one-hot or soft targets {shape}"
        )
    if dtype.kind not in "iu":
        raise DtypeError(f"indices of classes must be integers, not {dtype}")
    return targets, True


def _one_hot(scores: Any, indices: Any) -> Any:
    """True at the class of each example; an index outside [0, K) is an error."""
    classes = np.shape(scores)[-1]
    if np.size(indices) and not (np.min(indices) >= 0 and np.max(indices) < classes):
        raise ValueError(f"indices of classes must be in [0, {classes})")
    return np.equal(np.expand_dims(indices, -1), np.arange(classes))


def cross_entropy(
    logits: Any,
    targets: Any,
    *,
    smoothing: float = 0.0,
    reduction: str = "mean",
    weights: Any = None,
) -> Any:
    """Softmax cross-entropy, −Σ t log softmax(logits): the gradient at the logits is p − t.

    Parameters
    ----------
    logits : array of shape (…, K)
        Finite, or −inf for a class that is masked out.
    targets : array
        Indices of classes of shape (…), or one weight a class of shape (…, K).
    smoothing : float
        ε in [0, 1): targets become (1 − ε) t + ε/K (Szegedy et al. 2016), over the K classes that
        are not masked.
    reduction, weights
        As of all losses.

    Returns
    -------
    array
        Infinite where a masked class is the target.

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If targets do not belong to logits of this shape.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.nn.losses import cross_entropy
    >>> tw.grad(lambda z: cross_entropy(z, np.array([0])))(np.array([[1000.0, 1000.0, -np.inf]]))
    array([[-0.5,  0.5,  0. ]])
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing={smoothing!r}: it must be in [0, 1)")
    targets, indices = _rows(logits, targets)
    log_p = log_softmax(logits, axis=-1)
    wanted = _one_hot(logits, targets) if indices else targets
    # A masked class costs nothing where its target is 0: 0 · inf is not asked for.
    each = -np.sum(np.where(np.equal(wanted, 0), 0.0, log_p) * wanted, axis=-1)
    if smoothing:
        there = np.isfinite(logits)
        count = np.sum(there, axis=-1).astype(log_p.dtype)
        spread = np.sum(np.where(there, log_p, 0.0), axis=-1) / count
        each = (1 - smoothing) * each - smoothing * spread
    return _reduced(each, reduction, weights)


def binary_cross_entropy(
    logits: Any, targets: Any, *, reduction: str = "mean", weights: Any = None
) -> Any:
    """Cross-entropy of sigmoid(logits), softplus(z) − t z: the gradient at the logits is p − t.

    Parameters
    ----------
    logits, targets : arrays of one shape
        Targets in [0, 1], not only 0 and 1; booleans too.
    reduction, weights
        As of all losses.

    Raises
    ------
    ShapeError
        If the shapes differ.
    """
    _same_shape(logits=logits, targets=targets)
    return _reduced(softplus(logits) - targets * logits, reduction, weights)


def hinge(
    scores: Any,
    targets: Any,
    *,
    kind: str = "weston-watkins",
    margin: float = 1.0,
    reduction: str = "mean",
    weights: Any = None,
) -> Any:
    """The multiclass hinge: max(0, margin + s_j − s_y) over the other classes j.

    Parameters
    ----------
    scores : array of shape (…, K)
    targets : integer array of shape (…)
    kind : {"weston-watkins", "crammer-singer"}
        Their sum (Weston, Watkins 1999), or the largest of them (Crammer, Singer 2001).
    margin, reduction, weights
        What a class must be behind by to cost nothing; the others as of all losses.

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If targets are no indices of classes for scores of this shape.
    """
    targets, indices = _rows(scores, targets)
    if not indices:
        raise ShapeError("hinge takes indices of classes, one an example")
    own = _one_hot(scores, targets)
    right = np.sum(np.where(own, scores, 0.0), axis=-1, keepdims=True)
    behind = np.where(own, 0.0, np.maximum(margin + scores - right, 0.0))
    if kind == "weston-watkins":
        return _reduced(np.sum(behind, axis=-1), reduction, weights)
    if kind == "crammer-singer":
        return _reduced(np.max(behind, axis=-1), reduction, weights)
    raise ValueError(f"kind={kind!r}: it must be 'weston-watkins' or 'crammer-singer'")


def mse(predictions: Any, targets: Any, *, reduction: str = "mean", weights: Any = None) -> Any:
    """(prediction − target)², for arrays of one shape."""
    _same_shape(predictions=predictions, targets=targets)
    return _reduced((predictions - targets) ** 2, reduction, weights)


def mae(predictions: Any, targets: Any, *, reduction: str = "mean", weights: Any = None) -> Any:
    """|prediction − target|, for arrays of one shape; the gradient at 0 is 0."""
    _same_shape(predictions=predictions, targets=targets)
    return _reduced(np.abs(predictions - targets), reduction, weights)


def huber(
    predictions: Any,
    targets: Any,
    *,
    delta: float = 1.0,
    reduction: str = "mean",
    weights: Any = None,
) -> Any:
    """½ r² up to |r| = delta, then delta · (|r| − ½ delta) (Huber 1964)."""
    _same_shape(predictions=predictions, targets=targets)
    if not delta > 0:
        raise ValueError(f"delta={delta!r}: it must be a number > 0")
    r = np.abs(predictions - targets)
    inside = np.minimum(r, delta)
    return _reduced(inside * (r - 0.5 * inside), reduction, weights)


def quantile(
    predictions: Any,
    targets: Any,
    q: float,
    *,
    reduction: str = "mean",
    weights: Any = None,
) -> Any:
    """The pinball loss, smallest at the q-quantile (Koenker, Bassett 1978), 0 < q < 1."""
    _same_shape(predictions=predictions, targets=targets)
    if not 0 < q < 1:
        raise ValueError(f"q={q!r}: it must be between 0 and 1")
    r = targets - predictions
    return _reduced(q * np.maximum(r, 0.0) + (1 - q) * np.maximum(-r, 0.0), reduction, weights)


def gaussian_nll(
    mean: Any, targets: Any, log_std: Any, *, reduction: str = "mean", weights: Any = None
) -> Any:
    """−log N(target; mean, exp(log_std)²), constants included; arrays of one shape."""
    _same_shape(mean=mean, targets=targets, log_std=log_std)
    z = (targets - mean) * np.exp(-log_std)
    return _reduced(0.5 * z**2 + log_std + 0.5 * math.log(2 * math.pi), reduction, weights)


def poisson_nll(
    log_rate: Any, targets: Any, *, reduction: str = "mean", weights: Any = None
) -> Any:
    """−log Poisson(target; exp(log_rate)), the factorial included; arrays of one shape."""
    _same_shape(log_rate=log_rate, targets=targets)
    each = np.exp(log_rate) - targets * log_rate + gammaln(targets + 1.0)
    return _reduced(each, reduction, weights)
