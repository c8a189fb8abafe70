"""Text → a NumPy function, safely: parsed with `ast` against a list of what is allowed.

A text is an expression, or several with names: ``q = x + y; f = q * z``; the last is the result.

Nothing is ever handed to `eval`: the tree of the text is checked node by node, then walked, and
each allowed node is computed with the NumPy function that stands for it here. Gates that are made
on the way get the place in the text as their origin, so that reports show ``x + y`` and not a line
of this file.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import linecache
import math
import operator
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

import numpy as np

from thalweg.array import Array
from thalweg.errors import DataError, ExpressionError
from thalweg.graph.node import Node

__all__ = ["CONSTANTS", "FUNCTIONS", "METHODS", "Expression", "parse", "parse_assignments"]

MAX_LENGTH = 4_000
MAX_DEPTH = 150
MAX_ENTRIES = 10_000_000
MAX_FILE_BYTES = 200_000_000
_EXACT_INTEGER = 2**53

CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "newaxis": None}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in (
        "abs absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt clip concatenate"
        " cos cosh cross cumprod cumsum diag diff dot exp exp2 expm1 flip fmax fmin hypot inner"
        " log log10 log1p log2 logaddexp matmul max maximum mean median min minimum outer prod"
        " ravel reciprocal reshape sign sin sinc sinh sort sqrt square stack std sum tan tanh"
        " trace transpose tril triu var vdot where"
    ).split()
} | {name: getattr(np.linalg, name) for name in ("det", "inv", "norm", "slogdet", "solve")}

METHODS = frozenset("cumsum dot max mean min prod ravel reshape std sum transpose var".split())
_ATTRIBUTES = frozenset(["T"])
_KEYWORDS = frozenset("axis axes axis1 axis2 ddof keepdims k n offset ord".split())


def _broadcast_size(shapes: list[tuple[int, ...]]) -> int:
    lengths = itertools.zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    return math.prod(max(axis) for axis in lengths)


def _matmul_size(shapes: list[tuple[int, ...]]) -> int:
    rows = math.prod(shapes[0][:-1]) if shapes else 1
    return rows * (shapes[1][-1] if len(shapes) > 1 and len(shapes[1]) > 1 else 1)


#: How many entries a result has at most, for those that do not broadcast their operands.
_SIZES: dict[Callable[..., Any], Callable[[list[tuple[int, ...]]], int]] = {
    operator.matmul: _matmul_size,
    np.matmul: _matmul_size,
    np.dot: _matmul_size,
    np.outer: lambda shapes: math.prod(math.prod(shape) for shape in shapes),
    np.diag: lambda shapes: math.prod(math.prod(shape) ** 2 for shape in shapes if len(shape) < 2),
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_HINTS = {"×": "*", "·": "*", "⋅": "*", "−": "-", "–": "-", "÷": "/", "²": "**2", "π": "pi"}
#: What other syntax is called, and what to write instead.
_REFUSED: dict[type[ast.AST], str] = {
    ast.Lambda: "a lambda is not allowed",
    ast.ListComp: "a comprehension is not allowed",
    ast.SetComp: "a comprehension is not allowed",
    ast.DictComp: "a comprehension is not allowed",
    ast.GeneratorExp: "a generator is not allowed",
    ast.JoinedStr: "an f-string is not allowed",
    ast.IfExp: "'a if c else b' is not allowed: write where(c, a, b)",
    ast.BoolOp: "'and'/'or' is not allowed: multiply the conditions, or nest where(…)",
    ast.NamedExpr: "':=' is not allowed",
    ast.Starred: "'*' before an argument is not allowed",
    ast.Dict: "a dict is not allowed",
    ast.Set: "a set is not allowed",
    ast.Await: "await is not allowed",
}
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
    _steps: tuple[tuple[str | None, ast.expr], ...]
    _code: CodeType
    _offsets: dict[tuple[int, int], int]

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Its value for these values of the variables (NumPy values or traced arrays).

        Raises
        ------
        ExpressionError
            If a variable has no value, or NumPy refuses an operation; a caret shows the place.
        """
        walk = _Walk(self, values)
        result = None
        for name, tree in self._steps:
            result = walk.value(tree)
            if name is not None:
                walk.values[name] = result
        return result

    def function(self, names: Sequence[str] | None = None) -> Function:
        """A function of the variables in the order of `names` (default: their appearance)."""
        return Function(self, tuple(names) if names is not None else self.variables)


class Function:
    """An expression as a function of its variables, called by position."""

    def __init__(self, expression: Expression, names: tuple[str, ...]) -> None:
        self.expression = expression
        self.names = names
        self.__name__ = expression.text  # what reports call the function
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
        )

    def __call__(self, *values: Any) -> Any:
        return self.expression.evaluate(dict(zip(self.names, values, strict=True)))


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
            hint = _HINTS.get(character)
            advice = f"write {hint}" if hint else "write plain ASCII"
            _refuse(line, place, place + 1, f"{character!r} ({name}) is not allowed: {advice}")
    try:
        tree = ast.parse(line, "<expression>")
    except SyntaxError as error:
        place = max((error.offset or 1) - 1, 0)
        _refuse(line, place, place + 1, f"not an expression: {error.msg}")
    except (RecursionError, MemoryError):
        raise ExpressionError("the expression is nested too deeply") from None
    steps = _steps(line, tree.body)
    variables, constants = _free_names(line, steps)
    filename = f"<expression {next(_file_numbers)}>"
    linecache.cache[filename] = (len(line), None, [line + "\n"], filename)
    # The code is never run: its table of positions ties gates to their place in the text.
    code = compile(tree, filename, "exec")
    offsets = {
        (start, end): 2 * i
        for i, (_, _, start, end) in enumerate(code.co_positions())
        if start is not None and end is not None
    }
    return Expression(line, variables, constants, steps, code, offsets)


def _steps(line: str, body: list[ast.stmt]) -> tuple[tuple[str | None, ast.expr], ...]:
    """(name or None, expression) of every statement; only the last may be without a name."""
    if not body:
        raise ExpressionError("the expression is empty")
    steps: list[tuple[str | None, ast.expr]] = []
    for statement in body:
        match statement:
            case ast.Expr(value=tree) if statement is body[-1]:
                steps.append((None, tree))
            case ast.Assign(targets=[ast.Name(id=name) as target], value=tree):
                _check_name(line, target, name)
                steps.append((name, tree))
            case ast.Expr():
                _refuse_node(line, statement, "only the last part can go without a name")
            case _:
                _refuse_node(line, statement, "not an expression, nor name = expression")
    return tuple(steps)


def _free_names(
    line: str, steps: tuple[tuple[str | None, ast.expr], ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(variables, constants) in the order of appearance; every node has been checked."""
    assigned: set[str | None] = set()
    free: dict[str, None] = {}
    for name, tree in steps:
        free.update(dict.fromkeys(n for n in _check(line, tree) if n not in assigned))
        assigned.add(name)
    variables = tuple(name for name in free if name not in CONSTANTS)
    return variables, tuple(name for name in free if name in CONSTANTS)


def _check_name(line: str, node: ast.AST, name: str) -> None:
    if name in FUNCTIONS:
        _refuse_node(line, node, f"{name} is a function: write {name}(…)")
    if name.startswith("_") or name in ("np", "numpy"):
        _refuse_node(line, node, f"the name {name!r} is not allowed")


def _refuse(line: str, start: int, end: int, message: str) -> NoReturn:
    """Raise with the line and carets under [start, end), cut to a window around them."""
    left = max(0, start - 60)
    right = min(len(line), max(end, left + 76), left + 100)
    shown = ("…" if left else "") + line[left:right] + ("…" if right < len(line) else "")
    indent = start - left + (1 if left else 0)
    carets = "^" * max(1, min(end, right) - start)
    raise ExpressionError(f"{message}\n  {shown}\n  {' ' * indent}{carets}")


def _refuse_node(line: str, node: ast.AST, message: str) -> NoReturn:
    start = getattr(node, "col_offset", 0)
    _refuse(line, start, getattr(node, "end_col_offset", start + 1), message)


def _check(line: str, tree: ast.expr) -> tuple[str, ...]:
    """Every node is allowed; gives the names. Iterative: depth is one of the checks."""
    names: dict[tuple[int, int], str] = {}
    stack: list[tuple[ast.AST, int]] = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            _refuse_node(line, node, f"nested too deeply: at most {MAX_DEPTH} levels are allowed")
        match node:
            case ast.Constant(value=value):
                _check_constant(line, node, value)
            case ast.Name(id=name):
                _check_name(line, node, name)
                names[node.lineno, node.col_offset] = name
            case ast.Attribute(attr=name):
                if not _is_numpy(node.value) and name not in _ATTRIBUTES:
                    known = ", ".join(sorted(METHODS))
                    _refuse_node(line, node, f".{name} is not allowed; only .T and .{known}(…)")
                if _is_numpy(node.value):
                    _check_numpy_name(line, node)
                    continue
            case ast.Call():
                _check_call(line, node)
            case ast.Compare():
                if len(node.ops) > 1:
                    _refuse_node(line, node, "compare two things at a time")
                if type(node.ops[0]) not in _COMPARE:
                    _refuse_node(line, node, "'in' and 'is' are not allowed")
            case ast.BinOp(op=op):
                if type(op) not in _BINARY:
                    _refuse_node(line, node, f"the operator {type(op).__name__} is not allowed")
            case ast.UnaryOp(op=op):
                if type(op) not in _UNARY:
                    _refuse_node(line, node, "'not' and '~' are not allowed")
            case ast.Subscript() | ast.Slice() | ast.Tuple() | ast.List():
                pass
            case _:
                message = _REFUSED.get(type(node), f"{type(node).__name__} is not allowed")
                _refuse_node(line, node, message)
        stack.extend((child, depth + 1) for child in _operands(node))
    return tuple(dict.fromkeys(names[place] for place in sorted(names)))


def _operands(node: ast.AST) -> list[ast.AST]:
    """The sub-expressions that are computed (not operators, contexts, function names)."""
    if isinstance(node, ast.Call):
        own = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        receiver = [value for value in own if not _is_numpy(value)]
        return [*receiver, *node.args, *(keyword.value for keyword in node.keywords)]
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _is_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def _check_constant(line: str, node: ast.Constant, value: Any) -> None:
    if isinstance(value, (str, bytes, complex)):
        kind = "complex numbers" if isinstance(value, complex) else "strings"
        _refuse_node(line, node, f"{kind} are not allowed")
    if isinstance(value, int) and abs(value) > _EXACT_INTEGER:
        _refuse_node(line, node, "the integer is too large: write it as a float, such as 1e20")


def _check_numpy_name(line: str, node: ast.Attribute) -> None:
    if node.attr in FUNCTIONS:
        _refuse_node(line, node, f"np.{node.attr} is a function: write np.{node.attr}(…)")
    if node.attr not in CONSTANTS:
        _refuse_node(line, node, f"np.{node.attr} is not on the list of allowed names")


def _check_call(line: str, node: ast.Call) -> None:
    match node.func:
        case ast.Name(id=name):
            allowed, shown = name in FUNCTIONS, name
        case ast.Attribute(attr=name, value=value) if _is_numpy(value):
            allowed, shown = name in FUNCTIONS, f"np.{name}"
        case ast.Attribute(attr=name):
            allowed, shown = name in METHODS, f".{name}"
        case _:
            allowed, shown = False, "this"
    if not allowed:
        known = METHODS if shown.startswith(".") else FUNCTIONS
        near = difflib.get_close_matches(shown.rpartition(".")[2], known, 1)
        advice = f"; did you mean {near[0]}?" if near else ""
        _refuse_node(line, node.func, f"{shown}(…) is not an allowed function{advice}")
    for keyword in node.keywords:
        if keyword.arg not in _KEYWORDS:
            _refuse_node(line, keyword, f"the keyword {keyword.arg or '**'} is not allowed")


class _Walk:
    """One evaluation: the tree is walked, depth first, left to right."""

    def __init__(self, expression: Expression, values: Mapping[str, Any]) -> None:
        self.expression = expression
        self.values = dict(values)
        self.latest = max(
            (x._node.sequence for x in values.values() if type(x) is Array), default=0
        )

    def value(self, node: ast.expr) -> Any:
        """The value of a (checked) node."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.variable(node, name)
            case ast.Tuple(elts=items):
                return tuple([self.value(item) for item in items])
            case ast.List(elts=items):
                return self.list(node, [self.value(item) for item in items])
            case ast.UnaryOp(op=op, operand=operand):
                return self.apply(node, _UNARY[type(op)], self.value(operand))
            case ast.BinOp(op=op, left=left, right=right):
                return self.binary(node, op, left, right)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                compare = _COMPARE[type(op)]
                return self.apply(node, compare, self.value(left), self.value(right))
            case ast.Subscript(value=inner, slice=index):
                return self.apply(node, operator.getitem, self.value(inner), self.index(index))
            case ast.Attribute(value=inner, attr=name):
                if _is_numpy(inner):
                    return CONSTANTS[name]
                return self.apply(node, np.transpose, self.value(inner))
            case ast.Call():
                return self.call(node)
        raise AssertionError(f"unchecked {type(node).__name__}")

    def variable(self, node: ast.AST, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        _refuse_node(self.expression.text, node, f"{name} has no value: add {name}=…")

    def list(self, node: ast.AST, items: list[Any]) -> Any:
        """Numbers make an array; a list that holds traced arrays stays one (for stack)."""
        if any(type(item) in (Array, list) for item in items):
            return items
        return self.apply(node, lambda: np.array(items, dtype=_common_dtype(items)))

    def index(self, node: ast.expr) -> Any:
        match node:
            case ast.Slice(lower=lower, upper=upper, step=step):
                bounds = [None if b is None else self.value(b) for b in (lower, upper, step)]
                return slice(*bounds)
            case ast.Tuple(elts=items):
                return tuple([self.index(item) for item in items])
            case _:
                return self.value(node)

    def binary(self, node: ast.AST, op: ast.operator, left: ast.expr, right: ast.expr) -> Any:
        x, y = self.value(left), self.value(right)
        numbers = isinstance(x, (int, float)), isinstance(y, (int, float))
        if type(op) is ast.Mult and (
            (isinstance(left, ast.List) and numbers[1])
            or (isinstance(right, ast.List) and numbers[0])
        ):
            _refuse_node(
                self.expression.text,
                node,
                "a written-out list times a number: repeated or scaled? Write the numbers out",
            )
        if type(op) is ast.Pow and all(numbers):
            return self.apply(node, _number_power, x, y)
        return self.apply(node, _BINARY[type(op)], x, y)

    def call(self, node: ast.Call) -> Any:
        arguments = [self.value(argument) for argument in node.args]
        keywords = {str(k.arg): self.value(k.value) for k in node.keywords}
        if isinstance(node.func, ast.Attribute) and not _is_numpy(node.func.value):
            arguments.insert(0, self.value(node.func.value))
            if node.func.attr in ("reshape", "transpose") and len(arguments) > 2:
                arguments[1:] = [tuple(arguments[1:])]
            function = getattr(np, node.func.attr)
        else:
            function = FUNCTIONS[getattr(node.func, "attr", "") or getattr(node.func, "id", "")]
        return self.apply(node, function, *arguments, **keywords)

    def apply(
        self,
        node: ast.AST,
        function: Callable[..., Any],
        *arguments: Any,
        **keywords: Any,
    ) -> Any:
        """Compute one operation; what NumPy refuses is shown at its place in the text."""
        self.limit(node, function, arguments)
        try:
            result = function(*arguments, **keywords)
        except (ValueError, TypeError, IndexError, ArithmeticError, NotImplementedError) as error:
            first, *_ = str(error).splitlines() or [type(error).__name__]
            _refuse_node(self.expression.text, node, first)
        self.place(node, result)
        return result

    def limit(self, node: ast.AST, function: Any, arguments: tuple[Any, ...]) -> None:
        """Refuse results that would not fit in memory, before they are computed."""
        shapes = [np.shape(x) for x in arguments if type(x) is Array or isinstance(x, np.ndarray)]
        entries = _SIZES.get(function, _broadcast_size)(shapes)
        if entries > MAX_ENTRIES:
            _refuse_node(
                self.expression.text,
                node,
                f"the result could have {entries:,} entries; at most {MAX_ENTRIES:,} are allowed",
            )

    def place(self, node: Any, result: Any) -> None:
        """Give the gates that were just made their place in the text as origin."""
        results = result if isinstance(result, (tuple, list)) else (result,)
        stack = [item._node for item in results if type(item) is Array]
        offset = self.expression._offsets.get((node.col_offset, node.end_col_offset))
        highest = self.latest
        while stack:
            made: Node = stack.pop()
            if made.sequence <= self.latest:
                continue
            highest = max(highest, made.sequence)
            if offset is not None:
                made.origin = (self.expression._code, offset)
            stack.extend(x for x in made.operands if type(x) is Node)
        self.latest = highest


def _common_dtype(items: list[Any]) -> Any:
    """Integers stay integers (an index); everything else is float64."""
    integers = bool(items) and all(np.asarray(item).dtype.kind in "iub" for item in items)
    return None if integers else np.float64


def _number_power(x: float, y: float) -> float:
    """x ** y of two numbers without Python's integers of unbounded size."""
    if isinstance(x, int) and isinstance(y, int) and 0 <= y * max(x.bit_length(), 1) <= 53:
        return x**y
    result = float(x) ** float(y)
    if isinstance(result, complex):
        raise ValueError("a negative number to a fractional power is not real")
    return result


def parse_assignments(texts: Sequence[str]) -> dict[str, Any]:
    """``["x=-2", "W=[[1, 2], [3, 4]]", "y=data.npy"]`` as names and floating NumPy values.

    Raises
    ------
    ExpressionError
        If one is not of the form name=value.
    DataError
        If a file cannot be read or does not hold numbers.

    Examples
    --------
    >>> from thalweg.expression import parse_assignments
    >>> parse_assignments(["x=-2", "v=[1, 2]"])
    {'x': np.float64(-2.0), 'v': array([1., 2.])}
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise ExpressionError(f"{text!r} is not of the form name=value, such as x=-2")
        if not (name.isascii() and name.isidentifier()) or name.startswith("_"):
            raise ExpressionError(f"{name!r} is not a name for a variable")
        if name in FUNCTIONS or name in ("np", "numpy"):
            raise ExpressionError(f"{name!r} is the name of a function; choose another one")
        if name in values:
            raise ExpressionError(f"{name} has two values")
        values[name] = _load(value) if value.endswith(".npy") else _number(name, value)
    return values


def _number(name: str, text: str) -> Any:
    expression = parse(text)
    if expression.variables:
        raise ExpressionError(
            f"the value of {name} must be a number, a list of numbers or a .npy file, not {text!r}"
        )
    return _floating(expression.evaluate({}), f"the value of {name}", ExpressionError)


def _load(name: str) -> Any:
    path = Path(name)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{name} has more than {MAX_FILE_BYTES:,} bytes")
        value = np.load(path, allow_pickle=False)
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{name} is not a .npy file of numbers: {error}") from error
    return _floating(value, name, DataError)


def _floating(value: Any, what: str, error: type[ExpressionError] | type[DataError]) -> Any:
    """Numbers as floating NumPy values: float32 and float64 stay, integers become float64."""
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise error(f"{what} does not consist of real numbers (dtype {array.dtype})")
    return array[()]
