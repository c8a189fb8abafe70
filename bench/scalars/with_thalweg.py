"""S1 and S2 with Thalweg."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import thalweg as tw
from bench.scalars import POINT, Moons, moons_loss, product
from bench.workload import Prepared, Setting


def _prepared(gradient: Any, *arguments: Any) -> Prepared:
    call = functools.partial(gradient, *arguments)
    return Prepared(call, lambda: [np.array(call())])


def product_compiled(problem: None, setting: Setting) -> Prepared:
    """Python floats in, numbers out."""
    gradient = tw.grad(product, argnums=(0, 1, 2))
    return _prepared(tw.compile(gradient, backend=setting.backend), *POINT)


def product_eager(problem: None, setting: Setting) -> Prepared:
    """The same without `tw.compile`."""
    return _prepared(tw.grad(product, argnums=(0, 1, 2)), *POINT)


def _relu(x: Any) -> Any:
    return np.maximum(x, 0.0)


def _loss(problem: Moons) -> Any:
    return lambda w: moons_loss(list(w), problem, _relu)


def moons_compiled(problem: Moons, setting: Setting) -> Prepared:
    """One argument, an array; its entries are the scalars."""
    gradient = tw.grad(_loss(problem))
    return _prepared(
        tw.compile(gradient, backend=setting.backend, threads=setting.threads), problem.w
    )


def moons_eager(problem: Moons, setting: Setting) -> Prepared:
    """The same without `tw.compile`."""
    return _prepared(tw.grad(_loss(problem)), problem.w)
