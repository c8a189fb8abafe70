"""The rows of the lecture's table by name; what trains them is loaded when it is asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

__all__ = ["ROWS", "Row", "Setting"]


@dataclass(frozen=True)
class Setting:
    """How a row is to be trained.

    Attributes
    ----------
    data : str
        One of the row's.
    epochs : int
        At most.
    seed : int
        Of the split, the weights, the order and the draws.
    progress : bool or None
        As of `thalweg.fit`.
    """

    data: str
    epochs: int
    seed: int = 0
    progress: bool | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    name : str
    about : str
        Model and data in a few words.
    data : tuple of str
        Names of data sets; the first is the default.
    epochs : int
        The default.
    where : str
        ``module:function`` of this package.
    """

    name: str
    about: str
    data: tuple[str, ...]
    epochs: int
    where: str

    def train(self, setting: Setting) -> Any:
        """Train and measure it: an `Outcome`.

        Heads and generative models take a second to import, for which no other command waits.
        """
        module, _, function = self.where.partition(":")
        return getattr(importlib.import_module(f"thalweg.rows.{module}"), function)(setting)


_IMAGES = ("digits", "mnist")
_TABLE = [
    Row("bernoulli", "sigmoid, cross-entropy", ("breast cancer",), 200, "classes:bernoulli"),
    Row("categorical", "softmax, cross-entropy", _IMAGES, 100, "classes:categorical"),
    Row("gaussian", "mean and scale, Gaussian NLL", ("diabetes",), 300, "numbers:gaussian"),
    Row("mixture", "three Gaussian branches, mixture NLL", ("iris",), 500, "numbers:mixture"),
    Row("gan", "generator against discriminator", _IMAGES, 150, "games:gan"),
    Row("vae", "variational autoencoder of bits, ELBO", _IMAGES, 100, "densities:vae"),
    Row("fvbn", "MADE of bits, exact likelihood", _IMAGES, 100, "densities:fvbn"),
]
ROWS = {row.name: row for row in _TABLE}
