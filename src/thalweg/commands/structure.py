"""``thalweg structure``: the form of the Jacobian of an expression, and what it saves."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console

from thalweg.api_dense import hessian, jacobian
from thalweg.commands.explain import add_expression, function_and_values

__all__ = ["add"]

_EPILOG = """\
examples:
  thalweg structure "tanh(W @ x)" W="[[0.1, 0.5], [-0.3, 0.8]]" x="[0.2, 0.4]"
  thalweg structure "exp(x) / sum(exp(x))" x="[1, 2, 3]"
  thalweg structure "sum((x[1:] - x[:-1] ** 2) ** 2)" x="[1, 2, 3, 4]" --hessian
"""


def add(commands: Any) -> None:
    """The arguments of the command."""
    parser = commands.add_parser(
        "structure",
        help="show the structure of a Jacobian or Hessian",
        description="Find the structure of the Jacobian with respect to each variable.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_expression(parser)
    parser.add_argument("--hessian", action="store_true", help="of the gradient of one number")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the structure with respect to each variable."""
    function, values = function_and_values(args)
    make = hessian if args.hessian else jacobian
    for position, name in enumerate(function.names):
        found = make(function, position, form="operator")(*values)
        what = f"∂²/∂{name}²" if args.hessian else f"∂/∂{name}"
        console.print(what, style="bold", soft_wrap=True)
        for line in found.explain().splitlines():
            console.print(f"  {line}", soft_wrap=True)
    return 0
