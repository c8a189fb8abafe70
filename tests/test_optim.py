"""Optimisers against their published recurrences, written here for one number at a time."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim
from thalweg.errors import DtypeError, ShapeError, TreeError
from thalweg.tree import flatten

RATE = 0.05


def sgd(g, t, p, m):
    return p - RATE * g


def momentum(g, t, p, m):
    m["v"] = 0.9 * m.get("v", 0.0) + g
    return p - RATE * m["v"]


def nesterov(g, t, p, m):
    m["v"] = 0.9 * m.get("v", 0.0) + g
    return p - RATE * (g + 0.9 * m["v"])


def adagrad(g, t, p, m):
    m["s"] = m.get("s", 0.0) + g**2
    return p - RATE / (math.sqrt(m["s"]) + 1e-10) * g


def rmsprop(g, t, p, m):
    m["s"] = 0.99 * m.get("s", 0.0) + 0.01 * g**2
    return p - RATE / (math.sqrt(m["s"]) + 1e-8) * g


def adam(g, t, p, m):
    m["m"] = 0.9 * m.get("m", 0.0) + 0.1 * g
    m["s"] = 0.999 * m.get("s", 0.0) + 0.001 * g**2
    mean, square = m["m"] / (1 - 0.9**t), m["s"] / (1 - 0.999**t)
    return p - RATE * mean / (math.sqrt(square) + 1e-8)


def adamw(g, t, p, m):
    return adam(g, t, p, m) - RATE * 0.1 * p


def lion(g, t, p, m):
    c = 0.9 * m.get("m", 0.0) + 0.1 * g
    m["m"] = 0.99 * m.get("m", 0.0) + 0.01 * g
    return p - RATE * (np.sign(c) + 0.1 * p)


RULES = [
    (optim.SGD(RATE), sgd),
    (optim.Momentum(RATE), momentum),
    (optim.Nesterov(RATE), nesterov),
    (optim.Adagrad(RATE), adagrad),
    (optim.RMSprop(RATE), rmsprop),
    (optim.Adam(RATE), adam),
    (optim.AdamW(RATE, decay=0.1), adamw),
    (optim.Lion(RATE, decay=0.1), lion),
]
IDS = [type(opt).__name__ for opt, _ in RULES]
SCHEDULED = [
    *(opt for opt, _ in RULES),
    optim.Adam(optim.WarmUp(optim.OneCycle(0.1, 20), 3)),
    optim.SGD(optim.Steps(0.1, 3, 0.5)),
    optim.SGD(optim.Exponential(0.1, 0.9)),
    optim.SGD(optim.Constant(0.1)),
    optim.Clipped(optim.Adam(optim.Cosine(0.1, 20)), norm=0.5, value=0.4),
    optim.Groups(
        lambda path, leaf: "rest" if path.startswith("b") else "W",
        W=optim.Clipped(optim.Momentum(0.01), norm=1.0),
        rest=optim.Lion(optim.Cosine(0.01, 9)),
    ),
]


def start(dtype=np.float64):
    return {
        "W": np.array([[1.0, -2.0, 0.5]], dtype),
        "b": [np.array(0.3, dtype), np.zeros(0, dtype)],
    }


def loss(params, x):
    W, (b, _) = params["W"], params["b"]
    return np.sum(np.cosh(W - 0.5) * x) + np.sum((W[0, 0] - b) ** 2)


@pytest.mark.parametrize(("opt", "rule"), RULES, ids=IDS)
def test_the_published_recurrence(opt, rule):
    params = start()
    state = opt.init(params)
    expected = np.concatenate([np.ravel(p) for p in flatten(params)[0]])
    memory: list[dict[str, Any]] = [{} for _ in expected]
    for t in range(1, 21):
        grads = tw.grad(loss)(params, 1.5)
        state, params = opt.update(state, grads, params)
        slopes = np.concatenate([np.ravel(g) for g in flatten(grads)[0]])
        moves = zip(slopes, expected, memory, strict=True)
        expected = np.array([rule(g, t, p, m) for g, p, m in moves])
        found = np.concatenate([np.ravel(p) for p in flatten(params)[0]])
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert int(state.count) == 20


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("opt", SCHEDULED, ids=[*IDS, *map(str, range(6))])
def test_a_compiled_step_is_one_record_in_place_and_keeps_its_precision(opt, dtype):
    def step(state, params, x):
        value, grads = tw.value_and_grad(loss)(params, x)
        return *opt.update(state, grads, params), value

    compiled = tw.compile(step, inplace=(0, 1))
    x = dtype(1.5)
    params, plain = start(dtype), start(dtype)
    state, plain_state = opt.init(params), opt.init(plain)
    kept = flatten((state, params))[0]
    for _ in range(12):
        state, params, _ = compiled(state, params, x)
        plain_state, plain, _ = step(plain_state, plain, x)
    assert len(compiled.records) == 1
    after = flatten((state, params))[0]
    assert all(a is b for a, b in zip(kept, after, strict=True))
    for leaf, other in zip(after, flatten((plain_state, plain))[0], strict=True):
        assert leaf.dtype == other.dtype
        assert leaf.dtype in (dtype, np.int64)
        np.testing.assert_allclose(leaf, other, rtol=200 * np.finfo(dtype).eps)


def test_settings_by_default_are_those_of_the_sources():
    assert optim.Adam() == optim.Adam(0.001, 0.9, 0.999, 1e-8)
    assert optim.AdamW() == optim.AdamW(0.001, 0.9, 0.999, 1e-8, decay=0.01)
    assert optim.Lion() == optim.Lion(1e-4, 0.9, 0.99, decay=0.0)
    assert optim.Momentum(1.0) == optim.Momentum(1.0, 0.9)
    assert optim.RMSprop() == optim.RMSprop(0.01, 0.99, 1e-8)
    assert optim.EMA() == optim.EMA(0.999)


def test_a_start_is_a_copy():
    """In place, a compiled step writes to the parameters, and must not move their average."""
    w = np.ones(3)
    averaged = optim.EMA(0.5).init({"w": w})
    w[:] = 7
    np.testing.assert_array_equal(averaged.params["w"], 1)


def test_squares_of_complex_gradients_are_real():
    state = optim.Adam(0.1).init(np.ones(2, np.complex64))
    state, w = optim.Adam(0.1).update(state, np.array([3 + 4j, 1j], np.complex64), np.ones(2, "F"))
    assert state.moments["square"].dtype == np.float32
    np.testing.assert_allclose(state.moments["square"], [0.025, 0.001], rtol=1e-6)
    np.testing.assert_allclose(w, 1 - 0.1 * np.array([(3 - 4j) / 5, -1j]), rtol=1e-5)


def test_nothing_is_written_to():
    params, opt = start(), optim.Adam(0.1)
    state = opt.init(params)
    grads = tw.grad(loss)(params, 1.0)
    before = [np.array(leaf) for leaf in flatten((state, grads, params))[0]]
    opt.update(state, grads, params)
    for leaf, kept in zip(flatten((state, grads, params))[0], before, strict=True):
        np.testing.assert_array_equal(leaf, kept)


def test_complex_parameters_go_down():
    z = np.array([3.0 + 4.0j, -1.0j])
    target = np.array([1.0 - 1.0j, 2.0])
    for opt in (optim.SGD(0.1), optim.Adam(0.05), optim.RMSprop(0.05)):
        state, w = opt.init(z), z
        for _ in range(400):
            grads = tw.grad(lambda w: np.sum(np.abs(w - target) ** 2))(w)
            state, w = opt.update(state, grads, w)
        np.testing.assert_allclose(w, target, atol=0.05)


def test_python_numbers_are_parameters():
    opt = optim.Adam(0.1)
    state, params = opt.init({"a": 1.0}), {"a": 1.0}
    for _ in range(3):
        state, params = opt.update(state, {"a": 2.0}, params)
    assert float(params["a"]) == pytest.approx(0.7)


@dataclass(frozen=True)
class Model:
    W: Any
    degree: int = tw.tree.static(default=2)


def test_dataclasses_are_parameters_and_optimisers_are_arguments():
    model = Model(np.ones(2))

    @tw.compile
    def step(opt, state, model):
        grads = tw.grad(lambda m: np.sum(m.W**m.degree))(model)
        return opt.update(state, grads, model)

    state = optim.SGD(0.25).init(model)
    state, model = step(optim.SGD(0.25), state, model)
    np.testing.assert_array_equal(model.W, [0.5, 0.5])
    assert model.degree == 2


def test_no_parameters():
    for opt in (optim.SGD(0.1), optim.Adam(), optim.Clipped(optim.Adam(), norm=1.0)):
        state, params = opt.update(opt.init([]), [], [])
        assert params == []
        assert int(state.count) == 1


def test_what_does_not_fit_is_said():
    opt = optim.Adam(0.1)
    params = {"layer": {"W": np.ones((2, 3))}}
    state = opt.init(params)
    with pytest.raises(ShapeError, match=r"layer\.W has shape \(2, 3\), got \(3,\)"):
        opt.update(state, {"layer": {"W": np.ones(3)}}, params)
    with pytest.raises(TreeError, match="the gradients must have the form"):
        opt.update(state, {"layer": np.ones((2, 3))}, params)
    with pytest.raises(TreeError, match="belongs to another optimiser"):
        opt.update(optim.SGD(0.1).init(params), params, params)
    with pytest.raises(ShapeError, match="the state's 'mean'"):
        opt.update(opt.init({"layer": {"W": np.ones(3)}}), params, params)
    with pytest.raises(TreeError, match=r"Adam: the state comes from its init.*got dict"):
        opt.update(params, state, params)  # the order of other libraries
    with pytest.raises(DtypeError, match="they are real"):
        opt.update(state, {"layer": {"W": np.ones((2, 3)) * 1j}}, params)
    groups = optim.Groups(lambda path, leaf: "a", a=opt)
    for wrong in (state, {"b": state}):
        with pytest.raises(TreeError, match=r"a dict of the groups \['a'\]"):
            groups.update(wrong, params, params)
    with pytest.raises(TreeError, match="EMA: the average comes from its init"):
        optim.EMA().update(params, params)
    for call in (
        lambda: optim.Groups(lambda path, leaf: "a", a=0.1),
        lambda: optim.Clipped(0.1, norm=1.0),
        lambda: optim.Clipped(optim.Adam, norm=1.0),
    ):
        with pytest.raises(TypeError, match="must be an optimiser"):
            call()
    with pytest.raises(DtypeError, match=r"n is ndarray of dtype int64"):
        opt.init({"n": np.arange(3)})


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.SGD(-1.0),
        lambda: optim.SGD(math.nan),
        lambda: optim.SGD("fast"),
        lambda: optim.Adam(0.1, beta1=1.0),
        lambda: optim.Adam(0.1, epsilon=0.0),
        lambda: optim.Lion(0.1, decay=-1.0),
        lambda: optim.Momentum(0.1, 1.5),
        lambda: optim.Cosine(0.1, 0),
        lambda: optim.OneCycle(0.1, 10, up=0.0),
        lambda: optim.EMA(1.0),
        lambda: optim.Polyak(every=0),
        lambda: optim.Polyak(start=1.5),
        lambda: optim.minimize_lbfgs(np.sum, np.ones(2), memory=0),
        lambda: optim.minimize_lbfgs(np.sum, np.ones(2), max_iterations=0),
        lambda: optim.minimize_newton(np.sum, np.ones(2), max_iterations=2.5),
        lambda: optim.Clipped(optim.SGD(0.1), norm=0.0),
        lambda: optim.clip_by_value(np.ones(2), -1.0),
    ],
)
def test_settings_out_of_range(make):
    with pytest.raises(ValueError, match="must be"):
        make()


ONE = np.float64(0.5)  # a NumPy number, as of np.logspace: it would make float64 of float32


@pytest.mark.parametrize(
    "opt",
    [
        optim.SGD(ONE),
        optim.Momentum(ONE, ONE),
        optim.Nesterov(ONE, ONE),
        optim.Adagrad(ONE, epsilon=ONE),
        optim.RMSprop(ONE, decay=ONE, epsilon=ONE),
        optim.AdamW(ONE, beta1=ONE, beta2=ONE, epsilon=ONE, decay=ONE),
        optim.Lion(ONE, beta1=ONE, beta2=ONE, decay=ONE),
        optim.SGD(optim.WarmUp(optim.Cosine(ONE, 10, ONE), 3)),
        optim.Clipped(optim.SGD(ONE), norm=ONE, value=ONE),
    ],
)
def test_settings_and_gradients_of_more_digits_leave_float32_as_it_is(opt):
    params = start(np.float32)
    state = opt.init(params)
    for grads in (tw.grad(loss)(params, np.float32(1)), tw.grad(loss)(start(), 1.0)):
        after, moved = opt.update(state, grads, params)
        for leaf in flatten((after.moments, moved))[0]:
            assert leaf.dtype == np.float32


def test_schedules():
    steps = np.arange(120)
    cosine = optim.Cosine(0.2, 100, final=0.02)(steps)
    expected = 0.02 + 0.09 * (1 + np.cos(np.pi * np.minimum(steps, 100) / 100))
    np.testing.assert_allclose(cosine, expected, rtol=1e-13)
    np.testing.assert_allclose(optim.Exponential(0.2, 0.5, 10)(20), 0.05)
    cycle = optim.OneCycle(1.0, 100)(steps)
    assert cycle[0] == pytest.approx(1 / 25)
    assert (np.argmax(cycle), cycle.max()) == (30, 1.0)
    rise = 1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * steps[:31] / 30)) / 2
    fall = 1e-4 + (1 - 1e-4) * (1 + np.cos(np.pi * (steps[30:101] - 30) / 70)) / 2
    np.testing.assert_allclose(cycle[:31], rise)
    np.testing.assert_allclose(cycle[30:101], fall)
    np.testing.assert_allclose(cycle[100:], 1e-4)
    early = optim.OneCycle(1.0, 100, up=0.1, begin=2.0, end=8.0)(steps)
    np.testing.assert_allclose(early[[0, 5, 10, 55, 100]], [0.5, 0.75, 1.0, 0.5625, 0.125])
    warm = optim.WarmUp(0.1, 5)(steps)
    np.testing.assert_allclose(warm[:6], [0.02, 0.04, 0.06, 0.08, 0.1, 0.1])
    late = optim.WarmUp(optim.Steps(0.1, 10), 5)(steps)
    np.testing.assert_allclose(late[[4, 14, 15, 25]], [0.1, 0.1, 0.01, 0.001])


def test_a_schedule_starts_at_its_zero():
    opt = optim.SGD(lambda step: 1.0 * (step == 0))
    params = np.array(5.0)
    state, params = opt.update(opt.init(params), np.array(2.0), params)
    assert params == 3.0
    assert opt.update(state, np.array(2.0), params)[1] == 3.0


def test_clipping():
    grads = {"a": np.array([3.0, 4.0]), "b": np.array(12.0)}
    assert optim.global_norm(grads) == 13.0
    clipped = optim.clip_by_global_norm(grads, 1.3)
    np.testing.assert_allclose(clipped["a"], [0.3, 0.4])
    for name, kept in optim.clip_by_global_norm(grads, 13.0).items():
        np.testing.assert_array_equal(kept, grads[name])
    zero = optim.clip_by_global_norm({"a": np.zeros(2)}, 1.0)
    np.testing.assert_array_equal(zero["a"], [0, 0])
    for scale in (1e-300, 1e300):  # squares would vanish, or overflow
        assert optim.global_norm([np.array([3.0, 4.0]) * scale]) == pytest.approx(5 * scale)
    huge = optim.clip_by_global_norm(np.full(4, 1e30, np.float32), 2.0)
    assert huge.dtype == np.float32
    np.testing.assert_allclose(huge, 1.0, rtol=1e-6)
    for dtype in (np.float32, np.float64):  # the norm itself is too large a number
        most = optim.clip_by_global_norm(np.full(4, np.finfo(dtype).max), 2.0)
        np.testing.assert_allclose(most, 1.0, rtol=1e-6)
    assert np.all(np.isnan(optim.clip_by_global_norm(np.array([1.0, np.nan]), 1.0)))
    np.testing.assert_array_equal(optim.clip_by_value(np.array([np.nan, 9.0]), 1.0), [np.nan, 1])


def test_gradients_of_buffers_do_not_count_in_the_norm():
    norm = tw.nn.BatchNorm.create(2)
    grads = tw.nn.BatchNorm(np.array([3.0, 0]), np.array([0, 4.0]), np.full(2, 1e6), np.zeros(2))
    assert optim.global_norm(grads) == 5.0
    opt = optim.Clipped(optim.SGD(1.0), norm=1.0)
    moved = opt.update(opt.init(norm), grads, norm)[1]
    np.testing.assert_allclose(moved.scale, [0.4, 1])
    np.testing.assert_allclose(moved.shift, [0, -0.8])


def test_entries_are_clipped_before_the_norm():
    opt = optim.Clipped(optim.SGD(1.0), norm=1.0, value=1.0)
    moved = opt.update(opt.init(np.zeros(2)), np.array([30.0, 0.5]), np.zeros(2))[1]
    np.testing.assert_allclose(moved, -np.array([1.0, 0.5]) / math.hypot(1.0, 0.5))


def test_clipping_of_what_is_not_float():
    (by_norm,) = optim.clip_by_global_norm([np.array([3, 4])], 1.0)
    np.testing.assert_allclose(by_norm, [0.6, 0.8])
    np.testing.assert_allclose(optim.clip_by_global_norm(np.array([3 + 4j]), 1.0), [0.6 + 0.8j])
    with pytest.raises(DtypeError, match="no order"):
        optim.clip_by_value(np.array([3 + 4j]), 1.0)


def test_leaves_of_one_place_cannot_be_told_apart():
    params = {"a.b": np.ones(2), "a": {"b": np.zeros(2)}}
    with pytest.raises(TreeError, match=r"two leaves have the place 'a\.b'"):
        optim.Groups(lambda path, leaf: "a", a=optim.SGD(0.1)).init(params)


@pytest.mark.parametrize("minimise", [optim.minimize_lbfgs, optim.minimize_newton])
def test_what_was_computed_is_counted(minimise, monkeypatch):
    calls = []

    def counting(function):
        return lambda *args: calls.append(function) or function(*args)

    monkeypatch.setattr(sys.modules["thalweg.optim.minimise"], "compile", counting)
    found = minimise(lambda w: np.sum(np.cosh(w - 1.0)), np.zeros(3))
    assert found.converged
    assert len(calls) == found.evaluations + found.products


@pytest.mark.parametrize("minimise", [optim.minimize_lbfgs, optim.minimize_newton])
@pytest.mark.parametrize("begin", [0.9, 0.5, 0.2, 5.0])
def test_steps_beyond_where_the_loss_is_defined_are_taken_back(minimise, begin):
    """10 w − log w is nan below 0; from 0.9 the first step goes there."""
    found = minimise(lambda w: np.sum(10 * w - np.log(w)), np.full(2, begin), tolerance=1e-7)
    assert found.converged
    np.testing.assert_allclose(found.params, 0.1, rtol=1e-8)
    assert found.value == pytest.approx(2 * (1 + math.log(10)), rel=1e-14)


def test_a_search_in_vain_has_the_value_of_its_parameters():
    def cliff(w):  # downhill everywhere, and nothing beyond where it begins
        return np.sum(-w + 0 * np.sqrt(1 - w))

    found = optim.minimize_lbfgs(cliff, np.full(2, 0.999999))
    assert not found.converged
    assert found.value == cliff(found.params)


@dataclass(frozen=True)
class Shifted:
    w: Any
    shift: Any = tw.tree.buffer()


@pytest.mark.parametrize("minimise", [optim.minimize_lbfgs, optim.minimize_newton])
def test_minimising_leaves_buffers_as_they_are(minimise):
    def cost(model):
        return np.sum(np.cosh(model.w - model.shift))

    found = minimise(cost, Shifted(np.zeros(2), np.array([1.0, -2.0])))
    assert found.converged
    np.testing.assert_allclose(found.params.w, [1, -2])
    np.testing.assert_array_equal(found.params.shift, [1, -2])
    early = minimise(cost, Shifted(np.zeros(2), np.array([1.0, -2.0])), max_iterations=1)
    assert (early.converged, early.iterations) == (False, 1)


@pytest.mark.parametrize("minimise", [optim.minimize_lbfgs, optim.minimize_newton])
def test_minimising_nothing(minimise):
    found = minimise(lambda params: 7.0, {})
    assert (found.params, found.value, found.converged) == ({}, 7.0, True)


def test_groups_act_as_their_optimisers_and_none_is_frozen():
    params = start()
    groups = optim.Groups(
        lambda path, leaf: {"W": "slow", "b.0": "fast"}.get(path, "frozen"),
        slow=optim.SGD(0.01),
        fast=optim.Adam(0.5),
        frozen=None,
    )
    grads = tw.grad(loss)(params, 1.0)
    state = groups.init(params)
    assert set(state) == {"slow", "fast"}
    _, moved = groups.update(state, grads, params)
    np.testing.assert_allclose(moved["W"], params["W"] - 0.01 * grads["W"])
    np.testing.assert_allclose(moved["b"][0], 0.3 + 0.5, rtol=1e-7)
    with pytest.raises(ValueError, match=r"choose\('W', …\) gave 'x'; the groups are a"):
        optim.Groups(lambda path, leaf: "x", a=None).init(params)


def test_averages():
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(12, 3)).astype(np.float32)
    decay = 0.8
    ema, mean, sparse = optim.EMA(decay), optim.Polyak(start=4), optim.Polyak(start=3, every=3)
    plain = optim.Polyak()
    averages = {opt: opt.init({"w": seen[0] * 0}) for opt in (ema, mean, sparse, plain)}
    update = {
        opt: tw.compile(lambda a, w, opt=opt: (opt.update(a, w),), inplace=0) for opt in averages
    }
    for i, w in enumerate(seen):
        for opt in averages:
            (averages[opt],) = update[opt](averages[opt], {"w": w})
        if i < 4:
            np.testing.assert_allclose(averages[mean].params["w"], w, rtol=1e-5)
    weights = decay ** np.arange(12)[::-1]
    expected = weights @ seen / np.sum(weights)
    assert averages[ema].params["w"].dtype == np.float32
    np.testing.assert_allclose(averages[ema].params["w"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(averages[mean].params["w"], seen[4:].mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(averages[sparse].params["w"], seen[5::3].mean(0), rtol=1e-5)
    np.testing.assert_allclose(averages[plain].params["w"], seen.mean(0), rtol=1e-5, atol=1e-6)
    assert all(len(f.records) == 1 for f in update.values())
