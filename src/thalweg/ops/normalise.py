"""Sigmoid, softplus, softmax and log-sum-exp: stable for every input.

They are what `thalweg.optimise.stabilise` puts in the place of the spelled-out forms. Each value
is arranged so that no exponential can overflow; each partial is written with the stable forms
again, so every higher order is stable too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.graph.kinds import Chain, Custom, DiagMinusRank1, Kind, Reshape, SumOver, Transpose
from thalweg.graph.node import Node
from thalweg.graph.primitive import Labels, Primitive, register
from thalweg.ops._families import elementwise
from thalweg.ops.structural import detach_node

__all__ = [
    "LOGSUMEXP",
    "LOG_SIGMOID",
    "LOG_SOFTMAX",
    "SIGMOID",
    "SOFTMAX",
    "SOFTPLUS",
    "safe_ratio",
    "weighted_exponentials",
]


def safe_ratio(x: Any, y: Any) -> Any:
    """x / y, and 0 where y is 0: the derivative of a norm is 0 at the origin."""
    at_origin = np.equal(y, 0)
    return np.where(at_origin, 0.0, x / np.where(at_origin, 1.0, y))


# ---- elementwise --------------------------------------------------------------------------


def _sigmoid_value(x: Any) -> Any:
    # 1/(1 + e^−x) for x ≥ 0, e^x/(1 + e^x) for x < 0: the exponent is never positive.
    e = np.exp(-np.abs(x))
    if not isinstance(e, np.ndarray):  # a scalar: half the time of np.where
        return (1 if x >= 0 else e) / (1 + e)
    result = 1 + e
    return np.divide(np.where(x >= 0, e.dtype.type(1), e), result, out=result)


# σ′ = σ(x) (1 − σ(x)), with 1 − σ(x) = σ(−x): the difference would lose all digits from x = 37 on.
SIGMOID: Primitive = elementwise(
    "sigmoid", _sigmoid_value, (lambda out, x: out * SIGMOID(-x),), tex=r"\sigma({0})"
)
SOFTPLUS = elementwise(
    "softplus",
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    (lambda out, x: SIGMOID(x),),
    tex=r"\log(1 + e^{{{0}}})",
)
LOG_SIGMOID = elementwise(
    "log_sigmoid",
    lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    (lambda out, x: SIGMOID(-x),),
    tex=r"\log \sigma({0})",
)


# ---- along axes ---------------------------------------------------------------------------


def _shifted(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """x − max(x) along axes, and max(x). At an infinite maximum its entries get 0: they tie."""
    top = np.max(np.real(x), axis=axes, keepdims=True, initial=-np.inf)
    if np.isfinite(top).all():
        return x - top, top
    with np.errstate(invalid="ignore"):
        return np.where(x == top, np.zeros((), x.dtype), x - top), top


def _softmax_value(x: Any, axes: tuple[int, ...]) -> Any:
    e = np.exp(_shifted(x, axes)[0])
    return e / np.sum(e, axis=axes, keepdims=True)


def _softmax_kind(p: Any, axes: tuple[int, ...]) -> Kind:
    """diag(p) − p pᵀ; along several axes it is that after they have been joined to one."""
    if len(axes) == 1:
        return DiagMinusRank1(p, axes[0])
    kept = tuple(i for i in range(len(p.shape)) if i not in axes)
    order = kept + axes
    back = tuple(order.index(i) for i in range(len(order)))
    moved = np.transpose(p, order)
    joined = math.prod(p.shape[i] for i in axes)
    flat = np.reshape(moved, (*(p.shape[i] for i in kept), joined))
    inward = Chain(Reshape(), Transpose(order), moved)
    outward = Chain(Transpose(back), Reshape(), moved)
    return Chain(outward, Chain(DiagMinusRank1(flat, len(kept)), inward, flat), flat)


def _batch_along_axes(primitive: list[Primitive]) -> Any:
    def batch(operands: Any, batched: Any, params: Any) -> Any:
        axes = tuple(axis + 1 for axis in params["axes"])
        return primitive[0](*operands, **{**params, "axes": axes})

    return batch


def _along_axes(name: str, value: Any, local: Any, gate: str, tex: str, lower: Any) -> Primitive:
    """Declare an operation along the sorted, non-negative `axes` of its one operand."""
    holder: list[Primitive] = []
    batch = _batch_along_axes(holder)
    primitive = register(
        Primitive(
            name=name, value=value, local=local, labels=Labels(gate, tex), batch=batch, lower=lower
        )
    )
    holder.append(primitive)
    return primitive


def _lower_shifted(b: Any, x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """`_shifted`; where the largest is finite, x − top is 0 at it anyhow."""
    top = b.reduce("max", x, axes, keepdims=True)
    return b.where(b.equal(x, top), b.tensor(0.0, x.dtype), b.subtract(x, top)), top


def _lower_softmax(b: Any, out: Any, x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return b.const(0, x.kind, x.shape)
    e = b.exp(_lower_shifted(b, x, axes)[0])
    return b.divide(e, b.reduce("add", e, axes, keepdims=True))


SOFTMAX = _along_axes(
    "softmax",
    _softmax_value,
    lambda i, out, x, axes: _softmax_kind(out, axes),
    "softmax",
    r"\operatorname{{softmax}}({0})",
    _lower_softmax,
)


def _log_sum_exp(shifted: Any, axes: tuple[int, ...]) -> Any:
    with np.errstate(divide="ignore"):  # the sum over nothing: log 0 = −inf is meant
        return np.log(np.sum(np.exp(shifted), axis=axes, keepdims=True))


def _log_softmax_value(x: Any, axes: tuple[int, ...]) -> Any:
    shifted, _ = _shifted(x, axes)
    return shifted - _log_sum_exp(shifted, axes)


def _log_softmax_local(i: int, out: Any, x: Any, axes: tuple[int, ...]) -> Kind:
    # J = I − 1 pᵀ along the axes.
    p = SOFTMAX(x, axes=axes)
    return Custom(
        lambda t: t - np.sum(p * t, axis=axes, keepdims=True),
        lambda c: c - p * np.sum(c, axis=axes, keepdims=True),
        "log_softmax",
    )


def _lower_log_sum_exp(b: Any, shifted: Any, axes: tuple[int, ...]) -> Any:
    return b.log(b.reduce("add", b.exp(shifted), axes, keepdims=True))


def _lower_log_softmax(b: Any, out: Any, x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return b.const(0, x.kind, x.shape)
    shifted = _lower_shifted(b, x, axes)[0]
    return b.subtract(shifted, _lower_log_sum_exp(b, shifted, axes))


LOG_SOFTMAX = _along_axes(
    "log_softmax",
    _log_softmax_value,
    _log_softmax_local,
    "log-softmax",
    r"\log \operatorname{{softmax}}({0})",
    _lower_log_softmax,
)


def _logsumexp_value(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    shifted, top = _shifted(x, axes)
    out = top + _log_sum_exp(shifted, axes)
    return out[()] if keepdims else np.squeeze(out, axis=axes)[()]


def _lower_logsumexp(b: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if x.size == 0:
        return b.const(-math.inf, x.kind, out.shape)
    shifted, top = _lower_shifted(b, x, axes)
    return b.reshape(b.add(top, _lower_log_sum_exp(b, shifted, axes)), out.shape)


LOGSUMEXP = _along_axes(
    "logsumexp",
    _logsumexp_value,
    lambda i, out, x, axes, keepdims: SumOver(axes, keepdims, SOFTMAX(x, axes=axes)),
    "logsumexp",
    r"\log \sum e^{{{0}}}",
    _lower_logsumexp,
)


def weighted_exponentials(w: Any, z: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Σ w e^(z − m) along axes, which are kept, and m: Σ w e^z = e^m · Σ w e^(z − m).

    m is a constant, the largest z that has a weight. What has none adds 0, whatever its exponent;
    the derivative in w there is e^(z − m) all the same, as far as there are numbers for it.
    """
    nothing = np.equal(w, 0)
    top = np.max(np.where(nothing, -np.inf, _constant(z)), axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros((), z.dtype))
    shifted = z - top
    highest = np.log(np.finfo(z.dtype).max).astype(z.dtype) - 1
    shifted = np.where(nothing, np.minimum(shifted, highest), shifted)
    return np.sum(w * np.exp(shifted), axis=axes, keepdims=True), top


def _constant(x: Any) -> Any:
    return detach_node(x) if type(x) is Node else x
