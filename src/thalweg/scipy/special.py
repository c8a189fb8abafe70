"""`scipy.special` for plain and traced arrays: SciPy's names and signatures.

SciPy's ufuncs (``scipy.special.erf``, …) accept traced arrays as they are and are handed on here.
Its functions that are not ufuncs turn their arguments into arrays first; they are written anew.

Examples
--------
>>> import numpy as np, thalweg as tw
>>> from thalweg.scipy.special import logsumexp
>>> tw.grad(logsumexp)(np.array([0.0, 0.0]))
array([0.5, 0.5])
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as _sp
from scipy.special import (
    beta,
    betainc,
    betaincc,
    betaincinv,
    betaln,
    boxcox,
    boxcox1p,
    cbrt,
    cosdg,
    cosm1,
    dawsn,
    digamma,
    entr,
    erf,
    erfc,
    erfcinv,
    erfcx,
    erfi,
    erfinv,
    exp1,
    exp2,
    exp10,
    expi,
    expit,
    expm1,
    exprel,
    gamma,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
    gammaln,
    gammasgn,
    hankel1,
    hankel2,
    huber,
    hyp1f1,
    hyp2f1,
    i0,
    i0e,
    i1,
    i1e,
    inv_boxcox,
    inv_boxcox1p,
    iv,
    ive,
    j0,
    j1,
    jn,
    jv,
    k0,
    k0e,
    k1,
    k1e,
    kl_div,
    kn,
    kv,
    kve,
    log1p,
    log_expit,
    log_ndtr,
    loggamma,
    logit,
    ndtr,
    ndtri,
    owens_t,
    pseudo_huber,
    psi,
    rel_entr,
    rgamma,
    sindg,
    stdtr,
    wofz,
    xlog1py,
    xlogy,
    y0,
    y1,
    yn,
    yv,
)

from thalweg.array import unwrap, wrap
from thalweg.errors import NoRuleError
from thalweg.ops.index import as_array
from thalweg.ops.normalise import (
    LOG_SOFTMAX,
    LOGSUMEXP,
    SOFTMAX,
    SOFTPLUS,
    weighted_exponentials,
)
from thalweg.ops.reduce import normalise_axes
from thalweg.ops.shape import astype
from thalweg.ops.special import POLYGAMMA, ZETA

__all__ = [
    "beta",
    "betainc",
    "betaincc",
    "betaincinv",
    "betaln",
    "boxcox",
    "boxcox1p",
    "cbrt",
    "cosdg",
    "cosm1",
    "dawsn",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfi",
    "erfinv",
    "exp1",
    "exp2",
    "exp10",
    "expi",
    "expit",
    "expm1",
    "exprel",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammainccinv",
    "gammaincinv",
    "gammaln",
    "gammasgn",
    "hankel1",
    "hankel2",
    "huber",
    "hyp1f1",
    "hyp2f1",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "inv_boxcox",
    "inv_boxcox1p",
    "iv",
    "ive",
    "j0",
    "j1",
    "jn",
    "jv",
    "k0",
    "k0e",
    "k1",
    "k1e",
    "kl_div",
    "kn",
    "kv",
    "kve",
    "log1p",
    "log_expit",
    "log_ndtr",
    "log_softmax",
    "loggamma",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "owens_t",
    "polygamma",
    "pseudo_huber",
    "psi",
    "rel_entr",
    "rgamma",
    "sindg",
    "softmax",
    "softplus",
    "stdtr",
    "wofz",
    "xlog1py",
    "xlogy",
    "y0",
    "y1",
    "yn",
    "yv",
    "zeta",
]


def _on_nodes(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of nodes and values as one of handles and values."""

    @functools.wraps(function)
    def act(*args: Any, **kwargs: Any) -> Any:
        return wrap(function(*unwrap(args), **unwrap(kwargs)))

    return act


def _floating(x: Any) -> Any:
    """An operand as SciPy takes it: integers become float64."""
    x = as_array(x)
    return x if x.dtype.kind in "fc" else astype(x, np.float64)


@_on_nodes
def softmax(x: Any, axis: Any = None) -> Any:
    """As `scipy.special.softmax`; where all entries are −inf, they share equally."""
    x = _floating(x)
    return SOFTMAX(x, axes=normalise_axes(axis, x.ndim))


@_on_nodes
def log_softmax(x: Any, axis: Any = None) -> Any:
    """As `scipy.special.log_softmax`; where all entries are −inf, they share equally."""
    x = _floating(x)
    return LOG_SOFTMAX(x, axes=normalise_axes(axis, x.ndim))


@_on_nodes
def softplus(x: Any, **kwargs: Any) -> Any:
    """log(1 + eˣ) without overflow, as `scipy.special.softplus`; keywords have no rule."""
    if kwargs:
        raise NoRuleError(f"softplus: keywords {sorted(kwargs)} have no rule")
    return SOFTPLUS(_floating(x))


@_on_nodes
def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """As `scipy.special.logsumexp`: log Σ b·eᵃ along `axis`, differentiable in `a` and `b`.

    With ``return_sign=True`` the result is ``(log |Σ b·eᵃ|, sign)``.

    Raises
    ------
    NoRuleError
        For complex `a` together with `b` or `return_sign`.
    """
    a = _floating(a)
    if b is None and not return_sign:
        return LOGSUMEXP(a, axes=normalise_axes(axis, a.ndim), keepdims=bool(keepdims))
    b = np.ones((), a.dtype) if b is None else _floating(b)
    if a.dtype.kind == "c" or b.dtype.kind == "c":
        raise NoRuleError("logsumexp: b and return_sign have a rule for real arrays only")
    a = astype(a, np.result_type(a.dtype, b.dtype))
    shape = np.broadcast_shapes(a.shape, b.shape)
    axes = normalise_axes(axis, len(shape))
    total, top = weighted_exponentials(b, a, axes)
    sign = np.sign(total)
    with np.errstate(divide="ignore"):  # the sum is 0: −∞ is meant
        out = np.log(np.abs(total)) + top
    if not keepdims:
        kept = tuple(n for i, n in enumerate(shape) if i not in axes)
        out, sign = np.reshape(out, kept), np.reshape(sign, kept)
    if return_sign:
        return out, sign
    return np.where(np.less(sign, 0), np.nan, out)


@_on_nodes
def polygamma(n: Any, x: Any) -> Any:
    """As `scipy.special.polygamma`; `n` is a constant."""
    return POLYGAMMA(n, x)


@_on_nodes
def zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    """As `scipy.special.zeta` with real arguments: differentiable in `q`."""
    if out is not None:
        raise NoRuleError("zeta: no rule for out=")
    return ZETA(x, 1.0 if q is None else q)


@_on_nodes
def multigammaln(a: Any, d: int) -> Any:
    """As `scipy.special.multigammaln`: log of the multivariate gamma function of dimension `d`."""
    if np.ndim(d) != 0 or d != math.floor(d):
        raise ValueError("d should be a positive integer (dimension)")
    halves = sum(_sp.gammaln(a - 0.5 * j) for j in range(int(d)))
    return halves + d * (d - 1) * 0.25 * math.log(math.pi)
