"""Cases of `ops/special.py` and `ops/bessel.py`."""

from __future__ import annotations

import numpy as np
import scipy.special as sp

from tests.cases.arithmetic import SHAPES, spread
from tests.cases.case import Case
from thalweg.ops import special as rules  # noqa: F401 - the rows read the operations' domains
from thalweg.scipy import special as ts

_COMPLEX = {"erf", "erfc", "erfcx", "erfi", "dawsn", "exp1", "expi"}
_UNARY = (
    "erf", "erfc", "erfcx", "erfi", "dawsn", "erfinv", "erfcinv", "ndtr", "log_ndtr", "ndtri",
    "expit", "log_expit", "logit", "exp10", "cosm1", "sindg", "cosdg", "entr", "gamma", "gammaln",
    "loggamma", "rgamma", "psi", "exp1", "expi", "exprel", "j0", "j1", "y0", "y1", "i0", "i1",
    "i0e", "i1e", "k0", "k1", "k0e", "k1e",
)  # fmt: skip
_PAIRS = ((3, 4), (3, 4)), ((3, 4), (4,)), ((), (2, 3)), ((0, 3), (3,))
_BINARY = (
    "owens_t", "xlogy", "xlog1py", "rel_entr", "kl_div", "beta", "betaln", "boxcox", "boxcox1p",
    "inv_boxcox", "inv_boxcox1p", "huber", "pseudo_huber",
)  # fmt: skip
_ORDERS = ("jv", "yv", "iv", "kv", "ive", "kve")


def _with(f, *constants):
    return lambda x: f(*constants, x)


CASES = [
    *(Case(op, getattr(sp, op), (shape,), complex=op in _COMPLEX) for op in _UNARY
      for shape in SHAPES),
    *(Case(op, getattr(sp, op), shapes, complex=op in ("xlogy", "xlog1py")) for op in _BINARY
      for shapes in _PAIRS),
    *(Case(op, _with(getattr(sp, op), v), (shape,), domain=((0.4, 3.0),), label=f"{op}-{v}-{shape}",
           complex=True)
      for op in _ORDERS for v in (0, 1, 2.5) for shape in ((), (3, 4), (0,))),
    *(Case(op, _with(getattr(sp, op), 2), domain=((0.4, 3.0),)) for op in ("yn", "kn")),
    *(Case(op, lambda x, f=f: np.real(f(1, x)), domain=((0.4, 3.0),), label=op)
      for op, f in (("hankel1", sp.hankel1), ("hankel2", sp.hankel2))),
    *(Case(op, _with(getattr(sp, op), *shape), domain=(domain,), label=f"{op}-{shape}", order=2)
      for op, shapes, domain in (
        ("gammainc", ((0.7,), (2.5,)), (0.2, 3.0)), ("gammaincc", ((0.7,), (2.5,)), (0.2, 3.0)),
        ("gammaincinv", ((0.7,), (2.5,)), (0.1, 0.9)),
        ("gammainccinv", ((0.7,), (2.5,)), (0.1, 0.9)),
        ("betainc", ((0.7, 1.5), (2.0, 3.0)), (0.1, 0.9)),
        ("betaincc", ((0.7, 1.5), (2.0, 3.0)), (0.1, 0.9)),
        ("betaincinv", ((0.7, 1.5), (2.0, 3.0)), (0.1, 0.9)),
        ("stdtr", ((1.0,), (4.5,)), (-2.0, 2.0)), ("hyp1f1", ((0.5, 1.5),), (-1.0, 1.0)),
        ("hyp2f1", ((0.5, 1.5, 2.0),), (-0.8, 0.8))) for shape in shapes),
    *(Case("polygamma", _with(ts.polygamma, n), (shape,), domain=((0.4, 3.0),),
           label=f"{n}-{len(shape)}")
      for n in (0, 1, 2) for shape in ((), (3, 4), (0,))),
    *(Case("zeta", _with(ts.zeta, s), domain=((0.4, 3.0),), label=f"{s}") for s in (2, 3.5)),
    *(Case(f"special.{op}", getattr(sp, op), label=op, domain=((0.2, 1.5),))
      for op in ("log1p", "expm1", "exp2", "cbrt")),
    Case("gammasgn", lambda x: x * sp.gammasgn(x)),
    Case("wofz", lambda x: np.real(sp.wofz(x)), complex=True),
    Case("np.i0", np.i0),
    Case("j1", sp.j1, domain=((-1e-3, 1e-3),), label="j1-zero"),
    Case("i1", sp.i1, domain=((-1e-3, 1e-3),), label="i1-zero"),
    Case("exprel", sp.exprel, domain=((-1e-3, 1e-3),), label="exprel-zero"),
    Case("exprel", sp.exprel, make=spread(-30.0, 5.0), label="exprel-wide"),
    Case("boxcox", sp.boxcox, ((3, 4), (4,)), domain=((0.3, 2.0), (-1e-3, 1e-3)),
         label="log-limit"),
    Case("log_ndtr", sp.log_ndtr, make=spread(-30.0, -5.0), label="tail"),
    Case("huber", _with(sp.huber, 1.0), domain=((-0.9, 0.9),), label="inside"),
    Case("xlogy", lambda x: sp.xlogy(x, 2.0) + sp.xlogy(0.0, x * x), label="at-zero"),
    Case("gammaln", lambda x: ts.multigammaln(x, 3), domain=((1.5, 4.0),), label="multigammaln"),
    *(Case("logsumexp", lambda x, k=k: ts.logsumexp(x, **k), (shape,), label=f"scipy-{k}-{shape}")
      for shape, k in (((3, 4), {}), ((3, 4), {"axis": 0}), ((2, 3, 4), {"axis": (0, 2)}),
                       ((3, 4), {"axis": -1, "keepdims": True}), ((), {}))),
    Case("log", lambda x, b: ts.logsumexp(x, axis=1, b=b), ((3, 4), (3, 4)),
         domain=((-2.0, 2.0), (0.2, 1.0)), label="scipy-weighted"),
    Case("log", lambda x: ts.logsumexp(x, axis=0, b=np.array([[1.0], [-0.3], [0.0]]),
         return_sign=True)[0], label="scipy-signed", domain=((0.0, 0.5),)),
    *(Case(op, lambda x, f=f, k=k: f(x, **k), (shape,), label=f"{op}-{k}-{shape}")
      for op, f in (("softmax", ts.softmax), ("log_softmax", ts.log_softmax))
      for shape, k in (((3, 4), {}), ((3, 4), {"axis": 0}), ((3, 4), {"axis": -1}),
                       ((2, 3, 4), {"axis": (0, 2)}))),
    Case("softplus", ts.softplus, label="scipy"),
]  # fmt: skip
