"""`scipy.integrate` fed with derivatives: SciPy's signature, arguments and results.

Examples
--------
>>> import numpy as np
>>> from thalweg.scipy import integrate
>>> def robertson(t, y):
...     a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
...     return [b - a, a - b - c, c]
>>> found = integrate.solve_ivp(robertson, (0, 1e4), [1.0, 0.0, 0.0], method="Radau", rtol=1e-8)
>>> bool(found.success), bool(abs(found.y[:, -1].sum() - 1) < 1e-9)
(True, True)
"""

from __future__ import annotations

from typing import Any

import scipy.integrate

from thalweg.scipy._derivatives import Matrix, compiled, like, vector

__all__ = ["solve_ivp"]


@like(scipy.integrate.solve_ivp)
def solve_ivp(given: dict[str, Any]) -> None:
    """Solve an initial value problem, as `scipy.integrate.solve_ivp`, with an exact Jacobian.

    Radau and BDF get ∂fun/∂y, sparse where it has few non-zeros; LSODA a dense one; for these
    methods `fun` is compiled. Explicit methods use no Jacobian: the call is SciPy's.
    """
    method = given.get("method", "RK45")
    name = getattr(method, "__name__", method)  # what is no method SciPy says
    if name not in ("Radau", "BDF", "LSODA"):
        return
    options = given.setdefault("options", {})
    fun = vector(given["fun"])
    banded = options.get("lband") is not None or options.get("uband") is not None
    if options.get("jac") is None and options.get("jac_sparsity") is None and not banded:
        options["jac"] = Matrix(fun, argnum=1, sparse=name != "LSODA")
    given["fun"] = compiled(fun)
