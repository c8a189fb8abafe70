"""Figures by matplotlib, without its global state: they are made, given back, or written as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.files import write_whole
from thalweg.optional import library

__all__ = ["curves", "panels", "save", "tiles"]

_PANEL = (4.2, 3.2)  # inches


def panels(n: int, rows: int = 1) -> tuple[Any, list[Any]]:
    """A figure with `n` empty panels beside each other, in so many rows.

    Raises
    ------
    DataError
        Where matplotlib is not installed.
    """
    columns = -(-n // rows)
    size = (_PANEL[0] * columns, _PANEL[1] * rows)
    figure = library("matplotlib.figure", "a picture").Figure(figsize=size, layout="constrained")
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(n)]


def save(figure: Any, path: str | Path, dpi: int = 110) -> Path:
    """Write a figure as PNG, whole or not at all.

    Raises
    ------
    DataError
        If the place cannot be written to.
    """
    write_whole(path, lambda file: figure.savefig(file, format="png", dpi=dpi))
    return Path(path)


def curves(panel: Any, lines: Mapping[str, Sequence[float]], title: str) -> None:
    """Numbers by epoch, a line each."""
    for name, line in lines.items():
        marker = "." if len(line) == 1 else ""
        panel.plot(np.arange(1, len(line) + 1), line, label=name, marker=marker)
    panel.set(title=title, xlabel="epoch")
    panel.grid(alpha=0.3)
    if lines and list(lines) != [title]:
        panel.legend()


def tiles(panel: Any, images: Any, title: str, columns: int = 10) -> None:
    """Grey images (n, height, width) in a grid: 0 is white, 1 black."""
    images = np.asarray(images)
    n, height, width = images.shape
    rows = -(-n // columns)
    sheet: Any = np.zeros((rows * columns, height, width))
    sheet[:n] = images
    sheet = np.pad(sheet, ((0, 0), (1, 0), (1, 0)))
    joined = sheet.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2)
    joined = joined.reshape(rows * (height + 1), columns * (width + 1))
    panel.imshow(joined, cmap="gray_r", interpolation="nearest", vmin=0, vmax=1)
    panel.set(title=title, xticks=[], yticks=[])
