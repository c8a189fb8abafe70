"""Fully visible belief networks: distributions by their structure."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import thalweg as tw
from thalweg.errors import DtypeError, ShapeError, TracingError, UserError
from thalweg.generative import MADE, NADE, fvsbn
from thalweg.heads import Categorical, Gaussian, MixtureDensity, Poisson

STATES = (np.arange(2**12)[:, None] >> np.arange(12) & 1).astype(float)
BACKWARDS = (tuple(range(11, -1, -1)),)


def shaken(model):
    """The same network with other weights: those of a new one are partly 0."""
    rng = np.random.default_rng(9)
    return tw.tree.tree_map(lambda a: a + 0.3 * rng.normal(size=a.shape), model)


MODELS = {
    "fvsbn": fvsbn(1, 12),
    "made": MADE.create(2, 12, (40,)),
    "made, two layers, direct": MADE.create(3, 12, (40, 25), direct=True),
    "made, narrow": MADE.create(3, 12, (5,)),
    "made, stated order": MADE.create(4, 12, (30,), BACKWARDS),
    "made, four orders": MADE.create(5, 12, (40,), 4),
    "nade": NADE.create(6, 12, 7),
    "nade, stated order": NADE.create(7, 12, 7, BACKWARDS),
    "nade, three orders": NADE.create(8, 12, 7, 3),
}
MODELS = {name: shaken(model) for name, model in MODELS.items()}
each = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@each
def test_probabilities_of_all_states_sum_to_one(model):
    assert np.sum(np.exp(model.log_prob(STATES))) == pytest.approx(1, abs=1e-12)


@each
def test_the_jacobian_is_strictly_triangular_by_structure(model):
    """Every bit before, and no other: in the pattern, which no number but the masks goes into."""
    for k, order in enumerate(model.orders):
        jacobian = tw.jacobian(lambda x, k=k: model.conditionals(x, k).logits, form="operator")
        x = np.random.default_rng(k).normal(size=12)  # any numbers, not only bits
        pattern = jacobian(x).pattern.toarray()
        in_order = pattern[np.ix_(order, order)]
        assert not np.triu(in_order).any()
        if model is not MODELS["made, narrow"]:  # whose units see every second bit's past only
            assert np.array_equal(in_order, np.tri(12, k=-1, dtype=bool))
        if isinstance(model, MADE):
            assert np.array_equal(pattern, model.dependencies(k))
        # and the numbers have nothing outside of it
        dense = tw.jacobian(lambda x, k=k: model.conditionals(x, k).logits)(x)
        np.testing.assert_allclose(jacobian(x).todense(), dense, rtol=1e-12, atol=1e-15)
        assert not np.any(dense[~pattern])


def test_the_structure_of_a_network_for_images():
    """Products of masked matrices are not carried out to say where they have entries."""
    model = MADE.create(0, 784, (500,), dtype=np.float32)
    jacobian = tw.jacobian(lambda x: model.conditionals(x).logits, form="operator")
    found = jacobian(np.zeros(784, np.float32))
    assert np.array_equal(found.pattern.toarray(), model.dependencies())
    assert not np.triu(model.dependencies()).any()


def test_the_structure_of_nade_in_blocks():
    """Above 32 bits the blocks are computed again on the way back; of one row they need not be."""
    order = tuple(np.random.default_rng(0).permutation(50).tolist())
    model = shaken(NADE.create(0, 50, 3, (order,)))
    jacobian = tw.jacobian(lambda x: model.conditionals(x).logits, form="operator")(np.ones(50))
    pattern = jacobian.pattern.toarray()[np.ix_(order, order)]
    assert np.array_equal(pattern, np.tri(50, k=-1, dtype=bool))
    dense = tw.jacobian(lambda x: model.conditionals(x[None]).logits[0])(np.ones(50))
    np.testing.assert_allclose(jacobian.todense(), dense, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("head", [Categorical(3), MixtureDensity(2)], ids=["classes", "mixture"])
def test_structure_with_other_conditionals(head):
    d = 4
    model = MADE.create(1, d, (9,), ((2, 0, 3, 1),), head=head)
    k = 3 if isinstance(head, Categorical) else 1
    x = np.random.default_rng(0).normal(size=d * k)
    sizes = {"dtype": float}

    def outputs(inputs):
        """What features() does after encoding its rows."""
        weights = [w * m for w, m in zip(model.weights, model.masks(), strict=True)]
        return np.maximum(inputs @ weights[0] + model.biases[0], 0) @ weights[1] + model.biases[1]

    pattern = tw.jacobian(outputs, form="operator")(x).pattern.toarray()
    blocks = pattern.reshape(d, head.n_features, d, k).any(axis=(1, 3))
    order = list(model.orders[0])
    assert not np.triu(blocks[np.ix_(order, order)]).any()
    if k == 1:  # and of the features themselves
        found = tw.jacobian(lambda x: model.features(x), form="operator")(x).pattern.toarray()
        assert np.array_equal(found, pattern)
        assert np.array_equal(found.reshape(d, -1, d).any(axis=1), model.dependencies())
    rows = np.zeros((2, d), int) if k == 3 else np.zeros((2, d), **sizes)
    encoded = np.tile(np.eye(3)[0], (2, d)) if k == 3 else rows
    np.testing.assert_allclose(model.features(rows).reshape(2, -1), outputs(encoded), rtol=1e-12)


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
        return np.mean(model.nll(x))

    tw.check_grads(cost, (model,), order=1)
    value, gradient = tw.compile(tw.value_and_grad(cost))(model)
    assert value == pytest.approx(cost(model), rel=1e-12)
    plain = tw.grad(cost)(model)
    for a, b in zip(tw.tree.flatten(gradient)[0], tw.tree.flatten(plain)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    with pytest.raises(TracingError, match="outside of traces"):
        tw.grad(lambda m: np.sum(m.sample(0, 2)))(model)
    for n in (-1, 2.5, True):
        with pytest.raises(UserError, match="number of draws"):
            model.sample(0, n)


def test_nade_is_what_the_paper_says():
    """p(xᵢ = 1 | before) = σ(bᵢ + Vᵢ · σ(c + W of the bits before)), bit by bit."""
    order = (3, 1, 4, 0, 2)
    model = NADE.create(0, 5, 6, (order,))
    rng = np.random.default_rng(1)
    model = tw.tree.tree_map(lambda a: rng.normal(size=a.shape), model)
    x = rng.integers(0, 2, size=(4, 5))
    total = np.zeros(4)
    for row, state in enumerate(x):
        for place, i in enumerate(order):
            before = list(order[:place])
            h = scipy.special.expit(model.c + state[before] @ model.W[before])
            p = scipy.special.expit(model.b[i] + model.V[i] @ h)
            total[row] += np.log(p if state[i] else 1 - p)
    np.testing.assert_allclose(model.log_prob(x), total, rtol=1e-12)


def test_nade_in_blocks_is_nade_in_one():
    """From 33 bits on there are several blocks, computed again on the way back."""
    model = NADE.create(0, 50, 4, 2)
    x = np.random.default_rng(0).integers(0, 2, size=(3, 50)).astype(float)
    a = model.c + np.cumsum(x[:, :, None] * model.W, axis=1) - x[:, :, None] * model.W
    logits = np.sum(scipy.special.expit(a) * model.V, axis=2) + model.b
    np.testing.assert_allclose(model.conditionals(x).logits, logits, rtol=1e-12, atol=1e-14)
    tw.check_grads(lambda m: np.mean(m.nll(x)), (model,), order=1)


def test_nade_does_not_keep_its_hidden_units():
    """A batch's N · D · H numbers are never all there under grad."""
    n, d, h = 100, 256, 64
    model = NADE.create(0, d, h)
    x = np.random.default_rng(0).integers(0, 2, size=(n, d)).astype(float)
    tracemalloc.start()
    tw.grad(lambda m: np.mean(m.nll(x)))(model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * d * h * 8


@pytest.mark.parametrize("create", [MADE.create, NADE.create], ids=["made", "nade"])
def test_any_order_and_one_record_for_all(create):
    model = create(0, 6, (8,) if create == MADE.create else 8, 2)
    x = STATES[:64, :6]
    np.testing.assert_allclose(
        model.log_prob(x, np.array(model.orders[1])), model.log_prob(x, 1), rtol=1e-12
    )
    both = np.logaddexp(model.log_prob(x, 0), model.log_prob(x, 1)) - np.log(2)
    np.testing.assert_allclose(model.log_prob(x), both, rtol=1e-12)

    compiled = tw.compile(lambda model, x, order: model.log_prob(x, order))
    rng = np.random.default_rng(0)
    for _ in range(4):
        order = rng.permutation(6)
        found = compiled(model, x, order)
        np.testing.assert_allclose(found, model.log_prob(x, order), rtol=1e-10)
        assert np.sum(np.exp(found)) == pytest.approx(1, abs=1e-12)
    assert len(compiled.records) == 1


def test_classes():
    """All 3⁵ states; draws; a gradient."""
    model = MADE.create(0, 5, (20,), ((4, 2, 0, 1, 3),), head=Categorical(3))
    states = np.stack(np.meshgrid(*[np.arange(3)] * 5, indexing="ij"), axis=-1).reshape(-1, 5)
    probability = np.exp(model.log_prob(states))
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    draws = model.sample(1, 20_000)
    assert draws.dtype == np.int64
    seen = np.bincount(draws @ 3 ** np.arange(4, -1, -1), minlength=3**5)
    assert scipy.stats.chisquare(seen, 20_000 * probability).pvalue > 1e-3
    tw.check_grads(lambda m: np.mean(m.nll(states[::9])), (model,), order=1)
    with pytest.raises(DtypeError, match="integers"):
        model.log_prob(states.astype(float))
    with pytest.raises(UserError, match="classes are"):
        model.log_prob(np.full(5, 3))


@pytest.mark.parametrize("head", [MixtureDensity(3), Gaussian()], ids=["mixture", "gaussian"])
def test_densities(head):
    model = MADE.create(3, 2, (15,), ((1, 0),), head=head)

    def density(a, b):
        return np.exp(model.log_prob(np.array([a, b])))

    total, _ = scipy.integrate.dblquad(density, -12, 12, -12, 12, epsabs=1e-4)
    assert total == pytest.approx(1, abs=1e-3)
    draws = model.sample(0, 4000)
    # The first in the order is a plain mixture: Kolmogorov–Smirnov.
    first = tw.tree.tree_map(lambda a: a, model.conditionals(np.zeros(2)))
    grid = np.linspace(-10, 10, 2001)
    below = first.cdf(np.stack([np.zeros(2001), grid], axis=-1))[:, 1]
    found = scipy.stats.kstest(draws[:, 1], lambda x: np.interp(x, grid, below))
    assert found.pvalue > 1e-3
    # The second: its probability integral transform is uniform.
    pit = model.conditionals(draws).cdf(draws)[:, 0]
    assert scipy.stats.kstest(pit, "uniform").pvalue > 1e-3


def test_counts():
    model = MADE.create(0, 3, (6,), head=Poisson())
    x = model.sample(0, 10)
    np.testing.assert_allclose(model.log_prob(x), model.log_prob(x.astype(int)))


def test_training_finds_a_dependency():
    """Bits 0 and 1 are fair, bit 2 is their exclusive or: 2 ln 2 nats, which logistic ones miss."""
    x = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], float)

    def train(model):
        adam = tw.optim.Adam(0.02)
        state = adam.init(model)

        @tw.compile
        def step(state, model):
            return adam.update(state, tw.grad(lambda m: np.mean(m.nll(x)))(model), model)

        for _ in range(1500):
            state, model = step(state, model)
        return -np.mean(model.log_prob(x))

    assert train(MADE.create(0, 3, (32,))) == pytest.approx(2 * np.log(2), abs=0.01)
    assert train(NADE.create(0, 3, 32)) == pytest.approx(2 * np.log(2), abs=0.02)
    assert train(fvsbn(0, 3)) == pytest.approx(3 * np.log(2), abs=0.01)


@each
def test_single_precision_and_shapes(model):
    single = tw.tree.tree_map(lambda a: a.astype(np.float32), model)
    x = STATES[:6].astype(np.float32)
    found = single.log_prob(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, model.log_prob(x.astype(float)), rtol=1e-5)
    assert single.sample(0, 3).dtype == np.float32
    for dtype in (bool, np.uint8, int):
        np.testing.assert_array_equal(single.log_prob(x.astype(dtype)), found)
    assert np.shape(model.log_prob(STATES[3])) == ()
    assert model.log_prob(STATES[:6].reshape(2, 3, 12)).shape == (2, 3)
    np.testing.assert_allclose(
        model.log_prob(STATES[:6].reshape(2, 3, 12)).ravel(), model.log_prob(STATES[:6])
    )
    assert model.log_prob(STATES[:0]).shape == (0,)
    assert model.sample(0, 0).shape == (0, 12)


def test_dtype_of_new_weights():
    made = [MADE.create(0, 3, (4,), direct=True, dtype="f4"), NADE.create(0, 3, 4, dtype="f4")]
    for model in (*made, fvsbn(0, 3, dtype="f4")):
        assert {a.dtype for a in tw.tree.flatten(model)[0]} == {np.dtype("f4")}


@pytest.mark.parametrize("model", [MADE.create(0, 1, (3,)), NADE.create(0, 1, 3)])
def test_one_bit(model):
    probability = np.exp(model.log_prob(np.array([[0.0], [1.0]])))
    assert np.sum(probability) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MADE.create(0, 0),
        lambda: MADE.create(0, 3, (0,)),
        lambda: MADE.create(0, 3, (), ((0, 1, 1),)),
        lambda: MADE.create(0, 3, (), ()),
        lambda: MADE.create(0, 3, (), 0),
        lambda: MADE.create(0, 3, (4,), head=Gaussian(event=(2,))),
        lambda: MADE.create(0, 3, (4,), head="bernoulli"),
        lambda: MADE.create(0, 3, direct=True),
        lambda: MADE.create(0, 3, dtype=int),
        lambda: NADE.create(0, 3, 0),
        lambda: NADE.create(0, 3, 2, ((0, 1),)),
        lambda: fvsbn(0, 3).log_prob(np.array([[0, 2, 1]])),
        lambda: fvsbn(0, 3).sample(0, -1),
        lambda: MADE.create(0, 3, 8),
        lambda: MADE.create(0, 3, "8"),
        lambda: MADE.create(0, 3, (8,), ((0.9, 1.2, 2.0),)),
        lambda: MADE.create(0, 3, orders=(0, 1, 2)),
        lambda: MADE.create(0, 3, orders=2.5),
    ],
)
def test_wrong_settings_are_refused(make):
    with pytest.raises((UserError, DtypeError)):
        make()


@pytest.mark.parametrize("create", [MADE.create, NADE.create])
@pytest.mark.parametrize(
    "order", [[0, 0, 1], [1, 2, 3], [0, 1], [0.0, 1.0, 2.0], [[0, 1, 2]], 1, -1, None, "021"]
)
def test_what_is_no_order_is_refused(create, order):
    model = create(0, 3, (4,) if create == MADE.create else 4)
    with pytest.raises(UserError, match="order"):
        model.conditionals(np.zeros(3), order)
    np.testing.assert_array_equal(
        model.log_prob(np.ones(3), (2, 0, 1)), model.log_prob(np.ones(3), np.array([2, 0, 1]))
    )


@each
def test_states_of_another_width_are_refused(model):
    with pytest.raises(ShapeError, match=r"\(…, 12\)"):
        model.log_prob(np.zeros((2, 11)))
    with pytest.raises(DtypeError, match="real numbers"):
        model.log_prob(np.zeros((2, 12), complex))


def test_nan_is_seen():
    x = np.array([[0.0, np.nan, 1.0]])
    for model in (MADE.create(0, 3, (4,)), NADE.create(0, 3, 4)):
        assert np.isnan(model.log_prob(x)).all()
        broken = tw.tree.tree_map(lambda a: a * np.nan, model)
        with pytest.raises(UserError, match="NaN"):  # bits would not show it
            broken.sample(0, 2)


@each
def test_what_is_no_bit_has_no_probability(model):
    """Numbers between 0 and 1 go into the conditionals as well: no mean over bits is left."""
    for value in (0.5, 1e-9, -0.5, 2.0):
        x = STATES[:3].copy()
        x[1, 4] = value
        for ask in (model.log_prob, model.nll, tw.compile(model.log_prob)):
            with pytest.raises(UserError, match=r"bits|targets"):
                ask(x)
    assert model.conditionals(x).probability.shape == (3, 12)  # of any numbers


def test_they_are_shown_in_a_line_and_pickled():
    for model in MODELS.values():
        assert "\n" not in repr(model)
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.log_prob(STATES[:5]), model.log_prob(STATES[:5]))
