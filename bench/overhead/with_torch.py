"""O1 with PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from bench.overhead import Problem, program
from bench.workload import Prepared, Setting


def eager(problem: Problem, setting: Setting) -> Prepared:
    """`backward`."""
    torch.set_num_threads(setting.threads)
    leaf = torch.tensor(problem.x, requires_grad=True)
    a, b = torch.tensor(problem.a), torch.tensor(problem.b)

    def gradient() -> Any:
        leaf.grad = None
        program(leaf, a, b).backward()
        return leaf.grad

    return Prepared(gradient, lambda: [gradient().numpy()])
