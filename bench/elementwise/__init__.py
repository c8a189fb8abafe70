"""E1–E6: value and gradient of three elementwise functions, in cache (float32) and in memory.

E1  Σ 1 / (1 + exp(−x)): the naive sigmoid
E2  Σ of Black and Scholes's price of a European call, and its derivative by the spot price
E3  Σ tanh(x) · log1p(exp(x))

on (100, 4096) float32; E4, E5, E6 are the same with ten million float64. Everybody spells the same
formula; the normal distribution function is Φ(d) = ½ (1 + erf(d / √2)) for all.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf

from bench.workload import Workload

__all__ = ["GROWTH", "RATE", "SIGMA", "STRIKE", "WORKLOADS", "YEARS", "Problem", "reference"]

STRIKE, YEARS, RATE, SIGMA = 100.0, 1.0, 0.05, 0.2


@dataclass(frozen=True)
class Problem:
    """Which function, and where."""

    function: str  # "sigmoid", "black_scholes" or "tanh_softplus"
    x: Any


def _problem(function: str, shape: tuple[int, ...], dtype: str) -> Problem:
    rng = np.random.default_rng(0)
    if function == "black_scholes":
        return Problem(function, rng.uniform(60.0, 160.0, shape).astype(dtype))
    return Problem(function, rng.normal(0.0, 2.0, shape).astype(dtype))


def _sigmoid(x: Any) -> tuple[Any, Any]:
    s = 1 / (1 + np.exp(-x))
    return s, s * (1 - s)


def _black_scholes(x: Any) -> tuple[Any, Any]:
    """With d₁, d₂ as usual, ∂C/∂S = Φ(d₁): the terms through d₁ and d₂ cancel."""
    deviation = SIGMA * YEARS**0.5
    d1 = (np.log(x / STRIKE) + (RATE + SIGMA**2 / 2) * YEARS) / deviation
    d2 = d1 - deviation
    delta, inner = (0.5 * (1 + erf(d / 2**0.5)) for d in (d1, d2))
    return x * delta - STRIKE * np.exp(-RATE * YEARS) * inner, delta


def _tanh_softplus(x: Any) -> tuple[Any, Any]:
    t, p = np.tanh(x), np.log1p(np.exp(x))
    return t * p, (1 - t * t) * p + t / (1 + np.exp(-x))


def reference(problem: Problem) -> list[Any]:
    """Value and gradient in float64."""
    x = problem.x.astype(np.float64)
    functions = {
        "sigmoid": _sigmoid,
        "black_scholes": _black_scholes,
        "tanh_softplus": _tanh_softplus,
    }
    values, gradient = functions[problem.function](x)
    return [np.sum(values), gradient]


_CONTENDERS = {
    "thalweg": "bench.elementwise.with_thalweg:compiled",
    "thalweg, eager": "bench.elementwise.with_thalweg:eager",
    "NumPy by hand": "bench.elementwise.with_numpy:plain",
    "NumPy by hand, blocked": "bench.elementwise.with_numpy:blocked",
    "C, fused, output reused": "bench.elementwise.with_c:fused",
    "torch": "bench.elementwise.with_torch:eager",
    "torch.compile": "bench.elementwise.with_torch:compiled",
    "jax": "bench.elementwise.with_jax:jit",
    "autograd": "bench.elementwise.with_autograd:eager",
}
_TITLES = {
    "sigmoid": "value and gradient of Σ 1/(1+exp(−x))",
    "black_scholes": "Σ Black-Scholes call and d/dS",
    "tanh_softplus": "value and gradient of Σ tanh(x)·log1p(exp(x))",
}
_IN_CACHE = ("level with fused C or ahead; 2.5 × ahead of jax", "≤ 1.2 × C", "≤ 1.2 × C")


def _workload(name: str, function: str, shape: tuple[int, ...], dtype: str, bar: str) -> Workload:
    single = dtype == "float32"
    return Workload(
        name=name,
        title=f"{_TITLES[function]}, {' × '.join(f'{n:,}' for n in shape)} {dtype}",
        group="elementwise",
        problem=functools.partial(_problem, function, shape, dtype),
        contenders=_CONTENDERS,
        reference=reference,
        tolerance=1e-6 if single else 1e-14,
        bar=bar,
        scale=1e6 if single else 1e3,
        unit="µs" if single else "ms",
    )


WORKLOADS = [
    *(
        _workload(f"E{i}", function, (100, 4096), "float32", bar)
        for i, (function, bar) in enumerate(zip(_TITLES, _IN_CACHE, strict=True), 1)
    ),
    *(
        _workload(f"E{i}", function, (10_000_000,), "float64", "≤ 1.3 × C with a reused output")
        for i, function in enumerate(_TITLES, 4)
    ),
]

_SIZES = [int(10 ** (k / 2)) for k in range(4, 15)]  # 10² … 10⁷
GROWTH = [
    Workload(
        name=f"growth-elements-{n}",
        title=f"value and gradient of Σ tanh(x)·log1p(exp(x)), {n:,} float64",
        group="growth",
        problem=functools.partial(_problem, "tanh_softplus", (n,), "float64"),
        contenders={
            name: _CONTENDERS[name] for name in ("thalweg", "NumPy by hand", "torch", "jax")
        },
        reference=reference,
        tolerance=1e-14,
        growth=("elementwise: numbers", n),
    )
    for n in _SIZES
]
