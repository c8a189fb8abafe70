"""``thalweg train``: a row of the lecture's table, trained on real data, measured and drawn."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from thalweg import plots
from thalweg.commands.arguments import positive_int, seed
from thalweg.errors import DataError
from thalweg.files import check_place, make_folder, write_text
from thalweg.optional import library
from thalweg.rows.catalogue import ROWS, Setting

__all__ = ["add"]

_EPILOG = """\
examples:
  thalweg train gaussian
  thalweg train categorical --data mnist --epochs 10 --output digits

Writes metrics.json, picture.png and curves.png. Ctrl-C ends the training and keeps what is there.
"""


def add(commands: Any) -> None:
    """The arguments of the command."""
    told = "\n".join(
        f"  {row.name:12} {row.about} ({' or '.join(row.data)}; {row.epochs} epochs)"
        for row in ROWS.values()
    )
    parser = commands.add_parser(
        "train",
        help="train a row of the lecture's table on real data",
        description=f"Train a row of the lecture's table on real data:\n\n{told}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("row", choices=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--data", metavar="NAME", help="default: the first named above")
    parser.add_argument("--epochs", type=positive_int, metavar="N", help="at most")
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of everything; default: %(default)s"
    )
    parser.add_argument("--output", metavar="DIR", help="default: thalweg-ROW")
    parser.add_argument("--no-pictures", action="store_true", help="needs no matplotlib")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Train, measure, draw, tell."""
    row = ROWS[args.row]
    data = args.data or row.data[0]
    if data not in row.data:
        raise DataError(f"{row.name} trains on {' or '.join(row.data)}, not on {data!r}")
    if not args.no_pictures:
        library("matplotlib.figure", "a picture (see --no-pictures)")
    folder = make_folder(args.output or f"thalweg-{row.name}")
    written = (
        ["metrics.json"] if args.no_pictures else ["metrics.json", "picture.png", "curves.png"]
    )
    for name in written:  # told before the training
        check_place(folder / name)
    console.print(f"{row.name}: {row.about}; {data}, seed {args.seed}", soft_wrap=True)
    outcome = row.train(Setting(data, args.epochs or row.epochs, args.seed))
    found = {
        "row": row.name,
        "data": data,
        "seed": args.seed,
        "epochs": outcome.epochs,
        "best epoch": outcome.best_epoch,
        "interrupted": outcome.interrupted,
        "metrics": outcome.metrics,
        "history": outcome.history,
    }
    write_text(folder / "metrics.json", json.dumps(found, indent=1) + "\n")
    if not args.no_pictures:
        plots.save(outcome.draw(), folder / "picture.png")
        plots.save(outcome.draw_curves(), folder / "curves.png")
    table = Table(show_header=False, box=None, pad_edge=False)
    best = "" if outcome.best_epoch is None else f", the best is {outcome.best_epoch}"
    table.add_row("epochs", f"{outcome.epochs}{best}")
    for name, value in outcome.metrics.items():
        table.add_row(name, f"{value:.4g}")
    console.print(table)
    console.print(f"{folder}: {', '.join(written)}", soft_wrap=True)
    if outcome.interrupted:
        console.print(f"interrupted after {outcome.epochs} epochs", style="yellow")
        return 130
    return 0
