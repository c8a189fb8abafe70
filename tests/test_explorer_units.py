"""The output unit at the end of a trace: distribution, components, p − y."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, softmax

import thalweg as tw
from tests.explorer_browser import AVAILABLE
from thalweg import heads, nn
from thalweg.report.units import output_units

page_test = pytest.mark.skipif(not AVAILABLE, reason="selenium or chromium not found")
RNG = np.random.default_rng(1)
X = RNG.normal(size=(5, 3))
CLASSES = np.array([0, 2, 1, 1, 0])
SOFT = softmax(RNG.normal(size=(5, 3)), axis=1)
BITS = np.array([0.0, 1, 1, 0, 1])
NUMBERS = RNG.normal(size=5)


def spelled(z):
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(5), CLASSES])


def soft(z):
    return -np.sum(SOFT * (z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)))) / 5


def only(trace):
    (unit,) = output_units(trace.record)
    return unit


@pytest.mark.parametrize(
    ("f", "targets"),
    [
        (lambda z: np.mean(heads.Categorical(3)(z).nll(CLASSES)), np.eye(3)[CLASSES]),
        (lambda z: nn.losses.cross_entropy(z, CLASSES), np.eye(3)[CLASSES]),
        (lambda z: nn.losses.cross_entropy(z, SOFT), SOFT),
        (spelled, np.eye(3)[CLASSES]),
        (soft, SOFT),
    ],
)
def test_softmax(f, targets):
    unit = only(tw.trace(f, X))
    assert (unit.kind, unit.total) == ("categorical", 5)
    for row, z, y in zip(unit.rows, X, targets, strict=True):
        np.testing.assert_allclose(row["p"], softmax(z), rtol=1e-12)
        np.testing.assert_allclose(row["y"], y, atol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda z: np.mean(heads.Bernoulli()(z[:, None]).nll(BITS)),
        lambda z: nn.losses.binary_cross_entropy(z, BITS),
    ],
)
def test_sigmoid(f):
    unit = only(tw.trace(f, X[:, 0]))
    assert unit.kind == "bernoulli"
    for row, z, y in zip(unit.rows, X[:, 0], BITS, strict=True):
        np.testing.assert_allclose(row["p"], [expit(z)], rtol=1e-12)
        assert row["y"] == [y]


def test_gaussians():
    unit = only(tw.trace(lambda z: nn.losses.mse(z, NUMBERS), X[:, 0]))
    assert [row["scale"] for row in unit.rows] == [[1.0]] * 5
    both = only(tw.trace(lambda w, y: nn.losses.mse(X @ w, y), np.ones(3), NUMBERS))
    assert [row["y"] for row in both.rows] == [[y] for y in NUMBERS]
    head = heads.Gaussian()
    features = X[:, :2]
    unit = only(tw.trace(lambda z: np.mean(head(z).nll(NUMBERS)), features))
    p = head(features)
    for i, row in enumerate(unit.rows):
        found = [row[key][0] for key in ("loc", "scale", "y")]
        np.testing.assert_allclose(found, [p.mean[i], p.std[i], NUMBERS[i]], rtol=1e-12)


def test_a_mixture():
    head = heads.MixtureDensity(3)
    features = RNG.normal(size=(5, head.n_features))
    trace = tw.trace(lambda z: np.mean(head(z).nll(NUMBERS)), features)
    unit = only(trace)
    p = head(features)
    assert unit.kind == "mixture"
    for i, row in enumerate(unit.rows):
        np.testing.assert_allclose(row["weights"], softmax(features[i, :3]), rtol=1e-12)
        np.testing.assert_allclose(row["loc"], p.loc[i], rtol=1e-12)
        np.testing.assert_allclose(row["scale"], p.scale[i], rtol=1e-12)
        np.testing.assert_allclose(
            row["responsibilities"], p.responsibilities(NUMBERS)[i], rtol=1e-9
        )
        assert row["y"] == [NUMBERS[i]]


def test_other_ends_have_none(traced):
    for name in ("circuit", "neuron", "affine", "fan_out"):
        assert output_units(traced[name].record) == []
    no_cost = tw.trace(lambda x: np.sum(np.exp((x - 1.0) ** 2)), np.ones(3))
    assert output_units(no_cost.record) == []


def test_without_a_backward_pass_targets_are_not_known():
    trace = tw.trace(lambda z: heads.Categorical(3)(z).nll(CLASSES), X)
    assert [row["y"] for unit in output_units(trace.record) for row in unit.rows] == [None] * 5


# ---- in the browser -----------------------------------------------------------------------

CELLS = """
    return [...document.querySelectorAll("#panel table.unit tr")].slice(1).map((row) =>
      [...row.querySelectorAll("td[data-exact]")].map((cell) => Number(cell.dataset.exact)));
"""


@page_test
def test_p_minus_y_row_by_row(browser):
    trace = tw.trace(spelled, X)
    browser.open(trace)
    field = browser.driver.find_element("css selector", "#panel input.rows")
    for i in range(5):
        found = np.array(browser.js(CELLS))
        p, y = softmax(X[i]), np.eye(3)[CLASSES[i]]
        np.testing.assert_allclose(found, np.stack([p, y, p - y], 1), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found[:, 2] / 5, trace["z"].upstream[i], rtol=1e-9)
        cost = browser.js("return Number(document.querySelector('[data-cost]').dataset.cost)")
        assert cost == pytest.approx(-np.log(p[CLASSES[i]]))
        assert browser.js("return document.querySelectorAll('.unitplot .bar').length") == 3
        field.send_keys("\ue014")  # right
    assert browser.text("#panel h2") == "spelled"  # the arrows moved the field, not the choice


@page_test
def test_a_mixture_and_its_components(browser):
    head = heads.MixtureDensity(2)
    features = RNG.normal(size=(5, head.n_features))
    trace = tw.trace(lambda z: np.mean(head(z).nll(NUMBERS)), features)
    browser.open(trace)
    assert browser.js("return document.querySelectorAll('.unitplot .part').length") == 2
    weights, loc, scale = (np.array(browser.js(CELLS))[:, k] for k in range(3))
    density = np.sum(weights * stats.norm.pdf(NUMBERS[0], loc, scale))
    cost = browser.js("return Number(document.querySelector('[data-cost]').dataset.cost)")
    assert cost == pytest.approx(-np.log(density), rel=1e-9)
    assert cost == pytest.approx(float(head(features).nll(NUMBERS)[0]), rel=1e-9)


@page_test
def test_what_is_not_finite_is_not_drawn(browser):
    head = heads.Gaussian()
    with np.errstate(all="ignore"):
        features = np.array([[np.nan, 1.0], [2.0, 0.0]])
        trace = tw.trace(lambda w: np.mean(head(features * w).nll(np.zeros(2))), 1.0)
    browser.open(trace)
    assert "not drawn" in browser.text(".unitbox")
    browser.driver.find_element("css selector", "#panel input.rows").send_keys("\ue014")
    assert browser.js("return document.querySelectorAll('.unitplot .whole').length") == 1
