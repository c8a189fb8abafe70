"""J1–J4 and A2 with asdex: sparsity of JAX functions, colouring, compressed products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asdex
import jax
import jax.numpy as jnp
from scipy import sparse

from bench.structure import Problem, bundle, prepared, programs
from bench.workload import Prepared, Setting

jax.config.update("jax_enable_x64", True)


def _to_scipy(matrix: Any) -> Any:
    rows, columns = matrix.indices.T
    return sparse.coo_array((matrix.data, (rows, columns)), shape=matrix.shape)


def _sparse(transform: Callable[..., Any], f: Callable[..., Any], x: Any) -> Prepared:
    def make() -> Callable[[], Any]:
        point = jnp.asarray(x)
        matrix = jax.jit(transform(f, point))
        return lambda: jax.block_until_ready(matrix(point))

    return prepared(make, _to_scipy)


def brusselator(problem: Problem, setting: Setting) -> Prepared:
    """J1."""
    N = problem.size
    return _sparse(asdex.jacobian, lambda x: programs.brusselator(x, N, jnp), problem.x)


def rosenbrock(problem: Problem, setting: Setting) -> Prepared:
    """J2."""
    return _sparse(asdex.hessian, lambda x: programs.rosenbrock(x, jnp), problem.x)


def sigmoid(problem: Problem, setting: Setting) -> Prepared:
    """J3."""
    return _sparse(asdex.jacobian, lambda x: programs.sigmoid(x, jnp), problem.x)


def structure_of(problem: Problem, setting: Setting) -> Prepared:
    """J4."""
    W, x = jnp.asarray(problem.W), jnp.asarray(problem.x)

    def count() -> int:
        return asdex.jacobian_sparsity(lambda x: jnp.tanh(W @ x), x).nnz

    return Prepared(count, lambda: [count()])


def adjustment(problem: bundle.Bundle, setting: Setting) -> Prepared:
    """A2."""
    return _sparse(asdex.jacobian, lambda x: bundle.residuals(x, problem, jnp), problem.x)
