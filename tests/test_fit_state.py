"""`tw.fit`: keys, running statistics, metrics of the loss; what is not finite, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn import Affine, BatchNorm, Dropout, Sequential
from thalweg.nn.losses import mse
from thalweg.nn.regularise import l2
from thalweg.random import uniform
from thalweg.training import History
from thalweg.tree import buffer, flatten, tree_map

X = np.random.default_rng(3).normal(2.0, 3.0, size=(70, 4))
Y = np.sin(X[:, 0]) + X[:, 1]


def net():
    return Sequential([BatchNorm.create(4), Affine.create(0, 4, 6), np.tanh, Dropout(0.2),
                       BatchNorm.create(6), Affine.create(1, 6, 1)])  # fmt: skip


def loss(net, x, y, *, key, train):
    out, moved = net.advance(x, key=key) if train else (net(x), net)
    return mse(out[:, 0], y), {"model": moved, "mean": np.mean(out)}


def fit(model=None, f=loss, data=(X, Y), **options):
    options = {"epochs": 3, "batch_size": 16, "optimiser": tw.optim.Adam(0.01), **options}
    return tw.fit(net() if model is None else model, f, data, **options)


# ---- running statistics and modes ------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        tw.optim.AdamW(0.01, decay=0.5),
        tw.optim.Lion(0.01, decay=0.5),
        tw.optim.Clipped(tw.optim.Momentum(0.01), norm=1.0),
        tw.optim.Groups(
            lambda path, leaf: "W" if path.endswith("W") else "rest",
            W=tw.optim.AdamW(0.01, decay=0.5),
            rest=tw.optim.SGD(0.01),
        ),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_running_statistics_are_those_of_the_batches(rule):
    found = fit(optimiser=rule).model.layers
    mean, variance = np.zeros(4), np.ones(4)
    for epoch in range(3):
        order = np.random.default_rng([0, epoch]).permutation(len(X))
        for rows in np.split(order, [16, 32, 48, 64]):
            mean = 0.9 * mean + 0.1 * X[rows].mean(axis=0)
            variance = 0.9 * variance + 0.1 * X[rows].var(axis=0, ddof=1)
    np.testing.assert_allclose(found[0].mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found[0].variance, variance, rtol=1e-12)
    assert np.all(found[4].variance != 1)
    assert np.all(found[1].W != net().layers[1].W)


def test_validation_is_without_dropout_and_by_running_statistics():
    held = (X[:25], Y[:25])
    found = fit(validation=held)
    out = found.model(held[0])[:, 0]
    np.testing.assert_allclose(found.history["validation"][-1], np.mean((out - held[1]) ** 2))
    np.testing.assert_allclose(found.history["validation_mean"][-1], np.mean(out))
    assert list(found.history) == ["loss", "validation", "mean", "validation_mean"]
    assert set(map(len, found.history.values())) == {3}


def test_it_learns_with_them():
    found = fit(epochs=60, optimiser=tw.optim.Adam(0.03), validation=(X, Y))
    assert found.history["validation"][-1] < 0.25 * np.var(Y)


@pytest.mark.parametrize("every", [None, 2])
def test_a_resume_has_the_same_keys_and_statistics(tmp_path, every):
    pytest.importorskip("safetensors")
    held = {"validation": (X[:25], Y[:25])}
    whole = fit(**held, epochs=4)
    store = tw.training.Checkpoints(tmp_path, every=every, keep=9)
    fit(**held, epochs=2, checkpoint=store)
    if every:
        store.files()[0].unlink()  # on from the middle of an epoch
    resumed = fit(**held, epochs=4, checkpoint=store, resume=True)
    for a, b in zip(flatten(resumed.model)[0], flatten(whole.model)[0], strict=True):
        assert a.tobytes() == b.tobytes()
    assert resumed.history == whole.history


def test_a_moved_model_of_another_form_is_refused():
    def bad(model, x, y):
        return np.mean(model["a"] * x[:, 0] - y) ** 2, {"model": {"b": model["a"]}}

    with pytest.raises(tw.errors.TreeError, match="the loss's 'model'"):
        fit({"a": np.ones(())}, bad)


# ---- key, step, metrics ------------------------------------------------------------------------


def test_each_step_has_a_key_of_its_own_and_each_batch_of_validation():
    def drawn(p, x, *, key, step):
        return np.mean((x - p) ** 2), {"u": uniform(key), "step": step}

    def run(seed):
        return fit(np.zeros(4), drawn, X, batch_size=70, epochs=5, validation=X, seed=seed).history

    history = run(0)
    assert len({*history["u"], history["validation_u"][0]}) == 6
    assert len(set(history["validation_u"])) == 1
    assert history["step"] == [0, 1, 2, 3, 4]
    assert run(0) == history
    assert not set(run(1)["u"]) & set(history["u"])


def test_metrics_are_means_over_the_rows():
    def counted(p, x):
        return np.mean((x - p) ** 2), {"rows": np.mean(x[:, 0]), "one": 1.0}

    found = fit(np.zeros(4), counted, X, epochs=1)
    np.testing.assert_allclose(found.history["rows"], [X[:, 0].mean()])
    assert found.history["one"] == [1.0]


def test_a_resume_has_the_metrics_that_there_were(tmp_path):
    pytest.importorskip("safetensors")

    def named(name):
        return lambda p, x: (np.mean((x - p) ** 2), {name: np.mean(x)})

    fit(np.zeros(4), named("a"), X, epochs=2, checkpoint=tmp_path)
    with pytest.raises(tw.errors.DataError, match="there are 2 numbers of 'a' after 3 epochs"):
        fit(np.zeros(4), named("b"), X, epochs=3, checkpoint=tmp_path, resume=True)


def test_metrics_stand_in_the_bar(capsys):
    fit(progress=True)
    assert "mean" in capsys.readouterr().err


def test_the_bar_ends_with_the_last_step(capsys):
    """Steps within a tenth of a second of the last picture were not shown: "epoch 1/50" stayed."""
    fit(epochs=50, progress=True)
    assert "epoch 50/50" in capsys.readouterr().err


def test_a_result_is_shown_in_a_line():
    """In a notebook the last line printed both models and every number of the history."""
    found = fit(epochs=50)
    assert repr(found).startswith(f"<Fitted: 50 epochs, {found.steps} steps, loss ")
    assert len(repr(found)) < 200


def test_a_loss_of_several_numbers_is_told_with_its_name():
    def residuals(p, x):
        return p - x

    with pytest.raises(tw.errors.NonScalarOutputError, match="residuals returned shape"):
        fit(np.zeros(4), residuals, X)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ((1.0,), "the number and a dict of metrics"),
        (([],), "the number and a dict of metrics"),
        (({}, {}), "the number and a dict of metrics"),
        (({"a": np.ones(2)},), "must be one number"),
        (({"loss": 1.0},), "cannot be named"),
        (({"validation": 1.0},), "cannot be named"),
        (({"size": 1.0},), "rename one"),
    ],
)
def test_what_is_no_metric_is_refused(extra, message):
    with pytest.raises(tw.errors.DataError, match=message):
        fit(np.zeros(4), lambda p, x: (np.mean((x - p) ** 2), *extra), X, validation=X,
            metrics={"size": lambda p, x: np.mean(x)})  # fmt: skip


# ---- what is not finite --------------------------------------------------------------------------


@dataclass(frozen=True)
class Wide:
    """Parameters of any size: small ones are updated in place, large ones beside the old."""

    w: Any


@pytest.mark.parametrize("size", [3, 20_000])
@pytest.mark.parametrize(
    ("f", "rule", "what"),
    [
        (lambda m, x: np.mean(np.sqrt(x - 30)) * np.mean(m.w), tw.optim.SGD(0.1), "the loss"),
        (lambda m, x: np.sum(np.sqrt(m.w * (x[0] > 30))), tw.optim.SGD(0.1), "a gradient"),
        (lambda m, x: np.mean(m.w) * 1e300 * (x[0] > 30), tw.optim.SGD(1e300), "the optimiser"),
        (lambda m, x: np.mean(m.w) * 1e200 * (x[0] > 30), tw.optim.Adam(0.1), "the optimiser"),
    ],
    ids=["loss", "gradient", "update", "moment"],
)
def test_it_stops_at_the_step_and_keeps_what_was_before(size, f, rule, what):
    calm, bad = (20.0, 31.0) if what == "the optimiser" else (31.0, 20.0)
    data = np.where(np.arange(12.0) < 8, calm, bad)
    options = {"batch_size": 4, "shuffle": False, "optimiser": rule, "epochs": 1}
    start = Wide(np.ones(size))
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=what) as caught:
        fit(start, f, data, **options)
    assert "batch 3" in str(caught.value)
    before = fit(start, f, data[:8], **options)
    np.testing.assert_array_equal(caught.value.result.model.w, before.model.w)
    assert np.all(np.isfinite(before.model.w))
    assert np.all(start.w == 1)


def test_rows_of_the_data_that_are_not_finite_are_named():
    """The place within a shuffled batch says nothing about the data."""
    x = X.copy()
    x[[3, 50], 1] = np.nan
    with pytest.raises(tw.errors.NonFiniteError) as caught:
        fit(np.zeros(4), lambda w, x, y: np.mean((x @ w - y) ** 2), (x, Y))
    assert "data[0] is not finite in 2 of 70 rows: 3, 50" in str(caught.value)


# ---- buffers -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    w: Any
    seen: Any = buffer()


@pytest.mark.parametrize("minimise", [tw.optim.minimize_lbfgs, tw.optim.minimize_newton])
def test_minimising_leaves_buffers_alone(minimise):
    found = minimise(
        lambda m: np.sum((m.w - 2) ** 2 + (m.seen - m.w) ** 2), Held(np.zeros(2), np.ones(2))
    )
    np.testing.assert_allclose(found.params.w, 1.5)
    np.testing.assert_array_equal(found.params.seen, 1.0)


def test_a_buffer_may_be_infinite():
    model = Held(np.zeros(3), np.array([0.0, -np.inf, 0.0]))

    def masked(m, x):
        return np.mean((np.exp(m.w + m.seen) - x) ** 2)

    found = fit(model, masked, np.array([[2.0, 0.0, 3.0]] * 8), epochs=200,
                optimiser=tw.optim.Adam(0.05)).model  # fmt: skip
    np.testing.assert_allclose(np.exp(found.w + found.seen), [2, 0, 3], atol=0.01)


def test_a_penalty_does_not_count_buffers():
    model = Held(np.ones((2, 2)), np.ones((2, 2)))
    assert l2(model, 1.0) == 2.0
    slope = tw.grad(lambda m: l2(m, 1.0, lambda path, leaf: True))(model)
    assert tree_map(np.sum, slope) == Held(4.0, 0.0)


# ---- resumed with other settings; pictures -------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"optimiser": tw.optim.Adam(0.02)}, r"optimiser: Adam\(rate=0.01.* there, .*rate=0.02"),
        ({"optimiser": tw.optim.Adam(tw.optim.Cosine(0.01, 9))}, r"here|rate=Cosine\(rate=0.01"),
        ({"batch_size": 8}, "batch_size: 16 there, 8 here"),
        ({"shuffle": False}, "shuffle: True there, False here"),
    ],
)
def test_other_settings_are_told_and_can_be_meant(tmp_path, options, told):
    pytest.importorskip("safetensors")
    store = tw.training.Checkpoints(tmp_path, every=2, keep=9)
    before = fit(epochs=2, checkpoint=store)
    store.files()[0].unlink()  # in the middle of the second epoch
    with pytest.raises(tw.errors.DataError, match=told):
        fit(epochs=4, checkpoint=store, resume=True, **options)
    after = fit(epochs=4, checkpoint=store, resume="changed", **options)
    assert after.history["loss"][0] == before.history["loss"][0]
    assert after.epochs == 4
    with pytest.raises(tw.errors.DataError, match="resume must be"):
        fit(checkpoint=store, resume="yes")


def test_a_schedule_of_ones_own_has_a_name(tmp_path):
    pytest.importorskip("safetensors")

    def rate(step):
        return 0.01 / (1 + step)

    rule = tw.optim.Clipped(tw.optim.Momentum(rate), norm=1.0)
    fit(epochs=1, optimiser=rule, checkpoint=tmp_path)
    assert fit(epochs=2, optimiser=rule, checkpoint=tmp_path, resume=True).epochs == 2


def test_the_history_draws_itself(tmp_path):
    pytest.importorskip("matplotlib")
    assert [panel.get_title() for panel in History(accuracy=[0.5]).plot().axes] == [
        "loss",
        "metrics",
    ]
    history = fit(validation=(X, Y)).history
    figure = history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    lines = [[line.get_label() for line in panel.get_lines()] for panel in figure.axes]
    assert lines == [["loss", "validation"], ["mean", "validation_mean"]]
    np.testing.assert_array_equal(figure.axes[0].get_lines()[0].get_ydata(), history["loss"])
