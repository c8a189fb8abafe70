"""Several runs of one graph on one page."""

from __future__ import annotations

import time

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE, NODE, PATIENCE
from thalweg.errors import TracingError


def neuron(w, x):
    s = np.sum(w * x)
    return 1 / (1 + np.exp(-s))


def _traces():
    x = np.array([1.0, 2.0, -1.0])
    return [tw.trace(neuron, np.array([1.0, -0.5, 0.25]) * k, x) for k in range(5)]


def test_what_is_not_one_graph_is_refused():
    first = _traces()[0]
    other = tw.trace(lambda w, x: np.tanh(np.sum(w * x)), np.ones(3), np.ones(3))
    shorter = tw.trace(neuron, np.ones(2), np.ones(2))
    more = tw.trace(lambda w, x: np.exp(neuron(w, x)), np.ones(3), np.ones(3))
    for wrong, said in ((other, "tanh"), (shorter, r"\[2\]"), (more, "nodes")):
        with pytest.raises(TracingError, match=said):
            tw.TraceSeries([first, wrong])
    with pytest.raises(TracingError, match="no trace"):
        tw.TraceSeries([])
    with pytest.raises(TracingError, match="labels"):
        tw.TraceSeries([first], ["a", "b"])


def test_dtypes_may_differ(tmp_path):
    w = np.ones(3, np.float32)
    series = tw.TraceSeries([tw.trace(neuron, w, w), tw.trace(neuron, w * 1.0, w.astype(float))])
    assert series.to_html(tmp_path / "page.html").stat().st_size < 200_000
    assert "srcdoc" in series._repr_html_()


@pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found")
@pytest.mark.xdist_group("browser")
def test_the_slider_runs_through_the_traces(browser):
    traces = _traces()
    series = tw.TraceSeries(traces, [f"step {k}" for k in range(5)])
    path = browser.open(series)
    assert browser.texts("#panel [data-run]") == [f"step {k}" for k in range(5)]
    for k, trace in enumerate(traces):
        assert browser.text("#run-label") == f"step {k}"
        for node in trace:
            if node.shape == ():
                label, value, gradient = browser.js(NODE, f"{node.index}&run={k}")
                assert (label, float(value)) == (node.label, node.value)
                assert float(gradient) == node.upstream
        browser.js("document.getElementById('stage').focus()")
        browser.key("]")
    assert "run=4" in browser.js("return location.hash")
    assert len(browser.texts("#panel svg.trend")) == 2
    browser.key("[")
    assert browser.text("#run-label") == "step 3"
    browser.key("\ue00c")  # Escape
    browser.click("#panel [data-run='1']")
    assert browser.text("#run-label") == "step 1"
    browser.driver.back()
    browser.settle()
    assert browser.text("#run-label") == "step 3"
    browser.driver.get("about:blank")
    browser.go(path.as_uri() + "#run=2")
    shown = browser.texts("#graph .card.output text.value")
    assert shown == [f"▸ {float(traces[2].output):.6g}"]
    browser.driver.get("about:blank")
    browser.go(path.as_uri() + "#run=9")
    assert browser.text("#run-label") == "step 0"


def test_only_two_stand_side_by_side(tmp_path):
    with pytest.raises(TracingError, match="room for two"):
        tw.TraceSeries(_traces()).to_html(tmp_path / "page.html", side_by_side=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found")
@pytest.mark.xdist_group("browser")
def test_side_by_side_the_selection_is_in_step(browser, tmp_path):
    w, x = np.array([1.0, -0.5, 0.25]), np.array([1.0, 2.0, -1.0])
    single = tw.trace(neuron, w.astype(np.float32), x.astype(np.float32))
    series = tw.TraceSeries([tw.trace(neuron, w, x), single], ["float64", "float32"])
    browser.go(series.to_html(tmp_path / "two.html", side_by_side=True).as_uri())
    assert browser.texts("h2") == ["float64", "float32"]
    frames = browser.driver.find_elements("css selector", "iframe")

    def inside(frame, what):
        browser.driver.switch_to.frame(frame)
        found = what()
        browser.driver.switch_to.default_content()
        return found

    def ready():
        return browser.js("return document.documentElement.dataset.ready") == "true"

    def heading():
        return browser.text("#panel h2")

    index = series.traces[0]["s"].index
    until = time.monotonic() + PATIENCE
    while not all(inside(frame, ready) for frame in frames):
        assert time.monotonic() < until
        time.sleep(0.05)
    product = series.traces[0]["s"].inputs[0].node
    for here, there, label, selector in (
        (0, 1, "s", f"#graph .card[data-node='{index}']"),
        (1, 0, product.label, f"#panel [data-go='{product.index}']"),
    ):
        inside(frames[here], lambda selector=selector: browser.click(selector))
        while inside(frames[there], heading) != label:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert inside(frames[1], lambda: browser.text("#panel .where")).endswith("float32 [3]")
