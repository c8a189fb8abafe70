"""Rows of whole images: a variational autoencoder and a fully visible belief network."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg import plots
from thalweg.generative import MADE, VAE
from thalweg.heads import Bernoulli
from thalweg.mnist import images
from thalweg.optim import Adam
from thalweg.optional import library
from thalweg.random import key as make_key
from thalweg.rows.catalogue import Setting
from thalweg.rows.row import Outcome, outcome, parts, trained

__all__ = ["fvbn", "vae"]

_SHOWN = 60


def _bits(setting: Setting) -> tuple[Any, Any, Any]:
    """Images of bits to train with, to validate, to test: 1 with the probability of the grey."""
    if setting.data == "mnist":
        grey, _, test, _ = images()
        train, held = parts(len(grey), setting.seed, 0.1)
        chosen = grey[train], grey[held], test
    else:
        grey = library("sklearn.datasets", "the digits").load_digits().data.astype(np.float32) / 16
        chosen = tuple(grey[rows] for rows in parts(len(grey), setting.seed, 0.15, 0.25))
    rng = np.random.default_rng((setting.seed, 1))
    first, second, third = (
        (rng.random(g.shape, np.float32) < g).astype(np.float32) for g in chosen
    )
    return first, second, third


def _square(x: Any) -> Any:
    side = round(x.shape[-1] ** 0.5)
    return np.reshape(x, (-1, side, side))


def vae(setting: Setting) -> Outcome:
    """Codes of images of bits."""
    train, held, test = _bits(setting)
    wide = setting.data == "mnist"
    model = VAE.create(
        setting.seed,
        Bernoulli(event=(train.shape[1],)),
        20 if wide else 8,
        (400,) if wide else (128,),
        dtype=np.float32,
    )

    def loss(vae: VAE, x: Any, *, key: Any) -> Any:
        return vae.loss(x, key=key)

    data, rule = (train, held), Adam(0.001)
    fitted = trained(model, loss, data, setting, rule, patience=10, batch_size=64)
    best: VAE = fitted.best
    chosen = test[:500]
    metrics = {
        "minus the ELBO": float(-np.mean(best.elbo(test, key=make_key(setting.seed)))),
        "minus the bound of 200 draws": float(
            -np.mean(best.bound(chosen, 200, key=make_key(setting.seed)))
        ),
        "rows of that bound": float(len(chosen)),
        "active units": float(np.sum(best.active_units(test))),
    }

    def draw() -> Any:
        figure, (left, right) = plots.panels(2)
        codes = np.random.default_rng(setting.seed).standard_normal((_SHOWN, best.n_latent))
        made = best.decode(codes.astype(np.float32)).mean
        plots.tiles(left, _square(made), "decoded draws from the prior")
        again = best.decode(best.encode(test[: _SHOWN // 2]).loc).mean
        pairs = np.concatenate([test[: _SHOWN // 2], np.asarray(again)]).reshape(2, 3, 10, -1)
        shown = pairs.swapaxes(0, 1).reshape(_SHOWN, -1)
        plots.tiles(right, _square(shown), "held out, over its reconstruction")
        return figure

    return outcome(fitted, metrics, draw)


def fvbn(setting: Setting) -> Outcome:
    """The exact distribution of images of bits."""
    train, held, test = _bits(setting)
    made = MADE.create(setting.seed, train.shape[1], (500 if setting.data == "mnist" else 128,))

    def loss(made: MADE, x: Any) -> Any:
        return np.mean(made.nll(x))

    data, rule = (train, held), Adam(0.002)
    fitted = trained(made, loss, data, setting, rule, patience=10, batch_size=64)
    best: MADE = fitted.best
    frequency = np.clip(np.mean(train, axis=0), 1e-3, 1 - 1e-3)
    apart = -np.sum(test * np.log(frequency) + (1 - test) * np.log1p(-frequency), axis=1)
    metrics = {
        "NLL": float(np.mean(best.nll(test))),
        "NLL of independent pixels": float(np.mean(apart)),
    }

    def draw() -> Any:
        figure, (left, right) = plots.panels(2)
        plots.tiles(left, _square(best.sample(setting.seed, _SHOWN)), "drawn pixel by pixel")
        plots.tiles(right, _square(test[:_SHOWN]), "held out")
        return figure

    return outcome(fitted, metrics, draw)
