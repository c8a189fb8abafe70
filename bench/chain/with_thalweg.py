"""The chain with Thalweg."""

from __future__ import annotations

import numpy as np

import thalweg as tw
from bench.chain import Chain, program
from bench.workload import Prepared, Setting


def compiled(problem: Chain, setting: Setting) -> Prepared:
    """Value and gradient in one compiled function."""
    both = tw.compile(
        tw.value_and_grad(lambda x: np.sum(program(x, problem.operations, np.sin, np.tanh))),
        backend=setting.backend,
        threads=setting.threads,
    )
    return Prepared(lambda: both(problem.x), lambda: both(problem.x))


def warm(setting: Setting) -> None:
    """Another function, so that all is loaded that is loaded late."""
    tw.compile(tw.grad(lambda x: np.sum(x * x)), backend=setting.backend)(np.ones(3))
