"""Computing a checked expression: the tree is walked with NumPy functions, never compiled code."""

from __future__ import annotations

import ast
import itertools
import math
import operator
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from thalweg.array import Array
from thalweg.expression.grammar import (
    BINARY,
    COMPARE,
    CONSTANTS,
    FUNCTIONS,
    UNARY,
    Limits,
    is_numpy,
    refuse_node,
)
from thalweg.graph.node import Node

__all__ = ["Text", "Walk"]


class Text(NamedTuple):
    """A text with the table that ties (start, end) columns to places in a code object."""

    line: str
    code: CodeType
    offsets: dict[tuple[int, int], int]


Shape = tuple[int, ...]


def _shape(value: Any) -> Shape:
    """The shape of an operand; a tuple of arrays counts with all its entries."""
    if isinstance(value, (tuple, list)):
        return (sum(math.prod(_shape(item)) for item in value),)
    return np.shape(value) if type(value) is Array or isinstance(value, np.ndarray) else ()


def _broadcast_size(shapes: list[Shape]) -> int:
    lengths = itertools.zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    return math.prod(max(axis) for axis in lengths)


def _matmul_size(shapes: list[Shape]) -> int:
    x, y = shapes[:2] if len(shapes) > 1 else ((), ())
    return math.prod(x[:-1]) * math.prod(y[:-2]) * math.prod(y[-1:] if len(y) > 1 else ())


def _inner_size(shapes: list[Shape]) -> int:
    return math.prod(math.prod(shape[:-1]) for shape in shapes)


def _outer_size(shapes: list[Shape]) -> int:
    return math.prod(math.prod(shape) for shape in shapes)


def _taken_size(shapes: list[Shape]) -> int:
    x, index = shapes[0], shapes[1]
    return math.prod(x[1:]) * math.prod(index) if index else math.prod(x)


#: How many entries a result has at most, for those that do not broadcast their operands.
_SIZES: dict[Callable[..., Any], Callable[[list[Shape]], int]] = {
    operator.getitem: _taken_size,
    operator.matmul: _matmul_size,
    np.matmul: _matmul_size,
    np.dot: _matmul_size,
    np.inner: _inner_size,
    np.outer: _outer_size,
}


class Walk:
    """One evaluation: the tree is walked, depth first, left to right."""

    def __init__(self, text: Text, values: Mapping[str, Any], limits: Limits) -> None:
        self.text = text
        self.values = dict(values)
        self.limits = limits
        self.total = 0
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
                return self.apply(node, UNARY[type(op)], self.value(operand))
            case ast.BinOp(op=op, left=left, right=right):
                return self.binary(node, op, left, right)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                compare = COMPARE[type(op)]
                return self.apply(node, compare, self.value(left), self.value(right))
            case ast.Subscript(value=inner, slice=index):
                return self.apply(node, operator.getitem, self.value(inner), self.index(index))
            case ast.Attribute(value=inner, attr=name):
                if is_numpy(inner):
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
        refuse_node(self.text.line, node, f"{name} has no value: add {name}=…")

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
        if any(isinstance(operand, (tuple, list)) for operand in (x, y)):
            refuse_node(self.text.line, node, "a tuple is no operand: write a list of numbers")
        numbers = isinstance(x, (int, float)), isinstance(y, (int, float))
        if type(op) is ast.Mult and (
            (isinstance(left, ast.List) and numbers[1])
            or (isinstance(right, ast.List) and numbers[0])
        ):
            refuse_node(
                self.text.line,
                node,
                "a written-out list times a number: repeated or scaled? Write the numbers out",
            )
        if type(op) is ast.Pow and all(numbers):
            return self.apply(node, _number_power, x, y)
        return self.apply(node, BINARY[type(op)], x, y)

    def call(self, node: ast.Call) -> Any:
        arguments = [self.value(argument) for argument in node.args]
        keywords = {str(k.arg): self.value(k.value) for k in node.keywords}
        if isinstance(node.func, ast.Attribute) and not is_numpy(node.func.value):
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
            text = str(error.args[-1] if isinstance(error, OverflowError) else error)
            first, *_ = text.splitlines() or [type(error).__name__]
            refuse_node(self.text.line, node, first)
        self.place(node, result)
        return result

    def limit(self, node: ast.AST, function: Any, arguments: tuple[Any, ...]) -> None:
        """Refuse results that would not fit in memory, before they are computed."""
        entries = _SIZES.get(function, _broadcast_size)([_shape(x) for x in arguments])
        self.total += entries
        if entries > self.limits.entries or self.total > self.limits.total:
            what, limit = "the result", self.limits.entries
            if entries <= limit:
                what, entries, limit = "all results together", self.total, self.limits.total
            refuse_node(
                self.text.line,
                node,
                f"{what} could have {entries:,} entries; at most {limit:,} are allowed",
            )

    def place(self, node: Any, result: Any) -> None:
        """Give the gates that were just made their place in the text as origin."""
        results = result if isinstance(result, (tuple, list)) else (result,)
        stack = [item._node for item in results if type(item) is Array]
        offset = self.text.offsets.get((node.col_offset, node.end_col_offset))
        highest = self.latest
        while stack:
            made: Node = stack.pop()
            if made.sequence <= self.latest:
                continue
            highest = max(highest, made.sequence)
            if offset is not None:
                made.origin = (self.text.code, offset)
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
