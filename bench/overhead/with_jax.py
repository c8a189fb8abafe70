"""O1 with JAX, operation by operation."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bench.overhead import Problem, program
from bench.workload import Prepared, Setting

jax.config.update("jax_enable_x64", True)


def eager(problem: Problem, setting: Setting) -> Prepared:
    """`jax.grad` without `jax.jit`."""
    gradient = jax.grad(program)
    x, a, b = (jnp.asarray(value) for value in (problem.x, problem.a, problem.b))
    return Prepared(lambda: jax.block_until_ready(gradient(x, a, b)), lambda: [gradient(x, a, b)])
