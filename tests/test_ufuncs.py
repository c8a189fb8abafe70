"""Every ufunc of NumPy has a rule or a reason; SciPy's are found when they are first met."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.special as sp

import thalweg as tw
from thalweg.graph.primitive import PRIMITIVES, UFUNCS
from thalweg.scipy import special as ts

#: ufuncs that no floating array can enter, with the reason.
WITHOUT_RULE = {"isnat": "takes dates and time differences only"}

#: SciPy's ufuncs that have a rule: the others are refused by name.
SPECIAL = {name for name in ts.__all__ if isinstance(getattr(sp, name, None), np.ufunc)}


def test_every_ufunc_has_a_rule_or_a_reason():
    ufuncs = {name: f for name in dir(np) if isinstance(f := getattr(np, name), np.ufunc)}
    assert len(ufuncs) >= 100
    missing = {name for name, f in ufuncs.items() if f not in UFUNCS}
    assert missing == set(WITHOUT_RULE)


@pytest.mark.parametrize("name", sorted(SPECIAL))
def test_scipys_ufuncs_are_handed_on(name):
    assert getattr(ts, name) is getattr(sp, name)
    assert getattr(sp, name) in UFUNCS


def test_every_function_of_scipy_special_with_a_rule_is_exported():
    for name in dir(sp):
        f = getattr(sp, name)
        if isinstance(f, np.ufunc) and f in UFUNCS:
            assert name in ts.__all__, name


def test_scipy_is_loaded_when_it_is_met():
    code = (
        "import sys, numpy as np, thalweg as tw\n"
        "tw.grad(lambda x: np.log(1 / (1 + np.exp(-x))))(0.5)\n"
        "assert not any(m.split('.')[0] == 'scipy' for m in sys.modules)\n"
        "from scipy.special import expit\n"
        "assert tw.grad(expit)(0.0) == 0.25\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_ufunc_is_named():
    with pytest.raises(tw.errors.NoRuleError, match="airye"):
        tw.grad(lambda x: sp.airye(x)[0])(1.0)


@pytest.mark.parametrize(
    ("f", "named"),
    [
        (lambda v: sp.jv(v, 2.0), "jv .* its order"),
        (lambda a: sp.gammainc(a, 2.0), "gammainc .* its shape parameters"),
        (lambda a: sp.betainc(a, 2.0, 0.5), "betainc .* its shape parameters"),
        (lambda s: ts.zeta(s, 2.0), "zeta .* its exponent"),
    ],
)
def test_a_parameter_without_a_rule_is_refused(f, named):
    with pytest.raises(tw.errors.NoRuleError, match=named):
        tw.grad(f)(1.5)
    with pytest.raises(tw.errors.NoRuleError, match=named):
        tw.jvp(f, (1.5,), (1.0,))


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_functions_give_scipys_values(axis):
    x = np.random.default_rng(0).normal(0, 5, (3, 4))
    b = np.random.default_rng(1).normal(0, 1, (3, 4))
    for name in ("softmax", "log_softmax", "logsumexp"):
        mine, theirs = getattr(ts, name)(x, axis=axis), getattr(sp, name)(x, axis=axis)
        np.testing.assert_allclose(mine, theirs, rtol=1e-13)
        assert np.shape(mine) == np.shape(theirs)
        assert getattr(ts, name)(x.astype(np.float32), axis=axis).dtype == np.float32
    for keepdims in (False, True):
        mine = ts.logsumexp(x, axis=axis, b=b, keepdims=keepdims, return_sign=True)
        theirs = sp.logsumexp(x, axis=axis, b=b, keepdims=keepdims, return_sign=True)
        for m, t in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(m, t, rtol=1e-12)
    np.testing.assert_allclose(ts.polygamma(2, x**2), sp.polygamma(2, x**2))
    np.testing.assert_allclose(ts.multigammaln(7.5, 3), sp.multigammaln(7.5, 3))
    np.testing.assert_allclose(ts.softplus(x), np.logaddexp(0, x))


def test_zeta_is_continued_below_one():
    s = np.array([0.5, -1.5, 2.5])
    np.testing.assert_array_equal(ts.zeta(s), sp.zeta(s))
    np.testing.assert_array_equal(tw.vjp(ts.zeta, s)[0], sp.zeta(s))


def test_logsumexp_of_two_dtypes():
    x, b = np.linspace(-2, 2, 5, dtype=np.float32), np.linspace(0.5, 1, 5)
    wanted = np.log(np.sum(b * np.exp(x.astype(float))))  # older SciPy loses half of the digits
    np.testing.assert_allclose(ts.logsumexp(x, b=b), wanted, rtol=1e-15)


def test_logsumexp_and_softmax_at_infinities():
    inf = np.inf
    for row, total, shares in (
        ([0.0, -inf], 0.0, [1, 0]),
        ([inf, 0.0], inf, [1, 0]),
        ([inf, inf], inf, [0.5, 0.5]),
        ([-inf, -inf], -inf, [0.5, 0.5]),
        ([1e300, -1e300], 1e300, [1, 0]),
    ):
        x = np.array(row)
        assert ts.logsumexp(x) == total
        np.testing.assert_array_equal(ts.softmax(x), shares)
        np.testing.assert_array_equal(tw.grad(ts.logsumexp)(x), shares)
        assert np.isfinite(tw.hvp(ts.logsumexp, (x,), (np.ones(2),))).all()
    assert ts.logsumexp(np.array([])) == -inf
    assert ts.logsumexp(np.array([-inf, 3.0]), b=np.array([1.0, 0.0])) == -inf
    assert np.isnan(ts.logsumexp(np.array([0.0, np.nan])))


def test_logsumexp_in_a_weight_of_zero():
    a, b = np.array([0.0, 1.0, 2000.0]), np.array([1.0, 0.0, 0.0])
    by_weight = tw.grad(lambda b: ts.logsumexp(a[:2], b=b[:2]))(b)
    np.testing.assert_allclose(by_weight, [1, np.e, 0], rtol=1e-15)
    np.testing.assert_array_equal(tw.grad(lambda a: ts.logsumexp(a, b=b))(a), [1, 0, 0])


def test_round_keywords_and_names():
    x = np.array([1.26, -3.74])
    out, _ = tw.vjp(lambda x: np.round(x, decimals=1), x)
    np.testing.assert_array_equal(out, np.round(x, decimals=1))
    assert PRIMITIVES["round"].labels.gate == "round"


def test_real_if_close_is_of_the_values_only_where_they_are_real():
    assert tw.grad(lambda x: np.real_if_close(x) * 2)(1.5) == 2
    with pytest.raises(tw.errors.NoRuleError, match=r"np\.real\(a\)"):
        tw.grad(lambda x: np.real(np.real_if_close(x * 1j)))(1.5)


def test_exprel_far_out():
    with np.errstate(all="ignore"):
        assert tw.grad(sp.exprel)(-1e200) == 0.0
        assert tw.grad(sp.exprel)(1e200) == np.inf


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, False, 0j, np.float32(0)])
def test_division_by_a_number_that_is_zero_is_numpys(zero):
    x, t = np.array([1.0, -2.0]), np.array([1.0, 3.0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(tw.vjp(lambda x: x / zero, x)[0], x / zero)
        _, tangent = tw.jvp(lambda x: x / zero, (x,), (t,))
        gradient = tw.grad(lambda x: np.sum(np.real(x / zero)))(x)
    if type(zero) is complex:
        assert np.all(np.isnan([tangent, gradient]))
    else:
        infinite = np.copysign(np.inf, zero)
        np.testing.assert_array_equal(tangent, [infinite, infinite])
        np.testing.assert_array_equal(gradient, [infinite, infinite])


@pytest.mark.parametrize(
    ("f", "leading", "factor"),
    [
        (sp.erfcx, -1 / np.sqrt(np.pi), 2.0),  # f′ → c x^−p, the second column c, the third p
        (sp.dawsn, -0.5, 2.0),
        (sp.i0e, -0.5 / np.sqrt(2 * np.pi), 1.5),
        (sp.i1e, -0.5 / np.sqrt(2 * np.pi), 1.5),
        (sp.k0e, -0.5 * np.sqrt(np.pi / 2), 1.5),
        (sp.k1e, -0.5 * np.sqrt(np.pi / 2), 1.5),
    ],
)
def test_slopes_far_out(f, leading, factor):
    for x in (1e9, 1e60):
        np.testing.assert_allclose(tw.grad(f)(x), leading * x**-factor, rtol=1e-8)
        second = -factor * leading * x ** (-factor - 1)
        np.testing.assert_allclose(tw.hvp(f, (x,), (1.0,)), second, rtol=1e-8)
    for x in (1e200, np.inf):
        assert abs(tw.grad(f)(x)) < 1e-250
        assert tw.hvp(f, (x,), (1.0,)) == 0
    if f not in (sp.erfcx, sp.k0e, sp.k1e):
        assert abs(tw.grad(f)(-1e9)) == abs(tw.grad(f)(1e9))
    # The two formulas meet.
    for border in (25.0, 3000.0):
        low, high = (tw.grad(f)(border * (1 + s * 1e-13)) for s in (-1, 1))
        np.testing.assert_allclose(low, high, rtol=1e-8)


def test_inverse_of_boxcox_in_its_parameter_far_out():
    slope = tw.grad(lambda lam, y: sp.inv_boxcox(y, lam))
    exact = -np.cbrt(3e200) * (np.log(3e200) - 1) / 9
    np.testing.assert_allclose(slope(3.0, 1e200), exact, rtol=1e-12)
    np.testing.assert_allclose(slope(1e-9, 2.0), -2 * np.exp(2), rtol=1e-8)


def test_log_ndtr_curves_where_it_is_flat():
    slope, curvature = tw.grad(sp.log_ndtr), tw.grad(tw.grad(sp.log_ndtr))
    np.testing.assert_allclose(slope(30.0), np.exp(-450) / np.sqrt(2 * np.pi), rtol=1e-12)
    np.testing.assert_allclose(curvature(30.0), -30 * slope(30.0), rtol=1e-12)
    np.testing.assert_allclose(curvature(-750.0), -1 + 750.0**-2, rtol=1e-9)
    with np.errstate(all="ignore"):
        for x in (40.0, 700.0, 1e160):
            assert slope(x) == 0
            assert curvature(x) == 0


def test_sinc_of_large_arguments_is_even():
    slope = tw.grad(np.sinc)
    for x in (1e8, 1e16, 1e160):
        assert slope(x) == -slope(-x)
        np.testing.assert_allclose(slope(x), (np.cos(np.pi * x) - np.sinc(x)) / x, rtol=1e-12)


@pytest.mark.parametrize("x", [1e-310, -5e-324])
def test_slopes_at_subnormal_numbers(x):
    with np.errstate(all="ignore"):
        assert tw.grad(sp.i1)(x) == 0.5
        assert tw.grad(tw.grad(sp.i0))(x) == tw.grad(tw.grad(np.i0))(x) == 0.5
        assert tw.grad(sp.i1e)(x) == 0.5


def test_incomplete_gamma_is_flat_at_infinity():
    for f in (sp.gammainc, sp.gammaincc):
        assert tw.grad(lambda x, f=f: f(2.5, x))(np.inf) == 0
        assert tw.grad(tw.grad(lambda x, f=f: f(2.5, x)))(np.inf) == 0


@pytest.mark.parametrize("point", [(1.0, np.inf), (np.inf, 1.0), (-np.inf, np.inf), (0.0, -np.inf)])
def test_angles_at_infinity_are_flat(point):
    assert tw.grad(np.arctan2, (0, 1))(*point) == (0, 0)
    assert tw.jvp(np.arctan2, point, (1.0, 1.0))[1] == 0


def test_an_axis_is_for_functions_of_one_axis():
    """NumPy refuses it too: it would be any of three."""
    with pytest.raises(tw.errors.NoRuleError, match="axis"):
        tw.grad(lambda x: np.sum(np.matmul(x, x, axis=0)))(np.ones((2, 2)))
