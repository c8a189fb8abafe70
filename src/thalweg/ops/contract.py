"""Contractions: matmul, dot, einsum and their relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.kinds import Kind, MatMulLeft, MatMulRight
from thalweg.graph.primitive import Labels, Primitive, register


def _matmul_local(i: int, out: Any, a: Any, b: Any) -> Kind:
    return MatMulRight(b) if i == 0 else MatMulLeft(a)


MATMUL = register(
    Primitive(
        name="matmul",
        value=np.matmul,
        local=_matmul_local,
        labels=Labels("@", r"{0}\,{1}"),
        batch="to be written",
    ),
    np.matmul,
)
