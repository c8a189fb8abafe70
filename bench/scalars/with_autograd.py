"""S1 with autograd."""

from __future__ import annotations

import autograd

from bench.scalars import POINT, product
from bench.workload import Prepared, Setting


def product_eager(problem: None, setting: Setting) -> Prepared:
    """`autograd.grad` of all three arguments."""
    gradient = autograd.grad(product, (0, 1, 2))
    return Prepared(lambda: gradient(*POINT), lambda: [gradient(*POINT)])
