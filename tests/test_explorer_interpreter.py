"""The interpreter of the explorer's page against NumPy, over the op table."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE
from tests.laws import SPECIAL, _on_variables
from tests.op_cases import CASES
from thalweg.errors import ThalwegError
from thalweg.graph.primitive import UFUNCS
from thalweg.report.html import script_of
from thalweg.report.program import program_data
from thalweg.report.program_steps import ELEMENTWISE
from thalweg.tree import flatten

pytestmark = [
    pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found"),
    pytest.mark.xdist_group("browser"),
]

#: Runs programs on other inputs; gives [values, gradients] of all nodes, null: another branch.
RUN = """
    const text = (x) => Number.isFinite(x) ? (Object.is(x, -0) ? "-0" : x) : String(x);
    return JSON.parse(arguments[0]).map(([program, inputs]) => {
      const interpreter = new Interpreter(program);
      const given = interpreter.starts.map((x, i) =>
        ({ ...x, data: x.data.map((_, k) => Number(inputs[i][k])) }));
      const slots = interpreter.run(given);
      if (interpreter.otherBranch(slots)) return null;
      const of = (slot) => slot < 0 ? null : [...slots[slot].data].map(text);
      return program.nodes.map(([value, upstream]) => [of(value), of(upstream)]);
    });
"""


def written(x):
    return [repr(float(y)).replace("inf", "Infinity").replace("nan", "NaN") for y in np.ravel(x)]


def run(browser, jobs):
    browser.driver.get("about:blank")
    text = json.dumps([[program, [written(x) for x in inputs]] for program, inputs in jobs])
    return browser.js(script_of("interpreter") + RUN, text)


def numbers(found):
    return np.array([float(str(x).replace("Infinity", "inf")) for x in found])


def total(call):
    """One number of all that `call` gives, so that there is a gradient."""

    def function(*variables):
        leaves, _ = flatten(call(*variables))
        return sum(np.sum(np.sin(np.arange(1.0, leaf.size + 1).reshape(leaf.shape)) * leaf)
                   for leaf in leaves)  # fmt: skip

    return function


#: Cases that stand at a kink, where the last digit of a value decides which side counts.
AT_A_KINK = ("corrcoef",)


@pytest.mark.slow
def test_every_case_that_it_computes_agrees_with_numpy(browser):
    jobs, traces, cases = [], [], []
    refused = 0
    for case in CASES:
        if any(name in case.id for name in AT_A_KINK):
            continue
        call, variables = _on_variables(case, case.operands())
        _, others = _on_variables(case, case.operands(1))
        same = [np.shape(x) for x in variables] == [np.shape(x) for x in others]
        if not variables or not same or any(np.iscomplexobj(x) for x in (*variables, *others)):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                trace = tw.trace(total(call), *variables)
                other = tw.trace(total(call), *others)
            except (ThalwegError, ValueError, TypeError):  # whole numbers, several forms
                continue
            program = program_data(trace.record)
        if "missing" in program:
            refused += 1
            continue
        jobs.append((program, others))
        traces.append(other)
        cases.append(case)
    found = run(browser, jobs)
    compared = set()
    for case, trace, nodes in zip(cases, traces, found, strict=True):
        if nodes is None or len(nodes) != len(trace):
            continue
        for node, (value, upstream) in zip(trace, nodes, strict=True):
            for shown, expected in ((value, node.value), (upstream, node.upstream)):
                if shown is None or expected is None:
                    continue
                expected = np.asarray(expected, float).ravel()
                scale = np.abs(expected[np.isfinite(expected)]).max(initial=1e-3)
                np.testing.assert_allclose(
                    numbers(shown), expected, rtol=1e-9, atol=1e-9 * scale, err_msg=case.id
                )
        compared.add(case.op)
    assert len(compared) > 120, (len(compared), refused)


def test_special_values_are_numpys(browser):
    jobs, expected, names = [], [], []
    for ufunc, rule in UFUNCS.items():
        name = getattr(rule, "name", ufunc.__name__)
        if ufunc.nin > 2 or ufunc.nout > 1 or name not in ELEMENTWISE:
            continue
        grids = [x.ravel() for x in np.meshgrid(*[np.array(SPECIAL)] * ufunc.nin)]
        with np.errstate(all="ignore"):
            trace = tw.trace(lambda *xs, f=ufunc: f(*xs), *[np.ones(len(grids[0]))] * ufunc.nin)
            value = ufunc(*grids)
        program = program_data(trace.record)
        if "missing" in program:
            continue
        jobs.append((program, grids))
        expected.append(np.asarray(value, float))
        names.append(name)
    for name, value, nodes in zip(names, expected, run(browser, jobs), strict=True):
        shown = numbers(nodes[-1][0])
        np.testing.assert_allclose(shown, value, rtol=1e-12, err_msg=name)
        zeros = value == 0
        signs = np.signbit(shown[zeros]) == np.signbit(value[zeros])
        if name not in ("maximum", "minimum", "fmax", "fmin"):  # which zero: NumPy leaves it open
            assert signs.all(), (name, np.flatnonzero(zeros)[~signs])
    assert len(names) > 50
