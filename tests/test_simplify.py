"""Algebra on graphs: what is rewritten keeps every bit, what only looks the same is left alone."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.graphs import X, check_exact, names, record

FULL = np.array([[np.nan, np.inf, -np.inf, 0.0], [-0.0, 1.5, -2.5, 5e-324], [1e308, -1e-310, 3, 7]])

#: What it does, the function, and the gates that are left.
EXACT_REWRITES = [
    ("x * 1", lambda x: x * 1, []),
    ("1 * x", lambda x: np.ones(4, x.dtype) * x, []),
    ("x / 1", lambda x: x / 1.0, []),
    ("x - 0", lambda x: x - 0.0, []),
    ("x + -0", lambda x: x + -0.0, []),
    ("-(-x)", lambda x: np.negative(-x), []),
    ("+x", lambda x: +x, []),
    ("x + (-y)", lambda x: np.sin(x) + (-np.cos(x)), ["sin", "cos", "subtract"]),
    ("(-y) + x", lambda x: (-np.cos(x)) + np.sin(x), ["sin", "cos", "subtract"]),
    ("x - (-y)", lambda x: np.sin(x) - (-np.cos(x)), ["sin", "cos", "add"]),
    ("x * -1", lambda x: x * -1, ["negative"]),
    ("-x * -1", lambda x: (-x) * -1, []),
    ("-x * 3", lambda x: (-x) * 3, ["multiply"]),
    ("-(3 * x)", lambda x: -(3 * x), ["multiply"]),
    ("(-x)(-y)", lambda x: (-x) * (-np.sin(x)), ["sin", "multiply"]),
    ("x / 8", lambda x: x / 8, ["multiply"]),
    ("x / -0.25", lambda x: x / -0.25, ["multiply"]),
    ("x / f8(2)", lambda x: x / np.float64(2), ["multiply"]),
    ("x ** 2", lambda x: x**2, ["multiply"]),
    ("square", lambda x: (np.square(x), x**2.0, x * x), ["multiply"]),
    ("x ** 0.5", lambda x: x**0.5, ["sqrt"]),
    ("x ** -1", lambda x: x**-1, ["reciprocal"]),
    ("x ** 1", lambda x: x**1, []),
    ("real of real", lambda x: np.real(np.conj(x)), []),
    ("detach", lambda x: tw.detach(x) * x, ["multiply"]),
    ("where(m, a, a)", lambda x: np.where(x > 0, x, x), []),
    ("where(not m)", lambda x: np.where(np.logical_not(x > 0), x, 1.0), ["greater", "where"]),
    ("where(m, m x)", lambda x: np.where(x > 0, x * (x > 0), 0.0), ["greater", "where"]),
    (
        "where(m, where(m, a, b), c)",
        lambda x: np.where(x > 0, np.where(x > 0, np.sin(x), np.cos(x)), 2.0),
        ["sin", "greater", "where"],
    ),
    (
        "where(m, c, where(m, a, b))",
        lambda x: np.where(x > 0, 2.0, np.where(~(x > 0), np.sin(x), np.cos(x))),
        ["greater", "sin", "where"],
    ),
    ("not not", lambda x: ~~(x > 0), ["greater"]),
    ("m and m", lambda x: (x > 0) & (x > 0), ["greater"]),
    ("m or True", lambda x: (x > 0) | np.ones(4, bool), []),
    ("m and True", lambda x: (x > 0) & True, ["greater"]),
    ("m != 0", lambda x: np.not_equal(x > 0, 0), ["greater"]),
    ("cast to itself", lambda x: x.astype(x.dtype), []),
    ("T.T", lambda x: x.T.T, []),
    ("three axes", lambda x: x[None].transpose(1, 2, 0), ["reshape"]),
    ("composed", lambda x: x.reshape(2, 2, 3).transpose(1, 2, 0).transpose(1, 0, 2),
     ["reshape", "transpose"]),
    ("axis of size 1", lambda x: x[:, None].transpose(1, 0, 2), ["reshape"]),
    ("reshapes", lambda x: x.reshape(2, 6).reshape(12).reshape(3, 4), []),
    ("full slices", lambda x: x[:][0:3, ...][:, :], []),
    ("new axes", lambda x: x[None, :, None], ["reshape"]),
    ("broadcast twice", lambda x: np.broadcast_to(np.broadcast_to(x, (2, 3, 4)), (5, 2, 3, 4)),
     ["broadcast_to"]),
    ("broadcast beforehand", lambda x: np.broadcast_to(x, (2, 3, 4)) * np.ones((2, 3, 4), x.dtype),
     ["broadcast_to"]),
    ("broadcast operand", lambda x: np.broadcast_to(x[0], (3, 4)) * x, ["getitem", "multiply"]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("f", "left"), [row[1:] for row in EXACT_REWRITES],
                         ids=[row[0] for row in EXACT_REWRITES])  # fmt: skip
def test_exact_rewrites(f, left, dtype):
    with np.errstate(all="ignore"):
        full = FULL.astype(dtype)
    x = X.astype(dtype)
    graph = check_exact(record(f, x), [x], [full])
    assert sorted(names(graph)) == sorted(left)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + 0.0,
        lambda x: 0.0 + x,
        lambda x: x - -0.0,
        lambda x: x * 0.0,
        lambda x: -(x * 0),
        lambda x: (-x) * 0,
        lambda x: x - x,
        lambda x: x / 3,
        lambda x: x / 0.0,
        lambda x: x / 5e-324,
        lambda x: x**3,
        lambda x: ~(x <= 0),
        lambda x: x.sum(axis=()),
        lambda x: x[:, :1].sum(axis=1),
        lambda x: x[::-1],
        lambda x: x * np.float64(1),
        lambda x: np.where(x > 0, x * (x >= 0), 0.0),
        lambda x: np.where(x > 0, x, np.float64(0)),
        lambda x: (x > 0) * 1,
        lambda x: x ** np.broadcast_to(np.sum(0 * X) + 0.5 + 0 * x[2, 3], (3, 4)),  # not √x
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_only_looks_like_algebra(f, dtype):
    with np.errstate(all="ignore"):
        full = FULL.astype(dtype)
    x = X.astype(dtype)
    check_exact(record(f, x), [x], [full])


@pytest.mark.parametrize(
    "start", ["bool", "int8", "int32", "int64", "float16", "float32", "float64"]
)
def test_casts_that_lose_nothing(start):
    x = np.array([0, 1, 3, -7, 100]).astype(start)
    far = np.array([127, -128, 0, 1, 2]).astype(start)
    if start == "int64":
        far[:2] = 2**62 + 1, -(2**53) - 1
    middles = ("int32", "int64", "float32", "float64", "complex64")
    ends = ("int8", "int64", "float32", "float64", "complex128")

    def f(x):
        with np.errstate(all="ignore"):
            return [
                x.astype(m).astype(e) for m in middles for e in ends if m[0] != "c" or e[0] == "c"
            ]

    check_exact(record(f, x), [x], [far])


def test_a_mask_of_another_dtype_is_no_mask():
    narrow, wide = X.astype("float32"), X

    def f(x, y):
        return np.where(x > 0, np.where(x > 0, 0.1, x), y), np.where(x > 0, x * (x > 0), y)

    check_exact(record(f, narrow, wide), [narrow, wide], [-narrow, wide])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x / np.full((3, 1), -1),
        lambda x: x / np.full((1, 1), 2.0),
        lambda x: (-x) * np.full((1, 1), 3.0),
        lambda x: np.full((2, 1), 3.0) * (-x),
        lambda x: x * np.ones((2, 1)),
        lambda x: x * np.full((2, 1), -1.0),
        lambda x: -(x * np.full((2, 1), 3.0)),
        lambda x: (-x) + np.full((1, 1), -0.0),
    ],
)
@pytest.mark.parametrize("x", [np.float64(1.7), np.array([1.5, -0.0])])
def test_a_constant_that_stretches_what_it_meets_does_so_still(f, x):
    graph = check_exact(record(f, x), [x])
    assert graph.outputs[0].shape == np.shape(f(x))
    np.testing.assert_array_equal(tw.compile(f)(x), f(x))


def test_integers():
    x = np.array([-128, -1, 0, 1, 127], np.int8)

    def f(x):
        return (
            x + 0,
            x - 0,
            x * 1,
            x * -1,
            np.negative(-x),
            -(x * 3),
            (-x) * np.int8(-128),
            x / 2,
            x**2,
            x // 1,
        )

    check_exact(record(f, x), [x])
    u = np.array([0, 1, 255], np.uint8)
    check_exact(
        record(lambda x: (x + 0, np.negative(-x), 3.0 * -x, (-x) * np.uint8(3), x / 4), u), [u]
    )


def test_the_gradient_of_relu_is_one_choice():
    def f(x):
        return tw.grad(lambda x: np.sum(np.sin(np.maximum(x, 0))))(x)

    graph = check_exact(record(f, X), [X], [FULL])
    assert names(graph) == ["maximum", "cos", "less_equal", "where"]
