"""A1 with JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from bench.adbench import Mixture, constant, placement
from bench.workload import Prepared, Setting

jax.config.update("jax_enable_x64", True)


def _objective(problem: Mixture) -> Callable[..., Any]:
    x, gamma, m = jnp.asarray(problem.x), problem.gamma, problem.m
    n, d = problem.x.shape
    place, fixed = placement(d), constant(problem)

    def objective(alphas: Any, means: Any, icf: Any) -> Any:
        q = icf[:, :d]
        zeros = jnp.zeros((len(alphas), 1))
        entries = jnp.concatenate([jnp.exp(q), icf[:, d:], zeros], axis=1)
        Q = entries[:, place]
        z = (x - means[:, None, :]) @ jnp.swapaxes(Q, 1, 2)
        main = alphas[:, None] + jnp.sum(q, axis=1)[:, None] - 0.5 * jnp.sum(z**2, axis=2)
        prior = 0.5 * gamma**2 * jnp.sum(entries**2) - m * jnp.sum(q)
        return jnp.sum(logsumexp(main, axis=0)) - n * logsumexp(alphas, axis=0) + prior + fixed

    return objective


def jit(problem: Mixture, setting: Setting) -> Prepared:
    """`jax.jit(jax.value_and_grad(f))`."""
    both = jax.jit(jax.value_and_grad(_objective(problem), argnums=(0, 1, 2)))
    point = [jnp.asarray(part) for part in (problem.alphas, problem.means, problem.icf)]

    def results() -> Any:
        value, gradient = both(*point)
        return [value, *gradient]

    return Prepared(lambda: jax.block_until_ready(both(*point)), results)
