"""The parser of the command line: what it allows, what it refuses, and that it shows the place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import DataError, ExpressionError
from thalweg.expression import FUNCTIONS, METHODS, parse
from thalweg.expression.values import parse_assignments

X = np.array([[0.5, 1.5, 2.5], [0.1, 0.2, 0.3]])
V = np.array([1.0, 2.0, 3.0])

ALLOWED = [
    ("(x + y) * z", {"x": -2.0, "y": 5.0, "z": -4.0}, lambda x, y, z: (x + y) * z),
    ("2 * x ** 3 - x / 4 + -x", {"x": 1.5}, lambda x: 2 * x**3 - x / 4 + -x),
    ("9 ** 0.5 + 2 ** 10 + pi + e", {}, lambda: 9**0.5 + 2**10 + np.pi + np.e),
    ("sum(exp(x), axis=0)", {"x": X}, lambda x: np.sum(np.exp(x), axis=0)),
    ("x.sum(axis=(0, 1), keepdims=True)", {"x": X}, lambda x: x.sum(axis=(0, 1), keepdims=True)),
    ("x.T @ x", {"x": X}, lambda x: x.T @ x),
    ("x[0, 1:] + x[-1, ::2]", {"x": X}, lambda x: x[0, 1:] + x[-1, ::2]),
    ("v[:, None] * v[None, ...]", {"v": V}, lambda v: v[:, None] * v[None, ...]),
    ("v[[2, 0]]", {"v": V}, lambda v: v[[2, 0]]),
    ("where(x > 1, x, 0)", {"x": X}, lambda x: np.where(x > 1, x, 0)),
    ("np.maximum(x, np.pi)", {"x": X}, lambda x: np.maximum(x, np.pi)),
    ("norm(v) + dot(v, [1, 2, 3])", {"v": V}, lambda v: np.linalg.norm(v) + v @ [1, 2, 3]),
    ("x.reshape(3, 2)[0]", {"x": X}, lambda x: x.reshape(3, 2)[0]),
    ("stack((v, 2 * v))", {"v": V}, lambda v: np.stack((v, 2 * v))),
    ("[[1, 2], [3, 4.5]] @ [1, 1]", {}, lambda: np.array([[1, 2], [3, 4.5]]) @ [1.0, 1.0]),
    ("7 % 4 + 7 // 2", {}, lambda: 7 % 4 + 7 // 2),
    ("e * 2", {"e": 3.0}, lambda e: e * 2),
    ("q = x + y; q * z", {"x": -2.0, "y": 5.0, "z": -4.0}, lambda x, y, z: (x + y) * z),
    ("x = x + 1; e = x; f = e * x", {"x": 2.0}, lambda x: (x + 1) * (x + 1)),
]


@pytest.mark.parametrize(("text", "values", "call"), ALLOWED, ids=[a[0] for a in ALLOWED])
def test_allowed_expressions_are_numpys(text, values, call):
    result = parse(text).evaluate(values)
    np.testing.assert_array_equal(result, call(**values))
    assert np.shape(result) == np.shape(call(**values))


def test_variables_in_the_order_of_appearance():
    assert parse("b * a + b - exp(c)").variables == ("b", "a", "c")


HOSTILE = [
    "__import__('os')",
    "__import__('os').system('true')",
    "x.__class__",
    "x.__class__.__bases__[0].__subclasses__()",
    "().__class__",
    "(1).real",
    "np.load('a')",
    "np.linalg.inv",
    "np.os",
    "exp.__globals__",
    "getattr(x, 'T')",
    "open('f')",
    "eval('1')",
    "x.tofile('f')",
    "x.dump('f')",
    "lambda: 1",
    "[x for x in v]",
    "(x for x in v)",
    "{1: 2}",
    "{1, 2}",
    "f'{x}'",
    "'text'",
    "b'text'",
    "1j",
    "x if y else z",
    "x and y",
    "not x",
    "~x",
    "x << 3",
    "x | y",
    "x < y < z",
    "x in y",
    "x is y",
    "(x := 3)",
    "exp(*v)",
    "exp(x, out=y)",
    "exp(**v)",
    "sum(x, where=y)",
    "exp",
    "",
    "x; y",
    "x += 3",
    "x = y = 3",
    "x, y = v",
    "x[0] = 3",
    "x.T = 3",
    "exp = 3",
    "_x = 3; _x",
    "x: int = 3",
    "del x",
    "if x: y",
    "def f(): pass",
    "import os",
    "await x",
    "yield x",
    "x +",
    "(x",
    "x)",
    "",
    "   ",
    "\x00",
    "x\ud800",
    "𝗑 + 1",
    "х + 1",  # a Cyrillic letter
    "x − y",  # a minus sign that is not ASCII
    "1" * 30,
    "9" * 3_000,
    "x" * 100_000,
    "(" * 1_000 + "x" + ")" * 1_000,
    "-" * 3_900 + "x",
    "+".join(["x"] * 1_000),
    "[" * 190 + "]" * 190,
    "_hidden",
    "x._node",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: t[:30].encode("ascii", "replace").decode())
def test_hostile_text_is_refused(text):
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "advice"), [("x^2", r"x \*\* 2"), ("2x", r"2\*x"), ("x & 1", "not allowed")]
)
def test_what_is_written_elsewhere_is_told_in_the_words_of_a_reader(text, advice):
    with pytest.raises(ExpressionError, match=advice):
        parse(text)


WHEN_RUN = [
    ("9**9**9", {}),
    ("2.0 ** 5000", {}),
    ("[0] * 10**9", {}),
    ("10**9 * [0]", {}),
    ("1 / 0", {}),
    ("(-8) ** 0.5", {}),
    ("x[10]", {"x": V}),
    ("x + y", {"x": V, "y": np.ones(4)}),
    ("x @ y", {"x": V, "y": np.ones(4)}),
    ("[1, [2, 3]]", {}),
    ("x[:, newaxis] * x", {"x": np.zeros(10_000)}),
    ("outer(x, x)", {"x": np.zeros(10_000)}),
    ("inner(x[:, None], x[:, None])", {"x": np.zeros(10_000)}),
    ("x[:, None] @ x[None, :]", {"x": np.zeros(10_000)}),
    ("(x, x) * 10**9", {"x": V}),
    ("(1,) * 10**9 + x", {"x": V}),
    ("t = (x,); t * 10**9", {"x": V}),
    ("x = concatenate((x, x)); " * 40 + "x", {"x": V}),
    ("i = [[[0, 0], [0, 0]], [[0, 0], [0, 0]]]; " + "i = i[i]; " * 6 + "x[i]", {"x": V}),
    ("y = outer(x, x); " + "y = y + x; " * 90 + "sum(y)", {"x": np.zeros(1_000)}),
    ("x.reshape(2, 2)", {"x": V}),
    ("sum(x, axis=5)", {"x": V}),
    ("exp()", {}),
    ("x[1.5]", {"x": V}),
    ("inv(x)", {"x": np.zeros((2, 2))}),
    ("unknown", {}),
]


@pytest.mark.parametrize(("text", "values"), WHEN_RUN, ids=[w[0] for w in WHEN_RUN])
def test_what_numpy_cannot_do_is_shown_at_its_place(text, values):
    expression = parse(text)
    with pytest.raises(ExpressionError, match=r"\n  .*\n +\^"):
        expression.evaluate(values)
    if values:  # traced, too
        with pytest.raises(ExpressionError):
            tw.vjp(expression.function(values), *values.values())


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("1 + __import__('os')", "__import__"),
        ("x + y.__class__ * 2", "y.__class__"),
        ("2 * (3 + (lambda: 1))", "lambda: 1"),
        ("sum(x, out=y)", "out=y"),
        ("x − y", "−"),
        ("1 + " * 90 + "exp", "exp"),
    ],
)
def test_the_caret_stands_under_the_place(text, marked):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    _, shown, carets = str(caught.value).splitlines()
    start, stop = carets.index("^"), carets.rindex("^") + 1
    assert shown[start:stop] == marked


@given(st.text(alphabet="xyz0123456789.+-*/%@()[],:=<>_' eEpinsum", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_value_or_our_error(text):
    try:
        result = parse(text).evaluate({"x": 0.5, "y": V, "z": X})
    except ExpressionError:
        return
    assert result is None or isinstance(
        result, (float, int, tuple, list, np.ndarray, np.generic, type(Ellipsis))
    )


CALLS = {
    "clip": "clip(v, 1.5, 2.5)",
    "concatenate": "concatenate((v, v))",
    "det": "det(x @ x.T)",
    "inv": "inv(x @ x.T)",
    "reshape": "reshape(x, (3, 2))",
    "slogdet": "slogdet(x @ x.T)[1]",
    "solve": "solve(x @ x.T, x)",
    "stack": "stack((v, v))",
    "trace": "trace(x)",
    "transpose": "transpose(x)",
    "where": "where(v > 1.5, v, v * v)",
    "cross": "cross(v, x[0])",
} | {name: f"{name}(v / 4)" for name in ("arccos", "arcsin", "arctanh")}
TWO = frozenset(
    "arctan2 dot fmax fmin hypot inner logaddexp matmul maximum minimum outer vdot".split()
)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_on_the_list_can_be_differentiated(name):
    text = CALLS.get(name, f"{name}(v, v * v)" if name in TWO else f"{name}(v)")
    function = parse(f"sum({text} * 1.5) + 0 * sum(x) + 0 * sum(v)").function(["v", "x"])
    gradients = tw.grad(function, (0, 1))(V, X)
    assert any(np.any(g) for g in gradients) or name == "sign"


def test_methods_are_methods_of_numpy_and_of_traced_arrays():
    for name in METHODS:
        assert hasattr(np.ndarray, name)
        assert hasattr(np, name)


def test_gates_get_their_place_in_the_text():
    seen = []
    expression = parse("exp(-(w * x)) + mean(x)")

    def run(w, x):
        result = expression.evaluate({"w": w, "x": x})
        stack = [result._node]
        while stack:
            node = stack.pop()
            if node.origin is not None:
                code, offset = node.origin
                _, _, start, end = list(code.co_positions())[offset // 2]
                seen.append(expression.text[start:end])
            stack.extend(x for x in node.operands if hasattr(x, "operands"))
        return result

    tw.grad(run)(2.0, np.float64(3.0))
    assert {"w * x", "-(w * x)", "exp(-(w * x))", "exp(-(w * x)) + mean(x)"} <= set(seen)


def test_parts_with_names():
    expression = parse("q = x + y; pi = q * z; pi")
    assert expression.variables == ("x", "y", "z")
    assert expression.constants == ()
    assert [float(g) for g in tw.grad(expression.function(), (0, 1, 2))(-2.0, 5.0, -4.0)] == [
        -4.0,
        -4.0,
        3.0,
    ]


def test_function_has_the_names_in_its_signature():
    function = parse("x * y").function(["y", "x"])
    assert function(2.0, 3.0) == 6.0
    assert [float(g) for g in tw.grad(function, (0, 1))(2.0, 3.0)] == [3.0, 2.0]


def test_assignments(tmp_path):
    path = tmp_path / "data.npy"
    np.save(path, np.arange(3))
    values = parse_assignments(["x=-2", "v=[1, 2.5]", f"d={path}", "t = pi/2"])
    assert values["x"] == -2.0
    assert isinstance(values["x"], np.float64)
    np.testing.assert_array_equal(values["v"], [1.0, 2.5])
    np.testing.assert_array_equal(values["d"], [0.0, 1.0, 2.0])
    assert values["d"].dtype == np.float64
    assert values["t"] == np.pi / 2


@pytest.mark.parametrize(
    "text",
    ["x", "x=", "=3", "1x=3", "__a=3", "exp=3", "np=3", "x=y", "x=True", "x=[1, [2]]", "x='a'",
     "x=1j", "x=9**9**9", "х=3"],
)  # fmt: skip
def test_bad_assignments(text):
    with pytest.raises(ExpressionError):
        parse_assignments([text])


def test_a_name_given_twice():
    with pytest.raises(ExpressionError, match="two values"):
        parse_assignments(["x=1", "x=2"])


def test_files_that_cannot_be_used(tmp_path):
    missing = tmp_path / "missing.npy"
    pickled = tmp_path / "pickled.npy"
    np.save(pickled, np.array([object()]), allow_pickle=True)
    text = tmp_path / "text.npy"
    text.write_text("1, 2, 3")
    words = tmp_path / "words.npy"
    np.save(words, np.array(["a", "b"]))
    empty = tmp_path / "empty.npy"
    empty.write_bytes(b"")
    for path in (missing, pickled, text, words, empty, tmp_path):
        with pytest.raises((DataError, ExpressionError)):
            parse_assignments([f"x={path}" if path.suffix else f"x={path}/.npy"])
