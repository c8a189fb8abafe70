"""The chain with JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bench.chain import Chain, program
from bench.workload import Prepared, Setting

jax.config.update("jax_enable_x64", True)


def jit(problem: Chain, setting: Setting) -> Prepared:
    """`jax.jit(jax.value_and_grad(f))`."""
    both = jax.jit(
        jax.value_and_grad(lambda x: program(x, problem.operations, jnp.sin, jnp.tanh).sum())
    )
    x = jnp.asarray(problem.x)
    return Prepared(lambda: jax.block_until_ready(both(x)), lambda: both(x))


def warm(setting: Setting) -> None:
    """Another function, so that all is loaded that is loaded late."""
    jax.block_until_ready(jax.jit(jax.grad(lambda x: (x * x).sum()))(jnp.ones(3)))
