"""The picture of patterns in the documentation: what it shows is so, and it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from tools.patterns import PATH, PATTERNS

KINDS = {
    "tanh of a batch": "diagonal",
    "X W + b, by X": "kronecker",
    "X W + b, by W": "kronecker",
    "softmax of each row": "diagonal + block diagonal",
    "Rosenbrock, Hessian": "tridiagonal",
    "Brusselator, 5 × 5 × 2": "sum of 6 index maps",
    "arrow, Hessian": "rows + gather",
    "bundle adjustment": "sum of 6 index maps",
}


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.title)
def test_patterns(pattern):
    J = pattern.jacobian()
    assert J.kind == KINDS[pattern.title]
    full = (tw.jacobian if pattern.order == 1 else tw.hessian)(pattern.function)(pattern.x)
    np.testing.assert_array_equal(J.pattern.toarray(), np.reshape(full, J.shape) != 0)


def test_the_picture_is_in_the_documentation():
    assert PATH.read_bytes()[:4] == b"\x89PNG"
    page = Path(PATH.parent, "structure.md").read_text(encoding="utf-8")
    assert "](patterns.png)" in page
