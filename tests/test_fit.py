"""`tw.fit`: data, validation, what ends it; checkpoints, also under kill −9."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import thalweg as tw
from thalweg.training import Checkpoints, Source

X = np.random.default_rng(3).normal(size=(70, 4))
Y = np.sin(X[:, 0]) + X[:, 1]


def start(dtype=float):
    rng = np.random.default_rng(0)
    return {"W": rng.normal(size=(4, 8)).astype(dtype), "v": np.zeros(8, dtype)}


def loss(p, x, y):
    return np.mean((np.tanh(x @ p["W"]) @ p["v"] - y) ** 2)


def run(data=(X, Y), f=loss, model=None, **options):
    options = {"epochs": 4, "batch_size": 16, "seed": 5, **options}
    options.setdefault("optimiser", tw.optim.Adam(0.01))
    return tw.fit(start() if model is None else model, f, data, **options)


def same(a, b):
    return all(a[k].tobytes() == b[k].tobytes() for k in a) and a.keys() == b.keys()


# ---- the loop ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_is_the_loop_one_would_write(dtype):
    x, y, opt = X.astype(dtype), Y.astype(dtype), tw.optim.Adam(0.01)
    found = run((x, y), model=start(dtype))
    params, means = start(dtype), []
    state = opt.init(params)
    for epoch in range(4):
        order = np.random.default_rng([5, epoch]).permutation(len(x))
        total = 0.0
        for rows in np.split(order, [16, 32, 48, 64]):
            value, grads = tw.value_and_grad(loss)(params, x[rows], y[rows])
            state, params = opt.update(state, grads, params)
            total += float(value) * len(rows)
        means.append(total / len(x))
    close = 1e-12 if dtype is np.float64 else 1e-4
    for name, value in params.items():
        assert found.model[name].dtype == dtype
        np.testing.assert_allclose(found.model[name], value, rtol=close, atol=close)
    np.testing.assert_allclose(found.history["loss"], means, rtol=close)
    assert (found.epochs, found.steps, found.interrupted, found.stopped) == (4, 20, False, False)


def test_the_given_model_stays():
    model = start()
    run(model=model)
    assert same(model, start())


@pytest.mark.parametrize("lying", [np.asfortranarray, lambda a: a.astype(">f8")])
def test_how_the_given_model_lies_in_memory_makes_no_difference(lying):
    found = run(model={name: lying(array) for name, array in start().items()})
    assert same(found.model, run().model)


def test_a_memory_map_is_as_its_array(tmp_path):
    for name, array in (("x", X), ("y", Y)):
        np.save(tmp_path / f"{name}.npy", array)
    maps = tuple(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy")
    assert same(run(maps).model, run().model)


def test_an_iterable_of_batches_is_as_the_arrays_in_order():
    batches = [(X[i : i + 16], Y[i : i + 16]) for i in range(0, 70, 16)]
    a, b = run(batches), run(shuffle=False)
    assert same(a.model, b.model)
    assert a.history == b.history


def test_one_array_alone_and_float_leaves():
    found = tw.fit({"m": 0.0}, lambda p, y: np.mean((y - p["m"]) ** 2), Y,
                   optimiser=tw.optim.SGD(0.1), epochs=30)  # fmt: skip
    assert abs(found.model["m"] - Y.mean()) < 0.05


def test_each_row_once_an_epoch_in_an_order_of_its_own():
    source = Source(np.arange(70), 16, 1, "data")
    orders = [np.concatenate([b[0].copy() for _, b in source.epoch(e)]) for e in (0, 1)]
    assert all(sorted(order) == list(range(70)) for order in orders)
    assert not np.array_equal(*orders)
    rest = np.concatenate([b[0].copy() for _, b in source.epoch(1, start=2)])
    np.testing.assert_array_equal(rest, orders[1][32:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": (X, Y[:-1])}, "share their first axis"),
        ({"data": (X, np.array(1.0))}, "share their first axis"),
        ({"data": (X[:0], Y[:0])}, "no rows"),
        ({"data": ()}, "empty tuple"),
        ({"data": (X, list(Y))}, r"data\[1\] must be a NumPy array, got list"),
        ({"data": (np.ma.masked_greater(X, 1), Y)}, r"data\[0\] is a masked array"),
        ({"data": 3}, "iterable of batches"),
        ({"data": iter([X])}, "used up after one epoch"),
        ({"data": []}, "gave no batch"),
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"epochs": 1.5}, "epochs must be 1 or more, an integer, got 1.5"),
        ({"batch_size": "8"}, "batch_size must be"),
        ({"seed": -1}, "seed must be an integer"),
        ({"seed": None}, "seed must be an integer"),
        ({"optimiser": "adam"}, r"optimiser must be one of thalweg\.optim"),
        ({"optimiser": tw.optim.Adam}, r"optimiser must be one of thalweg\.optim"),
        ({"callbacks": print}, "callbacks must be a list of functions, got <built-in"),
        ({"callbacks": [print, 1]}, "callbacks must be a list of functions"),
        ({"validation": (X, Y), "metrics": [loss]}, "metrics must be a dict of functions"),
        ({"validation": (X, Y), "metrics": {"m": 3}}, "metrics must be a dict of functions"),
        (
            {"validation": (X, Y), "metrics": {"m": lambda p, x, y: y}},
            "one number: .* gave shape",
        ),
        ({"patience": 2}, "need validation"),
        ({"resume": True}, "needs checkpoint"),
        ({"validation": (X, Y), "metrics": {"loss": loss}}, "cannot be named"),
        ({"validation": (X, Y), "metrics": {1: loss}}, "name must be a str, got 1"),
        ({"f": lambda p, x, y: (loss(p, x, y), {1: 0.5})}, "name must be a str, got 1"),
        ({"f": None}, "loss must be a function of a model and .* got None"),
        ({"validation": (X, Y), "validation_loss": 0}, "the validation loss must be a function"),
        ({"data": [X, Y]}, r"missing .* 'y'\.\n  A batch of data has 1 array: .* a tuple, as"),
        ({"data": (X, Y, Y)}, r"loss loss\(p, x, y\) .* too many"),
        ({"validation": X}, r"validation loss loss\(p, x, y\) .*\n.* validation has 1 array\."),
        ({"validation": (X, Y), "metrics": {"m": lambda p: 1.0}}, "the metric 'm' .* too many"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


# ---- validation, callbacks, ends -------------------------------------------------------------


def test_validation_and_metrics_are_means_over_all_rows():
    held = (X[:25], Y[:25])
    found = run(validation=held, metrics={"bias": lambda p, x, y: np.mean(y)})
    np.testing.assert_allclose(found.history["validation"][-1], loss(found.model, *held))
    np.testing.assert_allclose(found.history["bias"], Y[:25].mean())


def test_early_stopping_keeps_the_best():
    rng = np.random.default_rng(1)
    noise, held = rng.normal(size=70), (X, rng.normal(size=70))
    found = run((X, noise), validation=held, epochs=200, patience=3,
                optimiser=tw.optim.Adam(0.05))  # fmt: skip
    curve = found.history["validation"]
    assert found.stopped
    assert found.epochs == found.best_epoch + 3 == len(curve) < 200
    assert min(curve) == curve[found.best_epoch - 1]
    np.testing.assert_allclose(loss(found.best, *held), min(curve))


def test_any_validation_loss_is_better_than_nan():
    values = iter([np.nan, 3.0, np.nan, 2.0, np.nan])

    class Held:
        def __iter__(self):
            return iter([np.array([next(values)])])

    found = run(validation=Held(), validation_loss=lambda p, v: np.mean(v), epochs=5)
    np.testing.assert_array_equal(found.history["validation"], [np.nan, 3.0, np.nan, 2.0, np.nan])
    assert found.best_epoch == 4


def test_a_callback_sees_each_epoch_and_can_end_it():
    seen = []

    def callback(epoch):
        seen.append((epoch.number, epoch.steps, len(epoch.history["loss"])))
        return epoch.number == 2

    assert run(callbacks=[callback]).stopped
    assert seen == [(1, 5, 1), (2, 10, 2)]
    assert run(callbacks=[lambda epoch: np.float64(epoch.history["loss"][-1]) < 100]).epochs == 1
    assert run(callbacks=[lambda epoch: "no"]).epochs == 4


@pytest.mark.parametrize("width", [8, 4000])
def test_a_callback_sees_the_model_of_its_epoch(width):
    """Small models are written in place, large ones beside the old one."""
    model, seen = {"W": np.ones((4, width)) / 9, "v": np.zeros(width)}, []
    run(model=model, callbacks=[lambda epoch: seen.append({**epoch.model})], epochs=1)
    assert same(seen[0], run(model=model, epochs=1).model)
    assert not same(seen[0], model)


def test_an_optimiser_of_ones_own_keeps_its_form():
    class Growing(tw.optim.base.Updating):
        def init(self, params):
            return {}

        def update(self, state, grads, params):
            return {"seen": grads}, params

    with pytest.raises(tw.errors.TreeError, match="next state must have the form of the last"):
        run(optimiser=Growing())


def test_a_nan_names_its_producer_and_keeps_the_weights():

    def bad(p, x, y):
        return np.mean(np.sqrt(y + 1e-3) * (x @ p["W"] @ p["v"]) ** 2 + np.sum(p["v"] ** 2))

    with np.errstate(all="ignore"), pytest.raises(FloatingPointError) as caught:
        run((X, np.where(np.arange(70) == 40, -1.0, np.abs(Y))), bad, shuffle=False)
    assert "gate 'sqrt'" in str(caught.value)
    assert "epoch 1, batch 3" in str(caught.value)
    kept = caught.value.result
    assert kept.steps == 2
    before = run((X[:32], np.abs(Y[:32])), bad, shuffle=False, epochs=1)
    assert same(kept.model, before.model)


def test_a_gradient_that_is_not_finite_stops_before_the_update():
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="a gradient") as caught:
        run(f=lambda p, x, y: np.mean(np.sqrt(np.abs(x @ p["W"] @ p["v"]))))
    assert same(caught.value.result.model, start())


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_it_with_everything_kept(tmp_path):
    def batches():
        for i in range(5):
            if i == 3 and not asked:
                asked.append(True)
                os.kill(os.getpid(), signal.SIGINT)
            yield X[i * 14 : i * 14 + 14], Y[i * 14 : i * 14 + 14]

    class Again:
        __iter__ = staticmethod(batches)

    pytest.importorskip("safetensors")
    asked = []
    handler = signal.getsignal(signal.SIGINT)
    found = run(Again(), checkpoint=tmp_path)
    assert found.interrupted
    assert (found.steps, found.epochs) == (3, 0)
    assert signal.getsignal(signal.SIGINT) is handler
    resumed, whole = run(Again(), checkpoint=tmp_path, resume=True), run(Again())
    assert same(resumed.model, whole.model)
    assert resumed.history == whole.history


def test_a_process_that_ignores_ctrl_c_goes_on():
    """A job that a script puts into the background ignores it."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        found = run(callbacks=[lambda epoch: os.kill(os.getpid(), signal.SIGINT)])
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (found.epochs, found.interrupted) == (4, False)


def test_progress_goes_to_stderr_and_only_if_asked(capsys):
    found = run(progress=True)
    told = capsys.readouterr().err
    assert "epoch 4/4" in told  # where it ended
    assert found.history.keys() == {"loss"}
    run()
    assert capsys.readouterr() == ("", "")


# ---- checkpoints -----------------------------------------------------------------------------


def test_a_resume_is_the_same_to_the_last_bit(tmp_path):
    pytest.importorskip("safetensors")
    held = {"validation": (X[:25], Y[:25]), "epochs": 6}
    whole = run(**held)
    run(**{**held, "epochs": 2}, checkpoint=Checkpoints(tmp_path, every=2, keep=4))
    newest = Checkpoints(tmp_path).files()
    assert [path.name[5:15] for path in newest] == [f"{i:010d}" for i in (10, 8, 6, 5)]
    newest[0].unlink()  # on from the middle of the second epoch
    resumed = run(**held, checkpoint=tmp_path, resume=True)
    assert same(resumed.model, whole.model)
    assert same(resumed.best, whole.best)
    assert (resumed.history, resumed.steps) == (whole.history, whole.steps)
    assert len(Checkpoints(tmp_path).files()) == 3


def test_numbers_of_numpy_are_settings_like_others(tmp_path):
    run(checkpoint=tmp_path, epochs=1, seed=np.int64(5), batch_size=np.int32(16))
    found = run(checkpoint=tmp_path, resume=True, epochs=2, seed=5, batch_size=16)
    np.testing.assert_array_equal(found.model["W"], run(epochs=2, seed=5, batch_size=16).model["W"])
    for wrong in ({"every": 1.5}, {"keep": "3"}, {"keep": 0}):
        with pytest.raises(tw.errors.DataError, match=next(iter(wrong))):
            Checkpoints(tmp_path, **wrong)


def test_a_new_run_does_not_mix_with_an_old_one(tmp_path):
    pytest.importorskip("safetensors")
    run(checkpoint=tmp_path)
    with pytest.raises(tw.errors.DataError, match="earlier run"):
        run(checkpoint=tmp_path)
    with pytest.raises(tw.errors.DataError, match="seed: 5 there, 6 here"):
        run(checkpoint=tmp_path, resume=True, seed=6)
    with pytest.raises(tw.errors.DataError, match="another model"):
        run(checkpoint=tmp_path, resume=True, optimiser=tw.optim.SGD(0.1))
    with pytest.raises(tw.errors.DataError, match="another model"):
        run(checkpoint=tmp_path, resume=True, model={**start(), "v": np.zeros(8, np.float32)})


def test_a_folder_that_cannot_be_written_is_told_before_the_training(tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "file").write_text("")

    def counted(p, x, y):
        pytest.fail("it has trained")

    with pytest.raises(tw.errors.DataError, match=r"cannot make the folder .*file"):
        run(f=counted, checkpoint=tmp_path / "file")
    wide = np.longdouble(1.0)
    if wide.itemsize > 8:
        with pytest.raises(tw.errors.DataError, match=r"cannot hold .* dtype float"):
            run(f=counted, model={"wide": wide}, checkpoint=tmp_path)


def test_a_run_that_was_flat_goes_on_with_more_patience(tmp_path):
    pytest.importorskip("safetensors")
    rng = np.random.default_rng(1)
    options = {"data": (X, rng.normal(size=70)), "validation": (X, rng.normal(size=70)),
               "epochs": 30, "optimiser": tw.optim.Adam(0.05)}  # fmt: skip
    first = run(**options, patience=3, checkpoint=tmp_path)
    assert first.stopped
    assert run(**options, patience=3, checkpoint=tmp_path, resume=True).epochs == first.epochs
    again = run(**options, patience=99, checkpoint=tmp_path, resume="changed")
    assert (again.epochs, again.stopped) == (30, False)
    with pytest.raises(tw.errors.DataError, match="a run with validation"):
        run(options["data"], epochs=40, optimiser=options["optimiser"], checkpoint=tmp_path,
            resume=True)  # fmt: skip


def test_what_was_just_written_stays_whatever_else_is_there(tmp_path):
    pytest.importorskip("safetensors")
    for step in (20, 30):
        (tmp_path / f"step-{step:010d}.safetensors").write_bytes(b"damaged")
    path = Checkpoints(tmp_path, keep=1).save(10, start(), {})
    assert Checkpoints(tmp_path).files() == [path]


def test_every_damage_is_noticed_and_the_one_before_is_used(tmp_path):
    pytest.importorskip("safetensors")
    whole = run()
    run(checkpoint=tmp_path, epochs=3)
    newest = Checkpoints(tmp_path).files()[0]
    good = newest.read_bytes()
    rng = random.Random(0)
    flipped = [bytearray(good) for _ in range(30)]
    for data in flipped:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    cut = [good[: rng.randrange(len(good))] for _ in range(10)]
    for bad in [*map(bytes, flipped), *cut, b"", b"PK\x03\x04 something else"]:
        newest.write_bytes(bad)
        template = {"model": start(), "best": start(), "state": tw.optim.Adam(0.01).init(start())}
        with pytest.raises(tw.errors.DataError, match=newest.name):
            Checkpoints(tmp_path).load(newest, template)
    with pytest.warns(tw.errors.CheckpointWarning, match=newest.name):
        resumed = run(checkpoint=tmp_path, resume=True)
    assert same(resumed.model, whole.model)
    for path in Checkpoints(tmp_path).files():
        path.write_bytes(b"")
    with (
        pytest.warns(tw.errors.CheckpointWarning),
        pytest.raises(tw.errors.DataError, match="cannot be read"),
    ):
        run(checkpoint=tmp_path, resume=True)


def test_a_file_of_another_program_is_no_checkpoint(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "step-0000000001.safetensors"
    library.save_file({"W": np.zeros(3)}, path)
    with pytest.raises(tw.errors.DataError, match="is no checkpoint"):
        run(checkpoint=tmp_path, resume=True)


def test_dtypes_come_back(tmp_path):
    pytest.importorskip("safetensors")
    tree = [np.array(2 - 1j), np.ones((2, 3), np.complex64), np.zeros((0, 2)), np.array(7),
            np.array([True, False]), np.float16(0.1), np.asfortranarray(X)]  # fmt: skip
    store = Checkpoints(tmp_path)
    back, about = store.load(store.save(1, tree, {"loss": [float("nan"), 0.1]}), tree)
    for a, b in zip(tree, back, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
    assert about["loss"][1] == 0.1
    with pytest.raises(tw.errors.DataError, match="cannot hold"):
        store.save(2, [np.array(["text"])], {})


def test_without_safetensors_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(tw.errors.DataError, match=r"thalweg\[train\]"):
        run(checkpoint=tmp_path)


PROGRAM = """
import sys
import numpy as np
import thalweg as tw
from thalweg.training import Checkpoints

x = np.random.default_rng(3).normal(size=(70, 4))
start = {"W": np.ones((4, 8)) / 9}

def run(folder):
    loss = lambda p, x: np.mean((np.tanh(x @ p["W"]) - x[:, :1]) ** 2)
    return tw.fit(start, loss, x, epochs=20, batch_size=16, resume=True,
                  checkpoint=Checkpoints(folder, every=1))

if __name__ == "__main__":
    print("ready", flush=True)
    run(sys.argv[1])
    print("done", flush=True)
"""


def _killed(folder, seconds):
    """A process that trains, killed after so many seconds; whether it was still at it."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, folder], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        child.kill()
        return child.stdout.read() == b""


def test_killed_at_any_moment_it_goes_on_to_the_same_bits(tmp_path, capsys):
    """THALWEG_KILLS says how often; `THALWEG_KILLS=100` takes some minutes."""
    pytest.importorskip("safetensors")
    namespace = {"__name__": "program"}
    exec(PROGRAM, namespace)
    train = namespace["run"]
    begin = time.perf_counter()
    whole = train(tmp_path / "whole")
    longest = time.perf_counter() - begin
    state = tw.optim.Adam().init(whole.model)
    template = {"model": whole.model, "best": whole.best, "state": state}
    kills, rng, found = int(os.environ.get("THALWEG_KILLS", "3")), random.Random(7), []
    cut = tmp_path / "cut"
    while sum(inside for inside, _ in found) < kills:
        if rng.random() < 0.5:  # else on from where the last one was killed
            shutil.rmtree(cut, ignore_errors=True)
        inside = _killed(cut, rng.uniform(0.0, longest))
        left = Checkpoints(cut)
        steps = [left.load(path, template)[1]["steps"] for path in left.files()]  # all are whole
        found.append((inside, max(steps, default=0)))
        copy = tmp_path / "copy"
        if cut.exists():
            shutil.copytree(cut, copy)
        resumed = train(copy)
        assert same(resumed.model, whole.model), f"kill {len(found)}"
        assert (resumed.history, resumed.steps) == (whole.history, whole.steps)
        shutil.rmtree(copy)
    with capsys.disabled():
        if kills > 3:
            at = [steps for inside, steps in found if inside]
            print(f"\n{kills} kills in the midst of a run, after steps {sorted(at)}")
