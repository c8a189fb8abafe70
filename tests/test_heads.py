"""Output units: layer and cost together; shapes and settings that do not fit."""

from __future__ import annotations

import functools
import math
import pickle

import numpy as np
import pytest
import scipy.special

import thalweg as tw
from thalweg import heads
from thalweg.errors import DtypeError, ShapeError, UserError
from thalweg.tree import flatten

RNG = np.random.default_rng(6)


def close(ours, theirs, tolerance=1e-12):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


# ---- layer and cost -------------------------------------------------------------------------

HEADS = [
    (heads.Bernoulli(), np.array([0, 1, 1])),
    (heads.Bernoulli(event=(2,)), np.array([[0, 1], [1, 1], [0, 0]])),
    (heads.Categorical(4), np.array([0, 3, 1])),
    (heads.Categorical(4, event=2), np.array([[0, 1], [3, 2], [2, 2]])),
    (heads.Poisson(), np.array([0, 4, 2])),
    (heads.Poisson(event=2), np.array([[0, 4], [3, 2], [2, 2]])),
    (heads.Gaussian(), np.array([0.1, -2, 1])),
    (heads.Gaussian("fixed", scale=2.0), np.array([0.1, -2, 1])),
    (heads.Gaussian("isotropic", event=2), np.array([[0.1, -2], [1, 2], [0, 0.3]])),
    (heads.Gaussian(beta=0.5, event=2), np.array([[0.1, -2], [1, 2], [0, 0.3]])),
    (heads.Gaussian("full", event=2), np.array([[0.1, -2], [1, 2], [0, 0.3]])),
    (heads.Laplace(event=2), np.array([[0.1, -2], [1, 2], [0, 0.3]])),
    (heads.StudentT(), np.array([0.1, -2, 1])),
    (heads.StudentT("learned", event=2), np.array([[0.1, -2], [1, 2], [0, 0.3]])),
]
every_head = pytest.mark.parametrize(("head", "y"), HEADS, ids=lambda v: repr(v)[:40])


@every_head
def test_heads_from_features_to_cost(head, y):
    features = RNG.normal(size=(3, head.n_features))
    p = head(features)
    assert (p.batch_shape, p.event_shape) == ((3,), head.event)
    assert p.nll(y).shape == p.entropy().shape == head.cost(features, y).shape == (3,)
    assert np.shape(p.mean) == np.shape(p.quantile(0.5)) == (3, *head.event)
    assert p.sample(0, 5).shape == (5, 3, *head.event)
    draws = p.log_prob(p.sample(0, 5))
    assert draws.shape == (5, 3)
    tw.check_grads(lambda f: np.sum(head(f).nll(y)), (features,), order=1)
    step = tw.compile(tw.value_and_grad(lambda f: np.mean(head.cost(f, y))))
    value, gradient = step(features)
    close(value, np.mean(head.cost(features, y)), 1e-11)
    close(gradient, tw.grad(lambda f: np.mean(head.cost(f, y)))(features), 1e-10)
    assert flatten(head)[0] == []
    assert pickle.loads(pickle.dumps(head)) == head
    restored = pickle.loads(pickle.dumps(p))
    assert np.array_equal(restored.nll(y), p.nll(y))
    empty = head(features[:0])
    assert empty.nll(y[:0]).shape == (0,)
    single = head(features[0])
    assert np.shape(single.nll(y[0])) == ()
    close(single.nll(y[0]), p.nll(y)[0])
    float32 = head(features.astype(np.float32))
    assert all(leaf.dtype == np.float32 for leaf in flatten(float32)[0])


@every_head
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_raw_outputs_of_ten_thousand_give_finite_gradients(head, y, size):
    if isinstance(head, heads.Poisson):
        pytest.skip("e^10000 is above every floating number")
    features = np.full((3, head.n_features), size)
    # A floor of 1e-6 leaves room: (1e4 / 1e-6)² is a number in float64.
    gradient = tw.grad(lambda f: np.sum(head.cost(f, y)))(features)
    assert np.isfinite(gradient).all()


@every_head
def test_shapes_that_do_not_fit(head, y):
    features = RNG.normal(size=(3, head.n_features))
    p = head(features)
    with pytest.raises(ShapeError, match=r"batch \+ event"):
        p.nll(y[..., None])
    with pytest.raises(ShapeError, match=r"batch \+ event"):
        p.nll(y[:2])
    with pytest.raises(ShapeError, match="n_features"):
        head(np.zeros((3, head.n_features + 1)))
    with pytest.raises(DtypeError, match="real numbers"):
        p.nll(np.full(p.nll(y).shape + head.event, "a"))


def test_a_column_against_a_row_says_what_to_do():
    y = np.zeros(5)
    with pytest.raises(ShapeError, match=r"event=\(1,\)"):
        heads.Gaussian()(np.zeros((5, 2))).nll(y[:, None])
    with pytest.raises(ShapeError, match=r"event=\(\)"):
        heads.Gaussian(event=1)(np.zeros((5, 2))).nll(y)


def test_gradient_at_the_logits_is_p_less_y():
    z, bits, classes = RNG.normal(size=(6, 1)), np.array([0, 1, 1, 0, 1, 0]), np.arange(6) % 3
    gradient = tw.grad(lambda z: np.sum(heads.Bernoulli()(z).nll(bits)))(z)
    close(gradient, scipy.special.expit(z) - bits[:, None])
    logits = RNG.normal(size=(6, 3))
    gradient = tw.grad(lambda z: np.sum(heads.Categorical(3)(z).nll(classes)))(logits)
    close(gradient, scipy.special.softmax(logits, axis=1) - np.eye(3)[classes])
    counts = np.array([0, 3, 1, 0, 2, 9])
    gradient = tw.grad(lambda z: np.sum(heads.Poisson()(z).nll(counts)))(z)
    close(gradient, np.exp(z) - counts[:, None])


@pytest.mark.parametrize("reduce", [np.sum, np.mean])
@pytest.mark.parametrize(
    ("head", "y", "name"),
    [
        (heads.Bernoulli(), np.array([0, 1, 1]), "sigmoid + cross-entropy"),
        (heads.Bernoulli(event=2), np.array([[0, 1], [1, 0], [1, 1]]), "sigmoid + cross-entropy"),
        (heads.Categorical(3), np.array([0, 2, 1]), "softmax + cross-entropy"),
    ],
)
def test_the_trace_reports_layer_and_cost_as_one_group(head, y, name, reduce):
    trace = tw.trace(lambda z: reduce(head(z).nll(y)), RNG.normal(size=(3, head.n_features)))
    (group,) = (group for group in trace.groups if "cross-entropy" in group.name)
    assert group.name == name
    assert group.output is trace.nodes[-1]
    assert "y" in group.formula


def test_beta_weights_rows_by_their_variance():
    features, y = RNG.normal(size=(6, 2)), RNG.normal(size=6)
    plain, half, one = (heads.Gaussian(beta=beta) for beta in (0.0, 0.5, 1.0))

    def slopes(head):
        return tw.grad(lambda f: np.sum(head.cost(f, y)))(features)

    std = plain(features).std[:, None]
    close(slopes(half), slopes(plain) * std)
    close(slopes(one)[:, 0], features[:, 0] - y)
    close(one(features).nll(y), plain(features).nll(y))


def test_the_floor_holds():
    head = heads.Gaussian(min_scale=0.1)
    p = head(np.array([[0.0, -1e6], [0.0, 0.0]]))
    close(p.std, [0.1, 1.1])
    assert np.isfinite(p.nll(np.zeros(2))).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: heads.Categorical(1),
        lambda: heads.Categorical(2.5),
        lambda: heads.Gaussian("banded"),
        lambda: heads.Gaussian("full"),
        lambda: heads.Gaussian("fixed", beta=0.5),
        lambda: heads.Gaussian(scale=0.0),
        lambda: heads.Gaussian(min_scale=-1.0),
        lambda: heads.Gaussian(event=(0,)),
        lambda: heads.Gaussian(event="two"),
        lambda: heads.StudentT(-1.0),
        lambda: heads.StudentT("many"),
        lambda: heads.Laplace(min_scale=np.nan),
        lambda: heads.GaussianDistribution(np.zeros(3), np.ones((3, 1))),
        lambda: heads.MultivariateGaussianDistribution(np.zeros((4, 3)), np.eye(3)),
        lambda: heads.BernoulliDistribution(np.zeros(2)).nll(np.array([-1, 1])),
        lambda: heads.PoissonDistribution(np.zeros(2)).nll(np.array([0.5, 1])),
        lambda: heads.PoissonDistribution(np.zeros(2)).nll(np.array([-1, 1])),
        lambda: heads.GaussianDistribution(np.zeros(2), np.ones(2)).sample("seed"),
        lambda: heads.GaussianDistribution(np.zeros(2), np.ones(2)).sample(0, -1),
    ],
)
def test_wrong_settings_are_refused(make):
    with pytest.raises(UserError):
        make()


def test_targets_that_are_traced_are_checked_too():
    step = tw.compile(lambda z, y: np.sum(heads.CategoricalDistribution(z).nll(y)))
    z = np.zeros((2, 3))
    close(step(z, np.array([0, 2])), 2 * math.log(3))
    with pytest.raises(UserError, match="classes are"):
        step(z, np.array([0, 3]))


def test_nan_comes_out_as_nan():
    p = heads.GaussianDistribution(np.zeros(2), np.ones(2))
    assert np.isnan(p.nll(np.array([0.0, np.nan]))).tolist() == [False, True]
    assert np.isnan(functools.reduce(np.add, p.interval(np.nan))).all()
