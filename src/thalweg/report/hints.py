"""What to do about a NaN or Inf, by the gate that made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["hint"]

Operands = tuple[Any, ...]


def hint(name: str, phase: str, operands: Operands, value: Any, numbers: Mapping[str, Any]) -> str:
    """Advice for the primitive `name` that produced a non-finite number in `phase`."""
    if phase == "input":
        return "look at where this input comes from; np.isfinite(x).all() before the call"
    if phase == "constant":
        return "an operand that is no input is already non-finite; np.where keeps such entries out"
    if phase == "upstream":
        return "the gradient that was passed for the output is not finite"
    if phase == "forward":
        rule = _FORWARD.get(name)
        return rule(operands) if rule else f"{name} overflows or is undefined at these operands"
    if phase == "local":
        text = _LOCAL.get(name, f"the derivative of {name} is infinite or undefined at this point")
        upstream = numbers.get("upstream")
        if upstream is not None and np.ndim(upstream) == 0 and upstream == 0:
            return f"0 · inf: the upstream is 0 but the local gradient is not finite; {text}"
        return text
    if numbers.get("operand") is None:
        return "gradients of several uses of one value add up to more than the dtype holds; rescale"
    return (
        "upstream times local gradient is more than the dtype holds: scale the loss or the inputs "
        "down, or compute in logarithms"
    )


def _any(test: Any) -> bool:
    return bool(np.any(test))


def _logarithm(operands: Operands) -> str:
    (x, *_) = operands
    if _any(np.real(x) < 0):
        return (
            "log of a negative number is NaN; it should be positive by construction: np.exp(z), "
            "np.abs(x), np.maximum(x, eps)"
        )
    return "log of 0 is -inf; keep it above 0 (np.log(np.maximum(x, eps))), use log1p or logaddexp"


def _log1p(operands: Operands) -> str:
    return "log1p needs an operand above -1"


def _root(operands: Operands) -> str:
    return "a root of a negative number is NaN; np.maximum(x, 0) if rounding made it negative"


def _division(operands: Operands) -> str:
    if len(operands) > 1 and _any(np.equal(operands[0], 0)) and _any(np.equal(operands[1], 0)):
        return "0 / 0 is NaN; np.where(d == 0, 0, x / d): what is not selected never gets through"
    if _any(np.equal(operands[-1], 0)):
        return "division by 0; add eps to the denominator, or select: np.where(d == 0, 0, x / d)"
    return "the quotient is more than the dtype holds: the denominator is nearly 0"


def _exponential(operands: Operands) -> str:
    limit = "88.7" if getattr(operands[-1], "dtype", None) == np.float32 else "709.8"
    return (
        f"exp overflows above {limit}; subtract the maximum first, or use np.logaddexp, "
        "logsumexp or softmax from thalweg.scipy.special"
    )


def _power(operands: Operands) -> str:
    base, exponent = operands
    if _any(np.less(np.real(base), 0) & np.not_equal(exponent, np.round(np.real(exponent)))):
        return "a negative base with a fractional exponent is NaN; np.abs(x) ** p or np.sign"
    if _any(np.equal(base, 0) & np.less(np.real(exponent), 0)):
        return "0 to a negative power is inf; add eps to the base"
    return "the power overflows: rescale, compute in logarithms, or (in a loop) take smaller steps"


def _unit(operands: Operands) -> str:
    return "the operand is outside [-1, 1]; np.clip(x, -1, 1) if rounding made it so"


def _overflow(operands: Operands) -> str:
    return (
        "the result is more than the dtype holds: rescale, compute in logarithms, or (in a loop) "
        "take smaller steps"
    )


def _singular(operands: Operands) -> str:
    return "the matrix is singular or badly scaled; add a small multiple of the identity"


_FORWARD: dict[str, Callable[[Operands], str]] = {
    **dict.fromkeys(("log", "log2", "log10"), _logarithm),
    "log1p": _log1p,
    "sqrt": _root,
    **dict.fromkeys(("divide", "reciprocal", "remainder", "fmod", "floor_divide"), _division),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh"), _exponential),
    **dict.fromkeys(("power", "float_power"), _power),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), _unit),
    "arccosh": lambda operands: "arccosh needs an operand of at least 1",
    **dict.fromkeys(
        ("add", "subtract", "multiply", "square", "sum", "prod", "matmul", "einsum", "cumsum",
         "cumprod", "hypot"), _overflow,
    ),
    **dict.fromkeys(("inv", "solve", "det", "slogdet", "cholesky"), _singular),
}  # fmt: skip

_LOCAL = {
    "sqrt": "sqrt has an infinite slope at 0: np.sqrt(x + eps); for a length use np.linalg.norm, "
    "whose derivative at 0 is 0",
    "cbrt": "cbrt has an infinite slope at 0: add eps inside",
    "power": "x ** p with p < 1 has an infinite slope at 0: (x + eps) ** p",
    "float_power": "x ** p with p < 1 has an infinite slope at 0: (x + eps) ** p",
    "log": "1 / x overflows for x this small: np.log(np.maximum(x, eps))",
    "divide": "the quotient's slope overflows: keep the denominator away from 0 (np.where, eps)",
    "reciprocal": "1 / x² overflows for x this small: add eps",
    "arcsin": "arcsin has an infinite slope at ±1: np.clip(x, -1 + eps, 1 - eps)",
    "arccos": "arccos has an infinite slope at ±1: np.clip(x, -1 + eps, 1 - eps)",
    "arctanh": "arctanh has an infinite slope at ±1: np.clip(x, -1 + eps, 1 - eps)",
    "arccosh": "arccosh has an infinite slope at 1: np.maximum(x, 1 + eps)",
    "arctan2": "the angle has no derivative at the origin (0, 0)",
    "eigh": "eigenvectors of equal eigenvalues have no derivative; use the eigenvalues alone",
    "svd": "singular vectors of equal singular values have no derivative",
}
