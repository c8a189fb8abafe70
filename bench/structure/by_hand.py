"""The matrices derived by hand: the pattern is made once, an evaluation fills in the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from bench.structure.programs import DIFFUSION, DRAIN

__all__ = ["adjustment", "assembled", "brusselator", "rosenbrock", "sigmoid"]


def brusselator(problem: Any) -> Callable[[], Any]:
    """Six entries a row: itself, four neighbours, the other species."""
    N, x = problem.size, problem.x
    n = N * N
    cell = np.arange(n).reshape(N, N)
    near = [np.roll(cell, shift, axis).ravel() for shift in (1, -1) for axis in (0, 1)]
    own, spread = cell.ravel(), DIFFUSION * n
    columns = np.concatenate(
        [
            np.stack([own, *near, own + n], 1),
            np.stack([own + n, *(k + n for k in near), own], 1),
        ]
    )
    order = np.argsort(columns, axis=1)
    columns = np.take_along_axis(columns, order, 1)
    place = np.argsort(order, axis=1) + 6 * np.arange(2 * n)[:, None]
    template = np.full(12 * n, spread)
    indices, indptr = columns.ravel().astype(np.int32), np.arange(0, 12 * n + 1, 6, dtype=np.int32)
    first, first_other = place[:n, 0].copy(), place[:n, 5].copy()
    second, second_other = place[n:, 0].copy(), place[n:, 5].copy()

    def matrix() -> Any:
        u, v = x[:n], x[n:]
        uv, uu = 2 * u * v, u * u
        data = template.copy()
        data[first] = uv - (DRAIN + 1 + 4 * spread)
        data[first_other] = uu
        data[second] = -uu - 4 * spread
        data[second_other] = DRAIN - uv
        return sparse.csr_array((data, indices, indptr), shape=(2 * n, 2 * n))

    return matrix


def rosenbrock(problem: Any) -> Callable[[], Any]:
    """Three diagonals, side by side in memory as CSR has them; the memory is used again."""
    n, x = problem.size, problem.x
    columns = np.arange(n)[:, None] + np.arange(-1, 2)
    indices = columns.ravel()[1:-1].astype(np.int32)
    indptr = np.clip(np.arange(-1, 3 * n, 3), 0, 3 * n - 2).astype(np.int32)

    table = np.empty((n, 3))
    beside, middle = np.empty(n), np.empty(n)

    def matrix() -> Any:
        np.multiply(x, -400, out=beside)
        table[1:, 0] = table[:-1, 2] = beside[:-1]
        np.multiply(x, x, out=middle)
        np.multiply(middle, 1200, out=middle)
        np.add(middle[:-1], beside[1:], out=middle[:-1])
        np.add(middle, 202, out=middle)
        middle[0] -= 200
        middle[-1] = 200
        table[:, 1] = middle
        return sparse.csr_array((table.reshape(-1)[1:-1], indices, indptr), shape=(n, n))

    return matrix


def sigmoid(problem: Any) -> Callable[[], Any]:
    """s (1 − s) on the diagonal."""
    n, x = problem.size, problem.x
    indices, indptr = np.arange(n, dtype=np.int32), np.arange(n + 1, dtype=np.int32)

    def matrix() -> Any:
        s = 1 / (1 + np.exp(-x))
        return sparse.csr_array((s * (1 - s), indices, indptr), shape=(n, n))

    return matrix


# ---- A2 --------------------------------------------------------------------------------------


def assembled(bundle: Any) -> Callable[[Any, Any], Any]:
    """(p, 2, 15) derivatives by camera, point, weight; p of the weights' errors → the matrix."""
    p = len(bundle.feature)
    first, second = 11 * bundle.cameras, 11 * bundle.cameras + 3 * bundle.points
    columns = np.concatenate(
        [
            11 * bundle.camera[:, None] + np.arange(11),
            first + 3 * bundle.point[:, None] + np.arange(3),
            second + np.arange(p)[:, None],
        ],
        axis=1,
    )
    indices = np.concatenate([np.repeat(columns, 2, 0).ravel(), second + np.arange(p)])
    indices = indices.astype(np.int32)
    lengths = np.concatenate([np.full(2 * p, 15), np.ones(p, int)])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    shape = (3 * p, second + p)

    def matrix(blocks: Any, weights: Any) -> Any:
        data = np.concatenate([np.reshape(blocks, -1), weights])
        return sparse.csr_array((data, indices, indptr), shape=shape)

    return matrix


def adjustment(bundle: Any) -> Callable[[], Any]:
    """Each observation's 2 × 15 block by the chain rule."""
    matrix = assembled(bundle)
    first, second = 11 * bundle.cameras, 11 * bundle.cameras + 3 * bundle.points
    p = len(bundle.feature)
    dots = "pi,pi->p"

    def evaluate() -> Any:
        x = bundle.x
        camera = x[:first].reshape(-1, 11)[bundle.camera]
        point, w = x[first:second].reshape(-1, 3)[bundle.point], x[second:]
        r, X = camera[:, :3], point - camera[:, 3:6]
        square = np.einsum(dots, r, r)
        angle = np.sqrt(square)
        c, s, b = np.cos(angle), np.sin(angle) / angle, (1 - np.cos(angle)) / square
        side, along = np.cross(r, X), np.einsum(dots, r, X)
        y = c[:, None] * X + s[:, None] * side + (b * along)[:, None] * r
        eye = np.eye(3)
        # ∂y/∂X is the rotation; ∂y/∂r by the product rule, with c, s, b functions of r.
        R = c[:, None, None] * eye + s[:, None, None] * _cross_matrix(r)
        R += b[:, None, None] * r[:, :, None] * r[:, None, :]
        factors = -s[:, None] * X + ((c - s) / square)[:, None] * side
        factors += (along * (s - 2 * b) / square)[:, None] * r
        by_r = factors[:, :, None] * r[:, None, :] - s[:, None, None] * _cross_matrix(X)
        by_r += b[:, None, None] * (r[:, :, None] * X[:, None, :])
        by_r += (b * along)[:, None, None] * eye
        u = y[:, :2] / y[:, 2:]
        rho = np.einsum(dots, u, u)
        k1, k2, f = camera[:, 9], camera[:, 10], camera[:, 6]
        g = 1 + k1 * rho + k2 * rho**2
        by_u = f[:, None, None] * (
            g[:, None, None] * np.eye(2)
            + (2 * (k1 + 2 * k2 * rho))[:, None, None] * u[:, :, None] * u[:, None, :]
        )
        u_by_y = np.zeros((p, 2, 3))
        u_by_y[:, 0, 0] = u_by_y[:, 1, 1] = 1 / y[:, 2]
        u_by_y[:, :, 2] = -u / y[:, 2:]
        by_y = by_u @ u_by_y
        blocks = np.empty((p, 2, 15))
        blocks[:, :, 0:3] = by_y @ by_r
        blocks[:, :, 11:14] = by_y @ R
        blocks[:, :, 3:6] = -blocks[:, :, 11:14]
        blocks[:, :, 6] = u * g[:, None]
        blocks[:, :, 7:9] = np.eye(2)
        blocks[:, :, 9] = u * (f * rho)[:, None]
        blocks[:, :, 10] = u * (f * rho**2)[:, None]
        blocks[:, :, :14] *= w[:, None, None]
        seen = (f * g)[:, None] * u + camera[:, 7:9]
        blocks[:, :, 14] = seen - bundle.feature
        return matrix(blocks, -2 * w)

    return evaluate


def _cross_matrix(a: Any) -> Any:
    """(p, 3, 3): a × v = matrix · v."""
    made = np.zeros((len(a), 3, 3))
    made[:, 0, 1], made[:, 0, 2], made[:, 1, 2] = -a[:, 2], a[:, 1], -a[:, 0]
    made[:, 1, 0], made[:, 2, 0], made[:, 2, 1] = a[:, 2], -a[:, 1], a[:, 0]
    return made
