"""``thalweg playground``: type an expression, see its graph and its gradients at once."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console

from thalweg.commands.arguments import port
from thalweg.commands.playground_server import PlaygroundServer
from thalweg.errors import UserError
from thalweg.expression import Limits, parse
from thalweg.expression.values import parse_assignments
from thalweg.report.html import page
from thalweg.report.numbers import value_text
from thalweg.report.trace import trace

__all__ = ["add", "answer"]

_EPILOG = """\
The page is served to this machine only (127.0.0.1), and only to who has the address with its token.
Ctrl-C ends it.
"""
#: What is computed while somebody types stays small.
LIMITS = Limits(20_000, 400_000)
#: The parts that an error can be in, besides variables: with what no name begins with.
EXPRESSION, UPSTREAM = ":expression", ":upstream"
#: What a variable is until it is given a value.
_DEFAULT = "1"


def add(commands: Any) -> None:
    """The arguments of the command."""
    parser = commands.add_parser(
        "playground",
        help="type an expression in the browser and see its gradients at once",
        description="Open a page where expressions are typed and their gradients seen at once.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=port, default=0, metavar="N", help="port to listen on (default: a free one)"
    )
    parser.add_argument("--no-open", action="store_true", help="only print the address")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Serve the page until Ctrl-C."""
    try:
        with PlaygroundServer(args.port, answer) as server:
            console.print(f"the playground: {server.address}", soft_wrap=True)
            console.print("Ctrl-C ends it")
            console.file.flush()
            if not args.no_open:
                webbrowser.open(server.address)
            server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        console.print("ended")
    return 0


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the page is told about an expression.

    Parameters
    ----------
    asked : mapping
        ``expression``, a text; ``values``, texts by the names of variables; ``upstream``, the text
        of the gradient at an output that is an array, or nothing.

    Returns
    -------
    dict
        ``variables``, and ``page`` (the explorer), its nodes' ``labels``, ``output`` and
        ``backward``; or ``error`` and the ``part`` that it is in: `EXPRESSION`, `UPSTREAM` or a
        variable's name.
    """
    told: dict[str, Any] = {"variables": []}
    part = EXPRESSION
    try:
        with np.errstate(all="ignore"):
            parsed = parse(asked["expression"])
            told["variables"] = list(parsed.variables)
            if not parsed.variables:
                raise UserError("there is no variable yet: write a name, such as x")
            values: dict[str, Any] = {}
            for name in parsed.variables:
                part = name
                text = asked["values"].get(name, "").strip() or _DEFAULT
                values |= parse_assignments([f"{name}={text}"], files=False, limits=LIMITS)
            part = UPSTREAM
            upstream = None
            if asked["upstream"].strip():
                given = [f"upstream={asked['upstream']}"]
                upstream = parse_assignments(given, files=False, limits=LIMITS)["upstream"]
            part = EXPRESSION
            function = parsed.function(list(values), LIMITS)
            if upstream is not None:
                function(*values.values())  # what is wrong with the expression itself
                part = UPSTREAM
            traced = trace(function, *values.values(), upstream=upstream)
            return told | {
                "page": page(traced.record),
                "labels": [node.label for node in traced],
                "output": value_text(traced.output),
                "backward": traced.record.backward,
            }
    except UserError as error:
        return told | {"error": str(error), "part": part}
