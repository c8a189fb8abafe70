"""Losses: how far predictions are from the truth, an example each, and their mean or sum.

All take ``reduction="mean" | "sum" | "none"`` and ``weights``, one an example (a shape that
broadcasts to that of the losses without a reduction). A weighted mean divides by the sum of the
weights; a mean over no example, or over weights that sum to 0, is nan. Shapes must agree: (N,)
against (N, 1) would broadcast to (N, N) and is an error. Integers and booleans are taken in the
precision of the predictions, so float32 stays float32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, ShapeError
from thalweg.scipy.special import gammaln, log_expit, log_softmax

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


def _numbers(x: Any, like: Any = None) -> Any:
    """An array of floating (or complex) numbers, integers and booleans in the dtype of `like`."""
    x = x if isinstance(x, Array) else np.asarray(x)
    if x.dtype.kind in "fc":
        return x
    if x.dtype.kind not in "biu":
        raise DtypeError(f"losses are of numbers, not of {x.dtype}")
    # Differences of unsigned integers would wrap, and int64 would make float64 of float32.
    return x.astype(np.float64 if like is None else like.dtype)


def _pair(**arrays: Any) -> list[Any]:
    """Predictions and what belongs to them as arrays of one shape."""
    first, *rest = arrays.values()
    first = _numbers(first)
    found = [first, *(_numbers(x, first) for x in rest)]
    if any(x.shape != first.shape for x in found):
        told = ", ".join(f"{name} {x.shape}" for name, x in zip(arrays, found, strict=True))
        raise ShapeError(
            f"shapes must agree: {told}. Broadcasting would pair every example with every other; "
            "reshape one of them, e.g. with [:, None] or [:, 0]."
        )
    return found


def _reduced(each: Any, reduction: str, weights: Any) -> Any:
    if weights is not None:
        weights = _numbers(weights, each)
        shape, wanted = weights.shape, np.shape(each)
        fits = len(shape) == len(wanted) and all(
            n in (1, m) for n, m in zip(shape, wanted, strict=True)
        )
        if not fits and shape != ():
            raise ShapeError(f"weights have shape {shape}; the losses without a reduction {wanted}")
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


def _rows(scores: Any, targets: Any) -> tuple[Any, Any, bool]:
    """Scores, targets, and whether these are indices of classes rather than one weight a class."""
    scores = _numbers(scores)
    targets = targets if isinstance(targets, Array) else np.asarray(targets)
    shape, wanted = scores.shape, targets.shape
    if len(shape) == 0:
        raise ShapeError("scores need an axis of classes, the last one; got a number")
    if wanted == shape:
        return scores, _numbers(targets, scores), False
    if wanted != shape[:-1]:
        raise ShapeError(
            f"targets have shape {wanted}: indices for scores of shape {shape} have {shape[:-1]}, "
            f"one-hot or soft targets {shape}"
        )
    if targets.dtype.kind not in "iu":
        raise DtypeError(f"indices of classes must be integers, not {targets.dtype}")
    return scores, targets, True


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
        Indices of classes of shape (…), or one weight a class of shape (…, K), none negative:
        one-hot, or probabilities. They need not sum to 1; the gradient is then (Σ t) p − t.
    smoothing : float
        ε in [0, 1): targets become (1 − ε) t + ε/K (Szegedy et al. 2016), over the K classes that
        are not masked; nan where all are.
    reduction, weights
        As of all losses.

    Returns
    -------
    array
        Infinite where a masked class is the target (where all are masked they share equally).

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If targets do not belong to logits of this shape, or are negative.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.nn.losses import cross_entropy
    >>> tw.grad(lambda z: cross_entropy(z, np.array([0])))(np.array([[1000.0, 1000.0, -np.inf]]))
    array([[-0.5,  0.5,  0. ]])
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing={smoothing!r}: it must be in [0, 1)")
    logits, targets, indices = _rows(logits, targets)
    if not indices and np.any(targets < 0):
        raise ValueError("targets are negative: are logits and targets swapped?")
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
    """−t log σ(z) − (1 − t) log(1 − σ(z)) of logits z: the gradient at the logits is p − t.

    Parameters
    ----------
    logits, targets : arrays of one shape
        Logits are finite. Targets in [0, 1], not only 0 and 1; booleans too.
    reduction, weights
        As of all losses.

    Raises
    ------
    ShapeError, ValueError
        If the shapes differ, or targets are outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.losses import binary_cross_entropy
    >>> float(binary_cross_entropy(np.array([0.0, 1000.0]), np.ones(2), reduction="sum").round(4))
    0.6931
    """
    z, t = _pair(logits=logits, targets=targets)
    if np.any((t < 0) | (t > 1)):
        raise ValueError("targets must be in [0, 1], not −1 or 2")
    # Both terms are positive: softplus(z) − t z would lose the digits of a small loss.
    return _reduced(-(t * log_expit(z) + (1 - t) * log_expit(-z)), reduction, weights)


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

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.losses import hinge
    >>> float(hinge(np.array([[3.0, 5.0, -1.5]]), np.array([0])))
    3.0
    """
    scores, targets, indices = _rows(scores, targets)
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
    """(prediction − target)², for arrays of one shape.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.losses import mse
    >>> float(mse(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    predictions, targets = _pair(predictions=predictions, targets=targets)
    return _reduced((predictions - targets) ** 2, reduction, weights)


def mae(predictions: Any, targets: Any, *, reduction: str = "mean", weights: Any = None) -> Any:
    """|prediction − target|, for arrays of one shape; the gradient at 0 is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.losses import mae
    >>> float(mae(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    1.0
    """
    predictions, targets = _pair(predictions=predictions, targets=targets)
    return _reduced(np.abs(predictions - targets), reduction, weights)


def huber(
    predictions: Any,
    targets: Any,
    *,
    delta: float = 1.0,
    reduction: str = "mean",
    weights: Any = None,
) -> Any:
    """½ r² up to |r| = delta, then delta · (|r| − ½ delta) (Huber 1964).

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.losses import huber
    >>> float(huber(np.array([0.5, 3.0]), np.zeros(2), reduction="sum"))
    2.625
    """
    predictions, targets = _pair(predictions=predictions, targets=targets)
    if not delta > 0:
        raise ValueError(f"delta={delta!r}: it must be a number > 0")
    r = predictions - targets
    if r.dtype.kind == "c":
        r = np.abs(r)
    inside = np.clip(r, -delta, delta)  # of r itself: |r| would lose the curvature at 0
    return _reduced(inside * (r - 0.5 * inside), reduction, weights)


def quantile(
    predictions: Any,
    targets: Any,
    q: float,
    *,
    reduction: str = "mean",
    weights: Any = None,
) -> Any:
    """The pinball loss, smallest at the q-quantile (Koenker, Bassett 1978), 0 < q < 1.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.losses import quantile
    >>> float(quantile(np.array([1.0, 2.0]), np.array([2.0, 1.0]), 0.9, reduction="sum"))
    1.0
    """
    predictions, targets = _pair(predictions=predictions, targets=targets)
    if not 0 < q < 1:
        raise ValueError(f"q={q!r}: it must be between 0 and 1")
    r = targets - predictions
    return _reduced(q * np.maximum(r, 0.0) + (1 - q) * np.maximum(-r, 0.0), reduction, weights)


def gaussian_nll(
    mean: Any, targets: Any, log_std: Any, *, reduction: str = "mean", weights: Any = None
) -> Any:
    """−log N(target; mean, exp(log_std)²), constants included; arrays of one shape.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.losses import gaussian_nll
    >>> float(gaussian_nll(np.zeros(1), np.ones(1), np.zeros(1)).round(4))
    1.4189
    """
    mean, targets, log_std = _pair(mean=mean, targets=targets, log_std=log_std)
    z = (targets - mean) * np.exp(-log_std)
    return _reduced(0.5 * z**2 + log_std + 0.5 * math.log(2 * math.pi), reduction, weights)


def poisson_nll(
    log_rate: Any, targets: Any, *, reduction: str = "mean", weights: Any = None
) -> Any:
    """−log Poisson(target; exp(log_rate)), the factorial included; arrays of one shape.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.losses import poisson_nll
    >>> float(poisson_nll(np.log([2.0]), np.array([2])).round(4))
    1.3069
    """
    log_rate, targets = _pair(log_rate=log_rate, targets=targets)
    each = np.exp(log_rate) - targets * log_rate + gammaln(targets + 1.0)
    return _reduced(each, reduction, weights)
