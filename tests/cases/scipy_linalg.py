"""Cases of `ops/scipy_linalg.py`, through the functions of `thalweg.scipy.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases.linalg import _abs2, _cases, _h, _hermitian, _positive
from thalweg.scipy import linalg as sl

_A: Any = ((3, 3),)
_STACK: Any = ((2, 4, 4),)
_TURN = np.array([[1.0, -9.0], [9.0, 1.0]])
_PAIR: Any = ((3, 3), (3, 2))


def _lu_round_trip(a: Any, b: Any, trans: int) -> Any:
    return sl.lu_solve(sl.lu_factor(a), b, trans=trans)


def _eigh(a: Any, b: Any, lower: bool) -> Any:
    w, v = sl.eigh(_hermitian(a), _positive(b), lower=lower)
    return w, _abs2(v), (v * np.expand_dims(w**2, -2)) @ _h(v)


CASES = [
    *(
        case
        for trans in (0, 1, 2)
        for lower in (False, True)
        for unit in (False, True)
        for case in _cases(
            "solve_triangular",
            f"trans={trans},lower={lower},unit={unit}",
            lambda a, b, t=trans, low=lower, u=unit: sl.solve_triangular(
                a, b, trans=t, lower=low, unit_diagonal=u
            ),
            ((3, 3), (3,)),
            _PAIR,
        )
    ),
    *_cases(
        "solve_triangular",
        "",
        sl.solve_triangular,
        ((1, 1), (1,)),
        ((0, 0), (0, 2)),
        ((3, 3), (3, 0)),
        ((2, 3, 3), (3, 2)),
        ((3, 3), (2, 3, 1)),
        ((0, 3, 3), (3, 2)),
    ),
    *(
        case
        for form in ("gen", "sym", "her", "pos")
        for case in _cases(
            "mirror" if form in ("sym", "her") else "solve",
            f"scipy-solve-{form}",
            lambda a, b, f=form: sl.solve(
                _positive(a) if f != "sym" else a + np.swapaxes(a, -1, -2), b, assume_a=f
            ),
            ((3, 3), (3,)),
            _PAIR,
        )
    ),
    *_cases(
        "solve_triangular",
        "pos-lower-transposed",
        lambda a, b: sl.solve(_positive(a), b, assume_a="pos", lower=True, transposed=True),
        _PAIR,
    ),
    *_cases(
        "mirror",
        "her-lower-transposed",
        lambda a, b: sl.solve(_positive(a), b, assume_a="her", lower=True, transposed=True),
        _PAIR,
    ),
    *_cases(
        "solve_triangular",
        "assume-lower",
        lambda a, b: sl.solve(a, b, assume_a="lower triangular", transposed=True),
        _PAIR,
    ),
    *_cases("divide", "assume-diagonal", lambda a, b: sl.solve(a, b, assume_a="diagonal"), _PAIR),
    *_cases(
        "solve_triangular",
        "cho-upper",
        lambda a, b: sl.cho_solve(sl.cho_factor(_positive(a)), b),
        ((3, 3), (3,)),
        _PAIR,
    ),
    *_cases(
        "solve_triangular",
        "cho-lower",
        lambda a, b: sl.cho_solve(sl.cho_factor(_positive(a), lower=True), b),
        _PAIR,
    ),
    *_cases("cholesky", "scipy", lambda a: sl.cholesky(_positive(a)), _A),
    *_cases(
        "lu_factor",
        "",
        lambda a: sl.lu_factor(a[..., ::-1, :])[0],
        _A,
        _STACK,
        ((1, 1),),
        ((4, 2),),
        ((2, 4),),
        ((0, 0),),
        ((0, 3, 3),),
    ),
    *_cases("permutation", "lu", lambda a: sl.lu(a[::-1])[1:], _A, ((4, 2),), ((2, 4),), ((1, 1),)),
    *_cases("permutation", "lu-permuted", lambda a: sl.lu(a[::-1], permute_l=True), ((4, 2),)),
    *(
        case
        for trans in (0, 1, 2)
        for case in _cases(
            "permutation",
            f"lu_solve-{trans}",
            lambda a, b, t=trans: _lu_round_trip(a[::-1], b, t),
            ((3, 3), (3,)),
            _PAIR,
        )
    ),
    *_cases("expm", "", sl.expm, _A, _STACK, ((1, 1),), ((0, 0),), ((0, 2, 2),)),
    *_cases(
        "expm_frechet", "", lambda a, e: sl.expm_frechet(a, e), ((3, 3), (3, 3)), ((1, 1), (1, 1))
    ),
    *_cases(
        "expm_frechet",
        "alone",
        lambda a, e: sl.expm_frechet(a, e, compute_expm=False),
        ((2, 3, 3), (3, 3)),
    ),
    *_cases("expm", "cosm", sl.cosm, _A),
    *_cases("expm", "sinm", sl.sinm, _A),
    *_cases("expm", "coshm", sl.coshm, _A),
    *_cases("expm", "sinhm", sl.sinhm, _A),
    *_cases("logm", "", lambda a: sl.logm(_positive(a)), _A, _STACK, ((1, 1),)),
    *_cases("sqrtm", "", lambda a: sl.sqrtm(_positive(a)), _A, _STACK, ((1, 1),), ((0, 0),)),
    *_cases(
        "sylvester",
        "",
        sl.solve_sylvester,
        ((3, 3), (2, 2), (3, 2)),
        ((1, 1), (1, 1), (1, 1)),
        ((2, 2, 2), (2, 2), (2, 2)),
        ((0, 0), (2, 2), (0, 2)),
    ),
    # SciPy's own answer is wrong for a real matrix (with complex eigenvalues) beside a complex one.
    *_cases(
        "sylvester",
        "complex-beside-real",
        lambda a, b, q: sl.solve_sylvester(_TURN * a, b, q + 1j * q**2),
        ((2, 2), (2, 2), (2, 2)),
    ),
    *_cases(
        "sylvester",
        "lyapunov-complex-beside-real",
        lambda a, q: sl.solve_continuous_lyapunov(_TURN * a, q + 1j * q**2),
        ((2, 2), (2, 2)),
    ),
    *_cases("sylvester", "lyapunov", sl.solve_continuous_lyapunov, ((3, 3), (3, 3))),
    *_cases("unitary_factor", "", lambda a: sl.polar(a), _A, ((4, 2),), _STACK),
    *_cases("unitary_factor", "left", lambda a: sl.polar(a, "left"), _A, ((2, 4),)),
    *_cases("eigh", "generalised-lower", lambda a, b: _eigh(a, b, True), ((3, 3), (3, 3))),
    *_cases("eigh", "generalised-upper", lambda a, b: _eigh(a, b, False), ((3, 3), (3, 3))),
    *_cases(
        "eigvalsh",
        "generalised",
        lambda a, b: sl.eigvalsh(_hermitian(a), _positive(b)),
        ((3, 3), (3, 3)),
    ),
    *_cases("eigvals", "scipy", sl.eigvals, _A),
    *_cases("qr", "scipy-economic", lambda a: sl.qr(a, mode="economic"), ((4, 2),)),
    *_cases("qr_r", "scipy", lambda a: sl.qr(a, mode="r"), ((4, 2),), ((2, 4),)),
    *_cases("svdvals", "scipy", sl.svdvals, ((4, 2),)),
    *_cases("pinv", "scipy", sl.pinv, ((4, 2),)),
    *_cases("norm", "scipy", sl.norm, _A),
    *_cases("getitem", "toeplitz", sl.toeplitz, ((3,),), ((1,),)),
    *_cases("getitem", "toeplitz-row", lambda c, r: sl.toeplitz(c, r), ((3,), (4,))),
    *_cases("concatenate", "block_diag", sl.block_diag, ((2, 3), (1, 1), (2,)), ((0, 2), (2, 2))),
]
