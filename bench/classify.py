"""The command ``python -m bench.classify``: an MLP and a small convolutional net on MNIST.

Both are trained by `tw.fit` on the 60,000 training images, a fixed number of epochs with a rate
that rises and falls; the 10,000 test images are looked at once, after the last step.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import thalweg as tw
from bench.report import machine
from bench.training import mnist
from thalweg.nn import MLP, Affine, Conv2D, Dropout, Layer, MaxPool2D, Sequential
from thalweg.nn.activations import relu
from thalweg.nn.losses import cross_entropy

_BATCH = 128


@dataclass(frozen=True)
class _Plan:
    """A network and how it is trained."""

    net: Any
    shape: tuple[int, ...]  # of an image
    epochs: int
    rate: float  # the highest
    bar: float


def _flat(x: Any) -> Any:
    return np.reshape(x, (x.shape[0], -1))


def _mlp(seed: int) -> Layer:
    a, b, c = (
        Affine.create(seed + i, n, m, init=tw.nn.initialisers.he_normal, dtype=np.float32)
        for i, (n, m) in enumerate([(784, 512), (512, 256), (256, 10)])
    )
    return Sequential((a, relu, Dropout(0.2), b, relu, Dropout(0.2), c))


def _conv(seed: int) -> Layer:
    return Sequential(
        (
            Conv2D.create(seed, 1, 16, 5, dtype=np.float32),
            relu,
            MaxPool2D((2, 2)),
            Conv2D.create(seed + 1, 16, 32, 5, dtype=np.float32),
            relu,
            MaxPool2D((2, 2)),
            _flat,
            Dropout(0.3),
            MLP.create(seed + 2, (512, 128, 10), dtype=np.float32),
        )
    )


_PLANS = {
    "mlp": _Plan(_mlp, (784,), 20, 2e-3, 0.98),
    "conv": _Plan(_conv, (28, 28, 1), 8, 3e-3, 0.99),
}


def _loss(net: Layer, x: Any, y: Any, *, key: Any, train: bool) -> Any:
    logits = net(x, train=train, key=key)  # type: ignore[call-arg]
    return cross_entropy(logits, y), {"accuracy": np.mean(np.argmax(logits, axis=1) == y)}


def _run(plan: _Plan, epochs: int, seed: int, progress: bool | None) -> dict[str, Any]:
    x, y, test_x, test_y = mnist.data()
    x, test_x = (images.reshape(-1, *plan.shape) for images in (x, test_x))
    steps = epochs * -(-len(x) // _BATCH)
    rule = tw.optim.Adam(tw.optim.OneCycle(plan.rate, steps))
    ends = [time.perf_counter()]

    def note(epoch: tw.training.Epoch) -> None:
        ends.append(time.perf_counter())

    net = plan.net(seed)
    found = tw.fit(
        net,
        _loss,
        (x, y),
        optimiser=rule,
        epochs=epochs,
        batch_size=_BATCH,
        seed=seed,
        callbacks=[note],
        progress=progress,
    )
    logits = np.concatenate([found.model(test_x[i : i + 500]) for i in range(0, len(test_x), 500)])
    return {
        "parameters": net.n_parameters,
        "epochs": epochs,
        "test accuracy": float(np.mean(np.argmax(logits, axis=1) == test_y)),
        "bar": plan.bar,
        "training, s": round(ends[-1] - ends[0], 1),
        "an epoch, s": round(float(np.median(np.diff(ends))), 2),
        "history": found.history,
    }


def main() -> None:
    """Train, measure, tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.classify", description=__doc__)
    parser.add_argument(
        "nets", nargs="*", metavar="NET", help=f"{', '.join(_PLANS)}; default: both"
    )
    parser.add_argument("--epochs", type=int, help="in place of the planned number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--progress", action="store_true", default=None)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    if unknown := [name for name in args.nets if name not in _PLANS]:
        parser.error(f"no net is called {unknown[0]!r}: there are {', '.join(_PLANS)}")
    figures: dict[str, Any] = {"machine": machine(), "seed": args.seed}
    for name in args.nets or _PLANS:
        plan = _PLANS[name]
        figures[name] = _run(plan, args.epochs or plan.epochs, args.seed, args.progress)
        for what, value in figures[name].items():
            if what != "history":
                print(f"{name:5} {what:16} {value}", flush=True)
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
