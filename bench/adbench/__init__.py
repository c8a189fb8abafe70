"""A1: ADBench's Gaussian mixture model: the gradient of its log-likelihood, n = 1000 points.

With Q_k = tril(L_k, −1) + diag(exp q_k), the data x_i, the weights α and the means μ:

  −n d/2 · log 2π + Σ_i logsumexp_k( α_k + Σ q_k − ½ ‖Q_k (x_i − μ_k)‖² ) − n · logsumexp(α) + W
  W = Σ_k ( ½ γ² (‖exp q_k‖² + ‖L_k‖²) − m Σ q_k ) − K · C

and C the constant of Wishart's prior. ``icf`` holds a component's q (d numbers) and then the
strictly lower triangle of L, column by column.

``THALWEG_ADBENCH`` names the folder with the public benchmark's files (``gmm_1k_d10_K25.txt``,
its ``…_value.txt`` and ``…_gradient.txt``): then everybody is held against those values. Without
it the data are random, of the same form, and the reference is the gradient derived by hand.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import gammaln, logsumexp, softmax

from bench.workload import Workload

__all__ = ["WORKLOADS", "Mixture", "by_hand", "constant", "placement"]

_FOLDER = "THALWEG_ADBENCH"
_POINTS = 1000


@dataclass(frozen=True)
class Mixture:
    """The point at which the gradient is taken, the data, and the prior."""

    name: str
    alphas: Any  # (K,)
    means: Any  # (K, d)
    icf: Any  # (K, d (d + 1) / 2)
    x: Any  # (n, d)
    gamma: float
    m: int


def _read(path: Path) -> Mixture:
    lines = path.read_text(encoding="utf-8").split("\n")
    d, K, n = map(int, lines[0].split())

    def rows(start: int, count: int) -> Any:
        return np.array([line.split() for line in lines[start : start + count]], np.float64)

    gamma, m = lines[1 + 3 * K + n].split()
    return Mixture(
        path.stem,
        rows(1, K)[:, 0],
        rows(1 + K, K),
        rows(1 + 2 * K, K),
        rows(1 + 3 * K, n).reshape(n, d),
        float(gamma),
        int(m),
    )


def _problem(d: int, K: int) -> Mixture:
    name = f"gmm_1k_d{d}_K{K}"
    folder = os.environ.get(_FOLDER)
    if folder:
        return _read(Path(folder) / f"{name}.txt")
    rng = np.random.default_rng(0)
    return Mixture(
        name,
        rng.normal(size=K),
        rng.uniform(size=(K, d)),
        rng.normal(size=(K, d * (d + 1) // 2)),
        rng.normal(size=(_POINTS, d)),
        1.0,
        0,
    )


def placement(d: int) -> Any:
    """(d, d): where an entry of Q stands in [exp q, lower triangle by columns, 0]."""
    found = np.full((d, d), d * (d + 1) // 2)
    found[np.arange(d), np.arange(d)] = np.arange(d)
    columns, rows = np.triu_indices(d, 1)  # column by column of the lower triangle
    found[rows, columns] = d + np.arange(len(rows))
    return found


def constant(problem: Mixture) -> float:
    """What does not depend on the parameters: −n d/2 · log 2π − K · C."""
    (n, d), K = problem.x.shape, len(problem.alphas)
    freedom = d + problem.m + 1
    log_gamma = d * (d - 1) / 4 * np.log(np.pi) + np.sum(gammaln((freedom - np.arange(d)) / 2))
    c = freedom * d * (np.log(problem.gamma) - 0.5 * np.log(2)) - log_gamma
    return float(-n * d / 2 * np.log(2 * np.pi) - K * c)


def by_hand(problem: Mixture) -> list[Any]:
    """Value and gradient over (α, means, icf), derived by hand, components as matrix products.

    With r_ik the responsibilities (softmax over k) and z_ik = Q_k (x_i − μ_k):
    ∂/∂α = Σ_i r_ik − n softmax(α); ∂/∂μ_k = Q_kᵀ Σ_i r_ik z_ik;
    ∂/∂Q_k = −Σ_i r_ik z_ik (x_i − μ_k)ᵀ.
    """
    alphas, means, icf, x = problem.alphas, problem.means, problem.icf, problem.x
    (n, d), K = x.shape, len(alphas)
    q, lower = icf[:, :d], icf[:, d:]
    place = placement(d)
    entries = np.concatenate([np.exp(q), lower, np.zeros((K, 1))], axis=1)
    Q = entries[:, place]
    centred = x - means[:, None, :]
    z = centred @ Q.transpose(0, 2, 1)
    main = alphas + q.sum(axis=1) - 0.5 * np.einsum("kni,kni->nk", z, z)
    top = main.max(axis=1, keepdims=True)
    r = np.exp(main - top)
    total = r.sum(axis=1, keepdims=True)
    value = np.sum(np.log(total) + top) - n * logsumexp(alphas) + constant(problem)
    prior = 0.5 * problem.gamma**2 * np.sum(entries**2) - problem.m * np.sum(q)
    r /= total
    weights = r.sum(axis=0)
    rz = r.T[:, :, None] * z
    by_Q = -(rz.transpose(0, 2, 1) @ centred)
    by_entries = np.zeros_like(entries)
    by_entries[:, place.ravel()] = by_Q.reshape(K, -1)
    by_entries += problem.gamma**2 * entries
    by_icf = by_entries[:, :-1]
    by_icf[:, :d] = by_icf[:, :d] * entries[:, :d] + weights[:, None] - problem.m
    by_means = (rz.sum(axis=1)[:, None, :] @ Q)[:, 0, :]
    return [value + prior, weights - n * softmax(alphas), by_means, by_icf]


def _reference(problem: Mixture) -> list[Any]:
    """The published values where they are given, else those derived by hand."""
    folder = os.environ.get(_FOLDER)
    if not folder:
        return by_hand(problem)
    value = float((Path(folder) / f"{problem.name}_value.txt").read_text(encoding="utf-8"))
    text = (Path(folder) / f"{problem.name}_gradient.txt").read_text(encoding="utf-8")
    flat = np.array(text.split(), np.float64)
    found, start = [value], 0
    for part in (problem.alphas, problem.means, problem.icf):
        found.append(flat[start : start + part.size].reshape(part.shape))
        start += part.size
    return found


# Milliseconds of the hand-written C++ (its Eigen version) on the machine that published them.
_PUBLISHED = {(2, 5): "0.14", (10, 25): "4.98 (3.07)", (32, 25): "19.0 (16.6)"}
WORKLOADS = [
    Workload(
        name=f"A1-d{d}-K{K}",
        title=f"ADBench GMM, d = {d}, K = {K}, 1000 points: gradient",
        group="adbench",
        problem=functools.partial(_problem, d, K),
        contenders={
            "thalweg": "bench.adbench.with_thalweg:compiled",
            "thalweg, eager": "bench.adbench.with_thalweg:eager",
            "NumPy by hand": "bench.adbench.with_numpy:derived",
            "jax": "bench.adbench.with_jax:jit",
            "torch": "bench.adbench.with_torch:eager",
            "autograd": "bench.adbench.with_autograd:eager",
        },
        reference=_reference,
        tolerance=1e-10,
        bar=f"ahead of hand-written C++, published: {published} ms (Eigen in brackets), 1 thread"
        + ("" if os.environ.get(_FOLDER) else f"; {_FOLDER} is not set: random data of this form"),
        scale=1e3,
        unit="ms",
    )
    for (d, K), published in _PUBLISHED.items()
]
