"""docs/semantics.md, row by row: every spelling, both modes, first and second order."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.special as sp

import thalweg as tw
from thalweg.graph.node import ancestors
from thalweg.optimise.patterns import recognise
from thalweg.tracing import run

DOCS = Path(__file__).resolve().parents[1] / "docs"
NAMES = {"np": np, "sp": sp, "inf": np.inf, "nan": np.nan}

#: What the published tables must hold at the least: spelling → first derivative at the kink.
PROMISED = {
    "np.maximum(x, 0)": "0",
    "np.maximum(0, x)": "0",
    "np.fmax(x, 0)": "0",
    "np.clip(x, 0, None)": "0",
    "np.where(x > 0, x, 0)": "0",
    "x * (x > 0)": "0",
    "(x + abs(x)) / 2": "0",
    "abs(x)": "0",
    "np.fabs(x)": "0",
    "np.sign(x)": "0",
    "np.maximum(x[0], x[1])": "[0.5, 0.5]",
    "np.minimum(x[0], x[1])": "[0.5, 0.5]",
    "np.max(x)": "[0, 0.5, 0.5]",
    "np.linalg.norm(x)": "[0, 0]",
    "np.hypot(x[0], x[1])": "[0, 0]",
    "sp.xlogy(0.0, x)": "0",
    "np.sqrt(x)": "inf",
    "x ** 2": "0",
    "np.where(x > 0, np.sqrt(x), 0.0)": "0",
    "np.where(x > 0, np.log(x), 0.0)": "0",
}


def _tables() -> list[list[list[str]]]:
    """The rows of each table in docs/semantics.md, cells as text."""
    tables: list[list[list[str]]] = []
    for block in re.findall(r"(?:^\|.*\n)+", (DOCS / "semantics.md").read_text("utf-8"), re.M):
        rows = [[c.strip() for c in line.strip("|").split(" | ")] for line in block.splitlines()]
        tables.append([[cell.strip("` |") for cell in row] for row in rows[2:]])
    return tables


KINKS, MASKS, STABLE = _tables()
ROWS = [(*row, i) for i, row in enumerate(KINKS + MASKS)]


def _read(text: str) -> np.ndarray:
    return np.array(eval(text, NAMES), float)[()]  # our own docs


def _function(spelling: str):
    return eval(f"lambda x: {spelling}", NAMES)


def _directions(x):
    return [np.float64(1.0)] if np.ndim(x) == 0 else list(np.eye(len(x)))


def _agree(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[5]}:{row[0]}@{row[1]}")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_row(row, dtype):
    spelling, point, value, first, second, _ = row
    f, x = _function(spelling), _read(point).astype(dtype)
    one = np.ones_like(x)
    gradient = tw.grad(f)

    def forward(x):
        return np.stack([tw.jvp(f, (x,), (t.astype(dtype),))[1] for t in _directions(x)])

    def sum_of_gradient(y):
        return np.sum(tw.grad(lambda x: f(x) * y)(x))

    tolerance = 1e-12 if dtype == np.float64 else 1e-6
    with np.errstate(all="ignore"):
        seconds = (
            tw.jvp(gradient, (x,), (one,))[1],
            tw.grad(lambda x: np.sum(gradient(x)))(x),
            tw.jvp(forward, (x,), (one,))[1].reshape(x.shape),
            tw.grad(lambda x: np.sum(forward(x)))(x),
        )
        np.testing.assert_array_equal(f(x), _read(value))
        assert gradient(x).dtype == dtype
        for got in (gradient(x), forward(x).reshape(x.shape), tw.value_and_grad(f)(x)[1]):
            np.testing.assert_allclose(got, _read(first), rtol=tolerance, atol=1e-15)
        if np.isfinite(f(x)):  # inside another gradient
            inner = tw.grad(sum_of_gradient)(dtype(2))
            np.testing.assert_allclose(inner, np.sum(_read(first)), rtol=tolerance, atol=1e-15)
    for got in seconds:
        np.testing.assert_allclose(got, _read(second), rtol=tolerance, atol=1e-12)


@pytest.mark.parametrize("row", STABLE, ids=lambda row: f"{row[0]}@{row[1]}")
def test_stable_row(row):
    spelling, point, form, first = row
    f, x = _function(spelling), _read(point)
    with np.errstate(all="ignore"):
        (out,) = run(f, (x,), {}, [0]).outputs
        found = [each.name for each in map(recognise, ancestors([out])[0]) if each is not None]
        _agree(tw.grad(f)(x), _read(first))
        for t, expected in zip(_directions(x), np.ravel(_read(first)), strict=True):
            _agree(tw.jvp(f, (x,), (t,))[1], expected)
        assert np.isfinite(tw.hvp(f, (x,), (np.ones_like(x),))).all()
    assert form in found


def test_the_published_table_holds_what_is_promised():
    published = {row[0]: row[3] for row in (MASKS + KINKS)[::-1]}
    assert {spelling: published.get(spelling) for spelling in PROMISED} == PROMISED
    assert len(KINKS) + len(MASKS) >= 15


def test_third_derivatives_of_powers_at_zero():
    third = lambda f: tw.grad(tw.grad(tw.grad(f)))  # noqa: E731 - a name for the operator
    for n, expected in ((0, 0), (1, 0), (2, 0), (3, 6), (4, 0)):
        assert third(lambda x, n=n: x**n)(0.0) == expected
        assert third(lambda x, n=n: x ** float(n))(0.0) == expected
        assert third(lambda x, n=n: x ** np.array(n))(0.0) == expected
        assert third(lambda x, n=n: np.power(x, np.int64(n)))(0.0) == expected
    assert third(np.square)(0.0) == 0


def test_sinc_at_zero_at_every_order():
    f = np.sinc
    for order in range(7):
        # dⁿ/dxⁿ sinc at 0 is πⁿ cos(nπ/2) / (n + 1).
        expected = np.pi**order * np.cos(order * np.pi / 2) / (order + 1)
        np.testing.assert_allclose(f(0.0), expected, rtol=1e-12, atol=1e-10)
        f = tw.grad(f)


def test_boolean_indices():
    x = np.array([[-1.0, 0.0], [4.0, np.nan]])
    with np.errstate(all="ignore"):
        for f, expected in (
            (lambda x: np.sum(np.sqrt(x)[x > 0]), [[0, 0], [0.25, 0]]),
            (lambda x: np.sum(np.compress((x > 0).ravel(), np.sqrt(x))), [[0, 0], [0.25, 0]]),
            # Taken twice: the masks add up.
            (lambda x: (lambda y: np.sum(y[x > 1]) + np.sum(y[x > 0]))(np.sqrt(x)),
             [[0, 0], [0.5, 0]]),
            # A mask behind the index: of what was taken only a part goes on.
            (lambda x: np.sum(np.where(x[x < 9] > 0, np.sqrt(x)[x < 9], 0.0)), [[0, 0], [0.25, 0]]),
            (lambda x: np.sum(np.extract(x > 0, np.sqrt(x))), [[0, 0], [0.25, 0]]),
        ):  # fmt: skip
            np.testing.assert_array_equal(tw.grad(f)(x), expected)
            second = tw.grad(lambda x, f=f: np.sum(tw.grad(f)(x) ** 2))(x)
            assert np.isfinite(second).all()
            np.testing.assert_array_equal(
                tw.jvp(tw.grad(f), (x,), (np.eye(2),))[1], np.zeros((2, 2))
            )


def test_shares_of_a_tie_are_no_zeros():
    one, ones = np.ones(1), np.ones(3)

    def broadcast(x, y):
        return np.sum(np.maximum(x * 2, y * 2))

    for f, x, expected in (
        (broadcast, one, ([3], ones)),
        (lambda x, y: np.sum(np.maximum(x * 2, (y * 2)[y > 0])), ones, (ones, ones)),
        (lambda x, y: np.sum(np.maximum(x * 2, (y * 2)[[0, 0, 1]])), ones, (ones, [2, 1, 0])),
    ):
        for got, want in zip(tw.grad(f, (0, 1))(x, ones), expected, strict=True):
            np.testing.assert_array_equal(got, want)
        nested = tw.grad(lambda s, f=f, x=x: np.sum(tw.grad(f)(s * x, ones * s)))(1.0)
        assert np.isfinite(nested)


def test_masks_in_arrays():
    x = np.array([-1.0, 0.0, 4.0, np.nan, np.inf])
    with np.errstate(all="ignore"):
        g = tw.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)[:3]))(x)
        np.testing.assert_array_equal(g, [0, 0, 0.25, 0, 0])
        h = tw.hvp(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)[:3]), (x,), (np.ones(5),))
    np.testing.assert_array_equal(h, [0, 0, -1 / 32, 0, 0])


@pytest.mark.parametrize(
    "through",
    [
        np.transpose,
        np.ravel,
        lambda x: x[::-1],
        lambda x: x[:, None] * np.ones((1, 3, 1)),
        lambda x: np.concatenate([x, x]),
        lambda x: np.pad(x, 1, constant_values=-1.0),
        lambda x: np.broadcast_to(x, (3, 2, 2)),
        lambda x: np.repeat(x, 2, axis=0),
        lambda x: x.astype(complex).real,
        lambda x: -(-2.0 * x),
    ],
)
def test_masks_reach_what_lies_behind_a_shape(through):
    """Where a branch was not taken nothing comes through, however the roots were moved since."""
    x = np.array([[0.0, 1.0], [4.0, -1.0]])

    def roots(x):
        return np.sum(np.where(through(x) > 0, through(np.sqrt(x)), 0.0))

    def plain(x):
        return np.sum(np.where(through(x) > 0, through(x), 0.0))

    with np.errstate(all="ignore"):
        expected = np.where(x > 0, 0.5 / np.sqrt(x), 0.0) * tw.grad(plain)(x)
        for gradient in (tw.grad(roots), tw.compile(tw.grad(roots))):
            np.testing.assert_array_equal(gradient(x), np.where(x > 0, expected, 0.0))
        slope = tw.jvp(roots, (x,), (np.ones((2, 2)),))[1]
    assert slope == pytest.approx(np.nansum(expected), rel=1e-14)
