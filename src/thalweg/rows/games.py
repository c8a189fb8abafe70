"""The row without a likelihood: a generative adversarial network."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from thalweg import plots
from thalweg.generative import GAN, fit_gan
from thalweg.mnist import images
from thalweg.nn import Sequential
from thalweg.optim import Adam
from thalweg.optional import library
from thalweg.rows.catalogue import Setting
from thalweg.rows.row import Outcome, parts
from thalweg.training.bar import Bar

__all__ = ["gan"]

_BATCH = 64
_SHOWN = 60


def _digits(setting: Setting) -> tuple[Any, Any, Any]:
    """Grey images and labels to train with, images that are held out: in [0, 1]."""
    if setting.data == "mnist":
        x, y, test, _ = images()
        return x, y, test
    x, y = library("sklearn.datasets", "the digits").load_digits(return_X_y=True)
    train, held = parts(len(x), setting.seed, 0.25)
    x = (x / 16).astype(np.float32)
    return x[train], y[train], x[held]


def _networks(n: int, seed: int) -> GAN:
    """A generator whose numbers stay in (−1, 1), as the images do, and a discriminator."""
    made = GAN.create(seed, n, 16, (128, 128), penalty=1.0, dtype=np.float32)
    return dataclasses.replace(made, generator=Sequential((made.generator, np.tanh)))


def gan(setting: Setting) -> Outcome:
    """Images of digits from noise.

    There is no likelihood to measure. Samples are compared with the nearest image of the training
    set: which digit it shows, and how far it is, beside how far held-out images are from theirs.
    """
    x, y, held = _digits(setting)
    steps_of_epoch = -(-len(x) // _BATCH)
    adam = Adam(2e-4, beta1=0.5)
    tree = cKDTree(x)
    epochs = itertools.count(1)

    def compared(gan: GAN, n: int) -> tuple[Any, Any, Any]:
        """Samples, their distances from the nearest image, and the share of each digit."""
        samples = (gan.sample(setting.seed, n) + 1) / 2
        far, nearest = tree.query(samples)
        return samples, far, np.bincount(y[nearest], minlength=10) / n

    with Bar(setting.progress, setting.epochs, steps_of_epoch, (0, 0)) as bar:

        def distance(gan: GAN) -> float:
            epoch, far = next(epochs), float(np.mean(compared(gan, 100)[1]))
            bar.step(epoch - 1, steps_of_epoch, epoch * steps_of_epoch, {"distance": far})
            return far

        found = fit_gan(
            _networks(x.shape[1], setting.seed),
            2 * x - 1,
            steps=setting.epochs * steps_of_epoch,
            batch_size=_BATCH,
            optimiser=adam,
            discriminator_optimiser=adam,
            noise=0.1,
            every=steps_of_epoch,
            metrics={"distance": distance},
            seed=setting.seed,
        )
    samples, far, share = compared(found.averaged, 1000)
    metrics = {
        "digits drawn, each 1 in 50 or more": float(np.sum(share >= 0.02)),
        "rarest digit's share": float(share.min()),
        "distance to the nearest image": float(np.mean(far)),
        "the same of held-out images": float(np.mean(tree.query(held[:1000])[0])),
        "discriminator's loss": float(np.mean(found.history["discriminator"][-5:])),
        "its value where it sees no difference": 2 * math.log(2),
    }

    def draw() -> Any:
        figure, (left, right) = plots.panels(2)
        side = round(x.shape[1] ** 0.5)
        plots.tiles(left, samples[:_SHOWN].reshape(-1, side, side), "made of noise")
        plots.tiles(right, held[:_SHOWN].reshape(-1, side, side), "held out")
        return figure

    def draw_curves() -> Any:
        figure, (left, right) = plots.panels(2)
        lines = {name: found.history[name] for name in ("discriminator", "generator")}
        plots.curves(left, lines, "loss")
        left.axhline(2 * math.log(2), color="grey", linewidth=1, linestyle=":")
        plots.curves(right, {"distance": found.history["distance"]}, "distance")
        return figure

    trained = found.steps // steps_of_epoch
    return Outcome(
        found.history, metrics, draw, draw_curves, trained, interrupted=found.interrupted
    )
