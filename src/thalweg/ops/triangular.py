"""Triangular systems: NumPy has no such solver, and the rules of Cholesky and QR live on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.graph.kinds import Chain, Custom, Kind, MatMulRight
from thalweg.graph.primitive import Labels, Primitive, register
from thalweg.ops._families import align_batched
from thalweg.ops._matrices import (
    by_lapack,
    lower,
    strictly_lower,
    strictly_upper,
    transposed,
    upper,
)

__all__ = ["SOLVE_TRIANGULAR"]

#: Blocks of this size are solved by LAPACK's general solver; products of matrices do the rest.
_BLOCK = 64


def _solve_upper(u: Any, b: Any) -> Any:
    """u⁻¹ b, a block of rows after the other from below.

    Of an upper triangle the general solver's elimination is the triangle itself, without a pivot,
    so a block's solution is plain back substitution.
    """
    shape = np.broadcast_shapes(u.shape[:-2], b.shape[:-2]) + b.shape[-2:]
    x = np.array(np.broadcast_to(b, shape), np.result_type(u, b))
    for low in reversed(range(0, u.shape[-1], _BLOCK)):
        rows = slice(low, low + _BLOCK)
        x[..., rows, :] = np.linalg.solve(u[..., rows, rows], x[..., rows, :])
        x[..., :low, :] -= u[..., :low, rows] @ x[..., rows, :]
    return x


def _value(a: Any, b: Any, lower: bool, unit: bool) -> Any:
    if lower:  # turned by half, a lower triangle is an upper one
        turned = _value(a[..., ::-1, ::-1], b[..., ::-1, :], False, unit)
        return np.ascontiguousarray(turned[..., ::-1, :])
    u = np.triu(a)
    if unit:
        diagonal = np.arange(u.shape[-1])
        u[..., diagonal, diagonal] = 1
    return _solve_upper(u, b)


def _triangle(is_lower: bool, unit: bool) -> Callable[[Any], Any]:
    """The entries that a triangular solve reads."""
    low, up = (strictly_lower, strictly_upper) if unit else (lower, upper)
    return low if is_lower else up


def _local(i: int, out: Any, a: Any, b: Any, lower: bool, unit: bool) -> Kind:
    # dX = A⁻¹ (dB − dA X), only the triangle of dA that is read.
    through = Custom(
        push=lambda t: SOLVE_TRIANGULAR(a, t, lower=lower, unit=unit),
        pull=lambda c: SOLVE_TRIANGULAR(transposed(a), c, lower=not lower, unit=unit),
        name="solve_triangular",
    )
    if i == 1:
        return through
    read = _triangle(lower, unit)
    inner = Chain(MatMulRight(-out), Custom(read, read, name="triangle"), a)
    return Chain(through, inner, out)


SOLVE_TRIANGULAR: Primitive = register(
    by_lapack(
        name="solve_triangular",
        value=_value,
        local=_local,
        labels=Labels("solve triangular", r"{0}^{{-1}}\,{1}"),
        batch=lambda operands, batched, params: SOLVE_TRIANGULAR(
            *align_batched(operands, batched), **params
        ),
    )
)
