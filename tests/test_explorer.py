"""The explorer without a browser: the drawing, the data, the file."""

from __future__ import annotations

import itertools
import json
import random
import re
import sys
import webbrowser
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

import thalweg as tw
from tests.explorer_pages import chain, circuit, traces
from thalweg.cli import main
from thalweg.errors import DataError
from thalweg.report.layout import COLUMN_GAP, ROW_GAP, Edge, layered
from thalweg.report.layout_order import crossings
from thalweg.report.layout_place import place
from thalweg.report.page import page_data
from thalweg.report.page_values import Detail, choose_detail, heat_map, histogram, pack

STATIC = Path(tw.__file__).parent / "report" / "static"


def some_graph(seed, count=60, near=25):
    rng = random.Random(seed)
    sizes = [(rng.choice([40, 80, 120]), rng.choice([40, 60, 100])) for _ in range(count)]
    edges = [
        Edge(rng.randrange(max(0, node - near), node), node, 20, 10 + 12 * k)
        for node in range(4, count)
        for k in range(rng.randrange(0, 3))
    ]
    return sizes, edges


# ---- the drawing --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_cards_do_not_overlap_and_edges_go_right(seed):
    sizes, edges = some_graph(seed)
    drawing = layered(sizes, edges)
    for edge in edges:
        assert drawing.layers[edge.source] < drawing.layers[edge.target]
    for left, right in itertools.pairwise(drawing.columns):
        assert right.x >= left.x + left.width + COLUMN_GAP - 1e-6
    for node, (width, _) in enumerate(sizes):
        assert width <= drawing.columns[drawing.layers[node]].width
    for a, b in itertools.combinations(range(len(sizes)), 2):
        if drawing.layers[a] == drawing.layers[b]:
            first, second = sorted((a, b), key=drawing.tops.__getitem__)
            gap = drawing.tops[second] - drawing.tops[first] - sizes[first][1]
            assert gap >= ROW_GAP - 0.2


@pytest.mark.parametrize("seed", range(3))
def test_way_points_keep_clear_of_cards(seed):
    sizes, edges = some_graph(seed)
    drawing = layered(sizes, edges)
    crossed = 0
    for node, way in enumerate(drawing.ways):
        for column, height in enumerate(way, drawing.layers[node] + 1):
            for other, (_, size) in enumerate(sizes):
                if drawing.layers[other] == column:
                    top = drawing.tops[other]
                    assert not top - 1 < height < top + size + 1
                    crossed += 1
    assert crossed


def test_the_drawing_is_the_same_each_time():
    sizes, edges = some_graph(5)
    assert layered(sizes, edges) == layered(list(sizes), list(edges))


def test_a_chain_is_a_straight_line():
    drawing = layered([(40, 30)] * 20, [Edge(i, i + 1, 15, 15) for i in range(19)])
    assert set(drawing.tops) == {0.0}
    assert drawing.layers == list(range(20))


def test_an_input_stands_before_its_first_use():
    edges = [Edge(0, 2, 5, 5), Edge(2, 3, 5, 5), Edge(3, 4, 5, 5), Edge(1, 4, 5, 15)]
    assert layered([(40, 20)] * 5, edges).layers == [0, 2, 1, 2, 3]


def test_nothing_and_one():
    assert layered([], []).columns == []
    assert layered([(10, 20)], []).height == 20


def test_a_swap_undoes_a_crossing():
    drawing = layered([(40, 20)] * 4, [Edge(0, 3, 10, 10), Edge(1, 2, 10, 10)])
    tops = drawing.tops
    assert (tops[0] < tops[1]) == (tops[3] < tops[2])


@pytest.mark.parametrize("seed", range(5))
def test_crossings_against_all_pairs(seed):
    rng = random.Random(seed)
    places = [float(i % 10) for i in range(20)]
    gap = [(rng.randrange(10), 0.0, rng.randrange(10, 20), 0.0) for _ in range(25)]
    ends = [(places[s], places[t]) for s, _, t, _ in gap]
    expected = sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in itertools.combinations(ends, 2))
    assert crossings([gap], places) == expected


def test_a_layer_is_placed_as_isotonic_regression_says():
    rng = np.random.default_rng(1)
    fixed, count = 1, 30
    heights = [10.0] * (fixed + count)
    wanted = rng.normal(size=count) * 100
    joints = [(0, fixed + k, wanted[k], 0.0) for k in range(count)]
    members = [[0], list(range(fixed, fixed + count))]
    centres = np.array(place(members, joints, heights, len(heights), 4.0))[1:]
    offsets = np.arange(count) * 14.0
    least = isotonic_regression(centres - offsets).x
    np.testing.assert_allclose(centres - offsets, least)  # the order and the gaps are kept
    exact = isotonic_regression(wanted - offsets).x
    moved = (centres - offsets) - exact
    assert np.ptp(moved) < 2.0  # up to where the whole stands, and the small inertia


@pytest.mark.parametrize("far", [30, 10_000])
def test_the_work_of_a_drawing_grows_as_the_graph(far):
    """Counted in calls, about 150 a node, which a busy machine does not change."""

    def calls(count):
        rng = random.Random(0)
        edges = [
            Edge(rng.randrange(max(0, node - far), node), node, 40, 20 + 40 * k)
            for node in range(1, count)
            for k in range(2)
        ]
        events = Counter()
        before = sys.getprofile()
        sys.setprofile(lambda _frame, event, _: events.update([event]))
        try:
            layered([(120, 80)] * count, edges)
        finally:
            sys.setprofile(before)
        return events["call"] + events["c_call"]

    few, many = calls(2500), calls(10_000)
    assert many < 5 * few
    assert many < 200 * 10_000


# ---- the data -----------------------------------------------------------------------------


def unpacked(value):
    return np.array(value["data"]).reshape(value["shape"]) if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ["circuit", "neuron", "affine", "fan_out"])
def test_the_data_hold_every_number(name):
    trace = traces()[name]
    data = json.loads(json.dumps(page_data(trace.record), allow_nan=False))
    for node, given in zip(trace.nodes, data["nodes"], strict=True):
        base = data["texts"][given["base"]]
        label = f"{base}.{given['repeat']}" if "repeat" in given else base
        assert (label, data["texts"][given["gate"]]) == (node.label, node.gate)
        assert np.array_equal(unpacked(given["value"]), node.value)
        assert np.array_equal(unpacked(given["upstream"]), node.upstream)
        for edge, operand in zip(node.inputs, given["operands"], strict=True):
            if edge.node is None:
                assert np.array_equal(unpacked(operand["value"]), edge.value)
                continue
            assert operand["node"] == edge.node.index
            assert data["texts"][operand["kind"]] == edge.local.kind
            assert np.array_equal(unpacked(operand["downstream"]), edge.downstream)
            size = operand.get("size", [1, 1, 1, 8])
            assert size[:2] == list(edge.local.shape)
            assert size[2] == edge.local.nnz


def test_without_a_backward_pass_there_is_no_gradient():
    data = page_data(tw.trace(np.tanh, np.ones(3)).record)
    assert data["backward"] is False
    assert all("upstream" not in node for node in data["nodes"])
    assert all("downstream" not in edge for node in data["nodes"] for edge in node["operands"])


def test_values_of_all_kinds():
    few = Detail(4, True)
    assert pack(np.float64(1.5), few) == 1.5
    assert pack(np.float64("nan"), few) == "nan"
    assert pack(np.float32(1.5), few) == {"dtype": "float32", "shape": [], "data": [1.5]}
    assert pack(np.array([1, -np.inf]), few)["data"] == [1.0, "-inf"]
    assert pack(np.array(1 + 2j), few)["data"] == [{"re": 1.0, "im": 2.0}]
    assert pack(np.zeros((0, 3)), few) == {"dtype": "float64", "shape": [0, 3], "data": []}
    assert pack((np.float64(1), None), few) == {"parts": [1.0, None]}
    large = pack(np.array([0.0, 1.0, 2.0, np.nan, np.inf]), few)
    assert large["summary"] == [0.0, 1.0, 2.0, 1, 1]
    assert "data" not in large


def test_histogram_counts_every_finite_entry():
    x = np.random.default_rng(0).normal(size=(50, 40))
    counts = histogram(x)
    assert counts == np.histogram(x, bins=len(counts))[0].tolist()
    assert histogram(np.full(7, 3.0)) == [7]
    assert histogram(np.array([np.nan, np.inf])) == []
    assert sum(histogram(np.array([-1.7e308, 1.7e308, np.inf]))) == 2


def test_heat_map():
    heat = heat_map(np.array([[1.0, -1.0, 0.0], [np.nan, np.inf, 0.5]]))
    assert heat["rows"] == 2
    assert heat["max"] == 1.0
    assert list(bytes.fromhex(heat["cells"])) == [255, 1, 128, 0, 255, 192]
    large = np.outer(np.arange(1000.0), np.ones(300))
    cells = np.frombuffer(bytes.fromhex(heat_map(large)["cells"]), np.uint8).reshape(24, 24)
    assert (np.diff(cells[:, 0].astype(int)) > 0).all()
    assert (cells == cells[:, :1]).all()


def test_detail_falls_with_the_number_of_arrays():
    limits = [choose_detail([100] * count).limit for count in (1, 100, 1000, 10_000, 100_000)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] == 1024
    assert limits[-1] < 100


def test_ten_thousand_nodes(tmp_path):
    trace = tw.trace(chain, 0.5, 1.01, 5000)
    path = trace.to_html(tmp_path / "chain.html")
    assert len(trace) > 10_000
    assert path.stat().st_size < 5_000_000


def test_a_thousand_arrays_stay_under_five_megabytes(tmp_path):
    trace = tw.trace(chain, np.ones(900), 1.01, 500, upstream=np.ones(900))
    assert trace.to_html(tmp_path / "arrays.html").stat().st_size < 5_000_000
    whole = tw.trace(chain, np.ones(900), 1.01, 1, upstream=np.ones(900))
    assert len(page_data(whole.record)["nodes"][0]["value"]["data"]) == 900
    assert "data" not in page_data(whole.record, limit=100)["nodes"][0]["value"]


# ---- the file -----------------------------------------------------------------------------


def test_data_cannot_end_the_script():
    name = "</script><script>alert(1)</script><!--\u2028\u2029\u202e'\"&"
    trace = tw.trace(lambda p: p[name] * 2.0, {name: 1.0})
    text = trace._repr_html_() + tw.report.html.page(trace.record._replace(function=name))
    assert "<script>alert" not in text
    assert "\u2028" not in text
    assert "\u202e" not in text


def test_the_page_names_no_other_place(tmp_path):
    text = traces()["circuit"].to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    addresses = set(re.findall(r"\w+://[^\s\"'`)]+", text))
    assert {a for a in addresses if "www.w3.org" not in a} == set()
    assert "default-src 'none'" in text
    assert "unsafe" not in text
    assert "innerHTML" not in text


def test_to_html_gives_the_path_and_says_where_it_cannot_write(tmp_path):
    trace = tw.trace(circuit, -2, 5, -4)
    assert trace.to_html(str(tmp_path / "a.html")) == tmp_path / "a.html"
    with pytest.raises(DataError, match="cannot write"):
        trace.to_html(tmp_path / "no" / "a.html")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_the_modules_of_the_page_can_be_joined():
    """They become one script: a name at the top of a file must stand in no other one."""
    found: dict[str, str] = {}
    names = re.compile(
        r"^(?:export )?(?:async )?(?:const|let|class|function\*?) (\w+|[\[{][^\]}]*)", re.MULTILINE
    )
    for file in STATIC.glob("*.js"):
        for declared in names.findall(file.read_text(encoding="utf-8")):
            for name in re.findall(r"\w+", declared):
                assert found.setdefault(name, file.name) == file.name, name
    assert len(found) > 50


def test_no_text_of_the_modules_goes_over_a_line():
    """Indentation is taken out of pages, and must not be a part of any text."""
    for file in STATIC.glob("*.js"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert line.count("`") % 2 == 0, (file.name, line)


def test_show_opens_the_page(monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    path = tw.trace(circuit, -2, 5, -4).show()
    assert opened == [path.as_uri()]
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    path.unlink()
    path.parent.rmdir()


def test_the_command(tmp_path, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    file = tmp_path / "page.html"
    assert main(["explain", "x * y", "x=2", "y=3", "--html", str(file), "--open"]) == 0
    assert str(file) in capsys.readouterr().out
    assert opened == [file.as_uri()]
    assert "x * y" in file.read_text(encoding="utf-8")
    assert main(["explain", "x * y", "x=2", "y=3", "--open"]) == 2
    assert main(["explain", "x", "x=2", "--html", str(tmp_path / "no" / "page.html")]) == 2
