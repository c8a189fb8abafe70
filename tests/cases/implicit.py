"""Cases of `api_implicit.py`: solutions of equations that are plain NumPy to compute."""

from __future__ import annotations

import numpy as np

import thalweg as tw
from tests.cases.case import Case


def _cube_root(a):
    return np.cbrt(a) if np.isrealobj(a) else a ** (1 / 3)


_root = tw.implicit(_cube_root, lambda x, a: x**3 - a)


def _well(rng):
    return rng.standard_normal((3, 3)) + 4 * np.eye(3), rng.standard_normal(3)


_system = tw.implicit(
    lambda p: {"x": np.linalg.solve(p["a"], p["b"])}, lambda x, p: {"x": p["a"] @ x["x"] - p["b"]}
)

CASES = [
    Case("implicit", _root, ((),), domain=((0.5, 2.0),), complex=True),
    Case("implicit", _root, ((2, 2),), domain=((0.5, 2.0),)),
    Case("implicit", _root, ((0,),)),
    Case(
        "implicit",
        lambda a, b: _system({"a": a, "b": b})["x"],
        ((3, 3), (3,)),
        make=_well,
        complex=True,
        label="system",
    ),
    Case(
        "implicit_solve",
        lambda a, b: tw.vjp(lambda b: _system({"a": a, "b": b})["x"], b)[1](b)[0],
        ((3, 3), (3,)),
        make=_well,
    ),
    Case(
        "implicit_solve",
        lambda a, b: tw.jvp(lambda a: _system({"a": a, "b": b})["x"], (a,), (a + 1,))[1],
        ((3, 3), (3,)),
        make=_well,
        label="forward",
    ),
]
