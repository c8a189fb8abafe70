"""The command ``python -m bench.vae``: trains a VAE on binarised MNIST and measures its bound.

A pixel is 1 with the probability of its grey value: in training anew each epoch, in the test set
once, from stated seeds. The first epochs are timed beside torch's of the same network, in turn. On
a machine with other work set OMP_WAIT_POLICY=PASSIVE: threads of torch that wait otherwise spin,
and its epochs take many times longer.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import thalweg as tw
from bench.report import machine
from bench.run import say
from bench.training import mnist
from thalweg import heads
from thalweg.generative import VAE
from thalweg.tree import tree_map

_TEST_SEED = 2026


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.vae", description=__doc__)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--hidden", type=int, nargs="+", default=[500, 500])
    parser.add_argument("--latent", type=int, default=50)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1e-3, help="Adam's, falling as a cosine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch", type=int, default=3, metavar="EPOCHS", help="of torch, timed")
    parser.add_argument("--draws", type=int, default=500, help="of the importance bound")
    parser.add_argument("--rows", type=int, default=10_000, help="test images that are measured")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--picture", type=Path, help="draw samples and reconstructions here (PNG)")
    return parser


def binarised(grey: np.ndarray, *seed: int) -> np.ndarray:
    """1 with the probability of the grey value."""
    draws = np.random.default_rng(seed).random(grey.shape, np.float32)
    return (draws < grey).astype(np.float32)


def _batches(grey: np.ndarray, size: int, *seed: int) -> Iterator[np.ndarray]:
    """Full batches of an epoch."""
    order = np.random.default_rng(seed).permutation(len(grey))
    x = binarised(grey, *seed)
    for start in range(0, len(x) - size + 1, size):
        yield x[order[start : start + size]]


class _Trainer:
    """The compiled step of Thalweg."""

    def __init__(self, vae: VAE, rate: Any, threads: int, seed: int) -> None:
        adam = tw.optim.Adam(rate)
        self.vae = tree_map(np.copy, vae)
        self._state = adam.init(vae)
        self._seed, self._count = seed, 0

        def step(state: Any, vae: VAE, x: Any, key: Any) -> Any:
            loss, slope = tw.value_and_grad(lambda vae: vae.loss(x, key=key))(vae)
            return (*adam.update(state, slope, vae), loss)

        self._step = tw.compile(step, inplace=(0, 1), threads=threads)

    def epoch(self, batches: Iterator[np.ndarray]) -> float:
        """The mean loss of the batches, a step each."""
        losses = []
        for x in batches:
            key = tw.random.key((self._seed, self._count))
            self._state, self.vae, loss = self._step(self._state, self.vae, x, key)
            self._count += 1
            losses.append(float(loss))
        return float(np.mean(losses))


def _timed(epoch: Callable[..., float], *args: Any) -> tuple[float, float, float]:
    """Seconds, seconds of processors (which other programs do not change much), and the loss."""
    batches = list(_batches(*args))
    start, own = time.perf_counter(), time.process_time()
    loss = epoch(iter(batches))
    return time.perf_counter() - start, time.process_time() - own, loss


def _draw(vae: VAE, x: np.ndarray, path: Path) -> None:
    """Left: means of p(x|z) for codes from the prior. Right: test images over what is decoded."""
    codes = np.random.default_rng(1).standard_normal((100, vae.n_latent)).astype(np.float32)
    shown = x[:50]
    again = np.asarray(vae.decode(vae.encode(shown).loc).mean)
    pairs = np.stack([shown.reshape(5, 10, 784), again.reshape(5, 10, 784)], axis=1)
    grids = [np.asarray(vae.decode(codes).mean), pairs.reshape(100, 784)]
    tiles = [g.reshape(10, 10, 28, 28).swapaxes(1, 2).reshape(280, 280) for g in grids]
    whole = np.hstack([tiles[0], np.full((280, 12), 0.5), tiles[1]])
    importlib.import_module("matplotlib.image").imsave(path, 1 - whole, cmap="gray", vmin=0, vmax=1)


def main() -> None:
    """Train, measure, tell."""
    args = _parser().parse_args()
    grey, _, test, _ = mnist.data()
    steps = args.epochs * (len(grey) // args.batch)
    head = heads.Bernoulli(event=(784,))
    vae = VAE.create(args.seed, head, args.latent, args.hidden, dtype=np.float32)
    ours = _Trainer(vae, tw.optim.Cosine(args.rate, steps), args.threads, args.seed)
    names = {"thalweg": ours}
    if args.torch and importlib.util.find_spec("torch") is not None:
        peer = importlib.import_module("bench.vae.with_torch")
        names["torch"] = peer.Trainer(vae, args.rate, args.threads, args.seed)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    processors: dict[str, list[float]] = {name: [] for name in names}
    for epoch in range(args.epochs):
        for name, trainer in names.items():
            if name == "thalweg" or epoch < args.torch:
                taken, own, loss = _timed(trainer.epoch, grey, args.batch, args.seed, epoch)
                seconds[name].append(taken)
                processors[name].append(own)
                say(f"epoch {epoch + 1}: {name:8} loss {loss:7.3f}, {taken:5.2f} s")
    x = binarised(test[: args.rows], _TEST_SEED)
    start = time.perf_counter()
    bound = ours.vae.bound(x, args.draws, key=tw.random.key(_TEST_SEED))
    measuring = time.perf_counter() - start
    elbo = ours.vae.elbo(x, key=tw.random.key(_TEST_SEED + 1))
    figures = {
        "seed": args.seed,
        "seed of the test set": _TEST_SEED,
        "epochs": args.epochs,
        "training, s": round(sum(seconds["thalweg"]), 1),
        **{f"quickest epoch of {n}, s": round(min(t), 2) for n, t in seconds.items()},
        **{f"of processors for {n}, s": round(min(t), 2) for n, t in processors.items()},
        f"minus the bound of {args.draws} draws, nats": round(float(-np.mean(bound)), 3),
        "its standard error": round(float(np.std(bound) / np.sqrt(len(x))), 3),
        "minus the ELBO, nats": round(float(-np.mean(elbo)), 3),
        "test images": len(x),
        "measuring, s": round(measuring, 1),
        "active units": int(np.sum(ours.vae.active_units(x))),
    }
    for name, value in figures.items():
        print(f"{name:36} {value}", flush=True)
    if args.json:
        text = json.dumps({**figures, "seconds": seconds, "machine": machine()}, indent=1)
        args.json.write_text(text + "\n", encoding="utf-8")
    if args.picture:
        _draw(ours.vae, x, args.picture)


if __name__ == "__main__":
    main()
