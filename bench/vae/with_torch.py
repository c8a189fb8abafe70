"""The same network with PyTorch: its layers, its loss functions, its fused Adam."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

__all__ = ["Trainer"]

# As in `thalweg.heads`: a raw output of 0 is a scale of 1.
_UNIT, _LEAST = 0.541324854612918, 1e-6


def _perceptron(layers: Any) -> nn.Sequential:
    parts: list[nn.Module] = []
    for layer in layers:
        linear = nn.Linear(*layer.W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(layer.W.T))
            linear.bias.copy_(torch.tensor(layer.b))
        parts += [linear, nn.ReLU()]
    return nn.Sequential(*parts[:-1])


class Trainer:
    """Begins with the weights of a `thalweg.generative.VAE`."""

    def __init__(self, vae: Any, rate: float, threads: int, seed: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self._encoder = _perceptron(vae.encoder.layers)
        self._decoder = _perceptron(vae.decoder.layers)
        both = [*self._encoder.parameters(), *self._decoder.parameters()]
        self._adam = torch.optim.Adam(both, lr=rate, fused=True)

    def _loss(self, x: Any) -> Any:
        mean, raw = self._encoder(x).chunk(2, dim=1)
        scale = functional.softplus(raw + _UNIT) + _LEAST
        logits = self._decoder(mean + scale * torch.randn_like(mean))
        nll = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (scale * scale + mean * mean - 1).sum() - scale.log().sum()
        return (nll + kl) / len(x)

    def epoch(self, batches: Iterator[np.ndarray]) -> float:
        """The mean loss of the batches, a step each."""
        losses = []
        for x in batches:
            self._adam.zero_grad()
            loss = self._loss(torch.from_numpy(x))
            loss.backward()
            self._adam.step()
            losses.append(loss.item())
        return float(np.mean(losses))
