"""Groups on the page: collapsed and expanded in place, by clicks and keys."""

from __future__ import annotations

import itertools

import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE
from tests.explorer_pages import recurrent
from thalweg.report.blocks import blocks_of

pytestmark = [
    pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found"),
    pytest.mark.xdist_group("browser"),
]

PLACES = """
    return Object.fromEntries([...document.querySelectorAll("#graph .card")].map((card) => {
      const { left, top, width, height } = card.querySelector("rect").getBoundingClientRect();
      return [card.dataset.node, [left + width / 2, top + height / 2]];
    }));
"""


@pytest.fixture(scope="module")
def loop():
    return tw.trace(recurrent, 0.1, 0.2, 0.3, 3)


def test_what_is_left_keeps_its_order_and_the_card_its_place(browser, loop):
    browser.open(loop)
    browser.key("0")
    before = browser.js(PLACES)
    blocks = blocks_of(loop.record)
    number, block = next((k, b) for k, b in enumerate(blocks) if b.name == "sigmoid")
    end = str(block.members[-1])
    browser.js("location.hash += `&node=${arguments[0]}`", int(end))
    browser.settle()
    before = browser.js(PLACES)
    browser.key("c")
    after = browser.js(PLACES)
    card = str(len(loop) + number)
    assert after[card] == pytest.approx(before[end], abs=0.01)
    assert set(after) == set(before) - set(map(str, block.members)) | {card}
    moved = [(before[node], after[node]) for node in after if node in before]
    for (a, b), (c, d) in itertools.combinations(moved, 2):
        for axis in (0, 1):
            assert (a[axis] - c[axis]) * (b[axis] - d[axis]) >= -0.01
    browser.key("e")
    assert browser.js(PLACES) == {
        key: pytest.approx(place, abs=0.01) for key, place in before.items()
    }


def test_a_collapsed_group_shows_the_groups_numbers(browser, traced):
    trace = traced["neuron"]
    browser.open(trace, "#collapsed=0")
    card = browser.js(
        "return [...document.querySelectorAll('#graph .card.group text')].map((t) => t.textContent)"
    )
    assert card == ["▸ 0.731059", "sigmoid", "4 nodes", "◂ 1"]
    wires = browser.js(
        "return [...document.querySelectorAll(`#graph .edge[data-target='${arguments[0]}'] text`)]"
        ".map((t) => t.textContent)",
        len(trace),
    )
    assert wires == ["◂ 0.196612"]
    browser.click("#graph .card.group")
    assert browser.text("#panel h2") == "sigmoid"
    assert "0.196612" in browser.text("#panel")
    assert "forward 3 gates fewer" in browser.text("#panel")


def cards(browser):
    browser.key("0")
    return browser.js("return document.querySelectorAll('#graph .card').length")


def test_buttons_keys_and_a_double_click(browser, loop):
    browser.open(loop)
    assert cards(browser) == len(loop)
    browser.click("#panel [data-collapse='0']")
    assert cards(browser) == 4
    assert "collapsed=0" in browser.js("return location.hash")
    browser.click("#panel [data-expand='0']")
    assert cards(browser) == len(loop)
    browser.key("C")
    assert cards(browser) == 4
    browser.js(
        "const card = document.querySelector('#graph .card.group').getBoundingClientRect();"
        "document.getElementById('stage').dispatchEvent(new MouseEvent('dblclick',"
        "{ clientX: card.left + card.width / 2, clientY: card.top + card.height / 2 }));"
    )
    assert cards(browser) == len(loop)
    browser.key("C")
    assert cards(browser) == 4
    browser.driver.back()
    browser.settle()
    assert cards(browser) == len(loop)


def test_search_opens_the_group(browser, loop):
    browser.open(loop, "#collapsed=0")
    browser.key("/")
    browser.key(*"tanh")
    browser.key("\ue007")
    chosen = browser.js("return document.querySelector('#graph .card.chosen').dataset.node")
    assert loop.nodes[int(chosen)].gate == "tanh"
    assert browser.text("#panel h2") == loop.nodes[int(chosen)].label


def test_arrows_go_between_cards(browser, traced):
    browser.open(traced["neuron"], "#collapsed=0&node=8")
    browser.js("document.getElementById('stage').focus()")
    browser.key("\ue014")
    assert browser.text("#panel h2") == "sigmoid"
    browser.key("\ue012")
    assert browser.text("#panel h2") == "s"


def test_wires_meet_cards_whatever_is_collapsed(browser, loop):
    blocks = blocks_of(loop.record)
    for collapsed in ([1], [1, 3], [5, 7], [2, 4, 6]):
        numbers = [k for k in collapsed if k < len(blocks)]
        browser.open(loop, f"#collapsed={','.join(map(str, numbers))}")
        browser.key("0")
        lost = browser.js(
            """
            const cards = [...document.querySelectorAll("#graph .card")].map((c) => c.dataset.node);
            return [...document.querySelectorAll("#graph .edge[data-target]")]
              .filter((edge) => !cards.includes(edge.dataset.target)).length;
            """
        )
        assert lost == 0
        hidden = {str(i) for k in numbers for i in blocks[k].members}
        assert hidden.isdisjoint(browser.js(PLACES))


def test_nodes_in_groups_keep_their_operands(browser, loop):
    browser.open(loop)
    for node in loop.nodes[len(loop.inputs) : len(loop.inputs) + 6]:
        browser.js("location.hash = `#node=${arguments[0]}`", node.index)
        browser.settle()
        rows = browser.texts("#panel table.list tr td.text")
        assert len(rows) >= len(node.inputs)
