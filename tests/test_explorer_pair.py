"""Two nodes on the page: the Jacobian between them and what each path contributes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE, webdriver
from tests.explorer_pages import chain

pytestmark = [
    pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found"),
    pytest.mark.xdist_group("browser"),
]
NUMBERS = """
    const exact = (selector) =>
      [...document.querySelectorAll(selector)].map((e) => Number(e.dataset.exact));
    return [exact("#panel .total [data-exact]"), exact("#panel .paths [data-exact]")];
"""
TABLE = """
    for (const d of document.querySelectorAll("#panel details")) d.open = true;
    return new Promise((done) => setTimeout(() => done(
      [...document.querySelectorAll("#panel table.dense")].map((t) =>
        [...t.rows].map((r) => [...r.cells].map((c) => Number(c.textContent))))), 50));
"""


def pairs(browser, one, other):
    browser.js("location.hash = `#node=${arguments[0]}&other=${arguments[1]}`", one, other)
    browser.settle()


def derivative(trace, start, end):
    """∂end/∂start by pushing a 1 through the nodes between."""
    tangents = {trace.nodes[start]: 1.0}
    for node in trace.nodes[start + 1 : end + 1]:
        for edge in node.inputs:
            if edge.node in tangents and edge.local is not None:
                pushed = edge.local.push(np.float64(tangents[edge.node]))
                tangents[node] = tangents.get(node, 0.0) + pushed
    return tangents.get(trace.nodes[end])


@pytest.mark.parametrize("name", ["circuit", "fan_out", "neuron"])
def test_all_pairs_of_numbers(browser, traced, name):
    trace = traced[name]
    browser.open(trace)
    none = 0
    for one, other in itertools.combinations(range(len(trace)), 2):
        pairs(browser, other, one)
        expected = derivative(trace, one, other)
        total, paths = browser.js(NUMBERS)
        if expected is None:
            assert total == []
            assert "No path" in browser.text("#panel [data-none]")
            none += 1
            continue
        assert total == [pytest.approx(expected, rel=1e-12)]
        assert sum(paths) == pytest.approx(expected, rel=1e-12)
    assert none


def test_paths_with_their_factors(browser, traced):
    trace = traced["fan_out"]
    browser.open(trace)
    pairs(browser, trace["a"].index, len(trace) - 1)
    a = float(trace["a"].value)
    _, paths = browser.js(NUMBERS)
    assert sorted(paths) == pytest.approx(sorted([a, a, np.cos(a), 1.0]))
    assert "4 paths" in browser.text("#panel")
    shared = "return document.querySelectorAll('#graph .edge.path:not([data-target])').length"
    assert browser.js(shared) == 2  # from a to the last gate, through two columns
    browser.click("#panel .paths li:nth-child(3) .show")
    marked = browser.js(
        "return [...document.querySelectorAll('#graph .card.path')]"
        ".map((card) => Number(card.dataset.node))"
    )
    assert {trace.nodes[i].gate for i in marked} == {"*", "sin", "+"}
    assert len(marked) == 4


def test_a_jacobian_of_arrays(browser, traced):
    trace = traced["affine"]
    browser.open(trace)
    pairs(browser, trace["W"].index, trace["q"].index)
    (table,) = browser.js(TABLE)
    np.testing.assert_allclose(table, np.kron(trace["X"].value, np.eye(4)), rtol=1e-5)
    assert browser.js("return document.querySelectorAll('#panel canvas.spy').length") == 1
    for name in ("X", "W", "b"):
        pairs(browser, trace[name].index, len(trace) - 1)
        tables = browser.js(TABLE)
        for table in tables:  # the whole and its only path
            np.testing.assert_allclose(
                np.ravel(table), trace[name].upstream.ravel(), rtol=1e-5, atol=1e-12
            )
        assert len(tables) == 2


def test_what_is_too_large_is_said(browser, traced):
    trace = traced["classifier"]
    browser.open(trace)
    pairs(browser, 0, len(trace) - 1)
    assert "Not computed" in browser.text("#panel [data-none]")
    assert "tw.jacobian" in browser.text("#panel [data-none]")
    pairs(browser, trace["scores"].index, len(trace) - 1)
    assert "1 × 320, 320 non-zero" in browser.text("#panel")
    wide = tw.trace(lambda x: np.sum(np.tanh(x)), np.ones(600))
    browser.open(wide, "#node=0&other=2")
    assert "does not have the entries of" in browser.text("#panel [data-none]")
    assert "not computed" in browser.text("#panel .paths")


def test_very_many_paths_are_counted_and_some_listed(browser):
    def doubled(x):
        for _ in range(60):
            x = x * 0.5 + x * 0.5
        return x

    trace = tw.trace(doubled, 3.0)
    browser.open(trace)
    pairs(browser, 0, len(trace) - 1)
    total, paths = browser.js(NUMBERS)
    assert total == [1.0]
    assert len(paths) == 40
    assert "1.15e+18 paths" in browser.text("#panel")
    assert "the first 40 are listed" in browser.text("#panel")


def test_a_long_chain(browser):
    trace = tw.trace(chain, 0.5, 1.01, 1500)
    browser.open(trace)
    pairs(browser, 0, len(trace) - 1)
    total, _ = browser.js(NUMBERS)
    assert total == [pytest.approx(float(trace.nodes[0].upstream), rel=1e-9)]


def test_by_shift_and_click(browser, traced):
    trace = traced["circuit"]
    browser.open(trace)
    browser.click(f"#graph .card[data-node='{trace['x'].index}']")
    card = browser.driver.find_element("css selector", "#graph .card.output")

    shift = "\ue008"
    actions = webdriver.ActionChains(browser.driver)
    actions.key_down(shift).click(card).key_up(shift).perform()
    browser.settle()
    assert browser.js(NUMBERS)[0] == [-4.0]
    assert f"other={len(trace) - 1}" in browser.js("return location.hash")
    browser.driver.back()
    browser.settle()
    assert browser.text("#panel h2") == "x"


def test_by_keys(browser, traced):
    trace = traced["circuit"]
    browser.open(trace, f"#node={trace['y'].index}")
    browser.js("document.getElementById('stage').focus()")
    browser.key("m")
    assert "marked" in browser.text("#said")
    browser.key("\ue014", "\ue014")  # right, right
    assert browser.js(NUMBERS)[0] == [-4.0]
    browser.key("m")
    assert browser.text("#panel h2") == "q * z"
    browser.key("m", "\ue012", "\ue00c")  # mark, left, Escape
    assert browser.text("#panel h2") == "circuit"
