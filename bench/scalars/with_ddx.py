"""S1 and S2 with ddx."""

from __future__ import annotations

from typing import Any

import ddx
import numpy as np

from bench.scalars import POINT, Moons, moons_loss, product
from bench.workload import Prepared, Setting


def _product() -> Any:
    return product(ddx.var("x"), ddx.var("y"), ddx.var("z"))


def product_compiled(problem: None, setting: Setting) -> Prepared:
    """A kernel, called with a list."""
    equation, point = ddx.equation(_product).compile(), list(POINT)
    return Prepared(lambda: equation.gradient(point), lambda: [equation.gradient(point)])


def product_buffer(problem: None, setting: Setting) -> Prepared:
    """The same with point and answer bound before; the point is not written anew."""
    call = ddx.equation(_product).compile().buffer(np.array(POINT), want=ddx.Want.GRADIENT)

    def results() -> Any:
        call()
        return [np.array(call.jacobian)]

    return Prepared(call, results)


def moons_interpreted(problem: Moons, setting: Setting) -> Prepared:
    """The interpreter: its compiler takes most of a minute for this graph."""

    def model() -> Any:
        w = [ddx.var(f"w{k}") for k in range(len(problem.w))]
        return moons_loss(w, problem, lambda x: ddx.max(x, ddx.Expression(0.0)))

    call = ddx.equation(model).buffer(problem.w, want=ddx.Want.GRADIENT)

    def results() -> Any:
        call()
        return [np.array(call.jacobian)]

    return Prepared(call, results)
