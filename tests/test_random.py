"""Random numbers by keys: the same everywhere, and distributed as they should be."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

import thalweg as tw
from thalweg import random
from thalweg.errors import DtypeError, ShapeError, UserError

KEY = random.key(3)


def test_numpys_philox():
    expected = np.random.Generator(np.random.Philox(key=KEY))
    np.testing.assert_array_equal(random.normal(KEY, (4, 5)), expected.standard_normal((4, 5)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_eagerly_traced_batched_and_compiled(dtype):
    def draws(key):
        first, second = random.split(key)
        return (
            random.uniform(first, (3, 4), dtype=dtype),
            random.normal(second, 5, mean=1.0, std=2.0, dtype=dtype),
            random.bernoulli(key, np.array([0.1, 0.9])),
        )

    keys = random.split(KEY, 6)
    expected = [draws(key) for key in keys]
    compiled = tw.compile(draws)
    batched = tw.vmap(draws)(keys)
    within = tw.vmap(tw.vmap(draws))(np.reshape(keys, (2, 3, 2)))
    for i, key in enumerate(keys):
        traced = tw.vjp(lambda x, key=key: draws(key), 0.0)[0]
        for j, want in enumerate(expected[i]):
            for got in (compiled(key)[j], traced[j], batched[j][i], within[j][divmod(i, 3)]):
                np.testing.assert_array_equal(got, want)
                assert got.dtype == want.dtype
    assert len(compiled.records) == 1
    assert expected[0][0].dtype == dtype


def test_the_same_in_another_process():
    code = "import thalweg as tw; print(tw.random.uniform(tw.random.split(tw.random.key(5), 3)[2]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == random.uniform(random.split(random.key(5), 3)[2])


def test_distributions():
    """Over many keys the p-values are uniform: one key may well have a rare one."""
    cases = (
        (lambda key: random.uniform(key, 2000, -1, 3), scipy.stats.uniform(-1, 4)),
        (lambda key: random.normal(key, 2000, 2, 3), scipy.stats.norm(2, 3)),
    )
    for draw, expected in cases:
        keys = random.split(random.key(0), 100)
        rare = [scipy.stats.kstest(draw(key), expected.cdf).pvalue for key in keys]
        assert scipy.stats.kstest(rare, "uniform").pvalue > 0.01
    ones = random.bernoulli(KEY, 0.3, 20_000)
    assert scipy.stats.binomtest(int(ones.sum()), 20_000, 0.3).pvalue > 0.01
    assert ones.dtype == bool


def test_keys_are_unrelated():
    """Numbers of a key, of those that are split off, and of those split off them."""
    keys = [KEY, *random.split(KEY, 20)]
    keys += [key for parent in keys[1:4] for key in random.split(parent, 20)]
    assert len({tuple(key) for key in keys}) == len(keys)
    numbers = np.array([random.normal(key, 2000) for key in keys])
    related = np.corrcoef(numbers) - np.eye(len(keys))
    assert np.max(np.abs(related)) < 5 / np.sqrt(2000)
    np.testing.assert_array_equal(random.key([1, 2]), random.key((1, 2)))
    assert np.any(random.key(1) != random.key(2))
    # Keys are other bits than those that the key's own numbers are made of.
    as_numbers = (random.split(KEY, 50) >> np.uint64(11)).ravel() * 2.0**-53
    assert not np.isin(as_numbers, random.uniform(KEY, 200)).any()


def test_derivatives_go_to_the_parameters_alone():
    unit = random.normal(KEY, 3)
    mean, std = tw.grad(lambda m, s: np.sum(random.normal(KEY, 3, m, s)), (0, 1))(1.0, 2.0)
    assert mean == 3.0
    np.testing.assert_allclose(std, unit.sum())
    low, high = tw.grad(lambda a, b: random.uniform(KEY, (), a, b), (0, 1))(1.0, 2.0)
    assert low + high == pytest.approx(1.0)


def test_empty_and_scalar():
    assert random.normal(KEY, (0, 3)).shape == (0, 3)
    assert np.shape(random.uniform(KEY)) == ()
    assert random.split(KEY, 0).shape == (0, 2)


def test_what_is_no_key():
    for wrong in (0, np.zeros(2), np.zeros(3, np.uint64), np.random.default_rng(0)):
        with pytest.raises(DtypeError, match=r"a key is a uint64 array of shape \(2,\)"):
            random.uniform(wrong)
    with pytest.raises(DtypeError, match="got ndarray of dtype float64 and shape"):
        random.uniform(np.zeros(2))
    with pytest.raises(DtypeError, match="float64 or float32"):
        random.normal(KEY, 3, dtype=np.float16)
    with pytest.raises(ValueError, match="negative"):
        random.uniform(KEY, -1)
    with pytest.raises(ValueError, match="non-negative"):
        random.key(-1)


def test_without_a_shape_each_parameter_has_a_number_of_its_own():
    """Not one number for all, as a shape of () against a mean of shape (3,) would have."""
    mean, std = np.arange(3.0), np.array([[1.0], [2.0]])
    draws = random.normal(KEY, mean=mean, std=std)
    np.testing.assert_array_equal(draws, mean + std * random.normal(KEY, (2, 3)))
    assert len(np.unique(random.uniform(KEY, low=np.zeros(4)))) == 4
    assert np.shape(random.normal(KEY, mean=5.0)) == ()
    slope = tw.compile(tw.grad(lambda m: np.sum(random.normal(KEY, mean=m) ** 2)))(mean)
    np.testing.assert_allclose(slope, 2 * random.normal(KEY, 3, mean))


def test_parameters_broadcast_to_the_shape_and_never_beyond():
    assert random.uniform(KEY, (2, 3), low=np.zeros((2, 1))).shape == (2, 3)
    assert random.normal(KEY, (0, 3), std=np.ones(3)).shape == (0, 3)
    for call in (
        lambda: random.normal(KEY, (), mean=np.zeros(3)),
        lambda: random.uniform(KEY, 3, low=np.zeros((3, 1))),
        lambda: random.bernoulli(KEY, np.full((3, 1), 0.5), 3),
        lambda: random.normal(KEY, (2, 3), mean=np.zeros(2)),
    ):
        with pytest.raises(ShapeError, match="do not broadcast to it"):
            call()
    with pytest.raises(ShapeError, match=r"mean \(2,\), std \(3,\) do not broadcast"):
        random.normal(KEY, mean=np.zeros(2), std=np.ones(3))


def test_probabilities():
    for wrong in (1.5, -0.1, np.nan, [0.5, np.nan]):
        with pytest.raises(UserError, match=r"in \[0, 1\]"):
            random.bernoulli(KEY, wrong)
    assert random.bernoulli(KEY, 1, 100).all()
    assert not random.bernoulli(KEY, 0, 100).any()
    assert tw.compile(lambda p: random.bernoulli(KEY, p))(np.array([0.0, 1.0])).tolist() == [0, 1]
