"""S1 and S2 with CasADi."""

from __future__ import annotations

from typing import Any

import casadi
import numpy as np

from bench.scalars import POINT, Moons, moons_loss, product
from bench.workload import Prepared, Setting


def _product() -> Any:
    x, y, z = (casadi.SX.sym(name) for name in "xyz")
    f = product(x, y, z)
    return casadi.Function("g", [x, y, z], [casadi.gradient(f, s) for s in (x, y, z)])


def product_called(problem: None, setting: Setting) -> Prepared:
    """Called with Python floats."""
    gradient = _product()
    return Prepared(lambda: gradient(*POINT), lambda: [[float(d) for d in gradient(*POINT)]])


def _buffered(function: Any, inputs: list[Any], outputs: list[Any]) -> Any:
    buffer, trigger = function.buffer()
    for k, array in enumerate(inputs):
        buffer.set_arg(k, memoryview(array))
    for k, array in enumerate(outputs):
        buffer.set_res(k, memoryview(array))
    return buffer, trigger


def product_buffer(problem: None, setting: Setting) -> Prepared:
    """The same with the memory bound before."""
    inputs = [np.array([value]) for value in POINT]
    outputs = [np.zeros(1) for _ in POINT]
    kept = _buffered(_product(), inputs, outputs)
    call = kept[1]

    def results() -> Any:
        kept[1]()
        return [np.concatenate(outputs)]

    return Prepared(call, results)


def moons_sx(problem: Moons, setting: Setting) -> Prepared:
    """Its scalar graphs, on a virtual machine; memory bound before."""
    w = casadi.SX.sym("w", len(problem.w))
    loss = moons_loss(casadi.vertsplit(w), problem, lambda x: casadi.fmax(x, 0.0))
    gradient = np.zeros(len(problem.w))
    kept = _buffered(casadi.Function("g", [w], [casadi.gradient(loss, w)]), [problem.w], [gradient])

    def results() -> Any:
        kept[1]()
        return [gradient]

    return Prepared(kept[1], results)
