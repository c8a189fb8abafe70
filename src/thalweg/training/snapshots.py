"""Pages of chosen steps for the explorer, and the one that runs through them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from thalweg.files import make_folder, write_text
from thalweg.report.trace import Trace
from thalweg.report.training import index

__all__ = ["Snapshots"]

_NAME = re.compile(r"step-(\d+)\.html")
_LIMIT = 256  # entries of an array that is written out


@dataclass(frozen=True)
class Snapshots:
    """Where the pages of a training go, and of which steps they are.

    A page is the trace of the loss with the parameters before the step, on the step's batch.
    ``index.html`` in the folder has a slider that runs through them.

    Parameters
    ----------
    folder : path
        Made where it is not there.
    steps : sequence of int, optional
        Numbers of steps made before; by default 0, 1, 2, 5, 10, 20, 50, 100, …
    """

    folder: str | Path
    steps: tuple[int, ...] | None = None

    def wants(self, step: int) -> bool:
        """Whether there is to be a page of this step."""
        if self.steps is not None:
            return step in self.steps
        return step == 0 or str(step).rstrip("0") in ("1", "2", "5")

    def save(self, step: int, trace: Trace) -> Path:
        """Write a step's page, and the page of all that are there.

        Raises
        ------
        DataError
            If the folder cannot be written to.
        """
        folder = make_folder(self.folder)
        path = trace.to_html(folder / f"step-{step:010d}.html", _LIMIT)
        there = [found for p in folder.iterdir() if (found := _NAME.fullmatch(p.name))]
        write_text(folder / "index.html", index({int(found[1]): found[0] for found in there}))
        return path
