"""J1–J4 and A2 with CasADi: scalar graphs (SX), its own sparsity and colouring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi
import numpy as np

from bench.structure import Problem, bundle, prepared
from bench.structure.by_hand import assembled
from bench.structure.programs import DIFFUSION, DRAIN, FEED
from bench.workload import Prepared, Setting


def _evaluated(function: casadi.Function, x: Any) -> Callable[[], Any]:
    return lambda: function(x)


def _to_scipy(matrix: Any) -> Any:
    return matrix.sparse()


def brusselator(problem: Problem, setting: Setting) -> Prepared:
    """J1."""
    N = problem.size

    def spread(w: Any) -> Any:
        down = casadi.vertcat(w[-1, :], w[:-1, :])
        up = casadi.vertcat(w[1:, :], w[0, :])
        right = casadi.horzcat(w[:, -1], w[:, :-1])
        left = casadi.horzcat(w[:, 1:], w[:, 0])
        return DIFFUSION * N * N * (down + up + right + left - 4 * w)

    def make() -> Callable[[], Any]:
        x = casadi.SX.sym("x", 2 * N * N)
        u, v = casadi.reshape(x[: N * N], N, N), casadi.reshape(x[N * N :], N, N)
        turned = u * u * v
        first = FEED + turned - (DRAIN + 1) * u + spread(u)
        second = DRAIN * u - turned + spread(v)
        right = casadi.vertcat(casadi.vec(first), casadi.vec(second))
        return _evaluated(casadi.Function("J", [x], [casadi.jacobian(right, x)]), problem.x)

    return prepared(make, _to_scipy)


def rosenbrock(problem: Problem, setting: Setting) -> Prepared:
    """J2."""

    def make() -> Callable[[], Any]:
        x = casadi.SX.sym("x", problem.size)
        value = casadi.sum1(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
        return _evaluated(casadi.Function("H", [x], [casadi.hessian(value, x)[0]]), problem.x)

    return prepared(make, _to_scipy)


def sigmoid(problem: Problem, setting: Setting) -> Prepared:
    """J3."""

    def make() -> Callable[[], Any]:
        x = casadi.SX.sym("x", problem.size)
        y = 1 / (1 + casadi.exp(-x))
        return _evaluated(casadi.Function("J", [x], [casadi.jacobian(y, x)]), problem.x)

    return prepared(make, _to_scipy)


def structure_of(problem: Problem, setting: Setting) -> Prepared:
    """J4, with its graphs of matrices (MX)."""

    def count() -> int:
        x = casadi.MX.sym("x", problem.size)
        y = casadi.tanh(casadi.mtimes(casadi.DM(problem.W), x))
        return casadi.jacobian_sparsity(y, x).nnz()

    return Prepared(count, lambda: [count()])


def adjustment(problem: bundle.Bundle, setting: Setting) -> Prepared:
    """A2: the Jacobian of one observation, mapped, put together by the pattern the user knows."""
    p = len(problem.feature)
    first = 11 * problem.cameras
    second = first + 3 * problem.points

    def errors(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
        r, X = camera[0:3], point - camera[3:6]
        square = casadi.sumsqr(r)
        angle = casadi.sqrt(square)
        turned = (
            casadi.cos(angle) * X
            + casadi.sin(angle) / angle * casadi.cross(r, X)
            + (1 - casadi.cos(angle)) / square * casadi.dot(r, X) * r
        )
        u = turned[0:2] / turned[2]
        rho = casadi.sumsqr(u)
        distortion = 1 + camera[9] * rho + camera[10] * rho**2
        return weight * (camera[6] * distortion * u + camera[7:9] - feature)

    def make() -> Callable[[], Any]:
        x, feature = casadi.SX.sym("x", 15), casadi.SX.sym("feature", 2)
        found = errors(x[:11], x[11:14], x[14], feature)
        rows = casadi.densify(casadi.jacobian(found, x)).T  # column by column: row by row
        one = casadi.Function("block", [x, feature], [rows])
        mapped, matrix = one.map(p), assembled(problem)
        features = np.asfortranarray(problem.feature.T)

        def evaluate() -> Any:
            point = problem.x
            cameras, points = point[:first].reshape(-1, 11), point[first:second].reshape(-1, 3)
            weights = point[second:]
            parts = [cameras[problem.camera], points[problem.point], weights[:, None]]
            blocks = mapped(np.concatenate(parts, axis=1).T, features)
            return matrix(np.asarray(blocks).T, -2 * weights)

        return evaluate

    return prepared(make, lambda found: found)
