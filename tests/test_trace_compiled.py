"""A compiled call as a trace: its gates, their values, the kernels they run in; the page of it."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE
from thalweg.errors import ThalwegError
from thalweg.report.page import page_data

needs_browser = pytest.mark.skipif(
    not AVAILABLE, reason="selenium, chromium or chromedriver not found"
)


def loss(params, X, y):
    h = np.tanh(X @ params["W"] + params["b"])
    return np.mean((h @ params["v"] - y) ** 2)


def step(params, X, y):
    value, grads = tw.value_and_grad(loss)(params, X, y)
    return {name: x - 0.1 * grads[name] for name, x in params.items()}, value


def _arguments():
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(5, 3)), "b": np.zeros(3), "v": rng.normal(size=3)}
    return params, rng.normal(size=(7, 5)), rng.normal(size=7)


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_the_outputs_and_every_value_are_those_of_the_call(backend):
    params, X, y = _arguments()
    kept = {name: x.copy() for name, x in params.items()}
    compiled = tw.compile(step, backend=backend, inplace=0)
    trace = tw.trace_compiled(compiled, params, X, y)
    for name, x in params.items():  # nothing was written to
        np.testing.assert_array_equal(x, kept[name])
    expected, value = step(params, X, y)
    found = [node.value for node in trace.outputs]
    for got, want in zip(found, [expected["W"], expected["b"], expected["v"], value], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    assert [node.label for node in trace.inputs] == [
        "params['W']",
        "params['b']",
        "params['v']",
        "X",
        "y",
    ]
    np.testing.assert_allclose(trace["h"].value, np.tanh(X @ params["W"] + params["b"]))


def test_every_gate_that_costs_something_is_in_a_kernel():
    trace = tw.trace_compiled(tw.compile(step), *_arguments())
    kernels = trace.record.kernels
    members = {node.label for kernel in kernels for node in kernel.members}
    free = {node.gate for node in trace if node.label not in members and not node.is_input}
    assert free <= {"reshape", "transpose"}
    assert all(kernel.bytes > 0 and kernel.members for kernel in kernels)
    text = str(trace)
    assert "backward not run" not in text
    assert all(kernel.name in text for kernel in kernels)


def test_a_step_that_runs_in_numpy_says_why():
    compiled = tw.compile(lambda A: np.sum(np.exp(np.linalg.inv(A))))
    trace = tw.trace_compiled(compiled, np.eye(3) * 2)
    found = {kernel.what.split(":")[0]: kernel for kernel in trace.record.kernels}
    assert [node.gate for node in found["in NumPy"].members] == ["inv"]


def test_the_branch_is_the_one_of_the_arguments():
    compiled = tw.compile(lambda x: np.sin(x) if x > 0 else np.cos(x))
    assert tw.trace_compiled(compiled, 1.0).nodes[-1].gate == "sin"
    assert tw.trace_compiled(compiled, -1.0).nodes[-1].gate == "cos"
    assert tw.trace_compiled(compiled, 2.0).nodes[-1].gate == "sin"
    assert len(compiled.records) == 2


def test_measured_kernels_have_a_time():
    trace = tw.trace_compiled(tw.compile(step), *_arguments(), measure=True)
    for kernel in trace.record.kernels:
        assert kernel.seconds >= 0
        assert kernel.least > 0


def test_what_is_not_compiled_is_refused():
    with pytest.raises(TypeError, match=r"thalweg\.compile"):
        tw.trace_compiled(step, *_arguments())
    with pytest.raises(ThalwegError):
        tw.grad(lambda x: tw.trace_compiled(tw.compile(np.sin), x).nodes[-1].value)(1.0)


@needs_browser
@pytest.mark.xdist_group("browser")
def test_the_page_links_kernels_and_gates_both_ways(browser):
    trace = tw.trace_compiled(tw.compile(step), *_arguments())
    data = page_data(trace.record)
    browser.open(trace)
    assert f"in {len(data['kernels'])} kernels" in browser.text("#subtitle")
    assert browser.text("#warning") == ""
    browser.key("0")
    for number, kernel in enumerate(data["kernels"]):
        browser.click(f"#panel [data-kernel='{number}']")
        marked = browser.js(
            "return [...document.querySelectorAll('#graph .inkernel')].map((e) => e.dataset.node)"
        )
        assert sorted(map(int, marked)) == kernel["members"]
        listed = browser.texts("#panel .kernel-gates .link")
        assert listed == [trace.nodes[i].label for i in kernel["members"]]
        assert f"kernel={number}" in browser.js("return location.hash")
    last = data["kernels"][-1]["members"][0]
    browser.click(f"#panel [data-go='{last}']")
    assert browser.text("#panel h2") == trace.nodes[last].label
    browser.click("#panel .runs-in [data-kernel]")
    assert browser.text("#panel h2") == "step"
