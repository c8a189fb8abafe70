"""J1–J4 and A2 with Thalweg: the functions as they are, compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
import thalweg.api_structured  # with SciPy: as of the peers, imports are no part of the set-up
from bench.structure import Problem, bundle, prepared, programs
from bench.workload import Prepared, Setting


def _sparse(transform: Callable[..., Any], f: Callable[..., Any], x: Any) -> Prepared:
    def make() -> Callable[[], Any]:
        return functools.partial(transform(tw.compile(f), form="sparse"), x)

    return prepared(make, lambda matrix: matrix)


def brusselator(problem: Problem, setting: Setting) -> Prepared:
    """J1."""
    N = problem.size
    return _sparse(tw.jacobian, lambda x: programs.brusselator(x, N), problem.x)


def rosenbrock(problem: Problem, setting: Setting) -> Prepared:
    """J2."""
    return _sparse(tw.hessian, programs.rosenbrock, problem.x)


def sigmoid(problem: Problem, setting: Setting) -> Prepared:
    """J3."""
    return _sparse(tw.jacobian, programs.sigmoid, problem.x)


def structure_of(problem: Problem, setting: Setting) -> Prepared:
    """J4: from the function to the count, each time anew."""

    def count() -> int:
        return tw.jacobian(lambda x: np.tanh(problem.W @ x), form="operator")(problem.x).nnz

    return Prepared(count, lambda: [count()])


def adjustment(problem: bundle.Bundle, setting: Setting) -> Prepared:
    """A2."""
    return _sparse(tw.jacobian, lambda x: bundle.residuals(x, problem), problem.x)
