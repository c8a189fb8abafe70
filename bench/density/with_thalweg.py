"""Fully visible belief networks of `thalweg.generative`, a compiled step in place."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import thalweg as tw
from bench.density import BATCH, SEED, Problem, batches, images
from bench.workload import Prepared, Setting
from thalweg.generative import FVBN, MADE, NADE, fvsbn

_ROWS = 500  # of a batch that is evaluated


def model_of(problem: Problem) -> FVBN:
    """The network with its first weights."""
    d, h, dtype = problem.n_bits, problem.n_hidden, np.float32
    if problem.network == "nade":
        return NADE.create(SEED, d, h, dtype=dtype)
    if problem.network == "made":
        return MADE.create(SEED, d, (h,), direct=True, dtype=dtype)
    return fvsbn(SEED, d, dtype=dtype)


def cost(model: FVBN, x: Any) -> Any:
    """Nats of a row, on average."""
    return np.mean(model.nll(x))


class Training:
    """A network under training; the first epoch compiles."""

    def __init__(self, problem: Problem, setting: Setting) -> None:
        self.data = images()
        steps = problem.epochs * len(self.data.train) // BATCH
        optimiser = tw.optim.Adam(tw.optim.Cosine(problem.rate, steps))
        self.model = model_of(problem)
        self.seconds: list[float] = []
        self._state = optimiser.init(self.model)

        def step(state: Any, model: Any, x: Any) -> Any:
            return optimiser.update(state, tw.grad(cost)(model, x), model)

        options = {"backend": setting.backend, "threads": setting.threads}
        self._step = tw.compile(step, inplace=(0, 1), **options)
        self._cost = tw.compile(cost, **options)

    def epoch(self) -> None:
        """One more."""
        began = time.perf_counter()
        for x in batches(self.data.train, len(self.seconds)):
            self._state, self.model = self._step(self._state, self.model, x)
        self.seconds.append(time.perf_counter() - began)

    def nats(self, x: Any) -> float:
        """Of a row of `x`, on average."""
        parts = x.reshape(-1, _ROWS, x.shape[1])
        return float(np.mean([self._cost(self.model, part) for part in parts]))

    def facts(self) -> dict[str, Any]:
        """What it came to."""
        return {
            "epochs": len(self.seconds),
            "training": f"{sum(self.seconds) / 60:.1f} min",
            "validation, nats": f"{self.nats(self.data.validation):.2f}",
            "test, nats": f"{self.nats(self.data.test):.2f}",
        }


def trained(problem: Problem, setting: Setting) -> Prepared:
    """For the driver: a turn is an epoch."""
    training = Training(problem, setting)
    return Prepared(training.epoch, list, facts=training.facts)
