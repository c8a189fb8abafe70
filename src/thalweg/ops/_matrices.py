"""Small things that the rules for matrices share: transposes, diagonals, triangles.

Over leading batch axes, on nodes and on values. In the formulas ``ᵀ`` is the plain transpose and
``ᴴ`` the conjugate one; cotangents pair as Re Σ c·t (see `thalweg.transforms.linear`), so a map
t → L t R is pulled back by c → Lᵀ c Rᵀ, and t → L tᴴ R by c → conj(R cᵀ L).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from thalweg.graph.primitive import Primitive
from thalweg.ops._reasons import LAPACK

__all__ = [
    "adjoint",
    "by_lapack",
    "conj",
    "diagonal_of",
    "hermitian_part",
    "imag",
    "lower",
    "mirror",
    "mirror_transpose",
    "real",
    "scale_columns",
    "scale_rows",
    "strictly_lower",
    "strictly_upper",
    "transposed",
    "upper",
]

#: The record of a primitive that stays LAPACK's.
by_lapack = functools.partial(Primitive, lower=LAPACK)


def transposed(x: Any) -> Any:
    """xᵀ: the last two axes swapped."""
    return np.swapaxes(x, -1, -2)


def conj(x: Any) -> Any:
    """The conjugate; x itself where it is real."""
    return np.conjugate(x) if x.dtype.kind == "c" else x


def adjoint(x: Any) -> Any:
    """xᴴ."""
    return conj(transposed(x))


def real(x: Any) -> Any:
    """The real part; x itself where it is real."""
    return np.real(x) if x.dtype.kind == "c" else x


def imag(x: Any) -> Any:
    """The imaginary part of a complex x."""
    return np.imag(x)


def hermitian_part(x: Any) -> Any:
    """(x + xᴴ) / 2; it is its own transpose."""
    return 0.5 * (x + adjoint(x))


def mirror(x: Any, is_lower: bool = True, hermitian: bool = True) -> Any:
    """The Hermitian (or symmetric) matrix of which one triangle of x is read.

    What is read: strictly below (above) the diagonal x_ij, and there its conjugate on the other
    side; on the diagonal the real part. It is linear over the reals: also the map of tangents.
    """
    flip = adjoint if hermitian else transposed
    strict = strictly_lower(x) if is_lower else transposed(strictly_lower(transposed(x)))
    on = np.eye(x.shape[-1], dtype=np.bool_)
    diagonal = np.where(on, _real_part(x) if hermitian else x, _zero(x))
    return strict + flip(strict) + diagonal


def mirror_transpose(c: Any, is_lower: bool = True, hermitian: bool = True) -> Any:
    """Transpose of `mirror`: c_ij + conj(c_ji) where the triangle is read, 0 elsewhere."""
    flip = adjoint if hermitian else transposed
    both = c + flip(c)
    strict = strictly_lower(both) if is_lower else transposed(strictly_lower(transposed(both)))
    return strict + np.where(np.eye(c.shape[-1], dtype=np.bool_), 0.5 * both, _zero(c))


def _real_part(x: Any) -> Any:
    """The real part in the dtype of x."""
    return 0.5 * (x + conj(x)) if x.dtype.kind == "c" else x


def lower(x: Any) -> Any:
    """The lower triangle with the diagonal; np.where, so what is cut off may be inf or nan."""
    return np.where(np.tri(*x.shape[-2:], dtype=np.bool_), x, _zero(x))


def strictly_lower(x: Any) -> Any:
    """The lower triangle without the diagonal."""
    return np.where(np.tri(x.shape[-2], x.shape[-1], -1, dtype=np.bool_), x, _zero(x))


def strictly_upper(x: Any) -> Any:
    """The upper triangle without the diagonal."""
    return np.where(np.tri(*x.shape[-2:], dtype=np.bool_), _zero(x), x)


def upper(x: Any) -> Any:
    """The upper triangle with the diagonal."""
    return np.where(np.tri(x.shape[-2], x.shape[-1], -1, dtype=np.bool_), _zero(x), x)


def _zero(x: Any) -> Any:
    return np.zeros((), x.dtype)[()]


def diagonal_of(x: Any) -> Any:
    """The main diagonals of a stack of square matrices."""
    return np.sum(np.where(np.eye(x.shape[-1], dtype=np.bool_), x, _zero(x)), axis=-1)


def scale_columns(x: Any, s: Any) -> Any:
    """x diag(s)."""
    return x * np.expand_dims(s, -2)


def scale_rows(s: Any, x: Any) -> Any:
    """diag(s) x."""
    return np.expand_dims(s, -1) * x
