"""Random programs: forward = reverse = complex step, second order, and vmap = loop."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings

import thalweg as tw
from tests.programs.generate import Program, programs

COUNT = 2000
STEP = 1e-30


class _ComplexStep:
    """NumPy on x + iεt: functions that are not analytic act on the real part's branch."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def abs(x: Any) -> Any:
        return np.where(np.real(x) < 0, -x, x)[()]

    @staticmethod
    def var(x: Any, axis: int, keepdims: bool) -> Any:
        return np.mean((x - np.mean(x, axis=axis, keepdims=True)) ** 2, axis, keepdims=keepdims)

    @staticmethod
    def logaddexp(x: Any, y: Any) -> Any:
        return np.log(np.exp(x) + np.exp(y))


def _draw(rng: np.random.Generator, values: Any) -> tuple[Any, ...]:
    return tuple(rng.standard_normal(np.shape(x))[()] for x in values)


def _dot(a: Any, b: Any) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))


def check_first_order(program: Program) -> None:
    f, inputs = program.function(), program.inputs
    rng = np.random.default_rng(0)
    t = _draw(rng, inputs)
    expected = f(*inputs)
    out, tangents = tw.jvp(f, inputs, t)
    again, pull = tw.vjp(f, *inputs)
    c = _draw(rng, out)
    stepped = program.function(_ComplexStep())(
        *(x + 1j * STEP * v for x, v in zip(inputs, t, strict=True))
    )
    differences = tuple(np.imag(y) / STEP for y in stepped)
    for want, a, b in zip(expected, out, again, strict=True):
        np.testing.assert_array_equal(a, want)
        np.testing.assert_array_equal(b, want)
    pulled = pull(c)
    for x, g in zip(inputs, pulled, strict=True):
        assert np.shape(x) == np.shape(g)
    forward, reverse, difference = _dot(c, tangents), _dot(pulled, t), _dot(c, differences)
    scale = 1.0 + sum(np.sum(np.abs(a * b)) for a, b in zip(c, tangents, strict=True))
    assert abs(forward - reverse) <= 1e-10 * scale, (forward, reverse, difference)
    assert abs(forward - difference) <= 1e-10 * scale, (forward, reverse, difference)


def check_second_order(program: Program) -> None:
    """Forward over reverse = reverse over reverse = reverse over forward, along directions."""
    f, inputs = program.function(), program.inputs
    rng = np.random.default_rng(1)
    t, s = _draw(rng, inputs), _draw(rng, inputs)
    c = _draw(rng, f(*inputs))

    def loss(*xs: Any) -> Any:
        return sum(np.sum(y * w) for y, w in zip(f(*xs), c, strict=True))

    everything = tuple(range(len(inputs)))
    gradient = tw.grad(loss, everything)
    _, first = tw.jvp(gradient, inputs, t)
    second = tw.grad(
        lambda *xs: sum(np.sum(g * v) for g, v in zip(gradient(*xs), t, strict=True)), everything
    )(*inputs)
    third = tw.grad(lambda *xs: tw.jvp(loss, xs, t)[1], everything)(*inputs)
    a, b, d = _dot(first, s), _dot(second, s), _dot(third, s)
    scale = 1.0 + sum(np.sum(np.abs(h * v)) for h, v in zip(first, s, strict=True))
    assert abs(a - b) <= 1e-9 * scale, (a, b, d)
    assert abs(a - d) <= 1e-9 * scale, (a, b, d)


def check_batch(program: Program) -> None:
    """vmap over inputs so close together that Python's branches are the same."""
    f, inputs = program.function(), program.inputs
    shifts = np.array([0.0, 1e-9, -1e-9])
    stacked = tuple(np.stack([x + h for h in shifts]) for x in inputs)
    got = tw.vmap(f)(*stacked)
    for k in range(len(shifts)):
        for a, b in zip(got, f(*(x[k] for x in stacked)), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-10, atol=1e-10)


def test_random_programs(record_property):
    seen: Counter[str] = Counter()

    @settings(
        max_examples=COUNT,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def check(program: Program) -> None:
        seen["programs"] += 1
        seen["lines"] += program.source.count("\n") - 2
        check_first_order(program)
        if seen["programs"] % 4 == 0:
            check_second_order(program)
            seen["second order"] += 1
        if seen["programs"] % 4 == 1 and "v" in program.source and " > 0.4]" not in program.source:
            check_batch(program)
            seen["batched"] += 1

    check()
    counts = ", ".join(f"{count:,} {what}" for what, count in seen.items())
    record_property("random programs", counts)
    assert seen["programs"] >= COUNT
