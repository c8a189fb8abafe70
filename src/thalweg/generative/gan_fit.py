"""`fit_gan`: two optimisers in turn, each a compiled step in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.api import value_and_grad
from thalweg.api_compile import compile
from thalweg.errors import DataError, NonFiniteError
from thalweg.generative.gan import GAN
from thalweg.optim.averaging import EMA
from thalweg.optim.base import Updating, fresh
from thalweg.optim.rules import Adam
from thalweg.random import key as key_of
from thalweg.random import split
from thalweg.training.loop import interrupts
from thalweg.training.step import check, measures_of
from thalweg.tree import unflatten

__all__ = ["FittedGAN", "fit_gan"]


@dataclass
class FittedGAN:
    """What a training gave.

    Attributes
    ----------
    gan : GAN
        After the last step.
    averaged : GAN
        The same with the moving average of the generator: what to sample from.
    history : dict of str to list of float
        ``"step"``; ``"discriminator"`` and ``"generator"``, the mean losses since the last entry;
        and each metric.
    steps : int
        Of the generator.
    interrupted : bool
        Whether Ctrl-C ended it: the step was made whole, and everything up to it is here.
    """

    gan: GAN
    averaged: GAN
    history: dict[str, list[float]] = field(default_factory=dict)
    steps: int = 0
    interrupted: bool = False

    def __repr__(self) -> str:
        """What came of it in a line."""
        parts = [f"{self.steps} steps"]
        parts += [f"{k} {line[-1]:.4g}" for k, line in self.history.items() if line and k != "step"]
        parts += ["interrupted"] * self.interrupted
        return f"<FittedGAN: {', '.join(parts)}>"


def fit_gan(
    gan: GAN,
    data: Any,
    *,
    steps: int,
    batch_size: int = 256,
    optimiser: Updating | None = None,
    discriminator_optimiser: Updating | None = None,
    discriminator_steps: int | None = None,
    average: float = 0.999,
    noise: float | Callable[[int], float] = 0.0,
    every: int = 100,
    metrics: Mapping[str, Callable[[GAN], float]] | None = None,
    seed: int = 0,
) -> FittedGAN:
    """Train a GAN: steps of the discriminator and of the generator in turn.

    Parameters
    ----------
    gan : GAN
        To start from. It is copied, never written to.
    data : array of shape (n, …) or callable
        Rows, drawn with replacement; or ``data(rng, batch_size)``, which draws a batch.
    steps : int
        Of the generator.
    batch_size : int
    optimiser, discriminator_optimiser : optional
        Of `thalweg.optim`; ``Adam(1e-4, beta1=0.5)`` by default, both.
    discriminator_steps : int, optional
        Before each step of the generator; by default 5 of ``"wasserstein"``, else 1.
    average : float
        Decay of the moving average of the generator (Yazıcı et al., ICLR 2019); players of a game
        circle around its solution, their average is nearer to it.
    noise : float or callable
        Standard deviation of the instance noise, or a schedule ``step -> std``.
    every : int
        Steps between two entries of the history.
    metrics : dict of str to callable, optional
        ``metric(gan)`` of the GAN with the averaged generator, at each entry. Later steps write
        into it: copy what is to be kept.
    seed : int
        Of batches and noise: the same seed gives the same run.

    Returns
    -------
    FittedGAN

    Raises
    ------
    NonFiniteError
        If a loss is NaN or Inf at an entry of the history.
    DataError
        If data or settings cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.generative import GAN, fit_gan
    >>> x = np.random.default_rng(0).normal(3.0, 0.5, size=(200, 1))
    >>> found = fit_gan(GAN.create(0, 1, 2, (8,)), x, steps=20, batch_size=32)
    >>> found.averaged.sample(0, 5).shape
    (5, 1)
    """
    usual = 5 if gan.objective == "wasserstein" else 1
    rounds = usual if discriminator_steps is None else discriminator_steps
    rule = Adam(1e-4, beta1=0.5) if optimiser is None else optimiser
    judge_rule = (
        Adam(1e-4, beta1=0.5) if discriminator_optimiser is None else discriminator_optimiser
    )
    counts = {"steps": steps, "batch_size": batch_size, "every": every}
    check(rule, seed, **counts, discriminator_steps=rounds)
    check(judge_rule, seed)
    measures = measures_of(metrics, "step", "discriminator", "generator")
    if not callable(noise) and not (isinstance(noise, (int, float, np.number)) and noise >= 0):
        raise DataError(f"noise is a number ≥ 0, or a function of the step; got {noise!r}")
    schedule, constant = (noise, 0.0) if callable(noise) else (None, noise)
    draw = _draws(data, gan.dtype)
    rng = np.random.default_rng(seed)
    key = key_of(seed)
    ema = EMA(average)
    parts = (gan.generator, gan.discriminator)
    made, judge = (unflatten(structure, leaves) for leaves, structure in map(fresh, parts))
    state, judge_state, averaged = rule.init(made), judge_rule.init(judge), ema.init(made)

    @compile(inplace=(0, 1))
    def judge_step(state: Any, judge: Any, made: Any, key: Any, x: Any, std: Any) -> Any:
        key, own = split(key)

        def loss(judge: Any) -> Any:
            return _with(gan, made, judge).discriminator_loss(
                x, key=own, noise=constant if std is None else std
            )

        value, slope = value_and_grad(loss)(judge)
        return (*judge_rule.update(state, slope, judge), key, value)

    @compile(inplace=(0, 1, 2))
    def step(state: Any, made: Any, averaged: Any, judge: Any, key: Any, std: Any) -> Any:
        key, own = split(key)

        def loss(made: Any) -> Any:
            return _with(gan, made, judge).generator_loss(
                batch_size, key=own, noise=constant if std is None else std
            )

        value, slope = value_and_grad(loss)(made)
        state, made = rule.update(state, slope, made)
        return state, made, ema.update(averaged, made), key, value

    result = FittedGAN(gan, gan, {"step": [], "discriminator": [], "generator": []})
    result.history |= {name: [] for name in measures}
    sums = np.zeros(2)
    with interrupts() as asked:
        while result.steps < steps and not result.interrupted:
            std = np.asarray(schedule(result.steps), gan.dtype) if schedule else None
            for _ in range(rounds):
                x = draw(rng, batch_size)
                judge_state, judge, key, value = judge_step(judge_state, judge, made, key, x, std)
                sums[0] += value / rounds
            state, made, averaged, key, value = step(state, made, averaged, judge, key, std)
            sums[1] += value
            result.steps += 1
            result.interrupted = asked.is_set()
            if result.steps % every == 0 or result.steps == steps or result.interrupted:
                result.gan = _with(gan, made, judge)
                result.averaged = _with(gan, averaged.params, judge)
                taken = (result.steps - 1) % every + 1
                _note(result, sums / taken, measures)
                sums[:] = 0
    return result


def _with(gan: GAN, made: Any, judge: Any) -> GAN:
    return dataclasses.replace(gan, generator=made, discriminator=judge)


def _draws(data: Any, dtype: Any) -> Callable[[np.random.Generator, int], Any]:
    """A function that draws a batch."""
    if callable(data):
        return lambda rng, n: np.asarray(data(rng, n), dtype)
    rows = np.asarray(data)
    if rows.ndim == 0 or len(rows) == 0 or rows.dtype.kind not in "biuf":
        raise DataError(
            f"data: an array with a row an example, or a function; got shape {rows.shape}, "
            f"dtype {rows.dtype}"
        )
    rows = rows.astype(dtype)
    return lambda rng, n: rows[rng.integers(len(rows), size=n)]


def _note(
    result: FittedGAN, losses: np.ndarray, metrics: Mapping[str, Callable[[GAN], float]]
) -> None:
    """An entry of the history."""
    if not np.all(np.isfinite(losses)):
        error = NonFiniteError(
            f"a loss is not finite by step {result.steps}: discriminator {losses[0]}, generator "
            f"{losses[1]}. Lower the rates, or the penalty."
        )
        error.result = result
        raise error
    found = {"step": result.steps, "discriminator": losses[0], "generator": losses[1]}
    found |= {name: metric(result.averaged) for name, metric in metrics.items()}
    for name, value in found.items():
        result.history[name].append(float(value))
