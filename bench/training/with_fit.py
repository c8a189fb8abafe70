"""T1–T3 through `tw.fit`: batches gathered, all numbers asked whether they are finite, the loop."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import thalweg as tw
from bench.training import BETA1, BETA2, EPSILON, MOMENTUM, RATES, Problem
from bench.training.with_thalweg import loss_of
from bench.workload import Prepared, Setting

__all__ = ["fit"]

_ROWS = 25_600  # of the data: batches come from memory, not from a cache
_WARM, _TIMED = 1, 2  # epochs


def fit(problem: Problem, setting: Setting) -> Prepared:
    """Seconds a step of whole epochs; compiling is in the first one, which is not counted."""
    if problem.optimiser == "adam":
        rule: Any = tw.optim.Adam(RATES["adam"], BETA1, BETA2, EPSILON)
    else:
        rule = tw.optim.Momentum(RATES["momentum"], MOMENTUM)
    loss, size = loss_of(problem), len(problem.x)
    chosen = np.random.default_rng(0).integers(0, size, _ROWS)
    many = problem.x[chosen], problem.y[chosen]

    def run(data: Any, epochs: int, callbacks: Any = ()) -> Any:
        return tw.fit(
            problem.weights, loss, data, optimiser=rule, epochs=epochs, batch_size=size,
            callbacks=callbacks, shuffle=data is many,
        )  # fmt: skip

    def results() -> list[Any]:
        found = run((problem.x, problem.y), 5)
        ways = [
            np.asarray(a, np.float64) - b
            for layer, begun in zip(found.model, problem.weights, strict=True)
            for a, b in zip(layer, begun, strict=True)
        ]
        return [found.history["loss"], *ways]

    def seconds() -> float:
        ends: list[float] = []
        run(many, _WARM + _TIMED, [lambda epoch: ends.append(time.perf_counter())])
        return (ends[-1] - ends[_WARM - 1]) / (_TIMED * -(-_ROWS // size))

    return Prepared(seconds, results, seconds=seconds)
