"""Bessel functions of SciPy: derivatives by the recurrences between neighbouring orders.

They hold at every argument, 0 included, where the forms with 1/x do not. An order `v` is taken
as constant: the derivative with respect to it has no closed form.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.special as sp

from thalweg.graph.kinds import Wirtinger
from thalweg.graph.primitive import Primitive, implements
from thalweg.ops._families import elementwise, interval
from thalweg.ops._parameters import no_derivative
from thalweg.ops._reasons import SPECIAL

__all__: list[str] = []

POSITIVE = interval(0.3, np.inf, name="positive")
ORDER = interval(0.5, 2.0, (0.5, np.inf), name="order, positive")
_by_scipy = functools.partial(elementwise, lower=SPECIAL)


def _decay(x: Any) -> Any:
    """d|Re x|/dx as the scaled functions e^−|Re x| I(x) have it."""
    return np.sign(np.real(x))


def _normal(x: Any) -> Any:
    """x, with 0 for subnormal numbers: SciPy's I of other orders than 0 and 1 is NaN there."""
    return np.where(np.less(np.abs(x), np.finfo(np.float64).tiny), 0.0, x)


_FAR = 3e3


def _slope_far_out(out: Any, x: Any, series: tuple[float, ...]) -> Any:
    """out · (−1/2x + series₂/x² + …): the derivative of e^−|x| I(x), e^x K(x) by expansion at ∞."""
    inverse = 1 / np.where(np.greater(np.abs(x), _FAR), np.abs(x), _FAR)
    total: Any = 0.0
    for coefficient in series[::-1]:
        total = (total + coefficient) * inverse
    return _decay(x) * out * total


def _scaled_slope(series: tuple[float, ...], near: Any) -> Any:
    """The derivative of i0e, …, k1e: `near` cancels far out, and its neighbours overflow there."""

    def slope(out: Any, x: Any) -> Any:
        far = np.greater(np.abs(x), _FAR)
        close = near(out, np.where(far, 1.0, x))
        return np.where(far, _slope_far_out(out, x, series), close)

    return slope


# ---- order 0 and 1 ------------------------------------------------------------------------

J0: Primitive = _by_scipy("j0", sp.j0, (lambda out, x: -J1(x),), tex="J_0({0})")
J1: Primitive = _by_scipy("j1", sp.j1, (lambda out, x: 0.5 * (J0(x) - JV(2, x)),), tex="J_1({0})")
Y0: Primitive = _by_scipy("y0", sp.y0, (lambda out, x: -Y1(x),), tex="Y_0({0})", domain=POSITIVE)
Y1: Primitive = _by_scipy(
    "y1", sp.y1, (lambda out, x: 0.5 * (Y0(x) - YV(2, x)),), tex="Y_1({0})", domain=POSITIVE
)
I0: Primitive = _by_scipy("i0", sp.i0, (lambda out, x: I1(x),), tex="I_0({0})")
I1: Primitive = _by_scipy(
    "i1", sp.i1, (lambda out, x: 0.5 * (I0(x) + IV(2, _normal(x))),), tex="I_1({0})"
)
I0E: Primitive = _by_scipy(
    "i0e",
    sp.i0e,
    (_scaled_slope((-1 / 2, -1 / 8, -1 / 8, -25 / 128), lambda out, x: I1E(x) - _decay(x) * out),),
    tex="e^{{-|{0}|}} I_0({0})",
    domain=POSITIVE,
)
I1E: Primitive = _by_scipy(
    "i1e",
    sp.i1e,
    (
        _scaled_slope(
            (-1 / 2, 3 / 8, 3 / 8, 63 / 128),
            lambda out, x: 0.5 * (I0E(x) + IVE(2, _normal(x))) - _decay(x) * out,
        ),
    ),
    tex="e^{{-|{0}|}} I_1({0})",
    domain=POSITIVE,
)
K0: Primitive = _by_scipy("k0", sp.k0, (lambda out, x: -K1(x),), tex="K_0({0})", domain=POSITIVE)
K1: Primitive = _by_scipy(
    "k1", sp.k1, (lambda out, x: -0.5 * (K0(x) + KV(2, x)),), tex="K_1({0})", domain=POSITIVE
)
K0E: Primitive = _by_scipy(
    "k0e",
    sp.k0e,
    (_scaled_slope((-1 / 2, 1 / 8, -1 / 8, 25 / 128), lambda out, x: out - K1E(x)),),
    tex="e^{0} K_0({0})",
    domain=POSITIVE,
)
K1E: Primitive = _by_scipy(
    "k1e",
    sp.k1e,
    (
        _scaled_slope(
            (-1 / 2, -3 / 8, 3 / 8, -63 / 128), lambda out, x: out - 0.5 * (K0E(x) + KVE(2, x))
        ),
    ),
    tex="e^{0} K_1({0})",
    domain=POSITIVE,
)

# ---- any order ----------------------------------------------------------------------------


def _of_order(name: str, ufunc: np.ufunc, partial: Any, tex: str) -> Primitive:
    """A Bessel function of order v (a constant) and argument x."""
    order = no_derivative(name, "its order")
    return _by_scipy(name, ufunc, (order, partial), tex=tex, domain=ORDER)


JV: Primitive = _of_order(
    "jv", sp.jv, lambda out, v, x: 0.5 * (JV(v - 1, x) - JV(v + 1, x)), "J_{0}({1})"
)
YV: Primitive = _of_order(
    "yv", sp.yv, lambda out, v, x: 0.5 * (YV(v - 1, x) - YV(v + 1, x)), "Y_{0}({1})"
)
IV: Primitive = _of_order(
    "iv", sp.iv, lambda out, v, x: 0.5 * (IV(v - 1, x) + IV(v + 1, x)), "I_{0}({1})"
)
KV: Primitive = _of_order(
    "kv", sp.kv, lambda out, v, x: -0.5 * (KV(v - 1, x) + KV(v + 1, x)), "K_{0}({1})"
)


def _ive_partial(out: Any, v: Any, x: Any) -> Any:
    neighbours = 0.5 * (IVE(v - 1, x) + IVE(v + 1, x))
    lost = _decay(x) * out
    if np.iscomplexobj(x):  # the scaling depends on Re x only: Re dx = (dx + conj(dx)) / 2
        return Wirtinger(neighbours - 0.5 * lost, -0.5 * lost)
    return neighbours - lost


IVE: Primitive = _of_order("ive", sp.ive, _ive_partial, "e^{{-|{1}|}} I_{0}({1})")
KVE: Primitive = _of_order(
    "kve",
    sp.kve,
    lambda out, v, x: out - 0.5 * (KVE(v - 1, x) + KVE(v + 1, x)),
    "e^{1} K_{0}({1})",
)
YN: Primitive = _by_scipy(
    "yn", sp.yn, (no_derivative("yn", "its order"),
    lambda out, n, x: 0.5 * (YV(n - 1, x) - YV(n + 1, x))), tex="Y_{0}({1})", domain=ORDER,
)  # fmt: skip
KN: Primitive = _by_scipy(
    "kn", sp.kn, (no_derivative("kn", "its order"),
    lambda out, n, x: -0.5 * (KV(n - 1, x) + KV(n + 1, x))), tex="K_{0}({1})", domain=ORDER,
)  # fmt: skip
HANKEL1: Primitive = _of_order(
    "hankel1",
    sp.hankel1,
    lambda out, v, z: 0.5 * (HANKEL1(v - 1, z) - HANKEL1(v + 1, z)),
    "H^{{(1)}}_{0}({1})",
)
HANKEL2: Primitive = _of_order(
    "hankel2",
    sp.hankel2,
    lambda out, v, z: 0.5 * (HANKEL2(v - 1, z) - HANKEL2(v + 1, z)),
    "H^{{(2)}}_{0}({1})",
)

NUMPY_I0: Primitive = _by_scipy(
    "np.i0", lambda x: np.i0(x)[()], (lambda out, x: I1(x),), gate="i0", tex="I_0({0})"
)


@implements(np.i0)
def i0(x: Any) -> Any:
    return NUMPY_I0(x)
