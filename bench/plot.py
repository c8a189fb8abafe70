"""Growth, drawn: seconds against size, a panel a curve, a line a contender; both axes in powers.

Beside a contender's name stands its exponent; `exponents` says the same as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["curves", "draw", "exponent", "exponents"]

#: Panels side by side.
_COLUMNS = 5

Curves = dict[str, dict[str, list[tuple[float, float]]]]


def curves(results: Sequence[dict[str, Any]]) -> Curves:
    """Curve → contender → (size, seconds of the fastest round), by size.

    What else a machine does only adds.
    """
    found: Curves = {}
    for result in results:
        if result["growth"] is None:
            continue
        curve, size = result["growth"]
        for name, entry in result["contenders"].items():
            if entry["state"] == "measured":
                line = found.setdefault(f"{curve}, {result['threads']} thr.", {})
                line.setdefault(name, []).append((size, min(entry["seconds"])))
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


def exponents(results: Sequence[dict[str, Any]]) -> str:
    """Each curve's exponents, Markdown: seconds ~ size^b; empty where nothing grows."""
    rows = [
        f"| {curve} | {points[0][0]:,.0f} – {points[-1][0]:,.0f} | {name} | "
        f"{points[-1][1]:.3g} s | {exponent(points):.2f} |"
        for curve, lines in curves(results).items()
        for name, points in lines.items()
        if len(points) > 1
    ]
    if not rows:
        return ""
    head = ["| curve | sizes |  | the largest | exponent |", "|---|---|---|---|---|"]
    return "\n".join(["### Growth", "", *head, *rows])


def draw(results: Sequence[dict[str, Any]], path: Path, pyplot: Any) -> None:
    """Write the picture; ``pyplot`` is matplotlib's."""
    found = curves(results)
    columns = min(max(1, len(found)), _COLUMNS)
    rows = -(-max(1, len(found)) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.5 * columns, 4 * rows), squeeze=False)
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, (curve, lines) in zip(axes.flat, found.items(), strict=False):
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
