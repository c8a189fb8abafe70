"""The closed set of forms a local Jacobian can have: plain data, no behaviour.

How a kind acts on a tangent or a cotangent is said in one place, `thalweg.transforms.linear`;
its size, pattern and dense form in `thalweg.jacobian.structure`. Shapes are not stored here: a
kind always stands on an edge, whose two ends have them. Entries are NumPy values or graph nodes.

In the formulas ``t`` is a tangent of the operand ``x``, ``c`` a cotangent of the result ``y``;
a factor that is broadcast from x to y is summed back on the way down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = [
    "IDENTITY",
    "BatchedDense",
    "Broadcast",
    "Chain",
    "Contract",
    "Custom",
    "DiagMinusRank1",
    "Diagonal",
    "Identity",
    "Kind",
    "MatMulLeft",
    "MatMulRight",
    "Put",
    "Reshape",
    "Router",
    "Scale",
    "SumOver",
    "Take",
    "Transpose",
    "Wirtinger",
    "Zero",
]


class Zero(NamedTuple):
    """J = 0: the result does not vary with the operand, for the stated reason."""

    reason: str


class Identity(NamedTuple):
    """J = I (times broadcasting where the shapes differ)."""


class Scale(NamedTuple):
    """J = factor · I, one number for all entries."""

    factor: Any


class Diagonal(NamedTuple):
    """J = diag(entries), after broadcasting the operand to the result."""

    entries: Any


class Router(NamedTuple):
    """J = diag(entries) whose zeros are structural: a branch that was not taken.

    What lies behind a zero never reaches the gradient, not even as NaN or Inf.
    """

    entries: Any


class Wirtinger(NamedTuple):
    """dy = linear · t + conjugate · conj(t): maps that are linear over the reals only."""

    linear: Any
    conjugate: Any


class Broadcast(NamedTuple):
    """J repeats the operand along new or stretched axes (NumPy's broadcasting)."""


class SumOver(NamedTuple):
    """dy = Σ_axes weights · t; `weights` (None: ones) broadcast against the operand.

    `routed` says that zero weights are structural, as for `max`.
    """

    axes: tuple[int, ...]
    keepdims: bool
    weights: Any = None
    routed: bool = False


class Reshape(NamedTuple):
    """A permutation that keeps the order of the entries (C order on both sides)."""


class Transpose(NamedTuple):
    """A permutation of axes: result axis i is operand axis axes[i]."""

    axes: tuple[int, ...]


class Take(NamedTuple):
    """dy = t[index]: any index that NumPy knows. `unique`: no entry is taken twice."""

    index: Any
    unique: bool


class Put(NamedTuple):
    """dy = 0 except dy[index] = t: the transpose of a unique Take."""

    index: Any


class MatMulLeft(NamedTuple):
    """dy = matrix @ t, over leading batch axes that broadcast."""

    matrix: Any


class MatMulRight(NamedTuple):
    """dy = t @ matrix, over leading batch axes that broadcast."""

    matrix: Any


class Contract(NamedTuple):
    """dy = einsum(inputs -> output) with t in place `position` among `others`.

    `inputs` are the operands' subscripts (single letters, no ellipsis, no letter twice in the
    operand that varies); `others` the remaining operands in order.
    """

    inputs: tuple[str, ...]
    output: str
    position: int
    others: tuple[Any, ...]


class BatchedDense(NamedTuple):
    """One dense Jacobian a batch element: entries[*batch, *out, *in]; `batch` counts the axes.

    With batch = 0 it is the plain dense Jacobian of shape out + in.
    """

    entries: Any
    batch: int


class DiagMinusRank1(NamedTuple):
    """dy = probabilities · (t − Σ_axis probabilities · t): diag(p) − p pᵀ along `axis`."""

    probabilities: Any
    axis: int


class Chain(NamedTuple):
    """A product: `inner` first (it meets the operand), then `outer`.

    `between` is a value or node with the shape and dtype that stands between the two.
    """

    outer: Any
    inner: Any
    between: Any


class Custom(NamedTuple):
    """The escape hatch: push(t) and pull(c) build graph. A test lists who uses it.

    Of an operation with several outputs push gives a tuple and pull takes one. Outputs that no
    cotangent reached come as zeros, or as None where `absent` says that pull knows of it: then
    0 · inf (a factorisation where it is not differentiable) does not arise.

    `pattern` says where entries can be, for sparse Jacobians: a tuple of the axes along which the
    operand is mixed, position by position of the others; a sparse (or boolean) matrix of the
    flattened sizes; or a function without arguments that gives (rows, columns), where making them
    costs something. None: anywhere.
    """

    push: Callable[[Any], Any]
    pull: Callable[[Any], Any]
    name: str = "custom"
    absent: bool = False
    pattern: Any = None


Kind = (
    Zero
    | Identity
    | Scale
    | Diagonal
    | Router
    | Wirtinger
    | Broadcast
    | SumOver
    | Reshape
    | Transpose
    | Take
    | Put
    | MatMulLeft
    | MatMulRight
    | Contract
    | BatchedDense
    | DiagMinusRank1
    | Chain
    | Custom
)

IDENTITY = Identity()
