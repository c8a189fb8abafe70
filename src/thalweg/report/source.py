"""Names from the user's program: in ``q = x + y`` the node is ``q``, its expression ``x + y``.

A node knows the code object and the instruction that asked for it. Python keeps the exact columns
of every instruction (``co_positions``); in the parsed file the same columns belong to one
expression, and the statement around it says which name the value gets.
"""

from __future__ import annotations

import ast
import dis
import itertools
import linecache
from types import CodeType
from typing import Any, NamedTuple

from thalweg.graph.node import Origin

__all__ = ["UNKNOWN", "Place", "Sources"]

#: First line, last line, first column, end column (columns in bytes, as Python counts them).
Span = tuple[int, int, int, int]


class Place(NamedTuple):
    """What the source says about one instruction.

    Attributes
    ----------
    file, line
        Where it stands.
    expression : str or None
        The text of the expression; None where the source is not at hand.
    name : str or None
        The variable that its value goes to.
    targets : tuple of str
        The variables, where the value is taken apart: ``u, s, v = np.linalg.svd(a)``.
    stored : str or None
        For ``x[i] = v``: the array that is written to.
    statement : str or None
        For ``x[i] = v``: the whole of it.
    """

    file: str | None
    line: int | None
    expression: str | None = None
    name: str | None = None
    targets: tuple[str, ...] = ()
    stored: str | None = None
    statement: str | None = None


UNKNOWN = Place(None, None)


class _File(NamedTuple):
    """A parsed file: its lines, the node of each span, and what the statements say."""

    lines: list[str]
    spans: dict[Span, ast.AST]
    names: dict[ast.AST, str]
    targets: dict[ast.AST, tuple[str, ...]]
    statements: dict[ast.AST, ast.AST]


_files: dict[str, _File] = {}


def _parsed(filename: str) -> _File | None:
    """The file, parsed once (again where its lines have changed); None if it can't be read."""
    lines = linecache.getlines(filename)
    known = _files.get(filename)
    if known is not None and known.lines == lines:
        return known
    if not lines:
        return None
    try:
        parsed = _read(lines, ast.parse("".join(lines)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # a fragment, or not Python: then nodes go without text
    _files[filename] = parsed
    return parsed


def _read(lines: list[str], tree: ast.Module) -> _File:
    file = _File(lines, {}, {}, {}, {})
    for node in ast.walk(tree):
        # A statement that is only an expression has the expression's span: the latter counts.
        if isinstance(node, (ast.expr, ast.stmt)) and not isinstance(node, ast.Expr):
            file.spans[_span(node)] = node
        if isinstance(node, ast.Assign):
            for target in reversed(node.targets):  # the first of `a = b = …` names it
                _claim(file, target, node.value, node)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            _claim(file, node.target, node.value, node)
        elif isinstance(node, ast.AugAssign):
            _claim(file, node.target, node, node)
        elif isinstance(node, (ast.For, ast.AsyncFor)) and isinstance(node.target, ast.Name):
            # The next row is asked for by the statement, or by the expression that it loops over.
            file.names[node] = node.target.id
            file.names.setdefault(node.iter, node.target.id)
    return file


def _span(node: Any) -> Span:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _claim(file: _File, target: ast.expr, value: ast.AST, statement: ast.AST) -> None:
    """Note that `target` gets `value`."""
    if isinstance(value, ast.IfExp):
        _claim(file, target, value.body, statement)
        _claim(file, target, value.orelse, statement)
    elif isinstance(target, (ast.Tuple, ast.List)):
        parts = target.elts
        if any(isinstance(part, ast.Starred) for part in parts):
            return
        if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(parts):
            for part, element in zip(parts, value.elts, strict=True):
                _claim(file, part, element, statement)
        else:
            names = tuple(_text(file.lines, part) for part in parts)
            file.targets[value] = names
            file.targets[target] = names  # the unpacking of an array is asked for by the target
    else:
        file.names[value] = _text(file.lines, target)
        if isinstance(target, ast.Subscript):
            file.statements[target] = statement


class Sources:
    """Looks up origins; holds on to what it has found for the time of one trace."""

    def __init__(self) -> None:
        self._positions: dict[int, list[tuple[int | None, ...]]] = {}
        self._stored: dict[int, dict[int, str]] = {}
        self._places: dict[tuple[int, int], Place] = {}
        self._codes: list[CodeType] = []  # kept alive: they are known by their id

    def place(self, origin: Origin | None) -> Place:
        """What the source says about `origin`."""
        if origin is None:
            return UNKNOWN
        code, offset = origin
        key = (id(code), offset)
        found = self._places.get(key)
        if found is None:
            self._codes.append(code)
            found = self._places[key] = self._find(code, offset)
        return found

    def _stored_name(self, code: CodeType, offset: int) -> str | None:
        """The variable's name where there is no source (a shell, `exec`)."""
        names = self._stored.get(id(code))
        if names is None:
            names = self._stored[id(code)] = _stored_names(code)
        return names.get(offset)

    def _find(self, code: CodeType, offset: int) -> Place:
        positions = self._positions.get(id(code))
        if positions is None:
            positions = self._positions[id(code)] = list(code.co_positions())
        index = offset // 2
        line, last, start, end = positions[index] if 0 <= index < len(positions) else (None,) * 4
        place = Place(code.co_filename, line or code.co_firstlineno)
        if line is None or last is None or start is None or end is None:
            return place._replace(name=self._stored_name(code, offset))  # python -X no_debug_ranges
        file = _parsed(code.co_filename)
        node = file.spans.get((line, last, start, end)) if file else None
        if file is None or node is None:
            return place._replace(name=self._stored_name(code, offset))
        place = place._replace(
            name=file.names.get(node),
            targets=file.targets.get(node, ()),
        )
        if isinstance(node, (ast.Name, ast.Tuple, ast.List, ast.For, ast.AsyncFor)):
            return place  # a loop over an array, an unpacking: no expression of its own
        place = place._replace(expression=_text(file.lines, node))
        store = node.target if isinstance(node, ast.AugAssign) else node
        if isinstance(store, ast.Subscript) and isinstance(store.ctx, ast.Store):
            statement = file.statements.get(store)
            return place._replace(
                stored=_text(file.lines, store.value),
                statement=_text(file.lines, statement) if statement else None,
            )
        return place


def _stored_names(code: CodeType) -> dict[int, str]:
    """Offset of an instruction → the variable that the next one stores its result to."""
    names: dict[int, str] = {}
    # `a = b = …` and `(a := …)` copy the value first.
    steps = (step for step in dis.get_instructions(code) if step.opname != "COPY")
    for made, stored in itertools.pairwise(steps):
        if stored.opname.startswith(("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")):
            name = stored.argval  # Python 3.13 may store two, or store one and load another
            names[made.offset] = str(name[0] if isinstance(name, tuple) else name)
    return names


def _text(lines: list[str], node: ast.AST) -> str:
    """The source of a node, on one line."""
    line, last, start, end = _span(node)
    if line == last:
        text = lines[line - 1]
        if not text.isascii():
            return text.encode()[start:end].decode(errors="replace")
        return text[start:end]
    # Over several lines: without the comments and breaks between.
    return " ".join(ast.unparse(node).split())
