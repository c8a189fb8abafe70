"""Ten sparse problems with their Jacobians or Hessians in closed form.

Sources: J. J. Moré, B. S. Garbow, K. E. Hillstrom, *Testing unconstrained optimization software*,
ACM TOMS 7 (1981); B. M. Averick, R. G. Carter, J. J. Moré, G.-L. Xue, *The MINPACK-2 test problem
collection* (1992); I. Bongartz and others, *CUTE*, ACM TOMS 21 (1995).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse


class Problem(NamedTuple):
    """A function of a vector, and its derivative of the given order as a sparse matrix."""

    name: str
    function: Callable[[Any], Any]
    matrix: Callable[[Any], Any]
    size: int
    order: int  # 1: Jacobian of a vector function; 2: Hessian of a scalar one

    def point(self, seed: int = 0) -> Any:
        return np.random.default_rng([seed, self.size]).uniform(-1.0, 1.0, self.size)


def _diagonals(n: int, **bands: Any) -> Any:
    """Bands by offset: ``m1`` below the diagonal, ``d0`` on it, ``p1`` above."""
    signs = {"m": -1, "d": 0, "p": 1}
    offsets = [signs[name[0]] * int(name[1:]) for name in bands]
    entries = [np.broadcast_to(b, n - abs(k)) for b, k in zip(bands.values(), offsets, strict=True)]
    return sparse.diags_array(entries, offsets=offsets, shape=(n, n)).tocsr()


# ---- systems of equations -------------------------------------------------------------------


def broyden_tridiagonal(x: Any) -> Any:
    padded = np.pad(x, 1)
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def _broyden_tridiagonal_jacobian(x: Any) -> Any:
    return _diagonals(x.size, m1=-1.0, d0=3 - 4 * x, p1=-2.0)


def broyden_banded(x: Any) -> Any:
    n = x.shape[0]
    y = np.pad(x * (1 + x), (5, 1))
    return x * (2 + 5 * x**2) + 1 - sum(y[k : k + n] for k in (0, 1, 2, 3, 4, 6))


def _broyden_banded_jacobian(x: Any) -> Any:
    slope = -(1 + 2 * x)
    bands = {f"m{k}": slope[: x.size - k] for k in range(1, 6)}
    return _diagonals(x.size, **bands, d0=2 + 15 * x**2, p1=slope[1:])


def boundary_value(x: Any) -> Any:
    n = x.shape[0]
    h = 1 / (n + 1)
    t = h * np.arange(1, n + 1)
    padded = np.pad(x, 1)
    return 2 * x - padded[:-2] - padded[2:] + h**2 * (x + t + 1) ** 3 / 2


def _boundary_value_jacobian(x: Any) -> Any:
    h = 1 / (x.size + 1)
    t = h * np.arange(1, x.size + 1)
    return _diagonals(x.size, m1=-1.0, d0=2 + 1.5 * h**2 * (x + t + 1) ** 2, p1=-1.0)


def laplacian(side: int, axes: int) -> Any:
    """Σ over the axes of 2 u − neighbours, zero outside, by Kronecker products."""
    line = _diagonals(side, m1=-1.0, d0=2.0, p1=-1.0)
    total = sparse.csr_array((side**axes, side**axes))
    for axis in range(axes):
        before, after = sparse.eye_array(side**axis), sparse.eye_array(side ** (axes - axis - 1))
        total = total + sparse.kron(sparse.kron(before, line), after)
    return total.tocsr()


def bratu(side: int, axes: int, strength: float = 3.0) -> Callable[[Any], Any]:
    """−Δu = λ exp(u) on the unit cube, finite differences."""
    h = 1 / (side + 1)

    def residual(x: Any) -> Any:
        u = np.pad(np.reshape(x, (side,) * axes), 1)
        inner = (slice(1, -1),) * axes
        total = 2 * axes * u[inner]
        for axis in range(axes):
            for part in (slice(None, -2), slice(2, None)):
                total = total - u[(*inner[:axis], part, *inner[axis + 1 :])]
        return np.reshape(total - h**2 * strength * np.exp(u[inner]), (-1,))

    return residual


def _bratu_jacobian(side: int, axes: int, strength: float = 3.0) -> Callable[[Any], Any]:
    h = 1 / (side + 1)
    operator = laplacian(side, axes)
    return lambda x: operator - sparse.diags_array(h**2 * strength * np.exp(x))


# ---- minima ---------------------------------------------------------------------------------


def _corners(side: int) -> tuple[Any, Any]:
    """Differences along both diagonals of every cell of a grid with a frame of zeros."""
    points = side + 2
    number = np.arange(points**2).reshape(points, points)
    inside = number[1:-1, 1:-1].ravel()
    cells = number[:-1, :-1].size

    def difference(plus: Any, minus: Any) -> Any:
        rows = np.tile(np.arange(cells), 2)
        entries = np.repeat([1.0, -1.0], cells)
        columns = np.concatenate([plus.ravel(), minus.ravel()])
        return sparse.csr_array((entries, (rows, columns)), (cells, points**2))[:, inside]

    return (
        difference(number[:-1, :-1], number[1:, 1:]),
        difference(number[1:, :-1], number[:-1, 1:]),
    )


def minimal_surface(side: int) -> Callable[[Any], Any]:
    """The area of a surface over the unit square that is sin(π s) high at its frame's first row."""
    h = 1 / (side + 1)
    frame = np.zeros((side + 2, side + 2))
    frame[0] = np.sin(np.pi * np.linspace(0, 1, side + 2))

    def area(x: Any) -> Any:
        u = frame + np.pad(np.reshape(x, (side, side)), 1)
        a, b = u[:-1, :-1] - u[1:, 1:], u[1:, :-1] - u[:-1, 1:]
        return h**2 * np.sum(np.sqrt(1 + (a**2 + b**2) / (2 * h**2)))

    return area


def _minimal_surface_hessian(side: int) -> Callable[[Any], Any]:
    h = 1 / (side + 1)
    across, along = _corners(side)
    frame = np.zeros((side + 2, side + 2))
    frame[0] = np.sin(np.pi * np.linspace(0, 1, side + 2))
    a0 = (frame[:-1, :-1] - frame[1:, 1:]).ravel()
    b0 = (frame[1:, :-1] - frame[:-1, 1:]).ravel()

    def hessian(x: Any) -> Any:
        a, b = across @ x + a0, along @ x + b0
        s = np.sqrt(1 + (a**2 + b**2) / (2 * h**2))
        aa = h**2 * (1 / (2 * h**2 * s) - a**2 / (4 * h**4 * s**3))
        bb = h**2 * (1 / (2 * h**2 * s) - b**2 / (4 * h**4 * s**3))
        ab = -(h**2) * a * b / (4 * h**4 * s**3)
        mixed = across.T @ sparse.diags_array(ab) @ along
        own = across.T @ sparse.diags_array(aa) @ across
        return own + along.T @ sparse.diags_array(bb) @ along + mixed + mixed.T

    return hessian


def obstacle(side: int, stiffness: float = 50.0) -> Callable[[Any], Any]:
    """A membrane under load that a penalty holds above a bump."""
    h = 1 / (side + 1)
    bump = _bump(side)

    def energy(x: Any) -> Any:
        u = np.pad(np.reshape(x, (side, side)), 1)
        bend = np.sum((u[1:] - u[:-1]) ** 2) + np.sum((u[:, 1:] - u[:, :-1]) ** 2)
        below = np.maximum(bump - x, 0.0)
        return bend / 2 + h**2 * np.sum(x) + stiffness / 2 * np.sum(below**2)

    return energy


def _bump(side: int) -> Any:
    line = np.sin(np.pi * np.linspace(0, 1, side + 2)[1:-1])
    return np.outer(line, line).ravel() - 0.5


def _obstacle_hessian(side: int, stiffness: float = 50.0) -> Callable[[Any], Any]:
    operator, bump = laplacian(side, 2), _bump(side)
    return lambda x: operator + sparse.diags_array(stiffness * (x < bump))


def chained_wood(x: Any) -> Any:
    a, b, c, d = x[:-3:2], x[1:-2:2], x[2:-1:2], x[3::2]
    return np.sum(
        100 * (a**2 - b) ** 2 + (a - 1) ** 2 + 90 * (c**2 - d) ** 2 + (c - 1) ** 2
        + 10 * (b + d - 2) ** 2 + 0.1 * (b - d) ** 2
    )  # fmt: skip


def _blocks(starts: Any, entries: Any, n: int) -> Any:
    """The sum of small square blocks (one an entry of `starts`) down the diagonal."""
    k = entries.shape[-1]
    rows = starts[:, None, None] + np.arange(k)[:, None] + np.zeros(k, int)
    columns = starts[:, None, None] + np.zeros(k, int)[:, None] + np.arange(k)
    places = rows.ravel(), columns.ravel()
    return sparse.coo_array((entries.ravel(), places), (n, n)).tocsr()


def _chained_wood_hessian(x: Any) -> Any:
    starts = np.arange(0, x.size - 3, 2)
    block = np.zeros((starts.size, 4, 4))
    block[:, 0, 0] = 1200 * x[starts] ** 2 - 400 * x[starts + 1] + 2
    block[:, 2, 2] = 1080 * x[starts + 2] ** 2 - 360 * x[starts + 3] + 2
    block[:, 1, 1], block[:, 3, 3] = 200 + 20.2, 180 + 20.2
    block[:, 0, 1] = block[:, 1, 0] = -400 * x[starts]
    block[:, 2, 3] = block[:, 3, 2] = -360 * x[starts + 2]
    block[:, 1, 3] = block[:, 3, 1] = 20 - 0.2
    return _blocks(starts, block, x.size)


def extended_powell(x: Any) -> Any:
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    return np.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def _extended_powell_hessian(x: Any) -> Any:
    a, b, c, d = x.reshape(-1, 4).T
    p, q = 12 * (b - 2 * c) ** 2, 120 * (a - d) ** 2
    block = np.zeros((a.size, 4, 4))
    block[:, 0, 0], block[:, 0, 3] = 2 + q, -q
    block[:, 1, 1], block[:, 1, 2] = 200 + p, -2 * p
    block[:, 2, 2], block[:, 3, 3] = 10 + 4 * p, 10 + q
    block[:, 0, 1], block[:, 2, 3] = 20, -10
    block += np.triu(block, 1).swapaxes(1, 2)
    return _blocks(np.arange(0, x.size, 4), block, x.size)


def arrowhead(x: Any) -> Any:
    return np.sum(-4 * x[:-1] + 3) + np.sum((x[:-1] ** 2 + x[-1] ** 2) ** 2)


def _arrowhead_hessian(x: Any) -> Any:
    y, z = x[:-1], x[-1]
    column = sparse.csr_array((8 * y * z).reshape(-1, 1))
    corner = sparse.csr_array([[np.sum(4 * y**2 + 12 * z**2)]])
    diagonal = sparse.diags_array(12 * y**2 + 4 * z**2)
    return sparse.block_array([[diagonal, column], [column.T, corner]], format="csr")


def _on_grid(axes: int, name: str, order: int, function: Any, matrix: Any) -> Any:
    """By the number of unknowns: the next smaller grid with as many points along each axis."""

    def make(n: int) -> Problem:
        side = int(n ** (1 / axes) + 1e-9)
        return Problem(name, function(side), matrix(side), side**axes, order)

    return make


def _on_line(name: str, order: int, function: Any, matrix: Any) -> Any:
    return lambda n: Problem(name, function, matrix, n // 4 * 4, order)


#: Each by the number of unknowns, about.
FAMILIES: list[Callable[[int], Problem]] = [
    _on_line("Broyden tridiagonal", 1, broyden_tridiagonal, _broyden_tridiagonal_jacobian),
    _on_line("Broyden banded", 1, broyden_banded, _broyden_banded_jacobian),
    _on_line("boundary value", 1, boundary_value, _boundary_value_jacobian),
    _on_grid(2, "Bratu 2-D", 1, lambda k: bratu(k, 2), lambda k: _bratu_jacobian(k, 2)),
    _on_grid(3, "Bratu 3-D", 1, lambda k: bratu(k, 3), lambda k: _bratu_jacobian(k, 3)),
    _on_grid(2, "minimal surface", 2, minimal_surface, _minimal_surface_hessian),
    _on_grid(2, "obstacle", 2, obstacle, _obstacle_hessian),
    _on_line("chained Wood", 2, chained_wood, _chained_wood_hessian),
    _on_line("extended Powell", 2, extended_powell, _extended_powell_hessian),
    _on_line("arrowhead", 2, arrowhead, _arrowhead_hessian),
]
PROBLEMS = [make(64) for make in FAMILIES]
