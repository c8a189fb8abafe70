"""Growth, drawn: seconds against size, a panel a curve, a line a contender; both axes in powers.

Beside a contender's name stands its exponent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["curves", "draw", "exponent"]

Curves = dict[str, dict[str, list[tuple[float, float]]]]


def curves(results: Sequence[dict[str, Any]]) -> Curves:
    """Curve → contender → (size, seconds), by size."""
    found: Curves = {}
    for result in results:
        if result["growth"] is None:
            continue
        curve, size = result["growth"]
        for name, entry in result["contenders"].items():
            if entry["state"] == "measured":
                line = found.setdefault(f"{curve}, {result['threads']} thr.", {})
                line.setdefault(name, []).append((size, entry["figure"][0]))
    return {c: {n: sorted(line) for n, line in lines.items()} for c, lines in found.items()}


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """How the seconds grow: b of a · size^b, fitted to the larger half of the sizes.

    Among small ones the cost of a call hides the growth.
    """
    larger = points[len(points) // 2 :] if len(points) > 3 else points
    if len(larger) < 2:
        return float("nan")
    sizes, seconds = np.log(np.array(larger)).T
    return float(np.polyfit(sizes, seconds, 1)[0])


def draw(results: Sequence[dict[str, Any]], path: Path, pyplot: Any) -> None:
    """Write the picture; ``pyplot`` is matplotlib's."""
    found = curves(results)
    figure, axes = pyplot.subplots(
        1, max(1, len(found)), figsize=(4.5 * max(1, len(found)), 4), squeeze=False
    )
    for axis, (curve, lines) in zip(axes[0], found.items(), strict=False):
        for name, points in lines.items():
            sizes, seconds = zip(*points, strict=True)
            label = f"{name}: {exponent(points):.2f}"
            axis.loglog(sizes, seconds, marker=".", label=label)
        axis.set_xlabel(curve)
        axis.set_ylabel("seconds a call")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
