"""``thalweg fit``: train the lecture's linear classifier on real data."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from thalweg.dataset import Dataset, read_csv, split
from thalweg.errors import DataError
from thalweg.linear_classifier import LOSSES, Epoch, Settings, Training, accuracy

__all__ = ["add"]

_EPILOG = """\
examples:
  thalweg fit                                       scikit-learn's digits, softmax
  thalweg fit iris.csv --target species             the other columns are the features
  thalweg fit iris.csv --target species --loss hinge --lr 0.01 --l1 0.001

Ctrl-C stops the training and keeps the weights so far.
"""
_DEFAULTS = Settings()


def add(commands: Any) -> None:
    """The arguments of the command."""
    parser = commands.add_parser(
        "fit",
        help="train a linear classifier on a CSV file",
        description="Train the linear classifier of the lecture: scores, loss, penalty, descent.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", nargs="?", help="CSV with a header line; default: scikit-learn's digits"
    )
    parser.add_argument("--target", help="column with the class labels")
    parser.add_argument("--delimiter", default=",", type=_character, help="default: ,")
    parser.add_argument("--loss", choices=sorted(LOSSES), default=_DEFAULTS.loss)
    parser.add_argument("--l2", type=_at_least_zero, default=_DEFAULTS.l2, help="λ of ½ λ ‖W‖²")
    parser.add_argument("--l1", type=_at_least_zero, default=_DEFAULTS.l1, help="λ of λ ‖W‖₁")
    parser.add_argument("--epochs", type=_positive_int, default=_DEFAULTS.epochs)
    parser.add_argument("--lr", type=_positive, default=_DEFAULTS.lr, help="learning rate")
    parser.add_argument("--momentum", type=_part, default=_DEFAULTS.momentum)
    parser.add_argument("--batch", type=_positive_int, default=_DEFAULTS.batch)
    parser.add_argument(
        "--test-fraction", type=_part, default=0.25, help="held out of every class (0: nothing)"
    )
    parser.add_argument("--seed", type=int, default=_DEFAULTS.seed, help="of split and order")
    parser.add_argument("--output", default="weights.npz", help="default: weights.npz")
    parser.set_defaults(run=run)


def _number(text: str) -> float:
    value = float(text)
    if not np.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not finite")
    return value


def _at_least_zero(text: str) -> float:
    if (value := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def _positive(text: str) -> float:
    if (value := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _part(text: str) -> float:
    if not 0 <= (value := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not in [0, 1)")
    return value


def _positive_int(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def _character(text: str) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) != 1 or text in '"\r\n':
        raise argparse.ArgumentTypeError("must be one character (or tab)")
    return text


def digits() -> Dataset:
    """scikit-learn's digits: 1797 images of 8 × 8 pixels.

    Raises
    ------
    DataError
        Where scikit-learn is missing.
    """
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise DataError(
            "without a file, fit uses scikit-learn's digits, but scikit-learn is not installed.\n"
            "  Either: pip install 'thalweg[train]'     or: thalweg fit FILE.csv --target COLUMN"
        ) from error
    bunch = datasets.load_digits()
    return Dataset(
        bunch.data.astype(np.float64),
        bunch.target.astype(np.intp),
        tuple(bunch.feature_names),
        tuple(map(str, bunch.target_names)),
        "digits",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Read, split, train, report, write."""
    data = _data(args)
    if not Path(args.output).parent.is_dir():  # told before the training, not after it
        raise DataError(f"cannot write {args.output}: {Path(args.output).parent} is not a folder")
    train, held_out = split(data, args.test_fraction, args.seed)
    names = Settings.__dataclass_fields__
    settings = Settings(**{name: getattr(args, name) for name in names})
    console.print(
        f"{data.name}: {len(data):,} rows, {len(data.features):,} features, "
        f"{len(data.classes)} classes; {len(train):,} to train, {len(held_out):,} held out "
        f"(seed {args.seed})"
    )
    training = Training(data, train, settings)
    interrupted = False
    epoch = Epoch(0, float("nan"), float("nan"))
    with _progress(console) as progress:
        task = progress.add_task("", total=settings.epochs, loss=0.0, accuracy=0.0, rate=0.0)
        try:
            for epoch in training.epochs():
                progress.update(task, advance=1, loss=epoch.loss, accuracy=epoch.accuracy)
                progress.update(task, rate=progress.tasks[0].speed or 0.0)
        except KeyboardInterrupt:
            interrupted = True
    model = training.model
    model.save(args.output)
    _summary(console, data, model, train, held_out, epoch)
    if interrupted:
        console.print(
            f"interrupted after {epoch.number} of {settings.epochs} epochs: "
            f"the weights so far are in {args.output}",
            style="yellow",
        )
        return 130
    console.print(f"weights, scaling and names: {args.output}")
    return 0


def _data(args: argparse.Namespace) -> Dataset:
    if args.file is None:
        if args.target is not None:
            raise DataError("--target names a column of a file, but no file was given")
        return digits()
    if args.target is None:
        raise DataError(f"say which column of {args.file} has the class labels: --target COLUMN")
    return read_csv(args.file, args.target, args.delimiter)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("accuracy {task.fields[accuracy]:.4f}"),
        TextColumn("{task.fields[rate]:.1f} epochs/s"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _summary(
    console: Console, data: Dataset, model: Any, train: Any, held_out: Any, epoch: Epoch
) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("epochs", str(epoch.number))
    table.add_row("loss", f"{epoch.loss:.4f}")
    table.add_row("accuracy, trained on", f"{accuracy(model, data.X[train], data.y[train]):.4f}")
    if len(held_out):
        value = accuracy(model, data.X[held_out], data.y[held_out])
        table.add_row("accuracy, held out", f"{value:.4f}", style="bold")
    console.print(table)
