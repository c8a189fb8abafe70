"""The notebooks of the examples run from top to bottom, and what is saved shows their graphs."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "notebooks"
pytestmark = pytest.mark.skipif(
    not (FOLDER.exists() and find_spec("nbconvert") and find_spec("ipykernel")),
    reason="needs the source tree and pip install nbconvert ipykernel",
)


@pytest.mark.parametrize(("name", "graphs"), [("backpropagation", 3), ("training", 1)])
def test_a_notebook_runs_and_shows_its_graphs(name, graphs, tmp_path):
    command = "-m jupyter nbconvert --execute --to html --log-level WARN --output-dir".split()
    path = FOLDER / f"{name}.ipynb"
    done = subprocess.run(
        [sys.executable, *command, str(tmp_path), str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    saved = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
    frames = re.findall(r'<iframe sandbox="[^"]*" srcdoc="([^"]*)"', saved)
    assert len(frames) == graphs
    for frame in frames:
        page = html.unescape(frame)
        assert page.startswith("<!doctype html>")
        assert '"format":"thalweg-explorer"' in page
