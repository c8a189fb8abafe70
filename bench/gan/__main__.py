"""The command ``python -m bench.gan ring|digits``.

``ring`` trains on eight Gaussians (standard deviation 0.02, on a circle of radius 2), a run for
each objective and seed, and counts modes and good samples: those within three standard deviations
of a mode, of 10,000; a mode is hit if it has 1 % of the samples. ``digits`` trains on the 8 × 8
digits of scikit-learn and draws samples.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import thalweg as tw
from bench.report import machine
from bench.run import say
from thalweg.generative import GAN, FittedGAN, fit_gan, mode_coverage, ring_of_gaussians
from thalweg.nn import MLP, Sequential
from thalweg.nn.activations import leaky_relu, sigmoid

_STD, _DRAWS = 0.02, 10_000
_OPTIMUM = 2 * math.log(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["ring", "digits"])
    parser.add_argument(
        "--objectives", nargs="+", default=["non-saturating", "wasserstein"], help="of ring"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--picture", type=Path, help="draw into this file (PNG)")
    return parser


def _cooling(steps: int) -> Callable[[int], float]:
    """Instance noise: 0.5, falling exponentially, none in the last 30 % of the steps."""
    return lambda step: 0.5 * math.exp(-6 * step / steps) if step < 0.7 * steps else 0.0


def ring(objective: str, seed: int) -> FittedGAN:
    """One run; what differs between the objectives is told in docs/gan.md."""
    critic = objective == "wasserstein"
    steps, rate, n_latent, rounds = (9_000, 5e-3, 4, 3) if critic else (10_000, 2e-3, 8, 1)
    gan = GAN.create(
        seed,
        2,
        n_latent,
        (64, 64, 64),
        objective=objective,
        penalty=0.1 if critic else 0.0,
        dtype=np.float32,
    )
    return fit_gan(
        gan,
        lambda rng, n: ring_of_gaussians(rng, n, std=_STD)[0],
        steps=steps,
        optimiser=tw.optim.Adam(tw.optim.Cosine(rate, steps), beta1=0.5),
        discriminator_optimiser=tw.optim.Adam(tw.optim.Cosine(rate, steps * rounds), beta1=0.5),
        discriminator_steps=rounds,
        noise=0.0 if critic else _cooling(steps),
        seed=seed,
    )


def _rings(args: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Any]]:
    centres = ring_of_gaussians(0, 1)[1]
    figures, panels = [], []
    for objective in args.objectives:
        for seed in args.seeds:
            start = time.perf_counter()
            found = ring(objective, seed)
            taken = time.perf_counter() - start
            samples = found.averaged.sample(seed + 1000, _DRAWS)
            seen = mode_coverage(samples, centres, _STD, least=0.01)
            figures.append(
                {
                    "objective": objective,
                    "seed": seed,
                    "modes": seen.modes,
                    "good": round(seen.good, 4),
                    "counts": seen.counts.tolist(),
                    "discriminator": round(found.history["discriminator"][-1], 4),
                    "seconds": round(taken, 1),
                }
            )
            panels.append((objective, seed, samples, found.history))
            say(json.dumps(figures[-1]))
    for objective in args.objectives:
        own = [f for f in figures if f["objective"] == objective]
        whole = sum(f["modes"] == 8 and f["good"] >= 0.9 for f in own)
        print(f"{objective}: 8 of 8 modes and 90 % good samples in {whole} of {len(own)} seeds")
        for f in own:
            print("  seed {seed}: {modes} modes, {good:.1%} good, {seconds} s".format(**f))
    return figures, panels


def _draw_rings(panels: list[Any], path: Path, plt: Any) -> None:
    """Samples and the discriminator's loss of the first seed of each objective."""
    first = {objective: (samples, h) for objective, _, samples, h in reversed(panels)}
    figure, axes = plt.subplots(1, 2 * len(first), figsize=(5 * len(first), 2.6), squeeze=False)
    for (objective, (samples, history)), (left, right) in zip(
        sorted(first.items()), axes.reshape(-1, 2), strict=True
    ):
        left.plot(*samples[:2000].T, ".", markersize=1.5, color="#2a6f97")
        left.set(title=objective, aspect="equal", xlim=(-2.6, 2.6), ylim=(-2.6, 2.6))
        right.plot(history["step"], history["discriminator"], color="#2a6f97")
        right.set(title="discriminator's loss", xlabel="step")
        if objective == "non-saturating":
            right.axhline(_OPTIMUM, color="#c1121f", linestyle="--", label="2 ln 2")
            right.set(ylim=(_OPTIMUM - 0.2, _OPTIMUM + 0.05))
            right.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def _digits(seed: int) -> tuple[FittedGAN, np.ndarray, float]:
    x = (importlib.import_module("sklearn.datasets").load_digits().data / 16).astype(np.float32)
    rng = np.random.default_rng(seed)
    made = MLP.create(rng, (16, 128, 128, 64), dtype=np.float32)
    judge = MLP.create(rng, (64, 128, 128, 1), activation=leaky_relu, dtype=np.float32)
    steps = 8000
    adam = tw.optim.Adam(tw.optim.Cosine(1e-3, steps), beta1=0.5)
    start = time.perf_counter()
    found = fit_gan(
        GAN(Sequential([made, sigmoid]), judge, 16, penalty=0.1),
        x,
        steps=steps,
        batch_size=128,
        optimiser=adam,
        discriminator_optimiser=adam,
        noise=lambda step: 0.3 * (1 - step / steps),
        seed=seed,
    )
    return found, x, time.perf_counter() - start


def _draw_digits(samples: np.ndarray, data: np.ndarray, path: Path, plt: Any) -> None:
    """Above: samples. Below: as many images of the set, drawn at random."""
    shown = data[np.random.default_rng(0).permutation(len(data))[: len(samples)]]
    images = np.pad(np.stack([samples, shown]).reshape(2, 5, 20, 8, 8), [(0, 0)] * 3 + [(1, 1)] * 2)
    left, right = images.swapaxes(2, 3).reshape(2, 50, 200)
    whole = np.vstack([left, np.full((2, 200), 0.5), right])
    importlib.import_module("matplotlib.image").imsave(
        path, 1 - np.kron(whole, np.ones((3, 3))), cmap="gray", vmin=0, vmax=1
    )


def main() -> None:
    """Train, measure, draw."""
    args = _parser().parse_args()
    figures: list[dict[str, Any]]
    if args.what == "ring":
        figures, panels = _rings(args)
        draw: Callable[..., None] = functools.partial(_draw_rings, panels)
    else:
        found, data, taken = _digits(args.seeds[0])
        samples = found.averaged.sample(args.seeds[0], 100)
        last = found.history["discriminator"][-1]
        figures = [{"seed": args.seeds[0], "seconds": round(taken, 1), "discriminator": last}]
        print(
            f"{taken:.1f} s; the discriminator's loss ends at {last:.3f}, 2 ln 2 = {_OPTIMUM:.3f}"
        )
        draw = functools.partial(_draw_digits, samples, data)
    if args.json:
        text = json.dumps({"machine": machine(), "runs": figures}, indent=1)
        args.json.write_text(text + "\n", encoding="utf-8")
    if args.picture:
        importlib.import_module("matplotlib").use("Agg")
        draw(args.picture, importlib.import_module("matplotlib.pyplot"))


if __name__ == "__main__":
    main()
