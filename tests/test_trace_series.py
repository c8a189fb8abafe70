"""Several runs of one graph on one page."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE, NODE
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
