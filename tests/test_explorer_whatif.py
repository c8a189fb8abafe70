"""What if: inputs changed in the explorer's page, every number held against NumPy's."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE, NODE
from tests.explorer_pages import affine, circuit, classifier, fan_out, neuron, recurrent
from thalweg.report.page import page_data
from thalweg.report.program import program_data


def in_browser(test):
    """Marks of a test that needs Chromium."""
    reason = "selenium, chromium or chromedriver not found"
    marked = pytest.mark.skipif(not AVAILABLE, reason=reason)(test)
    return pytest.mark.xdist_group("browser")(marked)


def network(W1, b1, W2, b2, W3, b3):
    rng = np.random.default_rng(3)
    params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "W3": W3, "b3": b3}
    return classifier(params, rng.normal(size=(8, 4)), rng.integers(0, 3, 8))


def shapes(x, y):
    """Slices, joins, gathers, writes, reductions, broadcasting."""
    z = np.concatenate([x[:, ::-1], np.stack([y, y * 2])], axis=1).T
    z[1:3] = z[:2] * y[0]
    picked = z[[0, 2, 2, -1]] - np.mean(z, axis=0)
    spread = np.std(picked, axis=1, keepdims=True) + np.max(np.abs(picked), axis=1, keepdims=True)
    rolled = np.cumsum(np.roll(picked / spread, 1, axis=0), axis=0)
    outer = np.einsum("ij,kj->ik", rolled, picked)
    return (
        np.sum(np.clip(outer, -1, 2)) + np.linalg.norm(x) * np.prod(y) + np.logaddexp(x[0, 0], y[0])
    )


def graphs():
    """Name → function and float arguments."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape)

    return {
        "neuron": (neuron, (2.0, -1.0, -3.0, -2.0, -3.0)),
        "fan_out": (fan_out, (1.5, -0.25)),
        "affine": (affine, (normal(3, 2), normal(2, 4), normal(4))),
        "network": (
            network,
            (normal(4, 5), normal(5), normal(5, 5), normal(5), normal(5, 3), normal(3)),
        ),
        "shapes": (shapes, (normal(2, 3), normal(3))),
    }


def agree(shown, expected, place="data"):
    """Whether two pieces of the page's data are the same up to 1e-9 of what stands there."""
    if isinstance(expected, dict):
        assert set(shown) == set(expected), place
        for key, value in expected.items():
            agree(shown[key], value, f"{place}.{key}")
    elif isinstance(expected, list) and expected and not _numbers(expected):
        assert len(shown) == len(expected), place
        for i, value in enumerate(expected):
            agree(shown[i], value, f"{place}[{i}]")
    elif isinstance(expected, (float, list)):
        x, y = np.array(shown, float), np.array(expected, float)
        scale = max(np.abs(y[np.isfinite(y)]).max(initial=0), 1e-3)
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9 * scale, err_msg=place)
    else:
        assert shown == expected, place


def _numbers(found):
    return all(type(x) in (int, float) or x in ("nan", "inf", "-inf") for x in found)


def changed(args, edits):
    """The arguments with `edits`: (argument, entry, value)."""
    new = [np.array(x) for x in args]
    for place, at, value in edits:
        new[place].reshape(-1)[at] = value
    return tuple(x[()] for x in new)


def kept(data):
    """What of the page's data is numbers of the two passes."""
    keys = ("value", "upstream", "operands")
    nodes = [{key: node[key] for key in keys if key in node} for node in data["nodes"]]
    return {"nodes": nodes, "output_values": data["output_values"]}


#: Goes through addresses one after another; gives what the button JSON saves at each of them.
VISIT = """
    const [fragments, done] = [arguments[0], arguments[1]];
    const blobs = [];
    URL.createObjectURL = (blob) => { blobs.push(blob); return "#"; };
    HTMLAnchorElement.prototype.click = () => {};
    (async () => {
      for (const fragment of fragments) {
        const there = new Promise((ready) => addEventListener("popstate", ready, { once: true }));
        location.hash = fragment;
        await there;
        document.getElementById("json").click();
      }
      done(await Promise.all(blobs.map((blob) => blob.text())));
    })();
"""


def fragment_of(trace, edits):
    parts = [f"{trace.inputs[place].index}.{at}:{value!r}" for place, at, value in edits]
    return "what=" + ",".join(parts).replace("e+", "e")


@in_browser
@pytest.mark.parametrize("name", graphs())
def test_two_hundred_edits_agree_with_numpy(browser, name):
    function, args = graphs()[name]
    trace = tw.trace(function, *args)
    browser.open(trace)
    rng = np.random.default_rng(len(name))
    many = []
    for _ in range(40):
        places = rng.integers(len(args), size=rng.integers(1, 4))
        edits = {
            (int(place), int(rng.integers(np.size(args[place])))): float(rng.normal() * 2)
            for place in places
        }
        many.append([(place, at, value) for (place, at), value in edits.items()])
    texts = browser.driver.execute_async_script(VISIT, [fragment_of(trace, e) for e in many])
    assert len(texts) == 40
    for edits, text in zip(many, texts, strict=True):
        shown = json.loads(text)
        assert len(shown["changes"]) == len(edits)
        expected = page_data(tw.trace(function, *changed(args, edits)).record)
        agree(kept(shown), kept(expected))


def number_field(browser, text):
    field = browser.driver.find_element("id", "whatif-number")
    field.clear()
    field.send_keys(text, "\ue007")
    browser.settle()


def exact(browser):
    """Of the chosen node: value, gradient."""
    code = "return document.querySelector(`#panel .big.${arguments[0]}`).dataset.exact"
    return [float(browser.js(code, role)) for role in ("value", "gradient")]


@in_browser
def test_a_number_that_is_typed_is_computed_with_and_marked(browser):
    trace = tw.trace(neuron, 2.0, -1.0, -3.0, -2.0, -3.0)
    browser.open(trace, f"#node={trace['s'].index}")
    marked = "#graph .card.changed"
    assert browser.texts(marked) == []
    number_field(browser, "3.5")
    new = tw.trace(neuron, 3.5, -1.0, -3.0, -2.0, -3.0)
    np.testing.assert_allclose(exact(browser), (new["s"].value, new["s"].upstream), rtol=1e-12)
    assert browser.texts("#panel [data-before]")[0] == f"in the run: {trace['s'].value:.6g}"
    assert f"output {new.output:.6g}" in browser.text("#subtitle")
    assert browser.text("#whatif-changes") == "w0: 2 → 3.5"
    browser.key("0")
    assert len(browser.texts(marked)) == len(trace)
    assert "what=0:3.5" in browser.js("return location.hash")
    browser.click("#stage")
    browser.key("r")
    assert browser.texts(marked) == []
    assert f"output {trace.output:.6g}" in browser.text("#subtitle")


@in_browser
def test_slider_undo_reset_and_back(browser):
    trace = tw.trace(circuit, -2, 5, -4)
    browser.open(trace, f"#node={trace.nodes[-1].index}")
    slider = browser.driver.find_element("id", "whatif-slider")
    slider.send_keys("\ue014")  # one step on
    browser.settle()
    x = float(browser.js("return document.getElementById('whatif-number').value"))
    assert x > -2
    assert exact(browser)[0] == pytest.approx((x + 5) * -4, rel=1e-12)
    number_field(browser, "10")
    assert exact(browser)[0] == -60
    browser.click("#whatif-undo")
    assert exact(browser)[0] == pytest.approx((x + 5) * -4, rel=1e-12)
    browser.driver.back()
    browser.settle()
    assert exact(browser)[0] == -60
    browser.click("#whatif-reset")
    assert exact(browser)[0] == trace.output
    browser.js("document.getElementById('stage').focus()")
    browser.key("u")
    assert exact(browser)[0] == -60
    browser.key("w", *"7")
    assert browser.js("return document.activeElement.id") == "whatif-number"
    assert exact(browser)[0] == -48


@in_browser
def test_an_entry_is_chosen_in_its_table_or_by_its_index(browser):
    function, args = graphs()["affine"]
    trace = tw.trace(function, *args)
    browser.open(trace, f"#node={trace['W'].index}")
    browser.click("#panel .scroll.value td[data-entry='6']")
    assert browser.js(
        "return [...document.querySelectorAll('#whatif .index')].map((x) => +x.value)"
    ) == [1, 2]
    number_field(browser, "-1.25")
    assert browser.text("#whatif-changes").startswith(f"W[1, 2]: {args[1][1, 2]:.6g} → -1.25")
    new = tw.trace(function, *changed(args, [(1, 6, -1.25)]))
    shown = [float(x) for x in browser.texts("#panel .scroll.gradient table.entries td")]
    np.testing.assert_allclose(shown, new["W"].upstream.ravel(), rtol=1e-5)


@in_browser
def test_another_branch_is_said_and_not_computed(browser):
    def branching(x, y):
        if x > 0:
            return x * y
        return y

    trace = tw.trace(branching, 1.0, 3.0)
    path = browser.open(trace, "#node=0")
    number_field(browser, "-1")
    said = browser.text("#whatif-message")
    assert "True" in said
    assert "False" in said
    assert "test_explorer_whatif.py" in said
    assert exact(browser)[0] == 1.0
    number_field(browser, "2")
    assert exact(browser)[0] == 2.0
    assert browser.js("return document.getElementById('whatif-message').hidden")
    browser.driver.get("about:blank")
    browser.go(path.as_uri() + "#node=0&what=0:-1")
    assert "False" in browser.text("#whatif-message")
    assert exact(browser)[0] == 1.0


@in_browser
def test_a_nan_that_an_input_makes_is_marked(browser):
    browser.open(tw.trace(lambda x, y: np.log(x) * y, 1.0, 2.0))
    number_field(browser, "-1")
    browser.key("0")
    assert len(browser.texts("#graph .card.producer")) == 1
    assert "NaN or Inf begin at" in browser.text("#warning")


@in_browser
def test_what_makes_no_sense_in_an_address_is_left_out(browser):
    trace = tw.trace(circuit, -2, 5, -4)
    browser.open(trace, "#node=0&what=99:1,0.5:2,x,3:1,0:nan,1:7,2:<b>")
    assert browser.text("#whatif-changes") == "y: 5 → 7"
    assert f"output {(-2 + 7) * -4}" in browser.text("#subtitle")


@in_browser
def test_what_cannot_be_computed_again_says_why(browser):
    browser.open(tw.trace(lambda a: np.sum(np.linalg.inv(a)), np.eye(2) + 0.1))
    assert "the gate inv is not computed again" in browser.text("#whatif")
    assert browser.driver.find_elements("id", "whatif-number") == []


# ---- the program ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "args", "why"),
    [
        (lambda z: np.abs(z * z), (1 + 2j,), "dtype complex128"),
        (lambda x: x[np.argsort(x)][0], (np.array([2.0, 1.0]),), "argsort"),
        (lambda x: np.sum(x * x), (np.arange(200_000.0),), "too large"),
        (lambda x: recurrent(x, x, x, 300), (0.5,), "2,000"),
    ],
)
def test_why_there_is_no_program(function, args, why):
    assert why in program_data(tw.trace(function, *args).record)["missing"]


def test_two_thousand_nodes_have_a_program_of_little_size():
    trace = tw.trace(lambda x, u: recurrent(x, x, u, 105), 0.5, 0.3)
    assert 1_900 < len(trace) <= 2_000
    program = program_data(trace.record)
    assert len(json.dumps(program)) < 600_000


# ---- the quiz -------------------------------------------------------------------------------


def hidden(browser, node):
    """Whether nothing on the stage or in the panel says the gradient of a node."""
    number = f"{float(node.upstream):.6g}"
    shown = browser.js(
        "const card = document.querySelector(`#graph .card[data-node='${arguments[0]}']`);"
        "return [card.querySelector('text.gradient')?.textContent ?? '',"
        " ...[...document.querySelectorAll('#graph .edge.near text.gradient')]"
        ".map((t) => t.textContent),"
        " document.getElementById('panel').querySelector('.gradient')?.textContent ?? '',"
        " document.getElementById('said').textContent]",
        node.index,
    )
    return not any(number in text.replace("◂ ", "").split() for text in shown)


@in_browser
def test_the_quiz_hides_a_gradient_and_checks_what_is_typed(browser):
    trace = tw.trace(neuron, 2.0, -1.0, -3.0, -2.0, -3.0)
    browser.open(trace)
    browser.key("0", "q")
    asked = [node for node in reversed(trace.nodes) if node is not trace.outputs[0]]
    for count, node in enumerate(asked):
        assert browser.text("#panel h2") == node.label
        assert hidden(browser, node)
        assert f"node={node.index}" in browser.js("return location.hash")
        if count == 0:
            browser.key(*"7.5", "\ue007")
            assert browser.text("#quiz-said").startswith("Not 7.5")
            assert browser.text("#panel h2") == node.label
        if count == 1:
            browser.click("#quiz-reveal")
            assert browser.text("#quiz-said") == (
                f"It is {float(node.upstream):.6g}. 0 of 2 at the first try."
            )
            continue
        browser.key(*f"{float(node.upstream):.3g}", "\ue007")
        assert browser.text("#quiz-said").startswith("Right")
    assert f"{len(asked) - 2} of {len(asked)} at the first try" in browser.text("#quiz-said")
    assert "last one" in browser.text("#quiz-said")
    assert "quiz" not in browser.js("return location.hash")
    assert len(browser.texts("#graph .card text.gradient")) == len(trace)


@in_browser
def test_the_quiz_asks_for_an_entry_from_the_chosen_node_on(browser):
    function, args = graphs()["affine"]
    trace = tw.trace(function, *args)
    path = browser.open(trace, f"#node={trace['W'].index}&what=1.0:0.75")
    browser.click("#ask")
    label = browser.text("#quiz .equation")
    row, column = (int(k) for k in label[label.index("[") + 1 : label.index("]")].split(","))
    new = tw.trace(function, *changed(args, [(1, 0, 0.75)]))
    fragment = browser.js("return location.hash")
    browser.driver.get("about:blank")
    browser.go(path.as_uri() + fragment)  # a shared address asks the same
    assert browser.text("#quiz .equation") == label
    browser.key(*repr(float(new["W"].upstream[row, column])), "\ue007")
    assert browser.text("#quiz-said").startswith("Right. 1 of 1")
    assert browser.text("#panel h2") == "X"
    browser.click("#back")
    assert browser.text("#panel h2") == "W"
    browser.click("#quiz-end")
    assert browser.js("return document.getElementById('quiz').hidden")


@in_browser
def test_play_and_pause(browser):
    trace = tw.trace(circuit, -2, 5, -4)
    browser.open(trace, "#step=6")
    browser.key(" ")
    assert browser.text("#play") == "pause"
    until = time.monotonic() + 20
    while browser.text("#step").startswith("6/"):
        assert time.monotonic() < until
        time.sleep(0.02)
    browser.key(" ")
    assert browser.text("#play") == "play"
    step = browser.text("#step")
    time.sleep(1.2)
    assert browser.text("#step") == step
    browser.key(" ")
    while browser.text("#play") == "pause":  # to the end, where it stops by itself
        assert time.monotonic() < until
        time.sleep(0.05)
    assert browser.text("#step").startswith(f"{2 * len(trace)}/{2 * len(trace)}")


@in_browser
def test_without_gradients_there_is_no_quiz(browser):
    browser.open(tw.trace(np.tanh, np.linspace(-1, 1, 5)))
    browser.key("q")
    assert browser.js("return document.getElementById('quiz').hidden")
    assert "backward not run" in browser.text("#warning")


@in_browser
def test_numbers_that_became_longer_still_fit(browser):
    trace = tw.trace(circuit, -2, 5, -4)
    browser.open(trace, "#what=0:-2.123456e-7,1:5.12345e9,2:-0.000412345")
    browser.key("0")
    boxes = browser.js(
        "return [...document.querySelectorAll('#graph text')].map((text) => {"
        "const { left, top, right, bottom } = text.getBoundingClientRect();"
        "return [left, top + 2, right, bottom - 2]; })"
    )
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@in_browser
@pytest.mark.parametrize(
    ("function", "args", "shown"),
    [
        (lambda x: x * x, (np.nan,), "nan"),
        (lambda x: np.exp(-x), (np.inf,), "inf"),
        (lambda x: np.sum(x * 2), (np.full(3, -np.inf),), "-inf"),
        (lambda x, y: np.sum(x) * y, (np.zeros((0, 3)), 2.0), "2"),
    ],
)
def test_inputs_without_a_finite_number_can_be_given_one(browser, function, args, shown):
    with np.errstate(all="ignore"):
        trace = tw.trace(function, *args)
    browser.open(trace)
    assert (
        browser.js(
            "const field = document.getElementById('whatif-number');"
            "return field.value || field.placeholder"
        )
        == shown
    )
    place = len(args) - 1
    for node in trace.nodes:
        browser.js(NODE, node.index)
    number_field(browser, "1.5")
    new = tw.trace(function, *changed(args, [(place, 0, 1.5)]))
    assert browser.text("#whatif-changes").startswith(trace.nodes[place].label)
    assert exact(browser)[0] == pytest.approx(float(new.output), rel=1e-12)


@in_browser
def test_without_any_entry_there_is_nothing_to_change(browser):
    browser.open(tw.trace(lambda x: x * x, np.zeros((0,))), "#what=0:1")
    browser.key("w", "u", "r")
    assert browser.js("return document.getElementById('whatif').hidden")


@in_browser
def test_a_compiled_page_takes_whole_numbers_where_it_must_and_keeps_to_its_branch(browser):
    def branching(x, n, m):
        return np.sum(np.where(m, x * n, 0.0)) if x[0] > 0 else -n

    args = (np.ones(2), np.int64(3), np.array([True, False]))
    trace = tw.trace_compiled(tw.compile(branching), *args)
    places = {node.label: k for k, node in enumerate(trace.inputs)}
    n, m, x = (trace.inputs[places[name]].index for name in "nmx")
    path = browser.open(trace, f"#node={n}")
    for typed, output in (("1.5", 1), ("5", 5), ("-2", -2)):
        number_field(browser, typed)
        assert f"output {output}" in browser.text("#subtitle")
        said = browser.text("#whatif-message")
        assert ("whole" in said) is (typed == "1.5")
    browser.driver.get("about:blank")
    browser.go(f"{path.as_uri()}#what={n}:0.5,{m}:2,{m}.1:1")
    assert browser.text("#whatif-changes").startswith("m[1]: 0 → 1")
    assert "output 6" in browser.text("#subtitle")
    browser.driver.get("about:blank")
    browser.go(f"{path.as_uri()}#what={x}:-1")
    assert "another way" in browser.text("#whatif-message")
    assert "output 3" in browser.text("#subtitle")
