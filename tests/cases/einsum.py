"""Cases of `ops/einsum.py`: every form of np.einsum."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case

_FORMS = (
    ("i,i", (4,), (4,)), ("i,i->i", (4,), (4,)), ("i,j->ij", (3,), (4,)), ("i,j", (3,), (4,)),
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij,jk->ki", (2, 3), (3, 4)),
    ("ij,kj->ik", (2, 3), (4, 3)), ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("bij,jk->bik", (5, 2, 3), (3, 4)), ("ijk,ijk->", (2, 3, 4), (2, 3, 4)),
    ("ij,ij->ij", (1, 3), (2, 3)), ("ij,ij->j", (1, 3), (2, 1)), ("ij,jk->ik", (2, 1), (3, 4)),
    ("ij,k->i", (2, 3), (4,)), ("...ij,...jk->...ik", (5, 2, 3), (5, 3, 4)),
    ("...ij,...jk", (5, 2, 3), (3, 4)), ("...ij,...jk->...ik", (2, 1, 2, 3), (5, 3, 4)),
    ("i...,i...->...", (3, 2, 4), (3, 4)), ("...,...", (3,), (2, 3)), ("...,...->...", (), (2, 3)),
    ("ij...,jk...->ik...", (2, 3, 5), (3, 4, 5)), ("ii", (3, 3)), ("ii->i", (3, 3)),
    ("ij->ji", (2, 3)), ("ji", (2, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)), ("ij->i", (2, 3)),
    ("ij", (2, 3)), ("...ii->...i", (2, 3, 3)), ("...ii", (2, 3, 3)), ("iij->j", (3, 3, 2)),
    ("iji->ij", (2, 3, 2)), ("iii->i", (3, 3, 3)), ("iijj->ij", (2, 2, 3, 3)), ("i->", (0,)),
    ("ii,i->i", (3, 3), (3,)), ("ij,jj->i", (2, 3), (3, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("i,ij,j->", (2,), (2, 3), (3,)), ("ij,j,j->i", (2, 3), (3,), (3,)), (",ij->ij", (), (2, 3)),
    ("i,->i", (3,), ()), ("ij,jk->ik", (2, 0), (0, 4)), ("ij,jk->ik", (0, 3), (3, 4)),
    (" i j , j k -> i k ", (2, 3), (3, 4)), ("...->...", (2, 3)), ("i...->...", (2, 3)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
)  # fmt: skip
CASES = [
    Case(
        "einsum_diagonal" if subscripts in ("ii->i", "iii->i") else "einsum",
        lambda *x, s=subscripts: np.einsum(s, *x),
        tuple(shapes),
        complex=True,
        label=f"{subscripts}-{shapes}".replace(" ", ""),
    )
    for subscripts, *shapes in ((f[0], *f[1:]) for f in _FORMS)
] + [
    Case("einsum", lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), ((2, 3), (3, 4)),
         label="sublists"),
    Case("einsum", lambda x, y: np.einsum(x, [0, 1], y, [1, 2]), ((2, 3), (3, 4)),
         label="sublists-implicit"),
    Case("einsum", lambda x, y: np.einsum(x, [..., 0], y, [..., 0], [...]), ((2, 3), (3,)),
         label="sublists-ellipsis"),
    *[
        Case("einsum", lambda x, y, z, o=optimize: np.einsum("ij,jk,kl->il", x, y, z, optimize=o),
             ((2, 3), (3, 4), (4, 5)), label=f"optimize-{optimize}")
        for optimize in (True, False, "greedy", "optimal", ["einsum_path", (0, 1), (0, 1)])
    ],
    Case("einsum", lambda x, y: np.einsum("ij,jk", x, y, dtype=complex, order="F"),
         ((2, 3), (3, 4)), label="dtype-order"),
    Case("einsum", lambda x: np.einsum("ij,jk->ik", x, x), ((3, 3),), label="twice"),
    Case("einsum", lambda x: np.einsum("ij,jk->ik", x, np.eye(3)), ((3, 3),), label="constant"),
    Case("einsum", lambda x: np.einsum("ij,j->i", x, [1.0, 2.0, 3.0]), ((3, 3),), label="list"),
]  # fmt: skip
