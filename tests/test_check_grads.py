"""`check_grads` against right and wrong derivatives, kinks, trees, complex numbers, culprits."""

from __future__ import annotations

import ctypes
import dataclasses
import re

import numpy as np
import pytest

import thalweg as tw
from tests.op_cases import CASES
from thalweg.errors import DtypeError, GradientCheckError, UserError
from thalweg.jacobian.differences import along, rough

kinds = tw.kinds
RNG = np.random.default_rng(5)


@dataclasses.dataclass
class Layer:
    w: np.ndarray
    b: np.ndarray


def network(layer, x):
    return {"loss": np.sum(np.tanh(layer.w @ x + layer.b) ** 2), "hidden": layer.w @ x}


def written(x):
    x[0] = x[1] * 3
    x += 1
    return x


def buffered(x):
    steps = np.zeros(3, like=x)
    for i in range(3):
        x = x / 2 if x > 1 else 3 * x
        steps[i] = x
    return steps.sum()


RIGHT = {
    "scalar": (lambda x: np.sin(x) * np.exp(x) / x, (0.7,)),
    "rosenbrock": (
        lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
        (RNG.standard_normal(5),),
    ),
    "tree": (network, (Layer(RNG.standard_normal((2, 3)), np.zeros(2)), RNG.standard_normal(3))),
    "not analytic": (lambda x: np.abs(x) * x, (np.array([0.7, -2.0]),)),
    "complex": (lambda z: z * np.conj(z) * np.exp(z), (np.array([1 + 2j, 0.5 - 0.3j]),)),
    "complex to real": (lambda z: np.abs(z), (np.array([1 + 2j, 0.5 - 0.3j]),)),
    "float32": (lambda x: np.sum(np.log(x)), (np.array([1e-6, 1e6, 1.0], np.float32),)),
    "integer leaf": (lambda x, n: x**n, (np.array([1.0, 2.0]), 3)),
    "small scale": (lambda x: np.sin(1e6 * x), (np.array([0.3e-6, 2e-6]),)),
    "large scale": (lambda x: np.sin(1e-6 * x), (np.array([0.3e6, 2e6]),)),
    "curved": (lambda x: np.sin(300 * x), (np.array([0.3]),)),
    "edge of the domain near": (lambda x: np.log(x), (np.array([1e-5, 1.0]),)),
    "zero derivative": (lambda x: x * 0.0 + 1.0, (np.array([1.0, 2.0]),)),
    "stationary": (lambda x: np.cos(x), (np.array([0.0, np.pi]),)),
    "constant": (lambda x: np.array([1.0, 2.0]), (np.array([1.0, 2.0]),)),
    "empty": (lambda x: x * 2, (np.zeros((0, 3)),)),
    "branch": (lambda x: x**2 if x > 0 else x**3, (1.5,)),
    "product of zeros": (lambda x: np.prod(x), (np.zeros(4),)),
    "product of three zeros": (lambda x: np.prod(x), (np.zeros(3),)),
    "cube of zero": (lambda x: x**3 * 1e-20, (np.zeros(3),)),
    "a buffer": (buffered, (5.0,)),
    "writes to its argument": (lambda x: np.sum(written(x) ** 2), (np.array([1.0, 2.0]),)),
    "a warning on the way": (lambda x: np.where(x > 0, np.log(x), x), (np.array([1.0, -2.0]),)),
    "a gradient itself": (lambda x: tw.grad(lambda y: np.sum(y**4))(x), (np.array([1.0, 2.0]),)),
    "not a tuple": (lambda x: x**2, np.array([1.0, 2.0])),
    "integers beside": (lambda x: (x * 2, (x > 0).astype(int)), (np.array([1.0, 2.0]),)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(name):
    f, args = RIGHT[name]
    report = tw.check_grads(f, args)
    assert report
    assert report.passed
    assert not report.kinks
    assert max(report.errors.values()) < 1e-6
    assert len(report.rows) == 6


def test_order_three_and_one_mode():
    report = tw.check_grads(lambda x: np.exp(np.sin(x)), (0.4,), order=3, modes=("reverse",))
    assert set(report.errors) == {("reverse",), ("reverse",) * 2, ("reverse",) * 3}
    assert "order 3  reverse over reverse over reverse" in str(report)
    assert repr(report) == str(report)


def test_the_complex_step_is_exact_to_the_last_digits():
    report = tw.check_grads(lambda x: np.exp(np.sin(x)), (np.linspace(0.1, 2, 7),))
    assert all(row.method == "complex step" for row in report.rows)
    assert max(report.errors.values()) < 1e-13


def test_a_function_that_refuses_complex_numbers_falls_back():
    def f(x):
        if np.iscomplexobj(x):
            raise KeyError("no complex numbers here")
        return np.sin(x)

    report = tw.check_grads(f, (0.4,), order=1)
    assert report.rows[0].method == "central"
    assert max(report.errors.values()) < 1e-9


def wrong(local, value=np.sin):
    return tw.primitive(value, local=local, name="tests.wrong")


WRONG = {
    "sign": lambda out, x: kinds.Diagonal(-np.cos(x)),
    "one per cent": lambda out, x: kinds.Diagonal(1.01 * np.cos(x)),
    "1e-5": lambda out, x: kinds.Diagonal((1 + 1e-5) * np.cos(x)),
    "one entry": lambda out, x: kinds.Diagonal(np.cos(x) * np.array([1.0, 1.0, 0.9])),
    "zero": lambda out, x: kinds.Zero("said so"),
    "nan": lambda out, x: kinds.Diagonal(np.cos(x) * np.nan),
    "pull only": lambda out, x: kinds.Custom(lambda t: t * np.cos(x), lambda c: c * np.sin(x)),
    "push only": lambda out, x: kinds.Custom(lambda t: t * np.sin(x), lambda c: c * np.cos(x)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_local_is_found_and_the_gate_named(name):
    gate = wrong(WRONG[name])

    def f(x):
        y = np.exp(x) + x
        z = gate(y) * 2  # the culprit
        return np.sum(z**2 + y)

    with pytest.raises(GradientCheckError) as caught:
        tw.check_grads(f, (np.array([0.3, -0.5, 1.0]),))
    message = str(caught.value)
    first = f.__code__.co_firstlineno
    assert f"culprit: gate 'sin' at {__file__}:{first + 2}: gate(y)" in message
    assert re.search(
        r"∂out\[\d\] / ∂operand 0\[\d\]: expected \S+ \((complex step|central)\)", message
    )
    assert "FAIL order 1" in message


def test_the_worst_entry_is_shown_with_both_numbers():
    gate = wrong(lambda out, x: kinds.Diagonal(np.cos(x) * np.array([1.0, 1.0, 2.0])))
    with pytest.raises(GradientCheckError) as caught:
        tw.check_grads(lambda x: np.sum(gate(x)), (np.array([0.0, 0.0, 0.0]),), order=1)
    assert "∂out[2] / ∂operand 0[2]: expected 1 (complex step), found 2" in str(caught.value)


def test_a_rule_that_is_wrong_in_the_second_order_only():
    gate = wrong(lambda out, x: kinds.Diagonal(np.cos(tw.detach(x))))
    with pytest.raises(GradientCheckError, match="its first derivative is right") as caught:
        tw.check_grads(lambda x: np.sum(gate(x) ** 2), (np.array([0.3, -0.5, 1.0]),))
    assert "culprit: gate 'sin'" in str(caught.value)
    assert tw.check_grads(lambda x: np.sum(gate(x)), (np.array([0.3, -0.5, 1.0]),), order=1)


def test_a_detached_value_is_the_culprit():
    with pytest.raises(GradientCheckError, match=r"gate 'detach' at .*: tw\.detach\(x\)"):
        tw.check_grads(lambda x: x * tw.detach(x), (np.array([1.0, 2.0]),), order=1)


def test_a_wrong_gate_in_a_large_array():
    bad = np.ones(20_000)
    bad[12_345] = 3.0
    gate = wrong(lambda out, x: kinds.Diagonal(np.cos(x) * bad))
    with pytest.raises(GradientCheckError, match=r"∂out\[12345\] along a random direction"):
        tw.check_grads(lambda x: np.sum(gate(x)), (np.zeros(20_000),), order=1)


KINKS = {
    "relu": (lambda x: np.maximum(x, 0), np.array([0.0, 1.0, -1.0]), r"gate 'max'.*entry \[0\]"),
    "where": (lambda x: np.where(x > 0, x, 0), np.array([1.0, 0.0]), r"'where'.*entry \[1\]"),
    "mask": (lambda x: (x > 0) * x, np.array([1.0, 0.0]), r"gate '\*'.*entry \[1\]"),
    "sqrt at 0": (lambda x: np.sqrt(x), np.array([0.0, 1.0]), r"'sqrt'.*entry \[0\]"),
    "floor": (lambda x: x * np.floor(x), np.array([2.0, 1.5]), r"gate 'floor'.*entry \[0\]"),
    "branch": (lambda x: 2 * x if x > 0 else 3 * x, 0.0, r"another branch at .*: x > 0"),
    "deep": (
        lambda x: np.sum(np.sin(np.maximum(x * 2 - 1, 0))), np.array([0.3, 0.5]),
        r"gate 'max'.*entry \[1\]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KINKS)
def test_a_kink_is_reported_not_failed(name):
    f, x, place = KINKS[name]
    report = tw.check_grads(f, (x,))
    assert report.passed
    assert report.kinks
    assert re.search(place, report.kinks[0]), report.kinks
    assert any(row.kinks for row in report.rows)


def test_beside_a_kink_the_check_still_fails_what_is_wrong():
    gate = wrong(lambda out, x: kinds.Diagonal(2 * np.cos(x)))
    with pytest.raises(GradientCheckError, match="culprit: gate 'sin'"):
        tw.check_grads(lambda x: np.sum(np.maximum(gate(x), 0)), (np.array([0.0, 1.0]),))


def test_near_a_kink_but_not_at_it_nothing_is_left_out():
    report = tw.check_grads(lambda x: np.maximum(x, 0), (np.array([1e-4, -1e-4, 1.0]),))
    assert report.passed
    assert not report.kinks


@pytest.mark.parametrize(
    ("f", "args", "options", "error", "message"),
    [
        (lambda x: x, (3,), {}, DtypeError, "needs an argument of a floating dtype"),
        (lambda x: x, (3.0,), {"modes": ("sideways",)}, UserError, "sideways"),
        (lambda x: x, (3.0,), {"order": 0}, UserError, "order ≥ 1"),
        (lambda x: x * RNG.standard_normal(), (3.0,), {}, UserError, "different values"),
        (lambda x: x * np.inf, (3.0,), {}, UserError, "not finite"),
    ],
)
def test_what_cannot_be_checked(f, args, options, error, message):
    with pytest.raises(error, match=message):
        tw.check_grads(f, args, **options)


def test_check_gradient():
    assert tw.check_gradient(lambda x, y: np.sum(x) * y**2, np.ones(3), 3.0)
    assert len(tw.check_gradient(lambda x: x**2, 3.0, order=2).rows) == 2


def test_check_primitive_finds_a_push_that_is_not_the_transpose_of_pull():
    gate = wrong(
        lambda out, x: kinds.Custom(lambda t: t * np.cos(x), lambda c: c * np.cos(x) * (1 + 1e-8))
    )
    with pytest.raises(GradientCheckError, match="pull is not the transpose of push"):
        tw.check_primitive(gate, np.array([0.3, 1.0]))


def test_check_primitive_finds_a_value_that_changes_its_operand():
    def value(x):
        ctypes.memset(x.ctypes.data, 0, 8)  # C code asks no flags
        return 2 * x

    gate = tw.primitive(value, local=lambda out, x: kinds.Scale(2.0))
    with pytest.raises(GradientCheckError):
        tw.check_primitive(gate, np.array([0.3, 1.0]))


def test_check_primitive_of_builtin_records():
    primitive = tw.graph.primitive.lookup("multiply")
    assert tw.check_primitive(primitive, np.ones((2, 3)), np.ones(3))


@pytest.mark.parametrize("case", [c for c in CASES if c.order][::40], ids=lambda case: case.id)
def test_cases_of_the_op_table_pass(case):
    assert tw.check_grads(case.call, case.operands(), order=1, directions=1)


def test_differences_alone():
    """The measuring stick itself: nothing of Thalweg's derivatives takes part."""
    point, direction = [np.array([0.5, 2.0])], [np.array([1.0, -1.0])]
    exact = np.exp(point[0]) * direction[0]
    step = along(lambda p: np.exp(p[0]), point, direction)
    assert step.method == "complex step"
    np.testing.assert_allclose(step.values, exact, rtol=1e-15)
    central = along(lambda p: np.exp(np.real(p[0])), point, direction)
    assert central.method == "central"
    np.testing.assert_allclose(central.values, exact, rtol=1e-10)
    assert np.all(np.abs(central.values - exact) <= 10 * central.noise)
    marks = rough(lambda p: np.abs(p[0]), [np.array([0.0, 1.0])], [np.ones(2)])
    np.testing.assert_array_equal(marks, [True, False])
