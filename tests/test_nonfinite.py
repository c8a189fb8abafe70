"""`first_nonfinite`: the producer of NaN and Inf, its line, its index, in forward and backward."""

from __future__ import annotations

import inspect
from typing import NamedTuple

import numpy as np
import pytest

import thalweg as tw


class Fault(NamedTuple):
    f: object
    args: tuple
    phase: str
    gate: str
    index: tuple
    hint: str


def spoiled(size, place, value):
    x = np.linspace(0.5, 2.0, size)
    x[place] = value
    return x


def log_of_zero(x):
    p = x / 2
    q = np.log(p)  # fault
    return np.sum(q * 2 + 1)


def log_of_negative(x):
    return np.sum(np.exp(np.log(x)))  # fault


def sqrt_of_negative(x):
    y = x - 1.0
    z = np.sqrt(y)  # fault
    return np.sum(z**2)


def divide_by_zero(x, d):
    z = x + 1
    r = z / d  # fault
    return np.sum(np.tanh(r) * r)


def zero_by_zero(x):
    total = np.sum(x)
    share = x / total  # fault
    return np.sum(share**2)


def exp_overflow(x):
    e = np.exp(x)  # fault
    return np.sum(e) / 3


def softmax_overflow(w, x):
    s = w @ x
    e = np.exp(s)
    p = e / np.sum(e)
    return -np.log(p[0])  # fault


def power_of_negative(x):
    return np.sum(x**0.5)  # fault


def zero_to_negative(x):
    return np.sum(x**-2.0)  # fault


def square_overflow(x):
    s = x * x  # fault
    return np.sum(np.sqrt(s))


def sum_overflow(x):
    t = np.sum(x)  # fault
    return t - 1.0


def matmul_overflow(w, x):
    h = w @ x  # fault
    return np.sum(np.tanh(h)) + np.sum(h)


def arcsin_outside(x):
    return np.sum(np.arcsin(x))  # fault


def bad_input(x):  # fault
    return np.sum(x * 2)


def bad_constant(x):
    weights = np.array([1.0, np.nan, 1.0])
    return np.sum(weights * x)  # fault


def deep_in_a_loop(x):
    for _ in range(30):
        x = np.tanh(x) * 1.5
    y = np.log1p(-x * x - 10)  # fault
    for _ in range(30):
        y = y * 0.5 + 1
    return np.sum(y)


def one_entry_in_a_large_array(x):
    h = np.tanh(x) + 1
    g = np.log(x)  # fault
    return np.mean(h * g)


def two_faults(x):
    a = np.sqrt(x - 1)  # fault
    b = np.log(x - 1)
    return np.sum(a) + np.sum(b)


def behind_a_mask_there_is_another(x):
    safe = np.where(x > 0, np.log(x), 0.0)
    later = np.sqrt(x - 2)  # fault
    return np.sum(safe + later)


def a_written_entry(x):
    y = np.zeros_like(x)
    y[1:] = np.log(x[1:])  # fault
    return np.sum(y)


def sqrt_slope(x):
    r = np.sqrt(x)  # fault
    return np.sum(r * 2)


def distance_to_itself(x, y):
    d = np.sum((x - y) ** 2, axis=-1)
    n = np.sqrt(d)  # fault
    return np.sum(n)


def zero_times_inf(x):
    r = np.sqrt(x)  # fault
    return np.sum(r * 0.0)


def fractional_power_slope(x):
    return np.sum(x**0.5 + x)  # fault


def arcsin_slope(x):
    return np.sum(np.arcsin(x))  # fault


def gradient_overflow(x):
    a = 1e200 * x  # fault
    b = 1e200 * a
    return b


def quotient_slope(x):
    y = 1.0 / x  # fault
    return np.sum(y)


def large_array_backward(x):
    h = np.tanh(x)
    r = np.cbrt(h)  # fault
    return np.sum(r)


def inf_that_came_to_nothing(x):
    e = np.exp(x)  # fault
    return np.sum(1.0 / e)


def reduction_of_many(x):
    rows = np.sum(x * x, axis=1)
    norms = np.sqrt(rows)
    return np.sum(x / norms[:, None])  # fault


ROWS = np.ones((5, 3))
ROWS[3] = 0.0
FAULTS = [
    Fault(log_of_zero, (np.array([1.0, 0.0, 2.0]),), "forward", "log", (1,), "log of 0"),
    Fault(log_of_negative, (np.array([1.0, 2.0, -2.0]),), "forward", "log", (2,), "negative"),
    Fault(
        sqrt_of_negative, (np.array([[1.5, 2.0], [0.5, 3.0]]),), "forward", "sqrt", (1, 0), "root"
    ),
    Fault(
        divide_by_zero,
        (np.ones((2, 3)), np.array([1.0, 0.0, 1.0])),
        "forward",
        "/",
        (0, 1),
        "division by 0",
    ),
    Fault(zero_by_zero, (np.array([1.0, -1.0, 0.0]),), "forward", "/", (0,), "division by 0"),
    Fault(exp_overflow, (spoiled(50, 17, 800.0),), "forward", "exp", (17,), "709"),
    Fault(
        softmax_overflow,
        (1e3 * np.eye(3), np.array([0.1, 2.0, 0.3])),
        "forward",
        "log",
        (),
        "gate 'exp'",
    ),
    Fault(power_of_negative, (np.array([1.0, -3.0]),), "forward", "**", (1,), "fractional"),
    Fault(zero_to_negative, (np.array([1.0, 0.0]),), "forward", "**", (1,), "negative power"),
    Fault(square_overflow, (spoiled(9, 4, 1e200),), "forward", "*", (4,), "rescale"),
    Fault(sum_overflow, (np.full(3, 1e308),), "forward", "sum", (), "rescale"),
    Fault(
        matmul_overflow,
        (np.full((2, 2), 1e200), np.array([1.0, 1e200])),
        "forward",
        "@",
        (0,),
        "rescale",
    ),
    Fault(arcsin_outside, (np.array([0.5, 1.0 + 1e-12]),), "forward", "arcsin", (1,), "clip"),
    Fault(bad_input, (np.array([1.0, np.nan]),), "input", "input", (1,), "input"),
    Fault(bad_constant, (np.ones(3),), "constant", "*", (1,), "np.where"),
    Fault(deep_in_a_loop, (np.array([0.1, 0.2]),), "forward", "log1p", (0,), "-1"),
    Fault(
        one_entry_in_a_large_array,
        (spoiled(100_000, 76_543, 0.0),),
        "forward",
        "log",
        (76_543,),
        "log of 0",
    ),
    Fault(two_faults, (np.array([2.0, 0.0]),), "forward", "sqrt", (1,), "root"),
    Fault(
        behind_a_mask_there_is_another, (np.array([-1.0, 3.0]),), "forward", "sqrt", (0,), "root"
    ),
    Fault(a_written_entry, (np.array([1.0, 2.0, 0.0]),), "forward", "log", (1,), "log of 0"),
    Fault(sqrt_slope, (np.array([1.0, 0.0]),), "local", "sqrt", (1,), "np.linalg.norm"),
    Fault(
        distance_to_itself,
        (np.eye(3), np.diag([2.0, 1.0, 3.0])),
        "local",
        "sqrt",
        (1,),
        "infinite slope",
    ),
    Fault(zero_times_inf, (np.array([1.0, 0.0]),), "local", "sqrt", (1,), "0 · inf"),
    Fault(fractional_power_slope, (np.array([1.0, 0.0]),), "local", "**", (1,), "p < 1"),
    Fault(arcsin_slope, (np.array([0.5, 1.0]),), "local", "arcsin", (1,), "clip"),
    Fault(gradient_overflow, (1e-300,), "backward", "*", (), "scale the loss"),
    Fault(quotient_slope, (np.array([1.0, 1e-200]),), "local", "/", (1,), "np.where"),
    Fault(
        large_array_backward,
        (spoiled(50_000, 33_333, 0.0),),
        "local",
        "cbrt",
        (33_333,),
        "infinite slope",
    ),
    Fault(inf_that_came_to_nothing, (np.array([1.0, 800.0]),), "forward", "exp", (1,), "709"),
    Fault(reduction_of_many, (ROWS,), "forward", "/", (3, 0), "0 / 0"),
]


def line_of(f):
    lines, first = inspect.getsourcelines(f)
    return first + next(i for i, line in enumerate(lines) if "# fault" in line)


def look(f, *args, **options):
    with np.errstate(all="ignore"):
        return tw.trace(f, *args, **options).first_nonfinite()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.f.__name__)
def test_seeded_faults_are_found(fault):
    found = look(fault.f, *fault.args)
    assert found is not None
    assert (found.phase, found.gate, found.index) == (fault.phase, fault.gate, fault.index)
    assert fault.hint in found.hint, found.hint
    if fault.phase != "input":
        assert (found.file, found.line) == (__file__, line_of(fault.f))
        assert found.expression in inspect.getsource(fault.f)
    assert str(found.index)[1:-1].rstrip(",") in str(found)
    assert found.hint in str(found)


def test_there_are_enough_seeded_faults():
    phases = [fault.phase for fault in FAULTS]
    assert len(FAULTS) >= 30
    assert phases.count("local") + phases.count("backward") >= 8


def test_the_numbers_are_those_of_the_entry():
    found = look(divide_by_zero, np.full((2, 3), 4.0), np.array([1.0, 0.0, 1.0]))
    assert [float(v) for v in found.operands] == [5.0, 0.0]
    assert float(found.value) == np.inf
    slope = look(sqrt_slope, np.array([1.0, 0.0]))
    assert slope.operand == 0
    assert (slope.upstream, slope.local, slope.downstream) == (2.0, np.inf, np.inf)
    assert "towards operand 0: upstream 2, local inf, downstream inf" in str(slope)


def masked(x):
    return np.sum(np.where(x > 0, np.log(x), 0.0))


def masked_before(x):
    return np.sum(np.sqrt(np.where(x > 0, x, 0.0)))


def saturating(x):
    return np.sum(np.minimum(np.exp(x), 10.0))


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.sum(x**2), np.ones(3)),
        (masked, np.array([-1.0, 1.0])),
        (masked_before, np.array([-1.0, 1.0])),
        (saturating, np.array([1.0, 800.0])),
        (lambda x: np.linalg.norm(x), np.zeros(3)),
        (lambda x: np.sum(x), np.zeros((0, 3))),
    ],
)
def test_none_where_output_and_gradients_are_finite(f, x):
    assert look(f, x) is None


def test_a_vector_output_is_looked_at_forward_only():
    assert look(lambda x: np.sqrt(x), np.array([1.0, 0.0])) is None
    found = look(lambda x: np.sqrt(x), np.array([1.0, 0.0]), upstream=np.ones(2))
    assert found.phase == "local"
    assert look(lambda x: np.log(x), np.array([1.0, 0.0])).phase == "forward"


def test_a_bad_upstream_is_named_as_such():
    found = look(lambda x: 2 * x, np.ones(2), upstream=np.array([1.0, np.nan]))
    assert (found.phase, found.index) == ("upstream", (1,))


def test_a_fan_out_that_overflows():
    def f(x):
        return 1e308 * x + 1.5e308 * x

    found = look(f, 0.0)
    assert found.phase == "backward"
    assert found.operand is None
    assert "several uses" in found.hint


def own(pull):
    return tw.primitive(
        lambda x: 2 * x, local=lambda out, x: tw.kinds.Custom(lambda t: 2 * t, pull), name="t.own"
    )


def test_an_opaque_local_gradient_is_tried_out():
    infinite, large = own(lambda c: c * np.inf), own(lambda c: c * 1e200)
    assert look(lambda x: np.sum(infinite(x)), np.ones(2)).phase == "local"
    assert look(lambda x: 1e200 * np.sum(large(x)), np.ones(2)).phase == "backward"


def test_several_outputs():
    def f(a):
        q, r = np.linalg.qr(a)
        return np.sum(np.log(r[1, 0] + 0 * q))  # fault

    found = look(f, np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert (found.phase, found.gate, found.line) == ("forward", "log", line_of(f))


def test_a_factorisation_without_derivative():
    found = look(lambda a: np.sum(np.linalg.eigh(a)[1][0]), np.eye(3))
    assert (found.phase, found.gate) == ("local", "eigh")
    assert "equal eigenvalues" in found.hint
    assert "downstream nan" in str(found)


def test_a_diverging_loop_of_many_steps():
    def descend(w):
        for _ in range(3000):
            w = w - 1.01 * w - w**3  # fault
        return np.sum(w)

    found = look(descend, np.array([0.001, 3.0]))
    assert (found.phase, found.gate, found.index) == ("forward", "**", (1,))
    assert (found.line, found.label) == (line_of(descend), found.label)
    assert "smaller steps" in found.hint


def test_float32_overflow_has_its_own_limit():
    found = look(lambda x: np.sum(np.exp(x)), np.array([1.0, 100.0], np.float32))
    assert "88.7" in found.hint


def test_complex_numbers():
    found = look(lambda z: np.sum(np.abs(np.log(z))), np.array([1 + 1j, 0.0]))
    assert (found.phase, found.gate, found.index) == ("forward", "log", (1,))
