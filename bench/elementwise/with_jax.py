"""E1–E6 with JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf

from bench.elementwise import RATE, SIGMA, STRIKE, YEARS, Problem
from bench.workload import Prepared, Setting

jax.config.update("jax_enable_x64", True)


def _sigmoid(x: Any) -> Any:
    return jnp.sum(1 / (1 + jnp.exp(-x)))


def _normal(d: Any) -> Any:
    return 0.5 * (1 + erf(d / 2**0.5))


def _black_scholes(spot: Any) -> Any:
    deviation = SIGMA * YEARS**0.5
    d1 = (jnp.log(spot / STRIKE) + (RATE + SIGMA**2 / 2) * YEARS) / deviation
    d2 = d1 - deviation
    discounted = STRIKE * float(np.exp(-RATE * YEARS))
    return jnp.sum(spot * _normal(d1) - discounted * _normal(d2))


def _tanh_softplus(x: Any) -> Any:
    return jnp.sum(jnp.tanh(x) * jnp.log1p(jnp.exp(x)))


_FUNCTIONS = {
    "sigmoid": _sigmoid,
    "black_scholes": _black_scholes,
    "tanh_softplus": _tanh_softplus,
}


def jit(problem: Problem, setting: Setting) -> Prepared:
    """`jax.jit(jax.value_and_grad(f))`, waited for."""
    both = jax.jit(jax.value_and_grad(_FUNCTIONS[problem.function]))
    x = jnp.asarray(problem.x)
    return Prepared(lambda: jax.block_until_ready(both(x)), lambda: both(x))
