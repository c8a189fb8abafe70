"""``python -m bench.density.picture FILE``: draws of two networks beside test images, as PNG.

Left FVSBN, in the middle MADE, both trained shorter than for the figures; right binarised images of
the test set.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from bench.density import SEED, Problem
from bench.density.with_thalweg import Training
from bench.run import say
from bench.workload import Setting

_NETWORKS = (Problem("fvsbn", 10, 1e-2), Problem("made", 10, 4e-3))


def _grid(bits: Any) -> Any:
    return bits[:80].reshape(10, 8, 28, 28).swapaxes(1, 2).reshape(280, 224)


def main(path: str) -> None:
    """Train, draw, write."""
    parts = []
    for problem in _NETWORKS:
        training = Training(problem, Setting(2, "native"))
        for _ in range(problem.epochs):
            training.epoch()
        say(f"{problem.network}: {training.facts()}")
        parts.append(_grid(training.model.sample(SEED, 80)))
    parts.append(_grid(training.data.test))
    gap = np.full((280, 12), 0.4)
    whole = np.hstack([parts[0], gap, parts[1], gap, parts[2]])
    importlib.import_module("matplotlib.image").imsave(path, 1 - whole, cmap="gray", vmin=0, vmax=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
