"""What an expression may consist of, and the check that a text consists of nothing else."""

from __future__ import annotations

import ast
import difflib
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from thalweg.errors import ExpressionError

__all__ = [
    "BINARY",
    "COMPARE",
    "CONSTANTS",
    "FUNCTIONS",
    "HINTS",
    "LIMITS",
    "MAX_FILE_BYTES",
    "MAX_LENGTH",
    "METHODS",
    "UNARY",
    "Limits",
    "Steps",
    "free_names",
    "is_numpy",
    "refuse",
    "refuse_node",
    "steps_of",
]


class Limits(NamedTuple):
    """How many entries one result may have, and all results together."""

    entries: int
    total: int


LIMITS = Limits(10_000_000, 50_000_000)

#: The parts of an expression in order: (name or None, expression).
Steps = tuple[tuple[str | None, ast.expr], ...]

MAX_LENGTH = 4_000
MAX_DEPTH = 150
MAX_FILE_BYTES = 200_000_000
_EXACT_INTEGER = 2**53

CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "newaxis": None}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in (
        "abs absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt clip concatenate"
        " cos cosh cross cumprod cumsum dot exp exp2 expm1 flip fmax fmin hypot inner"
        " log log10 log1p log2 logaddexp matmul max maximum mean median min minimum outer prod"
        " ravel reciprocal reshape sign sin sinc sinh sort sqrt square stack std sum tan tanh"
        " trace transpose tril triu var vdot where"
    ).split()
} | {name: getattr(np.linalg, name) for name in ("det", "inv", "norm", "slogdet", "solve")}

METHODS = frozenset("cumsum dot max mean min prod ravel reshape std sum transpose var".split())
_ATTRIBUTES = frozenset(["T"])
_KEYWORDS = frozenset("axis axes axis1 axis2 ddof keepdims k offset ord".split())

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
HINTS = {"×": "*", "·": "*", "⋅": "*", "−": "-", "–": "-", "÷": "/", "²": "**2", "π": "pi"}
_BITWISE = "'&', '|', '<<' and '>>' are not allowed: an expression has + - * / // % ** @"
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


def refuse(line: str, start: int, end: int, message: str) -> NoReturn:
    """Raise with the line and carets under [start, end), cut to a window around them."""
    left = max(0, start - 60)
    right = min(len(line), max(end, left + 76), left + 100)
    shown = ("…" if left else "") + line[left:right] + ("…" if right < len(line) else "")
    indent = start - left + (1 if left else 0)
    carets = "^" * max(1, min(end, right) - start)
    raise ExpressionError(f"{message}\n  {shown}\n  {' ' * indent}{carets}")


def refuse_node(line: str, node: ast.AST, message: str) -> NoReturn:
    start = getattr(node, "col_offset", 0)
    refuse(line, start, getattr(node, "end_col_offset", start + 1), message)


def steps_of(line: str, body: list[ast.stmt]) -> Steps:
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
                refuse_node(line, statement, "only the last part can go without a name")
            case _:
                refuse_node(line, statement, "not an expression, nor name = expression")
    return tuple(steps)


def free_names(line: str, steps: Steps) -> tuple[tuple[str, ...], tuple[str, ...]]:
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
        refuse_node(line, node, f"{name} is a function: write {name}(…)")
    if name.startswith("_") or name in ("np", "numpy"):
        refuse_node(line, node, f"the name {name!r} is not allowed")


def _check(line: str, tree: ast.expr) -> tuple[str, ...]:
    """Every node is allowed; gives the names. Iterative: depth is one of the checks."""
    names: dict[tuple[int, int], str] = {}
    stack: list[tuple[ast.AST, int]] = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            refuse_node(line, node, f"nested too deeply: at most {MAX_DEPTH} levels are allowed")
        match node:
            case ast.Constant(value=value):
                _check_constant(line, node, value)
            case ast.Name(id=name):
                _check_name(line, node, name)
                names[node.lineno, node.col_offset] = name
            case ast.Attribute(attr=name):
                if not is_numpy(node.value) and name not in _ATTRIBUTES:
                    known = ", ".join(sorted(METHODS))
                    refuse_node(line, node, f".{name} is not allowed; only .T and .{known}(…)")
                if is_numpy(node.value):
                    _check_numpy_name(line, node)
                    continue
            case ast.Call():
                _check_call(line, node)
            case ast.Compare():
                if len(node.ops) > 1:
                    refuse_node(line, node, "compare two things at a time")
                if type(node.ops[0]) not in COMPARE:
                    refuse_node(line, node, "'in' and 'is' are not allowed")
            case ast.BinOp(op=op):
                if type(op) not in BINARY:
                    power = type(op) is ast.BitXor
                    advice = "'^' is no power here: write x ** 2" if power else _BITWISE
                    refuse_node(line, node, advice)
            case ast.UnaryOp(op=op):
                if type(op) not in UNARY:
                    refuse_node(line, node, "'not' and '~' are not allowed")
            case ast.Subscript() | ast.Slice() | ast.Tuple() | ast.List():
                pass
            case _:
                message = _REFUSED.get(type(node), f"{type(node).__name__} is not allowed")
                refuse_node(line, node, message)
        stack.extend((child, depth + 1) for child in _operands(node))
    return tuple(dict.fromkeys(names[place] for place in sorted(names)))


def _operands(node: ast.AST) -> list[ast.AST]:
    """The sub-expressions that are computed (not operators, contexts, function names)."""
    if isinstance(node, ast.Call):
        own = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        receiver = [value for value in own if not is_numpy(value)]
        return [*receiver, *node.args, *(keyword.value for keyword in node.keywords)]
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def is_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def _check_constant(line: str, node: ast.Constant, value: Any) -> None:
    if isinstance(value, (str, bytes, complex)):
        kind = "complex numbers" if isinstance(value, complex) else "strings"
        refuse_node(line, node, f"{kind} are not allowed")
    if isinstance(value, int) and abs(value) > _EXACT_INTEGER:
        refuse_node(line, node, "the integer is too large: write it as a float, such as 1e20")


def _check_numpy_name(line: str, node: ast.Attribute) -> None:
    if node.attr in FUNCTIONS:
        refuse_node(line, node, f"np.{node.attr} is a function: write np.{node.attr}(…)")
    if node.attr not in CONSTANTS:
        refuse_node(line, node, f"np.{node.attr} is not on the list of allowed names")


def _check_call(line: str, node: ast.Call) -> None:
    match node.func:
        case ast.Name(id=name):
            allowed, shown = name in FUNCTIONS, name
        case ast.Attribute(attr=name, value=value) if is_numpy(value):
            allowed, shown = name in FUNCTIONS, f"np.{name}"
        case ast.Attribute(attr=name):
            allowed, shown = name in METHODS, f".{name}"
        case _:
            allowed, shown = False, "this"
    if not allowed:
        known = METHODS if shown.startswith(".") else FUNCTIONS
        near = difflib.get_close_matches(shown.rpartition(".")[2], known, 1)
        advice = f"; did you mean {near[0]}?" if near else ""
        refuse_node(line, node.func, f"{shown}(…) is not an allowed function{advice}")
    for keyword in node.keywords:
        if keyword.arg not in _KEYWORDS:
            refuse_node(line, keyword, f"the keyword {keyword.arg or '**'} is not allowed")
