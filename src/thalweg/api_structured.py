"""`form="sparse"`: the blocks of a Jacobian or Hessian as SciPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from thalweg.api import Function, argument_positions, grad, is_single, tree_of
from thalweg.api_dense import FORMS, Blocks
from thalweg.errors import TracingError
from thalweg.tracing import Run, run
from thalweg.tree import unflatten

__all__: list[str] = []


def _sparse(f: Function, argnums: Any, pattern: str, order: int) -> Callable[..., Any]:
    function = f if order == 1 else grad(f, argnums)
    single = is_single(argnums)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        traced = run(function, args, kwargs, argument_positions(argnums, args, f))
        _refuse_nested(traced)
        blocks = Blocks(traced, prefer_forward=order == 2).all()
        rows = []
        for k, out in enumerate(traced.outputs):
            row = [_csr(blocks[k, i], np.size(out), x.size) for i, x in enumerate(traced.inputs)]
            rows.append(tree_of(traced, row, single))
        return unflatten(traced.out_structure, rows)

    return differentiated


def _csr(block: Any, m: int, n: int) -> Any:
    return sparse.csr_array(np.reshape(block, (m, n)))


def _refuse_nested(traced: Run) -> None:
    if traced.nested:
        raise TracingError(
            "a sparse Jacobian is no array of numbers: inside of another derivative, vmap or "
            'compiled function only form="dense" can be asked for.'
        )


FORMS["sparse"] = _sparse
