"""``thalweg check``: compare the derivatives of an expression with differences."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console

from thalweg.commands.arguments import positive, seed
from thalweg.commands.explain import add_expression, function_and_values
from thalweg.testing import check_grads

__all__ = ["add"]

_EPILOG = """\
examples:
  thalweg check "sum(tanh(x) ** 2)" x="[0.2, 0.4]"
  thalweg check "log(sum(exp(W @ x)))" W="[[1, 2], [3, 4]]" x="[0.1, 0.2]" --order 3

Both modes are compared with differences along random directions; exit code 1 if they disagree.
"""


def add(commands: Any) -> None:
    """The arguments of the command."""
    parser = commands.add_parser(
        "check",
        help="compare the derivatives of an expression with differences",
        description="Gradient check of an expression, forward and reverse, at every order asked.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_expression(parser)
    parser.add_argument("--order", type=int, choices=(1, 2, 3), default=2, help="default: 2")
    parser.add_argument(
        "--tolerance", type=positive, default=1e-6, metavar="T", help="relative; default: 1e-6"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of the random directions"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Check and print the report (a gradient that is wrong raises)."""
    function, values = function_and_values(args)
    report = check_grads(
        function, tuple(values), order=args.order, tolerance=args.tolerance, seed=args.seed
    )
    console.print(str(report), style="green", soft_wrap=True)
    return 0
