"""Graphs from three nodes to ten thousand: their drawings, their pages, their times."""

from __future__ import annotations

import time

import pytest

from tests.explorer_browser import AVAILABLE, DRAWN, PATIENCE
from tests.explorer_pages import gallery
from thalweg.report.page import page_data

page_test = pytest.mark.skipif(not AVAILABLE, reason="selenium or chromium not found")
FIRST_FIVE = list(gallery())[:5]

#: The saved picture is put back into the page, where it has its fonts; then every label is
#: measured. Gives pairs of labels that overlap, labels over other cards, and over wires.
CROSSINGS = r"""
    const [url, blobs] = [URL.createObjectURL, []];
    URL.createObjectURL = (blob) => { blobs.push(blob); return "#"; };
    HTMLAnchorElement.prototype.click = () => {};
    document.getElementById("svg").click();
    const done = arguments[0];
    blobs[0].text().then((text) => {
      const plain = text.replace(/<style>[^]*?<\/style>| style="[^"]*"/g, ""); // the policy's
      const root = new DOMParser().parseFromString(plain, "image/svg+xml").documentElement;
      const graph = document.getElementById("graph");
      graph.replaceChildren(...[...root.children].filter((child) => child.tagName === "g"));
      const boxes = [...graph.querySelectorAll("text")].map((text) => {
        const { x, y, width, height } = text.getBBox();
        return { text, what: text.textContent, of: text.closest("g"),
          box: [x, y + 0.15 * height, x + width, y + 0.85 * height] };
      }).sort((a, b) => a.box[0] - b.box[0]);
      const apart = (a, b) => a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
      const labels = [];
      for (let i = 0; i < boxes.length; i += 1) {
        for (let j = i + 1; j < boxes.length && boxes[j].box[0] < boxes[i].box[2]; j += 1) {
          if (!apart(boxes[i].box, boxes[j].box)) labels.push([boxes[i].what, boxes[j].what]);
        }
      }
      const cards = [...graph.querySelectorAll(".card")].map((card) => {
        const { x, y, width, height } = card.querySelector("rect").getBBox();
        return { card, box: [x, y, x + width, y + height] };
      });
      const over = boxes.flatMap(({ what, of, box }) => cards
        .filter(({ card, box: body }) => card !== of && !apart(box, body))
        .map(({ card }) => [what, card.dataset.node]));
      const wires = [];
      for (const path of graph.querySelectorAll(".edge path")) {
        const near = path.getBBox();
        const close = boxes.filter(({ box }) =>
          !apart(box, [near.x, near.y, near.x + near.width, near.y + near.height]));
        if (!close.length) continue;
        const length = path.getTotalLength();
        for (let at = 0; at <= length; at += 7) {
          const { x, y } = path.getPointAtLength(at);
          for (const { what, box } of close) {
            if (x > box[0] && x < box[2] && y > box[1] + 1 && y < box[3] - 1) wires.push(what);
          }
        }
      }
      URL.createObjectURL = url;
      done({ count: boxes.length, labels, over, wires: [...new Set(wires)] });
    });
"""


@pytest.fixture(scope="module")
def graphs():
    return {name: make() for name, make in gallery().items()}


@page_test
@pytest.mark.parametrize("name", FIRST_FIVE)
def test_no_label_crosses_another_a_card_or_a_wire(browser, graphs, name):
    trace = graphs[name]
    browser.open(trace)
    found = browser.driver.execute_async_script(CROSSINGS)
    assert found["count"] > 3 * len(trace)
    assert found["labels"] == []
    assert found["over"] == []
    assert found["wires"] == []


@page_test
@pytest.mark.parametrize("name", list(gallery())[3:])
def test_pages_stay_under_five_megabytes(browser, graphs, name):
    path = browser.open(graphs[name])
    assert path.stat().st_size < 5_000_000
    paint = browser.driver.execute_async_script(DRAWN)
    print(f"{name}: {len(graphs[name])} nodes, {path.stat().st_size / 1e6:.2f} MB, {paint:.0f} ms")
    assert 0 < paint < 1000 * PATIENCE


def test_ten_thousand_nodes_have_their_places(graphs):
    trace = graphs["ten thousand"]
    assert len(trace) > 10_000
    started = time.process_time()
    data = page_data(trace.record)
    print(f"the data of {len(trace)} nodes: {time.process_time() - started:.2f} s")
    columns = [node["place"][0] for node in data["nodes"]]
    for node, column in zip(trace, columns, strict=True):
        assert all(columns[e.node.index] < column for e in node.inputs if e.node is not None)
