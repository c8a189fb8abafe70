"""Ten views of the explorer as pictures; THALWEG_PICTURES=folder keeps them, to be looked at."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE, AXE
from tests.explorer_pages import chain, gallery

pytestmark = [
    pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found"),
    pytest.mark.xdist_group("browser"),
]


def diverging(x):
    with np.errstate(all="ignore"):
        return np.sum(np.sqrt(x) / np.log(x))


#: Name → graph, fragment, keys, what the page then shows.
VIEWS = {
    "circuit": ("circuit", "#node=3", "", "#graph .card.chosen"),
    "steps": ("neuron", "#step=18", "", "#graph .card"),
    "big node": ("neuron", "#collapsed=0&node=13", "", "#graph .card.group"),
    "local Jacobian": ("classifier", "#node=9", "", "#panel canvas.spy"),
    "two nodes": ("fan out", "#node=2&other=6", "", "#panel .paths li"),
    "output unit": ("density network", "", "", "#panel .unitplot .part"),
    "heat": ("vanishing", "#heat=1", "0", "#scale i"),
    "not finite": ("diverging", "#theme=dark", "0", "#graph .card.producer"),
    "calls of a cell": ("GRU, 20 steps", "#collapsed={calls}", "0", "#graph .card.group"),
    "ten thousand nodes": ("ten thousand", "#theme=dark", "0", "#overview:not([hidden])"),
}


@pytest.fixture(scope="module")
def makers(traced):
    return gallery() | {
        "fan out": lambda: traced["fan_out"],
        "vanishing": lambda: tw.trace(chain, 0.9, 0.4, 9),
        "diverging": lambda: tw.trace(diverging, np.array([4.0, 1.0, 2.0])),
    }


def test_there_are_ten():
    assert len(VIEWS) == 10


@pytest.mark.parametrize("view", VIEWS)
def test_a_view(browser, makers, tmp_path, view):
    name, fragment, keys, shown = VIEWS[view]
    trace = makers[name]()
    if "{calls}" in fragment:
        data = enumerate(tw.report.page.page_data(trace.record)["blocks"])
        numbers = [str(k) for k, block in data if block["kind"] == "call"]
        assert len(numbers) == 20
        fragment = fragment.format(calls=",".join(numbers))
    browser.open(trace, fragment)
    if keys:
        browser.key(*keys)
    assert browser.js("return document.querySelectorAll(arguments[0]).length", shown) > 0
    if AXE.exists():
        assert browser.violations() == []
    folder = Path(os.environ.get("THALWEG_PICTURES") or tmp_path)
    path = folder / f"explorer {view}.png"
    assert browser.driver.save_screenshot(str(path))
    assert path.stat().st_size > 10_000
