"""The laws: one small function each, tried on every row of the op table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.cases.case import Case
from thalweg.errors import TracingError
from thalweg.tree import flatten, tree_map, unflatten


def _inexact(args: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(
        i
        for i, x in enumerate(args)
        if all(np.asarray(v).dtype.kind in "fc" for v in flatten(x)[0])
    )


def _direction(rng: np.random.Generator, tree: Any) -> Any:
    """A random tree like `tree`."""

    def draw(x: Any) -> Any:
        t = rng.standard_normal(np.shape(x))
        if np.iscomplexobj(x):
            t = t + 1j * rng.standard_normal(np.shape(x))
        return np.asarray(t, np.asarray(x).dtype)[()] if np.asarray(x).dtype.kind in "fc" else x

    return tree_map(draw, tree)


def _dot(a: Any, b: Any) -> float:
    """Re Σ a·b over floating leaves, without conjugation (the pairing of the convention)."""
    return float(
        sum(
            np.real(np.sum(np.multiply(x, y)))
            for x, y in zip(flatten(a)[0], flatten(b)[0], strict=True)
            if np.asarray(x).dtype.kind in "fc"
        )
    )


def _step(args: tuple[Any, ...], t: Any, h: float) -> tuple[Any, ...]:
    return tree_map(lambda x, v: x + h * v if np.asarray(x).dtype.kind in "fc" else x, args, t)


def _on_variables(case: Case, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """The call as a function of its floating operands only."""
    positions = _inexact(args)

    def call(*variables: Any) -> Any:
        full = list(args)
        for position, value in zip(positions, variables, strict=True):
            full[position] = value
        return case.call(*full)

    return call, tuple(args[i] for i in positions)


def value_is_numpys(case: Case, complex_: bool = False) -> None:
    """What comes out of a traced call is what NumPy gives, in value, shape and dtype."""
    args = case.operands(complex_=complex_)
    call, variables = _on_variables(case, args)
    with np.errstate(all="ignore"):
        expected = call(*variables)
        out, _ = tw.vjp(call, *variables)
    for a, b in zip(flatten(expected)[0], flatten(out)[0], strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.shape(a) == np.shape(b)


def float32_stays(case: Case) -> None:
    """float32 in, float32 out, forward and backward."""
    args = tree_map(
        lambda x: np.asarray(x).astype(np.float32)[()] if np.asarray(x).dtype == np.float64 else x,
        case.operands(),
    )
    call, variables = _on_variables(case, args)
    out, pull = tw.vjp(call, *variables)
    expected = call(*variables)
    for a, b in zip(flatten(expected)[0], flatten(out)[0], strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
    cotangents = pull(tree_map(np.ones_like, out))
    for x, c in zip(flatten(variables)[0], flatten(cotangents)[0], strict=True):
        assert np.asarray(c).dtype == np.asarray(x).dtype, (np.asarray(c).dtype, case.id)


def forward_is_reverse_is_differences(case: Case, complex_: bool = False) -> None:
    """⟨c, J t⟩ = ⟨Jᵀ c, t⟩, and both are the central difference."""
    args = case.operands(complex_=complex_)
    call, variables = _on_variables(case, args)
    _compare(call, variables, case, case.tolerance)


def second_order(case: Case, complex_: bool = False) -> None:
    """The same law for the gradient: forward over reverse, reverse over reverse, differences."""
    args = case.operands(complex_=complex_)
    call, variables = _on_variables(case, args)
    out, _ = tw.vjp(call, *variables)
    rng = np.random.default_rng(3)
    c = _direction(rng, out)

    def gradient(*inner: Any) -> Any:
        return tw.vjp(call, *inner)[1](c)

    def derivative(*inner: Any) -> Any:
        return tw.jvp(call, inner, direction)[1]

    direction = _direction(rng, variables)
    _compare(gradient, variables, case, 10 * case.tolerance)
    _compare(derivative, variables, case, 10 * case.tolerance)


def _compare(call: Any, variables: tuple[Any, ...], case: Case, tolerance: float) -> None:
    rng = np.random.default_rng(7)
    t = _direction(rng, variables)
    with np.errstate(all="ignore"):
        _, pushed = tw.jvp(call, variables, t)
        again, pull = tw.vjp(call, *variables)
        c = _direction(rng, again)
        pulled = pull(c)
        h = 1e-6
        plus, minus = call(*_step(variables, t, h)), call(*_step(variables, t, -h))
    difference = tree_map(lambda a, b: (a - b) / (2 * h), plus, minus)
    assert flatten(pushed)[1] == flatten(again)[1]
    for x, g in zip(flatten(variables)[0], flatten(pulled)[0], strict=True):
        assert np.shape(x) == np.shape(g), (np.shape(x), np.shape(g))
    forward, reverse, expected = _dot(c, pushed), _dot(pulled, t), _dot(c, difference)
    scale = 1.0 + abs(expected)
    assert abs(forward - reverse) <= 1e-9 * scale, (case.id, forward, reverse, expected)
    assert abs(forward - expected) <= tolerance * scale, (case.id, forward, reverse, expected)


def nothing_is_mutated(case: Case) -> None:
    """Operands are as before, and what comes back is the caller's own."""
    args = case.operands()
    call, variables = _on_variables(case, args)
    before = tree_map(np.array, variables)
    out, pull = tw.vjp(call, *variables)
    cotangents = pull(tree_map(np.ones_like, out))
    arrays = [g for g in flatten(cotangents)[0] if isinstance(g, np.ndarray)]
    for g in arrays:
        g += 1.0  # fails if read-only
    for a in arrays:
        for b in (*[x for x in arrays if x is not a], *flatten(variables)[0]):
            assert not np.shares_memory(a, b)
    for x, y in zip(flatten(variables)[0], flatten(before)[0], strict=True):
        np.testing.assert_array_equal(x, y)


def batch_is_loop(case: Case) -> None:
    """vmap gives what a Python loop over the examples gives."""
    call, _ = _on_variables(case, case.operands())
    examples = [_on_variables(case, case.operands(seed))[1] for seed in range(3)]
    leaves = [flatten(e)[0] for e in examples]
    structure = flatten(examples[0])[1]
    stacked = unflatten(structure, [np.stack(group) for group in zip(*leaves, strict=True)])
    expected = [call(*example) for example in examples]
    if len({tuple(map(np.shape, flatten(want)[0])) for want in expected}) > 1:
        with pytest.raises(TracingError, match="different shapes"):
            tw.vmap(call)(*stacked)
        return
    got = tw.vmap(call)(*stacked)
    for b, *wants in zip(flatten(got)[0], *[flatten(w)[0] for w in expected], strict=True):
        assert b.dtype == np.result_type(*wants)  # eig: complex where one example is
        np.testing.assert_allclose(b, np.stack(wants), rtol=1e-12, atol=1e-12)


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, 1e-310, 1e300, -1e300])


def special_values(case: Case) -> None:
    """At 0, −0, ±inf, NaN, denormals and the edge of the range: the value is NumPy's, sign of zero
    and NaN included; forward is reverse; and building graph gives what computing gives."""
    grids = np.meshgrid(*[SPECIAL] * len(case.shapes), indexing="ij")
    points = [grid.ravel() for grid in grids]
    for i, x in enumerate(points):

        def call(v: Any, i: int = i) -> Any:
            return case.call(*points[:i], v, *points[i + 1 :])

        with np.errstate(all="ignore"):
            expected = call(x)
            out, pushed = tw.jvp(call, (x,), (np.ones_like(x),))
            _, pull = tw.vjp(call, x)
            (pulled,) = pull(np.ones_like(out))
            nested = tw.jvp(lambda c, pull=pull: pull(c)[0], (np.ones_like(out),), (out,))[0]
            # Inside an outer trace the rules build graph instead of computing.
            ones = np.ones_like(out)
            graph, _ = tw.vjp(lambda v, f=call, c=ones: tw.vjp(f, v)[1](c)[0], x)
        np.testing.assert_array_equal(out, expected)
        if np.asarray(expected).dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(out), np.signbit(expected))
        np.testing.assert_array_equal(pushed, pulled)
        np.testing.assert_array_equal(nested, pulled)
        np.testing.assert_array_equal(graph, pulled)


def any_layout(case: Case) -> None:
    """Strided, reversed, Fortran-ordered and read-only operands: NumPy's value, right slopes."""
    call, variables = _on_variables(case, case.operands())

    def strided(x: Any) -> Any:
        if np.ndim(x) == 0:
            return x
        wide = np.repeat(np.asarray(x, order="F"), 2, axis=0)[::2]
        backward = np.array(wide[::-1], order="F")[::-1]
        backward.flags.writeable = False
        return backward

    other = tree_map(strided, variables)
    expected = call(*other)
    pairs = zip(flatten(call(*variables))[0], flatten(expected)[0], strict=True)
    if not all(np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in pairs):
        assert case.op == "reshape", case.id  # which may ask for the memory's order: "A", "K"
        return
    out, _ = tw.vjp(call, *other)
    for a, b in zip(flatten(expected)[0], flatten(out)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    _compare(call, other, case, case.tolerance)
