"""Fully visible belief networks: distributions by their structure."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import thalweg as tw
from thalweg.errors import ShapeError, TracingError, UserError
from thalweg.generative import MADE, fvsbn

STATES = (np.arange(2**12)[:, None] >> np.arange(12) & 1).astype(float)
MODELS = {
    "fvsbn": fvsbn(1, 12),
    "one layer": MADE.create(2, 12, (40,)),
    "two layers": MADE.create(3, 12, (40, 25)),
    "stated order": MADE.create(4, 12, (30,), (tuple(range(11, -1, -1)),)),
    "four orders": MADE.create(5, 12, (40,), 4),
}
each = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@each
def test_probabilities_of_all_states_sum_to_one(model):
    assert np.sum(np.exp(model.log_prob(STATES))) == pytest.approx(1, abs=1e-12)


@each
def test_the_jacobian_is_strictly_triangular_in_the_order(model):
    for k, order in enumerate(model.orders):
        allowed = model.dependencies(k)[np.ix_(order, order)]
        assert not np.triu(allowed).any()
        if len(model.weights) == 1:
            assert np.array_equal(allowed, np.tri(12, k=-1, dtype=bool))
        for x in np.random.default_rng(k).normal(size=(3, 12)):  # any numbers, not only bits
            jacobian = tw.jacobian(lambda x, k=k: model.logits(x, k))(x)
            assert np.all((jacobian != 0) <= model.dependencies(k))


@each
def test_samples_have_the_probabilities(model):
    n = 20_000
    draws = model.sample(0, n)
    assert np.array_equal(draws, model.sample(0, n))
    seen = np.bincount((draws @ (1 << np.arange(12))).astype(int), minlength=2**12)
    expected = n * np.exp(model.log_prob(STATES))
    often = expected > 5
    observed = np.append(seen[often], seen[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum())
    assert scipy.stats.chisquare(observed, wanted * n / wanted.sum()).pvalue > 1e-3


@each
def test_gradients_and_compiled(model):
    x = STATES[[5, 77, 4000]]

    def cost(model):
        return -np.mean(model.log_prob(x))

    tw.check_grads(cost, (model,), order=1)
    value, gradient = tw.compile(tw.value_and_grad(cost))(model)
    assert value == pytest.approx(cost(model), rel=1e-12)
    plain = tw.grad(cost)(model)
    for a, b in zip(gradient.weights, plain.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    with pytest.raises(TracingError, match="outside of traces"):
        tw.grad(lambda m: np.sum(m.sample(0, 2)))(model)


def test_training_finds_a_dependency():
    """Bits 0 and 1 are fair, bit 2 is their exclusive or: 2 ln 2 nats, which logistic ones miss."""
    x = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], float)

    def train(model):
        adam = tw.optim.Adam(0.02)
        state = adam.init(model)

        @tw.compile
        def step(state, model):
            return adam.update(state, tw.grad(lambda m: -np.mean(m.log_prob(x)))(model), model)

        for _ in range(1500):
            state, model = step(state, model)
        return -np.mean(model.log_prob(x))

    assert train(MADE.create(0, 3, (16,))) == pytest.approx(2 * np.log(2), abs=0.01)
    assert train(fvsbn(0, 3)) == pytest.approx(3 * np.log(2), abs=0.01)


def test_one_bit():
    model = MADE.create(0, 1, (3,))
    np.testing.assert_allclose(np.exp(model.log_prob(np.array([[0.0], [1.0]]))), 0.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MADE.create(0, 0),
        lambda: MADE.create(0, 3, (0,)),
        lambda: MADE.create(0, 3, (), ((0, 1, 1),)),
        lambda: MADE.create(0, 3, (), ()),
        lambda: fvsbn(0, 3).log_prob(np.array([[0, 2, 1]])),
    ],
)
def test_wrong_settings_are_refused(make):
    with pytest.raises(UserError):
        make()


def test_states_of_another_width_are_refused():
    with pytest.raises(ShapeError, match=r"\(…, 12\)"):
        MODELS["fvsbn"].log_prob(np.zeros((2, 11)))
