"""``thalweg lecture``: the lecture on backpropagation, part by part, in the terminal."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table as RichTable

from thalweg import lecture
from thalweg.commands.explain import show
from thalweg.commands.lecture_pages import write_pages

__all__ = ["add"]

_EPILOG = """\
examples:
  thalweg lecture                 all parts
  thalweg lecture --part 7        the sigmoid neuron
  thalweg lecture --html pages    as linked pages, each graph to explore

Values are green, gradients red.
"""
#: Longer lines of prose are hard to read.
_PROSE = 88


def add(commands: Any) -> None:
    """The arguments of the command."""
    numbers = [part.number for part in lecture.PARTS]
    parser = commands.add_parser(
        "lecture",
        help="walk through backpropagation, every number computed",
        description="The lecture on backpropagation in computational graphs, part by part.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--part", type=int, choices=numbers, metavar="N", help=f"{numbers[0]} to {numbers[-1]}"
    )
    parser.add_argument("--html", metavar="DIR", help="as pages, with graphs to explore")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Show the parts that were asked for."""
    parts = [part for part in lecture.PARTS if args.part in (None, part.number)]
    if args.html is not None:
        first = write_pages(Path(args.html), parts)[0]
        console.print(f"written: {first} and what it links to", soft_wrap=True)
        return 0
    for part in parts:
        _part(console, part)
    return 0


def _part(console: Console, part: lecture.Part) -> None:
    width = min(console.width, _PROSE)
    title = Rule(f"{part.number}  {part.title}", align="left", style="bold")
    console.print(title, width=width)
    for paragraph in part.text:
        console.print(Padding(paragraph, (1, 2, 0, 2)), width=width)
    for item in part.show():
        console.print()
        if isinstance(item, lecture.Exhibit):
            _exhibit(console, item)
        elif isinstance(item, lecture.Table):
            console.print(_table(item))
        else:
            console.print(Padding(item, (0, 2)), width=width)
    console.print()


def _exhibit(console: Console, exhibit: lecture.Exhibit) -> None:
    console.print(f"{exhibit.caption}:", style="bold")
    for line in exhibit.program.split("; "):
        console.print(f"    {line}", style="cyan")
    console.print()
    show(console, exhibit.trace())


def _table(table: lecture.Table) -> RichTable:
    shown = RichTable(box=None, pad_edge=False, padding=(0, 3, 0, 2))
    for title in table.heading:
        shown.add_column(title)
    for row in table.rows:
        shown.add_row(*row)
    return shown
