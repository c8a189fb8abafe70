"""Cases of `ops/contract.py`: products of vectors, matrices and stacks of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases.case import Case

_MATMUL = (
    ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((3, 4), (4, 2)), ((0, 4), (4, 2)),
    ((3, 0), (0, 2)), ((5, 3, 4), (4, 2)), ((3, 4), (5, 4, 2)), ((5, 3, 4), (5, 4, 2)),
    ((5, 1, 3, 4), (2, 4, 2)), ((1, 3, 4), (5, 4, 2)), ((5, 3, 4), (4,)), ((4,), (5, 4, 2)),
    ((0, 3, 4), (4, 2)), ((1, 1), (1, 1)),
)  # fmt: skip
_DOT = (
    ((), ()), ((), (3,)), ((2, 3), ()), ((4,), (4,)), ((0,), (0,)), ((3, 4), (4,)), ((4,), (4, 2)),
    ((3, 4), (4, 2)), ((5, 3, 4), (4, 2)), ((5, 3, 4), (4,)), ((4,), (5, 4, 2)),
    ((3, 4), (5, 4, 2)), ((2, 3, 4), (5, 4, 2)), ((3, 0), (0, 2)),
)  # fmt: skip
_INNER = (
    ((4,), (4,)),
    ((3, 4), (2, 4)),
    ((2, 3, 4), (5, 4)),
    ((4,), (2, 3, 4)),
    ((), (3,)),
    ((), (3, 4)),
)
_TENSORDOT: tuple[tuple[Any, tuple[int, ...], tuple[int, ...]], ...] = (
    (2, (2, 3, 4), (3, 4, 5)),
    (1, (2, 3), (3, 4)),
    (0, (2, 3), (4,)),
    ((0, 1), (3, 2), (4, 3)),
    (([0, 2], [1, 0]), (3, 2, 4), (4, 3, 5)),
    (([-1], [0]), (3, 2), (2, 3)),
    (1, (2, 0), (0, 4)),
    (2, (2, 3), (2, 3)),
)


def _many(op: str, call: Any, shapes: Any, label: str = "") -> list[Case]:
    return [
        Case(op, call, pair, complex=True,
             label=f"{label or op}-{pair}".replace(" ", ""))
        for pair in shapes
    ]  # fmt: skip


CASES = [
    *_many("matmul", lambda a, b: a @ b, _MATMUL),
    *_many("dot", np.dot, _DOT),
    *_many("dot", np.inner, _INNER, "inner"),
    *_many("vecdot", np.vdot, (((4,), (4,)), ((2, 3), (6,)), ((), ()), ((0,), (0,))), "vdot"),
    *_many("multiply", np.outer, (((3,), (4,)), ((2, 2), (3,)), ((), (3,)), ((0,), (2,))), "outer"),
    *_many("multiply", np.linalg.outer, (((3,), (4,)),), "linalg-outer"),
    *_many("multiply", np.kron, (((3,), (4,)), ((2, 3), (3, 2)), ((2,), (3, 2)), ((), (3,)),
                                 ((2, 2, 2), (3,)), ((0, 2), (2, 2))), "kron"),
    *[
        Case("dot", lambda a, b, axes=axes: np.tensordot(a, b, axes), (a, b), complex=True,
             label=f"tensordot-{axes}-{a}-{b}".replace(" ", ""))
        for axes, a, b in _TENSORDOT
    ],
    *_many("matmul", np.linalg.matmul, (((2, 3, 4), (4, 2)),), "linalg-matmul"),
    *_many("dot", lambda a, b: np.linalg.tensordot(a, b, axes=1), (((2, 3), (3, 4)),), "linalg-t"),
    Case("vecdot", lambda a, b: np.vecdot(a, b, axis=0), ((3, 2), (3, 2)), complex=True,
         label="axis"),
    Case("vecdot", lambda a, b: np.linalg.vecdot(a, b, axis=0), ((3, 2), (3, 2)), complex=True),
    *_many("vecdot", np.vecdot, (((4,), (4,)), ((3, 4), (4,)), ((2, 1, 4), (3, 4)),
                                      ((3, 0), (0,)))),
    Case("matmul", lambda a: a @ a.T, ((3, 4),), label="gram"),
    Case("matmul", lambda a: a @ [1.0, 2.0], ((3, 2),), label="list"),
    Case("matmul", lambda a: np.eye(3)[:2] @ a, ((3, 2),), label="constant"),
    *[
        Case("dot", lambda *m: np.linalg.multi_dot(m), shapes,
             label=f"multi-dot-{shapes}".replace(" ", ""))
        for shapes in (
            ((2, 3), (3, 4)),
            ((2, 3), (3, 4), (4, 2)),
            ((3,), (3, 4), (4, 2)),
            ((3,), (3, 4), (4, 2), (2,)),
            ((10, 1), (1, 10), (10, 1), (1, 10)),
        )
    ],
]  # fmt: skip
if hasattr(np, "matvec"):
    CASES += _many("matvec", np.matvec, (((3, 4), (4,)), ((2, 3, 4), (4,)), ((3, 4), (5, 4))))
    CASES += _many("vecmat", np.vecmat, (((3,), (3, 4)), ((3,), (2, 3, 4)), ((5, 3), (3, 4))))
