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


def trained(problem: Problem, setting: Setting) -> Prepared:
    """All epochs; the first one compiles."""
    data = images()
    steps = problem.epochs * len(data.train) // BATCH
    optimiser = tw.optim.Adam(tw.optim.Cosine(problem.rate, steps))
    model = model_of(problem)
    state = optimiser.init(model)

    def step(state: Any, model: Any, x: Any) -> Any:
        return optimiser.update(state, tw.grad(cost)(model, x), model)

    compiled = tw.compile(step, inplace=(0, 1), backend=setting.backend, threads=setting.threads)
    measured = tw.compile(cost, backend=setting.backend, threads=setting.threads)
    seconds: list[float] = []

    def epoch() -> None:
        nonlocal state, model
        began = time.perf_counter()
        for x in batches(data.train, len(seconds)):
            state, model = compiled(state, model, x)
        seconds.append(time.perf_counter() - began)

    def nats(x: Any) -> str:
        return (
            f"{np.mean([measured(model, part) for part in x.reshape(-1, _ROWS, x.shape[1])]):.2f}"
        )

    def facts() -> dict[str, Any]:
        return {
            "epochs": len(seconds),
            "training": f"{sum(seconds) / 60:.1f} min",
            "validation, nats": nats(data.validation),
            "test, nats": nats(data.test),
        }

    return Prepared(epoch, list, facts=facts)
