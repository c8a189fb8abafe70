"""T1–T3: one training step of a small network, parameters and optimiser state updated in place.

T1  784-256-128-10, ReLU, softmax and cross-entropy, batch 128
T2  64-64-10, ReLU, softmax and cross-entropy, batch 32
T3  2-16-16-1, tanh, sigmoid and binary cross-entropy from logits, batch 32

in float32, with momentum SGD (v ← μ v + g, p ← p − η v) and with Adam. Every contender begins with
the same weights. Held against the reference: the loss of five steps and the way that each parameter
has gone in them.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bench.workload import Prepared, Workload

__all__ = [
    "BETA1",
    "BETA2",
    "EPSILON",
    "FIT",
    "GROWTH",
    "MOMENTUM",
    "RATES",
    "WORKLOADS",
    "Problem",
    "Trainer",
    "first_weights",
    "prepared",
    "reference",
]

MOMENTUM = 0.9
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
RATES = {"momentum": 0.01, "adam": 0.001}
_STEPS = 5

Parameters = list[tuple[Any, Any]]


@dataclass(frozen=True)
class Problem:
    """A network at its beginning, and a batch."""

    weights: Parameters  # (W, b) a layer; W has a row an input
    activation: str  # "relu" or "tanh"
    binary: bool  # one output and labels (n, 1) of float32; else labels (n,) of int64
    optimiser: str  # "momentum" or "adam"
    x: Any
    y: Any


class Trainer(Protocol):
    """A contender's network under training."""

    def array(self, x: Any) -> Any:
        """A NumPy array as the contender wants its data."""

    def reset(self) -> None:
        """Back to the first weights, the optimiser's state empty."""

    def caller(self, x: Any, y: Any) -> Callable[[], Any]:
        """One step on this batch, ready to be called."""

    def loss(self, result: Any) -> float:
        """The loss in what a step gave."""

    def finish(self) -> None:
        """Wait for what is under way."""

    def parameters(self) -> Sequence[tuple[Any, Any]]:
        """Present weights, as `Problem.weights`."""

    def predict(self, x: Any) -> Any:
        """Labels, as a NumPy array."""


def prepared(trainer: Trainer, problem: Problem) -> Prepared:
    """A trainer on the problem's one batch."""
    call = trainer.caller(trainer.array(problem.x), trainer.array(problem.y))

    def results() -> list[Any]:
        trainer.reset()
        losses = [trainer.loss(call()) for _ in range(_STEPS)]
        trainer.finish()
        return [losses, *_ways(trainer.parameters(), problem.weights)]

    return Prepared(call, results, reset=trainer.reset, finish=trainer.finish)


def _ways(now: Sequence[tuple[Any, Any]], first: Parameters) -> list[Any]:
    return [
        np.asarray(a, np.float64) - b
        for layer, begun in zip(now, first, strict=True)
        for a, b in zip(layer, begun, strict=True)
    ]


def first_weights(widths: Sequence[int]) -> Parameters:
    """He's initialisation."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.normal(0.0, (2.0 / n) ** 0.5, (n, m)).astype(np.float32),
            np.zeros(m, np.float32),
        )
        for n, m in itertools.pairwise(widths)
    ]


def _problem(widths: Sequence[int], batch: int, activation: str, optimiser: str) -> Problem:
    rng = np.random.default_rng(1)
    x = rng.uniform(-1.0, 1.0, (batch, widths[0])).astype(np.float32)
    binary = widths[-1] == 1
    y = (
        (x.sum(axis=1, keepdims=True) > 0).astype(np.float32)
        if binary
        else rng.integers(0, widths[-1], batch)
    )
    return Problem(first_weights(widths), activation, binary, optimiser, x, y)


def _gradient(problem: Problem, weights: Parameters) -> tuple[float, list[Any]]:
    """Loss and its gradient by backpropagation, in the order W, b, W, b, …"""
    layers = [problem.x.astype(np.float64)]
    for W, b in weights[:-1]:
        z = layers[-1] @ W + b
        layers.append(np.maximum(z, 0) if problem.activation == "relu" else np.tanh(z))
    z = layers[-1] @ weights[-1][0] + weights[-1][1]
    if problem.binary:
        loss = np.mean(np.logaddexp(0, z) - problem.y * z)
        upstream = (1 / (1 + np.exp(-z)) - problem.y) / z.size
    else:
        shifted = z - z.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        one_hot = np.eye(z.shape[1])[problem.y]
        loss = -np.mean((log_p * one_hot).sum(axis=1))
        upstream = (np.exp(log_p) - one_hot) / len(z)
    found: list[Any] = []
    for (W, _), h in zip(weights[::-1], layers[::-1], strict=True):
        found = [h.T @ upstream, upstream.sum(axis=0), *found]
        slope = (h > 0) if problem.activation == "relu" else 1 - h * h
        upstream = (upstream @ W.T) * slope
    return float(loss), found


def reference(problem: Problem) -> list[Any]:
    """Losses and ways in float64."""
    flat = [p.astype(np.float64) for layer in problem.weights for p in layer]
    m = [np.zeros_like(p) for p in flat]
    v = [np.zeros_like(p) for p in flat]
    rate = RATES[problem.optimiser]
    losses = []
    for t in range(1, _STEPS + 1):
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        loss, gradient = _gradient(problem, pairs)
        losses.append(loss)
        for k, g in enumerate(gradient):
            if problem.optimiser == "momentum":
                m[k] = MOMENTUM * m[k] + g
                flat[k] = flat[k] - rate * m[k]
            else:
                m[k] = BETA1 * m[k] + (1 - BETA1) * g
                v[k] = BETA2 * v[k] + (1 - BETA2) * g * g
                step = (m[k] / (1 - BETA1**t)) / (np.sqrt(v[k] / (1 - BETA2**t)) + EPSILON)
                flat[k] = flat[k] - rate * step
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    return [losses, *_ways(pairs, problem.weights)]


_CONTENDERS = {
    "thalweg": "bench.training.with_thalweg:compiled",
    "thalweg, eager": "bench.training.with_thalweg:eager",
    "NumPy by hand": "bench.training.with_numpy:by_hand",
    "torch": "bench.training.with_torch:eager",
    "torch.compile": "bench.training.with_torch:compiled",
    "jax": "bench.training.with_jax:jit",
    "PyTensor": "bench.training.with_pytensor:function",
    "scikit-learn": "bench.training.with_sklearn:internals",
}


def _workload(
    name: str, widths: Sequence[int], batch: int, activation: str, optimiser: str, bar: str
) -> Workload:
    shape = "-".join(map(str, widths))
    rule = "Adam" if optimiser == "adam" else "momentum SGD"
    return Workload(
        name=f"{name}-{optimiser}",
        title=f"training step of {shape} ({activation}), batch {batch}, float32, {rule}",
        group="training",
        problem=functools.partial(_problem, widths, batch, activation, optimiser),
        contenders=_CONTENDERS,
        reference=reference,
        tolerance=1e-3,
        bar=bar,
    )


_NETS = [
    ("T1", (784, 256, 128, 10), 128, "relu", "≤ 750 µs; 1.4 × ahead of jax and PyTensor"),
    ("T2", (64, 64, 10), 32, "relu", "≤ 10 µs"),
    ("T3", (2, 16, 16, 1), 32, "tanh", "≤ 5 µs"),
]
WORKLOADS = [
    _workload(name, widths, batch, activation, optimiser, bar)
    for name, widths, batch, activation, bar in _NETS
    for optimiser in RATES
]

FIT = [
    dataclasses.replace(
        workload,
        name=f"fit-{workload.name}",
        title=f"{workload.title}: through tw.fit, beside the step alone",
        group="fit",
        contenders={
            "thalweg": "bench.training.with_thalweg:compiled",
            "tw.fit": "bench.training.with_fit:fit",
        },
        bar="≤ 1.10 times the step" if workload.name.startswith("T1") else "",
    )
    for workload in WORKLOADS
]

GROWTH = [
    Workload(
        name=f"growth-width-{width}",
        title=f"training step of {width}-{width}-{width}-10 (relu), batch 64, momentum SGD",
        group="growth",
        problem=functools.partial(_problem, (width, width, width, 10), 64, "relu", "momentum"),
        contenders={
            name: _CONTENDERS[name] for name in ("thalweg", "NumPy by hand", "torch", "jax")
        },
        reference=reference,
        tolerance=1e-3,
        growth=("network: width", width),
    )
    for width in (16, 32, 64, 128, 256, 512, 1024)
]
