"""S1 and S2 with micrograd: the loss is built anew each time, as its demonstration does."""

from __future__ import annotations

from typing import Any

from micrograd.engine import Value

from bench.scalars import POINT, Moons, moons_loss, product
from bench.workload import Prepared, Setting


def product_gradient(problem: None, setting: Setting) -> Prepared:
    """New values, forward, backward."""

    def gradient() -> Any:
        values = [Value(number) for number in POINT]
        product(*values).backward()
        return [[v.grad for v in values]]

    return Prepared(gradient, gradient)


def moons(problem: Moons, setting: Setting) -> Prepared:
    """Its own network class does the same sums."""

    def gradient() -> Any:
        w = [Value(float(number)) for number in problem.w]
        moons_loss(w, problem, Value.relu).backward()
        return [[v.grad for v in w]]

    return Prepared(gradient, gradient)
