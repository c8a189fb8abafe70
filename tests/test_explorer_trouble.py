"""Trouble made visible: saturated and dead units, kinks, gradients' sizes, gates that are wrong."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE
from tests.explorer_pages import chain
from thalweg.report.trouble import gate_errors, symptoms
from thalweg.scipy import special

page_test = pytest.mark.skipif(not AVAILABLE, reason="selenium or chromium not found")


def kinds(trace):
    return {
        trace.nodes[index].label: [symptom.kind for symptom in found]
        for index, found in symptoms(trace.record).items()
    }


def network(x, w, v):
    h = np.maximum(x @ w - np.array([0.0, 9.0, 9.0]), 0)
    g = np.tanh(20 * h)
    s = 1 / (1 + np.exp(-20 * v))
    return np.sum(g) * s


@pytest.fixture(scope="module")
def ill():
    return tw.trace(network, np.ones((4, 2)), np.array([[1.0, 1, 1], [1, 2, 3]]), 0.35)


def test_dead_and_saturated_units(ill):
    found = symptoms(ill.record)
    assert kinds(ill) == {"h": ["dead"], "g": ["saturated"], "s": ["saturated"]}
    (dead,), (saturated,), _ = found.values()
    assert "2 of 3 units in every one of 4 rows" in dead.text
    assert "1 of 3 units in every one of 4 rows" in saturated.text


@pytest.mark.parametrize(
    "relu",
    [
        lambda x: np.maximum(x, 0),
        lambda x: np.maximum(0, x),
        lambda x: np.clip(x, 0, None),
        lambda x: np.where(x > 0, x, 0),
    ],
)
def test_a_dead_unit_in_every_spelling(relu):
    rows = np.array([[1.0, -1, 2], [-3, -2, 1]])
    trace = tw.trace(lambda x: np.sum(relu(x)), rows)
    texts = [symptom.text for found in symptoms(trace.record).values() for symptom in found]
    assert [text for text in texts if "1 of 3 units in every one of 2 rows" in text]
    alive = tw.trace(lambda x: np.sum(relu(x)), np.abs(rows))
    assert not symptoms(alive.record)


@pytest.mark.parametrize("unit", [np.tanh, special.expit, lambda x: 1 / (1 + np.exp(-x))])
def test_saturation_begins_where_the_slope_is_a_hundredth(unit):
    far = 3.0 if unit is np.tanh else 6.0

    def found(x):
        trace = tw.trace(unit, x)
        return [s.kind for group in symptoms(trace.record).values() for s in group]

    for sign in (1, -1):
        assert found(sign * (far + 0.01)) == ["saturated"]
        assert found(sign * (far - 0.05)) == []


@pytest.mark.parametrize(
    ("f", "count"),
    [
        (lambda x: np.sum(np.abs(x)), 1),
        (lambda x: np.sum(np.maximum(x, 0)), 1),
        (lambda x: np.sum(np.clip(x, -1, 2)), 2),
        (lambda x: np.sum(np.maximum(x, x**2 - 2)), 2),
        (lambda x: np.max(x**4 - 4 * x**2), 1),
        (lambda x: np.sum(np.where(x > 0, x, 0)), 1),
    ],
)
def test_kinks_that_were_hit(f, count):
    trace = tw.trace(f, np.array([-1.0, 0.0, 2.0]))
    (text,) = [
        s.text for found in symptoms(trace.record).values() for s in found if s.kind == "kink"
    ]
    assert f"at a kink: {count} of" in text
    assert "kink" not in str(kinds(tw.trace(f, np.array([-1.5, 0.1, 0.2]))))


def test_nothing_ails_a_sound_network(traced):
    assert kinds(traced["neuron"]) == {}
    assert kinds(traced["classifier"]) == {}


@tw.primitive
def wrong_square(x):
    return x * x


@wrong_square.local
def _(out, x):
    return tw.kinds.Diagonal(2.2 * x)


def test_the_check_of_every_gate(traced):
    for trace in traced.values():
        errors = gate_errors(trace.record)
        assert set(errors) == {
            node.index for node in trace if any(edge.local is not None for edge in node.inputs)
        }
        assert max(errors.values()) < 1e-6
    trace = tw.trace(lambda x: np.sum(np.sin(wrong_square(x))), np.array([1.0, 2.0]))
    errors = trace.check()
    bad = {label: error for label, error in errors.items() if error > 1e-5}
    assert len(bad) == 1
    assert next(iter(bad.values())) == pytest.approx(1 / 11, rel=1e-6)


def test_the_check_in_single_precision_and_at_kinks():
    trace = tw.trace(lambda x: np.sum(np.abs(x) * np.exp(x)), np.float32([0, 1, -2]))
    assert max(trace.check().values()) < 1e-3
    complexes = tw.trace(lambda z: np.sum(np.abs(z * z)), np.array([1 + 2j, 3 - 1j]))
    assert max(complexes.check().values()) < 1e-5


# ---- in the browser -----------------------------------------------------------------------

SIGNS = """
    return Object.fromEntries([...document.querySelectorAll("#graph .card")].map((card) =>
      [card.dataset.node, card.querySelector("text.sign")?.textContent ?? ""]));
"""
FILLS = """
    return Object.fromEntries([...document.querySelectorAll("#graph .card")].map((card) =>
      [card.dataset.node, card.querySelector("rect").style.fill]));
"""


@page_test
def test_signs_on_cards_and_words_in_the_panel(browser, ill):
    browser.open(ill)
    browser.key("0")
    signs = browser.js(SIGNS)
    assert {ill.nodes[int(k)].label: sign for k, sign in signs.items() if sign} == {
        "h": "∅",
        "g": "≈",
        "s": "≈",
    }
    assert "To look at: 3 nodes" in browser.text("#panel")
    browser.js("location.hash = `#node=${arguments[0]}`", ill["h"].index)
    browser.settle()
    assert "2 of 3 units" in browser.text("#panel .ailment[data-kind='dead']")


@page_test
def test_the_heat_scale(browser):
    trace = tw.trace(chain, 0.9, 0.6, 25)
    browser.open(trace)
    browser.key("0")
    assert set(browser.js(FILLS).values()) == {""}
    browser.key("h")
    assert browser.js("return document.getElementById('heat').ariaPressed") == "true"
    assert "heat=1" in browser.js("return location.hash")
    fills = browser.js(FILLS)
    alpha = {
        int(k): float(re.search(r"([\d.]+)\)$", fill)[1]) if "rgba" in fill else 1.0
        for k, fill in fills.items()
    }
    nodes = [node for node in trace if node.index in alpha and not node.is_input]
    sizes = [float(abs(node.upstream)) for node in nodes]
    assert max(sizes) / min(sizes) > 1e4
    by_size = sorted(nodes, key=lambda node: float(abs(node.upstream)))
    colours = [alpha[node.index] for node in by_size if abs(node.upstream) < 1]
    assert all(a >= b - 1e-9 for a, b in itertools.pairwise(colours))
    assert not browser.js("return document.getElementById('scale').hidden")
    browser.click("#heat")
    assert set(browser.js(FILLS).values()) == {""}


@page_test
def test_vanishing_and_exploding(browser):
    browser.open(tw.trace(chain, 0.9, 0.5, 40))
    assert "vanishing gradient" in browser.text("#panel")
    browser.open(tw.trace(lambda x: np.exp(x) ** 2, 8.0))
    assert "exploding gradient: up to" in browser.text("#panel")


@page_test
def test_the_check_is_shown_where_it_was_run(browser, traced):
    trace = tw.trace(lambda x: np.sum(np.sin(wrong_square(x))), np.array([1.0, 2.0]))
    browser.open(trace)
    assert browser.text("#panel [data-checked]") is None
    trace.check()
    browser.open(trace)
    assert "greatest relative error 0.0909" in browser.text("#panel [data-checked]")
    index = max(trace.record.errors, key=trace.record.errors.__getitem__)
    browser.click(f"#graph .card[data-node='{index}']")
    shown = browser.js("return document.querySelector('#panel [data-error]').dataset.error")
    assert float(shown) == pytest.approx(1 / 11, rel=1e-6)
    assert "relative error 0.0909" in browser.text("#panel .ailment[data-kind='wrong']")
