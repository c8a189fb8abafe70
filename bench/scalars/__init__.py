"""S1, S2: graphs of scalars.

S1  the gradient of (x + y) · z, called with Python floats
S2  micrograd's moons: a 2-16-16-1 network of ReLU neurons on 100 points, max-margin loss and L2,
    written as loops over scalars: about 10⁵ operations on numbers, nothing on arrays
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.workload import Workload

__all__ = ["POINT", "WIDTHS", "WORKLOADS", "Moons", "moons_loss", "product"]

POINT = (-2.0, 5.0, -4.0)
WIDTHS = (2, 16, 16, 1)
_POINTS = 100
_PENALTY = 1e-4


def product(x: Any, y: Any, z: Any) -> Any:
    """The lecture's first graph."""
    return (x + y) * z


@dataclass(frozen=True)
class Moons:
    """Points, labels of ±1, and all weights: neuron by neuron, its weights and then its bias."""

    x: list[list[float]]
    y: list[float]
    w: Any


def _moons() -> Moons:
    """Two interleaving half circles, as scikit-learn's ``make_moons(100, noise=0.1)``."""
    rng = np.random.default_rng(1337)
    angle = np.linspace(0, np.pi, _POINTS // 2)
    outer = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.concatenate([outer, inner]) + rng.normal(0, 0.1, (_POINTS, 2))
    y = np.repeat([-1.0, 1.0], _POINTS // 2)
    w = [
        np.concatenate([rng.uniform(-1, 1, n), [0.0]])
        for n, m in itertools.pairwise(WIDTHS)
        for _ in range(m)
    ]
    return Moons(x.tolist(), y.tolist(), np.concatenate(w))


def moons_loss(w: Sequence[Any], problem: Moons, relu: Callable[[Any], Any]) -> Any:
    """The loss as a sum of products of scalars; ``w`` holds the peer's scalars."""
    total: Any = 0.0
    for point, label in zip(problem.x, problem.y, strict=True):
        values: list[Any] = list(point)
        place = 0
        for layer, width in enumerate(WIDTHS[1:]):
            outputs = []
            for _ in range(width):
                activation = w[place + len(values)]
                for k, value in enumerate(values):
                    activation = activation + w[place + k] * value
                place += len(values) + 1
                outputs.append(relu(activation) if layer < len(WIDTHS) - 2 else activation)
            values = outputs
        total = total + relu(1.0 - label * values[0])
    penalty: Any = 0.0
    for one in w:
        penalty = penalty + one * one
    return total * (1.0 / len(problem.y)) + _PENALTY * penalty


def layers(w: Any) -> list[tuple[Any, Any]]:
    """The weights as matrices (a row a neuron) and biases."""
    found, place = [], 0
    for n, m in itertools.pairwise(WIDTHS):
        block = w[place : place + m * (n + 1)].reshape(m, n + 1)
        found.append((block[:, :n], block[:, n]))
        place += block.size
    return found


def moons_gradient(problem: Moons) -> list[Any]:
    """By hand and with whole arrays."""
    weights = layers(problem.w)
    h = [np.array(problem.x)]
    for W, b in weights[:-1]:
        h.append(np.maximum(h[-1] @ W.T + b, 0))
    y = np.array(problem.y)
    scores = (h[-1] @ weights[-1][0].T + weights[-1][1])[:, 0]
    upstream = (-(y * (1 - y * scores > 0)) / len(y))[:, None]
    parts: list[Any] = []
    for (W, _), below in zip(weights[::-1], h[::-1], strict=True):
        block = np.concatenate([upstream.T @ below, upstream.sum(axis=0)[:, None]], axis=1)
        parts.insert(0, block.ravel())
        upstream = (upstream @ W) * (below > 0)
    return [np.concatenate(parts) + 2 * _PENALTY * problem.w]


WORKLOADS = [
    Workload(
        name="S1",
        title="compiled gradient of (x + y) · z from Python floats",
        group="scalars",
        problem=lambda: None,
        contenders={
            "thalweg": "bench.scalars.with_thalweg:product_compiled",
            "thalweg, eager": "bench.scalars.with_thalweg:product_eager",
            "Python by hand": "bench.scalars.by_hand:product_gradient",
            "ddx, compiled": "bench.scalars.with_ddx:product_compiled",
            "ddx, buffers set before": "bench.scalars.with_ddx:product_buffer",
            "CasADi": "bench.scalars.with_casadi:product_called",
            "CasADi, buffers set before": "bench.scalars.with_casadi:product_buffer",
            "micrograd": "bench.scalars.with_micrograd:product_gradient",
            "jax": "bench.scalars.with_jax:product_jit",
            "torch": "bench.scalars.with_torch:product_eager",
            "autograd": "bench.scalars.with_autograd:product_eager",
        },
        reference=lambda _: [np.array([POINT[2], POINT[2], POINT[0] + POINT[1]])],
        tolerance=1e-6,
        bar="≤ 1 µs",
        threads=(1,),
    ),
    Workload(
        name="S2",
        title="micrograd's moons network, 100 points, as a graph of scalars: whole gradient",
        group="scalars",
        problem=_moons,
        contenders={
            "thalweg": "bench.scalars.with_thalweg:moons_compiled",
            "thalweg, eager": "bench.scalars.with_thalweg:moons_eager",
            "NumPy by hand, arrays": "bench.scalars.by_hand:moons_arrays",
            "ddx, interpreted": "bench.scalars.with_ddx:moons_interpreted",
            "CasADi SX": "bench.scalars.with_casadi:moons_sx",
            "micrograd": "bench.scalars.with_micrograd:moons",
            "torch": "bench.scalars.with_torch:moons",
        },
        reference=moons_gradient,
        tolerance=1e-6,
        bar="≤ 263 µs, first result within 1 s",
        threads=(1,),
    ),
]
