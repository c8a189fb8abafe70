"""The mixture density network of Bishop's problem with PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

__all__ = ["train"]

# As in `thalweg.heads`: a raw output of 0 is a scale of 1.
_UNIT = math.log(math.e - 1)


def train(
    begin: Any, t: np.ndarray, x: np.ndarray, seed: int, *, epochs: int, batch: int, rate: float
) -> Callable[[np.ndarray, np.ndarray], float]:
    """A network with the weights of `begin`, trained; its mean NLL of rows, in the units of x."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = []
    for layer in begin.net_.layers:
        linear = nn.Linear(*layer.W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(layer.W.T))
            linear.bias.copy_(torch.tensor(layer.b))
        parts += [linear, nn.SiLU()]
    model = nn.Sequential(*parts[:-1])
    k, least = begin.head_.n_components, begin.head_.min_scale
    inputs, targets = begin.scaling_, begin.target_scaling_

    def nll(z: Any, y: Any) -> Any:
        logits, loc, raw = model(z).split(k, dim=1)
        scale = functional.softplus(raw + _UNIT) + least
        each = torch.distributions.Normal(loc, scale).log_prob(y[:, None])
        return -torch.logsumexp(functional.log_softmax(logits, dim=1) + each, dim=1).mean()

    z, y = torch.from_numpy(inputs(t)), torch.from_numpy(targets(x))
    adam = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            adam.zero_grad()
            nll(z[rows], y[rows]).backward()
            adam.step()
            schedule.step()

    def score(t: np.ndarray, x: np.ndarray) -> float:
        with torch.no_grad():
            value = nll(torch.from_numpy(inputs(t)), torch.from_numpy(targets(x)))
        return float(value) + math.log(float(targets.std))

    return score
