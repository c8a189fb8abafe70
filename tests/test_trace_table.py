"""The table of a trace in terminals of any width: what is cut, and what never is."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

import thalweg as tw
from thalweg.report.text import display_width, render


def test_narrow_tables_drop_what_tells_least():
    def layer(params, x):
        return np.sum(np.tanh(x @ params["weights"] + params["offsets"]))

    x = np.ones((20, 3))
    x[0, 0] = np.nan
    params = {"weights": np.full((3, 4), 0.125), "offsets": np.linspace(-1.0, 1.0, 4)}
    t = tw.trace(layer, params, x)
    wide, middle, narrow = (render(t.record, width) for width in (250, 160, 80))
    assert "(3, 4) in [0.125, 0.125], mean 0.125" in wide
    assert "mean" not in middle
    assert "[-1, -0.333333, 0.333333, 1]" in wide
    assert "[-1, -0.333, 0" in render(t.record, 110)
    assert "(3, 4) in [0.12" in middle
    assert "matmul left 80×12" in middle
    # In 80 columns: whole shapes, never half of a range; that there is NaN is still told.
    assert " in [" not in narrow
    assert "(20, 4) nan" in narrow
    assert re.search(r"x @ para\S*…\S*\w\"\]", narrow)  # names keep their end


def test_without_a_terminal_there_is_room(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    t = tw.trace(lambda w, x: np.sum(np.exp(w @ x)), np.ones((5, 7)), np.ones((7, 9)))
    with open(os.devnull, "w") as file:
        monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((0, 0)))
        print(t, file=file)
    assert "(7, 9) in [1, 1]" in str(t)


@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_the_table_keeps_to_the_width(width):
    def f(W, x):
        hidden_representation = np.tanh(W @ x)
        total_of_all_squared_entries = np.sum(hidden_representation * hidden_representation)
        return total_of_all_squared_entries

    t = tw.trace(f, np.full((20, 30), 0.01), np.linspace(-1, 1, 30))
    lines = render(t.record, width).splitlines()
    assert all(display_width(line) <= max(width, 88) for line in lines)
    if width >= 88:
        assert all(display_width(line) <= width for line in lines)
    if width == 300:
        assert not any("…" in line for line in lines)
        assert "(20, 30) in [0.01, 0.01], mean 0.01" in "\n".join(lines)


def test_a_repeated_label_keeps_its_number_when_cut():
    def f(x):
        for _ in range(3):
            x = np.sin(x) * np.cos(x) + np.exp(np.sin(x) * np.cos(x))
        return x

    shown = render(tw.trace(f, 0.5).record, 80)
    assert re.search(r"…\S*\.2 ", shown)
    assert re.search(r"…\S*\.3 ", shown)


def test_wide_characters_are_aligned():
    def f(가나다, b):
        합 = 가나다 + b
        return 합 * b

    lines = render(tw.trace(f, 1.0, 2.0).record, 100).splitlines()[3:]
    starts = {display_width(line[: line.index(gate)]) for line, gate in
              zip(lines[1:3], ("input", "input"), strict=True)}  # fmt: skip
    assert len(starts) == 1


def test_what_structure_saves_is_told_where_it_saves():
    x = np.ones((100, 4096))
    told = render(tw.trace(lambda x: np.sum(np.tanh(x)), x).record, 160)
    assert "diagonal 409600×409600" in told
    assert "local Jacobians: held in 3.3 MB; dense they would take 1.3 TB" in told
    assert "held in" not in render(tw.trace(lambda x: np.sum(np.tanh(x)), x[0, :4]).record, 160)
