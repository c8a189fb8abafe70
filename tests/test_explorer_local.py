"""Local Jacobians on the page: pattern, entries, dense form, and sums written out."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE
from thalweg.report.page import page_data
from thalweg.report.page_local import Matrices, local_data, spy
from thalweg.report.page_values import Detail

page_test = pytest.mark.skipif(not AVAILABLE, reason="selenium or chromium not found")
DETAIL = Detail(64, True)


def several(x, m):
    a = m @ x
    b = np.where(a > 0, a, 0.1 * a)
    c = b[np.array([0, 2, 2])]
    d = np.linalg.solve(m + 3 * np.eye(3), c)
    e = np.sort(d)
    return np.sum(np.max(np.outer(e, x), axis=1)) + np.linalg.norm(x)


@pytest.fixture(scope="module")
def trace():
    rng = np.random.default_rng(3)
    return tw.trace(several, rng.normal(size=3), rng.normal(size=(3, 3)))


def dense(data, shape):
    found = np.zeros(shape)
    rows, columns, *entries = data["matrix"]
    np.add.at(found, (rows, columns), entries[0] if entries else 1.0)
    return found


def test_the_entries_of_small_ones_are_there(trace):
    matrices = Matrices(trace.nodes)
    seen = 0
    for node in trace:
        for edge in node.inputs:
            if edge.local is None or edge.local.shape == (1, 1):
                continue
            data = local_data(edge.local, DETAIL, matrices)
            np.testing.assert_array_equal(dense(data, edge.local.shape), edge.local.todense())
            seen += 1
    assert seen > 10


def test_triplets_of_every_kind_give_the_dense_form(trace):
    for node in trace:
        for edge in node.inputs:
            if edge.local is not None:
                rows, columns, entries = edge.local.triplets()
                found = np.zeros(edge.local.shape)
                np.add.at(found, (rows, columns), entries)
                np.testing.assert_array_equal(found, edge.local.todense())


def test_the_picture_of_a_large_one(traced):
    (edge,) = traced["classifier"]["h"].inputs
    picture = spy(edge.local.triplets(), edge.local.shape)
    cells = np.array([int(c, 16) for c in picture["cells"]]).reshape(picture["rows"], -1)
    assert (np.diag(cells) == 1).all()  # a 64th of a cell is not nothing
    assert np.count_nonzero(cells) == len(cells)
    full = spy(
        tw.trace(lambda x, m: m @ x, np.ones(90), np.ones((70, 90)), upstream=np.ones(70))
        .nodes[2]
        .inputs[1]
        .local.triplets(),
        (70, 90),
    )
    assert set(full["cells"]) == {"f"}


def test_many_matrices_become_small_ones():
    def f(x):
        for _ in range(300):
            x = np.sin(x) + x
        return np.sum(x)

    data = page_data(tw.trace(f, np.linspace(0, 1, 100)).record)
    held = sum(
        len(operand.get("matrix", [[]])[0])
        for node in data["nodes"]
        for operand in node["operands"]
    )
    assert held * 27 <= 700_000
    pictures = [o for node in data["nodes"] for o in node["operands"] if "spy" in o]
    assert 0 < len(pictures) <= 600


def test_what_has_no_matrix_has_none():
    data = page_data(
        tw.trace(lambda z: np.abs(np.conj(z)) ** 2, np.array([1 + 2j]), upstream=np.ones(1)).record
    )
    assert any("matrix" not in o for node in data["nodes"] for o in node["operands"])


# ---- in the browser -----------------------------------------------------------------------


@page_test
def test_show_dense_is_the_matrix(browser, trace):
    browser.open(trace)
    shown = 0
    for node in trace:
        edges = [e for e in node.inputs if e.local is not None and e.local.shape != (1, 1)]
        if not edges:
            continue
        browser.js("location.hash = `#node=${arguments[0]}`", node.index)
        browser.settle()
        for k in range(len(edges)):
            browser.js(
                "const all = [...document.querySelectorAll('#panel details')]"
                ".filter((d) => d.textContent.startsWith('show dense'));"
                "all[arguments[0]].open = true",
                k,
            )
        browser.settle()
        tables = browser.js(
            "return [...document.querySelectorAll('#panel table.dense')]"
            ".map((t) => [...t.rows].map((r) => [...r.cells].map((c) => Number(c.textContent))))"
        )
        for table, edge in zip(tables, edges, strict=True):
            np.testing.assert_allclose(table, edge.local.todense(), rtol=1e-5, atol=1e-12)
            shown += 1
    assert shown > 10


@page_test
def test_a_large_one_is_not_shown_dense(browser, traced):
    browser.open(traced["classifier"], f"#node={traced['classifier']['h'].index}")
    assert browser.js("return document.querySelector('#panel button.show').disabled")
    assert "up to 1,024 entries are shown" in browser.text("#panel")
    assert browser.js("return document.querySelectorAll('#panel canvas.spy').length") == 1


@page_test
def test_the_spy_plot_has_colour_where_the_entries_are(browser, traced):
    node = traced["affine"]["q"]
    browser.open(traced["affine"], f"#node={node.index}")
    cells = browser.js(
        "return [...document.querySelectorAll('#panel canvas.spy')].map((c) => ["
        "c.width, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        ".filter((_, i) => i % 4 === 3)])"
    )
    for (width, alpha), edge in zip(cells, node.inputs, strict=True):
        assert width == edge.local.shape[1]
        pattern = np.array(alpha).reshape(edge.local.shape) > 0
        assert np.array_equal(pattern, edge.local.todense() != 0)


@page_test
def test_a_broadcast_sum_is_written_term_by_term(browser, traced):
    trace = traced["affine"]
    browser.open(trace, f"#node={trace['b'].index}")
    lines = browser.texts("#panel .sum")
    assert len(lines) == 4
    for j, line in enumerate(lines):
        left, terms, total = line.split(" = ")
        assert left == f"∂L/∂b[{j}]"
        numbers = [float(term.replace("−", "-").strip("()")) for term in terms.split(" + ")]
        np.testing.assert_allclose(numbers, trace["q"].upstream[:, j], rtol=1e-3)
        np.testing.assert_allclose(float(total), trace["b"].upstream[j], rtol=1e-5)


@page_test
def test_sums_of_products_add_up(browser, trace):
    browser.open(trace, f"#node={trace['x'].index}")
    browser.js("for (const d of document.querySelectorAll('#panel details')) d.open = true")
    lines = browser.texts("#panel .sum")
    assert len(lines) == 3
    for j, line in enumerate(lines):
        _, terms, total = line.split(" = ")
        value = eval(terms.replace("−", "-").replace("·", "*"))
        assert value == pytest.approx(trace["x"].upstream[j], rel=1e-2, abs=1e-3)
        assert float(total) == pytest.approx(trace["x"].upstream[j], rel=1e-5)
