"""The same networks in PyTorch, eager: masked linear layers; NADE bit by bit."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bench.density import BATCH, Problem, batches, images
from bench.workload import Prepared, Setting

_PART = 10  # one in so many batches of an epoch is taken


class Masked(nn.Linear):
    """A layer some of whose weights are held at 0."""

    def __init__(self, mask: Any) -> None:
        super().__init__(*mask.shape)
        self.register_buffer("mask", torch.tensor(mask.T, dtype=torch.float32))

    def forward(self, x: Any) -> Any:
        return functional.linear(x, self.weight * self.mask, self.bias)


class Made(nn.Module):
    """One hidden layer, and direct connections."""

    def __init__(self, bits: Any, degrees: Any) -> None:
        super().__init__()
        self.first = Masked(degrees >= bits[:, None])
        self.last = Masked(bits > degrees[:, None])
        self.direct = Masked(bits > bits[:, None])

    def forward(self, x: Any) -> Any:
        return self.last(torch.relu(self.first(x))) + self.direct(x)


class Nade(nn.Module):
    """The sums of the hidden units grow from bit to bit."""

    def __init__(self, d: int, h: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.randn(d, h) * (2 / (d + h)) ** 0.5)
        self.V = nn.Parameter(torch.randn(d, h) * (2 / (d + h)) ** 0.5)
        self.b = nn.Parameter(torch.zeros(d))
        self.c = nn.Parameter(torch.zeros(h))

    def forward(self, x: Any) -> Any:
        a = self.c.expand(len(x), -1)
        logits = []
        for column, w, v in zip(x.T, self.W, self.V, strict=True):
            logits.append(torch.sigmoid(a) @ v)
            a = torch.addcmul(a, column[:, None], w)
        return torch.stack(logits, dim=1) + self.b


def network(problem: Problem) -> nn.Module:
    """With PyTorch's own first weights (NADE: with those of Thalweg's spread)."""
    d, h = problem.n_bits, problem.n_hidden
    if problem.network == "nade":
        return Nade(d, h)
    bits = np.arange(1, d + 1)
    if problem.network == "fvsbn":
        return Masked(bits > bits[:, None])
    degrees = 1 + np.arange(h) * (d - 1) // h
    return Made(bits, degrees)


def trained(problem: Problem, setting: Setting) -> Prepared:
    """Parts of epochs with fused Adam."""
    torch.set_num_threads(setting.threads)
    torch.manual_seed(0)
    data = images()
    model = network(problem)
    optimiser = torch.optim.Adam(model.parameters(), lr=problem.rate, fused=True)

    def some(count: int) -> None:
        for x in torch.from_numpy(batches(data.train, 0)[:count]):
            optimiser.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(model(x), x, reduction="sum")
            (loss / len(x)).backward()
            optimiser.step()

    def seconds() -> float:
        count = len(data.train) // BATCH // _PART
        begun = time.perf_counter()
        some(count)
        return (time.perf_counter() - begun) * _PART

    some(3)  # first calls are slower
    return Prepared(lambda: None, list, seconds=seconds)
