"""The explorer's features together: no number that is stale, none that gives an answer away."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE, webdriver
from thalweg import nn

pytestmark = [
    pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found"),
    pytest.mark.xdist_group("browser"),
]
CLASSES = np.array([0, 2])
Z = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def cost(z):
    return nn.losses.cross_entropy(z, CLASSES)


def logistic(x, y):
    return 1 / (1 + np.exp(-x)) * y


def gradients(browser, target):
    code = (
        "return [...document.querySelectorAll(`#graph .edge[data-target='${arguments[0]}']"
        " text.gradient`)].map((t) => t.textContent)"
    )
    return browser.js(code, target)


# ---- what if --------------------------------------------------------------------------------


def test_a_collapsed_group_has_no_local_gradient_of_before(browser, traced):
    trace = traced["neuron"]
    browser.open(trace, f"#collapsed=0&node={len(trace)}&what=0:0.5")
    assert "forward 3 gates fewer" in browser.text("#panel")
    assert "0.196612" not in browser.text("#panel")


def test_an_output_unit_says_of_when_it_is(browser):
    trace = tw.trace(lambda w, y: nn.losses.mse(Z @ w, y), np.ones(3), np.array([0.5, 2.0]))
    browser.open(trace, "#what=1:7")
    assert "before inputs were changed" in browser.text("#panel")


def test_saved_data_hold_nothing_of_before(browser):
    trace = tw.trace(lambda x, y: np.sum(np.tanh(x) * 1 / (1 + np.exp(-y))), np.full(3, 25.0), 0.5)
    browser.open(trace, "#what=0:0.1,0.1:0.1,0.2:0.1,1:2")
    browser.js(
        "URL.createObjectURL = (blob) => { window.saved = blob; return '#'; };"
        "HTMLAnchorElement.prototype.click = () => {};"
    )
    browser.click("#json")
    data = json.loads(browser.js("return window.saved.text()"))
    assert data["units"] == []
    assert all(group["local"] is None for group in data["groups"])
    assert not any("symptoms" in node for node in data["nodes"])


# ---- several runs ---------------------------------------------------------------------------


def test_the_output_unit_is_that_of_the_run(browser):
    traces = [tw.trace(cost, Z), tw.trace(cost, -2 * Z)]
    browser.open(tw.TraceSeries(traces))
    for run, z in enumerate((Z, -2 * Z)):
        browser.js("location.hash = `#run=${arguments[0]}`", run)
        browser.settle()
        p = np.exp(z[0]) / np.exp(z[0]).sum()
        shown = browser.js(
            "return [...document.querySelectorAll('#panel table.unit td.value')]"
            ".map((td) => Number(td.dataset.exact))"
        )
        np.testing.assert_allclose(shown, p, rtol=1e-9)


def test_sizes_and_checks_are_those_of_the_run(browser):
    def f(W, x):
        return np.sum(np.tanh(W @ x))

    arrays = np.full((4, 4), 0.25), np.ones(4)
    traces = [tw.trace(f, *(x.astype(dtype) for x in arrays)) for dtype in (float, np.float32)]
    traces[0].check()
    browser.open(tw.TraceSeries(traces))
    assert "Gradient check" in browser.text("#panel")
    product = next(node for node in traces[0] if node.gate == "@").index
    for run, held in ((0, "128 B"), (1, "64 B")):
        browser.js("location.hash = arguments[0]", f"#node={product}&run={run}")
        browser.settle()
        assert f"held in {held}" in browser.text("#panel")
        assert bool(browser.texts("#panel [data-error]")) is (run == 0)
    browser.js("location.hash = '#run=1'")
    browser.settle()
    assert "Gradient check" not in browser.text("#panel")


def test_the_heat_scale_is_that_of_the_run(browser):
    traces = [tw.trace(lambda x: x * x * x, 10.0**k) for k in (0, 4)]
    browser.open(tw.TraceSeries(traces), "#heat=1")
    before = browser.text("#scale")
    browser.key("]")
    assert browser.text("#scale") != before


def test_a_run_of_nan_alone_leaves_a_gap(browser):
    values = [np.full(2000, x) for x in (3.0, np.nan, 5.0)]
    series = tw.TraceSeries([tw.trace(lambda x: np.sum(x * 2), x) for x in values])
    browser.open(series, "#node=0")
    points = browser.js("return document.querySelector('.trend.value polyline').points.length")
    assert points == 2


def test_between_two_nodes_where_the_page_has_no_entries(browser):
    series = tw.TraceSeries([tw.trace(lambda x: np.sum(x * x), np.ones(3) * k) for k in (1, 2)])
    browser.open(series, "#node=0&other=2")
    assert "several runs" in browser.text("#panel [data-none]")
    compiled = tw.compile(lambda x: np.sum(x * x))
    browser.open(tw.trace_compiled(compiled, np.ones(3)), "#node=0&other=1")
    assert "the Jacobian is zero" not in browser.text("#panel")


# ---- the quiz -------------------------------------------------------------------------------


def test_wires_into_a_collapsed_group_wait_for_their_gates(browser, traced):
    trace = traced["neuron"]
    browser.open(trace, "#collapsed=0")
    browser.key("0", "q")
    s = trace["s"]
    while browser.text("#panel h2") != s.label:
        assert gradients(browser, len(trace)) == []
        browser.click("#quiz-reveal")
    assert gradients(browser, len(trace)) == []
    browser.click("#quiz-reveal")
    assert gradients(browser, len(trace)) == [f"◂ {s.upstream:.6g}"]


def test_a_group_keeps_the_answer_that_is_asked_of_its_result(browser):
    trace = tw.trace(logistic, 0.3, 1.75)
    browser.open(trace, "#collapsed=0&other=5")
    browser.key("0", "q")
    asked = trace.nodes[-2]
    assert browser.text("#panel h2") == asked.label  # not the pair, whose Jacobian is the answer
    assert gradients(browser, len(trace) - 1) == [f"◂ {trace['y'].upstream:.6g}"]
    browser.click("#graph .card.group")
    assert "step on" in browser.text("#panel")
    assert browser.texts("#panel .gradient") == []


def test_nothing_in_the_panel_gives_an_answer_away(browser):
    trace = tw.trace(cost, Z)
    browser.open(trace, "#node=0")
    browser.click("#ask")
    assert browser.text("#quiz .equation")
    step = browser.text("#step").split("/")[0]
    for node in ("", f"&node={len(trace) - 1}"):
        browser.js("location.hash = arguments[0]", f"#quiz=1&step={step}{node}")
        browser.settle()
        assert "p − y" not in browser.text("#panel")
        assert browser.js("return !document.getElementById('quiz').hidden")
    browser.js("location.hash = arguments[0]", f"#step={step}")
    browser.settle()
    assert browser.texts("#panel td.gradient")[0] == "…"


# ---- print ----------------------------------------------------------------------------------


def test_a_dark_page_is_printed_on_white(browser, traced):
    browser.open(traced["circuit"], "#theme=dark")
    browser.js(
        "const root = document.documentElement; window.themes = [];"
        "const seen = () => window.themes.push(root.dataset.theme);"
        "new MutationObserver(seen).observe(root, { attributeFilter: ['data-theme'] });"
        "addEventListener('beforeprint', seen);"
    )
    assert base64.b64decode(browser.driver.print_page()).startswith(b"%PDF")
    assert browser.js("return window.themes")[0] == "light"
    assert browser.js("return document.documentElement.dataset.theme") == "dark"


def test_the_whole_graph_is_printed(browser):
    """What lay outside of the window was left out."""

    def chain(x):
        for _ in range(100):
            x = np.tanh(x * 1.01)
        return x

    trace = tw.trace(chain, 0.5)
    browser.open(trace)
    count = "return document.querySelectorAll('#graph .card').length"
    before = browser.js(count), browser.js("return document.getElementById('world').outerHTML")
    assert before[0] < len(trace)
    browser.js(
        "const cards = () => window.printed = [document.querySelectorAll('#graph .card').length,"
        "document.getElementById('graph').getAttribute('viewBox')];"
        "addEventListener('beforeprint', cards);"
    )
    assert base64.b64decode(browser.driver.print_page()).startswith(b"%PDF")
    printed, box = browser.js("return window.printed")
    assert printed == len(trace)
    assert float(box.split()[2]) > 10_000
    browser.settle()
    assert before[0] == browser.js(count)
    assert browser.js("return document.getElementById('graph').getAttribute('viewBox')") is None


# ---- keys -----------------------------------------------------------------------------------


def test_the_focus_stays_in_the_panel_when_a_key_follows_a_link(browser, traced):
    browser.open(traced["circuit"], "#node=3")
    browser.js("document.getElementById('panel').focus()")
    while not browser.js("return document.activeElement.dataset.go"):
        browser.key("\ue004")  # Tab
    browser.key("\ue007")
    assert browser.text("#panel h2") != "q"
    assert browser.js("return document.activeElement.id") == "panel"


@pytest.mark.parametrize("key", [" ", "\ue010", "\ue011"])
def test_playing_and_going_to_the_ends_ends_the_quiz(browser, traced, key):
    browser.open(traced["circuit"])
    browser.key("q")
    assert "quiz=1" in browser.js("return location.hash")
    browser.js("document.getElementById('stage').focus()")
    browser.key(key)
    assert "quiz" not in browser.js("return location.hash")
    assert browser.js("return document.getElementById('quiz').hidden")
    browser.key("\ue00c")  # no longer playing


def test_an_address_without_a_question_is_no_quiz(browser, traced):
    browser.open(traced["circuit"], "#quiz=1")
    browser.key("q")
    assert not browser.js("return document.getElementById('quiz').hidden")


def test_the_quiz_shows_no_pair(browser, traced):
    trace = traced["circuit"]
    browser.open(trace)
    browser.key("q")
    card = browser.driver.find_element("css selector", "#graph .card.output")
    shift = "\ue008"
    webdriver.ActionChains(browser.driver).key_down(shift).click(card).key_up(shift).perform()
    browser.settle()
    assert browser.text("#panel h2") == trace.nodes[-1].label
    assert browser.text("#panel .total") is None
    for node in range(len(trace) - 1):
        fragment = f"#quiz=1&step={len(trace) + 1}&node={node}&other={len(trace) - 1}"
        browser.js("location.hash = arguments[0]", fragment)
        browser.settle()
        assert not browser.js("return document.getElementById('quiz').hidden")
        assert browser.text("#panel .total") is None
