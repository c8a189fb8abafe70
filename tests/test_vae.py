"""Variational autoencoders beside models whose likelihood is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import thalweg as tw
from thalweg import heads
from thalweg.errors import DtypeError, ShapeError, TracingError, UserError
from thalweg.generative import VAE
from thalweg.heads.head import raw_of_scale
from thalweg.nn import MLP, Affine, Sequential
from thalweg.scipy.special import logsumexp

KEY = tw.random.key(0)
BITS = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(float)
NOISE = np.random.default_rng(1).normal(size=(9, 6, 1))


def linear(sigma=0.5, std=1.0):
    """Probabilistic PCA with its exact posterior as the encoder, whose scales are times `std`."""
    rng = np.random.default_rng(3)
    q, _ = np.linalg.qr(rng.normal(size=(5, 2)))
    W = q * [1.5, 0.7]  # orthogonal columns: the posterior's covariance is diagonal
    mean = rng.normal(size=5)
    precision = np.diag(W.T @ W) / sigma**2 + 1
    M = W / sigma**2 / precision
    raw = raw_of_scale(std / np.sqrt(precision), 1e-6)
    encoder = Affine(np.hstack([M, np.zeros((5, 2))]), np.concatenate([-mean @ M, raw]))
    head = heads.Gaussian(covariance="fixed", scale=sigma, event=(5,))
    model = VAE(encoder, Affine(W.T, mean), head, 2)
    return model, scipy.stats.multivariate_normal(mean, W @ W.T + sigma**2 * np.eye(5))


def small(seed=1):
    """Bits by way of one number, from a network that is not linear; wide posteriors.

    Narrow ones would give the draws' weights no variance, and estimates no error to rely on.
    """
    model = VAE.create(seed, heads.Bernoulli(event=(4,)), 1, (8,), activation=np.tanh)
    first, last = model.encoder.layers
    wider = MLP((first, Affine(last.W, np.array([0.0, 2.0]))), np.tanh)
    return VAE(wider, model.decoder, model.head, 1)


def exact(model, x):
    """log p(x) of each row by the trapezoidal rule over the one number of the code."""
    z = np.linspace(-12, 12, 4001)
    each = model.decode(z[:, None]).log_prob(np.repeat(x[:, None], len(z), axis=1))
    return np.log(np.exp(each) @ scipy.stats.norm.pdf(z) * (z[1] - z[0]))


def test_with_the_exact_posterior_every_draw_gives_the_likelihood():
    model, truth = linear()
    x = truth.rvs(20, random_state=0)
    wanted = truth.logpdf(x)
    weights = model.log_weights(x, 7, key=KEY)
    np.testing.assert_allclose(weights, np.tile(wanted, (7, 1)), rtol=1e-12)
    np.testing.assert_allclose(model.bound(x, 3), wanted, rtol=1e-12)
    mean_of_many = model.elbo(x, key=KEY, samples=20_000)
    np.testing.assert_allclose(mean_of_many, wanted, atol=0.05)


def test_the_bounds_are_in_order():
    model, truth = linear(std=2.0)
    x = truth.rvs(200, random_state=1)
    values = [float(np.mean(model.elbo(x, key=KEY, samples=500)))]
    values += [float(np.mean(model.bound(x, k))) for k in (1, 5, 5000)]
    assert values[1] == pytest.approx(values[0], abs=0.15)  # one draw: the ELBO, with more noise
    assert values[0] + 0.5 < values[2] < values[3] - 0.05
    assert values[3] == pytest.approx(np.mean(truth.logpdf(x)), abs=0.01)


def test_the_bound_of_many_draws_is_the_integral():
    model = small()
    wanted = exact(model, BITS)
    assert np.sum(np.exp(wanted)) == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(model.bound(BITS, 50_000), wanted, atol=0.03)


def test_the_divergence_by_quadrature():
    model = small()
    q = model.encode(BITS)
    for loc, scale, found in zip(q.loc[:, 0], q.scale[:, 0], model.kl(BITS)[:, 0], strict=True):
        z = np.linspace(loc - 12 * scale, loc + 12 * scale, 4001)
        own = scipy.stats.norm(loc, scale)
        each = own.pdf(z) * (own.logpdf(z) - scipy.stats.norm.logpdf(z))
        assert found == pytest.approx(np.sum(each) * (z[1] - z[0]), abs=1e-8)


@pytest.mark.parametrize(
    "head",
    [
        heads.Bernoulli(event=(4,)),
        heads.Gaussian(event=(4,)),
        heads.Gaussian(covariance="isotropic", event=(4,)),
        heads.Gaussian(covariance="full", event=(4,)),
    ],
)
def test_gradients_and_compiled(head):
    model = VAE.create(0, head, 2, (3,), activation=np.tanh)

    def loss(model):
        return model.loss(BITS, key=KEY, samples=2, beta=0.5, free_bits=0.01)

    def importance(model):
        return -np.mean(logsumexp(model.log_weights(BITS, 3, key=KEY), axis=0))

    for cost in (loss, importance):
        tw.check_grads(cost, (model,), order=1)
        value, slope = tw.compile(tw.value_and_grad(cost))(model)
        assert value == pytest.approx(cost(model), rel=1e-12)
        plain = tw.grad(cost)(model)
        for ours, other in zip(slope.encoder.layers, plain.encoder.layers, strict=True):
            np.testing.assert_allclose(ours.W, other.W, rtol=1e-9, atol=1e-12)


def test_grey_values_bound_the_mean_over_bits():
    """The bounds at probabilities of bits are below the mean log p of the bits: Jensen, twice."""
    model = small()
    grey = np.random.default_rng(0).random((6, 4))
    share = np.prod(np.where(BITS, grey[:, None], 1 - grey[:, None]), axis=2)  # of each state
    truth = share @ exact(model, BITS)
    assert np.all(model.bound(grey, 20_000) < truth)
    assert np.all(model.elbo(grey, key=KEY, samples=5000) < truth)
    # of one q and the same draws, the ELBO is the mean of those of the bits
    each = np.stack(
        [model._log_weights(np.tile(b, (6, 1)), model.encode(grey), NOISE) for b in BITS]
    )
    mean = np.einsum("nb,bsn->sn", share, each)
    np.testing.assert_allclose(model._log_weights(grey, model.encode(grey), NOISE), mean, rtol=1e-9)


def test_class_numbers_and_counts():
    x = np.random.default_rng(0).integers(0, 3, size=(7, 4))
    for head in (heads.Categorical(3, event=(4,)), heads.Poisson(event=(4,))):
        model = VAE.create(0, head, 2, (5,), activation=np.tanh)
        tw.check_grads(lambda m: m.loss(x, key=KEY), (model,), order=1)
        assert np.all(model.bound(x, 200) > model.elbo(x, key=KEY, samples=200))
        single = tw.tree.tree_map(lambda a: a.astype(np.float32), model)
        for dtype in (np.uint8, int):
            assert single.bound(x.astype(dtype), 5).dtype == np.float32
            assert single.elbo(x.astype(dtype), key=KEY).dtype == np.float32
        assert model.sample(0, 3).shape == (3, 4)
    with pytest.raises(DtypeError, match="class numbers are integers"):
        VAE.create(0, heads.Categorical(3, event=(4,)), 2).loss(x + 0.5, key=KEY)


def test_loss_is_minus_the_mean_elbo():
    model = small()
    for beta in (1.0, 0.25, np.array(2.0)):
        wanted = -np.mean(model.elbo(BITS, key=KEY, samples=3, beta=beta))
        assert model.loss(BITS, key=KEY, samples=3, beta=beta) == pytest.approx(wanted, rel=1e-12)


def test_below_its_free_bits_a_code_is_not_pushed_to_the_prior():
    model = small()
    free = float(np.max(np.mean(model.kl(BITS), axis=0))) + 0.1

    def cost(model, beta, free_bits):
        return model.loss(BITS, key=KEY, beta=beta, free_bits=free_bits)

    def slope(beta, free_bits):
        return tw.grad(cost)(model, beta, free_bits).encoder.layers[0].W

    assert np.array_equal(slope(1.0, free), slope(0.0, 0.0))
    assert not np.allclose(slope(1.0, free / 100), slope(0.0, 0.0))
    assert cost(model, 1.0, free) == pytest.approx(cost(model, 0.0, 0.0) + free, rel=1e-12)


def test_annealing_needs_one_record():
    model = VAE.create(0, heads.Bernoulli(event=(4,)), 2, (3,), dtype=np.float32)
    value_of = tw.compile(lambda model, x, key, beta: model.loss(x, key=key, beta=beta))
    x = BITS.astype(np.float32)
    values = [value_of(model, x, KEY, np.array(beta)) for beta in (0.0, 0.5, 1.0)]
    assert len(value_of.records) == 1
    assert values[0] < values[1] < values[2]
    assert values[0].dtype == np.float32
    assert model.loss(x, key=KEY, free_bits=np.float64(0.1)).dtype == np.float32
    assert model.bound(BITS.astype(bool), 5).dtype == np.float32
    assert model.sample(0, 3).dtype == np.float32


def test_the_bound_does_not_depend_on_the_chunks():
    model = small()
    wanted = model.bound(BITS, 40, key=tw.random.key(5))
    for memory in (1e-6, 1e-3, 1e-2):  # a draw at a time, several draws, several rows
        np.testing.assert_allclose(
            model.bound(BITS, 40, key=tw.random.key(5), memory=memory), wanted, rtol=1e-12
        )
    np.testing.assert_allclose(model.bound(BITS[:5], 40, key=tw.random.key(5)), wanted[:5])
    assert not np.allclose(model.bound(BITS, 40), wanted)
    assert model.bound(BITS[:0], 40).shape == (0,)


def test_samples_have_the_distribution():
    model, truth = linear()
    draws = model.sample(0, 40_000)
    assert np.array_equal(draws, model.sample(0, 40_000))
    np.testing.assert_allclose(draws.mean(axis=0), truth.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), truth.cov, atol=0.05)
    bits = small().sample(np.random.default_rng(0), 20_000)
    seen = np.bincount((bits @ [1, 2, 4, 8]).astype(int), minlength=16)
    wanted = np.exp(exact(small(), BITS))
    assert scipy.stats.chisquare(seen, 20_000 * wanted / wanted.sum()).pvalue > 1e-3


def test_training_finds_the_principal_components():
    """The optimum of a linear VAE of fixed noise σ is known: probabilistic PCA.

    A number of the code is used for each eigenvalue above σ², the others collapse to the prior
    (Tipping, Bishop, 1999; Lucas et al., Don't blame the ELBO, 2019).
    """
    _, truth = linear(sigma=0.3)
    x = truth.rvs(400, random_state=2)
    sigma = 0.6
    x = x - x.mean(axis=0)
    head = heads.Gaussian(covariance="fixed", scale=sigma, event=(5,))
    model = VAE.create(0, head, 3, ())
    adam = tw.optim.Adam(tw.optim.Cosine(0.02, 3000))
    state = adam.init(model)

    @tw.compile(inplace=(0, 1))
    def step(state, model, key):
        return adam.update(state, tw.grad(lambda m: m.loss(x, key=key))(model), model)

    for key in tw.random.split(KEY, 3000):
        state, model = step(state, model, key)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    kept = np.maximum(values, sigma**2)
    best = scipy.stats.multivariate_normal(None, vectors * kept @ vectors.T).logpdf(x).mean()
    assert np.sum(values > sigma**2) == 2
    assert model.active_units(x).sum() == 2
    assert model.elbo(x, key=KEY, samples=100).mean() == pytest.approx(best, abs=0.02)


def test_active_units_by_their_variance():
    """Means with variances on both sides of the threshold; their stds are all above it."""
    x = np.repeat([[1.0, 1, 1, 1], [-1, -1, -1, -1]], 10, axis=0)
    std = np.sqrt([0.02, 0.011, 0.009, 0.0])
    encoder = Affine(np.hstack([np.diag(std), np.zeros((4, 4))]), np.ones(8))
    model = VAE(encoder, Affine.create(0, 4, 4), heads.Bernoulli(event=(4,)), 4)
    assert model.active_units(x).tolist() == [True, True, False, False]
    assert model.active_units(x, 0.015).tolist() == [True, False, False, False]


def test_images_and_one_row():
    """An event may have any shape, a batch too; the networks are the user's own."""

    def flat(x):
        return np.reshape(x, (*x.shape[:-3], 6))

    head = heads.Bernoulli(event=(3, 2, 1))
    encoder = Sequential([flat, Affine.create(0, 6, 4)])
    model = VAE(encoder, Affine.create(1, 2, 6), head, 2)
    x = (np.random.default_rng(0).random((5, 3, 2, 1)) < 0.5).astype(float)
    assert model.bound(x, 10).shape == (5,)
    assert model.sample(0, 4).shape == (4, 3, 2, 1)
    assert model.elbo(x[0], key=KEY).shape == ()
    assert model.kl(x[None]).shape == (1, 5, 2)
    tw.check_grads(lambda model: model.loss(x, key=KEY), (model,), order=1)


def test_through_fit():
    """`tw.fit` hands a key of its own to each step, and the number of steps made to annealing."""
    _, truth = linear()
    x = truth.rvs(600, random_state=3)
    model = VAE.create(0, heads.Gaussian(covariance="isotropic", event=(5,)), 2, (16,))

    def annealed(model, x, *, key, step):
        return model.loss(x, key=key, beta=np.minimum(step / 200, 1.0), free_bits=0.05)

    for loss in (VAE.loss, annealed):
        options = {"optimiser": tw.optim.Adam(0.01), "batch_size": 50, "epochs": 40}
        found = tw.fit(model, loss, x[:500], validation=x[500:], **options)
        assert found.history["validation"][-1] < -np.mean(truth.logpdf(x[500:])) + 0.4
    again = tw.fit(model, loss, x[:500], validation=x[500:], **options)
    assert again.history == found.history


def test_shapes_and_settings_are_refused():
    model = small()
    with pytest.raises(ShapeError, match=r"\(…, 4\)"):
        model.encode(np.zeros((2, 5)))
    for x in (BITS[0], BITS[:1], BITS[:0]):
        with pytest.raises(ShapeError, match="two rows at least"):
            model.active_units(x)
    for x in (BITS * 1j, BITS.astype(str)):
        with pytest.raises(DtypeError, match="VAE: data are real numbers"):
            model.elbo(x, key=KEY)
    for n in (-1, 2.5):
        with pytest.raises(UserError, match=r"VAE\.sample: n is a number of draws"):
            model.sample(0, n)
    with pytest.raises(ShapeError, match=r"\(n, 4\)"):
        model.bound(np.zeros(4))
    with pytest.raises(UserError, match="positive integer"):
        model.bound(BITS, 0)
    for what in (
        lambda m: m.elbo(BITS, key=KEY, samples=0),
        lambda m: m.log_weights(BITS, 0, key=KEY),
    ):
        with pytest.raises(UserError, match="samples"):
            what(model)
    with pytest.raises(UserError, match="n_latent"):
        VAE.create(0, heads.Bernoulli(event=(4,)), 0)
    with pytest.raises(UserError, match="vectors"):
        VAE.create(0, heads.Bernoulli(), 2)
    with pytest.raises(UserError, match="tuple of widths"):
        VAE.create(0, heads.Bernoulli(event=(4,)), 2, 8)
    with pytest.raises(UserError, match="n_latent"):
        VAE(model.encoder, model.decoder, model.head, 1.5)
    for free in (-1.0, np.nan):
        with pytest.raises(UserError, match="free_bits"):
            model.loss(BITS, key=KEY, free_bits=free)
    for what in (lambda m: m.bound(BITS, 2), lambda m: m.sample(0, 2)):
        with pytest.raises(TracingError, match="VAE"):
            tw.grad(lambda m, what=what: np.sum(what(m)))(model)
