"""Elementary functions in native code: errors against mpmath, special values against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special as sp

from thalweg.execute.native import jit
from thalweg.execute.native.emit import Emit, Module, V
from thalweg.execute.native.math import FUNCTIONS
from tools import coefficients
from tools.accuracy import BAR, BINARY, CASES, DTYPES, apply, measure, worst_error

pytestmark = pytest.mark.skipif(bool(jit.available()), reason=jit.available() or "native code")

BOTH = pytest.mark.parametrize("kind", ["f32", "f64"])


def _log1p_exp_neg_abs(x):
    return np.log1p(np.exp(-np.abs(x)))


REFERENCES = {
    "exp_neg_abs": lambda x: np.exp(-np.abs(x)),
    # SciPy's expit is 0 where the result is subnormal.
    "sigmoid": lambda x: (
        np.where(x < 0, np.exp(-np.abs(x)), x.dtype.type(1)) / (1 + np.exp(-np.abs(x)))
    ),
    "softplus": lambda x: np.maximum(x, 0) + _log1p_exp_neg_abs(x),
    "log_sigmoid": lambda x: np.minimum(x, 0) - _log1p_exp_neg_abs(x),
    **{name: getattr(sp, name) for name in ("erf", "erfc", "ndtr", "xlogy", "xlog1py")},
}
#: Bit for bit.
EXACT = frozenset(
    "absolute sqrt square reciprocal copysign floor ceil trunc rint isnan isinf isfinite signbit "
    "sign maximum minimum fmax fmin heaviside deg2rad rad2deg fmod remainder floor_divide".split()
)


def reference(name):
    return REFERENCES.get(name) or getattr(np, name)


#: The edges of overflow and underflow of e^x, sinh x and of whole numbers.
EDGES = {
    "f64": "709.782712893384 709.7827128933841 745.1332191019411 745.1332191019412 "
    "708.3964185322641 710.4758600739439 710.475860073944 1e300 9007199254740992 9007199254740991",
    "f32": "88.72283 88.72284 103.97207 103.97208 87.33654 89.415985 89.41599 1e30 "
    "16777216 16777215",
}


def special(kind):
    """Zeros, infinities, NaN, subnormal numbers, edges, and some plain numbers."""
    form = np.finfo(DTYPES[kind])
    tiny, step = float(form.smallest_subnormal), float(form.eps)
    found = [0.0, tiny, 5 * tiny, float(form.tiny), float(form.max), np.inf, np.nan]
    found += [0.5, 1.0, 1.5, 2.0, 3.0, 10.0, 1000.0, 1 + step, 1 - step / 2, 1 / 3]
    found += map(float, EDGES[kind].split())
    return np.array([*found, *[-value for value in found]], DTYPES[kind])


def assert_close(got, wanted, x, ulps):
    """Equal NaN, infinities, zeros and signs; other numbers within some units of the last place."""
    form = np.finfo(got.dtype)
    same = (got == wanted) & (np.signbit(got) == np.signbit(wanted))
    same |= np.isnan(got) & np.isnan(wanted)
    with np.errstate(all="ignore"):
        unit = np.maximum(np.spacing(np.abs(wanted)), form.smallest_subnormal)
        near = np.isfinite(got) & np.isfinite(wanted) & (np.abs(got - wanted) <= ulps * unit)
    near &= np.signbit(got) == np.signbit(wanted)
    bad = ~(same | near)
    shown = [tuple(float(part[i]) for part in (*x, got, wanted)) for i in np.flatnonzero(bad)[:5]]
    assert not bad.any(), f"operands, result, NumPy's: {shown}"


@BOTH
@pytest.mark.parametrize("name", CASES)
def test_error_is_within_the_bar(name, kind):
    assert measure(name, kind, 150) <= BAR[kind]


@BOTH
@pytest.mark.parametrize("lanes", [0, 1])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values_are_numpys(name, kind, lanes):
    values = special(kind)
    operands = [values]
    if name in BINARY:
        operands = [part.ravel() for part in np.meshgrid(values, values)]
    with np.errstate(all="ignore"):
        wanted = reference(name)(*operands)
    got = apply(name, *operands, lanes=lanes)
    if got.dtype == np.bool_:
        np.testing.assert_array_equal(got, wanted)
        return
    # fmax and fmin of zeros of two signs: NumPy's answer depends on the place in the array.
    if name in ("fmax", "fmin"):
        got, wanted = got + 0.0, wanted + 0.0
    if name == "logaddexp":
        loss = np.abs(wanted) < 0.5  # digits are lost here and in NumPy
        got, wanted = got[~loss], wanted[~loss]
        operands = [part[~loss] for part in operands]
    # SciPy's ndtr squares a rounded x/√2.
    ulps = 0 if name in EXACT else 64 if name == "ndtr" else 4
    assert_close(got, wanted, operands, ulps)


@BOTH
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_remainders_are_exact_for_quotients_of_any_size(name, kind):
    rng = np.random.default_rng(3)
    limit = {"f32": 120, "f64": 1000}[kind]
    x, y = (
        (rng.choice([-1, 1], 4000) * np.exp2(rng.uniform(-limit, limit, 4000))).astype(DTYPES[kind])
        for _ in range(2)
    )
    with np.errstate(all="ignore"):
        wanted = reference(name)(x, y)
    np.testing.assert_array_equal(apply(name, x, y), wanted)


@BOTH
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_lanes_and_instructions_do_not_change_a_bit(name, kind, plain):
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, 203).astype(DTYPES[kind])
    operands = [x, x[::-1].copy()][: 1 + (name in BINARY)]
    with np.errstate(all="ignore"):
        once = apply(name, *operands)
        again = apply(name, *operands, lanes=1 if plain else 4, plain=plain)
    np.testing.assert_array_equal(once, again)


@BOTH
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_of_every_size(name, kind):
    rng = np.random.default_rng(1)
    top = {"f32": 127, "f64": 1023}[kind]
    size = np.exp2(rng.uniform(10, top, 300))
    # Multiples of π/2: all digits of the argument cancel. The last has the smallest remainder.
    near = np.arange(1, 200) * 12345.0 * (np.pi / 2)
    worst = [6381956970095103 * 2.0**797] if kind == "f64" else [16367173 * 2.0**72]
    x = np.concatenate([size, -size, near, worst]).astype(DTYPES[kind])
    assert worst_error(name, x) <= BAR[kind]


@BOTH
def test_work_on_the_same_operand_is_shared(kind):
    e = Emit(Module(), 4)
    e.function("sigmoid", V("%x", kind))
    there = len(e.lines)
    e.function("softplus", V("%x", kind))
    more = len(e.lines) - there
    alone = Emit(Module(), 4)
    alone.function("softplus", V("%x", kind))
    assert more < len(alone.lines) - 10
    again = len(e.lines)
    e.function("sigmoid", V("%x", kind))
    assert len(e.lines) == again
    e.raw("next:")
    e.function("sigmoid", V("%x", kind))
    assert len(e.lines) > again + 10


@BOTH
def test_erf_and_its_derivative_share_an_exponential(kind):
    e = Emit(Module(), 4)
    x = V("%x", kind)
    e.function("erf", x)
    there = len(e.lines)
    e.function("exp", e.mul(e.neg(x), x))  # as ∂erf/∂x is spelled
    assert len(e.lines) == there


@pytest.mark.skipif(not coefficients.TARGET.exists(), reason="needs the source tree")
def test_coefficients_are_those_of_the_script():
    assert coefficients.TARGET.read_text(encoding="utf-8") == coefficients.text()
