"""Static fields of dataclasses: configuration that belongs to the form of a tree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import TreeError
from thalweg.tree import flatten, static, tree_map, unflatten


@dataclasses.dataclass(frozen=True)
class Power:
    scale: Any
    exponent: Any = static(default=2)
    activation: Callable[[Any], Any] = static(default=np.tanh)

    def __call__(self, x: Any) -> Any:
        return self.activation(self.scale * x**self.exponent)


def total(power: Power, x: Any) -> Any:
    return np.sum(power(x))


X = np.array([0.1, 0.4])


def test_static_fields_are_no_leaves():
    leaves, structure = flatten(Power(3.0, 4))
    assert leaves == [3.0]
    assert unflatten(structure, [5.0]) == Power(5.0, 4)
    assert "exponent=4" in repr(structure)


@pytest.mark.parametrize(
    ("a", "b"), [(2, 3), (1, True), (1, 1.0), (0.0, -0.0), ((1,), (1.0,)), ("a", None)]
)
def test_trees_with_different_statics_do_not_match(a, b):
    one, other = flatten(Power(1.0, a))[1], flatten(Power(1.0, b))[1]
    assert one != other
    assert one == flatten(Power(2.0, a))[1]
    assert hash(one) == hash(flatten(Power(2.0, a))[1])
    with pytest.raises(TreeError, match="do not match"):
        tree_map(lambda x, y: x, Power(1.0, a), Power(1.0, b))


def test_nan_is_itself():
    assert flatten(Power(1.0, float("nan")))[1] == flatten(Power(1.0, float("nan")))[1]


@pytest.mark.parametrize("value", [[1], {"a": 1}, np.ones(2)])
def test_values_that_are_not_hashable(value):
    with pytest.raises(TreeError, match=r"static field 'exponent' of Power holds a (list|dict|nd)"):
        flatten(Power(1.0, value))


def test_gradients_keep_them():
    gradient = tw.grad(total)(Power(0.5, 3), X)
    assert (gradient.exponent, gradient.activation) == (3, np.tanh)
    assert gradient.scale == pytest.approx(np.sum((1 - np.tanh(0.5 * X**3) ** 2) * X**3))


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_a_compiled_function_has_a_record_for_each(backend):
    compiled = tw.compile(tw.value_and_grad(total), backend=backend)
    for power in (Power(0.5, 2), Power(0.7, 3), Power(0.7, 2.0), Power(0.5, 2, np.sin)) * 3:
        value, gradient = compiled(power, X)
        wanted, slope = tw.value_and_grad(total)(power, X)
        assert value == pytest.approx(wanted, rel=1e-14)
        assert gradient.scale == pytest.approx(slope.scale, rel=1e-14)
        assert (gradient.exponent, gradient.activation) == (power.exponent, power.activation)


def test_vmap_over_a_tree_with_statics():
    found = tw.vmap(total, in_axes=(0, None))(Power(np.array([0.5, 0.7]), 3), X)
    assert found == pytest.approx([total(Power(0.5, 3), X), total(Power(0.7, 3), X)])
