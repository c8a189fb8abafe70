"""``thalweg explain``: every value and gradient of an expression."""

from __future__ import annotations

import argparse
import json
import webbrowser
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from thalweg.errors import ExpressionError
from thalweg.expression import Function, parse
from thalweg.expression.values import parse_assignments
from thalweg.report.derivation import derivation
from thalweg.report.text import render
from thalweg.report.trace import Trace, trace

__all__ = ["add", "add_expression", "function_and_values", "paint", "show"]

_EPILOG = """\
examples:
  thalweg explain "(x + y) * z" x=-2 y=5 z=-4
  thalweg explain "q = x + y; f = q * z" x=-2 y=5 z=-4
  thalweg explain "sum((W @ x) ** 2)" W="[[0.1, 0.5], [-0.3, 0.8]]" x="[0.2, 0.4]"
  thalweg explain "mean(exp(x))" x=data.npy --json
  thalweg explain "1 / (1 + exp(-w*x))" w=2 x=-1 --html neuron.html --open
  thalweg explain "exp(x)" x="[1, 2]" --upstream "[1, 0]"

Values are numbers, lists of numbers or .npy files. Names such as exp, log, sin, tanh, sum, mean,
dot, maximum, sqrt, where, norm, pi stand for NumPy's; x.T, x[0, 1:], x.sum(axis=0) work as well.
"""
#: ANSI colours of the lecture's pictures: values green, gradients red.
_COLOURS = {"value": "32", "gradient": "31", "head": "1", "name": "1", "gate": "36"}


def add(commands: Any) -> None:
    """The arguments of the command."""
    parser = commands.add_parser(
        "explain",
        help="show every value and gradient of an expression",
        description="Run an expression forward and backward and show every number on the way.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_expression(parser)
    parser.add_argument(
        "--upstream", metavar="VALUE", help="gradient at the output, where that is an array"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="the derivation as a LaTeX document")
    form.add_argument("--dot", action="store_true", help="the graph for Graphviz")
    form.add_argument("--json", action="store_true", help="everything as JSON")
    form.add_argument("--html", metavar="FILE", help="a page to explore it in a browser")
    parser.add_argument("--open", action="store_true", help="with --html: open the page")
    parser.set_defaults(run=run)


def add_expression(parser: argparse.ArgumentParser) -> None:
    """The expression and the values of its variables."""
    parser.add_argument("expression", metavar="EXPR", help='such as "(x + y) * z"')
    parser.add_argument("values", metavar="NAME=VALUE", nargs="*", default=[], help="such as x=-2")


def function_and_values(args: argparse.Namespace) -> tuple[Function, list[Any]]:
    """The expression as a function, and the values of its variables in order.

    Raises
    ------
    ExpressionError
        If a variable has no value, or a value has no variable.
    """
    expression = parse(args.expression)
    given = parse_assignments(args.values)
    missing = [name for name in expression.variables if name not in given]
    if missing:
        wanted = " ".join(f"{name}=…" for name in missing)
        raise ExpressionError(f"{', '.join(missing)}: no value given; add {wanted}")
    # A constant's name (e, pi) becomes a variable where a value is given for it.
    known = expression.variables + expression.constants
    unused = [name for name in given if name not in known]
    if unused:
        raise ExpressionError(f"{', '.join(unused)}: not a variable of {expression.text!r}")
    if not given:
        raise ExpressionError("the expression has no variables: nothing to differentiate")
    return expression.function(list(given)), list(given.values())


def run(args: argparse.Namespace, console: Console) -> int:
    """Trace the expression and print it in the form that was asked for."""
    if args.open and args.html is None:
        raise ExpressionError("--open opens the page of --html FILE: name the file")
    function, values = function_and_values(args)
    upstream = None
    if args.upstream is not None:
        upstream = parse_assignments([f"upstream={args.upstream}"])["upstream"]
    traced = trace(function, *values, upstream=upstream)
    if args.latex:
        _raw(console, traced.to_latex())
    elif args.dot:
        _raw(console, traced.to_dot())
    elif args.json:
        _raw(console, json.dumps(traced.to_dict(), indent=1, allow_nan=False))
    elif args.html is not None:
        path = traced.to_html(args.html)
        console.print(f"written: {path}", soft_wrap=True)
        if args.open:
            webbrowser.open(path.resolve().as_uri())
    else:
        show(console, traced)
    return 0


def show(console: Console, traced: Trace) -> None:
    """The table and the derivation, coloured where the terminal has colours."""
    colours = console.color_system is not None
    text = render(traced.record, width=console.width, paint=paint if colours else None)
    console.print(Text.from_ansi(text), soft_wrap=True)
    if not traced.record.backward:
        console.print(f"\n{_how_to_go_back(traced)}", style="bold", soft_wrap=True)
    lines = derivation(traced.record)
    if lines:
        console.print("\nchain rule, from the output back", style="bold")
        for line in lines:
            head, equals, result = line.rpartition(" = ")
            shown = Text.assemble(f"  {head}{equals}", (result, "red" if equals else "dim"))
            # A terminal breaks lines between words; a file keeps them whole.
            console.print(shown, soft_wrap=not console.is_terminal)


def _how_to_go_back(traced: Trace) -> str:
    """What to ask for, to see the gradients of an output that is not one number."""
    value = traced.output
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind != "f":
        return "no gradients: the result must be a number or an array of them"
    ones = np.array2string(np.ones_like(value), separator=", ", formatter={"float": "{:g}".format})
    shown = f'"{ones}"' if value.size <= 6 else "an array of the result's shape"
    return (
        f"for the gradients: --upstream {' '.join(shown.split())}, or one number: sum(…), mean(…)"
    )


def paint(text: str, role: str) -> str:
    """`text` between the escape codes of its role."""
    colour = _COLOURS.get(role)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def _raw(console: Console, text: str) -> None:
    console.out(text, highlight=False)
