"""Parameters of a function in which it has no derivative rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg.errors import NoRuleError

__all__ = ["no_derivative"]


def no_derivative(name: str, parameter: str) -> Callable[..., Any]:
    """A partial derivative that does not exist in closed form: asking for it is an error."""

    def refuse(out: Any, *operands: Any, **params: Any) -> Any:
        raise NoRuleError(
            f"{name} has no derivative rule with respect to {parameter}; pass it as a constant "
            "(a plain number, or thalweg.detach(…))"
        )

    return refuse
