"""``thalweg fit``: train the lecture's linear classifier on real data."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from thalweg.commands.arguments import (
    at_least_zero,
    character,
    part,
    positive,
    positive_int,
    seed,
)
from thalweg.dataset import Dataset, read_csv, split
from thalweg.errors import DataError
from thalweg.files import check_place
from thalweg.linear_classifier import LOSSES, Epoch, Settings, Training, accuracy
from thalweg.optional import library

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
    parser.add_argument("--target", metavar="COLUMN", help="the class labels")
    parser.add_argument(
        "--delimiter", default=",", type=character, metavar="C", help="between fields; default: ,"
    )
    parser.add_argument(
        "--loss", choices=sorted(LOSSES), default=_DEFAULTS.loss, help="default: %(default)s"
    )
    for name, kind, metavar, text in (
        ("l2", at_least_zero, "λ", "of ½ λ ‖W‖²"),
        ("l1", at_least_zero, "λ", "of λ ‖W‖₁"),
        ("epochs", positive_int, "N", "passes over the data"),
        ("lr", positive, "R", "learning rate"),
        ("momentum", part, "M", "of the last step, kept"),
        ("batch", positive_int, "N", "rows a step"),
        ("seed", seed, "N", "of split and order"),
    ):
        parser.add_argument(
            f"--{name}",
            type=kind,
            metavar=metavar,
            default=getattr(_DEFAULTS, name),
            help=f"{text}; default: %(default)s",
        )
    parser.add_argument(
        "--test-fraction",
        type=part,
        metavar="F",
        default=0.25,
        help="held out of every class (0: nothing); default: %(default)s",
    )
    parser.add_argument(
        "--output", metavar="FILE", default="weights.npz", help="default: %(default)s"
    )
    parser.set_defaults(run=run)


def digits() -> Dataset:
    """scikit-learn's digits: 1797 images of 8 × 8 pixels.

    Raises
    ------
    DataError
        Where scikit-learn is missing.
    """
    bunch = library("sklearn.datasets", "thalweg fit without a file (the digits)").load_digits()
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
    check_place(args.output)  # told before the training, not after it
    train, held_out = split(data, args.test_fraction, args.seed)
    names = Settings.__dataclass_fields__
    settings = Settings(**{name: getattr(args, name) for name in names})
    console.print(
        f"{data.name}: {len(data):,} rows, {len(data.features):,} features, "
        f"{len(data.classes)} classes; {len(train):,} to train, {len(held_out):,} held out "
        f"(seed {args.seed})",
        soft_wrap=True,
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
            soft_wrap=True,
        )
        return 130
    console.print(f"weights, scaling and names: {args.output}", soft_wrap=True)
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
