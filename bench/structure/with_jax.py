"""J3 with JAX's dense Jacobian; A2 as JAX's users would: a small Jacobian an observation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.structure import Problem, bundle, prepared, programs
from bench.structure.by_hand import assembled
from bench.workload import Prepared, Setting

jax.config.update("jax_enable_x64", True)


def sigmoid(problem: Problem, setting: Setting) -> Prepared:
    """J3: n rows of n numbers."""

    def make() -> Callable[[], Any]:
        x = jnp.asarray(problem.x)
        dense = jax.jit(jax.jacrev(lambda x: programs.sigmoid(x, jnp)))
        return lambda: jax.block_until_ready(dense(x))

    return prepared(make, np.asarray)


def adjustment(problem: bundle.Bundle, setting: Setting) -> Prepared:
    """A2: `vmap` of `jacfwd`, put together by the pattern that the user knows."""
    first = 11 * problem.cameras
    second = first + 3 * problem.points

    def of_one(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
        return bundle.errors(camera, point, weight, feature, jnp)

    def blocks(x: Any, feature: Any) -> Any:
        cameras, points = x[:first].reshape(-1, 11), x[first:second].reshape(-1, 3)
        found = jax.vmap(jax.jacfwd(of_one, (0, 1, 2)))(
            cameras[problem.camera], points[problem.point], x[second:, None], feature
        )
        return jnp.concatenate(found, axis=2), -2 * x[second:]

    def make() -> Callable[[], Any]:
        x, feature = jnp.asarray(problem.x), jnp.asarray(problem.feature)
        compiled, matrix = jax.jit(blocks), assembled(problem)
        return lambda: matrix(*map(np.asarray, compiled(x, feature)))

    return prepared(make, lambda found: found)
