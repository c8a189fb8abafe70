"""Losses and penalties against scikit-learn, SciPy and formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.metrics import log_loss, mean_pinball_loss

import thalweg as tw
from thalweg.errors import DtypeError, ShapeError
from thalweg.nn import losses, regularise

RNG = np.random.default_rng(0)
LOGITS, INDICES = 3 * RNG.normal(size=(7, 4)), RNG.integers(0, 4, 7)
SOFT = RNG.dirichlet(np.ones(4), 7)
Z, T = RNG.normal(size=9), RNG.uniform(size=9)
COUNTS = RNG.integers(0, 9, 9)
P = scipy.special.softmax(LOGITS, axis=1)
CALLS = {
    "cross_entropy": lambda z, **o: losses.cross_entropy(
        z[:8].reshape(2, 4), np.array([3, 0]), **o
    ),
    "smoothing": lambda z, **o: losses.cross_entropy(
        z[:8].reshape(2, 4), np.array([3, 0]), smoothing=0.2, **o
    ),
    "soft": lambda z, **o: losses.cross_entropy(z[:8].reshape(2, 4), SOFT[:2], **o),
    "binary": lambda z, **o: losses.binary_cross_entropy(z, T, **o),
    "weston-watkins": lambda z, **o: losses.hinge(z[:8].reshape(2, 4), np.array([3, 0]), **o),
    "crammer-singer": lambda z, **o: losses.hinge(
        z[:8].reshape(2, 4), np.array([3, 0]), kind="crammer-singer", **o
    ),
    "mse": lambda z, **o: losses.mse(z, T, **o),
    "mae": lambda z, **o: losses.mae(z, T, **o),
    "huber": lambda z, **o: losses.huber(z, T, delta=0.7, **o),
    "quantile": lambda z, **o: losses.quantile(z, T, 0.8, **o),
    "gaussian": lambda z, **o: losses.gaussian_nll(z, T, 0.3 * z, **o),
    "poisson": lambda z, **o: losses.poisson_nll(z, COUNTS, **o),
}


def test_values():
    n = np.arange(7)
    each = -np.log(P[n, INDICES])
    close = np.testing.assert_allclose
    close(losses.cross_entropy(LOGITS, INDICES), log_loss(INDICES, P, labels=range(4)))
    close(losses.cross_entropy(LOGITS, np.eye(4)[INDICES], reduction="none"), each)
    close(losses.cross_entropy(LOGITS, SOFT, reduction="none"), -np.sum(SOFT * np.log(P), axis=1))
    smooth = 0.9 * np.eye(4)[INDICES] + 0.1 / 4
    close(
        losses.cross_entropy(LOGITS, INDICES, smoothing=0.1),
        -np.mean(np.sum(smooth * np.log(P), 1)),
    )
    p = scipy.special.expit(Z)
    close(losses.binary_cross_entropy(Z, T), np.mean(-T * np.log(p) - (1 - T) * np.log(1 - p)))
    others = [
        [max(0, 1 + s[j] - s[y]) for j in range(4) if j != y]
        for s, y in zip(LOGITS, INDICES, strict=True)
    ]
    close(losses.hinge(LOGITS, INDICES, reduction="none"), np.sum(others, axis=1))
    close(losses.hinge(LOGITS, INDICES, kind="crammer-singer"), np.mean(np.max(others, axis=1)))
    right = LOGITS[n, INDICES]
    wide = np.sum(np.maximum(0, 7 + LOGITS - right[:, None]), axis=1) - 7
    close(losses.hinge(LOGITS, INDICES, margin=7.0, reduction="none"), wide)
    close(losses.mse(Z, T), np.mean((Z - T) ** 2))
    close(losses.mae(Z, T, reduction="sum"), np.sum(np.abs(Z - T)))
    close(losses.huber(Z, T, delta=0.7), np.mean(scipy.special.huber(0.7, Z - T)))
    close(losses.quantile(Z, T, 0.8), mean_pinball_loss(T, Z, alpha=0.8))
    close(losses.gaussian_nll(Z, T, Z / 3), -np.mean(scipy.stats.norm.logpdf(T, Z, np.exp(Z / 3))))
    close(losses.poisson_nll(Z, COUNTS), -np.mean(scipy.stats.poisson.logpmf(COUNTS, np.exp(Z))))


@pytest.mark.parametrize("name", CALLS)
def test_gradients_compiled_float32_and_reductions(name):
    call = CALLS[name]
    tw.check_grads(call, Z)
    each = call(Z, reduction="none")
    np.testing.assert_allclose(call(Z, reduction="sum"), np.sum(each))
    weights = RNG.uniform(0.1, 1, each.shape)
    np.testing.assert_allclose(call(Z, weights=weights), np.average(each, weights=weights))
    value, slope = tw.compile(tw.value_and_grad(call))(Z)
    np.testing.assert_allclose(value, call(Z), rtol=1e-12)
    np.testing.assert_allclose(slope, tw.grad(call)(Z), rtol=1e-10, atol=1e-14)
    with pytest.raises(ValueError, match="reduction='average'"):
        call(Z, reduction="average")
    with pytest.raises(ShapeError, match="weights have shape"):
        call(Z, weights=np.ones((len(each), 1)))


def test_the_gradient_at_the_logits_is_p_minus_t():
    def slope(targets, **options):
        return tw.grad(lambda z: losses.cross_entropy(z, targets, reduction="sum", **options))(
            LOGITS
        )

    np.testing.assert_allclose(slope(INDICES), P - np.eye(4)[INDICES], atol=1e-15)
    np.testing.assert_allclose(slope(SOFT), P - SOFT, atol=1e-15)
    smooth = 0.9 * np.eye(4)[INDICES] + 0.1 / 4
    np.testing.assert_allclose(slope(INDICES, smoothing=0.1), P - smooth, atol=1e-15)
    binary = tw.grad(lambda z: losses.binary_cross_entropy(z, T, reduction="sum"))(Z)
    np.testing.assert_allclose(binary, scipy.special.expit(Z) - T, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extreme_and_masked_logits(dtype):
    logits = np.array([[1e4, -1e4, -np.inf], [-1e4, 1e4, -np.inf]], dtype)
    value, slope = tw.value_and_grad(
        lambda z: losses.cross_entropy(z, np.array([0, 0]), reduction="sum")
    )(logits)
    assert value == 2e4
    assert slope.dtype == dtype
    np.testing.assert_array_equal(slope, [[0, 0, 0], [-1, 1, 0]])
    smooth = tw.grad(lambda z: losses.cross_entropy(z, np.array([0, 0]), smoothing=0.2))(logits)
    assert np.all(np.isfinite(smooth))
    assert losses.cross_entropy(logits, np.array([2, 0]), reduction="none")[0] == np.inf
    value, slope = tw.value_and_grad(
        lambda z: losses.binary_cross_entropy(z, np.array([1, 0], dtype), reduction="sum")
    )(np.array([-1e4, -1e4], dtype))
    assert value == 1e4
    assert value.dtype == dtype
    np.testing.assert_array_equal(slope, [-1, 0])


def test_a_weight_stands_for_all_that_it_spreads_over():
    predictions, weights = RNG.normal(size=(5, 3)), RNG.uniform(0.1, 1, (5, 1))
    each = predictions**2
    for spread in (weights, weights.T[:, :3], np.array(2.0), 2):
        full = np.broadcast_to(spread, each.shape)
        found = losses.mse(predictions, np.zeros((5, 3)), weights=spread)
        np.testing.assert_allclose(found, np.average(each, weights=full))


def test_nothing_costs_nothing():
    none = np.zeros(0, int)
    assert losses.cross_entropy(np.zeros((0, 3)), none, reduction="sum") == 0
    assert losses.hinge(np.zeros((0, 3)), none, reduction="none").shape == (0,)
    assert losses.mse(none, none, reduction="sum") == 0


def test_settings_by_default():
    """As PyTorch's and scikit-learn's: a change of one is a change for everybody."""
    z = np.array([[3.0, 2.5, -9.0]])
    assert losses.huber(np.array([3.0]), np.zeros(1)) == 2.5
    assert losses.hinge(z, np.array([0])) == 0.5
    assert losses.cross_entropy(z, np.array([0])) == pytest.approx(np.log1p(np.exp(-0.5)), rel=1e-4)


def test_a_weight_of_zero_leaves_an_example_out():
    found = losses.mse(np.array([1.0, np.nan]), np.zeros(2), weights=np.array([2.0, 0.0]))
    assert found == 1.0


def test_a_small_loss_keeps_its_digits():
    z = np.array([40.0, -40.0, 3.0, 800.0])
    t = np.array([1.0, 0.0, 0.25, 1.0])
    exact = [np.log1p(np.exp(-40)), np.log1p(np.exp(-40)), np.log1p(np.exp(3)) - 0.75, 0]
    found = losses.binary_cross_entropy(z, t, reduction="none")
    np.testing.assert_allclose(found, exact, rtol=1e-14)
    single = losses.binary_cross_entropy(z.astype(np.float32), t > 0.5, reduction="none")
    np.testing.assert_allclose(single[:2], exact[:2], rtol=1e-6)


def test_hubers_curvature_is_1_at_0_too():
    curvature = tw.hessian(lambda p: losses.huber(p, np.zeros(3), reduction="sum"))
    np.testing.assert_array_equal(curvature(np.array([0.0, 0.5, 3.0])), np.diag([1.0, 1.0, 0.0]))


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "quantile"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_integers_and_lists_are_numbers(name, dtype):
    """Differences of unsigned numbers do not wrap; int64 does not make float64 of float32."""
    call = {**vars(losses), "quantile": lambda p, t: losses.quantile(p, t, 0.5)}[name]
    predictions, targets = np.array([0, 1, 1], dtype), np.array([1, 0, 1], dtype)
    expected = call(predictions.astype(float), targets.astype(float))
    assert expected > 0
    assert call(predictions, targets) == expected
    assert call(predictions.tolist(), targets.tolist()) == expected
    assert call(predictions.astype(np.float32), targets).dtype == np.float32


def test_float32_stays_with_integer_targets_and_weights():
    logits = LOGITS.astype(np.float32)
    ones, counts = np.ones(7, np.int64), np.ones_like(LOGITS, dtype=np.int64)
    for value in (
        losses.cross_entropy(logits, INDICES, weights=ones, smoothing=0.1),
        losses.cross_entropy(logits, np.eye(4, dtype=np.int64)[INDICES]),
        losses.binary_cross_entropy(logits, counts),
        losses.hinge(logits, INDICES, weights=ones),
        losses.poisson_nll(logits, counts),
        losses.gaussian_nll(logits, counts, logits),
    ):
        assert value.dtype == np.float32


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_masked_class_might_as_well_not_be_there(smoothing):
    logits = np.insert(LOGITS, 2, -np.inf, axis=1)
    indices, soft = INDICES + (INDICES >= 2), np.insert(SOFT, 2, 0.0, axis=1)
    for targets, fewer in ((indices, INDICES), (soft, SOFT)):

        def loss(z, t):
            return losses.cross_entropy(z, t, smoothing=smoothing)

        value, slope = tw.value_and_grad(loss)(logits, targets)
        expected, other = tw.value_and_grad(loss)(LOGITS, fewer)
        np.testing.assert_allclose(value, expected, rtol=1e-14)
        np.testing.assert_allclose(slope, np.insert(other, 2, 0.0, axis=1), atol=1e-16)
        curvature = tw.hessian(loss)(logits, targets).reshape(7, 5, 7, 5)
        small = tw.hessian(loss)(LOGITS, fewer).reshape(7, 4, 7, 4)
        padded = np.insert(np.insert(small, 2, 0.0, axis=1), 2, 0.0, axis=3)
        np.testing.assert_allclose(curvature, padded, atol=1e-15)


def test_the_gradient_of_each_example_by_vmap():
    for name, loss in (("cross_entropy", losses.cross_entropy), ("hinge", losses.hinge)):
        each = tw.vmap(tw.grad(loss))(LOGITS, INDICES)
        whole = tw.grad(lambda z, loss=loss: loss(z, INDICES, reduction="sum"))(LOGITS)
        np.testing.assert_allclose(each, whole, atol=1e-15, err_msg=name)


def test_trace_reports_layer_and_cost_as_one_group():
    for call, name in (
        (lambda z: losses.cross_entropy(z, INDICES), "softmax + cross-entropy"),
        (lambda z: losses.cross_entropy(z, SOFT, reduction="sum"), "softmax + cross-entropy"),
        (lambda z: losses.binary_cross_entropy(z, LOGITS > 0), "sigmoid + cross-entropy"),
    ):
        (group,) = tw.trace(call, LOGITS).groups
        assert group.name == name
    (group,) = tw.trace(losses.cross_entropy, LOGITS, INDICES).groups
    assert group.formula == "softmax(x) − y"


def test_what_does_not_fit_is_said():
    for weights in (np.ones(8), np.ones((9, 1)), np.ones((1, 9))):
        with pytest.raises(ShapeError, match=r"weights have shape .*without a reduction \(9,\)"):
            losses.mse(Z, T, weights=weights)
    for wrong in (np.where(T > 0.5, 1.0, -1.0), 2 * np.ones(9)):
        with pytest.raises(ValueError, match=r"targets must be in \[0, 1\]"):
            losses.binary_cross_entropy(Z, wrong)
    with pytest.raises(ValueError, match="swapped"):
        losses.cross_entropy(SOFT, LOGITS)
    with pytest.raises(DtypeError, match="not of <U1"):
        losses.mse(["a"], ["b"])
    with pytest.raises(ValueError, match=r"delta=0"):
        losses.huber(Z, T, delta=0)
    for smoothing in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match=r"smoothing=.* in \[0, 1\)"):
            losses.cross_entropy(LOGITS, INDICES, smoothing=smoothing)
    for q in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            losses.quantile(Z, T, q)
    with pytest.raises(ShapeError, match=r"predictions \(9,\), targets \(9, 1\)"):
        losses.mse(Z, T[:, None])
    with pytest.raises(ShapeError, match="indices for scores"):
        losses.cross_entropy(LOGITS, INDICES[:, None])
    with pytest.raises(DtypeError, match="must be integers"):
        losses.cross_entropy(LOGITS, INDICES * 1.0)
    for outside in (INDICES - 4, np.full(7, 4)):
        with pytest.raises(ValueError, match=r"in \[0, 4\)"):
            losses.hinge(LOGITS, outside)
    with pytest.raises(ValueError, match="kind='other'"):
        losses.hinge(LOGITS, INDICES, kind="other")


def test_penalties():
    params = {"W": np.array([[1.0, -2.0]]), "b": np.array([5.0])}
    assert regularise.l2(params, 0.5) == 0.25 * 5
    assert regularise.l1(params, 0.5) == 1.5
    assert regularise.elastic_net(params, 2.0, 0.25) == pytest.approx(0.5 * 3 + 1.5 * 2.5)
    assert regularise.l1(params, 1.0, lambda path, leaf: path == "b") == 5.0
    assert regularise.elastic_net(params, 2.0, 0.25, lambda path, leaf: path == "b") == 21.25
    norm = tw.nn.BatchNorm(*np.array([[2.0], [3.0], [50.0], [70.0]]))
    assert regularise.l2(norm, 2.0, lambda path, leaf: True) == 4 + 9
    slope = tw.grad(lambda p: regularise.l2(p, 0.3))(params)
    np.testing.assert_allclose(slope["W"], 0.3 * params["W"])
    np.testing.assert_array_equal(slope["b"], [0])
    for wrong in (lambda: regularise.l2(params["b"], 1.0), lambda: regularise.l1(params, -1.0)):
        with pytest.raises(ValueError, match=r"no leaf is chosen|strength"):
            wrong()
