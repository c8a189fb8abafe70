"""Text → a NumPy function, safely: parsed with `ast` against a list of what is allowed.

A text is an expression, or several with names: ``q = x + y; f = q * z``; the last is the result.

Nothing is ever handed to `eval`: the tree of the text is checked node by node (`grammar`), then
walked (`walk`), and each allowed node is computed with the NumPy function that stands for it. Gates
that are made on the way get the place in the text as their origin, so that reports show ``x + y``
and not a line of this package.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import linecache
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.errors import ExpressionError
from thalweg.expression.grammar import (
    CONSTANTS,
    FUNCTIONS,
    HINTS,
    LIMITS,
    MAX_LENGTH,
    METHODS,
    Limits,
    Steps,
    free_names,
    refuse,
    steps_of,
)
from thalweg.expression.walk import Text, Walk

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "LIMITS",
    "METHODS",
    "Expression",
    "Function",
    "Limits",
    "parse",
]

_file_numbers = itertools.count(1)


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes
    ----------
    text : str
        As it was written.
    variables : tuple of str
        Its free names, in the order of their appearance.
    constants : tuple of str
        Names such as pi and e: constants, unless they are given a value.
    """

    text: str
    variables: tuple[str, ...]
    constants: tuple[str, ...]
    _steps: Steps
    _source: Text

    def evaluate(self, values: Mapping[str, Any], limits: Limits = LIMITS) -> Any:
        """Its value for these values of the variables (NumPy values or traced arrays).

        Raises
        ------
        ExpressionError
            If a variable has no value, NumPy refuses an operation, or a result could have more
            entries than `limits` allow; a caret shows the place.
        """
        walk = Walk(self._source, values, limits)
        result = None
        for name, tree in self._steps:
            result = walk.value(tree)
            if name is not None:
                walk.values[name] = result
        return result

    def function(self, names: Sequence[str] | None = None, limits: Limits = LIMITS) -> Function:
        """A function of the variables in the order of `names` (default: their appearance)."""
        return Function(self, tuple(names) if names is not None else self.variables, limits)


class Function:
    """An expression as a function of its variables, called by position."""

    def __init__(self, expression: Expression, names: tuple[str, ...], limits: Limits) -> None:
        self.expression = expression
        self.limits = limits
        self.names = names
        self.__name__ = expression.text  # what reports call the function
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
        )

    def __call__(self, *values: Any) -> Any:
        return self.expression.evaluate(dict(zip(self.names, values, strict=True)), self.limits)


def parse(text: str) -> Expression:
    """Check `text` against the list of what is allowed: `FUNCTIONS`, `METHODS`, operators.

    Raises
    ------
    ExpressionError
        With the line and a caret under the place.

    Examples
    --------
    >>> from thalweg.expression import parse
    >>> neuron = parse("1 / (1 + exp(-(w * x + b)))")
    >>> neuron.variables
    ('w', 'x', 'b')
    >>> neuron.evaluate({"w": 2.0, "x": 1.0, "b": -2.0})
    np.float64(0.5)
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(text):,} characters; at most {MAX_LENGTH:,} are allowed"
        )
    line = " ".join(text.split("\n")).strip()
    for place, character in enumerate(line):
        if not " " <= character <= "~":
            name = unicodedata.name(character, "unnamed")
            hint = HINTS.get(character)
            advice = f"write {hint}" if hint else "write plain ASCII"
            refuse(line, place, place + 1, f"{character!r} ({name}) is not allowed: {advice}")
    try:
        tree = ast.parse(line, "<expression>")
    except SyntaxError as error:
        place = max((error.offset or 1) - 1, 0)
        product = "; a product is 2*x" if error.msg == "invalid decimal literal" else ""
        refuse(line, place, place + 1, f"not an expression: {error.msg}{product}")
    except (RecursionError, MemoryError):
        raise ExpressionError("the expression is nested too deeply") from None
    steps = steps_of(line, tree.body)
    variables, constants = free_names(line, steps)
    filename = f"<expression {next(_file_numbers)}>"
    linecache.cache[filename] = (len(line), None, [line + "\n"], filename)
    # The code is never run: its table of positions ties gates to their place in the text.
    code = compile(tree, filename, "exec")
    offsets = {
        (start, end): 2 * i
        for i, (_, _, start, end) in enumerate(code.co_positions())
        if start is not None and end is not None
    }
    return Expression(line, variables, constants, steps, Text(line, code, offsets))
