"""SciPy's special functions. SciPy is imported here: the module is loaded at the first use."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import scipy.special as sp

from thalweg.graph.primitive import Primitive
from thalweg.ops import _lower_special as native
from thalweg.ops import bessel  # noqa: F401 - registers its rules with ours
from thalweg.ops._families import elementwise, interval, piecewise_constant
from thalweg.ops._lower_arithmetic import alias, through_double
from thalweg.ops._parameters import no_derivative
from thalweg.ops._reasons import SPECIAL

__all__ = ["POLYGAMMA", "ZETA"]

POSITIVE = interval(0.2, np.inf, name="positive")
UNIT = interval(0.0, 1.0, name="(0, 1)")
SHAPES = interval(0.3, 2.0, (0.2, np.inf), name="shape, positive")
TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
ROOT_TWO_PI = math.sqrt(2 * math.pi)

_by_scipy = functools.partial(elementwise, lower=SPECIAL)

# ---- error functions ----------------------------------------------------------------------

ERF = elementwise(
    "erf", sp.erf, (lambda out, x: TWO_OVER_ROOT_PI * np.exp(-x * x),),
    tex=r"\operatorname{{erf}}({0})",
)  # fmt: skip
ERFC = elementwise(
    "erfc", sp.erfc, (lambda out, x: -TWO_OVER_ROOT_PI * np.exp(-x * x),),
    tex=r"\operatorname{{erfc}}({0})",
)  # fmt: skip


def _tail(x: Any, sign: int) -> Any:
    """x⁻² Σₙ (2n+1)!!/2ⁿ (sign/x²)ⁿ: erfcx′ · −√π (sign −1) and dawsn′ · −2 (sign 1) far out."""
    inverse = 1 / x
    u = inverse * inverse
    total: Any = 1.0
    for n in range(8, 0, -1):
        total = 1 + sign * (n + 0.5) * u * total
    return u * total


def _far(x: Any) -> Any:
    """Where the tail is exact to rounding and the closed form 2x f(x) − const cancels."""
    return np.greater(x, 25.0)


def _erfcx_slope(out: Any, x: Any) -> Any:
    slope = 2 * x * out - TWO_OVER_ROOT_PI
    if np.iscomplexobj(x):
        return slope
    far = _far(x)
    return np.where(far, -0.5 * TWO_OVER_ROOT_PI * _tail(np.where(far, x, 25.0), -1), slope)


def _dawsn_slope(out: Any, x: Any) -> Any:
    slope = 1 - 2 * x * out
    if np.iscomplexobj(x):
        return slope
    far = _far(np.abs(x))
    return np.where(far, -0.5 * _tail(np.where(far, x, 25.0), 1), slope)


ERFCX = _by_scipy("erfcx", sp.erfcx, (_erfcx_slope,), tex=r"\operatorname{{erfcx}}({0})")
ERFI = _by_scipy(
    "erfi", sp.erfi, (lambda out, x: TWO_OVER_ROOT_PI * np.exp(x * x),),
    tex=r"\operatorname{{erfi}}({0})",
)  # fmt: skip
DAWSN = _by_scipy("dawsn", sp.dawsn, (_dawsn_slope,), tex="D({0})")
WOFZ = _by_scipy(
    "wofz", sp.wofz, (lambda out, z: 1j * TWO_OVER_ROOT_PI - 2 * z * out,), tex="w({0})"
)
ERFINV = _by_scipy(
    "erfinv", sp.erfinv, (lambda out, y: np.exp(out * out) / TWO_OVER_ROOT_PI,),
    tex=r"\operatorname{{erf}}^{{-1}}({0})", domain=interval(-1.0, 1.0),
)  # fmt: skip
ERFCINV = _by_scipy(
    "erfcinv", sp.erfcinv, (lambda out, y: np.exp(out * out) / -TWO_OVER_ROOT_PI,),
    tex=r"\operatorname{{erfc}}^{{-1}}({0})", domain=interval(0.0, 2.0),
)  # fmt: skip
NDTR = elementwise(
    "ndtr",
    sp.ndtr,
    (lambda out, x: np.exp(-0.5 * x * x) / ROOT_TWO_PI,),
    tex=r"\Phi({0})",
)


def _log_ndtr_slope(out: Any, x: Any) -> Any:
    # φ(x)/Φ(x): below 0 not as a quotient of two vanishing numbers; above, erfcx would overflow.
    low = np.less(np.real(x), 0)
    below = math.sqrt(2 / math.pi) / ERFCX(np.where(low, x, 0.0) * -math.sqrt(0.5))
    return np.where(low, below, np.exp(-0.5 * x * x - out) / ROOT_TWO_PI)


LOG_NDTR = _by_scipy("log_ndtr", sp.log_ndtr, (_log_ndtr_slope,), tex=r"\log \Phi({0})")
NDTRI = _by_scipy(
    "ndtri", sp.ndtri, (lambda out, p: ROOT_TWO_PI * np.exp(0.5 * out * out),),
    tex=r"\Phi^{{-1}}({0})", domain=UNIT,
)  # fmt: skip
OWENS_T = _by_scipy(
    "owens_t",
    sp.owens_t,
    (
        lambda out, h, a: np.exp(-0.5 * h * h) * ERF(a * h * math.sqrt(0.5)) / (-2 * ROOT_TWO_PI),
        lambda out, h, a: np.exp(-0.5 * h * h * (1 + a * a)) / (2 * np.pi * (1 + a * a)),
    ),
    tex="T({0}, {1})",
)

# ---- logistic, logarithms, entropies ------------------------------------------------------

EXPIT: Primitive = elementwise(
    "expit",
    sp.expit,
    (lambda out, x: out * EXPIT(-x),),
    gate="sigmoid",
    tex=r"\sigma({0})",
    lower=alias("sigmoid"),
)
LOG_EXPIT = elementwise(
    "log_expit",
    sp.log_expit,
    (lambda out, x: EXPIT(-x),),
    tex=r"\log \sigma({0})",
    lower=alias("log_sigmoid"),
)
LOGIT = elementwise(
    "logit", sp.logit, (lambda out, x: 1 / (x * (1 - x)),), tex=r"\operatorname{{logit}}({0})",
    domain=UNIT,
    lower=through_double(native.logit),
)  # fmt: skip
LOG1P = elementwise(
    "special.log1p", sp.log1p, (lambda out, x: 1 / (1 + x),), gate="log1p", tex=r"\log(1 + {0})",
    domain=interval(-1.0, np.inf),
    lower=alias("log1p"),
)  # fmt: skip
EXPM1 = elementwise(
    "special.expm1",
    sp.expm1,
    (lambda out, x: np.exp(x),),
    gate="expm1",
    tex="e^{{{0}}} - 1",
    lower=alias("expm1"),
)
EXP2 = elementwise(
    "special.exp2",
    sp.exp2,
    (lambda out, x: np.log(2.0) * out,),
    gate="exp2",
    tex="2^{{{0}}}",
    lower=alias("exp2"),
)
EXP10 = _by_scipy("exp10", sp.exp10, (lambda out, x: np.log(10.0) * out,), tex="10^{{{0}}}")
CBRT = elementwise(
    "special.cbrt", sp.cbrt, (lambda out, x: 1 / (3 * out * out),), gate="cbrt",
    tex=r"\sqrt[3]{{{0}}}", domain=POSITIVE,
    lower=alias("cbrt"),
)  # fmt: skip
COSM1 = elementwise(
    "cosm1",
    sp.cosm1,
    (lambda out, x: -np.sin(x),),
    tex=r"\cos {0} - 1",
    lower=through_double(native.cosine_less_1),
)
SINDG: Primitive = _by_scipy(
    "sindg",
    sp.sindg,
    (lambda out, x: np.pi / 180 * COSDG(x),),
    tex=r"\sin {0}^\circ",
)
COSDG: Primitive = _by_scipy(
    "cosdg", sp.cosdg, (lambda out, x: -np.pi / 180 * SINDG(x),), tex=r"\cos {0}^\circ"
)
XLOGY = elementwise(
    "xlogy",
    sp.xlogy,
    # At x = 0 the function is 0 for every y: so is ∂/∂y, also at y = 0.
    (lambda out, x, y: np.log(y), lambda out, x, y: safe_quotient(x, y)),
    tex=r"{0} \log {1}",
    domain=POSITIVE,
)
XLOG1PY = elementwise(
    "xlog1py",
    sp.xlog1py,
    (lambda out, x, y: np.log1p(y), lambda out, x, y: safe_quotient(x, 1 + y)),
    tex=r"{0} \log(1 + {1})",
    domain=interval(-2.0, 2.0, (-0.9, np.inf)),
)


def safe_quotient(x: Any, y: Any) -> Any:
    """x / y, and 0 for 0 / 0."""
    nothing = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(nothing, 0.0, x / np.where(nothing, 1.0, y))


ENTR = elementwise(
    "entr",
    sp.entr,
    (lambda out, x: -np.log(x) - 1,),
    tex=r"-{0} \log {0}",
    domain=POSITIVE,
    lower=through_double(native.entropy),
)
REL_ENTR = elementwise(
    "rel_entr",
    sp.rel_entr,
    (lambda out, x, y: np.log(x / y) + 1, lambda out, x, y: -safe_quotient(x, y)),
    tex=r"{0} \log \frac{{{0}}}{{{1}}}",
    domain=POSITIVE,
    lower=through_double(native.relative_entropy),
)
KL_DIV = elementwise(
    "kl_div",
    sp.kl_div,
    (lambda out, x, y: np.log(x / y), lambda out, x, y: 1 - safe_quotient(x, y)),
    tex=r"\operatorname{{kl}}({0}, {1})",
    domain=POSITIVE,
    lower=through_double(native.kl_divergence),
)

# ---- gamma and its relatives --------------------------------------------------------------


def _polygamma_value(n: Any, x: Any) -> Any:
    return sp.polygamma(n, x)[()]


def _polygamma_next(out: Any, n: Any, x: Any) -> Any:
    return POLYGAMMA(n + 1, x)


GAMMA: Primitive = _by_scipy(
    "gamma", sp.gamma, (lambda out, x: out * PSI(x),), tex=r"\Gamma({0})", domain=POSITIVE
)
GAMMALN: Primitive = _by_scipy(
    "gammaln", sp.gammaln, (lambda out, x: PSI(x),), tex=r"\log \Gamma({0})", domain=POSITIVE
)
LOGGAMMA: Primitive = _by_scipy(
    "loggamma", sp.loggamma, (lambda out, x: PSI(x),), tex=r"\log \Gamma({0})", domain=POSITIVE
)
RGAMMA: Primitive = _by_scipy(
    "rgamma", sp.rgamma, (lambda out, x: -out * PSI(x),), tex=r"1 / \Gamma({0})", domain=POSITIVE
)
GAMMASGN = piecewise_constant(
    "gammasgn",
    sp.gammasgn,
    1,
    tex=r"\operatorname{{sign}} \Gamma({0})",
    domain=POSITIVE,
    lower=SPECIAL,
)
PSI: Primitive = _by_scipy(
    "psi", sp.psi, (lambda out, x: POLYGAMMA(1, x),), tex=r"\psi({0})", domain=POSITIVE
)
POLYGAMMA: Primitive = _by_scipy(
    "polygamma",
    _polygamma_value,
    (no_derivative("polygamma", "its order"), _polygamma_next),
    tex=r"\psi^{{({0})}}({1})",
    domain=SHAPES,
)
ZETA: Primitive = _by_scipy(
    "zeta",
    # SciPy continues ζ(s) to s < 1, but not ζ(s, q).
    lambda s, q: (sp.zeta(s) if type(q) is float and q == 1.0 else sp.zeta(s, q))[()],
    (no_derivative("zeta", "its exponent"), lambda out, s, q: -s * ZETA(s + 1, q)),
    tex=r"\zeta({0}, {1})",
    domain=interval(1.5, 3.0, (0.3, np.inf)),
)
BETA = _by_scipy(
    "beta",
    sp.beta,
    (
        lambda out, a, b: out * (PSI(a) - PSI(a + b)),
        lambda out, a, b: out * (PSI(b) - PSI(a + b)),
    ),
    tex=r"B({0}, {1})",
    domain=POSITIVE,
)
BETALN = _by_scipy(
    "betaln",
    sp.betaln,
    (lambda out, a, b: PSI(a) - PSI(a + b), lambda out, a, b: PSI(b) - PSI(a + b)),
    tex=r"\log B({0}, {1})",
    domain=POSITIVE,
)


def _gamma_density(a: Any, x: Any) -> Any:
    """x^(a−1) e^−x / Γ(a), 0 at infinity."""
    end = np.isposinf(x)
    near = np.where(end, 1.0, x)
    return np.where(end, 0.0, np.exp(XLOGY(a - 1, near) - near - GAMMALN(a)))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    """x^(a−1) (1−x)^(b−1) / B(a, b)."""
    return np.exp(XLOGY(a - 1, x) + XLOG1PY(b - 1, -x) - BETALN(a, b))


def _distribution(name: str, ufunc: np.ufunc, partial: Any, shapes: int, domain: Any) -> None:
    """A distribution function (or its inverse): a rule in the last operand only."""
    refusals = (no_derivative(name, "its shape parameters"),) * shapes
    _by_scipy(
        name, ufunc, (*refusals, partial), tex=rf"\operatorname{{{{{name}}}}}({{args}})",
        domain=domain,
    )  # fmt: skip


_PROBABILITY = interval(0.4, 2.0, (0.0, 1.0))
_BETA_SHAPES = interval(0.4, 2.0, (0.4, 2.0), (0.0, 1.0))
_distribution("gammainc", sp.gammainc, lambda out, a, x: _gamma_density(a, x), 1, SHAPES)
_distribution("gammaincc", sp.gammaincc, lambda out, a, x: -_gamma_density(a, x), 1, SHAPES)
_distribution(
    "gammaincinv", sp.gammaincinv, lambda out, a, p: 1 / _gamma_density(a, out), 1, _PROBABILITY
)
_distribution(
    "gammainccinv", sp.gammainccinv, lambda out, a, p: -1 / _gamma_density(a, out), 1, _PROBABILITY
)
_distribution("betainc", sp.betainc, lambda out, a, b, x: _beta_density(a, b, x), 2, _BETA_SHAPES)
_distribution(
    "betaincc", sp.betaincc, lambda out, a, b, x: -_beta_density(a, b, x), 2, _BETA_SHAPES
)
_distribution(
    "betaincinv", sp.betaincinv, lambda out, a, b, p: 1 / _beta_density(a, b, out), 2, _BETA_SHAPES
)


def _student_density(out: Any, df: Any, t: Any) -> Any:
    return np.exp(-0.5 * (df + 1) * np.log1p(t * t / df) - BETALN(0.5 * df, 0.5)) / np.sqrt(df)


_distribution("stdtr", sp.stdtr, _student_density, 1, interval(0.5, 4.0, (-np.inf, np.inf)))

# ---- exponential integrals, hypergeometric functions --------------------------------------

EXP1 = _by_scipy(
    "exp1", sp.exp1, (lambda out, x: -np.exp(-x) / x,), tex="E_1({0})", domain=POSITIVE
)
EXPI = _by_scipy(
    "expi", sp.expi, (lambda out, x: np.exp(x) / x,), tex=r"\operatorname{{Ei}}({0})",
    domain=POSITIVE,
)  # fmt: skip
HYP1F1: Primitive = _by_scipy(
    "hyp1f1",
    sp.hyp1f1,
    (
        no_derivative("hyp1f1", "its parameters"),
        no_derivative("hyp1f1", "its parameters"),
        lambda out, a, b, x: a / b * HYP1F1(a + 1, b + 1, x),
    ),
    tex="{{}}_1F_1({args})",
    domain=interval(0.5, 2.0, (0.5, 2.0), (-1.0, 1.0)),
)
HYP2F1: Primitive = _by_scipy(
    "hyp2f1",
    sp.hyp2f1,
    (
        *(no_derivative("hyp2f1", "its parameters"),) * 3,
        lambda out, a, b, c, x: a * b / c * HYP2F1(a + 1, b + 1, c + 1, x),
    ),
    tex="{{}}_2F_1({args})",
    domain=interval(0.5, 2.0, (0.5, 2.0), (0.5, 2.0), (-0.8, 0.8)),
)


def _exprel_slope(out: Any, x: Any) -> Any:
    """d/dx (e^x − 1)/x = out (1 − 1/x) + 1/x; nearer to 0, ∫₀¹ t e^(xt) dt = ₁F₁(2; 3; x)/2."""
    near = np.less(np.abs(x), 1.0)
    series = 0.5 * HYP1F1(2, 3, np.where(near, x, 0.0))
    inverse = 1 / np.where(near, 1.0, x)
    return np.where(near, series, out * (1 - inverse) + inverse)


EXPREL: Primitive = elementwise(
    "exprel",
    sp.exprel,
    (_exprel_slope,),
    tex=r"\frac{{e^{0} - 1}}{{{0}}}",
    lower=through_double(native.relative_exponential),
)


def _boxcox_lambda(log_x: Any, lam: Any) -> Any:
    # boxcox = log x · exprel(λ log x): differentiable at λ = 0 too.
    y = lam * log_x
    return log_x * log_x * _exprel_slope(EXPREL(y), y)


def _inv_boxcox_lambda(y: Any, lam: Any) -> Any:
    # d/dλ log(1 + λy)/λ = y/(λ(1 + λy)) − log(1 + λy)/λ²; nearer to 0 without the difference:
    # −y² ∫₀¹ t/(1 + λyt)² dt = −y²/2 · ₂F₁(2, 2; 3; −λy).
    u = lam * y
    near = np.less(np.abs(u), 0.5)
    series = -0.5 * y * y * HYP2F1(2, 2, 3, np.where(near, -u, 0.0))
    inverse, apart = 1 / np.where(near, 1.0, lam), np.where(near, 1.0, u)
    return np.where(near, series, (y / (1 + apart) - np.log1p(apart) * inverse) * inverse)


_BOXCOX = interval(0.3, np.inf, (-1.0, 1.0))
_BOXCOX1P = interval(-0.6, 2.0, (-1.0, 1.0))
BOXCOX = _by_scipy(
    "boxcox",
    sp.boxcox,
    (
        lambda out, x, lam: x ** (lam - 1),
        lambda out, x, lam: _boxcox_lambda(np.log(x), lam),
    ),
    tex=r"\operatorname{{boxcox}}({0}, {1})",
    domain=_BOXCOX,
)
BOXCOX1P = _by_scipy(
    "boxcox1p",
    sp.boxcox1p,
    (
        lambda out, x, lam: (1 + x) ** (lam - 1),
        lambda out, x, lam: _boxcox_lambda(np.log1p(x), lam),
    ),
    tex=r"\operatorname{{boxcox1p}}({0}, {1})",
    domain=_BOXCOX1P,
)
INV_BOXCOX = _by_scipy(
    "inv_boxcox",
    sp.inv_boxcox,
    (
        lambda out, y, lam: out ** (1 - lam),
        lambda out, y, lam: out * _inv_boxcox_lambda(y, lam),
    ),
    tex=r"\operatorname{{boxcox}}^{{-1}}({0}, {1})",
    domain=interval(-0.8, 0.8),
)
INV_BOXCOX1P = _by_scipy(
    "inv_boxcox1p",
    sp.inv_boxcox1p,
    (
        lambda out, y, lam: (1 + out) ** (1 - lam),
        lambda out, y, lam: (1 + out) * _inv_boxcox_lambda(y, lam),
    ),
    tex=r"\operatorname{{boxcox1p}}^{{-1}}({0}, {1})",
    domain=interval(-0.8, 0.8),
)

# ---- losses -------------------------------------------------------------------------------

HUBER = elementwise(
    "huber",
    sp.huber,
    (
        lambda out, delta, r: np.maximum(np.abs(r) - delta, 0.0),
        lambda out, delta, r: np.where(np.abs(r) <= delta, r, delta * np.sign(r)),
    ),
    tex=r"\operatorname{{huber}}_{{{0}}}({1})",
    domain=interval(0.5, 1.0, (1.2, np.inf)),
    lower=through_double(native.huber),
)


def _stretch(delta: Any, r: Any) -> Any:
    return np.sqrt(1 + (r / delta) ** 2)


PSEUDO_HUBER = elementwise(
    "pseudo_huber",
    sp.pseudo_huber,
    (
        lambda out, delta, r: 2 * out / delta - r * r / (delta * _stretch(delta, r)),
        lambda out, delta, r: r / _stretch(delta, r),
    ),
    tex=r"\operatorname{{pseudohuber}}_{{{0}}}({1})",
    domain=interval(0.3, np.inf, (-np.inf, np.inf)),
    lower=through_double(native.pseudo_huber),
)
