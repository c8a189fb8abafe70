"""The command ``thalweg``: explain, check, structure, playground, lecture, fit, train."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from rich.console import Console

from thalweg.commands import check, explain, fit, lecture, playground, structure, train
from thalweg.errors import GradientCheckError, UserError

__all__ = ["main"]

_DESCRIPTION = """\
Automatic differentiation for NumPy: every gradient computed, structured and visible.
"""
_EPILOG = """\
examples:
  thalweg explain "(x + y) * z" x=-2 y=5 z=-4
  thalweg check "sum(tanh(x) ** 2)" x="[0.2, 0.4]"
  thalweg structure "exp(x) / sum(exp(x))" x="[1, 2, 3]"
  thalweg playground
  thalweg lecture --part 7
  thalweg fit iris.csv --target species
  thalweg train gaussian

exit codes: 0 done · 1 a gradient is wrong · 2 a mistake in what was asked · 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """The argument parser with all commands."""
    top = argparse.ArgumentParser(
        prog="thalweg",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument(
        "--version", action="version", version=f"thalweg {metadata.version('thalweg')}"
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (explain, check, structure, playground, lecture, fit, train):
        module.add(commands)
    return top


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; an expression may begin with a minus, values may come after options."""
    top = parser()
    words = list(argv)
    if not words:  # what there is to ask for, rather than that something was not
        top.print_help(sys.stderr)
        raise SystemExit(2)
    if words and words[0] in ("explain", "check", "structure"):  # argparse takes "-x*y" for options
        words = [
            f" {word}" if re.match(r"-[^-]", word) and word != "-h" else word for word in words
        ]
    args, rest = top.parse_known_args(words)
    if any(word.startswith("-") for word in rest) or (rest and "values" not in args):
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.values = [*args.values, *rest]
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors of the caller are one short message, no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an ASCII terminal gets '?', not a traceback
    try:
        args = _parsed(sys.argv[1:] if argv is None else argv)
    except SystemExit as leave:  # argparse: 0 after --help and --version, 2 after a mistake
        return int(leave.code or 0)
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 160
    console = _Output(width=width, highlight=False, markup=False, emoji=False)
    problems = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always", RuntimeWarning)  # overflow, division by zero: say so
        warnings.showwarning = _shower(problems)
        try:
            status: int = args.run(args, console)
            sys.stdout.flush()
            return status
        except GradientCheckError as error:
            problems.print("the gradient is wrong", style="bold red")
            problems.print(str(error))
            return 1
        except UserError as error:
            problems.print(f"thalweg: {error}", style="red")
            return 2
        except KeyboardInterrupt:
            problems.print("interrupted", style="yellow")
            return 130
        except BrokenPipeError:  # thalweg … | head
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:  # a full disk
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            problems.print(f"thalweg: cannot write: {error.strerror or error}", style="red")
            return 2


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """The reader of a pipe has gone: `main` knows what to do, rich would exit with 1."""
        raise


def _shower(problems: Console) -> Any:
    def show(message: Any, *_where: Any, **_more: Any) -> None:
        problems.print(f"warning: {message}", style="yellow")

    return show
