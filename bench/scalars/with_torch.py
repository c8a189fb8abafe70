"""S1 and S2 with PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from bench.scalars import POINT, Moons, moons_loss, product
from bench.workload import Prepared, Setting


def product_eager(problem: None, setting: Setting) -> Prepared:
    """From Python floats to three gradients."""
    torch.set_num_threads(setting.threads)

    def gradient() -> Any:
        values = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in POINT]
        return torch.autograd.grad(product(*values), values)

    return Prepared(gradient, lambda: [[d.item() for d in gradient()]])


def moons(problem: Moons, setting: Setting) -> Prepared:
    """Tensors without dimensions."""
    torch.set_num_threads(setting.threads)
    w = torch.tensor(problem.w, requires_grad=True)

    def gradient() -> Any:
        return torch.autograd.grad(moons_loss(w.unbind(), problem, torch.relu), w)

    return Prepared(gradient, lambda: [gradient()[0].numpy()])
