"""`trace`: what it keeps, and how it is shown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.report.text import local_text, render, table


def circuit(x, y, z):
    q = x + y
    return q * z


@pytest.fixture(name="example")
def _example():
    return tw.trace(circuit, -2, 5, -4)


# ---- inputs -----------------------------------------------------------------------------------


def test_integers_become_floats_where_nothing_is_floating(example):
    assert [node.dtype for node in example.inputs] == [np.float64] * 3
    mixed = tw.trace(lambda x, n: x**n, 2.0, 3)  # an exponent stays an integer
    assert [node.name for node in mixed.inputs] == ["x"]
    flags = tw.trace(lambda x, flag: x * 2 if flag else x, 2, True)
    assert [node.name for node in flags.inputs] == ["x"]


@pytest.mark.parametrize("args", [(), (np.arange(3),), ("text",), (True,)])
def test_nothing_to_differentiate(args):
    with pytest.raises(tw.errors.DtypeError, match="nothing to differentiate"):
        tw.trace(lambda *a: 1.0, *args)


def test_trees_and_keywords():
    @dataclass
    class Layer:
        weight: Any
        bias: Any
        size: int = 2

    def f(params, *xs, scale, mode="plain"):
        out = params["layer"].weight @ xs[0] + params["layer"].bias + xs[1]
        return np.sum(out) * scale

    layer = Layer(np.ones((2, 3)), np.zeros(2))
    t = tw.trace(f, {"layer": layer, "step": 3}, np.ones(3), 0.5, scale=2.0)
    assert list(t.gradients) == [
        "params['layer']['weight']", "params['layer']['bias']", "xs[0]", "xs[1]", "scale",
    ]  # fmt: skip
    np.testing.assert_array_equal(t["xs[0]"].upstream, [4.0, 4.0, 4.0])
    assert float(t["scale"].upstream) == 7.0


def test_later_mutation_does_not_matter():
    x, w = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    t = tw.trace(lambda x: np.sum(x * w), x)
    x[:] = 0
    w[:] = 0
    np.testing.assert_array_equal(t["x"].value, [1.0, 2.0])
    np.testing.assert_array_equal(t["x"].upstream, [3.0, 4.0])
    product = t["x * w"]
    np.testing.assert_array_equal(product.inputs[1].value, [3.0, 4.0])
    np.testing.assert_array_equal(product.inputs[0].local.todense(), np.diag([3.0, 4.0]))


def test_float32_stays():
    t = tw.trace(lambda x: np.sum(np.exp(x)), np.ones(3, np.float32))
    assert {node.dtype for node in t.nodes} == {np.dtype(np.float32)}
    assert {node.upstream.dtype for node in t.nodes} == {np.dtype(np.float32)}


def test_an_error_in_the_function_leaves_nothing_behind():
    def broken(x):
        return x[5]

    with pytest.raises(IndexError):
        tw.trace(broken, np.ones(3))
    assert tw.trace(circuit, 1, 2, 3).gradients["z"] == 3.0


# ---- the backward pass ------------------------------------------------------------------------


def test_every_gradient(example):
    assert {n.label: float(n.upstream) for n in example} == {
        "x": -4.0, "y": -4.0, "z": 3.0, "q": -4.0, "q * z": 1.0,
    }  # fmt: skip
    to_q, to_z = example["q * z"].inputs
    assert to_q.node is example["q"]
    assert (float(to_q.downstream), float(to_z.downstream)) == (-4.0, 3.0)
    assert float(to_q.local.pull(1.0)) == -4.0
    assert float(to_q.local.push(2.0)) == -8.0


def test_other_outputs_need_an_upstream():
    x = np.array([1.0, 2.0])
    t = tw.trace(lambda x: x * x, x)
    assert not t.record.backward
    assert [node.upstream for node in t] == [None, None]
    assert t.nodes[1].inputs[0].downstream is None
    assert t.nodes[1].inputs[0].local.kind == "diagonal"
    assert "backward not run" in str(t)
    assert "backward not run" in repr(t)
    upstream = np.array([1.0, 10.0])
    t = tw.trace(lambda x: x * x, x, upstream=upstream)
    upstream[:] = 0
    np.testing.assert_array_equal(t["x * x"].upstream, [1.0, 10.0])
    np.testing.assert_array_equal(t["x"].upstream, [2.0, 40.0])
    with pytest.raises(tw.errors.ShapeError, match="upstream has shape"):
        tw.trace(lambda x: x * x, x, upstream=np.ones(3))


def test_several_outputs():
    def f(x, y):
        return {"sum": x + y, "product": x * y}

    t = tw.trace(f, 2.0, 3.0, upstream={"sum": 1.0, "product": 10.0})
    assert {k: float(v) for k, v in t.gradients.items()} == {"x": 31.0, "y": 21.0}
    assert t.output == {"sum": 5.0, "product": 6.0}
    assert not tw.trace(f, 2.0, 3.0).record.backward
    with pytest.raises(tw.errors.TreeError):
        tw.trace(f, 2.0, 3.0, upstream=(1.0, 1.0))


def test_complex():
    t = tw.trace(lambda z: np.real(z * z), 1 + 2j)
    assert complex(t["z"].upstream) == 2 * (1 + 2j)
    assert not tw.trace(lambda z: z * z, 1 + 2j).record.backward
    t = tw.trace(lambda z: z * z, 1 + 2j, upstream=1.0)
    assert complex(t["z"].upstream) == 2 * (1 + 2j)
    json.dumps(t.to_dict(), allow_nan=False)
    assert "(1 + 2i)" in t.to_latex()


def test_conjugation_has_no_number():
    t = tw.trace(lambda z: np.conj(z) * z, 1 + 2j, upstream=1.0)
    assert "wirtinger" in str(t)
    assert "wirtinger" in json.dumps(t.to_dict())
    assert t.to_latex()


def test_what_carries_no_derivative():
    def f(x):
        mask = x > 0
        kept = np.where(mask, x, 0.0)
        frozen = tw.detach(x)
        return np.sum(kept * frozen)

    t = tw.trace(f, np.array([-1.0, 2.0]))
    assert not t["mask"].differentiable
    assert t["mask"].upstream is None
    assert t["mask"].inputs[0].local is None
    assert t["frozen"].upstream is None
    assert "no deriv" in str(t)  # a narrow terminal cuts the rest
    np.testing.assert_array_equal(t["x"].upstream, [0.0, 2.0])


def test_an_unused_input_has_gradient_zero():
    t = tw.trace(lambda x, y: x * 2, 1.0, np.ones(2))
    np.testing.assert_array_equal(t["y"].upstream, np.zeros(2))
    t = tw.trace(lambda x: 3.0, 1.0)
    assert float(t["x"].upstream) == 0.0
    assert t.output == 3.0


def test_a_structural_zero_is_zero_not_absent():
    t = tw.trace(lambda x: np.sum(np.sign(x * 2)), np.ones(2))
    np.testing.assert_array_equal(t["x * 2"].upstream, np.zeros(2))
    assert t["np.sign(x * 2)"].inputs[0].local.kind == "zero"
    np.testing.assert_array_equal(t["x"].upstream, np.zeros(2))


def test_inside_another_derivative():
    """A trace within a function that is being differentiated takes its values as they are."""
    seen = []

    def f(x):
        seen.append(tw.trace(lambda y: y * x, x * 2))
        return x * x

    assert float(tw.grad(f)(3.0)) == 6.0
    assert float(seen[0]["y"].upstream) == 3.0
    assert float(seen[0].output) == 18.0


def test_a_note_where_grad_takes_a_stable_form():
    def f(x):
        s = 1 / (1 + np.exp(-x))
        return np.log(s)

    with np.errstate(over="ignore", divide="ignore"):
        t = tw.trace(f, -1000.0)
    assert np.isnan(t["x"].upstream)
    (note,) = t.notes
    assert note == (
        "the plain chain rule gives nan for x; thalweg.grad takes the derivative through a stable "
        "form: 1"
    )
    assert note in str(t)
    assert tw.trace(f, 0.5).notes == []


def test_a_note_where_python_branched():
    t = tw.trace(lambda x: x * 2 if x > 0 else x, 1.0)
    (note,) = t.notes
    assert re.search(r"Python asked for a value at .*test_trace\.py:\d+ \(True\)", note)


# ---- lookup -----------------------------------------------------------------------------------


def test_lookup(example):
    assert example[0] is example["x"]
    assert example[-1] is example["q * z"]
    assert "q" in example
    assert "nope" not in example
    assert len(example) == 5
    assert list(example) == list(example.nodes)
    assert [n.label for n in example.outputs] == ["q * z"]
    assert repr(example) == "<Trace of circuit: 5 nodes, output -12>"
    assert repr(example["q"]) == "<q: +, float64[]>"
    assert repr(example["q"].inputs[0]).startswith("<edge from x: identity 1×1")


def test_input_and_variable_of_the_same_name():
    def f(x):
        x = x * 2
        x = x + 1
        return x

    t = tw.trace(f, 3.0)
    assert [n.label for n in t] == ["x", "x.2", "x.3"]
    assert t["x"] is t[2]
    assert t.inputs[0] is t[0]


# ---- the table --------------------------------------------------------------------------------


def test_table_of_the_lecture(example):
    lines = str(example).splitlines()
    assert lines[1] == "5 nodes, output -12"
    assert [line.split() for line in lines[3:]] == [
        ["node", "gate", "value", "upstream", "to", "local", "downstream"],
        ["x", "input", "-2", "-4"],
        ["y", "input", "5", "-4"],
        ["z", "input", "-4", "3"],
        ["q", "+", "3", "-4", "x", "1", "(identity)", "-4"],
        ["y", "1", "(identity)", "-4"],
        ["q", "*", "z", "*", "-12", "1", "q", "-4", "(diagonal)", "-4"],
        ["z", "3", "(diagonal)", "3"],
    ]


def test_table_has_roles_for_a_front_end(example):
    rows = table(example.record)
    assert {len(row) for row in rows} == {7}
    assert [cell.role for cell in rows[4]] == [
        "name", "gate", "value", "gradient", "name", "local", "gradient",
    ]  # fmt: skip
    painted = render(example.record, 100, lambda text, role: f"<{role}:{text}>")
    assert "<value:3    >" in painted
    assert "<gradient:-4      >" in painted


def test_values_have_six_digits():
    t = tw.trace(lambda x: np.sum(x / 3), np.array([1.0, 1e-9, np.inf]))
    shown = render(t.record, 200)
    assert "[0.333333, 3.33333e-10, inf]" in shown
    assert "output inf" in shown


def test_summary_of_a_large_array():
    x = np.ones((10, 10))
    x[0, 0], x[0, 1] = np.nan, np.inf
    t = tw.trace(lambda x: x * 2, x, upstream=np.zeros((10, 10)))
    assert "(10, 10) in [1, 1], mean 1, 1 nan, 1 inf" in render(t.record, 200)
    assert "(0, 3)" in render(
        tw.trace(lambda x: x * 2, np.ones((0, 3)), upstream=np.ones((0, 3))).record, 200
    )


def test_local_text():
    t = tw.trace(lambda W, x: np.sum(np.tanh(W @ x)), np.ones((2, 2)), np.ones(2))
    product, tanh, total = t.nodes[2:]
    assert local_text(product.inputs[1].local) == "matmul left [[1, 1], [1, 1]]"
    assert local_text(tanh.inputs[0].local).startswith("diagonal [0.0706508")
    assert local_text(total.inputs[0].local) == "sum 1×2"
    assert local_text(None) == "no derivative"


# ---- plain data -------------------------------------------------------------------------------


def test_to_dict(example):
    data = json.loads(json.dumps(example.to_dict(), allow_nan=False))
    assert (data["format"], data["version"]) == ("thalweg-trace", 1)
    assert data["inputs"] == [0, 1, 2]
    assert data["outputs"] == [4]
    q = data["nodes"][3]
    assert q["name"] == "q"
    assert q["expression"] == "x + y"
    assert q["value"] == {"shape": [], "dtype": "float64", "data": 3.0}
    assert q["upstream"]["data"] == -4.0
    assert q["inputs"][0]["node"] == 0
    assert q["inputs"][0]["local"]["kind"] == "identity"
    assert q["inputs"][0]["local"]["nnz"] == 1


def test_to_dict_of_what_json_lacks():
    t = tw.trace(lambda x: np.sum(x * np.arange(3)), np.array([np.nan, np.inf, -np.inf]))
    data = json.loads(json.dumps(t.to_dict(), allow_nan=False))
    assert data["nodes"][0]["value"]["data"] == ["nan", "inf", "-inf"]
    assert data["nodes"][1]["inputs"][1] == {
        "node": None,
        "value": {"shape": [3], "dtype": "int64", "data": [0, 1, 2]},
    }
    short = t.to_dict(limit=2)["nodes"][0]["value"]
    assert short["summary"] == {"min": None, "mean": None, "max": None, "nan": 1, "inf": 2}
    none = tw.trace(lambda x: x * 2, np.ones(2)).to_dict()
    assert none["backward"] is False
    assert none["nodes"][1]["upstream"] is None


# ---- LaTeX ------------------------------------------------------------------------------------


def braces_balance(latex):
    plain = re.sub(r"\\[{}\\]", "", latex)
    depth = 0
    for character in plain:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    return depth == 0


def compiles(latex, tmp_path):
    """Held by TeX itself where it is installed, else by what can be seen in the text."""
    assert braces_balance(latex)
    for name in ("document", "align*"):
        assert latex.count(rf"\begin{{{name}}}") == latex.count(rf"\end{{{name}}}")
    if shutil.which("pdflatex"):
        (tmp_path / "t.tex").write_text(latex)
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_to_latex(example, tmp_path):
    latex = example.to_latex()
    compiles(latex, tmp_path)
    assert r"q &= x + y = \left(-2\right) + 5 = 3" in latex
    assert (
        r"\frac{\partial \mathrm{circuit}}{\partial q} &= "
        r"\frac{\partial \mathrm{circuit}}{\partial \mathrm{circuit}} \cdot "
        r"\frac{\partial \mathrm{circuit}}{\partial q} = 1 \cdot \left(-4\right) = -4"
    ) in latex
    assert r"\usepackage{amsmath}" in latex
    assert latex.isascii()


def test_latex_of_arrays_and_names(tmp_path):
    def f(alpha, w0, 변수, a_b):
        q = alpha * w0 + 변수
        return np.sum(q[0:2] ** 2) * a_b + 1e-7

    t = tw.trace(f, np.ones(2), np.ones(2), np.ones(2), 2.0)
    latex = t.to_latex()
    compiles(latex, tmp_path)
    assert r"\alpha" in latex
    assert "w_{0}" in latex
    assert r"1 \times 10^{-7}" in latex
    assert r"a\_b" in latex
    assert latex.isascii()
    compiles(tw.trace(lambda x: x * 2, np.ones(2)).to_latex(), tmp_path)


# ---- Graphviz ---------------------------------------------------------------------------------


def labels_of(dot):
    """The HTML-like labels, each of which has to be well-formed XML."""
    found = re.findall(r"label=<(.*)>\];", dot)
    for label in found:
        ElementTree.fromstring(f"<label>{label}</label>")
    return found


def drawn(dot, tmp_path):
    labels_of(dot)
    if shutil.which("dot"):
        (tmp_path / "t.dot").write_text(dot)
        subprocess.run(["dot", "-Tsvg", "t.dot"], cwd=tmp_path, check=True, capture_output=True)


def test_to_dot(example, tmp_path):
    dot = example.to_dot()
    drawn(dot, tmp_path)
    assert dot.startswith("digraph trace {")
    assert dot.endswith("}\n")
    name = '<b>+</b><br/><font point-size="9">q</font>'
    assert f'<font color="#1a7f37">3</font><br/>{name}<br/><font color="#cf222e">-4<' in dot
    assert 'n0 -> n3 [label=<<font color="#cf222e">-4</font>>];' in dot


def test_hostile_names(tmp_path):
    hostile = 'a"]; } digraph x { "<b>&amp;\\N\n\x00\x1b[31m%$#_{}~^'

    def f(params):
        return params[hostile] * 2

    f.__name__ = f.__qualname__ = hostile
    t = tw.trace(f, {hostile: 1.0})
    drawn(t.to_dot(), tmp_path)
    assert "digraph x" not in re.sub(r"<.*>", "", t.to_dot())
    compiles(t.to_latex(), tmp_path)
    json.dumps(t.to_dict())
    assert "\x1b" not in str(t)
    assert "\x00" not in str(t)


# ---- size -------------------------------------------------------------------------------------


def test_ten_thousand_nodes():
    def f(x):
        s = x
        for _ in range(5_000):
            s = np.sin(s) + x
        return np.sum(s)

    t = tw.trace(f, np.ones(3))
    assert len(t) == 10_002
    assert len(str(t).splitlines()) < 500
    assert "… 9802 nodes …" in str(t)
    for text in (t.to_text(limit=None), t.to_latex(), t.to_dot(), json.dumps(t.to_dict())):
        assert len(text) > 100_000
    assert [n.label for n in t.all("s")[:3]] == ["s", "s.2", "s.3"]
