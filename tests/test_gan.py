"""Generative adversarial networks: losses by hand, the penalty's second order, training."""

from __future__ import annotations

import dataclasses
import signal

import numpy as np
import pytest
import scipy.stats

import thalweg as tw
from thalweg.errors import (
    DataError,
    DtypeError,
    NonFiniteError,
    ShapeError,
    TracingError,
    UserError,
)
from thalweg.generative import (
    GAN,
    Coverage,
    fit_gan,
    gan_fit,
    mode_coverage,
    ring_of_gaussians,
)
from thalweg.nn import MLP, Affine
from thalweg.tree import tree_map

KEY = tw.random.key(0)
X = np.random.default_rng(0).normal(size=(6, 2))
OBJECTIVES = ("non-saturating", "least-squares", "wasserstein")
each = pytest.mark.parametrize("objective", OBJECTIVES)


def small(objective="non-saturating", penalty=None, seed=1, dtype=np.float64):
    return GAN.create(
        seed, 2, 3, (5,), objective=objective, penalty=penalty, activation=np.tanh, dtype=dtype
    )


def smooth(gan):
    """The same with a discriminator that has no kinks."""
    judge = MLP(gan.discriminator.layers, np.tanh)
    return dataclasses.replace(gan, discriminator=judge)


def indifferent(objective, penalty=0.0):
    """A discriminator that gives one score to everything: ½ for least squares, else 0."""
    score = 0.5 if objective == "least-squares" else 0.0
    judge = Affine(np.zeros((2, 1)), np.array([score]))
    return GAN(MLP.create(0, (3, 2)), judge, 3, objective, penalty)


@each
def test_losses_where_nothing_can_be_told_apart(objective):
    gan = indifferent(objective)
    wanted = {"non-saturating": 2 * np.log(2), "least-squares": 0.25, "wasserstein": 0.0}
    assert gan.discriminator_loss(X, key=KEY) == pytest.approx(wanted[objective], abs=1e-12)
    wanted = {"non-saturating": np.log(2), "least-squares": 0.125, "wasserstein": 0.0}
    assert gan.generator_loss(6, key=KEY) == pytest.approx(wanted[objective], abs=1e-12)


def constant(objective, data, fake, penalty=0.0):
    """Rows [1] are data and have one score, samples are [0] and have another."""
    judge = Affine(np.array([[data - fake]]), np.array([fake]))
    return GAN(Affine(np.zeros((1, 1)), np.zeros(1)), judge, 1, objective, penalty)


@pytest.mark.parametrize(
    ("objective", "judge", "made"),
    [
        ("non-saturating", np.log1p(np.exp(-0.7)) + np.log1p(np.exp(0.2)), np.log1p(np.exp(-0.2))),
        ("least-squares", 0.5 * (0.7 - 1) ** 2 + 0.5 * 0.2**2, 0.5 * (0.2 - 1) ** 2),
        ("wasserstein", 0.2 - 0.7, -0.2),
    ],
)
def test_losses_of_given_scores(objective, judge, made):
    gan = constant(objective, 0.7, 0.2)
    assert gan.discriminator_loss(np.ones((5, 1)), key=KEY) == pytest.approx(judge, rel=1e-12)
    assert gan.generator_loss(5, key=KEY) == pytest.approx(made, rel=1e-12)


def test_the_penalty_is_asked_between_data_and_samples():
    """D = x²/2 has the slope x; between data at 3 and samples at 1: E (x − 1)² = 4/3."""

    def half_square(x):
        return 0.5 * x * x

    made = Affine(np.zeros((1, 1)), np.ones(1))
    gan = GAN(made, tw.nn.Sequential([half_square]), 1, "wasserstein", 1.0)
    free = dataclasses.replace(gan, penalty=0.0)
    x = np.full((100_000, 1), 3.0)
    found = gan.discriminator_loss(x, key=KEY) - free.discriminator_loss(x, key=KEY)
    assert found == pytest.approx(4 / 3, abs=0.02)
    r1 = dataclasses.replace(gan, objective="non-saturating")  # at the data: ½ 3²
    free = dataclasses.replace(r1, penalty=0.0)
    found = r1.discriminator_loss(x, key=KEY) - free.discriminator_loss(x, key=KEY)
    assert found == pytest.approx(4.5, abs=1e-9)
    # Noise is added to both: ½ E (x + noise)² is ½ more for data and samples.
    gan = dataclasses.replace(gan, penalty=0.0)
    assert gan.discriminator_loss(x, key=KEY, noise=1.0) == pytest.approx(1 - 5, abs=0.05)
    assert gan.generator_loss(100_000, key=KEY, noise=1.0) == pytest.approx(-1, abs=0.03)


@pytest.mark.parametrize(
    ("objective", "rounds", "draws"),
    [("non-saturating", None, 3), ("wasserstein", None, 15), ("wasserstein", 2, 6)],
)
def test_turns_are_counted_and_their_losses_averaged(objective, rounds, draws):
    taken = []

    def data(rng, n):
        taken.append(n)
        return np.ones((n, 1))

    still = tw.optim.SGD(1e-12)
    found = fit_gan(
        constant(objective, 0.7, 0.2),
        data,
        steps=3,
        batch_size=4,
        discriminator_steps=rounds,
        optimiser=still,
        discriminator_optimiser=still,
        every=2,
    )
    assert taken == [4] * draws
    wanted = constant(objective, 0.7, 0.2).discriminator_loss(np.ones((4, 1)), key=KEY)
    np.testing.assert_allclose(found.history["discriminator"], wanted, rtol=1e-9)
    wanted = constant(objective, 0.7, 0.2).generator_loss(4, key=KEY)
    np.testing.assert_allclose(found.history["generator"], wanted, rtol=1e-9)


def test_the_best_discriminator_has_the_jensen_shannon_divergence():
    """Its loss is 2 ln 2 − 2 JS, and its score the logarithm of the densities' ratio."""
    shift = 0.8  # data N(shift, 1) against samples N(0, 1)
    judge = Affine(np.array([[shift]]), np.array([-(shift**2) / 2]))
    gan = GAN(Affine(np.ones((1, 1))), judge, 1)
    x = np.random.default_rng(0).normal(shift, size=(400_000, 1))
    found = gan.discriminator_loss(x, key=KEY)
    t = np.linspace(-9, 10, 4001)
    p, q = scipy.stats.norm.pdf(t, shift), scipy.stats.norm.pdf(t)
    m = (p + q) / 2
    divergence = np.sum(p * np.log(p / m) + q * np.log(q / m)) / 2 * (t[1] - t[0])
    assert found == pytest.approx(2 * np.log(2) - 2 * divergence, abs=0.004)
    slope = tw.grad(lambda gan: gan.discriminator_loss(x, key=KEY))(gan).discriminator
    assert abs(slope.W).max() < 0.005
    assert abs(slope.b).max() < 0.005


@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_the_penalty_of_a_linear_critic(norm):
    direction = np.array([[0.6], [0.8]])
    gan = dataclasses.replace(
        indifferent("wasserstein", 10.0), discriminator=Affine(norm * direction, np.zeros(1))
    )

    def penalty(gan):
        free = dataclasses.replace(gan, penalty=0.0)
        return gan.discriminator_loss(X, key=KEY) - free.discriminator_loss(X, key=KEY)

    assert penalty(gan) == pytest.approx(10 * (norm - 1) ** 2, abs=1e-12)
    slope = tw.grad(penalty)(gan).discriminator.W
    np.testing.assert_allclose(slope, 20 * (norm - 1) * direction, atol=1e-10)
    gan = dataclasses.replace(gan, objective="non-saturating", penalty=3.0)
    assert penalty(gan) == pytest.approx(1.5 * norm**2, abs=1e-12)


def test_the_penalty_of_a_critic_that_is_flat():
    """Where its slope is 0 the norm has no derivative; it counts as 0, and nothing is NaN."""
    gan = indifferent("wasserstein", 10.0)
    value, slope = tw.value_and_grad(lambda gan: gan.discriminator_loss(X, key=KEY))(gan)
    assert value == pytest.approx(10.0)
    assert np.isfinite(slope.discriminator.W).all()
    assert np.isfinite(slope.generator.layers[0].W).all()


@each
@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_gradients_and_compiled(objective, penalty):
    """With a penalty the gradient is one of second order, in the compiled step as well."""
    gan = smooth(small(objective, penalty))
    for cost in (
        lambda gan: gan.discriminator_loss(X, key=KEY, noise=0.1),
        lambda gan: gan.generator_loss(6, key=KEY, noise=0.1),
    ):
        tw.check_grads(cost, (gan,), order=1)
        value, slope = tw.compile(tw.value_and_grad(cost))(gan)
        assert value == pytest.approx(cost(gan), rel=1e-12)
        plain = tw.grad(cost)(gan)
        for a, b in zip(slope.discriminator.layers, plain.discriminator.layers, strict=True):
            np.testing.assert_allclose(a.W, b.W, rtol=1e-9, atol=1e-12)


@each
def test_the_same_seed_gives_the_same_run(objective):
    gan = small(objective, dtype=np.float32)
    before = tree_map(np.copy, gan)
    runs = [fit_gan(gan, X, steps=7, batch_size=4, every=3, seed=s, noise=0.1) for s in (3, 3, 4)]
    first, second, other = (run.averaged.sample(0, 4) for run in runs)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32
    assert runs[0].history["step"] == [3, 6, 7]
    assert all(np.isfinite(runs[0].history["discriminator"]))
    tree_map(np.testing.assert_array_equal, gan, before)  # it was copied


def test_one_record_whatever_the_schedule(monkeypatch):
    """The noise varies from step to step; what is compiled does not."""
    seen, compiled = [], []

    def compiling(**options):
        return lambda f: compiled.append(tw.compile(f, **options)) or compiled[-1]

    monkeypatch.setattr(gan_fit, "compile", compiling)

    def noise(step):
        seen.append(step)
        return 0.5 / (1 + step)

    found = fit_gan(small(), X, steps=5, batch_size=4, noise=noise, every=2)
    assert seen == list(range(5))
    assert found.steps == 5
    assert [len(step.records) for step in compiled] == [1, 1]


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_makes_the_step_whole():
    def data(rng, n):
        data.draws += 1
        if data.draws == 4:
            signal.raise_signal(signal.SIGINT)
        return rng.normal(size=(n, 2))

    data.draws = 0
    found = fit_gan(small(), data, steps=50, batch_size=4, every=3)
    assert found.interrupted
    assert (found.steps, found.history["step"]) == (4, [3, 4])
    whole = fit_gan(small(), lambda rng, n: rng.normal(size=(n, 2)), steps=4, batch_size=4)
    assert np.array_equal(found.averaged.sample(0, 3), whole.averaged.sample(0, 3))


def test_a_game_with_a_known_end():
    """A linear generator and a quadratic discriminator: mean and variance of the data are found.

    There the discriminator cannot tell data and samples apart: its loss is 2 ln 2.
    """

    def square(x):
        return np.concatenate([x, x * x], axis=1)

    rng = np.random.default_rng(0)
    judge = tw.nn.Sequential([square, Affine.create(0, 2, 1)])
    gan = GAN(Affine(np.array([[0.3]]), np.zeros(1)), judge, 1, penalty=0.3)
    adam = tw.optim.Adam(tw.optim.Cosine(0.02, 1500), beta1=0.5)
    found = fit_gan(
        gan,
        lambda rng, n: rng.normal(1.0, 0.7, (n, 1)),
        steps=1500,
        optimiser=adam,
        discriminator_optimiser=adam,
        average=0.99,
        seed=int(rng.integers(100)),
    )
    made = found.averaged.generator
    assert made.b[0] == pytest.approx(1.0, abs=0.1)
    assert abs(made.W[0, 0]) == pytest.approx(0.7, abs=0.1)
    assert found.history["discriminator"][-1] == pytest.approx(2 * np.log(2), abs=0.02)


def test_modes():
    centres = ring_of_gaussians(0, 1)[1]
    assert np.allclose(np.linalg.norm(centres, axis=1), 2)
    draws, _ = ring_of_gaussians(0, 40_000)
    found = mode_coverage(draws, centres, 0.02)
    assert found.modes == 8
    assert found.good == pytest.approx(1 - np.exp(-4.5), abs=0.002)  # within 3 std in the plane
    assert found.counts.sum() == round(found.good * 40_000)
    assert scipy.stats.chisquare(found.counts).pvalue > 1e-3
    half = mode_coverage(draws[draws[:, 0] > 0.5], centres, 0.02)
    assert half.modes == 3
    one = np.vstack([np.repeat(centres[:1], 99, axis=0), centres[1:2]])
    assert mode_coverage(one, centres, 0.02).modes == 2
    assert mode_coverage(one, centres, 0.02, least=0.02).modes == 1
    nowhere = mode_coverage(np.full((3, 2), 9.0), centres, 0.02)
    assert (nowhere.modes, nowhere.good) == (0, 0.0)
    assert isinstance(nowhere, Coverage)


def test_images_as_samples():
    """Whatever comes after the first axis is one sample."""

    def image(x):
        return np.reshape(x, (x.shape[0], 3, 2, 1))

    def flat(x):
        return np.reshape(x, (x.shape[0], -1))

    made = tw.nn.Sequential([Affine.create(0, 2, 6), image])
    judge = tw.nn.Sequential([flat, Affine.create(1, 6, 4), np.tanh, Affine.create(2, 4, 1)])
    gan = GAN(made, judge, 2, "wasserstein", 10.0)
    x = np.random.default_rng(0).normal(size=(5, 3, 2, 1))
    tw.check_grads(lambda gan: gan.discriminator_loss(x, key=KEY), (gan,), order=1)
    assert gan.sample(0, 4).shape == (4, 3, 2, 1)


def test_what_cannot_be_used_is_refused():
    gan = small()
    with pytest.raises(UserError, match="objective"):
        small("hinge")
    for penalty in (-1.0, np.nan, "large"):
        with pytest.raises(UserError, match="penalty"):
            small(penalty=penalty)
    with pytest.raises(UserError, match="tuple of widths"):
        GAN.create(0, 2, 3, 5)
    with pytest.raises(UserError, match="n_latent"):
        GAN(gan.generator, gan.discriminator, -2)
    with pytest.raises(UserError, match="modes"):
        ring_of_gaussians(0, 5, modes=0)
    for x in (X * 1j, X.astype(str)):
        with pytest.raises(DtypeError, match="GAN: data are real numbers"):
            gan.discriminator_loss(x, key=KEY)
    with pytest.raises(ShapeError, match="data are rows"):
        gan.discriminator_loss(1.0, key=KEY)
    for n in (-1, 2.5):
        with pytest.raises(UserError, match="number of draws"):
            gan.sample(0, n)
    with pytest.raises(UserError, match="n is a positive integer, got 0"):
        gan.generator_loss(0, key=KEY)
    with pytest.raises(UserError, match="n_latent"):
        GAN.create(0, 2, 0)
    with pytest.raises(ShapeError, match=r"\(6, 3\)"):
        gan.discriminator_loss(np.zeros((6, 3)), key=KEY)
    with pytest.raises(ShapeError, match="one score a row"):
        dataclasses.replace(gan, discriminator=Affine.create(0, 2, 2)).score(X)
    with pytest.raises(TracingError, match=r"GAN\.sample"):
        tw.grad(lambda gan: np.sum(gan.sample(0, 2)))(gan)
    with pytest.raises(ShapeError, match="mode_coverage"):
        mode_coverage(X, np.zeros((2, 3)), 0.1)
    with pytest.raises(UserError, match="positive"):
        mode_coverage(X, np.zeros((1, 2)), 0.0)
    with pytest.raises(UserError, match="there must be"):
        mode_coverage(X[:0], X, 0.1)
    with pytest.raises(DataError, match="steps"):
        fit_gan(gan, X, steps=0)
    for wrong, name in (
        ({"steps": 1.5}, "steps"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"optimiser": "adam"}, "optimiser"),
        ({"discriminator_optimiser": "adam"}, "optimiser"),
        ({"seed": -1}, "seed"),
        ({"noise": "much"}, "noise"),
        ({"noise": -0.1}, "noise"),
        ({"metrics": {"step": lambda gan: 0.0}}, "named 'step'"),
        ({"metrics": [len]}, "metrics must be a dict"),
    ):
        with pytest.raises(DataError, match=name):
            fit_gan(gan, X, **{"steps": 1, **wrong})
    with pytest.raises(DataError, match="discriminator_steps"):
        fit_gan(gan, X, steps=1, discriminator_steps=0)
    for data in (X[:0], np.array(["a"])):
        with pytest.raises(DataError, match="a row an example"):
            fit_gan(gan, data, steps=1)
    with pytest.raises(NonFiniteError, match="by step 2") as caught:
        fit_gan(gan, np.where(X > 1, np.nan, X), steps=2, batch_size=50)
    assert caught.value.result.steps == 2


def test_how_the_networks_lie_in_memory_makes_no_difference():
    options = {"steps": 3, "batch_size": 4, "every": 3, "seed": 2}
    plain, other = (
        fit_gan(gan, X, **options) for gan in (small(), tree_map(np.asfortranarray, small()))
    )
    for a, b in zip(tw.tree.flatten(plain.gan)[0], tw.tree.flatten(other.gan)[0], strict=True):
        np.testing.assert_array_equal(a, b)
