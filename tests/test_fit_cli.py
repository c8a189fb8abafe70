"""``thalweg fit``: training on real data, files that cannot be used, interruption."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.cli import main
from thalweg.commands import fit
from thalweg.config import config
from thalweg.dataset import Dataset, read_csv, split
from thalweg.errors import DataError
from thalweg.linear_classifier import (
    LOSSES,
    LinearClassifier,
    Settings,
    Training,
    accuracy,
)

COMMAND = [sys.executable, "-c", "import sys; from thalweg.cli import main; sys.exit(main())"]
#: Ctrl-C at some moment after the first epoch.
INTERRUPTED = """
import signal, threading
from thalweg.linear_classifier import Training

timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
timer.daemon = True
every = Training.epochs

def epochs(self):
    for epoch in every(self):
        if epoch.number == 1:
            timer.start()
        yield epoch

Training.epochs = epochs
"""


def held_out(text):
    return float(re.search(r"accuracy, held out\s+([\d.]+)", text).group(1))


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_digits_reach_094_on_the_held_out_part(capsys, tmp_path, loss):
    """Seed 0 splits 25 % of every class off; the lecture's classifier, defaults."""
    output = tmp_path / "weights.npz"
    code = main(["fit", "--loss", loss, "--output", str(output), "--seed", "0"])
    text = capsys.readouterr().out
    assert code == 0
    assert "seed 0" in text
    assert held_out(text) >= 0.94
    model = LinearClassifier.load(output)
    data = fit.digits()
    rows = split(data, 0.25, 0)[1]
    assert accuracy(model, data.X[rows], data.y[rows]) == pytest.approx(held_out(text), abs=1e-4)
    assert model.classes == tuple("0123456789")
    assert model.features == data.features


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def flowers(n=20):
    rng = np.random.default_rng(0)
    rows = ["length,width,species"]
    for name, centre in (("iris, blue", 1.0), ("rose", 3.0)):
        rows += [f'{x:.3f},{y:.3f},"{name}"' for x, y in rng.normal(centre, 0.3, (n, 2))]
    return "\n".join(rows) + "\n"


def test_a_csv_with_text_labels_quotes_bom_and_empty_lines(capsys, tmp_path):
    text = "\ufeff" + flowers().replace("\n", "\r\n") + "\r\n\r\n"
    path = write(tmp_path / "flowers.csv", text)
    output = tmp_path / "w.npz"
    code = main(["fit", str(path), "--target", "species", "--output", str(output)])
    assert code == 0
    assert held_out(capsys.readouterr().out) == 1.0
    model = LinearClassifier.load(output)
    assert model.classes == ("iris, blue", "rose")
    assert model.features == ("length", "width")
    assert model.predict(np.array([[1.0, 1.0], [3.0, 3.0]])).tolist() == [0, 1]


def test_numbers_as_labels_are_sorted_as_numbers(tmp_path):
    path = write(tmp_path / "n.csv", "x,k\n1,10\n2,9\n3,9\n4,10\n")
    assert read_csv(path, "k").classes == ("9", "10")


BAD = {
    "missing file": (None, "cannot read"),
    "empty": ("", "is empty"),
    "only a header": ("x,k\n", "no rows"),
    "missing column": ("x,y\n1,2\n", "no column 'k'.*it has x, y"),
    "no header": ("1,2\n3,4\n", "first line must name"),
    "only the target": ("k\na\nb\n", "no column besides"),
    "two columns of a name": ("x,x,k\n1,2,a\n", "line 1: two columns"),
    "not a number": ("x,k\n1,a\noops,b\n", "line 3: column 'x' has 'oops'"),
    "an empty cell": ("x,k\n1,a\n,b\n", "line 3: column 'x' is empty"),
    "nan": ("x,k\n1,a\nnan,b\n", "line 3: column 'x' has 'nan'"),
    "infinite": ("x,k\n1,a\n1e999,b\n", "line 3"),
    "no label": ("x,k\n1,a\n2,\n", "line 3: no 'k'"),
    "too few fields": ("x,y,k\n1,2,a\n1,b\n", "line 3: 2 fields"),
    "too many fields": ("x,k\n1,a\n1,2,b\n", "line 3: 3 fields"),
    "one class": ("x,k\n1,a\n2,a\n", "every row has k = 'a'"),
    "a number to predict": ("x,k\n1,.1\n2,.2\n3,.3\n", "3 different values"),
    "a quantity": (
        "x,k\n" + "".join(f"{i},{i % 30}.5\n" for i in range(90)),
        "30 different numbers in 90 rows: a quantity",
    ),
    "another delimiter": ("x;y;k\n1;2;a\n3;4;b\n", "--delimiter"),
    "an open quote": ('x,k\n1,a\n2,"b\n3,c\n', "line"),
    "a zero byte": ("x,k\n1,a\n\x00,b\n", "line 3"),
    "a field beyond all bounds": ("x,k\n1,a\n" + "9" * 200_000 + ",b\n", "line 3"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_files_are_told_with_the_line(capsys, tmp_path, fault):
    text, message = BAD[fault]
    path = tmp_path / "bad.csv"
    if text is not None:
        write(path, text)
    code = main(["fit", str(path), "--target", "k", "--output", str(tmp_path / "w.npz")])
    err = capsys.readouterr().err
    assert code == 2
    assert re.search(message, err.replace("\n", " ")), err
    assert "Traceback" not in err
    assert not (tmp_path / "w.npz").exists()


def test_other_encodings_folders_and_binary_files(tmp_path):
    for path in (
        write(tmp_path / "latin.csv", "größe,k\n1,a\n2,b\n", "latin-1"),
        write(tmp_path / "utf16.csv", "x,k\n1,a\n2,b\n", "utf-16"),
        tmp_path,
    ):
        with pytest.raises(DataError):
            read_csv(path, "k")


def test_a_file_beyond_the_memory_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "dense_limit", 80)
    path = write(tmp_path / "long.csv", "x,k\n" + "1,a\n2,b\n" * 20)
    with pytest.raises(DataError, match="line 12: more than 80 bytes"):
        read_csv(path, "k")


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_data_or_our_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"x,k\n" + content)
    try:
        data = read_csv(path, "k")
    except DataError:
        return
    assert np.isfinite(data.X).all()
    assert len(data.classes) >= 2


def test_mistakes_in_the_arguments(capsys, tmp_path):
    path = str(write(tmp_path / "f.csv", flowers()))
    for arguments in (
        ["fit", path],
        ["fit", "--target", "k"],
        ["fit", path, "--target", "species", "--lr", "-1"],
        ["fit", path, "--target", "species", "--l2", "nan"],
        ["fit", path, "--target", "species", "--momentum", "1"],
        ["fit", path, "--target", "species", "--epochs", "0"],
        ["fit", path, "--target", "species", "--test-fraction", "1"],
        ["fit", path, "--target", "species", "--seed", "-1"],
        ["fit", path, "--target", "species", "--output", str(tmp_path / "no" / "w.npz")],
        ["fit", path, "--target", "species", "--output", str(tmp_path)],
        ["fit", path, "--target", "species", "--lr", "1e200"],
        ["fit", path, "--target", "species", "--delimiter", ";;"],
    ):
        assert main(arguments) == 2, arguments
        assert "Traceback" not in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_said_before_the_training(capsys, tmp_path):
    path = str(write(tmp_path / "f.csv", flowers()))
    for place in (tmp_path / "no" / "w.npz", tmp_path, Path("/proc/w.npz")):
        assert main(["fit", path, "--target", "species", "--output", str(place)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "cannot write" in err
    assert [item.name for item in tmp_path.iterdir()] == ["f.csv"]


def test_a_rate_that_is_too_high_is_said(capsys, tmp_path):
    path = str(write(tmp_path / "f.csv", flowers()))
    arguments = ["fit", path, "--target", "species", "--lr", "1e300", "--l2", "1"]
    assert main([*arguments, "--output", str(tmp_path / "w.npz")]) == 2
    assert "learning rate" in capsys.readouterr().err


def test_without_scikit_learn_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"thalweg\[train\]"):
        fit.digits()


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_keeps_the_weights_so_far(tmp_path):
    output = tmp_path / "weights.npz"
    program = [*COMMAND[:2], INTERRUPTED + COMMAND[2]]
    done = subprocess.run(
        [*program, "fit", "--epochs", "1000000", "--output", str(output)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")
    assert "the weights so far are in" in done.stdout
    model = LinearClassifier.load(output)
    assert np.any(model.W)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]


def test_weights_that_are_none(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, a=np.arange(3))
    for wrong in (path, tmp_path / "missing.npz", write(tmp_path / "text.npz", "no")):
        with pytest.raises(DataError):
            LinearClassifier.load(wrong)


def small(n=30, features=3, classes=3):
    rng = np.random.default_rng(1)
    y = np.arange(n) % classes
    X = rng.normal(size=(n, features)) + y[:, None]
    names = tuple(f"x{i}" for i in range(features))
    return Dataset(X, y, names, tuple("abc"[:classes]), "small")


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_gradient_of_the_objective_is_right(loss):
    data = small()
    training = Training(data, np.arange(len(data)), Settings(loss=loss, l1=0.01, l2=0.1))
    rng = np.random.default_rng(2)
    W, b = rng.normal(size=(3, 3)), rng.normal(size=3)
    report = tw.check_grads(lambda W, b: training.objective(W, b, data.X, data.y), (W, b), order=1)
    assert report.passed


def test_training_can_be_repeated_and_a_constant_column_does_no_harm():
    data = small()
    data.X[:, 1] = 7.0
    results = []
    for _ in range(2):
        training = Training(data, np.arange(len(data)), Settings(epochs=5, seed=3))
        list(training.epochs())
        results.append(training.model)
    assert np.array_equal(results[0].W, results[1].W)
    assert np.isfinite(results[0].W).all()


def test_l1_makes_weights_small():
    data = small()
    sums = []
    for l1 in (0.0, 0.1):
        training = Training(data, np.arange(len(data)), Settings(epochs=30, l1=l1))
        list(training.epochs())
        sums.append(float(np.abs(training.model.W).sum()))
    assert sums[1] < 0.7 * sums[0]


def test_the_split_holds_out_a_part_of_every_class():
    data = small(n=31)
    train, rest = split(data, 0.3, 0)
    assert sorted([*train, *rest]) == list(range(31))
    assert set(data.y[train]) == set(data.y[rest]) == {0, 1, 2}
    again = split(data, 0.3, 0)
    assert np.array_equal(again[0], train)
    assert not np.array_equal(split(data, 0.3, 1)[0], train)
    with pytest.raises(DataError, match="too few rows"):
        split(small(n=3), 0.3, 0)
