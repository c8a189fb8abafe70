"""Growth, drawn: seconds against size, a panel a curve, a line a contender; both axes in powers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["curves", "draw"]

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


def draw(results: Sequence[dict[str, Any]], path: Path, pyplot: Any) -> None:
    """Write the picture; ``pyplot`` is matplotlib's."""
    found = curves(results)
    figure, axes = pyplot.subplots(
        1, max(1, len(found)), figsize=(4.5 * max(1, len(found)), 4), squeeze=False
    )
    for axis, (curve, lines) in zip(axes[0], found.items(), strict=False):
        for name, points in lines.items():
            axis.loglog(*zip(*points, strict=True), marker=".", label=name)
        axis.set_xlabel(curve)
        axis.set_ylabel("seconds a call")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
