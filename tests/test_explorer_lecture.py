"""Parts 6, 7 and 9 of the lecture as pages: their numbers are those of the notes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.explorer_browser import AVAILABLE
from thalweg.cli import main

pytestmark = [
    pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found"),
    pytest.mark.xdist_group("browser"),
]

#: Node → value and gradient, to the six digits of the notes.
CIRCUIT = {"x": (-2, -4), "y": (5, -4), "z": (-4, 3), "q": (3, -4), "f": (-12, 1)}
NEURON = {
    "w0": (2, -0.196612),
    "x0": (-1, 0.393224),
    "w1": (-3, -0.393224),
    "x1": (-2, -0.589836),
    "w2": (-3, 0.196612),
    "w0*x0": (-2, 0.196612),
    "w1*x1": (6, 0.196612),
    "w0*x0 + w1*x1": (4, 0.196612),
    "s": (1, 0.196612),
    "-s": (-1, -0.196612),
    "exp(-s)": (0.367879, -0.534447),
    "1 + exp(-s)": (1.367879, -0.534447),
    "f": (0.731059, 1),
}
AFFINE = {
    "W": ([[0.1, 0.5], [-0.3, 0.8]], [[0.088, 0.176], [0.104, 0.208]]),
    "x": ([0.2, 0.4], [-0.112, 0.636]),
    "q": ([0.22, 0.26], [0.44, 0.52]),
    "q ** 2": ([0.0484, 0.0676], [1, 1]),
    "f": (0.116, 1),
}
X, W, b = np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([[0.1, 0.5], [-0.3, 0.8]]), [0.5, -0.5]
Q = X @ W + b
BATCH = {  # ∂L/∂X = ∂L/∂Q Wᵀ, ∂L/∂W = Xᵀ ∂L/∂Q, ∂L/∂b: the sum over the batch
    "X": (X, 2 * Q @ W.T),
    "W": (W, X.T @ (2 * Q)),
    "b": (b, (2 * Q).sum(axis=0)),
    "X @ W": (X @ W, 2 * Q),
    "Q": (Q, 2 * Q),
    "Q ** 2": (Q**2, np.ones((3, 2))),
    "L": (np.sum(Q**2), 1),
}

CARDS = """
    return [...document.querySelectorAll("#graph .card")].map((card) => {
      const text = (role) => card.querySelector(`text.${role}`)?.textContent.slice(2) ?? null;
      return [Number(card.dataset.node), text("value"), text("gradient")];
    });
"""
WIRES = """
    const wires = document.querySelectorAll("#graph .edge[data-target]:not(.constant)");
    return [...wires].map((edge) => [
      Number(edge.dataset.target), edge.querySelector("text.local").textContent,
      edge.querySelector("text.gradient").textContent.slice(2)]);
"""
PANEL = """
    location.hash = `#node=${arguments[0]}`;
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
      const numbers = (role) => [...document.querySelectorAll(
        `#panel .big.${role}, #panel .scroll.${role} table.entries td`)].map((e) => e.textContent);
      const label = document.querySelector("#panel h2").textContent;
      done([label, numbers("value"), numbers("gradient")]);
    })));
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lecture")
    assert main(["lecture", "--html", str(folder)]) == 0
    return folder


def exhibits(browser, pages, part):
    """Go into each graph of a part of the lecture."""
    browser.driver.get((pages / f"part{part}.html").as_uri())
    frames = browser.driver.find_elements("css selector", "iframe")
    for frame in frames:
        browser.js("arguments[0].scrollIntoView()", frame)
        browser.driver.switch_to.frame(frame)
        browser.settle()
        browser.click("#fit")
        yield
        browser.driver.switch_to.default_content()
    browser.driver.switch_to.default_content()


def close(texts, expected):
    """As many numbers, and the same to six digits."""
    shown = np.array([float(text) for text in texts])
    np.testing.assert_allclose(shown, np.ravel(expected), rtol=6e-6, atol=1e-12)


def every_node(browser, table):
    """The panel's numbers of each node are those of the table; there is no other node."""
    count = len(browser.js(CARDS))
    seen = set()
    for node in range(count):
        label, value, gradient = browser.js(PANEL, node)
        close(value, table[label][0])
        close(gradient, table[label][1])
        seen.add(label)
    assert seen == set(table)


@pytest.mark.parametrize(("part", "table"), [(6, CIRCUIT), (7, NEURON)])
def test_the_scalar_examples(browser, pages, part, table):
    for _ in exhibits(browser, pages, part):
        cards = browser.js(CARDS)
        wires = browser.js(WIRES)
        assert len(cards) == len(table)
        upstream = {node: float(gradient) for node, _, gradient in cards}
        found = sorted((float(value), float(gradient)) for _, value, gradient in cards)
        for shown, expected in zip(found, sorted(table.values()), strict=True):
            assert shown == pytest.approx(expected, rel=6e-6)
        gradients = {abs(gradient) for _, gradient in table.values()}
        for target, local, downstream in wires:
            assert float(local[1:]) * upstream[target] == pytest.approx(float(downstream), rel=2e-5)
            assert any(abs(float(downstream)) == pytest.approx(g, rel=6e-6) for g in gradients)
        every_node(browser, table)


def test_the_big_node_has_the_products_number(browser, pages):
    for _ in exhibits(browser, pages, 7):
        browser.click("#panel [data-collapse='0']")
        browser.click("#graph .card.group")
        text = browser.text("#panel")
        assert "(1 − σ(x)) · σ(x) = 0.196612" in text  # 0.731059 · 0.268941
        assert browser.js(CARDS)[-1][1:] == ["0.731059", "1"]


def test_the_affine_layer(browser, pages):
    for _, table in zip(exhibits(browser, pages, 9), (AFFINE, BATCH), strict=True):
        every_node(browser, table)
